//! What a restart keeps.

use crate::harness::{Action, HookReceiver, Server, Site, SmtpPeer, Verb, eventually, message, message_to};
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

#[tokio::test]
async fn webhooks_stay_until_the_command_line_names_others() {
    let (one, other) = (HookReceiver::start().await, HookReceiver::start().await);
    let site = Site::new("");
    let dir = site.path("local");
    let dir_option = dir.to_str().expect("UTF-8");
    let start = || Server::builder().dir(&dir);
    let export = || site.ok(&["directory", "export", "--dir", dir_option]);
    drop(start().outgoing_webhook(&one).incoming_webhook(&one).start().await);

    let server = start().start().await;
    for name in ["outgoing webhook", "incoming webhook"] {
        assert_eq!(server.greeting(name), one.url());
    }
    let id = server.send(&message()).await.queue_id();
    one.event("delivered", id).await;
    let rider = format!(
        "[[domains]]\nname = \"localhost\"\n\
         [[accounts]]\nname = \"rider\"\naddresses = [\"rider@localhost\"]\n\
         outgoing_webhook = {{ url = \"{0}\", authorization = \"Bearer out\", events = [\"delivered\"], \
         every_event = true }}\n\
         incoming_webhook = {{ url = \"{0}\", authorization = \"Bearer in\" }}\n",
        one.url()
    );
    site.write("rider.toml", &rider);
    site.ok(&["directory", "apply", "rider.toml", "--dir", dir_option]);
    let before = export();
    drop(server);

    let server = start().start().await;
    assert_eq!(export(), before);
    drop(server);

    let server = start().outgoing_webhook(&other).incoming_webhook(&other).start().await;
    assert_eq!(export(), before.replace(&one.url(), &other.url()));
    let id = server.send(&message()).await.queue_id();
    let call = other.call_where("the delivery", |body| body["QueueMsgID"] == id).await;
    assert_eq!(call.header("authorization"), "Bearer out");
    drop(server);

    let server = start().no_webhooks().start().await;
    assert!(!export().contains(&other.url()));
    assert!(server.greeting_lines().iter().all(|line| !line.contains(" webhook  ")));
}
