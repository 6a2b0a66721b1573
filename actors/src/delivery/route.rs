//! Where a message goes: its destination, and the host that takes mail for it.

use mail::Address;
use std::net::SocketAddr;

/// Chooses the next hop.
#[derive(Clone, Debug)]
pub struct Router {
    relay: NextHop,
}

/// A host to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Its name, for history.
    pub host: String,
    /// Its address and port.
    pub address: SocketAddr,
}

impl Router {
    /// Everything goes to one SMTP server.
    pub fn relay(host: impl Into<String>, address: SocketAddr) -> Router {
        Router { relay: NextHop { host: host.into(), address } }
    }

    /// The delivery actor for a recipient: one for each recipient domain.
    pub fn destination(&self, recipient: &Address) -> String {
        recipient.domain().as_ascii().to_owned()
    }

    /// The host that takes mail for a destination.
    pub(crate) fn next_hop(&self, _destination: &str) -> &NextHop {
        &self.relay
    }
}
