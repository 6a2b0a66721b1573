//! How much a destination or a URL gets at once: pure. It starts small, grows while all goes well, and shrinks
//! when the other side shows strain.

use std::time::Duration;
use tokio::time::Instant;

/// The longest pause between tries to reach a destination that cannot be reached.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What an attempt tells about the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It takes mail, or refuses for good what it does not want.
    Good,
    /// It answers 4xx, or breaks off.
    Strained,
    /// It cannot be reached.
    Unreachable,
    /// The attempt says nothing about it.
    Unknown,
}

/// The pace of one destination.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    limit: f64,
    max: f64,
    failures: u32,
    paused_until: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(start: usize, max: usize) -> Pace {
        Pace { limit: start as f64, max: max.max(1) as f64, failures: 0, paused_until: None }
    }

    /// Connections that may work at the same time.
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Until when nothing is tried.
    pub(crate) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    pub(crate) fn learn(&mut self, health: Health, now: Instant) {
        match health {
            Health::Unknown => {}
            Health::Good => {
                self.failures = 0;
                self.paused_until = None;
                // One more for each round in which all succeeded.
                self.limit = (self.limit + 1.0 / self.limit).min(self.max);
            }
            Health::Strained => self.limit = (self.limit / 2.0).max(1.0),
            Health::Unreachable => {
                self.limit = 1.0;
                let pause = Duration::from_secs(1 << self.failures.min(10)).min(PAUSE_MAX);
                self.failures = self.failures.saturating_add(1);
                self.paused_until = Some(now + pause);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_grows_by_one_a_round_and_stops_at_the_bound() {
        let mut pace = Pace::new(2, 4);
        let now = Instant::now();
        for _ in 0..3 {
            pace.learn(Health::Good, now);
        }
        assert_eq!(pace.limit(), 3);
        for _ in 0..100 {
            pace.learn(Health::Good, now);
        }
        assert_eq!(pace.limit(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn strain_halves_it_but_one_connection_stays() {
        let mut pace = Pace::new(8, 20);
        for expected in [4, 2, 1, 1] {
            pace.learn(Health::Strained, Instant::now());
            assert_eq!(pace.limit(), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_destination_is_left_alone_for_longer_and_longer() {
        let mut pace = Pace::new(8, 20);
        let now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pace.learn(Health::Unreachable, now);
            pauses.push(pace.paused_until(now).map(|until| (until - now).as_secs()));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60].map(Some));
        pace.learn(Health::Good, now);
        assert_eq!(pace.paused_until(now), None);
    }
}
