//! A client that says exactly what a test tells it to.

use super::PATIENCE;
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) struct SmtpClient<S = TcpStream> {
    stream: BufReader<S>,
}

impl SmtpClient {
    /// Connects, and checks that it is greeted.
    pub(crate) async fn connect(address: SocketAddr) -> SmtpClient {
        let mut client = SmtpClient::open(Ipv4Addr::LOCALHOST, address).await;
        let greeting = client.reply().await;
        assert!(greeting.starts_with("220 "), "greeting: {greeting}");
        client
    }

    /// Connects from an address of this machine, whatever the greeting will be.
    pub(crate) async fn open(from: Ipv4Addr, address: SocketAddr) -> SmtpClient {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("an address of this machine");
        let stream = socket.connect(address).await.expect("the SMTP port takes connections");
        SmtpClient { stream: BufReader::new(stream) }
    }

    /// Connects to a server that may be gone.
    pub(crate) async fn try_open(address: SocketAddr) -> std::io::Result<SmtpClient> {
        Ok(SmtpClient { stream: BufReader::new(TcpStream::connect(address).await?) })
    }

    /// Connects, and says EHLO.
    pub(crate) async fn ready(address: SocketAddr) -> SmtpClient {
        let mut client = SmtpClient::connect(address).await;
        client.expect("EHLO client.example", "250").await;
        client
    }

    /// The connection, to go on with something else than SMTP in clear.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert!(self.stream.buffer().is_empty(), "everything the server said was read");
        self.stream.into_inner()
    }

    /// Goes on over TLS with a server of that name, whose answer to STARTTLS was read, or that never speaks in clear.
    pub(crate) async fn secure(
        self,
        name: &'static str,
        tls: Arc<ClientConfig>,
    ) -> std::io::Result<SmtpClient<TlsStream<TcpStream>>> {
        let name = ServerName::try_from(name).expect("a name");
        let shaken = timeout(PATIENCE, TlsConnector::from(tls).connect(name, self.into_stream())).await;
        Ok(SmtpClient { stream: BufReader::new(shaken.expect("the handshake ends")?) })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> SmtpClient<S> {
    pub(crate) fn stream(&self) -> &S {
        self.stream.get_ref()
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server reads");
    }

    /// The reply of a server that may be gone to a line; empty when it is.
    pub(crate) async fn try_command(&mut self, line: &str) -> String {
        match self.stream.write_all(format!("{line}\r\n").as_bytes()).await {
            Ok(()) => self.reply().await,
            Err(_) => String::new(),
        }
    }

    /// Logs in with PLAIN.
    pub(crate) async fn log_in(&mut self, user: &str, password: &str) {
        let secret = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        self.expect(&format!("AUTH PLAIN {secret}"), "235 2.7.0").await;
    }

    /// One whole reply, its lines joined by `\n`; empty when the server closed the connection.
    pub(crate) async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, self.stream.read_line(&mut line)).await.expect("the server answers");
            if !matches!(read, Ok(1..)) {
                return reply;
            }
            assert!(line.ends_with("\r\n"), "a reply line ends in CR LF: {line:?}");
            let line = line.trim_end();
            reply.push_str(line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return reply;
            }
            reply.push('\n');
        }
    }

    pub(crate) async fn command(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// Sends a command, and checks the start of the reply.
    pub(crate) async fn expect(&mut self, line: &str, start: &str) -> String {
        let reply = self.command(line).await;
        assert!(reply.starts_with(start), "{line} is answered with {start}..., not {reply:?}");
        reply
    }

    /// Everything before the content of a message.
    pub(crate) async fn envelope(&mut self, from: &str, to: &[&str]) {
        self.expect(&format!("MAIL FROM:<{from}>"), "250").await;
        for to in to {
            self.expect(&format!("RCPT TO:<{to}>"), "250").await;
        }
        self.expect("DATA", "354").await;
    }
}
