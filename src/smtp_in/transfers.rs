//! What the messages being received may hold in memory, all sessions together.

use std::{cell::Cell, rc::Rc};

/// Counts the bytes of messages that are being received.
pub(super) struct Transfers {
    max: usize,
    held: Cell<usize>,
}

/// The share of one session, given back when it is dropped.
pub(super) struct Transfer {
    all: Rc<Transfers>,
    held: usize,
}

impl Transfers {
    /// At most `max` bytes.
    pub(super) fn new(max: usize) -> Transfers {
        Transfers { max, held: Cell::new(0) }
    }

    pub(super) fn begin(self: &Rc<Self>) -> Transfer {
        Transfer { all: Rc::clone(self), held: 0 }
    }
}

impl Transfer {
    /// Counts bytes that were read. False, and nothing is counted, when there is no room for them.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let all = self.all.held.get().saturating_add(bytes);
        if all > self.all.max {
            return false;
        }
        self.all.held.set(all);
        self.held += bytes;
        true
    }

    /// What was read is dealt with.
    pub(super) fn release(&mut self) {
        self.all.held.set(self.all.held.get() - self.held);
        self.held = 0;
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_share_the_room_and_give_it_back() {
        let all = Rc::new(Transfers::new(10));
        let (mut one, mut other) = (all.begin(), all.begin());
        assert!(one.grow(9));
        assert!(!other.grow(2));
        assert!(other.grow(1));
        assert!(!other.grow(1));
        one.release();
        assert!(other.grow(9));
        drop((one, other));
        assert_eq!(all.held.get(), 0);
    }
}
