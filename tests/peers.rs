//! The peers and judges are tested themselves, so that a test that finds no fault has looked.

use crate::harness::{Action, HookAnswer, HookReceiver, PATIENCE, SmtpClient, SmtpPeer, Verb, judge};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use std::panic::catch_unwind;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

#[tokio::test]
async fn the_smtp_peer_records_what_it_is_given() {
    let peer = SmtpPeer::accepting().await;
    let mut client = SmtpClient::ready(peer.address()).await;
    client.envelope("a@here.example", &["b@there.example", "c@there.example"]).await;
    client.write(b"Message-ID: <1@here.example>\r\nSubject: two\r\n lines\r\n\r\n..dot\r\n.\r\n").await;
    assert_eq!(client.reply().await, "250 2.0.0 accepted");
    let delivery = peer.delivery_to("c@there.example").await;
    assert_eq!(delivery.mail, "<a@here.example>");
    assert_eq!(delivery.recipients, ["b@there.example", "c@there.example"]);
    assert_eq!(delivery.message_id(), "<1@here.example>");
    assert_eq!(delivery.header("subject").unwrap(), "two lines");
    assert_eq!(delivery.body(), b".dot\r\n");
    assert_eq!((delivery.connection, peer.connections()), (0, 1));
}

#[tokio::test]
async fn the_smtp_peer_follows_its_script() {
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::Rcpt if moment.line.contains("<no@") => Action::Reply("550 5.1.1 no"),
        Verb::EndOfData => Action::ReplyAndClose("451 4.3.0 later"),
        _ => Action::Usual,
    })
    .await;
    let mut client = SmtpClient::ready(peer.address()).await;
    client.expect("MAIL FROM:<a@here.example>", "250").await;
    client.expect("RCPT TO:<no@there.example>", "550 5.1.1 no").await;
    client.expect("DATA", "554").await;
    client.expect("RCPT TO:<yes@there.example>", "250").await;
    client.expect("DATA", "354").await;
    client.write(b"\r\n.\r\n").await;
    assert_eq!(client.reply().await, "451 4.3.0 later");
    assert_eq!(client.reply().await, "", "the connection is closed");
    assert!(peer.deliveries().is_empty());
}

#[tokio::test]
async fn the_hook_receiver_answers_several_calls_on_one_connection() {
    let receiver = HookReceiver::scripted(|call| HookAnswer::Status(call.body[0].into())).await;
    let address = receiver.url().trim_start_matches("http://").trim_end_matches("/hook").to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    for body in [b"\xc8", b"\xc9"] {
        stream.write_all(b"POST /hook HTTP/1.1\r\nhost: x\r\nContent-Length: 1\r\n\r\n").await.unwrap();
        stream.write_all(body).await.unwrap();
        let wanted = format!("HTTP/1.1 {} Scripted\r\nContent-Length: 6\r\n\r\nthanks", body[0]);
        let mut answer = vec![0; wanted.len()];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), wanted);
    }
    let calls = receiver.calls();
    assert_eq!(calls.iter().map(|call| call.body[0]).collect::<Vec<_>>(), [200, 201]);
    assert_eq!(
        (calls[0].method.as_str(), calls[0].path.as_str(), calls[0].header("Host")),
        ("POST", "/hook", "x")
    );
}

#[test]
fn the_judge_of_mime_sees_faults() {
    let good = "From: A <a@b.example>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@b.example>\r\n\
                MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhi\r\n";
    let case = |content: &str, text: &str, from: &str| {
        json!({"content": BASE64_STANDARD.encode(content), "expected": {
            "headers": {"from": [[from, "a@b.example"]]},
            "absent": ["bcc"],
            "body": {"type": "text/plain", "text": text},
        }})
    };
    judge("check_mime.py", &case(good, "hi", "A"));
    let faults = [
        case(good, "ho", "A"),
        case(good, "hi", "B"),
        case(&good.replace("hi", "hi\nho"), "hi\nho", "A"),
        case(&good.replace("hi", &"x".repeat(999)), &"x".repeat(999), "A"),
        case(&good.replace("From", "Bcc: c@b.example\r\nFrom"), "hi", "A"),
        case(&good.replace("Date", "From: A <a@b.example>\r\nDate"), "hi", "A"),
    ];
    for fault in faults {
        assert!(catch_unwind(|| judge("check_mime.py", &fault)).is_err(), "{fault}");
    }
}

#[test]
fn the_judge_of_signatures_sees_faults() {
    // The example of the Standard Webhooks specification is too old to be accepted; so is a made-up one.
    let case = json!({
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "headers": {"webhook-id": "1", "webhook-timestamp": "1614265330", "webhook-signature": "v1,AAAA"},
        "body": BASE64_STANDARD.encode("{}"),
    });
    for script in ["check_webhook.py", "check_webhook.js"] {
        assert!(catch_unwind(|| judge(script, &case)).is_err(), "{script}");
    }
    let unsigned = json!({"content": BASE64_STANDARD.encode("From: a@b.example\r\n\r\nhi\r\n"),
        "record": "v=DKIM1; k=ed25519; p=", "name": "s._domainkey.b.example", "signed": []});
    assert!(catch_unwind(|| judge("check_dkim.py", &unsigned)).is_err());
}
