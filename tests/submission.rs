//! Sessions of submission: clients that vanish, certificates that change, TLS sessions that are resumed.

use crate::harness::{Embedded, Identity, PASSWORD, Site, SmtpClient, TestCa, USER, account, eventually};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::process::Signal;
use rustls::{HandshakeKind, version::TLS13};
use std::{collections::HashMap, sync::Arc};
use tokio::io::AsyncReadExt;

const NAME: &str = "mail.example.com";

fn plain(user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("\0{user}\0{password}"))
}

fn message(subject: &str) -> String {
    format!("From: {USER}\r\nTo: {USER}\r\nSubject: {subject}\r\n\r\nhi\r\n")
}

#[tokio::test]
async fn clients_that_vanish_at_any_stage_leave_nothing_twice_and_lose_nothing_acknowledged() {
    let identity = Identity::self_signed(&[NAME]);
    let server =
        Embedded::builder().certificate(identity.certificate()).account(account("rider")).start().await;
    let tls = identity.trusting(&[&TLS13]);
    let begin = async || {
        let client = SmtpClient::open([127, 0, 0, 1].into(), server.submissions()).await;
        let mut client = client.secure(NAME, tls.clone()).await.expect("TLS");
        assert!(client.reply().await.starts_with("220"));
        client
    };
    let stages = |subject: &str| {
        [
            "EHLO client.example\r\n".to_owned(),
            format!("AUTH PLAIN {}\r\n", plain(USER, PASSWORD)),
            format!("MAIL FROM:<{USER}>\r\n"),
            format!("RCPT TO:<{USER}>\r\n"),
            "DATA\r\n".to_owned(),
            message(subject),
            ".\r\n".to_owned(),
        ]
    };
    // In the middle of each stage, at its end, and at its end without reading the answer.
    let total = stages("x").len();
    for stage in 0..total {
        for (vanish, half, reads) in [("half", true, false), ("sent", false, false), ("told", false, true)] {
            let subject = format!("{stage}-{vanish}");
            let mut client = begin().await;
            for (number, text) in stages(&subject).iter().enumerate().take(stage + 1) {
                let last = number == stage;
                let sent = if last && half { &text[..text.len() / 2] } else { text };
                client.write(sent.as_bytes()).await;
                let is_content = number == total - 2;
                if !is_content && (!last || reads) {
                    let said = client.reply().await;
                    assert!(said.starts_with(['2', '3']), "{subject} {number}: {said}");
                }
            }
            drop(client);
        }
    }
    // Sessions end in their order where they are few; this one is the last to begin.
    let mut client = begin().await;
    for text in &stages("last")[..5] {
        client.write(text.as_bytes()).await;
        client.reply().await;
    }
    client.expect(&format!("{}.", message("last")), "250 2.6.0").await;

    let acknowledged = [format!("{}-told", total - 1), "last".to_owned()];
    let unanswered = format!("{}-sent", total - 1);
    let subjects = eventually("all that was acknowledged", async || {
        let mut subjects = HashMap::new();
        for (_, content) in server.inbox("rider") {
            let text = String::from_utf8_lossy(&content).into_owned();
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).expect("a subject");
            *subjects.entry(subject.to_owned()).or_insert(0) += 1;
        }
        match acknowledged.iter().all(|subject| subjects.contains_key(subject)) {
            true => Ok(subjects),
            false => Err(format!("{subjects:?}")),
        }
    });
    for (subject, count) in subjects.await {
        assert_eq!(count, 1, "{subject}");
        assert!(acknowledged.contains(&subject) || subject == unanswered, "{subject} was never sent whole");
    }
}

