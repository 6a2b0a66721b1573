//! What a session wants of its driver and its owner, and what they hear.

use std::time::Duration;

use bytes::Bytes;

use super::AuthQuestion;
use crate::command::{MailCommand, RcptCommand};

/// What the driver or owner must do now.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerStep {
    /// Write it, flush, and ask again.
    Write(Bytes),
    /// Read some bytes and give them to `received`, or call `peer_closed` or `timed_out`.
    Read {
        /// What they are to be.
        awaited: Awaited,
        /// How long to wait for that.
        timeout: Duration,
    },
    /// Is the client who it says it is? To be answered with [`super::ServerSession::answer_auth`].
    Auth(AuthQuestion),
    /// Is this return path welcome? 2xx accepts.
    Mail(MailCommand),
    /// Is this recipient? 2xx accepts; the envelope so far is in [`super::ServerSession::envelope`].
    Rcpt(RcptCommand),
    /// A message for the envelope. Answer once it is kept, or refused.
    Message(ReceivedMessage),
    /// Do the TLS handshake, dropping what was read in the clear, then call `tls_started`.
    StartTls,
    /// The owner keeps silent: read and drop until the client leaves or this time has passed, then tell.
    Silent {
        /// How long to wait.
        timeout: Duration,
    },
    /// Close the connection.
    Close,
}

/// What is waited for, which says how the time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// A line, whole: the time counts from the last answer, however its octets drip.
    Command,
    /// More of a message: the time counts from its latest octet.
    Content,
}

/// Who a client says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The name in EHLO or HELO: any word.
    pub name: String,
    /// Whether it said EHLO.
    pub extended: bool,
}

/// Return path and recipients that the owner accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The accepted MAIL.
    pub mail: MailCommand,
    /// Each accepted RCPT, in order.
    pub recipients: Vec<RcptCommand>,
}

/// The content of a message, received whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Lines that end in CR LF, stuffed dots removed.
    pub content: Bytes,
}
