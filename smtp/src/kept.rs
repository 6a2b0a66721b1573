//! The octets of one message while they come in.

use bytes::Bytes;

use crate::data::DataProblem;

/// Octets up to which a message moves as it grows, and that are reserved at most because a client said its message
/// is that large.
const SMALL: usize = 1024 * 1024;

/// Octets that are kept, up to a limit.
#[derive(Debug)]
pub(crate) struct Kept {
    octets: Vec<u8>,
    max: usize,
}

impl Kept {
    /// None yet, and `max` at most; `expected` is what the client declared, a hint.
    pub(crate) fn new(max: usize, expected: usize) -> Self {
        Self { octets: Vec::with_capacity(expected.min(max).min(SMALL)), max }
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
        more <= self.max - self.octets.len()
    }

    /// Keeps them, all or none.
    pub(crate) fn push(&mut self, octets: &[u8]) -> Result<(), DataProblem> {
        if !self.has_room(octets.len()) {
            return Err(DataProblem::TooLarge);
        }
        self.make_room(octets.len());
        self.octets.extend_from_slice(octets);
        Ok(())
    }

    /// All of them, without a copy.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from(self.octets)
    }

    /// What is not small gets the room of the largest message at once: that is address space, which takes memory only
    /// as it fills, while growing step by step has the message in memory twice at every step.
    fn make_room(&mut self, more: usize) {
        let needed = self.octets.len() + more;
        if needed > SMALL.max(self.octets.capacity()) {
            // Where there is not even address space, it has to grow step by step.
            let _ = self.octets.try_reserve_exact(self.max - self.octets.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_message_moves_only_while_it_is_small() {
        let piece = [b'x'; 10_000];
        let max = 40 * SMALL;
        let mut kept = Kept::new(max, 0);
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
        let mut kept = Kept::new(usize::MAX, 0);
        for _ in 0..3 {
            kept.push(&vec![b'x'; SMALL]).unwrap();
        }
        assert_eq!(kept.into_bytes().len(), 3 * SMALL);
    }

    #[test]
    fn what_a_client_declares_reserves_a_little() {
        for (max, expected, capacity) in [(10, 5, 5), (10, 20, 10), (10 * SMALL, 9 * SMALL, SMALL)] {
            assert_eq!(Kept::new(max, expected).octets.capacity(), capacity, "{max} {expected}");
        }
    }
}
