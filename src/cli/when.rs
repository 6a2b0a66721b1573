//! The options that say when something is tried next.

use clap::Args;
use config::Period;
use mail::Timestamp;
use std::time::Duration;

/// When.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct WhenArgs {
    /// Try them now
    #[arg(long)]
    now: bool,
    /// Try them at this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Try them so much later than now planned, as 1h30m
    #[arg(long, value_name = "DURATION")]
    plus: Option<Period>,
}

/// A time for the next attempt.
pub(super) enum When {
    Now,
    At(Timestamp),
    /// So much later than planned.
    Plus(Duration),
}

impl WhenArgs {
    pub(super) fn when(&self) -> When {
        match (self.at, self.plus) {
            (Some(at), _) => When::At(at),
            (None, Some(Period(by))) => When::Plus(by),
            (None, None) => When::Now,
        }
    }
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_rfc3339(text).ok_or("a time is written as 2026-11-25T10:00:00Z (RFC 3339)")
}
