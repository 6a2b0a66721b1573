//! Opening connections.

use config::Host;
use futures_util::future::LocalBoxFuture;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, TcpStream},
};
use tokio_socks::tcp::Socks5Stream;

/// A byte stream to a mail server.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where to connect, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The host's name, for history.
    pub host: String,
    /// Its address and port.
    pub address: SocketAddr,
    /// The local address; `None`: the system chooses.
    pub source: Option<IpAddr>,
    /// The SOCKS5 proxy that connects in our place.
    pub proxy: Option<Proxy>,
}

/// A SOCKS5 proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its name or address.
    pub host: Host,
    /// Its port.
    pub port: u16,
}

/// Connects to mail servers. Tests bring one of their own.
pub trait Dialer: Send + Sync {
    /// A connection to `hop`.
    ///
    /// # Errors
    /// What the network says. How long it may take is the caller's to decide.
    fn dial<'d>(&'d self, hop: &'d NextHop) -> LocalBoxFuture<'d, io::Result<Box<dyn Stream>>>;

    /// How long it may take.
    fn timeout(&self) -> Duration;
}

/// Connects over TCP.
#[derive(Clone, Debug)]
pub struct TcpDialer {
    /// How long connecting may take.
    pub timeout: Duration,
}

impl Dialer for TcpDialer {
    fn dial<'d>(&'d self, hop: &'d NextHop) -> LocalBoxFuture<'d, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = match &hop.proxy {
                None => connect(hop.address, hop.source).await?,
                Some(proxy) => through(proxy, hop.address).await?,
            };
            // A transaction is a few small writes, each waiting for its answer.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

async fn connect(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(source, 0)).map_err(|error| {
        io::Error::new(error.kind(), format!("the source address {source} cannot be used: {error}"))
    })?;
    socket.connect(address).await
}

async fn through(proxy: &Proxy, address: SocketAddr) -> io::Result<TcpStream> {
    let said = |error: &dyn std::fmt::Display| io::Error::other(format!("the SOCKS proxy: {error}"));
    let stream = match &proxy.host {
        Host::Ip(ip) => TcpStream::connect((*ip, proxy.port)).await,
        Host::Name(name) => TcpStream::connect((name.as_ascii(), proxy.port)).await,
    };
    let stream = stream.map_err(|error| said(&error))?;
    let stream = Socks5Stream::connect_with_socket(stream, address).await.map_err(|error| said(&error))?;
    Ok(stream.into_inner())
}
