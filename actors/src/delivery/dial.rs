//! Opening connections.

use super::NextHop;
use futures_util::future::LocalBoxFuture;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// A byte stream to a mail server.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to mail servers. Tests bring one of their own.
pub trait Dialer: Send + Sync {
    /// A connection to `hop`.
    ///
    /// # Errors
    /// What the network says, or that it took too long.
    fn dial<'d>(&'d self, hop: &'d NextHop) -> LocalBoxFuture<'d, io::Result<Box<dyn Stream>>>;
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
            let connect = TcpStream::connect(hop.address);
            let stream = tokio::time::timeout(self.timeout, connect).await.map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection request")
            })??;
            // A transaction is a few small writes, each waiting for its answer.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
