//! BDAT: content in chunks, octet for octet (RFC 3030).
//!
//! The octets of a chunk follow its command whatever is thought of it. They are read to their end before it is
//! answered, so that nothing in them can be taken for commands.

use super::transaction::Transaction;
use super::{Mode, ServerSession, too_large};
use crate::chunks::ChunkReceiver;
use crate::reply::Reply;

/// A chunk whose octets come now.
#[derive(Debug)]
pub(super) struct Chunk {
    rest: usize,
    last: bool,
    fate: Fate,
}

/// What becomes of the octets of a chunk.
#[derive(Debug)]
enum Fate {
    /// They belong to the open message; so many they are.
    Kept(usize),
    /// They are dropped, and the message with them.
    Refused(Reply),
    /// They are dropped: the message was refused before, which is told and no new error.
    TooLate,
}

impl Chunk {
    /// Octets still to come.
    pub(super) fn rest(&self) -> usize {
        self.rest
    }
}

impl ServerSession {
    pub(super) fn chunk_command(&mut self, size: u64, last: bool) {
        if !self.options.extensions.chunking {
            // Its octets may follow at once and would be taken for commands: end the session.
            return self.say_last(&Reply::with_enhanced(502, 5, 1, "BDAT is not offered"));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(allowance) = self.chunk_allowance.checked_sub(size) else {
            return self.say_last(&too_large());
        };
        self.chunk_allowance = allowance;
        let fate = self.fate(size);
        if !matches!(fate, Fate::Kept(_)) {
            self.transaction = Transaction::Refused;
        }
        self.mode = Mode::Chunk(Chunk { rest: size, last, fate });
        // One without octets is complete.
        self.chunk(&[]);
    }

    pub(super) fn chunk(&mut self, bytes: &[u8]) {
        let Mode::Chunk(chunk) = &mut self.mode else { return };
        let (octets, behind) = bytes.split_at(bytes.len().min(chunk.rest));
        chunk.rest -= octets.len();
        let (kept, complete) = (matches!(chunk.fate, Fate::Kept(_)), chunk.rest == 0);
        if kept
            && let Some(chunks) = self.transaction.open_mut().and_then(|open| open.chunks.as_mut())
            && let Err(problem) = chunks.push(octets)
        {
            self.transaction = Transaction::Refused;
            let refusal = self.refusal(problem);
            if let Mode::Chunk(chunk) = &mut self.mode {
                chunk.fate = Fate::Refused(refusal);
            }
        }
        if complete {
            self.lines.push(behind);
            self.chunk_ended();
        }
    }

    fn fate(&mut self, size: usize) -> Fate {
        let limits = self.options.content_limits();
        let open = match &mut self.transaction {
            Transaction::None => return Fate::Refused(Reply::with_enhanced(503, 5, 1, "MAIL first")),
            Transaction::Refused => return Fate::TooLate,
            Transaction::Open(open) => open,
        };
        if open.envelope.recipients.is_empty() {
            return Fate::Refused(Reply::with_enhanced(554, 5, 1, "No valid recipients"));
        }
        let expected = open.expected();
        let chunks = open.chunks.get_or_insert_with(|| ChunkReceiver::new(limits, expected.max(size)));
        if chunks.has_room(size) { Fate::Kept(size) } else { Fate::Refused(too_large()) }
    }

    fn chunk_ended(&mut self) {
        let Mode::Chunk(chunk) = std::mem::replace(&mut self.mode, Mode::Command) else { return };
        if chunk.last && matches!(self.transaction, Transaction::Refused) {
            self.transaction = Transaction::None;
        }
        match chunk.fate {
            Fate::Kept(_) if chunk.last => {
                let chunks = self.transaction.open_mut().and_then(|open| open.chunks.take());
                let chunks = chunks.expect("a chunk is kept only in an open message");
                self.content_ended(chunks.finish());
            }
            Fate::Kept(size) => {
                self.say(&Reply::with_enhanced(250, 0, 0, &format!("{size} octets received")));
            }
            Fate::Refused(reply) => self.refuse(&reply),
            Fate::TooLate => self.say(&Reply::with_enhanced(503, 5, 1, "The message was refused already")),
        }
    }
}
