//! Messages for servers without 8BITMIME, judged by other people's implementations.

use crate::harness::{Embedded, SmtpPeer, account, domain, eventually, judge};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use mail::{Address, DkimKey, DkimSigner, Domain, QueueId, ReversePath};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{
    NewRecipient, SentCopy, Submission,
    records::{ContentRecord, DkimKeyRecord, DomainRecord},
};

const HEADER: &str = "From: rider@sender.example\r\nTo: x@remote.example\r\nSubject: eight bits\r\n\
    Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\nMIME-Version: 1.0\r\n";

/// The message behind its header, and how many parts it has for Python.
const BODIES: [(&str, usize); 5] = [
    (
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngrüne Soße, \r\n.\r\n=3D\r\n",
        1,
    ),
    (
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nзелёный соус\r\n\r\n\r\n",
        1,
    ),
    (
        "Content-Type: text/html; charset=\"utf-8\"\r\nContent-Transfer-Encoding: binary\r\n\r\n<p>ü = ☺</p>\r\n",
        1,
    ),
    (
        "Content-Type: multipart/mixed; boundary=\"b 1\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n\
         --b 1\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n\
         --b2\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nschön\r\n\
         --b2\r\nContent-Type: text/html; charset=us-ascii\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>plain</p>\r\n\
         --b2--\r\n\
         --b 1\r\nContent-Type: application/x-thing; name=\"t.bin\"\r\nContent-Disposition: attachment;\r\n filename=t.bin\r\n\
         Content-Transfer-Encoding: binary\r\n\r\nÀÁÂ\r\n\r\nÃ\r\n\
         --b 1--\r\n",
        5,
    ),
    (
        "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: first\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nerste Größe\r\n\
         --d\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: second\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nzweite Größe\r\n\
         --d--\r\n",
        5,
    ),
];

#[test]
fn a_converted_message_says_the_same_and_bears_a_signature_that_holds() {
    let domain = Domain::parse("sender.example").unwrap();
    let key = Arc::new(DkimKey::from_pkcs8_der(&DkimKey::generate_ed25519().unwrap()).unwrap());
    let signer = DkimSigner::new(domain, "s1", key.clone()).unwrap();
    for (body, parts) in BODIES {
        let message = format!("{HEADER}{body}");
        let signature = signer.sign(message.as_bytes()).unwrap();
        let sent = Bytes::from([b"Received: from x by y\r\n".to_vec(), signature, message.into()].concat());
        let converted = actors::seven_bit(&sent, std::slice::from_ref(&signer)).unwrap();
        judge(
            "check_seven_bit.py",
            &json!({
                "before": BASE64_STANDARD.encode(&sent),
                "after": BASE64_STANDARD.encode(&converted),
                "parts": parts,
            }),
        );
        judge(
            "check_dkim.py",
            &json!({
                "content": BASE64_STANDARD.encode(&converted),
                "name": "s1._domainkey.sender.example",
                "record": key.dns_record(),
                "signed": ["From", "To", "Subject", "Content-Type", "Content-Transfer-Encoding"],
            }),
        );
        let text = String::from_utf8(converted.to_vec()).expect("it is ASCII");
        assert_eq!(text.matches("DKIM-Signature").count(), 1, "the signature that no longer holds is gone");
    }
}

const TO: &str = "x@remote.example";

/// A server that delivers to a peer without 8BITMIME, and the public half of the key that it signs with.
async fn start() -> (Embedded, SmtpPeer, String) {
    start_signing_for("localhost").await
}

async fn start_signing_for(name: &str) -> (Embedded, SmtpPeer, String) {
    let peer = SmtpPeer::builder().extensions(&["PIPELINING", "SIZE"]).start().await;
    let pkcs8 = DkimKey::generate_ed25519().expect("a key");
    let public = DkimKey::from_pkcs8_der(&pkcs8).expect("a key").dns_record();
    let dkim = vec![DkimKeyRecord { selector: "s1".into(), pkcs8 }];
    let server = Embedded::builder()
        .domain(DomainRecord { dkim, ..domain(name) })
        .account(account("rider"))
        .deliver_to(&peer)
        .start()
        .await;
    (server, peer, public)
}

