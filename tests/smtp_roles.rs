//! What the listeners of each role announce, and what they share.

use crate::harness::{Embedded, Identity, PASSWORD, PATIENCE, SmtpClient, USER, account};
use base64::{Engine, prelude::BASE64_STANDARD};
use mail::Timestamp;
use rustls::version::TLS13;
use std::{collections::BTreeSet, net::SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

const NAME: &str = "mail.example";

/// What both roles offer, however the connection is.
const USUAL: [&str; 7] = [
    "PIPELINING",
    "SIZE 104857600",
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
    "LIMITS RCPTMAX=1000",
];
const IN_CLEAR: [&str; 1] = ["STARTTLS"];
/// With the end of the 60 days taken off, which [`offered`] looks at.
const SUBMISSION: [&str; 2] = ["DSN", "FUTURERELEASE 5184000"];
const AUTH_IN_CLEAR: [&str; 1] = ["AUTH SCRAM-SHA-256"];
const OVER_TLS: [&str; 2] = ["REQUIRETLS", "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"];

/// The lines of the answer to EHLO behind the first.
async fn offered<S: AsyncRead + AsyncWrite + Unpin>(client: &mut SmtpClient<S>) -> BTreeSet<String> {
    let reply = client.expect("EHLO client.example", "250-mail.example\n").await;
    let lines: Vec<_> = reply.lines().skip(1).map(|line| line[4..].to_owned()).collect();
    let words: BTreeSet<_> = lines
        .iter()
        .map(|line| match line.strip_prefix("FUTURERELEASE 5184000 ") {
            Some(until) => {
                assert!(until.ends_with('Z') && Timestamp::parse_rfc3339(until).is_some(), "{until}");
                "FUTURERELEASE 5184000".to_owned()
            }
            None => line.clone(),
        })
        .collect();
    assert_eq!(words.len(), lines.len(), "each stands once: {reply}");
    words
}

fn words(parts: &[&[&str]]) -> BTreeSet<String> {
    parts.iter().flat_map(|part| part.iter()).map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn each_role_announces_what_it_offers_and_nothing_else() {
    let identity = Identity::self_signed(&[NAME]);
    let server =
        Embedded::builder().certificate(identity.certificate()).account(account("rider")).start().await;
    let tls = || identity.trusting(&[&TLS13]);
    let connect = |address: SocketAddr| SmtpClient::connect(address);

    let mut incoming = connect(server.smtp()).await;
    assert_eq!(offered(&mut incoming).await, words(&[&USUAL, &IN_CLEAR]), "incoming in clear");
    incoming.expect("STARTTLS", "220 ").await;
    let mut incoming = incoming.secure(NAME, tls()).await.expect("TLS");
    assert_eq!(offered(&mut incoming).await, words(&[&USUAL]), "incoming over TLS");

    let in_clear = words(&[&USUAL, &IN_CLEAR, &SUBMISSION, &AUTH_IN_CLEAR]);
    let over_tls = words(&[&USUAL, &SUBMISSION, &OVER_TLS]);
    let mut upgraded = connect(server.submission()).await;
    assert_eq!(offered(&mut upgraded).await, in_clear, "submission in clear");
    upgraded.expect("STARTTLS", "220 ").await;
    let upgraded = upgraded.secure(NAME, tls()).await.expect("TLS");
    let implicit = SmtpClient::open([127, 0, 0, 1].into(), server.submissions()).await;
    let mut implicit = implicit.secure(NAME, tls()).await.expect("TLS");
    assert!(implicit.reply().await.starts_with("220 "));
    let login = BASE64_STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    for (way, mut client) in [("STARTTLS", upgraded), ("implicit", implicit)] {
        assert_eq!(offered(&mut client).await, over_tls, "{way} before the login");
        client.expect(&format!("AUTH PLAIN {login}"), "235 2.7.0").await;
        assert_eq!(offered(&mut client).await, over_tls, "{way} after the login");
        client.expect(&format!("MAIL FROM:<{USER}>"), "250 2.1.0").await;
    }
}

#[tokio::test]
async fn without_a_certificate_nothing_of_tls_is_announced() {
    let server = Embedded::builder().account(account("rider")).start().await;
    let mut incoming = SmtpClient::connect(server.smtp()).await;
    assert_eq!(offered(&mut incoming).await, words(&[&USUAL]));
    let mut submission = SmtpClient::connect(server.submission()).await;
    assert_eq!(offered(&mut submission).await, words(&[&USUAL, &SUBMISSION, &AUTH_IN_CLEAR]));
}

#[tokio::test]
async fn sessions_of_all_roles_count_together() {
    let server = Embedded::builder()
        .account(account("rider"))
        .settings(|settings| {
            settings.limits.smtp_sessions_max = 3;
            settings.limits.smtp_sessions_per_client_max = 3;
        })
        .start()
        .await;
    let open = async |address: SocketAddr| {
        let mut client = SmtpClient::open([127, 0, 0, 1].into(), address).await;
        let greeting = client.reply().await;
        (client, greeting)
    };
    let roles = [server.smtp(), server.submission()];
    for (mine, others) in [(0, 1), (1, 0)] {
        let mut sessions = Vec::new();
        for role in [mine, others, others] {
            let admitted = async {
                loop {
                    let (client, greeting) = open(roles[role]).await;
                    if greeting.starts_with("220 ") {
                        return client;
                    }
                }
            };
            sessions.push(timeout(PATIENCE, admitted).await.expect("those of before are gone"));
        }
        for role in roles {
            let (_, greeting) = open(role).await;
            assert!(greeting.starts_with("421 4.3.2 "), "{greeting}");
        }
    }
}

#[tokio::test]
async fn whoever_fills_one_role_keeps_nobody_from_the_other() {
    let server = Embedded::builder()
        .account(account("rider"))
        .settings(|settings| {
            settings.limits.smtp_sessions_max = 4;
            settings.limits.smtp_sessions_per_client_max = 4;
        })
        .start()
        .await;
    let mut sessions = Vec::new();
    for (address, expected) in [
        (server.smtp(), "220 "),
        (server.smtp(), "220 "),
        (server.smtp(), "220 "),
        (server.smtp(), "421 4.3.2 "),
        (server.submission(), "220 "),
    ] {
        let mut client = SmtpClient::open([127, 0, 0, 1].into(), address).await;
        let greeting = client.reply().await;
        assert!(greeting.starts_with(expected), "{address}: {greeting}");
        sessions.push(client);
    }
}
