//! Who waits for events: readers of an account's event log hear when a commit made it longer.
//!
//! What they hear is a hint. What happened is in the store, where a reader looks for it again.

use mail::AccountId;
use prometheus::IntGauge;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// How many may wait at a time.
#[derive(Clone, Copy, Debug)]
pub struct EventReaderLimits {
    /// In all.
    pub max: usize,
    /// Of one account, so that it cannot take all places.
    pub per_account_max: usize,
}

/// Where readers of event logs wait. Cheap to clone.
#[derive(Clone)]
pub struct EventLog(Arc<WaitingRoom>);

struct WaitingRoom {
    limits: EventReaderLimits,
    /// Readers that wait.
    waiting: IntGauge,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By account; one without readers is not there.
    bells: HashMap<AccountId, Bell>,
    /// Readers in all.
    readers: usize,
    /// Nobody waits any more.
    closed: bool,
}

/// What the readers of one account listen for.
struct Bell {
    ring: watch::Sender<()>,
    readers: usize,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many wait for events already")]
pub struct NoPlace;

/// What a reader that waited hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// There may be events that were not there when it began to wait, or when it heard this before.
    Events,
    /// The server stops.
    Stopping,
}

/// A place to wait in, given back when it is dropped.
pub struct EventWait {
    log: EventLog,
    account: AccountId,
    bell: watch::Receiver<()>,
}

impl EventLog {
    pub(crate) fn new(limits: EventReaderLimits, waiting: IntGauge) -> EventLog {
        EventLog(Arc::new(WaitingRoom { limits, waiting, state: Mutex::default() }))
    }

    /// Begins to wait for events of an account. Whoever looks into the store after this, and then waits, misses none.
    ///
    /// # Errors
    /// When there is no place left.
    pub fn wait(&self, account: AccountId) -> Result<EventWait, NoPlace> {
        let WaitingRoom { limits, waiting, .. } = &*self.0;
        let mut state = self.state();
        let of_account = state.bells.get(&account).map_or(0, |bell| bell.readers);
        if state.readers >= limits.max || of_account >= limits.per_account_max {
            return Err(NoPlace);
        }
        state.readers += 1;
        waiting.inc();
        let bell = if state.closed {
            // Its other end is gone already, which is what stopping sounds like.
            watch::channel(()).1
        } else {
            let new = || Bell { ring: watch::Sender::new(()), readers: 0 };
            let bell = state.bells.entry(account).or_insert_with(new);
            bell.readers += 1;
            bell.ring.subscribe()
        };
        Ok(EventWait { log: self.clone(), account, bell })
    }

    /// These logs grew.
    pub(crate) fn grew(&self, accounts: impl IntoIterator<Item = AccountId>) {
        let state = self.state();
        if state.bells.is_empty() {
            return;
        }
        for account in accounts {
            if let Some(bell) = state.bells.get(&account) {
                bell.ring.send_replace(());
            }
        }
    }

    /// Ends all waiting, now and from now on.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.bells.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventWait {
    /// Waits until the log grew since this began or was heard the last time, or the server stops.
    pub async fn heard(&mut self) -> Heard {
        match self.bell.changed().await {
            Ok(()) => Heard::Events,
            Err(_) => Heard::Stopping,
        }
    }
}

impl Drop for EventWait {
    fn drop(&mut self) {
        self.log.0.waiting.dec();
        let mut state = self.log.state();
        state.readers -= 1;
        if let Some(bell) = state.bells.get_mut(&self.account) {
            bell.readers -= 1;
            if bell.readers == 0 {
                state.bells.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const ONE: AccountId = AccountId(1);
    const OTHER: AccountId = AccountId(2);

    fn log() -> (EventLog, IntGauge) {
        let waiting = IntGauge::new("waiting", "x").unwrap();
        (EventLog::new(EventReaderLimits { max: 3, per_account_max: 2 }, waiting.clone()), waiting)
    }

    fn hears(wait: &mut EventWait) -> Option<Heard> {
        wait.heard().now_or_never()
    }

    #[test]
    fn a_reader_hears_of_its_own_log_and_of_what_came_since_it_began() {
        let (log, _) = log();
        log.grew([ONE]);
        let mut wait = log.wait(ONE).unwrap();
        assert_eq!(hears(&mut wait), None);
        log.grew([OTHER]);
        assert_eq!(hears(&mut wait), None);
        log.grew([ONE, OTHER]);
        log.grew([ONE]);
        assert_eq!(hears(&mut wait), Some(Heard::Events));
        assert_eq!(hears(&mut wait), None, "hints merge");
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let (log, waiting) = log();
        let first = log.wait(ONE).unwrap();
        let second = log.wait(ONE).unwrap();
        assert_eq!(log.wait(ONE).err(), Some(NoPlace), "the account has its share");
        let third = log.wait(OTHER).unwrap();
        assert_eq!(log.wait(AccountId(3)).err(), Some(NoPlace), "there is no place at all");
        assert_eq!(waiting.get(), 3);
        drop(first);
        let mut again = log.wait(ONE).unwrap();
        log.grew([ONE]);
        assert_eq!(hears(&mut again), Some(Heard::Events));
        drop((second, third, again));
        assert_eq!(waiting.get(), 0);
        assert!(log.state().bells.is_empty(), "nothing is kept of accounts without readers");
    }

    #[test]
    fn when_the_server_stops_nobody_waits_any_more() {
        let (log, waiting) = log();
        let mut before = log.wait(ONE).unwrap();
        log.close();
        assert_eq!(hears(&mut before), Some(Heard::Stopping));
        let mut after = log.wait(ONE).unwrap();
        assert_eq!(hears(&mut after), Some(Heard::Stopping));
        drop((before, after));
        assert_eq!(waiting.get(), 0);
    }
}
