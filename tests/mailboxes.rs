//! Messages in mailboxes over the webapi, row by row of the contract.

use crate::harness::{Embedded, HookReceiver, PASSWORD, Server, account, message};
use serde_json::{Value, json};

/// A server whose rider has a copy of a sent message as message 1.
async fn start() -> Server {
    let server = Server::start().await;
    let mut request = message();
    request["SaveSent"] = json!(true);
    request["BCC"] = json!([{"Name": "Hidden", "Address": "hidden@remote.example"}]);
    request["AttachedFiles"] = json!([{"Name": "a.bin", "ContentType": "application/x-a", "Data": "AP8Q"}]);
    server.send(&request).await;
    server
}

async fn code(server: &Server, method: &str, request: Value) -> String {
    let answer = server.call(method, &request).await;
    assert_eq!(answer.status, 400, "{method} {request}: {}", answer.text());
    answer.code()
}

#[tokio::test]
async fn a_sent_copy_is_read_flagged_and_has_its_bcc_in_front() {
    let server = start().await;
    let got = server.ok("MessageGet", &json!({"MsgID": 1})).await;
    assert_eq!(got["Message"]["BCC"], json!([{"Name": "Hidden", "Address": "hidden@remote.example"}]));
    assert_eq!(
        got["Meta"],
        json!({
            "Size": got["Meta"]["Size"], "DSN": false, "Flags": ["\\seen"], "MailFrom": "",
            "MailFromValidated": false, "RcptTo": "", "MsgFrom": "rider@localhost", "MsgFromValidated": false,
            "DKIMVerifiedDomains": [], "RemoteIP": "", "MailboxName": "Sent",
        })
    );
    let raw = server.call("MessageRawGet", &json!({"MsgID": 1})).await;
    assert_eq!((raw.status, raw.header("content-type")), (200, "text/plain"));
    assert!(raw.text().starts_with("Bcc: \"Hidden\" <hidden@remote.example>\r\n"), "{}", raw.text());
    assert_eq!(got["Meta"]["Size"], raw.body.len());
}

#[tokio::test]
async fn parts_come_decoded_and_as_the_structure_says() {
    let server = start().await;
    let structure = server.ok("MessageGet", &json!({"MsgID": 1})).await["Structure"].clone();
    let parts = structure["Parts"].as_array().unwrap();
    for (index, content_type, body) in
        [(0, "text/plain", "hi ☺\r\n".as_bytes()), (1, "application/x-a", b"\x00\xff\x10")]
    {
        let request = json!({"MsgID": 1, "PartPath": [index]});
        let answer = server.call("MessagePartGet", &request).await;
        assert_eq!((answer.status, &*answer.body), (200, body), "{index}");
        assert!(answer.header("content-type").starts_with(content_type), "{index}");
        assert_eq!(parts[index]["ContentType"], content_type);
        assert_eq!(parts[index]["DecodedSize"], body.len());
    }
    let whole = server.call("MessagePartGet", &json!({"MsgID": 1, "PartPath": []})).await;
    let raw = server.call("MessageRawGet", &json!({"MsgID": 1})).await.text();
    assert_eq!(whole.text(), raw.split_once("\r\n\r\n").unwrap().1);
    for path in [json!([2]), json!([0, 0]), json!([-1]), json!([9_223_372_036_854_775_807_i64])] {
        let request = json!({"MsgID": 1, "PartPath": path});
        assert_eq!(code(&server, "MessagePartGet", request).await, "partNotFound", "{path}");
    }
}

