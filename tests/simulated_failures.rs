//! Failures on demand: what a developer sees of them.

use crate::harness::{HookReceiver, PASSWORD, Server, SmtpClient, USER, message_to};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn each_suffix_fails_as_it_says() {
    let hooks = HookReceiver::start().await;
    let server = Server::builder().outgoing_webhook(&hooks).start().await;
    let cases = [
        ("friend@a.example", "delivered", 250, false),
        ("temperror@b.example", "delayed", 451, false),
        ("friend-temperror@c.example", "delayed", 451, false),
        ("permerror@d.example", "failed", 550, true),
        ("friend.permerror@e.example", "failed", 550, true),
        ("friend421@f.example", "delayed", 421, false),
        ("452@g.example", "delayed", 452, false),
        ("friend499@h.example", "delayed", 499, false),
        ("friend500@i.example", "failed", 500, false),
        ("x554@j.example", "failed", 554, false),
        ("x552@k.example", "failed", 552, false),
        ("rcptto451@l.example", "delayed", 451, false),
        ("rcptto-permerror@m.example", "failed", 550, true),
        ("x399@n.example", "delivered", 250, false),
        ("x600@o.example", "delivered", 250, false),
    ];
    let to: Vec<_> = cases.iter().map(|(address, ..)| json!({"Address": address})).collect();
    let sent = server.send(&json!({"To": to, "Subject": "hello", "Text": "hi"})).await;
    let ids = sent.by_address();
    for (address, event, code, suppressing) in cases {
        let told = hooks.any_event(ids[address]).await;
        assert_eq!(
            (&told["Event"], &told["SMTPCode"], &told["Suppressing"], &told["Recipient"], &told["Attempt"]),
            (&json!(event), &json!(code), &json!(suppressing), &json!(address), &json!(1)),
            "{told}"
        );
        if code != 250 {
            assert!(told["Error"].as_str().is_some_and(|text| !text.is_empty()), "{told}");
        }
    }
}

#[tokio::test]
async fn a_permanent_failure_suppresses_the_next_message_until_the_address_is_removed() {
    let hooks = HookReceiver::start().await;
    let server = Server::builder().outgoing_webhook(&hooks).start().await;
    let address = "permerror@remote.example";
    let present = json!({"EmailAddress": "PermError+tag@REMOTE.example"});
    assert_eq!(server.ok("SuppressionPresent", &present).await, json!({"Present": false}));

    let first = server.send(&message_to(address)).await.queue_id();
    let failed = hooks.event("failed", first).await;
    assert_eq!((&failed["Suppressing"], &failed["SMTPEnhancedCode"]), (&json!(true), &json!("5.1.1")));
    assert_eq!(server.ok("SuppressionPresent", &present).await, json!({"Present": true}));

    let second = server.send(&message_to(address)).await.queue_id();
    let suppressed = hooks.any_event(second).await;
    assert_eq!(
        (&suppressed["Event"], &suppressed["Attempt"], &suppressed["Suppressing"]),
        (&json!("suppressed"), &json!(0), &json!(false)),
        "{suppressed}"
    );

    assert_eq!(server.ok("SuppressionRemove", &json!({"EmailAddress": address})).await, json!({}));
    assert_eq!(server.ok("SuppressionPresent", &present).await, json!({"Present": false}));
    let third = server.send(&message_to(address)).await.queue_id();
    hooks.event("failed", third).await;
}

