//! `[webhooks]`: how webhooks are called.

use crate::{
    Network,
    size::{GIB, KIB, MIB},
    source::{Section, network, path},
};
use std::{path::PathBuf, time::Duration};

/// How webhooks are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhooks {
    /// The waits between calls; 1 to 50, each more than zero.
    pub retry: Vec<Duration>,
    /// Calls to one URL at once; at most `calls_max`.
    pub calls_per_url_max: usize,
    /// Calls to all URLs together, but for those whose receivers let us wait.
    pub calls_max: usize,
    /// Calls beyond those, whose receivers let us wait.
    pub calls_waiting_max: usize,
    /// Bytes of the bodies of calls, together.
    pub body_bytes_max: u64,
    /// For a whole call.
    pub timeout: Duration,
    /// Bytes of an answer that are kept.
    pub answer_max: usize,
    /// Networks that may be called although they are not public; at most 1000.
    pub allow_networks: Vec<Network>,
    /// Due calls that one read of the queue takes up.
    pub due_batch_max: usize,
    /// Certificates of authorities to trust besides those of the system.
    pub trusted_ca_file: Option<PathBuf>,
}

impl Webhooks {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Webhooks {
        let base = section.base();
        let answer_max = section.size("answer_max", 0..=64 * KIB);
        let webhooks = Webhooks {
            retry: section.schedule("retry"),
            calls_per_url_max: section.number("calls_per_url_max", 1..=10_000),
            calls_max: section.number("calls_max", 1..=100_000),
            calls_waiting_max: section.number("calls_waiting_max", 1..=1_000_000),
            body_bytes_max: section.size("body_bytes_max", MIB..=64 * GIB),
            timeout: section.duration("timeout", Duration::from_millis(1)..=Duration::from_secs(3600)),
            answer_max: usize::try_from(answer_max).unwrap_or(usize::MAX),
            allow_networks: section.list("allow_networks", 1000, network),
            due_batch_max: section.number("due_batch_max", 1..=100_000),
            trusted_ca_file: section.optional("trusted_ca_file", path(base)),
        };
        section.check_pair(
            "calls_per_url_max",
            "calls_max",
            webhooks.calls_per_url_max <= webhooks.calls_max,
            "at most",
        );
        webhooks
    }
}
