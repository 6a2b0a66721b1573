//! A machine to connect to.

use mail::Domain;
use std::{fmt, net::IpAddr};

/// A machine, by name or by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name to look up.
    Name(Domain),
    /// An address to dial.
    Ip(IpAddr),
}

/// The A-label form of a name; an address without brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name.as_ascii()),
            Host::Ip(address) => address.fmt(f),
        }
    }
}
