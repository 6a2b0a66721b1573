//! Comparisons of passwords, slow on purpose: those under way are shared, those that were right are remembered.

use super::LoginError;
use crate::password::Password;
use config::Limits;
use moka::sync::Cache;
use prometheus::IntCounter;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Semaphore, watch};

/// Passwords compared at a time: each takes a processor and 19 MiB.
const RUNNING_MAX: usize = 3;
/// Different comparisons that may run or wait for their turn before others hear that the server is busy.
const UNDER_WAY_MAX: usize = 512;

/// Stands for one user, password and hash.
pub(super) type Digest = [u8; 32];

/// None until the comparison is over.
type Outcome = Option<Result<bool, LoginError>>;

pub(super) struct Comparisons {
    shared: Arc<Shared>,
}

struct Shared {
    right: Cache<Digest, ()>,
    under_way: Mutex<HashMap<Digest, watch::Sender<Outcome>>>,
    running: Semaphore,
    made: IntCounter,
}

impl Comparisons {
    /// Counts those made in `made`.
    pub(super) fn new(limits: &Limits, made: IntCounter) -> Comparisons {
        let right = Cache::builder()
            .max_capacity(limits.login_cache_entries)
            .time_to_live(limits.login_cache_ttl)
            .build();
        let running = Semaphore::new(RUNNING_MAX);
        Comparisons { shared: Arc::new(Shared { right, under_way: Mutex::default(), running, made }) }
    }

    /// Whether that was found right before and is remembered.
    pub(super) fn remembers(&self, digest: &Digest) -> bool {
        self.shared.right.contains_key(digest)
    }

    /// Whether the password is that of the hash, both of which the digest stands for. However many ask for the same
    /// at once, one comparison answers all.
    ///
    /// # Errors
    /// `Busy` when too many others are under way, `Failed` when the comparison broke down.
    pub(super) async fn is_right(
        &self,
        digest: Digest,
        hash: &str,
        password: &Password,
    ) -> Result<bool, LoginError> {
        loop {
            let Some(mut outcome) = self.join(digest, hash, password)? else { return Ok(true) };
            if let Ok(outcome) = outcome.wait_for(Option::is_some).await {
                return outcome.unwrap_or(Err(LoginError::Failed));
            }
            // It was given up: all others had gone just when this caller came, or its thread was stopped.
        }
    }

    /// Joins the comparison under way, or starts it; none when it was found right meanwhile.
    fn join(
        &self,
        digest: Digest,
        hash: &str,
        password: &Password,
    ) -> Result<Option<watch::Receiver<Outcome>>, LoginError> {
        let mut under_way = self.shared.under_way();
        // Looked up under the lock, under which what is over moves there.
        if self.shared.right.contains_key(&digest) {
            return Ok(None);
        }
        let count = under_way.len();
        let vacant = match under_way.entry(digest) {
            Entry::Occupied(entry) => return Ok(Some(entry.get().subscribe())),
            Entry::Vacant(_) if count >= UNDER_WAY_MAX => return Err(LoginError::Busy),
            Entry::Vacant(vacant) => vacant,
        };
        let (sender, outcome) = watch::channel(None);
        vacant.insert(sender.clone());
        let comparison = Comparison { shared: Arc::clone(&self.shared), digest, sender };
        // In a task of its own, so that a caller who goes away takes it from nobody.
        actix_rt::spawn(comparison.run(hash.to_owned(), password.clone()));
        Ok(Some(outcome))
    }
}

