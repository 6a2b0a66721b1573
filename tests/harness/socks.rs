//! A SOCKS5 proxy (RFC 1928) without a login, that connects to addresses and remembers what it was asked for.

use super::eventually;
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The reply to a request that is granted.
const GRANTED: u8 = 0;
const CONNECTION_REFUSED: u8 = 5;
const ADDRESS_TYPE_NOT_SUPPORTED: u8 = 8;

pub(crate) struct SocksProxy {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl SocksProxy {
    pub(crate) async fn start() -> SocksProxy {
        SocksProxy::replying(GRANTED).await
    }

    /// Refuses every request with this reply, such as 2: not allowed by its rules.
    pub(crate) async fn refusing(reply: u8) -> SocksProxy {
        SocksProxy::replying(reply).await
    }

    async fn replying(reply: u8) -> SocksProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let requests = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let task = tokio::spawn({
            let requests = requests.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    // A client or server that goes away ends its connection, and nothing else.
                    let requests = requests.clone();
                    tokio::spawn(async move {
                        let _ = serve(client, reply, &requests).await;
                    });
                }
            }
        });
        SocksProxy { address, requests, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it was asked to connect to, in order.
    pub(crate) fn requests(&self) -> Vec<SocketAddr> {
        self.requests.lock().expect("no holder panics").clone()
    }

    /// Waits for a first request.
    pub(crate) async fn requested(&self) -> SocketAddr {
        eventually("a request to the proxy", async || {
            self.requests().first().copied().ok_or_else(|| "there was none".to_owned())
        })
        .await
    }
}

impl Drop for SocksProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, reply: u8, requests: &Mutex<Vec<SocketAddr>>) -> io::Result<()> {
    let [_version, methods] = read(&mut client).await?;
    let mut offered = vec![0; methods.into()];
    client.read_exact(&mut offered).await?;
    client.write_all(&[5, 0]).await?;
    let [_version, _command, _reserved, kind] = read(&mut client).await?;
    let address = match kind {
        1 => Ipv4Addr::from(read::<4>(&mut client).await?).into(),
        4 => Ipv6Addr::from(read::<16>(&mut client).await?).into(),
        // Names would have to be looked up.
        _ => return client.write_all(&answer(ADDRESS_TYPE_NOT_SUPPORTED)).await,
    };
    let target = SocketAddr::new(address, client.read_u16().await?);
    requests.lock().expect("no holder panics").push(target);
    if reply != GRANTED {
        return client.write_all(&answer(reply)).await;
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        return client.write_all(&answer(CONNECTION_REFUSED)).await;
    };
    client.write_all(&answer(GRANTED)).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn read<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// With an address that says nothing.
fn answer(reply: u8) -> [u8; 10] {
    [5, reply, 0, 1, 0, 0, 0, 0, 0, 0]
}
