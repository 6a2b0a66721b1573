//! The only source of time.

use mail::Timestamp;
use tokio::time::Instant;

/// Tells the time. Timers run on tokio's time; a clock made with [`Clock::following_tokio`] goes with it, so
/// that a test which moves the one moves both.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Tokio {
        epoch: Timestamp,
        start: Instant,
    },
    #[cfg(test)]
    Jumping {
        epoch: Timestamp,
        start: Instant,
        step: std::time::Duration,
        reads: std::sync::Arc<std::sync::atomic::AtomicU32>,
    },
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// A clock that stands at `epoch` now and goes as tokio's time goes.
    pub fn following_tokio(epoch: Timestamp) -> Clock {
        Clock(Source::Tokio { epoch, start: Instant::now() })
    }

    /// A clock that goes as tokio's time goes, and jumps by `step` whenever it is read.
    #[cfg(test)]
    pub(crate) fn jumping(epoch: Timestamp, step: std::time::Duration) -> Clock {
        Clock(Source::Jumping { epoch, start: Instant::now(), step, reads: Default::default() })
    }

    /// The time.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Tokio { epoch, start } => epoch.after(start.elapsed()),
            #[cfg(test)]
            Source::Jumping { epoch, start, step, reads } => {
                let reads = reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                epoch.after(start.elapsed() + *step * reads)
            }
            Source::System => {
                let since =
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Timestamp::default().after(since)
            }
        }
    }
}
