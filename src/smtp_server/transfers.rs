//! What the messages being received may hold in memory, and what one client may of it.

use std::{cell::RefCell, collections::HashMap, net::IpAddr, rc::Rc};

/// Bytes of each message that always find room; the number of sessions bounds what they come to. So small messages
/// pass however much the large ones hold.
const FREE: usize = 64 * 1024;

/// Counts the bytes of messages that are being received, beyond those that are free.
///
/// A client may hold as much as is left for the others then: alone half of all, two a third each. So there is room
/// for one more client at any time.
pub(super) struct Transfers {
    max: usize,
    held: RefCell<Held>,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// The share of one session, given back when it is dropped.
pub(super) struct Transfer {
    all: Rc<Transfers>,
    client: Option<IpAddr>,
    /// Bytes that are counted of it.
    counted: usize,
}

impl Transfers {
    /// At most `max` bytes.
    pub(super) fn new(max: usize) -> Transfers {
        Transfers { max, held: RefCell::default() }
    }

    /// A transfer of that client, or of one that may hold as much as all together.
    pub(super) fn begin(self: &Rc<Self>, client: Option<IpAddr>) -> Transfer {
        Transfer { all: Rc::clone(self), client, counted: 0 }
    }
}

impl Transfer {
    /// Holds so many bytes from now on. False, and nothing changes, when there is no room for them.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let counted = bytes.saturating_sub(FREE);
        let mut held = self.all.held.borrow_mut();
        let all = (held.all - self.counted).saturating_add(counted);
        let of_client = self.client.map(|client| {
            let before = held.by_client.get(&client).copied().unwrap_or(0);
            (client, (before - self.counted).saturating_add(counted))
        });
        if counted > self.counted && !has_room(self.all.max, all, of_client.map(|(_, own)| own)) {
            return false;
        }
        held.all = all;
        match of_client {
            None => {}
            Some((client, 0)) => drop(held.by_client.remove(&client)),
            Some((client, own)) => drop(held.by_client.insert(client, own)),
        }
        self.counted = counted;
        true
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.hold(0);
    }
}

/// Whether all may hold so many bytes, and so many of them the client whose share is bounded.
fn has_room(max: usize, all: usize, of_client: Option<usize>) -> bool {
    let left = max.checked_sub(all);
    left.is_some_and(|left| of_client.is_none_or(|own| own <= left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_holds_as_much_as_is_left_for_others() {
        // What all hold and what of that the client does, out of 100, and whether it may.
        for (all, own, fits) in [
            (50, Some(50), true),
            (51, Some(51), false),
            // Two hold a third each.
            (66, Some(33), true),
            (67, Some(34), false),
            // Whoever comes new, however much the others hold.
            (92, Some(8), true),
            (100, Some(0), true),
            (100, None, true),
            (101, None, false),
            (usize::MAX, None, false),
        ] {
            assert_eq!(has_room(100, all, own), fits, "{all} {own:?}");
        }
    }

    #[test]
    fn transfers_share_the_room_and_give_it_back() {
        let all = Rc::new(Transfers::new(10));
        let (mut one, mut other) = (all.begin(None), all.begin(None));
        assert!(one.hold(FREE + 5) && one.hold(FREE + 9));
        assert!(!other.hold(FREE + 2));
        assert!(other.hold(FREE + 1));
        assert!(!other.hold(FREE + 2));
        assert!(one.hold(0));
        assert!(other.hold(FREE + 10) && other.hold(FREE + 9));
        assert!(one.hold(FREE + 1));
        drop((one, other));
        assert_eq!(all.held.borrow().all, 0);
    }

    #[test]
    fn the_sessions_of_a_client_share_what_it_may_hold() {
        let all = Rc::new(Transfers::new(90));
        let [greedy, other] = ["192.0.2.1", "192.0.2.2"].map(|address| Some(address.parse().unwrap()));
        let (mut first, mut second) = (all.begin(greedy), all.begin(greedy));
        assert!(first.hold(FREE + 40) && !second.hold(FREE + 6) && second.hold(FREE + 5));
        let mut third = all.begin(other);
        assert!(third.hold(FREE + 22) && !third.hold(FREE + 23));
        assert!(!second.hold(FREE + 6) && second.hold(FREE + 4), "less is always possible");
        drop((first, second));
        assert!(third.hold(FREE + 45));
        drop(third);
        assert!(all.held.borrow().by_client.is_empty(), "nothing is remembered of clients that left");
    }

    #[test]
    fn small_messages_find_room_however_full_it_is() {
        let all = Rc::new(Transfers::new(0));
        let mut transfers: Vec<_> = (0..100).map(|_| all.begin(None)).collect();
        for transfer in &mut transfers {
            assert!(transfer.hold(FREE) && !transfer.hold(FREE + 1));
        }
    }
}
