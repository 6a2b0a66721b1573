//! One message given to a server, and what became of each of its recipients.

use std::fmt;

use bytes::Bytes;

use crate::params::{Notify, OriginalRecipient, Ret};
use crate::reply::{EnhancedCode, ProtocolError, Reply};
use crate::sasl::LoginError;

/// A message to hand over, for recipients that share a return path.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The return path as it goes between the brackets; empty is the null return path.
    pub mail_from: String,
    /// Whom to offer it for, in this order. How many is the caller's choice; those beyond the server's limit (see
    /// `Extensions::limits`) end as [`RecipientResult::TooMany`].
    pub recipients: Vec<Recipient>,
    /// The message. Lines end in CR LF; one is added where the last is missing.
    pub content: Bytes,
    /// Whether the content has octets above 127.
    pub eight_bit: bool,
    /// Whether headers or addresses need SMTPUTF8. A path that is not ASCII needs it anyhow.
    pub smtputf8: bool,
    /// Whether the message must go over TLS all the way (RFC 8689).
    pub require_tls: bool,
    /// The envelope id for reports, at most 100 octets once encoded; said only where DSN is offered.
    pub envid: Option<String>,
    /// How much a report returns; said only where DSN is offered.
    pub ret: Option<Ret>,
}

/// One recipient of a [`Transaction`].
#[derive(Debug, Clone, Default)]
pub struct Recipient {
    /// The address as it goes between the brackets.
    pub path: String,
    /// When reports are wanted; said only where DSN is offered.
    pub notify: Option<Notify>,
    /// The original recipient; said only where DSN is offered.
    pub orcpt: Option<OriginalRecipient>,
}

/// What became of a [`Transaction`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionResult {
    /// One for each recipient, in order.
    pub recipients: Vec<RecipientResult>,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientResult {
    /// The server took the message; its answer to the end of the data.
    Accepted(Reply),
    /// The server refused: `reply` came at this point. Content larger than the server's SIZE is refused so
    /// without asking, as 552 5.3.4 at [`Phase::Mail`].
    Refused {
        /// The code is of the class 4 or 5.
        reply: Reply,
        /// What it answered.
        at: Phase,
    },
    /// The server takes no more recipients at a time than those before it: offer it again in another transaction,
    /// at once if you like. It was not offered because of a known limit (RFC 9422), or was refused as one too many
    /// after others were accepted (RFC 5321 section 4.5.3.1.10).
    TooMany {
        /// The refusal, if it was offered.
        reply: Option<Reply>,
    },
    /// There was no answer that decides.
    Failed(Failure),
}

/// Where in a session something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before the server's first reply.
    Greeting,
    /// EHLO, or HELO after it.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// AUTH, and the challenges after it.
    Auth,
    /// Between transactions.
    Idle,
    /// RSET.
    Rset,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, until its 354.
    Data,
    /// While the content was being sent: the server cannot have accepted it.
    Content,
    /// After all content was handed out for sending: the server may have accepted it.
    EndOfData,
    /// QUIT.
    Quit,
}

/// Why a transaction has no answer, or a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server refused the session.
    #[error("refused at {at}: {reply}")]
    Refused {
        /// Of the class 4 or 5.
        reply: Reply,
        /// What it answered.
        at: Phase,
    },
    /// The answer did not come in time.
    #[error("timeout at {at}")]
    TimedOut {
        /// What was waited for.
        at: Phase,
    },
    /// The connection ended.
    #[error("connection closed at {at}")]
    Closed {
        /// What was waited for.
        at: Phase,
    },
    /// The server does not speak SMTP.
    #[error("{error} at {at}")]
    Protocol {
        /// What is wrong.
        error: ProtocolError,
        /// What was waited for.
        at: Phase,
    },
    /// BDAT was refused by a server that offered CHUNKING, and the session is of no more use: try again at once in
    /// another session, `without_chunking`. The message was not accepted.
    #[error("the server offers CHUNKING and refuses BDAT: {reply}")]
    ChunkingRefused {
        /// Of the class 5.
        reply: Reply,
    },
    /// The login could not be done or believed.
    #[error("login: {0}")]
    Login(LoginError),
    /// 8-bit content, and no 8BITMIME: the content must be converted first. Nothing was sent.
    #[error("the message has 8-bit content and the server does not offer 8BITMIME")]
    EightBitNotOffered,
    /// SMTPUTF8 is needed and not offered. Nothing was sent.
    #[error("the message needs SMTPUTF8 and the server does not offer it")]
    Smtputf8NotOffered,
    /// REQUIRETLS is needed and not offered, or the session has no TLS. Nothing was sent.
    #[error("the message needs REQUIRETLS and the server does not offer it over TLS")]
    RequireTlsNotOffered,
    /// The content has a bare CR or a bare LF. Nothing was sent.
    #[error("the content has a bare CR or a bare LF")]
    BareNewline,
    /// The return path or this recipient cannot stand in a command. Nothing was sent for it.
    #[error("malformed address")]
    MalformedPath,
}

impl Failure {
    /// Where it happened; local refusals count as [`Phase::Mail`], a malformed address too.
    pub fn at(&self) -> Phase {
        match self {
            Self::Refused { at, .. }
            | Self::TimedOut { at }
            | Self::Closed { at }
            | Self::Protocol { at, .. } => *at,
            Self::ChunkingRefused { .. } => Phase::EndOfData,
            Self::Login(_) => Phase::Auth,
            Self::EightBitNotOffered
            | Self::Smtputf8NotOffered
            | Self::RequireTlsNotOffered
            | Self::BareNewline
            | Self::MalformedPath => Phase::Mail,
        }
    }

    /// The enhanced code that fits (RFC 3463, RFC 6531, RFC 8689). Local refusals are of the class 5, for another
    /// try alike would end alike; what may go better next time is of the class 4.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        match self {
            Self::Refused { reply, .. } => reply.enhanced(),
            Self::TimedOut { .. } | Self::Closed { .. } => EnhancedCode::new(4, 4, 2),
            Self::Protocol { .. } | Self::ChunkingRefused { .. } => EnhancedCode::new(4, 5, 0),
            Self::Login(_) => EnhancedCode::new(4, 7, 0),
            Self::EightBitNotOffered => EnhancedCode::new(5, 6, 3),
            Self::Smtputf8NotOffered => EnhancedCode::new(5, 6, 7),
            Self::RequireTlsNotOffered => EnhancedCode::new(5, 7, 30),
            Self::BareNewline => EnhancedCode::new(5, 6, 0),
            Self::MalformedPath => EnhancedCode::new(5, 1, 3),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "greeting",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Idle => "idle",
            Self::Rset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "content",
            Self::EndOfData => "end of data",
            Self::Quit => "QUIT",
        })
    }
}
