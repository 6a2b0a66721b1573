//! How many calls are under way at a time, and how many bytes their bodies hold.
//!
//! A call whose receiver lets it wait steps aside into a lane of its own, and those to receivers that did not answer the
//! last time begin there: receivers that hang hold up nobody else.

use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How long a receiver may take before its call steps aside.
const PATIENCE: Duration = Duration::from_millis(100);
/// The number of calls is enough of a bound on bodies that are no larger.
const SMALL: usize = 16 << 10;

/// Where a call waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Its receiver answers soon, as far as is known.
    Quick,
    /// It does not.
    Waiting,
}

/// The places for calls.
pub(crate) struct Lanes {
    quick: Places,
    waiting: Places,
}

#[derive(Clone)]
struct Places {
    calls: Arc<Semaphore>,
    calls_max: u32,
    kib: Arc<Semaphore>,
    kib_max: u32,
    large: Arc<Semaphore>,
}

/// The place of a call, given back by dropping it.
pub(super) struct Permit {
    waiting: Places,
    lane: Lane,
    kib: u32,
    _place: OwnedSemaphorePermit,
    _kib: Option<OwnedSemaphorePermit>,
    kib_of: Places,
}

impl Places {
    fn new(calls: usize, bytes: usize) -> Places {
        let bounded = |number: usize| u32::try_from(number.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let (calls_max, kib_max) = (bounded(calls), bounded(bytes / 1024).max(1));
        Places {
            calls: Arc::new(Semaphore::new(calls_max as usize)),
            calls_max,
            kib: Arc::new(Semaphore::new(kib_max as usize)),
            kib_max,
            large: Arc::new(Semaphore::new(1)),
        }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        self.calls.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// One body that is larger than all together may be is held alone.
    fn share(&self, kib: u32) -> u32 {
        kib.min(self.kib_max)
    }
}

impl Lanes {
    /// `quick` and `waiting` calls at a time; in each lane bodies of `bytes` together.
    pub(super) fn new(quick: usize, waiting: usize, bytes: usize) -> Lanes {
        // Without places to wait at, those that hang could never be called again.
        Lanes { quick: Places::new(quick.max(1), bytes), waiting: Places::new(waiting.max(1), bytes) }
    }

    /// Waits for a place.
    pub(super) async fn permit(&self, lane: Lane) -> Permit {
        let places = match lane {
            Lane::Quick => &self.quick,
            Lane::Waiting => &self.waiting,
        };
        Permit {
            waiting: self.waiting.clone(),
            lane,
            kib: 0,
            _place: places.place().await,
            _kib: None,
            kib_of: places.clone(),
        }
    }

    /// Returns when no call is under way.
    pub(super) async fn still(&self) {
        for places in [&self.quick, &self.waiting] {
            let _ = places.calls.acquire_many(places.calls_max).await;
        }
    }
}

impl Permit {
    /// Waits until no other large body is made in the lane, or waits there for its memory.
    pub(super) async fn large(&self) -> OwnedSemaphorePermit {
        self.kib_of.large.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Waits for the memory of a body.
    pub(super) async fn hold(&mut self, bytes: usize) {
        if bytes <= SMALL {
            return;
        }
        self.kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let share = self.kib_of.share(self.kib);
        let kib = self.kib_of.kib.clone().acquire_many_owned(share).await;
        self._kib = Some(kib.expect("the semaphore is never closed"));
    }

    /// Waits for the answer, stepping aside when it takes long.
    pub(super) async fn wait<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = std::pin::pin!(answer);
        if self.lane == Lane::Quick {
            match timeout(PATIENCE, &mut answer).await {
                Ok(answer) => return answer,
                Err(_) => self.step_aside(),
            }
        }
        answer.await
    }

    /// Where all who wait aside are too many, it keeps its place.
    fn step_aside(&mut self) {
        let Ok(place) = self.waiting.calls.clone().try_acquire_owned() else { return };
        if self.kib > 0 {
            let share = self.waiting.share(self.kib);
            let Ok(kib) = self.waiting.kib.clone().try_acquire_many_owned(share) else { return };
            self._kib = Some(kib);
        }
        self._place = place;
        self.lane = Lane::Waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future::pending};

    const LARGE: usize = 64 << 10;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_an_answer_makes_room_for_others() {
        let lanes = Lanes::new(1, 1, LARGE);
        let mut slow = lanes.permit(Lane::Quick).await;
        slow.hold(LARGE).await;
        tokio::spawn(async move { slow.wait(pending::<()>()).await });
        let mut other = timeout(Duration::from_secs(1), lanes.permit(Lane::Quick)).await.unwrap();
        timeout(Duration::from_secs(1), other.hold(LARGE)).await.expect("the memory is given back as well");
        // The lane of those that wait has one place: a second one stays where it is.
        tokio::spawn(async move { other.wait(pending::<()>()).await });
        assert!(timeout(Duration::from_secs(60), lanes.permit(Lane::Quick)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_memory_aside_stays() {
        let lanes = Lanes::new(2, 2, LARGE);
        for free in [1, 1] {
            let mut slow = lanes.permit(Lane::Quick).await;
            slow.hold(LARGE).await;
            tokio::spawn(async move { slow.wait(pending::<()>()).await });
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(lanes.waiting.calls.available_permits(), free);
        }
        assert_eq!(lanes.quick.calls.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn receivers_known_to_hang_take_no_place_of_others() {
        let lanes = Lanes::new(1, 1, LARGE);
        let mut waiting = lanes.permit(Lane::Waiting).await;
        let call = tokio::spawn(async move { waiting.wait(pending::<()>()).await });
        assert!(lanes.permit(Lane::Quick).now_or_never().is_some());
        assert!(lanes.permit(Lane::Waiting).now_or_never().is_none());
        call.abort();
        assert!(call.await.is_err());
        lanes.still().await;
    }

    #[tokio::test]
    async fn large_bodies_for_receivers_that_hang_hold_up_none_for_others() {
        let lanes = Lanes::new(1, 2, LARGE);
        let mut hanging = lanes.permit(Lane::Waiting).await;
        hanging.hold(LARGE).await;
        let next = lanes.permit(Lane::Waiting).await;
        let _waits_for_memory = next.large().await;
        let mut quick = lanes.permit(Lane::Quick).await;
        assert!(quick.large().now_or_never().is_some());
        assert!(quick.hold(LARGE).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_body_larger_than_all_may_be_is_sent_alone() {
        let lanes = Lanes::new(2, 0, LARGE);
        let mut large = lanes.permit(Lane::Quick).await;
        large.hold(10 * LARGE).await;
        let mut other = lanes.permit(Lane::Quick).await;
        other.hold(SMALL).await;
        assert!(other.hold(SMALL + 1).now_or_never().is_none());
        drop(large);
        assert!(other.hold(SMALL + 1).now_or_never().is_some());
    }
}
