//! The content on its way out.

use bytes::Bytes;

use crate::data::DotStuffer;

/// Octets of content up to which it goes in one group with MAIL and RCPT (RFC 3030 section 4.2). More is not
/// risked on recipients that may all be refused.
pub(super) const PIPELINED_MAX: usize = 16 * 1024;
/// Octets of one slice of a chunk.
const MAX_SLICE: usize = 256 * 1024;

/// Content that is being handed out, in slices that share its memory.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// As DATA wants it.
    Stuffed(Box<DotStuffer>),
    /// As BDAT wants it: octet for octet.
    Chunk(Chunk),
}

/// The content as it is, with a CR LF where the last line lacks it.
#[derive(Debug)]
pub(super) struct Chunk {
    rest: Bytes,
    line_end_missing: bool,
}

impl Chunk {
    pub(super) fn new(content: Bytes) -> Self {
        Self { line_end_missing: lacks_line_end(&content), rest: content }
    }
}

impl Iterator for Chunk {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if !self.rest.is_empty() {
            return Some(self.rest.split_to(self.rest.len().min(MAX_SLICE)));
        }
        std::mem::take(&mut self.line_end_missing).then(|| Bytes::from_static(b"\r\n"))
    }
}

impl Iterator for Outgoing {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Stuffed(stuffer) => stuffer.next(),
            Self::Chunk(chunk) => chunk.next(),
        }
    }
}

/// Octets that are sent, as SIZE and BDAT count them: before dots are doubled, with the CR LF that is added
/// (RFC 1870 section 5).
pub(super) fn sent_size(content: &[u8]) -> u64 {
    let added = if lacks_line_end(content) { 2 } else { 0 };
    (content.len() + added) as u64
}

fn lacks_line_end(content: &[u8]) -> bool {
    !content.is_empty() && !content.ends_with(b"\r\n")
}