/// A message with a message in it, which goes as it is.
fn forwarding(inner: &str) -> Value {
    json!({
        "To": [{"Address": TO}],
        "Subject": "forwarded",
        "Text": "see below",
        "SaveSent": true,
        "AttachedFiles": [{
            "Name": "inner.eml", "ContentType": "message/rfc822", "Data": BASE64_STANDARD.encode(inner),
        }],
    })
}

#[tokio::test]
async fn a_message_for_a_server_without_8bitmime_is_converted_and_signed_again() {
    let (server, peer, record) = start().await;
    let inner = "Subject: inner\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: 8bit\r\n\r\ngrüne Soße\r\n";
    server.api().ok("Send", &forwarding(inner)).await;
    let delivery = peer.delivery_to(TO).await;
    assert!(!delivery.mail.contains("8BITMIME"), "{}", delivery.mail);
    let sent = server.api().call("MessageRawGet", &json!({"MsgID": 1})).await.unwrap().body;
    assert!(!sent.is_ascii());
    judge(
        "check_seven_bit.py",
        &json!({
            "before": BASE64_STANDARD.encode(&sent),
            "after": BASE64_STANDARD.encode(&delivery.content),
            "parts": 4,
        }),
    );
    judge(
        "check_dkim.py",
        &json!({
            "content": BASE64_STANDARD.encode(&delivery.content),
            "name": "s1._domainkey.localhost",
            "record": record,
            "signed": ["From", "To", "Subject", "Date", "Message-ID", "Content-Type"],
        }),
    );
}

#[tokio::test]
async fn a_converted_message_is_signed_for_its_author_whatever_its_return_path() {
    let (server, peer, record) = start_signing_for("sender.example").await;
    let handles = &server.app().handles;
    let account = handles.store.directory().accounts().next().expect("the rider").id;
    let address = |text: &str| Address::parse(text).expect("an address");
    let content = Bytes::from(format!("{HEADER}{}", BODIES[0].0));
    let recipient = NewRecipient {
        address: address(TO),
        mail_from: ReversePath::Address(address("rider@localhost")),
        from_id: None,
        destination: "remote.example".into(),
        notify: None,
        original_recipient: None,
        once: None,
    };
    let submission = Submission {
        account,
        now: handles.clock.now(),
        size: content.len() as u64,
        content: ContentRecord::Inline(content),
        recipients: vec![recipient],
        message_id: "<1@sender.example>".into(),
        subject: "eight bits".into(),
        transport: None,
        require_tls: None,
        future_release: None,
        extra: Default::default(),
        eight_bit: true,
        smtputf8: false,
        sent_copy: SentCopy::Unwanted,
        msg_from: address("rider@sender.example"),
        envid: None,
        ret: None,
        repeatable: None,
    };
    handles.writer.accept(submission).await.expect("it is queued");
    let delivery = peer.delivery_to(TO).await;
    judge(
        "check_dkim.py",
        &json!({
            "content": BASE64_STANDARD.encode(&delivery.content),
            "name": "s1._domainkey.sender.example",
            "record": record,
            "signed": ["From", "To", "Subject", "Date", "Message-ID", "Content-Type"],
        }),
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_converted_fails_and_says_why() {
    let (server, peer, _) = start().await;
    server.api().ok("Send", &forwarding("Subject: größer\r\n\r\nhi\r\n")).await;
    let store = server.app().handles.store.clone();
    let retired = eventually("the failure", async || {
        let retired = store.read(|view| view.retired_message(QueueId(1))).expect("the store can be read");
        retired.ok_or_else(|| "it is still queued".to_owned())
    })
    .await;
    let result = &retired.message.attempts[0].result;
    assert_eq!(result.enhanced().unwrap().to_string(), "5.6.3");
    assert!(result.error().contains("a header field has octets above 127"), "{}", result.error());
    assert_eq!(retired.message.attempts.len(), 1);
    assert!(peer.deliveries().is_empty());
}
