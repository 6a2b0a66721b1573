//! What was acknowledged over SMTP is delivered, whatever happens to the process.

use crate::harness::{Load, PASSWORD, Server, SmtpClient, SmtpPeer, USER, all_delivered, trusting_file};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::ClientConfig;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};

const CLIENTS: usize = 10;
const CRASHES: usize = 6;
/// Messages of one session.
const MESSAGES: usize = 3;

/// The ways into a server.
#[derive(Clone)]
struct Target {
    submission: SocketAddr,
    submissions: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Target {
    fn of(server: &Server) -> Target {
        Target {
            submission: server.submission(),
            submissions: server.submissions(),
            tls: trusting_file(server.greeting("certificate")),
        }
    }
}

#[tokio::test]
async fn kill_9_at_any_moment_loses_nothing_that_was_acknowledged_to_clients_of_smtp() {
    let peer = SmtpPeer::accepting().await;
    let mut server = Server::builder().deliver_to(&peer).start().await;
    let load = Load::sending(CLIENTS, submit);
    for _ in 0..CRASHES {
        load.use_server(Target::of(&server));
        load.more(1).await;
        // The moment of the crash is not to depend on anything.
        sleep(Duration::from_millis(rand::random_range(0..400))).await;
        server.kill();
        load.no_server();
        server.restart().await;
    }
    load.use_server(Target::of(&server));
    load.more(CLIENTS).await;
    let acknowledged = load.stop().await;
    assert!(acknowledged.len() > CRASHES * CLIENTS, "only {} messages were acknowledged", acknowledged.len());
    all_delivered(&acknowledged, &peer).await;
}

/// A session of some messages, by STARTTLS or with TLS from the start. It ends where the server does.
async fn submit(target: Target, number: usize, count: u64) -> Vec<String> {
    let session = match number % 2 {
        0 => target.submissions,
        _ => target.submission,
    };
    let Ok(mut client) = SmtpClient::try_open(session).await else { return Vec::new() };
    if session == target.submission {
        for line in ["EHLO client.example", "STARTTLS"] {
            // Before EHLO, the greeting is there to be read.
            if line.starts_with("EHLO") && client.reply().await.is_empty() {
                return Vec::new();
            }
            if client.try_command(line).await.is_empty() {
                return Vec::new();
            }
        }
    }
    let Ok(mut client) = client.secure("localhost", target.tls).await else { return Vec::new() };
    if session == target.submissions && client.reply().await.is_empty() {
        return Vec::new();
    }
    let secret = BASE64_STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    if !told(&mut client, &["EHLO client.example", &format!("AUTH PLAIN {secret}")]).await {
        return Vec::new();
    }
    let mut acknowledged = Vec::new();
    for message in 0..MESSAGES {
        let id = format!("<{number}-{count}-{message}@localhost>");
        let content = format!(
            "From: {USER}\r\nMessage-ID: {id}\r\nSubject: {message}\r\n\r\n{}\r\n.",
            "some text ".repeat(count as usize % 90)
        );
        let mail = format!("MAIL FROM:<{USER}>");
        let rcpt = format!("RCPT TO:<s{number}-{count}-{message}x@d{}.example>", number % 5);
        if !told(&mut client, &[&mail, &rcpt, "DATA", &content]).await {
            break;
        }
        acknowledged.push(id);
    }
    acknowledged
}

/// Whether the server said yes to all lines; it is not there any more otherwise.
async fn told<S: AsyncRead + AsyncWrite + Unpin>(client: &mut SmtpClient<S>, lines: &[&str]) -> bool {
    for line in lines {
        let reply = client.try_command(line).await;
        if reply.is_empty() {
            return false;
        }
        assert!(reply.starts_with(['2', '3']), "{line:.60} is answered with {reply}");
    }
    true
}
