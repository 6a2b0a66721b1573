//! A received message made ready for the store: traced, read, and on disk when it is large. Works a while on large
//! ones, so these belong on a thread that may block.

use bytes::Bytes;
use mail::{Address, feedback::Feedback};
use store::{Store, StoreError, records::ContentRecord};

/// The most `Received` fields a message comes with; with more it runs in a circle (RFC 5321 section 6.3).
pub(crate) const RECEIVED_MAX: usize = 100;

/// Octets of the header section at most, up to the empty line: as much as is read of it anywhere. Every field of it is
/// remembered while signatures are verified.
const HEADER_MAX: usize = 1024 * 1024;

/// What the store needs to know of a message.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The bytes, with our trace fields.
    pub(super) content: ContentRecord,
    /// Their number.
    pub(super) size: u64,
    /// The address in From.
    pub(super) msg_from: Option<Address>,
    /// It is a DSN.
    pub(super) dsn: bool,
    /// No person wrote it.
    pub(super) automated: bool,
    /// What it says about a message that was sent.
    pub(super) feedback: Option<Feedback>,
}

/// Why a message is not ready.
#[derive(Debug)]
pub(super) enum Unready {
    /// Its header section is too long.
    LongHeader,
    /// It went through too many hosts.
    Loop,
    /// The store failed.
    Store(StoreError),
}

/// Puts `trace` in front of `received` and hands it to the store under `name`, which is random. `null_path` says
/// whether MAIL FROM was empty.
pub(super) fn prepare(
    store: &Store,
    name: [u8; 16],
    trace: &str,
    received: Bytes,
    null_path: bool,
) -> Result<Prepared, Unready> {
    let (read, feedback) = mail::read::read_with_feedback(&received);
    Ok(Prepared {
        feedback,
        size: (trace.len() + received.len()) as u64,
        content: store.stage_behind(name, trace.as_bytes(), received).map_err(Unready::Store)?,
        msg_from: read.message.from.first().and_then(|from| Address::parse(&from.address).ok()),
        dsn: read.facts.dsn,
        automated: read.facts.automated(null_path),
    })
}

/// Whether the header section of a message is as it may be.
pub(super) fn check_header(message: &[u8]) -> Result<(), Unready> {
    let header = &message[..mail::read::headers_end(message)];
    if header.len() > HEADER_MAX {
        Err(Unready::LongHeader)
    } else if has_looped(header) {
        Err(Unready::Loop)
    } else {
        Ok(())
    }
}

/// Whether a message went through more hosts than any does that arrives.
fn has_looped(header: &[u8]) -> bool {
    let is_received =
        |line: &&[u8]| line.get(..9).is_some_and(|name| name.eq_ignore_ascii_case(b"received:"));
    header.split(|byte| *byte == b'\n').filter(is_received).nth(RECEIVED_MAX).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_more_than_a_hundred_received_fields_has_looped() {
        for (count, rest, looped) in [
            (100, "\r\nbody\r\n", false),
            (101, "\r\nbody\r\n", true),
            (100, "\r\nReceived: in the body\r\n", false),
            (100, "Received-SPF: none\r\n\r\n", false),
            (100, "rEcEiVeD: x\r\n", true),
        ] {
            let message = format!("{}{rest}", "Received: by x;\r\n\tdate\r\n".repeat(count));
            let checked = check_header(message.as_bytes());
            assert_eq!(matches!(checked, Err(Unready::Loop)), looped, "{count} {rest:?}");
            assert_eq!(checked.is_ok(), !looped, "{count} {rest:?}");
        }
    }

    #[test]
    fn a_header_has_so_many_octets_and_a_body_any_number() {
        let field = |octets: usize| format!("A: {}\r\n", "x".repeat(octets - 5));
        for (message, fits) in [
            (field(HEADER_MAX) + "\r\n", true),
            (field(HEADER_MAX + 1) + "\r\n", false),
            (field(HEADER_MAX + 1), false),
            ("a:\r\n".repeat(HEADER_MAX / 4 + 1), false),
            (field(10) + "\r\n" + &field(HEADER_MAX), true),
            ("\r\n".to_owned() + &field(HEADER_MAX), true),
        ] {
            let checked = check_header(message.as_bytes());
            let what = (message.len(), checked.as_ref().err());
            assert_eq!(checked.is_ok(), fits, "{what:?}");
            assert!(matches!(checked, Ok(()) | Err(Unready::LongHeader)), "{what:?}");
        }
    }
}
