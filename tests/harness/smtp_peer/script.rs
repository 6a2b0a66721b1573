//! The script of a peer: when it is asked, and what it can want.

use std::sync::Arc;

/// Where in a session the script is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Connect,
    Ehlo,
    Helo,
    StartTls,
    /// Before the TLS handshake, after the answer to STARTTLS if there was one.
    Handshake,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// After each chunk, before [`Verb::EndOfData`] for the last one.
    Bdat,
    EndOfData,
    Rset,
    Quit,
    Other,
}

/// What is known when the script is asked.
pub(crate) struct Moment<'a> {
    pub(crate) verb: Verb,
    /// The command line.
    pub(crate) line: &'a str,
    /// Which connection, from 0.
    pub(crate) connection: usize,
    /// Messages that were accepted on this connection before.
    pub(crate) accepted: usize,
}

/// What to do then.
#[derive(Clone)]
pub(crate) enum Action {
    /// Do what a kind server does.
    Usual,
    /// Say this; CR LF is added. At the end of data a 2xx records the message.
    Reply(&'static str),
    /// Say this, and close the connection.
    ReplyAndClose(&'static str),
    /// Send these bytes as they are; the command has no other effect.
    Bytes(Vec<u8>),
    /// Send these bytes as they are, and close the connection.
    BytesAndClose(Vec<u8>),
    /// Send these bytes again and again, as long as the client takes them.
    Endless(&'static [u8]),
    /// Close the connection without a word.
    Close,
    /// Never say anything again, and keep the connection.
    Hang,
    /// Answer as usual once the gate of [`SmtpPeer::open_gate`](super::SmtpPeer::open_gate) is open.
    Gate,
}

pub(super) type Script = Arc<dyn Fn(&Moment<'_>) -> Action + Send + Sync>;
