//! The octets of one message while they come in.

use bytes::Bytes;
use memchr::memchr_iter;

use crate::data::DataProblem;

/// Octets up to which a message moves as it grows, and that are reserved at most because a client said its message
/// is that large.
const SMALL: usize = 1024 * 1024;

/// What the content of a message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLimits {
    /// Octets of all of it, stuffed dots not counted.
    pub octets: usize,
    /// Octets of a line, CR LF counted.
    pub line: usize,
}

/// Octets that are kept, within limits.
#[derive(Debug)]
pub(crate) struct Kept {
    octets: Vec<u8>,
    /// Where in them the last line begins.
    line_start: usize,
    limits: ContentLimits,
}

impl Kept {
    /// None yet; `expected` is what the client declared, a hint.
    pub(crate) fn new(limits: ContentLimits, expected: usize) -> Self {
        Self { octets: Vec::with_capacity(expected.min(limits.octets).min(SMALL)), line_start: 0, limits }
    }

    /// Their number.
    pub(crate) fn len(&self) -> usize {
        self.octets.len()
    }

    /// Whether they end in CR LF, or there are none.
    pub(crate) fn is_whole_lines(&self) -> bool {
        self.octets.is_empty() || self.octets.ends_with(b"\r\n")
    }

    /// Whether so many more are within the limit.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        more <= self.room()
    }

    /// Keeps them, all or none. What comes first is the problem, however they are cut.
    pub(crate) fn push(&mut self, octets: &[u8]) -> Result<(), DataProblem> {
        let fitting = &octets[..octets.len().min(self.room())];
        let line_start = self.next_line_start(fitting)?;
        if fitting.len() < octets.len() {
            return Err(DataProblem::TooLarge);
        }
        self.make_room(octets.len());
        self.octets.extend_from_slice(octets);
        self.line_start = line_start;
        Ok(())
    }

    /// All of them, without a copy.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from(self.octets)
    }

    fn room(&self) -> usize {
        self.limits.octets - self.octets.len()
    }

    /// Where the last line begins once these are kept, unless one of them has become too long.
    fn next_line_start(&self, octets: &[u8]) -> Result<usize, DataProblem> {
        let kept = self.octets.len();
        let mut start = self.line_start;
        for end in memchr_iter(b'\n', octets).map(|at| kept + at + 1) {
            self.check_line(end - start)?;
            start = end;
        }
        self.check_line(kept + octets.len() - start)?;
        Ok(start)
    }

    fn check_line(&self, octets: usize) -> Result<(), DataProblem> {
        if octets > self.limits.line { Err(DataProblem::LineTooLong) } else { Ok(()) }
    }

    /// What is not small gets the room of the largest message at once: that is address space, which takes memory only
    /// as it fills, while growing step by step has the message in memory twice at every step.
    fn make_room(&mut self, more: usize) {
        let needed = self.octets.len() + more;
        if needed > SMALL.max(self.octets.capacity()) {
            // Where there is not even address space, it has to grow step by step.
            let _ = self.octets.try_reserve_exact(self.room());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(octets: usize) -> ContentLimits {
        ContentLimits { octets, line: usize::MAX }
    }

    #[test]
    fn a_large_message_moves_only_while_it_is_small() {
        let piece = [b'x'; 10_000];
        let max = 40 * SMALL;
        let mut kept = Kept::new(within(max), 0);
        let mut moved_at = Vec::new();
        while kept.has_room(piece.len()) {
            let (before, capacity) = (kept.len(), kept.octets.capacity());
            kept.push(&piece).unwrap();
            if kept.octets.capacity() != capacity {
                moved_at.push(before);
            }
        }
        assert!(moved_at.iter().all(|at| *at <= 2 * SMALL), "{moved_at:?}");
        assert!(kept.octets.capacity() <= max);
    }

    #[test]
    fn a_limit_without_address_space_for_it_takes_messages_all_the_same() {
        let mut kept = Kept::new(within(usize::MAX), 0);
        for _ in 0..3 {
            kept.push(&vec![b'x'; SMALL]).unwrap();
        }
        assert_eq!(kept.into_bytes().len(), 3 * SMALL);
    }

    #[test]
    fn what_a_client_declares_reserves_a_little() {
        for (max, expected, capacity) in [(10, 5, 5), (10, 20, 10), (10 * SMALL, 9 * SMALL, SMALL)] {
            assert_eq!(Kept::new(within(max), expected).octets.capacity(), capacity, "{max} {expected}");
        }
    }

    #[test]
    fn what_comes_first_is_the_problem() {
        let limits = ContentLimits { octets: 12, line: 5 };
        for (content, expected) in [
            ("", Ok(())),
            ("abc\r\n", Ok(())),
            ("abcde", Ok(())),
            ("abcdef", Err(DataProblem::LineTooLong)),
            ("abcd\r\n", Err(DataProblem::LineTooLong)),
            ("abc\r\nabc\r\nxx", Ok(())),
            ("abc\r\nabcd\r\n", Err(DataProblem::LineTooLong)),
            ("abc\r\nabc\r\nxxx", Err(DataProblem::TooLarge)),
            ("\r\n\r\n\r\n\r\n\r\n\r\n\r\n", Err(DataProblem::TooLarge)),
            // The line would have become too long behind the end of what fits.
            ("abc\r\n\r\nabcdef", Err(DataProblem::TooLarge)),
            ("abc\r\nx\r\nabcdef", Err(DataProblem::TooLarge)),
            ("abc\r\nabcdef", Err(DataProblem::LineTooLong)),
        ] {
            for size in 1..=content.len().max(1) {
                let mut kept = Kept::new(limits, 0);
                let pushed = content.as_bytes().chunks(size).try_for_each(|piece| kept.push(piece));
                assert_eq!(pushed, expected, "{content:?} in pieces of {size}");
            }
        }
    }
}
