//! Who failed to log in too often: one count for all listeners and all ways in.
//!
//! A try that is still being compared counts as if it had failed: as many as are left may be under way, and others
//! wait for them. Thus no client gets past a limit by asking for much at once, and none with the right password is
//! refused for it. A client past a limit is refused whatever its password, which is not compared.

mod failures;

use actors::Clock;
use failures::{Client, Failures, Verdict};
use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// Counts failed logins. In memory only: a restart forgets them.
pub struct LoginLimiter {
    failures: Mutex<Failures>,
    ended: Notify,
    clock: Clock,
}

/// The client failed too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// When it may try again.
    pub retry_after: Duration,
}

impl TooMany {
    /// Whole seconds after which it may try again, for `Retry-After`.
    pub fn retry_after_secs(self) -> u64 {
        self.retry_after.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
    }
}

impl LoginLimiter {
    /// With the limits of a minute and of a day.
    pub fn new(clock: Clock) -> LoginLimiter {
        LoginLimiter::counting(Failures::new(), clock)
    }

    /// With the limits of a minute only, for developers, whose tests may give wrong passwords all day.
    pub fn lenient(clock: Clock) -> LoginLimiter {
        LoginLimiter::counting(Failures::of_a_minute(), clock)
    }

    fn counting(failures: Failures, clock: Clock) -> LoginLimiter {
        LoginLimiter { failures: Mutex::new(failures), ended: Notify::new(), clock }
    }

    /// Lets a client try a password, which has to be found right or wrong then.
    ///
    /// # Errors
    /// When it failed too often.
    pub async fn begin(&self, client: IpAddr) -> Result<LoginTry<'_>, TooMany> {
        let client = Client::of(client);
        loop {
            // Told of all that ends from now on, even before it is awaited.
            let ended = self.ended.notified();
            match self.on_failures(|failures, now| (failures.begin(client, now), now)) {
                (Verdict::Go, _) => return Ok(LoginTry { limiter: self, client, is_open: true }),
                (Verdict::Wait, _) => ended.await,
                (Verdict::Refused { until }, now) => {
                    return Err(TooMany { retry_after: until.since(now) });
                }
            }
        }
    }

    /// Whether a client may try at all. Nothing is counted.
    ///
    /// # Errors
    /// When it failed too often.
    pub fn look(&self, client: IpAddr) -> Result<(), TooMany> {
        let client = Client::of(client);
        self.on_failures(|failures, now| match failures.refused(client, now) {
            Some(until) => Err(TooMany { retry_after: until.since(now) }),
            None => Ok(()),
        })
    }

    /// Lets a client in whose password is known to be right without a comparison.
    ///
    /// # Errors
    /// When it failed too often.
    pub fn pass(&self, client: IpAddr) -> Result<(), TooMany> {
        let client = Client::of(client);
        self.on_failures(|failures, now| match failures.refused(client, now) {
            Some(until) => Err(TooMany { retry_after: until.since(now) }),
            None => {
                failures.forgive(client);
                Ok(())
            }
        })
    }

    /// The time is read under the lock, so that failures are recorded in its order.
    fn on_failures<T>(&self, act: impl FnOnce(&mut Failures, mail::Timestamp) -> T) -> T {
        let mut failures = self.lock();
        let now = self.clock.now();
        act(&mut failures, now)
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        // No code that holds it leaves it half changed.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A try that is under way. Dropped without an outcome, it never was: who went away, or was told that the server is
/// busy, learned nothing.
#[must_use = "the outcome has to be told"]
pub struct LoginTry<'l> {
    limiter: &'l LoginLimiter,
    client: Client,
    is_open: bool,
}

impl LoginTry<'_> {
    /// The password was right: the client's failures are forgiven.
    pub fn succeeded(self) {
        self.limiter.lock().forgive(self.client);
    }

    /// The credentials were wrong.
    pub fn failed(mut self) {
        self.is_open = false;
        let client = self.client;
        let refused = self.limiter.on_failures(|failures, now| {
            failures.fail(client, now);
            failures.full(client, now).map(|(network, until)| (network, until.since(now)))
        });
        self.limiter.ended.notify_waiters();
        if let Some((network, wait)) = refused {
            let seconds = wait.as_secs();
            tracing::info!(%network, seconds, "too many logins failed from this network, and it is refused for a while");
        }
    }
}

