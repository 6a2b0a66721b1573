//! Message data on the wire: dot-stuffing out, and back in (RFC 5321 section 4.5.2).

use bytes::Bytes;
use memchr::{memchr_iter, memchr2, memmem};

use crate::kept::{ContentLimits, Kept};

/// Octets of one slice the stuffer gives out.
const MAX_SLICE: usize = 256 * 1024;
/// Octets beyond twice the limit that are still read, so that small limits leave room to end politely.
const SWALLOW_MARGIN: usize = 1024 * 1024;

/// The content has a CR without LF or an LF without CR. Sent on, a server that reads either as a line end could
/// be made to see the end of the data, and a message that the sender made up behind it (SMTP smuggling).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the content has a bare CR or a bare LF")]
pub struct BareNewline;

/// Finds out whether every CR of `content` is followed by LF and every LF preceded by CR.
pub fn check_newlines(content: &[u8]) -> Result<(), BareNewline> {
    let mut ends = 0;
    for at in memchr_iter(b'\n', content) {
        if at == 0 || content[at - 1] != b'\r' {
            return Err(BareNewline);
        }
        ends += 1;
    }
    // Every LF has its CR, so one CR too many is a bare one.
    if memchr_iter(b'\r', content).count() == ends { Ok(()) } else { Err(BareNewline) }
}

/// Gives out content as DATA wants it: a second dot before every leading dot, and the final dot.
///
/// The slices share the content's memory: where a dot is doubled, one slice ends with the dot and the next
/// begins with the same one. A slice has at most 256 KiB. A missing CR LF at the end is added.
#[derive(Debug)]
pub struct DotStuffer {
    content: Bytes,
    next: usize,
    stage: Stage,
    finder: memmem::Finder<'static>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Content,
    Done,
}

impl DotStuffer {
    /// Stuffs `content`, whose lines end in CR LF (see [`check_newlines`]).
    pub fn new(content: Bytes) -> Self {
        Self { content, next: 0, stage: Stage::Start, finder: memmem::Finder::new(b"\r\n.") }
    }
}

impl Iterator for DotStuffer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.stage == Stage::Start {
            self.stage = Stage::Content;
            if self.content.first() == Some(&b'.') {
                return Some(self.content.slice(..1));
            }
        }
        if self.stage == Stage::Done {
            return None;
        }
        let start = self.next;
        if start == self.content.len() {
            self.stage = Stage::Done;
            let complete = self.content.is_empty() || self.content.ends_with(b"\r\n");
            return Some(Bytes::from_static(if complete { b".\r\n" } else { b"\r\n.\r\n" }));
        }
        // Two octets more than a slice holds, so that no CR LF dot hides on the border of two slices.
        let window = &self.content[start..self.content.len().min(start + MAX_SLICE + 2)];
        let end = match self.finder.find(window) {
            Some(at) => {
                self.next = start + at + 2;
                self.next + 1
            }
            None => {
                self.next = start + window.len().min(MAX_SLICE);
                self.next
            }
        };
        Some(self.content.slice(start..end))
    }
}

/// Takes in the data of one message: removes the stuffed dots and finds the end.
///
/// Only CR LF dot CR LF ends the data. What cannot be accepted is still read to that end, so that nothing in it
/// can be taken for commands, but not kept; see [`DataProgress::Abandon`] for the bound.
#[derive(Debug)]
pub struct DataReceiver {
    content: Result<Kept, DataProblem>,
    state: Seen,
    /// Octets that may still be read, kept or not.
    allowance: usize,
}

/// What of the line was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    LineStart,
    Dot,
    DotCr,
    Text,
    Cr,
}

/// Why received data is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DataProblem {
    /// More octets than the limit.
    #[error("the message is too large")]
    TooLarge,
    /// A line with more octets than the limit.
    #[error("the message has too long a line")]
    LineTooLong,
    /// A CR without LF or an LF without CR.
    #[error("the message has a bare CR or a bare LF")]
    BareNewline,
}

