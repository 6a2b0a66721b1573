//! What the incoming webhook says about a message beside its content: who stands for it, and whether a person wrote it.

use crate::harness::{Exchanger, HookReceiver, account};
use mail::{DkimKey, DkimSigner};
use serde_json::{Value, json};
use std::sync::Arc;
use store::records::{AccountRecord, IncomingWebhook};

const ZONE: &str = "good.test TXT \"v=spf1 ip4:127.0.0.1 -all\"\n\
    bad.test TXT \"v=spf1 -all\"\n\
    _dmarc.watching.test TXT \"v=DMARC1; p=none\"\n";

/// A server that tells a receiver about the rider's mail.
async fn telling(zone: &str) -> (Exchanger, HookReceiver) {
    let hooks = HookReceiver::start().await;
    let incoming_webhook = Some(IncomingWebhook { url: hooks.url(), authorization: None });
    let rider = AccountRecord { incoming_webhook, ..account("rider") };
    (Exchanger::with(zone, |builder| builder.account(rider)).await, hooks)
}

/// What the hook says of a message with these fields.
async fn told(mx: &Exchanger, hooks: &HookReceiver, mail_from: &str, content: &str) -> Value {
    mx.take("client.test", mail_from, content).await;
    let id = mx.newest_id();
    let call = hooks.call_where(&format!("the hook of {id}"), |body| body["Meta"]["MsgID"] == id).await;
    call.json()["Meta"].clone()
}

#[tokio::test]
async fn it_tells_who_stands_for_the_message() {
    let key = DkimKey::from_pkcs8_der(&DkimKey::generate_ed25519().expect("a key")).expect("a key");
    let zone = format!("{ZONE}s._domainkey.good.test TXT \"{}\"\n", key.dns_record());
    let signer =
        DkimSigner::new("good.test".parse().expect("a domain"), "s", Arc::new(key)).expect("a selector");
    let (mx, hooks) = telling(&zone).await;
    let from = |domain: &str| format!("From: A <a@{domain}>\r\nSubject: hello\r\n\r\nhi\r\n");
    let signed = |content: &str| {
        String::from_utf8(signer.sign(content.as_bytes()).expect("a signature")).expect("ASCII") + content
    };
    let broken = signed(&from("good.test")).replace("hi\r\n", "ho\r\n");
    for (mail_from, content, mail_from_validated, msg_from_validated, verified) in [
        ("a@good.test", signed(&from("good.test")), true, true, json!(["good.test"])),
        ("a@good.test", from("good.test"), true, true, json!([])),
        ("a@good.test", from("bad.test"), true, false, json!([])),
        ("a@good.test", from("watching.test"), true, false, json!([])),
        ("a@bad.test", signed(&from("good.test")), false, true, json!(["good.test"])),
        ("a@bad.test", signed(&from("watching.test")), false, false, json!(["good.test"])),
        ("a@bad.test", broken, false, false, json!([])),
        ("a@unknown.test", from("unknown.test"), false, false, json!([])),
    ] {
        let meta = told(&mx, &hooks, mail_from, &content).await;
        assert_eq!(meta["MailFrom"], mail_from);
        assert_eq!(meta["MailFromValidated"], mail_from_validated, "{mail_from} {content}");
        assert_eq!(meta["MsgFromValidated"], msg_from_validated, "{mail_from} {content}");
        assert_eq!(meta["DKIMVerifiedDomains"], verified, "{mail_from} {content}");
    }
}

#[tokio::test]
async fn it_tells_whether_a_person_wrote_the_message() {
    let (mx, hooks) = telling(ZONE).await;
    let report = "Content-Type: multipart/report; report-type=disposition-notification; boundary=b";
    for (mail_from, field, automated) in [
        ("a@good.test", "Subject: hello", false),
        ("", "Subject: hello", true),
        ("a@good.test", "List-Id: Friends <friends.good.test>", true),
        ("a@good.test", "list-unsubscribe: <mailto:a@good.test>", true),
        ("a@good.test", "List-Unsubscribe-Post: List-Unsubscribe=One-Click", true),
        ("a@good.test", "List-Archive: <https://good.test>", false),
        ("a@good.test", "Precedence: bulk", true),
        ("a@good.test", "Auto-Submitted: auto-generated", true),
        ("a@good.test", "Auto-Submitted: auto-replied; x=y", true),
        ("a@good.test", "Auto-Submitted: no", false),
        ("a@good.test", "AUTO-SUBMITTED: No (a person)", false),
        ("", "Auto-Submitted: no", true),
        ("a@good.test", report, true),
        ("a@good.test", "Content-Type: multipart/mixed; boundary=b", false),
        ("a@good.test", "Subject: hello\r\n\r\nPrecedence: bulk", false),
    ] {
        let content = format!("From: a@good.test\r\n{field}\r\n\r\n--b\r\n\r\nhi\r\n--b--\r\n");
        let meta = told(&mx, &hooks, mail_from, &content).await;
        assert_eq!(meta["Automated"], automated, "{mail_from:?} {field}");
    }
}