impl Drop for LoginTry<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.limiter.lock().give_back(self.client);
            self.limiter.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::NOW;
    use futures_util::{FutureExt, poll};
    use std::pin::pin;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn limiter() -> LoginLimiter {
        LoginLimiter::new(Clock::following_tokio(NOW))
    }

    fn secs(outcome: Result<LoginTry<'_>, TooMany>) -> Option<u64> {
        outcome.err().map(TooMany::retry_after_secs)
    }

    #[tokio::test(start_paused = true)]
    async fn the_eleventh_failure_in_a_minute_waits_for_the_first_to_be_a_minute_old() {
        let limiter = limiter();
        limiter.begin(CLIENT).await.unwrap().failed();
        tokio::time::advance(Duration::from_millis(20_500)).await;
        for _ in 1..10 {
            limiter.begin(CLIENT).await.unwrap().failed();
        }
        assert_eq!(secs(limiter.begin(CLIENT).await), Some(40), "39.5 seconds, rounded up");
        assert_eq!(limiter.pass(CLIENT), Err(TooMany { retry_after: Duration::from_millis(39_500) }));
        tokio::time::advance(Duration::from_millis(39_500)).await;
        limiter.begin(CLIENT).await.unwrap().failed();
        assert_eq!(secs(limiter.begin(CLIENT).await), Some(21), "those after the first are still there");
    }

    #[tokio::test(start_paused = true)]
    async fn tries_that_would_get_past_the_limit_wait_for_those_under_way() {
        let limiter = limiter();
        let mut under_way = Vec::new();
        for _ in 0..10 {
            under_way.push(limiter.begin(CLIENT).await.unwrap());
        }
        let mut eleventh = pin!(limiter.begin(CLIENT));
        let mut twelfth = pin!(limiter.begin(CLIENT));
        assert!(poll!(&mut eleventh).is_pending() && poll!(&mut twelfth).is_pending());
        assert!(limiter.begin([198, 51, 100, 1].into()).now_or_never().is_some(), "others do not wait");

        // One is given back: another may begin, and one only.
        drop(under_way.pop());
        let eleventh = eleventh.await.unwrap();
        assert!(poll!(&mut twelfth).is_pending());
        eleventh.failed();
        assert!(poll!(&mut twelfth).is_pending());
        under_way.into_iter().for_each(LoginTry::failed);
        assert_eq!(secs(twelfth.await), Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_right_password_lets_all_in_who_wait() {
        let limiter = limiter();
        let all = futures_util::future::join_all((0..1_000).map(async |_| {
            let login_try = limiter.begin(CLIENT).await?;
            tokio::task::yield_now().await;
            login_try.succeeded();
            Ok::<_, TooMany>(())
        }));
        assert!(all.await.iter().all(Result::is_ok));
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_clears_the_clients_count() {
        let limiter = limiter();
        for remembered in [false, true] {
            for _ in 0..9 {
                limiter.begin(CLIENT).await.unwrap().failed();
            }
            if remembered {
                limiter.pass(CLIENT).unwrap();
            } else {
                limiter.begin(CLIENT).await.unwrap().succeeded();
            }
        }
        for _ in 0..10 {
            limiter.begin(CLIENT).await.unwrap().failed();
        }
        assert_eq!(secs(limiter.begin(CLIENT).await), Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lenient_limiter_forgets_after_a_minute() {
        let limiter = LoginLimiter::lenient(Clock::following_tokio(NOW));
        for _ in 0..60 {
            for _ in 0..10 {
                limiter.begin(CLIENT).await.unwrap().failed();
            }
            assert_eq!(secs(limiter.begin(CLIENT).await), Some(60));
            tokio::time::advance(Duration::from_secs(60)).await;
        }
    }
}
