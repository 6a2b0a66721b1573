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
    /// Holds so many bytes from now on. False, and nothing changes, when there is no room for them.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let all = (self.all.held.get() - self.held).saturating_add(bytes);
        if bytes > self.held && all > self.all.max {
            return false;
        }
        self.all.held.set(all);
        self.held = bytes;
        true
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_share_the_room_and_give_it_back() {
        let all = Rc::new(Transfers::new(10));
        let (mut one, mut other) = (all.begin(), all.begin());
        assert!(one.hold(5) && one.hold(9));
        assert!(!other.hold(2));
        assert!(other.hold(1));
        assert!(!other.hold(2));
        assert!(one.hold(0));
        assert!(other.hold(10) && other.hold(9));
        assert!(one.hold(1));
        drop((one, other));
        assert_eq!(all.held.get(), 0);
    }
}
