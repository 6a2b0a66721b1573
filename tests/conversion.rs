//! Messages for servers without 8BITMIME, judged by other people's implementations.

use crate::harness::judge;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use mail::{DkimKey, DkimSigner, Domain};
use serde_json::json;
use std::sync::Arc;

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
