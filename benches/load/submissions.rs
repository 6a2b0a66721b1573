//! Submission over TLS with a login, by clients that wait for each answer.

use crate::{Plan, server::Server};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// A session that is logged in.
struct Session(BufReader<TlsStream<TcpStream>>);

/// Submits everything, so many messages a connection; the times that each took with its share of connecting and logging
/// in, sorted.
pub(crate) async fn run(server: &Server, plan: &Plan, per_connection: usize) -> Vec<Duration> {
    let (address, certificate) = server.submissions();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    // With it sessions of TLS are resumed, as clients do.
    let tls = TlsConnector::from(Arc::new(
        ClientConfig::builder().with_root_certificates(roots).with_no_client_auth(),
    ));
    let share = plan.messages / plan.clients;
    let content: Arc<[u8]> = content(plan.body).into();
    let clients = (0..plan.clients).map(|_| {
        let (address, tls, content) = (address.clone(), tls.clone(), content.clone());
        tokio::spawn(async move {
            let mut times = Vec::with_capacity(share);
            while times.len() < share {
                let mut start = Instant::now();
                let mut session = Session::open(&address, &tls).await;
                for _ in 0..per_connection.min(share - times.len()) {
                    session.submit(&content).await;
                    times.push(start.elapsed());
                    start = Instant::now();
                }
            }
            times
        })
    });
    let mut times = Vec::with_capacity(plan.messages);
    for client in clients.collect::<Vec<_>>() {
        times.extend(client.await.unwrap());
    }
    times.sort_unstable();
    times
}

impl Session {
    async fn open(address: &str, tls: &TlsConnector) -> Session {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = tls.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        let mut session = Session(BufReader::new(stream));
        session.reply("220").await;
        session.say(b"EHLO bench.example\r\n").await;
        session.reply("250").await;
        // NUL, rider@localhost, NUL, postrider
        session.say(b"AUTH PLAIN AHJpZGVyQGxvY2FsaG9zdABwb3N0cmlkZXI=\r\n").await;
        session.reply("235").await;
        session
    }

    async fn submit(&mut self, content: &[u8]) {
        let envelope = b"MAIL FROM:<rider@localhost>\r\nRCPT TO:<friend@remote.example>\r\nDATA\r\n";
        self.say(envelope).await;
        for code in ["250", "250", "354"] {
            self.reply(code).await;
        }
        self.say(content).await;
        self.reply("250").await;
    }

    async fn say(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.unwrap();
        self.0.flush().await.unwrap();
    }

    async fn reply(&mut self, code: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await.unwrap();
            assert!(line.starts_with(code), "{code} is expected, not {line:?}");
            if line.as_bytes()[3] == b' ' {
                return;
            }
        }
    }
}

/// A message with a text of so many octets, and the end of the data.
fn content(body: usize) -> Vec<u8> {
    let line = "The quick brown fox jumps over the lazy dog, 0123456789, again and again.\r\n";
    let text: String = line.chars().cycle().take(body).collect();
    let header = "From: rider@localhost\r\nTo: friend@remote.example\r\nSubject: load\r\n\r\n";
    format!("{header}{}\r\n.\r\n", text.trim_end()).into_bytes()
}
