//! The main job: one call sends a message, webhooks tell what became of it, and of what arrived.

use crate::harness::{Answer, HookReceiver, Sent, Server, message};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_message_arrives_and_both_webhooks_tell_of_it() {
    let (outgoing, incoming) = (HookReceiver::start().await, HookReceiver::start().await);
    let server = Server::builder().outgoing_webhook(&outgoing).incoming_webhook(&incoming).start().await;
    let sent = server
        .send(&json!({
            "From": [{"Name": "Rider ☺", "Address": "rider@localhost"}],
            "To": [{"Name": "A Friend", "Address": "friend@remote.example"}],
            "ReplyTo": [{"Address": "answers@localhost"}],
            "References": ["<first@remote.example>", "<second@remote.example>"],
            "Date": "2024-02-29T12:30:00+01:00",
            "Subject": "Grüße",
            "Text": "hi ☺\n.\nbye\n",
            "HTML": "<p>hi ☺</p>\n",
            "Extra": {"Order": "4711", "Größe": "XL ☺"},
            "Headers": [["X-Campaign", "spring"]],
        }))
        .await;
    assert!(sent.message_id.starts_with('<') && sent.message_id.ends_with('>'), "{sent:?}");
    assert_eq!(sent.submissions[0].address, "friend@remote.example");
    let from_id = &sent.submissions[0].from_id;
    assert!(from_id.len() >= 20, "at least 96 random bits: {from_id}");
    assert!(from_id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{from_id}");

    let mut event = outgoing.event("delivered", sent.queue_id()).await;
    let queued = event["WebhookQueued"].take();
    assert!(queued.as_str().is_some_and(|time| time.starts_with("20") && time.contains('T')), "{queued}");
    assert!(event["Error"].take().is_string());
    event["SMTPEnhancedCode"]
        .as_str()
        .filter(|code| code.is_empty() || code.starts_with("2."))
        .expect("class 2");
    event["SMTPEnhancedCode"] = Value::Null;
    assert_eq!(
        event,
        json!({
            "Version": 0,
            "Event": "delivered",
            "DSN": false,
            "Suppressing": false,
            "QueueMsgID": sent.queue_id(),
            "FromID": from_id,
            "MessageID": sent.message_id,
            "Subject": "Grüße",
            "WebhookQueued": null,
            "SMTPCode": 250,
            "SMTPEnhancedCode": null,
            "Error": null,
            "Extra": {"Order": "4711", "Größe": "XL ☺"},
            "Recipient": "friend@remote.example",
            "Account": "rider",
            "Attempt": 1,
        })
    );

    let arrived =
        incoming.call_where("the message", |body| body["MessageID"] == sent.message_id).await.json();
    assert_eq!(
        keys(&arrived),
        BTreeSet::from([
            "Version",
            "From",
            "To",
            "CC",
            "BCC",
            "ReplyTo",
            "Subject",
            "MessageID",
            "InReplyTo",
            "References",
            "Date",
            "Text",
            "HTML",
            "Structure",
            "Meta",
        ])
    );
    assert_eq!(arrived["Version"], 0);
    assert_eq!(arrived["From"], json!([{"Name": "Rider ☺", "Address": "rider@localhost"}]));
    assert_eq!(arrived["To"], json!([{"Name": "A Friend", "Address": "friend@remote.example"}]));
    assert_eq!(arrived["ReplyTo"], json!([{"Name": "", "Address": "answers@localhost"}]));
    assert_eq!((&arrived["CC"], &arrived["BCC"]), (&json!([]), &json!([])));
    assert_eq!(arrived["Subject"], "Grüße");
    assert_eq!(arrived["InReplyTo"], "<second@remote.example>");
    assert_eq!(arrived["References"], json!(["<first@remote.example>", "<second@remote.example>"]));
    assert!(
        ["2024-02-29T12:30:00+01:00", "2024-02-29T11:30:00Z"].contains(&arrived["Date"].as_str().unwrap()),
        "{}",
        arrived["Date"]
    );
    assert_eq!(arrived["Text"].as_str().unwrap().trim_end(), "hi ☺\n.\nbye");
    assert_eq!(arrived["HTML"].as_str().unwrap().trim_end(), "<p>hi ☺</p>");
    let structure = &arrived["Structure"];
    assert_eq!(
        keys(structure),
        BTreeSet::from([
            "ContentType",
            "ContentTypeParams",
            "ContentID",
            "ContentDisposition",
            "Filename",
            "DecodedSize",
            "Parts",
        ])
    );
    assert_eq!(structure["ContentType"], "multipart/alternative");
    let types: Vec<_> =
        structure["Parts"].as_array().unwrap().iter().map(|part| &part["ContentType"]).collect();
    assert_eq!(types, ["text/plain", "text/html"]);

    let mut meta = arrived["Meta"].clone();
    let id = meta["MsgID"].take();
    assert!(meta["Received"].take().as_str().is_some_and(|time| time.contains('T')));
    assert_eq!(
        meta,
        json!({
            "MsgID": null,
            "MailFrom": format!("rider+{from_id}@localhost"),
            "MailFromValidated": meta["MailFromValidated"],
            "MsgFromValidated": meta["MsgFromValidated"],
            "RcptTo": "friend@remote.example",
            "DKIMVerifiedDomains": meta["DKIMVerifiedDomains"],
            "RemoteIP": "127.0.0.1",
            "Received": null,
            "MailboxName": "Inbox",
            "Automated": false,
        })
    );
    assert!(meta["MailFromValidated"].is_boolean() && meta["MsgFromValidated"].is_boolean());
    assert!(meta["DKIMVerifiedDomains"].is_array());

    the_message_can_be_got(&server, &sent, &id, &arrived).await;
}

async fn the_message_can_be_got(server: &Server, sent: &Sent, id: &Value, arrived: &Value) {
    let got = server.ok("MessageGet", &json!({"MsgID": id})).await;
    assert_eq!(keys(&got), BTreeSet::from(["Message", "Structure", "Meta"]));
    let message = &got["Message"];
    assert_eq!(
        keys(message),
        BTreeSet::from([
            "From",
            "To",
            "CC",
            "BCC",
            "ReplyTo",
            "MessageID",
            "References",
            "Date",
            "Subject",
            "Text",
            "HTML",
        ])
    );
    for name in keys(message) {
        assert_eq!(message[name], arrived[name], "{name}");
    }
    assert_eq!(got["Structure"], arrived["Structure"]);
    let meta = &got["Meta"];
    assert_eq!(
        keys(meta),
        BTreeSet::from([
            "Size",
            "DSN",
            "Flags",
            "MailFrom",
            "MailFromValidated",
            "RcptTo",
            "MsgFrom",
            "MsgFromValidated",
            "DKIMVerifiedDomains",
            "RemoteIP",
            "MailboxName",
        ])
    );
    assert_eq!((&meta["DSN"], &meta["Flags"]), (&json!(false), &json!([])));
    assert_eq!((&meta["MsgFrom"], &meta["MailboxName"]), (&json!("rider@localhost"), &json!("Inbox")));
    for name in ["MailFrom", "RcptTo", "RemoteIP", "MailFromValidated", "MsgFromValidated"] {
        assert_eq!(meta[name], arrived["Meta"][name], "{name}");
    }

    let raw = server.call("MessageRawGet", &json!({"MsgID": id})).await;
    assert_eq!(raw.status, 200);
    assert!(raw.header("content-type").starts_with("text/plain"), "{:?}", raw.headers);
    assert_eq!(meta["Size"], raw.body.len());
    let text = raw.text();
    let (header, _) = text.split_once("\r\n\r\n").expect("a header has an end");
    assert!(header.contains(&format!("\r\nMessage-ID: {}", sent.message_id)), "{header}");
    assert!(header.contains("\r\nX-Campaign: spring"), "{header}");
    assert!(header.contains("DKIM-Signature: "), "{header}");
    assert!(!header.contains("4711"), "Extra is not sent: {header}");

    for method in ["MessageGet", "MessageRawGet"] {
        let missing = server.call(method, &json!({"MsgID": 1_000_000})).await;
        assert_eq!((missing.status, missing.code().as_str()), (400, "messageNotFound"), "{method}");
    }
}

#[tokio::test]
async fn the_call_that_the_server_shows_at_its_start_works() {
    let incoming = HookReceiver::start().await;
    let server = Server::builder().incoming_webhook(&incoming).start().await;
    let call: Vec<_> =
        server.greeting_lines().iter().skip_while(|line| !line.contains("curl ")).cloned().collect();
    let curl = tokio::task::spawn_blocking(move || {
        let script = format!("{} --silent --show-error --fail", call.join("\n"));
        std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell")
    });
    let output = curl.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sent: Sent = serde_json::from_slice(&output.stdout).expect("the result of Send");
    incoming.call_where("the message", |body| body["MessageID"] == sent.message_id).await;
}

#[tokio::test]
async fn a_multipart_form_does_as_well() {
    let server = Server::start().await;
    let body = crate::harness::Multipart::default().text("request", &message().to_string()).body();
    let request = server
        .request("POST", "/webapi/v0/Send")
        .basic_auth(crate::harness::USER, Some(crate::harness::PASSWORD))
        .header("Content-Type", crate::harness::Multipart::content_type())
        .body(body);
    let answer = Answer::of(request).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
}