/// How far the data has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataProgress {
    /// All of the input was used; more is to come.
    More,
    /// The end was found, this many octets into the input.
    End(usize),
    /// The data goes on beyond twice the limit and 1 MiB: give up the connection.
    Abandon,
}

impl DataReceiver {
    /// `expected` is how many octets of content the client declared, a hint.
    pub fn new(limits: ContentLimits, expected: usize) -> Self {
        Self {
            content: Ok(Kept::new(limits, expected)),
            state: Seen::LineStart,
            allowance: swallow_allowance(limits.octets),
        }
    }

    /// Takes the next octets. After [`DataProgress::End`] and [`DataProgress::Abandon`] it takes no more.
    pub fn push(&mut self, input: &[u8]) -> DataProgress {
        let allowed = &input[..input.len().min(self.allowance)];
        self.allowance -= allowed.len();
        match self.read(allowed) {
            Some(end) => DataProgress::End(end),
            None if allowed.len() < input.len() => DataProgress::Abandon,
            None => DataProgress::More,
        }
    }

    /// The content, or why there is none.
    pub fn finish(self) -> Result<Bytes, DataProblem> {
        self.content.map(Kept::into_bytes)
    }

    /// Octets kept at the moment.
    pub fn kept(&self) -> usize {
        self.content.as_ref().map_or(0, Kept::len)
    }

    /// The position behind the end of the data, if it lies in `input`.
    fn read(&mut self, input: &[u8]) -> Option<usize> {
        // input[kept..at] is content that has been read but not yet copied.
        let (mut kept, mut at) = (0, 0);
        while let Some(&byte) = input.get(at) {
            match (self.state, byte) {
                (Seen::LineStart, b'.') => {
                    self.keep(&input[kept..at]);
                    kept = at + 1;
                    at += 1;
                    self.state = Seen::Dot;
                }
                (Seen::Dot, b'\r') => {
                    // Kept back: these two may be the end.
                    kept = at + 1;
                    at += 1;
                    self.state = Seen::DotCr;
                }
                (Seen::DotCr, b'\n') => return Some(at + 1),
                (Seen::DotCr, _) => {
                    self.refuse(DataProblem::BareNewline);
                    self.state = Seen::Text;
                }
                (Seen::Cr, b'\n') => {
                    at += 1;
                    self.state = Seen::LineStart;
                }
                (Seen::Cr, _) => {
                    self.keep(&input[kept..at]);
                    kept = at;
                    self.refuse(DataProblem::BareNewline);
                    self.state = Seen::Text;
                }
                (Seen::LineStart | Seen::Dot | Seen::Text, _) => {
                    self.state = Seen::Text;
                    let Some(found) = memchr2(b'\r', b'\n', &input[at..]) else { break };
                    at += found + 1;
                    if input[at - 1] == b'\r' {
                        self.state = Seen::Cr;
                    } else {
                        // What is too large before it is the first problem.
                        self.keep(&input[kept..at]);
                        kept = at;
                        self.refuse(DataProblem::BareNewline);
                    }
                }
            }
        }
        self.keep(&input[kept..]);
        None
    }

    fn keep(&mut self, octets: &[u8]) {
        if let Ok(content) = &mut self.content
            && let Err(problem) = content.push(octets)
        {
            self.refuse(problem);
        }
    }

    /// The first problem counts.
    fn refuse(&mut self, problem: DataProblem) {
        if self.content.is_ok() {
            self.content = Err(problem);
        }
    }
}