#[tokio::test]
async fn an_address_can_be_suppressed_by_hand_once() {
    let hooks = HookReceiver::start().await;
    let server = Server::builder().outgoing_webhook(&hooks).start().await;
    let request =
        json!({"EmailAddress": "Some.One+tag@Remote.example", "Manual": true, "Reason": "asked to"});
    assert_eq!(server.ok("SuppressionAdd", &request).await, json!({}));
    for (method, request, code) in [
        (
            "SuppressionAdd",
            json!({"EmailAddress": "some.one@remote.example", "Manual": true, "Reason": ""}),
            "error",
        ),
        ("SuppressionRemove", json!({"EmailAddress": "another@remote.example"}), "error"),
        ("SuppressionAdd", json!({"EmailAddress": "no address", "Manual": true, "Reason": ""}), "badAddress"),
        ("SuppressionPresent", json!({"EmailAddress": ""}), "badAddress"),
        ("SuppressionRemove", json!({"EmailAddress": "a@b@c"}), "badAddress"),
    ] {
        let answer = server.call(method, &request).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{method} {request}");
    }
    let suppressed = server.send(&message_to("some.one+other@remote.example")).await.queue_id();
    let another = server.send(&message_to("someone@remote.example")).await.queue_id();
    hooks.event("suppressed", suppressed).await;
    hooks.event("delivered", another).await;
}

#[tokio::test]
async fn a_server_that_never_answers_holds_up_no_other() {
    let hooks = HookReceiver::start().await;
    let server = Server::builder().outgoing_webhook(&hooks).start().await;
    let silent = server.send(&message_to("timeout@slow.example")).await.queue_id();
    for number in 0..5 {
        let id = server.send(&message_to(&format!("friend-{number}x@remote.example"))).await.queue_id();
        hooks.event("delivered", id).await;
    }
    assert!(
        hooks.bodies().iter().all(|body| body["QueueMsgID"] != silent),
        "nothing is known of the silent one yet"
    );
}

#[tokio::test]
async fn a_submission_fails_at_once_unless_its_delivery_is_to() {
    let hooks = HookReceiver::start().await;
    let server = Server::builder().outgoing_webhook(&hooks).start().await;
    let mut client = SmtpClient::ready(server.submission()).await;
    let login = BASE64_STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    client.expect(&format!("AUTH PLAIN {login}"), "235").await;
    for (recipient, at_rcpt, at_data) in [
        ("temperror@a.example", "250", "451 4.3.0"),
        ("friend-permerror@a.example", "250", "550 5.1.1"),
        ("friend452@a.example", "250", "452 4.0.0"),
        ("rcptto-permerror@a.example", "550 5.1.1", ""),
        ("rcptto421x499@a.example", "499 4.0.0", ""),
        ("queue-permerror@b.example", "250", "250 2.6.0"),
        ("queue-temperror@c.example", "250", "250 2.6.0"),
        ("friend@d.example", "250", "250 2.6.0"),
    ] {
        client.expect(&format!("MAIL FROM:<{USER}>"), "250").await;
        client.expect(&format!("RCPT TO:<{recipient}>"), at_rcpt).await;
        if !at_data.is_empty() {
            client.expect("DATA", "354").await;
            client.expect(&format!("From: {USER}\r\nTo: {recipient}\r\n\r\nhi\r\n."), at_data).await;
        }
        client.expect("RSET", "250").await;
    }
    // The first message that was queued is the first that was to fail at its delivery.
    for (id, event, code, recipient) in [
        (1, "failed", 550, "queue-permerror@b.example"),
        (2, "delayed", 451, "queue-temperror@c.example"),
        (3, "delivered", 250, "friend@d.example"),
    ] {
        let told = hooks.any_event(id).await;
        assert_eq!(
            (&told["Event"], &told["SMTPCode"], &told["Recipient"]),
            (&json!(event), &json!(code), &json!(recipient)),
            "{told}"
        );
    }

    let mut silent = SmtpClient::ready(server.submission()).await;
    silent.expect(&format!("AUTH PLAIN {login}"), "235").await;
    silent.envelope(USER, &["timeout@a.example"]).await;
    silent.write(format!("From: {USER}\r\n\r\nhi\r\n.\r\n").as_bytes()).await;
    let mut stream = silent.into_stream();
    stream.shutdown().await.expect("the server reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).await.expect("the server closes");
    assert_eq!(said, "", "no answer, ever");
}
