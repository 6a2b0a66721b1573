//! What a client session asks of its driver.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::transaction::{Failure, Phase, TransactionResult};

/// What the driver must do now.
pub enum ClientStep {
    /// Write all of it, flush, and ask again. Allow `Timeouts::data_block` for it. Slices are in order and share
    /// the content's memory. When writing fails: what was still received, then `peer_closed`.
    Write(Vec<Bytes>),
    /// Read some bytes and give them to `received`, or call `peer_closed` or `timed_out`.
    Read {
        /// How long to wait for it (RFC 5321 section 4.5.3.2).
        timeout: Duration,
        /// What is awaited.
        waiting_for: Phase,
    },
    /// Do the TLS handshake, then call `tls_started`; when it fails, drop the session.
    StartTls,
    /// Nothing to do: `begin`, `authenticate`, `starttls` or `quit`. Between transactions a driver may watch for
    /// the end of the connection and call `received` or `peer_closed` at any time.
    Ready,
    /// The transaction is over. Ask again: the session is then ready or closed.
    Finished(TransactionResult),
    /// The session is of no more use: close the connection. The reason if that was not asked for.
    Closed(Option<Failure>),
}

/// What is written can be a password or somebody's mail.
impl fmt::Debug for ClientStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(slices) => {
                write!(f, "Write({} octets)", slices.iter().map(Bytes::len).sum::<usize>())
            }
            Self::Read { timeout, waiting_for } => {
                f.debug_struct("Read").field("timeout", timeout).field("waiting_for", waiting_for).finish()
            }
            Self::StartTls => f.write_str("StartTls"),
            Self::Ready => f.write_str("Ready"),
            Self::Finished(result) => f.debug_tuple("Finished").field(result).finish(),
            Self::Closed(failure) => f.debug_tuple("Closed").field(failure).finish(),
        }
    }
}
