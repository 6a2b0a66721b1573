//! What all ways to bring in a message to be sent have in common: who may send as whom, return paths, bounds, and the
//! count of what became of them.

mod recipient;
mod sender;

pub(crate) use recipient::new_recipient;
pub(crate) use sender::{NotSender, Sender};

use prometheus::{IntCounterVec, Opts, Registry};
use std::time::Duration;
use store::DirectoryDomain;

/// How far ahead a message may be sent.
pub(crate) const FUTURE_RELEASE_MAX: Duration = Duration::from_secs(60 * 86_400);

/// Registers the counter of messages brought in, by way and result.
///
/// # Errors
/// When the registry has it already.
pub(crate) fn count_submissions(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let options =
        Opts::new("postrider_submissions_total", "Messages brought in to be sent, by way and result.");
    let counters = IntCounterVec::new(options, &["way", "result"])?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

/// Whether signing for the domain takes too long for a thread that others wait for.
pub(crate) fn signs_slowly(domain: Option<&DirectoryDomain>) -> bool {
    domain.is_some_and(|domain| domain.signers.iter().any(|signer| signer.key().is_slow()))
}

/// A subject as it is kept in history and told in webhooks.
pub(crate) fn kept_subject(subject: &str) -> &str {
    const MAX: usize = 1_000;
    &subject[..subject.floor_char_boundary(MAX)]
}
