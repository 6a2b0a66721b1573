//! Commands and the answers that belong to them.

use std::time::Duration;

use super::Timeouts;
use crate::reply::Reply;
use crate::transaction::Phase;

/// A command and its answer, or an answer alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    /// AUTH, or what answers a challenge.
    Auth,
    Rset,
    Mail,
    /// The recipient with this index.
    Rcpt(usize),
    Data,
    EndOfData,
    /// The end of data that has no recipients and no content.
    EndOfNothing,
    /// BDAT with the content behind it, all in one chunk (RFC 3030).
    Chunk,
    Quit,
}

impl Exchange {
    /// Whether `reply` can answer it; `sending` says whether there is content left to hand out.
    pub(super) fn fits(self, reply: &Reply, sending: bool) -> bool {
        reply.is_refusal()
            || match self {
                Self::Data => reply.code() == 354,
                Self::Auth => reply.code() == 334 || reply.is_positive(),
                Self::EndOfData | Self::EndOfNothing | Self::Chunk => reply.is_positive() && !sending,
                _ => reply.is_positive(),
            }
    }

    /// Where in the session its answer is awaited.
    pub(super) fn phase(self, sending: bool) -> Phase {
        match self {
            Self::Greeting => Phase::Greeting,
            Self::Ehlo | Self::Helo => Phase::Ehlo,
            Self::StartTls => Phase::StartTls,
            Self::Auth => Phase::Auth,
            Self::Rset => Phase::Rset,
            Self::Mail => Phase::Mail,
            Self::Rcpt(_) => Phase::Rcpt,
            Self::Data => Phase::Data,
            Self::EndOfData | Self::EndOfNothing | Self::Chunk if sending => Phase::Content,
            Self::EndOfData | Self::EndOfNothing | Self::Chunk => Phase::EndOfData,
            Self::Quit => Phase::Quit,
        }
    }

    /// How long its answer is waited for.
    pub(super) fn timeout(self, timeouts: &Timeouts) -> Duration {
        match self {
            Self::Greeting => timeouts.greeting,
            Self::Ehlo | Self::Helo | Self::StartTls | Self::Auth | Self::Rset => timeouts.command,
            Self::Mail => timeouts.mail,
            Self::Rcpt(_) => timeouts.rcpt,
            Self::Data => timeouts.data,
            Self::EndOfData | Self::EndOfNothing | Self::Chunk => timeouts.end_of_data,
            Self::Quit => timeouts.quit,
        }
    }
}
