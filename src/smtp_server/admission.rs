//! How many sessions there may be, in all and from one client.

use smtp::Reply;
use std::{
    cell::RefCell,
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    rc::Rc,
};

/// Counts the sessions there are.
pub(super) struct Admission {
    max: usize,
    /// The rest is for the other roles: whoever fills one port keeps nobody from the others.
    per_role_max: usize,
    per_client_max: usize,
    open: RefCell<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_role: HashMap<&'static str, usize>,
    by_client: HashMap<IpAddr, usize>,
}

/// Lets one session be. Its place is free again when it is dropped.
pub(super) struct Pass {
    admission: Rc<Admission>,
    role: &'static str,
    client: IpAddr,
}

impl Admission {
    pub(super) fn new(max: usize, per_client_max: usize) -> Admission {
        Admission { max, per_role_max: max - max / 4, per_client_max, open: RefCell::default() }
    }

    /// A place for a session in `role` with the client at `address`, or the answer to turn it away with.
    pub(super) fn admit(self: &Rc<Self>, role: &'static str, address: IpAddr) -> Result<Pass, Reply> {
        let client = client(address);
        let mut open = self.open.borrow_mut();
        let of_role = open.by_role.get(role).copied().unwrap_or_default();
        if open.all >= self.max || of_role >= self.per_role_max {
            return Err(Reply::with_enhanced(421, 3, 2, "Too many sessions, try again later"));
        }
        let of_client = open.by_client.entry(client).or_default();
        if *of_client >= self.per_client_max {
            return Err(Reply::with_enhanced(
                421,
                7,
                0,
                "Too many sessions from your address, try again later",
            ));
        }
        *of_client += 1;
        *open.by_role.entry(role).or_default() += 1;
        open.all += 1;
        Ok(Pass { admission: Rc::clone(self), role, client })
    }
}

impl Pass {
    /// Whose session it is.
    pub(super) fn client(&self) -> IpAddr {
        self.client
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.admission.open.borrow_mut();
        open.all -= 1;
        *open.by_role.entry(self.role).or_default() -= 1;
        if let Some(of_client) = open.by_client.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                open.by_client.remove(&self.client);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or the 64 bits of IPv6 that a single host usually has to itself.
fn client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(admission: &Rc<Admission>, address: &str) -> Result<Pass, u16> {
        let refused = |reply: Reply| reply.enhanced().expect("an enhanced code").subject();
        admission.admit("incoming", address.parse().unwrap()).map_err(refused)
    }

    #[test]
    fn a_client_gets_its_share_and_no_more() {
        let admission = Rc::new(Admission::new(3, 2));
        let first = admit(&admission, "192.0.2.1").ok();
        let _second = admit(&admission, "192.0.2.1").ok();
        assert_eq!(admit(&admission, "192.0.2.1").err(), Some(7));
        let _other = admit(&admission, "192.0.2.2").ok();
        assert_eq!(admit(&admission, "192.0.2.3").err(), Some(3), "all places are taken");
        drop(first);
        assert!(admit(&admission, "192.0.2.1").is_ok(), "a place is free again");
    }

    #[test]
    fn no_role_takes_the_places_of_all() {
        let admission = Rc::new(Admission::new(8, 8));
        let address = "192.0.2.1".parse().unwrap();
        let admit = |role| admission.admit(role, address).ok();
        let incoming: Vec<_> = std::iter::from_fn(|| admit("incoming")).collect();
        let submission: Vec<_> = std::iter::from_fn(|| admit("submission")).collect();
        assert_eq!((incoming.len(), submission.len()), (6, 2));
        drop(incoming);
        let more: Vec<_> = std::iter::from_fn(|| admit("submission")).collect();
        assert_eq!(more.len(), 4);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let admission = Rc::new(Admission::new(9, 1));
        let _first = admit(&admission, "2001:db8::1").ok();
        assert_eq!(admit(&admission, "2001:db8::2").err(), Some(7));
        assert!(admit(&admission, "2001:db8:0:1::1").is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_clients_that_left() {
        let admission = Rc::new(Admission::new(1, 1));
        drop(admit(&admission, "192.0.2.1"));
        assert!(admission.open.borrow().by_client.is_empty());
    }
}
