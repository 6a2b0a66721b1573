//! Listening sockets.

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds listening sockets. Where an IPv4 and an IPv6 address share a port, the IPv6 one takes IPv6 only: otherwise
/// `[::]:25` would take what `0.0.0.0:25` is for.
pub struct Binder<'a> {
    /// All addresses that are to be bound.
    pub all: &'a [SocketAddr],
    /// What to do when one is taken, behind "stop it, or".
    pub remedy: &'a str,
}

impl Binder<'_> {
    /// Binds `address` for `what`.
    ///
    /// # Errors
    /// Names the address, and says what to do when it is taken or may not be used.
    pub fn bind(&self, address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
        let shared = address.is_ipv6()
            && self.all.iter().any(|other| other.is_ipv4() && other.port() == address.port());
        listen(address, shared).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => anyhow::anyhow!(
                "{what} cannot listen on {address}: another program does; stop it, or {}",
                self.remedy
            ),
            io::ErrorKind::PermissionDenied => anyhow::anyhow!(
                "{what} cannot listen on {address}: ports below 1024 need the capability CAP_NET_BIND_SERVICE (in a \
                 systemd unit: AmbientCapabilities=CAP_NET_BIND_SERVICE)"
            ),
            io::ErrorKind::AddrNotAvailable => {
                anyhow::anyhow!("{what} cannot listen on {address}: this machine does not have that address")
            }
            _ => anyhow::anyhow!("{what} cannot listen on {address}: {error}"),
        })
    }
}

fn listen(address: SocketAddr, v6_only: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a server that was there before do not keep the address.
    socket.set_reuse_address(true)?;
    if v6_only {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_can_listen_on_one_port() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let all = [SocketAddr::from(([0, 0, 0, 0], free)), SocketAddr::from(([0; 8], free))];
        let binder = Binder { all: &all, remedy: "wait" };
        // Where there is no IPv6, there is nothing to be seen.
        if std::net::TcpListener::bind("[::1]:0").is_ok() {
            let _listeners = all.map(|address| binder.bind(address, "HTTP").unwrap());
        }
    }

    #[test]
    fn an_address_in_use_is_named_with_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Binder { all: &[address], remedy: "wait" }.bind(address, "HTTP").unwrap_err().to_string();
        assert_eq!(error, format!("HTTP cannot listen on {address}: another program does; stop it, or wait"));
    }
}
