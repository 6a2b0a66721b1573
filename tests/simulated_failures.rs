//! Failures on demand: what a developer sees of them.

use crate::harness::{HookReceiver, Server, message_to};
use serde_json::json;

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