/// Octets of one message that are read, kept or not, when at most `max` are accepted.
pub(crate) fn swallow_allowance(max: usize) -> usize {
    max.saturating_mul(2).saturating_add(SWALLOW_MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuff(content: &[u8]) -> Vec<u8> {
        DotStuffer::new(Bytes::copy_from_slice(content)).flatten().collect()
    }

    fn receive(chunks: &[&[u8]], max: usize) -> (DataProgress, Result<Bytes, DataProblem>) {
        receive_within(ContentLimits { octets: max, line: usize::MAX }, chunks)
    }

    fn receive_within(limits: ContentLimits, chunks: &[&[u8]]) -> (DataProgress, Result<Bytes, DataProblem>) {
        let mut receiver = DataReceiver::new(limits, 0);
        let mut read = 0;
        for chunk in chunks {
            match receiver.push(chunk) {
                DataProgress::More => read += chunk.len(),
                DataProgress::End(at) => return (DataProgress::End(read + at), receiver.finish()),
                DataProgress::Abandon => return (DataProgress::Abandon, receiver.finish()),
            }
            assert!(receiver.kept() <= limits.octets);
        }
        (DataProgress::More, receiver.finish())
    }

    #[test]
    fn leading_dots_are_doubled_and_the_end_is_added() {
        let table: &[(&[u8], &[u8])] = &[
            (b"", b".\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b".a\r\n..b\r\nc.\r\n", b"..a\r\n...b\r\nc.\r\n.\r\n"),
            (b"\r\n.\r\n.\r\n", b"\r\n..\r\n..\r\n.\r\n"),
        ];
        for (content, wire) in table {
            assert_eq!(stuff(content), *wire, "{content:?}");
        }
    }

    #[test]
    fn a_dot_on_the_border_of_two_slices_is_doubled() {
        for shift in 0..5 {
            let mut content = vec![b'x'; MAX_SLICE - shift];
            content.extend_from_slice(b"\r\n.y\r\n");
            let wire = stuff(&content);
            assert_eq!(wire.len(), content.len() + 1 + 3, "shift {shift}");
            assert!(wire.ends_with(b"\r\n..y\r\n.\r\n"));
        }
    }

    #[test]
    fn the_slices_share_the_memory_of_the_content() {
        let content = Bytes::from_static(b"first\r\n.second\r\n");
        let range = content.as_ptr_range();
        let slices: Vec<Bytes> = DotStuffer::new(content).collect();
        assert_eq!(slices.len(), 3);
        assert!(slices[..2].iter().all(|slice| range.contains(&slice.as_ptr())));
    }

    #[test]
    fn bare_newlines_are_found_before_sending() {
        for good in [&b""[..], b"a", b"\r\n", b"a\r\n\r\nb\r\n"] {
            assert_eq!(check_newlines(good), Ok(()), "{good:?}");
        }
        for bad in [&b"\n"[..], b"\r", b"a\n.\r\n", b"a\r\n\r", b"\r\r\n", b"\n\r", b"a\rb\r\n"] {
            assert_eq!(check_newlines(bad), Err(BareNewline), "{bad:?}");
        }
    }

    #[test]
    fn only_crlf_dot_crlf_ends_the_data() {
        let bare = Err(DataProblem::BareNewline);
        type Row = (&'static [u8], Result<&'static [u8], DataProblem>);
        // What is sent, and the result. The data ends where QUIT or the input does.
        let table: &[Row] = &[
            (b".\r\n", Ok(b"")),
            (b"a\r\n.\r\nQUIT", Ok(b"a\r\n")),
            (b"..a\r\n...\r\n.\r\n", Ok(b".a\r\n..\r\n")),
            (b".a\r\n.\r\n", Ok(b"a\r\n")),
            (b"a.\r\n.\r\n", Ok(b"a.\r\n")),
            (b"a\n.\n\r\n.\r\n", bare),
            (b"a\n.\r\n\r\n.\r\n", bare),
            (b"a\r\n.\nMAIL\r\n.\r\n", bare),
            (b"a\r.\r\n\r\n.\r\n", bare),
            (b"a\r.\rb\r\n.\r\n", bare),
            (b"a\r\n.\rMAIL\r\n.\r\n", bare),
            (b"a\r\n.\r\r\n.\r\n", bare),
            (b"a\r\r\n.\r\n", bare),
            (b"\n.\r\n\r\n.\r\n", bare),
            (b"0123456789\r\n.\r\n", Err(DataProblem::TooLarge)),
            (b"01234567\r\n.\r\n", Ok(b"01234567\r\n")),
            (b"012345678901\n\r\n.\r\n", Err(DataProblem::TooLarge)),
        ];
        for (input, expected) in table {
            let end = input.strip_suffix(b"QUIT").unwrap_or(input).len();
            let expected = (DataProgress::End(end), expected.map(Bytes::from_static));
            assert_eq!(receive(&[input], 10), expected, "{:?}", input.escape_ascii().to_string());
            let single: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(
                receive(&single, 10),
                expected,
                "{:?} octet by octet",
                input.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_read_to_the_end_of_the_data_and_not_kept() {
        let (long, bare) = (Err(DataProblem::LineTooLong), Err(DataProblem::BareNewline));
        type Row = (&'static [u8], Result<&'static [u8], DataProblem>);
        let table: &[Row] = &[
            (b"abc\r\n.\r\n", Ok(b"abc\r\n")),
            (b"..bc\r\n..bc\r\n.\r\n", Ok(b".bc\r\n.bc\r\n")),
            (b"abcd\r\n.\r\n", long),
            (b"a\r\nabcd\r\na\r\n.\r\n", long),
            (b"...cd\r\n.\r\n", long),
            (b"abcdef\r\n..\r\n.a\r\nDATA\r\n.\r\n", long),
            (b"abcdef\n\r\n.\r\n", long),
            (b"abcde\rf\r\n.\r\n", long),
            (b"abc\nabcdef\r\n.\r\n", bare),
            (b"abc\rabcdef\r\n.\r\n", bare),
        ];
        for (input, expected) in table {
            for size in 1..=input.len() {
                let chunks: Vec<&[u8]> = input.chunks(size).collect();
                let (progress, content) = receive_within(ContentLimits { octets: 99, line: 5 }, &chunks);
                let shown = input.escape_ascii();
                assert_eq!(progress, DataProgress::End(input.len()), "{shown} in pieces of {size}");
                assert_eq!(content, expected.map(Bytes::from_static), "{shown} in pieces of {size}");
            }
        }
    }

    #[test]
    fn data_without_end_is_given_up() {
        let input = vec![b'x'; SWALLOW_MARGIN + 21];
        assert_eq!(receive(&[&input[..SWALLOW_MARGIN + 20]], 10).0, DataProgress::More);
        assert_eq!(receive(&[&input], 10), (DataProgress::Abandon, Err(DataProblem::TooLarge)));
        assert_eq!(receive(&input.chunks(4_000).collect::<Vec<_>>(), 10).0, DataProgress::Abandon);
    }

    proptest! {
        #[test]
        fn content_survives_stuffing(parts in proptest::collection::vec("\r\n|\\.|a|\\.\r\n|é", 0..60)) {
            let mut content = parts.concat();
            let wire = stuff(content.as_bytes());
            if !content.is_empty() && !content.ends_with("\r\n") {
                content.push_str("\r\n");
            }
            let expected = (DataProgress::End(wire.len()), Ok(Bytes::from(content)));
            prop_assert_eq!(receive(&[&wire], 1_000), expected.clone());
            prop_assert_eq!(receive(&wire.chunks(1).collect::<Vec<_>>(), 1_000), expected);
        }

        #[test]
        fn how_the_data_is_cut_does_not_matter(parts in proptest::collection::vec("\r|\n|\r\n|\\.|ab", 0..40),
                                               size in 1usize..7) {
            let wire = parts.concat() + "\r\n.\r\n";
            let whole = receive(&[wire.as_bytes()], 30);
            let pieces: Vec<_> = wire.as_bytes().chunks(size).collect();
            prop_assert_eq!(whole, receive(&pieces, 30));
            let limits = ContentLimits { octets: 30, line: 6 };
            prop_assert_eq!(receive_within(limits, &[wire.as_bytes()]), receive_within(limits, &pieces));
        }
    }
}
