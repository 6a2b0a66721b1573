//! Command lines out of a stream of bytes, bounded, and only where CR LF ends them.

use std::fmt;

use bytes::{Bytes, BytesMut};
use memchr::memchr;

/// A line longer than this many times the limit is not waited for any more.
const ENDLESS_FACTOR: usize = 32;

/// Splits what a peer sends into lines that end in CR LF (RFC 5321 section 2.3.8).
///
/// It holds at most one unfinished line of `max` octets beside what was pushed and not yet asked for. The lines
/// that come out do not depend on how the bytes were cut into pushes.
pub struct LineReader {
    buffer: BytesMut,
    /// Octets of `buffer` known to hold no LF.
    scanned: usize,
    /// Octets of the current line that were thrown away because it is too long.
    dropped: usize,
    max: usize,
}

/// Why a line is no line. The reader goes on behind it, except after [`LineError::Endless`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Longer than the limit, CR LF included. The whole line was dropped.
    #[error("line too long")]
    TooLong,
    /// So long that its end is not waited for: close the connection.
    #[error("line without end")]
    Endless,
    /// A CR that no LF follows.
    #[error("bare CR in a line")]
    BareCr,
    /// An LF that no CR precedes. The line was taken to end there.
    #[error("bare LF in a line")]
    BareLf,
}

impl LineReader {
    /// A reader of lines of at most `max` octets, CR LF included.
    pub fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, dropped: 0, max }
    }

    /// Takes bytes from the peer. Call [`LineReader::next_line`] until it gives `None` before reading more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next line without its CR LF, or `None` when more bytes are needed.
    pub fn next_line(&mut self) -> Option<Result<Bytes, LineError>> {
        self.next_line_within(self.max)
    }

    /// The same for a line that may have `max` octets, CR LF included. Ask with the same until there is one.
    pub fn next_line_within(&mut self, max: usize) -> Option<Result<Bytes, LineError>> {
        let Some(found) = memchr(b'\n', &self.buffer[self.scanned..]) else {
            return self.no_end_yet(max);
        };
        let line = self.buffer.split_to(self.scanned + found + 1);
        let length = self.dropped + line.len();
        self.scanned = 0;
        self.dropped = 0;
        Some(if length > endless(max) {
            Err(LineError::Endless)
        } else if length > max {
            Err(LineError::TooLong)
        } else {
            without_crlf(line.freeze())
        })
    }

    /// Octets held and not yet given out.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Forgets everything held: after STARTTLS nothing said in the clear may count (RFC 3207 section 4.2).
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.scanned = 0;
        self.dropped = 0;
    }

    /// Takes everything that was pushed and not given out as a line, for data that follows a command.
    pub fn take_rest(&mut self) -> Bytes {
        self.take(usize::MAX)
    }

    /// The same, but not more than `max` octets.
    pub fn take(&mut self, max: usize) -> Bytes {
        self.scanned = 0;
        self.buffer.split_to(self.buffer.len().min(max)).freeze()
    }

    fn no_end_yet(&mut self, max: usize) -> Option<Result<Bytes, LineError>> {
        if self.buffer.len() > max || self.dropped > 0 {
            self.dropped += self.buffer.len();
            self.buffer.clear();
        }
        self.scanned = self.buffer.len();
        if self.dropped > endless(max) {
            self.clear();
            return Some(Err(LineError::Endless));
        }
        None
    }
}

impl fmt::Debug for LineReader {
    /// Without what is held, for it may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader").field("buffered", &self.buffer.len()).finish_non_exhaustive()
    }
}

fn endless(max: usize) -> usize {
    max.saturating_mul(ENDLESS_FACTOR)
}

/// `line` ends in LF.
fn without_crlf(line: Bytes) -> Result<Bytes, LineError> {
    let Some(text) = line.strip_suffix(b"\r\n") else {
        return Err(LineError::BareLf);
    };
    match memchr(b'\r', text) {
        Some(_) => Err(LineError::BareCr),
        None => Ok(line.slice(..text.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]], max: usize) -> Vec<Result<String, LineError>> {
        let mut reader = LineReader::new(max);
        let mut lines = Vec::new();
        for chunk in chunks {
            reader.push(chunk);
            while let Some(line) = reader.next_line() {
                let end = line == Err(LineError::Endless);
                lines.push(line.map(|l| String::from_utf8_lossy(&l).into_owned()));
                if end {
                    return lines;
                }
            }
            assert!(reader.buffered() <= max);
        }
        lines
    }

    #[test]
    fn only_crlf_ends_a_line() {
        use LineError::*;
        type Row = (&'static [u8], Vec<Result<&'static str, LineError>>);
        let endless = vec![b'x'; 330];
        let endless: &'static [u8] = endless.leak();
        let table: Vec<Row> = vec![
            (b"NOOP\r\nQUIT\r\n", vec![Ok("NOOP"), Ok("QUIT")]),
            (b"NOOP", vec![]),
            (b"\r\n", vec![Ok("")]),
            (b"NOOP\nQUIT\r\n", vec![Err(BareLf), Ok("QUIT")]),
            (b"NO\rOP\r\nQUIT\r\n", vec![Err(BareCr), Ok("QUIT")]),
            (b"NOOP\r\r\n", vec![Err(BareCr)]),
            (b"12345678\r\n", vec![Ok("12345678")]),
            (b"123456789\r\nOK\r\n", vec![Err(TooLong), Ok("OK")]),
            (endless, vec![Err(Endless)]),
        ];
        for (input, expected) in table {
            let expected: Vec<_> = expected.into_iter().map(|line| line.map(str::to_owned)).collect();
            assert_eq!(split(&[input], 10), expected, "{input:?}");
            let single: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(split(&single, 10), expected, "{input:?} octet by octet");
        }
    }
}
