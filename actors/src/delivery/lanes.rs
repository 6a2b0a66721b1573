//! How many connections are open at a time, over all destinations, and who may open the next one.
//!
//! A connection whose host is slow to answer steps aside: it gives its place to another and waits in a lane of its
//! own, so that hosts that hang hold up nobody else. Places go to accounts in turn.

use mail::AccountId;
use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{error::Elapsed, timeout},
};

/// How long a host may take before it is thought slow.
const PATIENCE: Duration = Duration::from_secs(1);

/// The places for connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lanes(Arc<Inner>);

struct Inner {
    places: usize,
    queue: Mutex<Queue>,
    aside: Arc<Semaphore>,
    /// Destinations that have something to send.
    busy: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    free: usize,
    waiting: HashMap<AccountId, VecDeque<oneshot::Sender<Place>>>,
    /// Accounts with somebody waiting, the next one first.
    turns: VecDeque<AccountId>,
}

/// A place among the connections, given back by dropping it.
struct Place(Lanes);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// What a connection holds: a place, or while its host is slow, one in the lane of the slow.
pub(crate) struct Permit {
    lanes: Lanes,
    account: AccountId,
    held: Held,
}

enum Held {
    Place { _place: Place },
    Aside { _permit: OwnedSemaphorePermit },
}

/// A destination that has something to send, for as long as it is held.
pub(crate) struct Busy(Lanes);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// `places` connections that work, and `aside` that wait for a slow host.
    pub(crate) fn new(places: usize, aside: usize) -> Lanes {
        Lanes(Arc::new(Inner {
            places,
            queue: Mutex::new(Queue { free: places, ..Queue::default() }),
            aside: Arc::new(Semaphore::new(aside)),
            busy: AtomicUsize::new(0),
        }))
    }

    /// Waits for a place. Accounts take turns.
    pub(crate) async fn permit(&self, account: AccountId) -> Permit {
        let place = self.place(account).await;
        Permit { lanes: self.clone(), account, held: Held::Place { _place: place } }
    }

    /// A destination begins to send.
    pub(crate) fn busy(&self) -> Busy {
        self.0.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// How many connections each busy destination may have, so that all get some.
    pub(crate) fn share(&self) -> usize {
        (self.0.places / self.0.busy.load(Ordering::Relaxed).max(1)).max(1)
    }

    /// Whether so few places are free that none should be kept without work.
    pub(crate) fn are_scarce(&self) -> bool {
        self.queue().free < self.0.places.div_ceil(10)
    }

    async fn place(&self, account: AccountId) -> Place {
        let place = {
            let mut queue = self.queue();
            if queue.free > 0 {
                queue.free -= 1;
                return Place(self.clone());
            }
            let (give, place) = oneshot::channel();
            let waiting = queue.waiting.entry(account).or_default();
            waiting.push_back(give);
            if waiting.len() == 1 {
                queue.turns.push_back(account);
            }
            place
        };
        place.await.expect("who waits is given a place before the queue goes, since it holds the queue")
    }

    fn give_back(&self) {
        let mut queue = self.queue();
        let Some(next) = queue.next() else {
            queue.free += 1;
            return;
        };
        drop(queue);
        // Who has gone meanwhile drops the place, which comes back here.
        let _ = next.send(Place(self.clone()));
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some(account) = self.turns.pop_front() {
            let Some(waiting) = self.waiting.get_mut(&account) else { continue };
            let next = waiting.pop_front();
            if waiting.is_empty() {
                self.waiting.remove(&account);
            } else {
                self.turns.push_back(account);
            }
            if let Some(next) = next.filter(|next| !next.is_closed()) {
                return Some(next);
            }
        }
        None
    }
}

impl Permit {
    /// Waits for `future` at most `limit`, stepping aside when it takes long.
    pub(crate) async fn wait<T>(
        &mut self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        let mut future = std::pin::pin!(future);
        match timeout(limit.min(PATIENCE), &mut future).await {
            Err(_) if limit > PATIENCE => {}
            result => return result,
        }
        self.step_aside();
        let result = timeout(limit - PATIENCE, &mut future).await?;
        self.step_back().await;
        Ok(result)
    }

    /// Where all who wait aside are too many, it keeps its place.
    fn step_aside(&mut self) {
        if let Ok(permit) = self.lanes.0.aside.clone().try_acquire_owned() {
            self.held = Held::Aside { _permit: permit };
        }
    }

    async fn step_back(&mut self) {
        if let Held::Aside { .. } = self.held {
            let place = self.lanes.place(self.account).await;
            self.held = Held::Place { _place: place };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future::pending};

    const A: AccountId = AccountId(1);
    const B: AccountId = AccountId(2);

    #[tokio::test]
    async fn accounts_take_turns_whoever_came_first() {
        let lanes = Lanes::new(1, 0);
        let first = lanes.permit(A).await;
        let mut waiting: Vec<_> =
            [A, A, A, B].into_iter().map(|account| Box::pin(lanes.permit(account))).collect();
        for permit in &mut waiting {
            assert!(permit.as_mut().now_or_never().is_none());
        }
        let mut order = Vec::new();
        drop(first);
        while !waiting.is_empty() {
            let (index, permit) = waiting
                .iter_mut()
                .enumerate()
                .find_map(|(index, permit)| permit.as_mut().now_or_never().map(|permit| (index, permit)))
                .expect("the next one has its turn");
            drop(waiting.remove(index));
            // Dropped here, it goes to the next.
            order.push(permit.account);
        }
        assert_eq!(order, [A, B, A, A]);
        assert_eq!(lanes.queue().free, 1);
    }

    #[tokio::test]
    async fn a_place_given_to_somebody_who_left_goes_to_the_next() {
        let lanes = Lanes::new(1, 0);
        let first = lanes.permit(A).await;
        let mut gone = Box::pin(lanes.permit(A));
        let mut there = Box::pin(lanes.permit(A));
        assert!(gone.as_mut().now_or_never().is_none());
        assert!(there.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!(there.as_mut().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_slow_host_makes_room_for_others() {
        let lanes = Lanes::new(1, 1);
        let mut slow = lanes.permit(A).await;
        let hang = tokio::spawn(async move { slow.wait(Duration::from_secs(60), pending::<()>()).await });
        let other = timeout(Duration::from_secs(2), lanes.permit(A)).await.expect("the slow one steps aside");
        // The lane of the slow has one place: a second one stays where it is.
        let mut stays = other;
        let stuck = tokio::spawn(async move { stays.wait(Duration::from_secs(60), pending::<()>()).await });
        assert!(timeout(Duration::from_secs(10), lanes.permit(A)).await.is_err());
        assert!(hang.await.unwrap().is_err());
        assert!(stuck.await.unwrap().is_err());
        assert_eq!((lanes.queue().free, lanes.0.aside.available_permits()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_answers_late_gets_its_place_back() {
        let lanes = Lanes::new(1, 1);
        let mut permit = lanes.permit(A).await;
        let answer = permit.wait(Duration::from_secs(60), tokio::time::sleep(Duration::from_secs(30))).await;
        assert!(answer.is_ok());
        assert!(matches!(permit.held, Held::Place { .. }));
    }

    #[test]
    fn busy_destinations_share_the_places() {
        let lanes = Lanes::new(10, 0);
        let busy: Vec<_> = (0..4).map(|_| lanes.busy()).collect();
        assert_eq!(lanes.share(), 2);
        drop(busy);
        assert_eq!(lanes.share(), 10);
        let _many: Vec<_> = (0..100).map(|_| lanes.busy()).collect();
        assert_eq!(lanes.share(), 1);
    }
}