#[tokio::test]
async fn flags_and_mailboxes_change_as_told_and_stay_after_a_restart() {
    let mut server = start().await;
    let flags = |flags: Value| json!({"MsgID": 1, "Flags": flags});
    for (method, given, expected) in [
        (
            "MessageFlagsAdd",
            json!(["\\Flagged", "ToDo", "$Forwarded"]),
            json!(["$forwarded", "\\flagged", "\\seen", "todo"]),
        ),
        ("MessageFlagsAdd", json!(["todo"]), json!(["$forwarded", "\\flagged", "\\seen", "todo"])),
        ("MessageFlagsRemove", json!(["TODO", "\\seen", "absent"]), json!(["$forwarded", "\\flagged"])),
        ("MessageFlagsRemove", json!(["todo"]), json!(["$forwarded", "\\flagged"])),
    ] {
        assert_eq!(server.ok(method, &flags(given.clone())).await, json!({}));
        let got = server.ok("MessageGet", &json!({"MsgID": 1})).await;
        assert_eq!(got["Meta"]["Flags"], expected, "{method} {given}");
    }
    for bad in [json!(["\\Recent"]), json!(["a b"]), json!([""]), json!(["ü"]), json!(["a*"])] {
        for method in ["MessageFlagsAdd", "MessageFlagsRemove"] {
            assert_eq!(code(&server, method, flags(bad.clone())).await, "user", "{method} {bad}");
        }
    }
    let many: Vec<_> = (0..101).map(|number| format!("k{number}")).collect();
    assert_eq!(code(&server, "MessageFlagsAdd", flags(json!(many))).await, "user");
    for method in ["MessageFlagsAdd", "MessageFlagsRemove"] {
        assert_eq!(code(&server, method, flags(json!(vec!["x"; 1_001]))).await, "user", "{method}");
    }

    for name in ["Inbox", "Archive", "Trash", "Drafts", "Junk", "Sent"] {
        let request = json!({"MsgID": 1, "DestMailboxName": name});
        assert_eq!(server.ok("MessageMove", &request).await, json!({}), "{name}");
        assert_eq!(code(&server, "MessageMove", request).await, "user", "it is in {name} already");
    }
    for name in ["Nowhere", "sent", ""] {
        let request = json!({"MsgID": 1, "DestMailboxName": name});
        assert_eq!(code(&server, "MessageMove", request).await, "user", "{name:?}");
    }
    let before = server.ok("MessageGet", &json!({"MsgID": 1})).await;
    server.terminate().await;
    server.restart().await;
    assert_eq!(server.ok("MessageGet", &json!({"MsgID": 1})).await, before);
}

const METHODS: [&str; 7] = [
    "MessageGet",
    "MessageRawGet",
    "MessagePartGet",
    "MessageDelete",
    "MessageFlagsAdd",
    "MessageFlagsRemove",
    "MessageMove",
];

#[tokio::test]
async fn a_message_that_was_deleted_or_never_was_is_not_found() {
    let server = start().await;
    assert_eq!(server.ok("MessageDelete", &json!({"MsgID": 1})).await, json!({}));
    for method in METHODS {
        for id in [json!(1), json!(0), json!(-1), json!(999_999), json!(i64::MAX), json!(null)] {
            let mut request = json!({"MsgID": id});
            if method == "MessageMove" {
                request["DestMailboxName"] = json!("Trash");
            }
            assert_eq!(code(&server, method, request).await, "messageNotFound", "{method} {id}");
        }
        for request in [
            json!({"MsgID": "1"}),
            json!({"MsgID": 1.5}),
            json!({"MsgID": 18_446_744_073_709_551_615_u64}),
            json!({"Id": 1}),
        ] {
            assert_eq!(code(&server, method, request.clone()).await, "protocol", "{method} {request}");
        }
    }
}

#[tokio::test]
async fn messages_of_other_accounts_are_not_found_and_not_changed() {
    let receiver = HookReceiver::start().await;
    let mut rider = account("rider");
    rider.incoming_webhook =
        Some(store::records::IncomingWebhook { url: receiver.url(), authorization: None });
    let server = Embedded::builder().account(rider).account(account("other")).start().await;
    let mut request = message();
    request["To"] = json!([{"Address": "rider@localhost"}]);
    server.api().ok("Send", &request).await;
    let arrived = receiver.call_where("the message", |body| body["Subject"] == "hello").await.json();
    let id = &arrived["Meta"]["MsgID"];
    let before = server.api().ok("MessageGet", &json!({"MsgID": id})).await;
    let other = server.api().login("other@localhost", PASSWORD);
    for method in METHODS {
        let mut request = json!({"MsgID": id});
        match method {
            "MessageMove" => request["DestMailboxName"] = json!("Trash"),
            "MessageFlagsAdd" => request["Flags"] = json!(["\\seen"]),
            _ => {}
        }
        let answer = other.call(method, &request).await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (400, "messageNotFound"), "{method}");
    }
    assert_eq!(server.api().ok("MessageGet", &json!({"MsgID": id})).await, before);
}
