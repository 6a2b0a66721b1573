//! What a restart keeps.

use crate::harness::{Action, HookReceiver, Server, SmtpPeer, Verb, eventually, message, message_to};
use serde_json::json;

#[tokio::test]
async fn a_delayed_message_stays_delayed() {
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::Rcpt => Action::Reply("451 4.3.0 later"),
        _ => Action::Usual,
    })
    .await;
    let hooks = HookReceiver::start().await;
    let mut server = Server::builder().deliver_to(&peer).outgoing_webhook(&hooks).start().await;
    let id = server.send(&message()).await.queue_id();
    hooks.event("delayed", id).await;
    for (rounds, how) in ["stopped", "killed"].into_iter().enumerate() {
        match how {
            "stopped" => assert!(server.terminate().await.success()),
            _ => server.kill(),
        }
        server.restart().await;
        let queued = server.metric("postrider_queue_messages", "").await;
        assert_eq!(queued, 1.0 + rounds as f64, "{how}");
        // Another message shows that the queue was looked at, and the delayed one let alone.
        let another = server.send(&message_to(&format!("{how}@remote.example"))).await.queue_id();
        hooks.event("delayed", another).await;
        let attempts = hooks.bodies().iter().filter(|body| body["QueueMsgID"] == id).count();
        assert_eq!(attempts, 1, "{how}: it waits for its time");
    }
}

#[tokio::test]
async fn messages_accounts_and_suppressions_are_kept() {
    let incoming = HookReceiver::start().await;
    let mut server = Server::builder().incoming_webhook(&incoming).start().await;
    let sent = server.send(&message()).await;
    let arrived =
        incoming.call_where("the message", |body| body["MessageID"] == sent.message_id).await.json();
    let id = &arrived["Meta"]["MsgID"];
    let raw = server.call("MessageRawGet", &json!({"MsgID": id})).await.body;
    let suppression = json!({"EmailAddress": "gone@remote.example", "Manual": true, "Reason": "left"});
    server.ok("SuppressionAdd", &suppression).await;
    let secret = server.greeting("webhook secret").to_owned();
    let dkim = server.greeting("DKIM").to_owned();

    server.kill();
    server.restart().await;
    assert_eq!(server.call("MessageRawGet", &json!({"MsgID": id})).await.body, raw);
    let present = server.ok("SuppressionPresent", &json!({"EmailAddress": "gone@remote.example"})).await;
    assert_eq!(present, json!({"Present": true}));
    assert_eq!(server.greeting("webhook secret"), secret);
    assert_eq!(server.greeting("DKIM"), dkim);

    let next = server.send(&message()).await;
    assert!(next.queue_id() > sent.queue_id(), "ids are not given twice");
    eventually("the next message to arrive", async || {
        let found = incoming.bodies().into_iter().find(|body| body["MessageID"] == next.message_id);
        found.map(drop).ok_or_else(|| "it has not".to_owned())
    })
    .await;
}

#[tokio::test]
async fn stopping_fails_no_mail_of_its_own() {
    let mut server = Server::start().await;
    let recipients: Vec<_> =
        (0..400).map(|n| json!({"Address": format!("friend{n}@remote{}.example", n % 7)})).collect();
    server.send(&json!({"To": recipients, "Subject": "many", "Text": "hello"})).await;
    assert!(server.terminate().await.success());
    server.restart().await;
    eventually("the rest to be delivered", async || {
        let queued = server.metric("postrider_queue_messages", "").await;
        if queued == 0.0 { Ok(()) } else { Err(format!("{queued} are queued")) }
    })
    .await;
}
