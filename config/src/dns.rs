//! `[dns]`: who answers questions about names.

use crate::source::{Section, nameserver};
use std::net::SocketAddr;

/// Who answers questions about names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// The resolvers to ask, at most 16; none: the system's.
    pub nameservers: Vec<SocketAddr>,
}

impl Dns {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Dns {
        Dns { nameservers: section.list("nameservers", 16, nameserver) }
    }
}
