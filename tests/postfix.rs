//! Postfix, as Debian has it, takes our mail and brings us mail.

use crate::harness::{
    DnsServer, Embedded, Postfix, SmtpClient, SmtpPeer, TestCa, account, address, eventually,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

#[tokio::test]
async fn postfix_takes_a_message_with_attachments_as_it_is() {
    let ca = TestCa::new();
    let postfix = Postfix::start("postfix.test", &ca.identity(&["mx.postfix.test"])).await;
    let peer = SmtpPeer::exchanger().start().await;
    let dns = DnsServer::start(&format!(
        "postfix.test MX 10 mx.postfix.test\nmx.postfix.test A {}\nfriend.test A {}",
        postfix.ip(),
        peer.ip()
    ))
    .await;
    let server = Embedded::direct(&dns).start().await;
    let bytes: Vec<u8> =
        (0..200_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let message = json!({
        "To": [{"Address": "x@postfix.test"}, {"Address": "y@friend.test"}],
        "Subject": "Größe ☺",
        "Text": ".\n..\n.dot\nFrom here\n\nGrüße\n",
        "HTML": "<p>Grüße</p>",
        "AttachedFiles": [
            {"Name": "a.bin", "ContentType": "application/octet-stream", "Data": BASE64_STANDARD.encode(&bytes)},
            {"Name": "ü.txt", "ContentType": "text/plain", "Data": BASE64_STANDARD.encode("text\n")},
        ],
    });
    let ids = server.send_request(&message).await;
    for id in &ids {
        let fate = server.fate(*id).await;
        assert_eq!(fate.word(), "delivered", "{fate:?}\n{}", postfix.log());
    }
    let fate = server.fate(ids[0]).await;
    assert_eq!(fate.tls().map(|tls| tls.version.as_str()), Some("TLSv1.3"));
    assert_eq!((fate.host(), fate.enhanced().as_str()), ("mx.postfix.test", "2.0.0"));

    let got = String::from_utf8(postfix.message().await).expect("it was sent in ASCII");
    let sent = String::from_utf8(peer.delivery_to("y@friend.test").await.content).expect("it is ASCII");
    let sent = sent.replace("\r\n", "\n");
    // Postfix puts its own fields above those that came.
    assert!(got.ends_with(&sent), "{} bytes came, {} were sent", got.len(), sent.len());
    assert!(got.starts_with("Return-Path: <rider@localhost>\n"), "{}", &got[..200]);
}

#[tokio::test]
async fn postfix_takes_many_messages_over_few_connections() {
    let ca = TestCa::new();
    let postfix = Postfix::start("postfix.test", &ca.identity(&["mx.postfix.test"])).await;
    let dns = DnsServer::start(&format!("postfix.test A {0}\nother.test A {0}", postfix.ip())).await;
    let server = Embedded::direct(&dns)
        .settings(|settings| {
            settings.delivery.connections_per_destination_max = 1;
            settings.delivery.concurrency_start = 1;
        })
        .start()
        .await;
    for number in 0..5 {
        let fate = server.try_to(&format!("x{number}@postfix.test")).await;
        assert_eq!(fate.word(), "delivered", "{fate:?}\n{}", postfix.log());
    }
    let connects = postfix.log().lines().filter(|line| line.contains(": connect from")).count();
    // The first of them asked whether it listens.
    assert_eq!(connects, 2, "{}", postfix.log());
    let fate = server.try_to("x@other.test").await;
    assert_eq!((fate.word(), fate.code()), ("deferred", 454), "it is no relay for us: {fate:?}");
}

#[tokio::test]
async fn postfix_brings_messages_as_they_are() {
    let ca = TestCa::new();
    let mut rider = account("rider");
    rider.addresses.push(address("müller@localhost"));
    let server = Embedded::builder()
        .account(rider)
        .account(account("other"))
        .certificate(ca.identity(&["mail.example"]).certificate())
        .start()
        .await;
    let postfix = Postfix::relay(server.smtp(), &ca.identity(&["mx.relay.test"])).await;
    let mut client = SmtpClient::ready(postfix.address()).await;
    let long = "x".repeat(900) + "\r\n";
    let contents = ["Subject: small\r\n\r\n.\r\n..\r\nGrüße\r\n", &format!("\r\n{}", long.repeat(2000))];
    for content in contents {
        client.expect("MAIL FROM:<a@remote.test> BODY=8BITMIME", "250").await;
        client.expect("RCPT TO:<rider@localhost>", "250").await;
        client.expect("RCPT TO:<other@localhost>", "250").await;
        client.expect("DATA", "354").await;
        client.expect(&format!("{}.", content.replace("\r\n.", "\r\n..")), "250").await;
    }
    client.expect("MAIL FROM:<jürgen@remote.test> SMTPUTF8", "250").await;
    client.expect("RCPT TO:<müller@localhost>", "250").await;
    client.expect("DATA", "354").await;
    client.expect("Subject: Größe\r\n\r\n.", "250").await;
    for (account, count) in [("rider", 3), ("other", 2)] {
        let inbox = eventually("the messages", async || {
            let inbox = server.inbox(account);
            if inbox.len() == count { Ok(inbox) } else { Err(postfix.log()) }
        })
        .await;
        for content in contents {
            let arrived = inbox.iter().filter(|(_, bytes)| bytes.ends_with(content.as_bytes())).count();
            assert_eq!(arrived, 1, "{account}");
        }
        for (_, bytes) in &inbox {
            let header = String::from_utf8_lossy(&bytes[..300]);
            let expected = "\r\nReceived: from mx.relay.test (";
            assert!(header.contains(expected) && header.contains("SMTPS id "), "{header}");
        }
    }
    // What we refuse, Postfix takes for our last word.
    client.expect("MAIL FROM:<>", "250").await;
    client.expect("RCPT TO:<nobody@localhost>", "250").await;
    client.expect("DATA", "354").await;
    client.expect("\r\n.", "250").await;
    eventually("the refusal", async || {
        let log = postfix.log();
        let refused = log.lines().any(|line| line.contains("status=bounced") && line.contains("550 5.1.1"));
        if refused { Ok(()) } else { Err(log) }
    })
    .await;
}
