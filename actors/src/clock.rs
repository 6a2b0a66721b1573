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
    Tokio { epoch: Timestamp, start: Instant },
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

    /// The time.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the clock")]
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Source::Tokio { epoch, start } => epoch.after(start.elapsed()),
            Source::System => {
                let since =
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Timestamp::default().after(since)
            }
        }
    }
}