#[tokio::test]
async fn a_hangup_shows_another_certificate_and_open_sessions_go_on() {
    let site = Site::new(&format!(
        "hostname = \"{NAME}\"\n[dns]\nnameservers = [\"127.0.0.1:1\"]\n\
         [tls]\ncert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n\
         [[smtp]]\naddress = \"127.0.0.1:0\"\nrole = \"submission\"\n\
         [[smtp]]\naddress = \"127.0.0.1:0\"\nrole = \"submissions\"\n"
    ));
    let (old, new) = (TestCa::new(), TestCa::new());
    let (old_identity, new_identity) = (old.identity(&[NAME]), new.identity(&[NAME]));
    site.write_identity(&old_identity);
    site.ok(&["domain", "add", "example.com"]);
    site.ok_with(&["account", "add", "app", "--address", "app@example.com"], "correct horse\n");
    let mut serve = site.serve().await;
    let (submission, submissions) = (serve.address("submission"), serve.address("submissions"));
    let secure = async |tls: &Arc<rustls::ClientConfig>| {
        SmtpClient::open([127, 0, 0, 1].into(), submissions).await.secure(NAME, tls.clone()).await
    };
    let old_tls = old_identity.trusting(&[&TLS13]);
    let mut session = secure(&old_tls).await.expect("TLS");
    assert!(session.reply().await.starts_with("220"));
    session.expect("EHLO client.example", "250").await;
    session.expect(&format!("AUTH PLAIN {}", plain("app@example.com", "correct horse")), "235").await;
    let mut clear = SmtpClient::ready(submission).await;
    let mut again = secure(&old_tls).await.expect("TLS");
    assert!(again.reply().await.starts_with("220"));
    assert_eq!(again.stream().get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));

    site.write_identity(&new_identity);
    serve.signal(Signal::HUP);
    serve.told("RELOADING=1").await;
    serve.told("READY=1").await;
    let new_tls = new_identity.trusting(&[&TLS13]);
    assert!(secure(&old_tls).await.is_err(), "neither its ticket nor its certificate is good any more");
    let mut fresh = secure(&new_tls).await.expect("TLS with the new certificate");
    assert!(fresh.reply().await.starts_with("220"));
    clear.expect("STARTTLS", "220").await;
    clear.secure(NAME, new_tls).await.expect("TLS with the new certificate");
    session.envelope("app@example.com", &["app@example.com"]).await;
    let text = "From: app@example.com\r\nTo: app@example.com\r\n\r\nhi\r\n.";
    session.expect(text, "250 2.6.0").await;
    assert!(serve.terminate().await.success());
}

#[tokio::test]
async fn a_handshake_that_fails_costs_only_its_connection() {
    let identity = Identity::self_signed(&[NAME]);
    let server =
        Embedded::builder().certificate(identity.certificate()).account(account("rider")).start().await;
    for garbage in [&b"EHLO client.example\r\n"[..], b"\x16\x03\x01\x00\x01\x00", b""] {
        let mut client = SmtpClient::open([127, 0, 0, 1].into(), server.submissions()).await;
        client.write(garbage).await;
        drop(client);
    }
    let stranger = Identity::self_signed(&[NAME]).trusting(&[&TLS13]);
    let client = SmtpClient::open([127, 0, 0, 1].into(), server.submissions()).await;
    assert!(client.secure(NAME, stranger).await.is_err());
    let client = SmtpClient::open([127, 0, 0, 1].into(), server.submissions()).await;
    let mut client = client.secure(NAME, identity.trusting(&[&TLS13])).await.expect("TLS");
    assert!(client.reply().await.starts_with("220"));
}

/// Nobody's TLS library speaks it any more without a fight: a greeting of TLS 1.1 by hand.
#[tokio::test]
async fn tls_before_1_2_is_refused() {
    let identity = Identity::self_signed(&[NAME]);
    let server =
        Embedded::builder().certificate(identity.certificate()).account(account("rider")).start().await;
    // Two cipher suites, no compression, and signature_algorithms.
    let offers = b"\0\0\x04\xc0\x13\0\x2f\x01\0\0\x08\0\x0d\0\x04\0\x02\x04\x01";
    let hello = [&b"\x03\x02"[..], &[7; 32], offers].concat();
    let record = [b"\x16\x03\x01\0\x39\x01\0\0\x35", &hello[..]].concat();
    let mut client = SmtpClient::open([127, 0, 0, 1].into(), server.submissions()).await;
    client.write(&record).await;
    let mut alert = Vec::new();
    client.into_stream().read_to_end(&mut alert).await.expect("the server closes");
    // A fatal alert: protocol_version (RFC 5246, 7.2.2).
    assert_eq!((alert.first(), &alert[3..]), (Some(&0x15), &[0, 2, 2, 70][..]));
}
