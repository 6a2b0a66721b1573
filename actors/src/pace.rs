//! How much a destination or a URL gets at once: pure. It starts small, grows while all goes well, and shrinks
//! when the other side shows strain.

use std::time::Duration;
use tokio::time::Instant;

/// The longest pause between tries to reach a destination that cannot be reached.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What may be begun at once after a pause is what comes up in this time.
const BURST: Duration = Duration::from_secs(2);

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
    rate: Option<Rate>,
}

/// So many beginnings in a minute, evenly, with those of a few seconds at once.
#[derive(Clone, Debug)]
struct Rate {
    per_minute: f64,
    /// Beginnings that may be made now.
    saved: f64,
    as_of: Instant,
}

impl Pace {
    pub(crate) fn new(start: usize, max: usize) -> Pace {
        let max = max.max(1);
        Pace { limit: start.min(max) as f64, max: max as f64, failures: 0, paused_until: None, rate: None }
    }

    /// At most so many beginnings in a minute.
    pub(crate) fn with_rate(mut self, per_minute: Option<u32>, now: Instant) -> Pace {
        self.rate =
            per_minute.map(|per_minute| Rate { per_minute: f64::from(per_minute), saved: 1.0, as_of: now });
        self
    }

    /// When the rate lets the next one begin, if not now.
    pub(crate) fn rate_until(&mut self, now: Instant) -> Option<Instant> {
        let rate = self.rate.as_mut()?;
        rate.gain(now);
        let missing = 1.0 - rate.saved;
        (missing > 1e-6).then(|| now + Duration::from_secs_f64(missing * 60.0 / rate.per_minute))
    }

    /// One begins.
    pub(crate) fn begin(&mut self) {
        if let Some(rate) = &mut self.rate {
            rate.saved -= 1.0;
        }
    }

    /// Connections that may work at the same time.
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Until when nothing is tried.
    pub(crate) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// It could not be reached the last time.
    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
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

impl Rate {
    fn gain(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.as_of).as_secs_f64() * self.per_minute / 60.0;
        // A pause is not made up for all at once.
        let most = (self.per_minute * BURST.as_secs_f64() / 60.0).max(1.0);
        self.saved = (self.saved + gained).min(most);
        self.as_of = now;
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

    #[tokio::test(start_paused = true)]
    async fn a_rate_lets_begin_evenly_and_saves_little() {
        let start = Instant::now();
        let mut pace = Pace::new(1, 1).with_rate(Some(60), start);
        let mut begin = |now: Instant| {
            let until = pace.rate_until(now);
            if until.is_none() {
                pace.begin();
            }
            until
        };
        assert_eq!(begin(start), None);
        let mut now = start;
        for _ in 0..30 {
            let at = begin(now).expect("one a second");
            assert!(at > now);
            now = at;
            assert_eq!(begin(now), None);
        }
        assert!((now - start).as_secs_f64() - 30.0 < 0.1, "{:?}", now - start);
        now += Duration::from_secs(3600);
        let at_once = (0..100).filter(|_| begin(now).is_none()).count();
        assert_eq!(at_once, 2);
    }
}
