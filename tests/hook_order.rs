//! Which hooks are called, in what order, and which no more.

use crate::harness::{Action, Embedded, HookAnswer, HookReceiver, SmtpClient, SmtpPeer, Verb, account};
use actors::{HookDeed, Operation};
use mail::HookId;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use store::{
    HookFilter, QueueFilter,
    records::{AccountRecord, HookOutcome, IncomingWebhook, OutgoingWebhook},
};
use tokio::sync::Notify;

const HOUR: Duration = Duration::from_secs(3600);

async fn operate(server: &Embedded, id: u64, deed: HookDeed) {
    let filter = HookFilter { ids: vec![HookId(id)], ..HookFilter::default() };
    let part = server.app().handles.hooks.operate_part(&filter, deed, None).await.expect("it is done");
    assert_eq!(part.changed, 1, "hook {id}");
}

/// A server that tries again after an hour, or when it is told to, and tells the rider of every event or of the newest.
async fn deferring(receiver: &HookReceiver, peer: &SmtpPeer, every_event: bool) -> Embedded {
    let webhook =
        OutgoingWebhook { url: receiver.url(), authorization: None, events: Vec::new(), every_event };
    Embedded::builder()
        .account(AccountRecord { outgoing_webhook: Some(webhook), ..account("rider") })
        .deliver_to(peer)
        .settings(|settings| {
            settings.webhooks.retry = vec![HOUR; 3];
            settings.delivery.retry = vec![HOUR; 5];
        })
        .start()
        .await
}

async fn try_again(server: &Embedded) {
    let operations = &server.app().handles.operations;
    let changed = operations.operate(&QueueFilter::default(), &Operation::TryNow).await.expect("it is done");
    assert_eq!(changed, 1);
}

#[tokio::test]
async fn no_event_overtakes_those_before_a_hook_that_was_cancelled() {
    let answers = Arc::new(AtomicBool::new(false));
    let now = answers.clone();
    let receiver = HookReceiver::scripted(move |_| match now.load(Ordering::SeqCst) {
        true => HookAnswer::Status(200),
        false => HookAnswer::Status(500),
    })
    .await;
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::Rcpt => Action::Reply("451 4.3.0 later"),
        _ => Action::Usual,
    })
    .await;
    let server = deferring(&receiver, &peer, true).await;
    server.send("friend@remote.example").await;
    server.called_hook(1, 1).await;
    try_again(&server).await;
    assert_eq!(server.called_hook(2, 0).await.waits_for, Some(HookId(1)));
    operate(&server, 2, HookDeed::Cancel).await;
    try_again(&server).await;
    assert_eq!(server.called_hook(3, 0).await.waits_for, Some(HookId(1)));
    answers.store(true, Ordering::SeqCst);
    operate(&server, 1, HookDeed::CallNow).await;
    server.retired_hook(3).await;
    let told: Vec<_> =
        receiver.calls().iter().map(|call| call.header("X-Mox-Webhook-ID").to_owned()).collect();
    assert_eq!(told, ["1", "1", "3"]);
}

#[tokio::test]
async fn the_result_of_a_call_that_was_overtaken_is_added_to_the_retired_hook() {
    let answer = Arc::new(Notify::new());
    let when = answer.clone();
    let receiver = HookReceiver::scripted(move |call| match call.json()["Event"] == "delayed" {
        true => HookAnswer::When(when.clone(), 204),
        false => HookAnswer::Status(200),
    })
    .await;
    let refuses = AtomicBool::new(true);
    let peer = SmtpPeer::scripted(move |moment| match moment.verb {
        Verb::Rcpt if refuses.swap(false, Ordering::SeqCst) => Action::Reply("451 4.3.0 later"),
        _ => Action::Usual,
    })
    .await;
    let server = deferring(&receiver, &peer, false).await;
    let id = server.send("friend@remote.example").await.cast_signed();
    receiver.event("delayed", id).await;
    try_again(&server).await;
    let overtaken = server.retired_hook(1).await;
    assert_eq!(overtaken.outcome, HookOutcome::Superseded(HookId(2)));
    assert_eq!(overtaken.hook.attempts, []);
    answer.notify_one();
    // The URL gets one call at a time at first: that of the second hook comes after the first is settled.
    server.retired_hook(2).await;
    let overtaken = server.retired_hook(1).await;
    assert_eq!(overtaken.outcome, HookOutcome::Superseded(HookId(2)));
    let [attempt] = &overtaken.hook.attempts[..] else { panic!("{overtaken:?}") };
    assert_eq!((attempt.success, attempt.status), (true, 204));
}

#[tokio::test]
async fn hooks_put_off_while_they_wait_their_turn_are_not_called() {
    let answer = Arc::new(Notify::new());
    let when = answer.clone();
    let receiver = HookReceiver::scripted(move |call| match call.header("X-Mox-Webhook-ID") {
        "1" => HookAnswer::When(when.clone(), 204),
        _ => HookAnswer::Status(200),
    })
    .await;
    let incoming_webhook = Some(IncomingWebhook { url: receiver.url(), authorization: None });
    let mut builder = Embedded::builder();
    let mut addresses = Vec::new();
    for name in ["a", "b", "c"] {
        let incoming_webhook = incoming_webhook.clone();
        builder = builder.account(AccountRecord { incoming_webhook, ..account(name) });
        addresses.push(format!("{name}@localhost"));
    }
    let server = builder.start().await;
    let mut client = SmtpClient::ready(server.smtp()).await;
    let mut arrive = async |to: &[String]| {
        let to: Vec<_> = to.iter().map(String::as_str).collect();
        client.envelope("friend@remote.example", &to).await;
        client.write(b"From: friend@remote.example\r\n\r\nhi\r\n.\r\n").await;
        assert!(client.reply().await.starts_with("250"));
    };
    // All three become due together, and are taken up together; the URL gets one call at a time at first.
    arrive(&addresses).await;
    receiver.call_where("the first call", |body| body["Meta"]["RcptTo"] == "a@localhost").await;
    for id in [2, 3] {
        operate(&server, id, HookDeed::Postpone(HOUR)).await;
    }
    answer.notify_one();
    server.retired_hook(1).await;
    arrive(&addresses[..1]).await;
    server.retired_hook(4).await;
    let called: Vec<_> =
        receiver.calls().iter().map(|call| call.header("X-Mox-Webhook-ID").to_owned()).collect();
    assert_eq!(called, ["1", "4"]);
}
