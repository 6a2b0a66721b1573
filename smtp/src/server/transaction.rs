//! What of a message has come so far.

use super::Envelope;
use crate::chunks::ChunkReceiver;

/// The message under way, if any.
#[derive(Debug)]
pub(super) enum Transaction {
    /// None.
    None,
    /// From an accepted MAIL to the answer to the message.
    Open(Open),
    /// A chunk was refused, and with it the message. Further ones may be in the pipeline already (RFC 3030 section 2).
    Refused,
}

/// A message that may still be accepted.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) envelope: Envelope,
    /// What has come by BDAT.
    pub(super) chunks: Option<ChunkReceiver>,
}

impl Transaction {
    pub(super) fn new(envelope: Envelope) -> Self {
        Self::Open(Open { envelope, chunks: None })
    }

    pub(super) fn open(&self) -> Option<&Open> {
        match self {
            Self::Open(open) => Some(open),
            Self::None | Self::Refused => None,
        }
    }

    pub(super) fn open_mut(&mut self) -> Option<&mut Open> {
        match self {
            Self::Open(open) => Some(open),
            Self::None | Self::Refused => None,
        }
    }
}

impl Open {
    /// Octets of content that the client declared.
    pub(super) fn expected(&self) -> usize {
        self.envelope.mail.size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
    }
}
