//! The content of a message that comes in chunks (RFC 3030).

use bytes::Bytes;

use crate::data::{DataProblem, check_newlines};
use crate::kept::{ContentLimits, Kept};

/// Takes in the octets of all chunks of one message, however they are cut.
///
/// As with DATA, a CR without LF and an LF without CR are a problem: sent on by DATA, the content could be made to
/// end where it does not. A last line without CR LF gets it. After a problem it takes no more.
#[derive(Debug)]
pub(crate) struct ChunkReceiver {
    kept: Kept,
    /// The last octet was a CR, whose LF may come with the next chunk.
    after_cr: bool,
}

impl ChunkReceiver {
    /// `expected` is what the client declared, a hint.
    pub(crate) fn new(limits: ContentLimits, expected: usize) -> Self {
        Self { kept: Kept::new(limits, expected), after_cr: false }
    }

    /// Octets kept at the moment.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Whether a chunk of so many octets is within the limit.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.kept.has_room(more)
    }

    /// Takes the next octets.
    pub(crate) fn push(&mut self, octets: &[u8]) -> Result<(), DataProblem> {
        if octets.is_empty() {
            return Ok(());
        }
        let lines = match (self.after_cr, octets) {
            (true, [b'\n', rest @ ..]) => rest,
            (true, _) => return Err(DataProblem::BareNewline),
            (false, _) => octets,
        };
        let complete = lines.strip_suffix(b"\r");
        self.after_cr = complete.is_some();
        if check_newlines(complete.unwrap_or(lines)).is_err() {
            // A line that is too long before it is the first problem.
            self.kept.push(&octets[..octets.len() - lines.len() + until_bare(lines)])?;
            return Err(DataProblem::BareNewline);
        }
        self.kept.push(octets)
    }

    /// The content, all chunks together, or why there is none.
    pub(crate) fn finish(mut self) -> Result<Bytes, DataProblem> {
        if self.after_cr {
            return Err(DataProblem::BareNewline);
        }
        if !self.kept.is_whole_lines() {
            self.kept.push(b"\r\n")?;
        }
        Ok(self.kept.into_bytes())
    }
}

/// How many octets come before a CR or LF is found to be bare, which a CR is by the octet behind it.
fn until_bare(octets: &[u8]) -> usize {
    let mut before = b' ';
    let bare = octets.iter().position(|&octet| {
        let is_pair = (before == b'\r') == (octet == b'\n');
        before = octet;
        !is_pair
    });
    bare.unwrap_or(octets.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(pieces: &[&[u8]]) -> Result<Bytes, DataProblem> {
        let mut receiver = ChunkReceiver::new(ContentLimits { octets: 10, line: 9 }, 0);
        pieces.iter().try_for_each(|piece| receiver.push(piece))?;
        receiver.finish()
    }

    #[test]
    fn chunks_make_one_content_whose_lines_end_in_crlf() {
        let (bare, large) = (Err(DataProblem::BareNewline), Err(DataProblem::TooLarge));
        let long = Err(DataProblem::LineTooLong);
        type Row = (&'static [u8], Result<&'static [u8], DataProblem>);
        let table: &[Row] = &[
            (b"", Ok(b"")),
            (b"a\r\nb\r\n", Ok(b"a\r\nb\r\n")),
            (b".\r\n..\r\n", Ok(b".\r\n..\r\n")),
            (b"no end", Ok(b"no end\r\n")),
            (b"\r\n\r\n", Ok(b"\r\n\r\n")),
            (b"a\nb", bare),
            (b"\na", bare),
            (b"a\rb", bare),
            (b"a\r", bare),
            (b"a\r\r\n", bare),
            (b"a\r\n\n", bare),
            (b"\r\n\r", bare),
            (b"0\r\n1\r\n3456", large),
            (b"0\r\n1\r\n34\r\n", Ok(b"0\r\n1\r\n34\r\n")),
            (b"0\r\n1\r\n34567", large),
            (b"0123456\r\n", Ok(b"0123456\r\n")),
            (b"0123456", Ok(b"0123456\r\n")),
            (b"01234567", long),
            (b"01234567\r\n", long),
            (b"0123456789", long),
            (b"0123456789\n", long),
            (b"01234567\n", bare),
            (b"01234567\r", bare),
            (b"012345678\r", long),
            (b"\n0123456789", bare),
        ];
        for (content, expected) in table {
            let expected = expected.map(Bytes::from_static);
            let shown = content.escape_ascii().to_string();
            assert_eq!(receive(&[content]), expected, "{shown}");
            let single: Vec<&[u8]> = content.chunks(1).collect();
            assert_eq!(receive(&single), expected, "{shown} octet by octet");
            for at in 0..content.len() {
                let (one, other) = content.split_at(at);
                assert_eq!(receive(&[one, b"", other]), expected, "{shown} cut at {at}");
            }
        }
    }
}
