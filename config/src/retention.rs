//! `[retention]`: how long things are kept.

use crate::source::Section;
use std::time::Duration;

/// How long things are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Messages that left the queue, for accounts that do not say; zero keeps none.
    pub messages: Duration,
    /// Webhook calls that are done, for accounts that do not say; zero keeps none.
    pub hooks: Duration,
    /// The event log.
    pub events: Duration,
    /// The time between two sweeps.
    pub sweep_interval: Duration,
    /// Records removed in one commit.
    pub sweep_batch: usize,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Retention {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Retention {
        let kept = Duration::ZERO..=DAY * 3650;
        Retention {
            messages: section.duration("messages", kept.clone()),
            hooks: section.duration("hooks", kept.clone()),
            events: section.duration("events", kept),
            sweep_interval: section.duration("sweep_interval", Duration::from_millis(1)..=DAY),
            sweep_batch: section.number("sweep_batch", 1..=100_000),
        }
    }
}