impl Shared {
    fn under_way(&self) -> MutexGuard<'_, HashMap<Digest, watch::Sender<Outcome>>> {
        // No code that holds it leaves it half changed.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is under way, until it is dropped.
struct Comparison {
    shared: Arc<Shared>,
    digest: Digest,
    sender: watch::Sender<Outcome>,
}

impl Comparison {
    /// Compares off the reactor, few at a time; not at all when everyone has gone before it is its turn.
    async fn run(self, hash: String, password: Password) {
        let _running = tokio::select! {
            biased;
            () = self.sender.closed() => return,
            permit = self.shared.running.acquire() => permit,
        };
        self.shared.made.inc();
        let compared =
            actix_rt::task::spawn_blocking(move || password.matches(&hash)).await.map_err(|error| {
                tracing::error!(%error, "a password could not be compared");
                LoginError::Failed
            });
        let _under_way = self.shared.under_way();
        if compared == Ok(true) {
            self.shared.right.insert(self.digest, ());
        }
        self.sender.send_replace(Some(compared));
    }
}

impl Drop for Comparison {
    fn drop(&mut self) {
        self.shared.under_way().remove(&self.digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::hash_password;
    use futures_util::{FutureExt, future::join_all, poll};
    use std::{
        pin::pin,
        sync::{LazyLock, mpsc},
    };

    static HASH: LazyLock<String> = LazyLock::new(|| hash_password("right").unwrap());

    fn comparisons() -> Comparisons {
        let limits = config::Settings::defaults().limits;
        Comparisons::new(&limits, IntCounter::new("comparisons", "x").unwrap())
    }

    impl Comparisons {
        async fn of(&self, text: &str) -> Result<bool, LoginError> {
            let mut digest = [0; 32];
            digest[..text.len()].copy_from_slice(text.as_bytes());
            self.is_right(digest, &HASH, &Password::new(text).unwrap()).await
        }

        fn under_way(&self) -> usize {
            self.shared.under_way().len()
        }
    }

    #[actix_web::test]
    async fn all_who_ask_for_the_same_at_once_share_one_comparison() {
        for (password, expected) in [("right", Ok(true)), ("wrong", Ok(false))] {
            let comparisons = comparisons();
            let all = join_all((0..1_000).map(|_| comparisons.of(password))).await;
            assert!(all.iter().all(|outcome| *outcome == expected), "{password}");
            assert_eq!(comparisons.shared.made.get(), 1, "{password}");
        }
    }

    #[actix_web::test]
    async fn what_was_right_is_remembered_and_what_was_wrong_is_not() {
        let comparisons = comparisons();
        for (password, made) in [("right", 1), ("right", 1), ("wrong", 2), ("wrong", 3)] {
            assert_eq!(comparisons.of(password).await, Ok(password == "right"));
            assert_eq!(comparisons.shared.made.get(), made);
        }
    }

    #[actix_web::test]
    async fn different_passwords_are_compared_up_to_a_bound() {
        let comparisons = comparisons();
        let gate = comparisons.shared.running.acquire_many(RUNNING_MAX as u32).await.unwrap();
        let texts: Vec<_> = (0..UNDER_WAY_MAX).map(|number| format!("wrong {number}")).collect();
        let mut all: Vec<_> = texts.iter().map(|text| Box::pin(comparisons.of(text))).collect();
        for waiting in &mut all {
            assert!(poll!(waiting).is_pending());
        }
        assert_eq!(comparisons.of("right").await, Err(LoginError::Busy));
        let mut joined = pin!(comparisons.of("wrong 0"));
        assert!(poll!(&mut joined).is_pending(), "what is under way can be joined");

        // Those who go away make room.
        all.truncate(1);
        while comparisons.under_way() > 1 {
            tokio::task::yield_now().await;
        }
        drop(gate);
        assert_eq!(comparisons.of("right").await, Ok(true));
        assert_eq!(joined.await, Ok(false));
        assert_eq!(all.remove(0).await, Ok(false));
        assert_eq!(comparisons.shared.made.get(), 2);
    }

    #[actix_web::test]
    async fn a_caller_who_goes_away_takes_the_comparison_from_nobody() {
        let comparisons = comparisons();
        let gate = comparisons.shared.running.acquire_many(RUNNING_MAX as u32).await.unwrap();
        let mut first = Box::pin(comparisons.of("right"));
        let mut second = pin!(comparisons.of("right"));
        assert!(poll!(&mut first).is_pending());
        assert!(poll!(&mut second).is_pending());
        drop(first);
        tokio::task::yield_now().await;
        drop(gate);
        assert_eq!(second.await, Ok(true));
        assert_eq!(comparisons.shared.made.get(), 1);
    }

    #[actix_web::test]
    async fn a_comparison_whose_thread_stops_is_started_again_by_who_waits() {
        let comparisons = &comparisons();
        let gate = comparisons.shared.running.acquire_many(RUNNING_MAX as u32).await.unwrap();
        let mut second = pin!(comparisons.of("right"));
        std::thread::scope(|threads| {
            let (started, is_started) = mpsc::channel();
            let (joined, is_joined) = mpsc::channel();
            threads.spawn(move || {
                actix_rt::Runtime::new().unwrap().block_on(async {
                    assert!(poll!(pin!(comparisons.of("right"))).is_pending());
                    started.send(()).unwrap();
                    is_joined.recv().unwrap();
                });
            });
            is_started.recv().unwrap();
            assert!(second.as_mut().now_or_never().is_none());
            joined.send(()).unwrap();
        });
        assert_eq!(comparisons.under_way(), 0);
        drop(gate);
        assert_eq!(second.await, Ok(true));
        assert_eq!(comparisons.under_way(), 0);
    }
}
