//! How webhooks are called.

use crate::harness::{
    Action, Embedded, HookAnswer, HookReceiver, Server, SmtpPeer, Verb, account, eventually, judge, message,
    message_to,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use store::{
    RetiredHookFilter,
    records::{AccountRecord, EventKind, HookOutcome, OutgoingWebhook},
};

#[tokio::test]
async fn a_call_has_the_headers_of_the_contract_and_a_good_signature() {
    let (outgoing, incoming) = (HookReceiver::start().await, HookReceiver::start().await);
    let server = Server::builder().outgoing_webhook(&outgoing).incoming_webhook(&incoming).start().await;
    let sent = server.send(&message()).await;
    let told = outgoing.call_where("the outgoing hook", |body| body["QueueMsgID"] == sent.queue_id()).await;
    let arrived = incoming.call_where("the incoming hook", |body| body["MessageID"] == sent.message_id).await;
    for call in [&told, &arrived] {
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/hook"));
        assert_eq!(call.header("Content-Type"), "application/json; charset=utf-8");
        assert_eq!(call.header("User-Agent"), concat!("postrider/", env!("CARGO_PKG_VERSION"), " (webhook)"));
        assert_eq!(call.header("X-Mox-Webhook-Attempt"), "1");
        assert!(call.header("X-Mox-Webhook-ID").parse::<i64>().is_ok_and(|id| id > 0));
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: Map<_, _> =
            names.map(|name| (name.to_owned(), call.header(name).into())).into_iter().collect();
        judge(
            "check_webhook.py",
            &json!({
                "secret": server.greeting("webhook secret"),
                "headers": headers,
                "body": BASE64_STANDARD.encode(&call.body),
            }),
        );
    }
    assert_ne!(told.header("X-Mox-Webhook-ID"), arrived.header("X-Mox-Webhook-ID"));
}

#[tokio::test]
async fn a_refused_hook_waits_to_be_tried_again() {
    for status in [300, 400, 404, 410, 429, 500, 503] {
        let receiver = HookReceiver::scripted(move |_| HookAnswer::Status(status)).await;
        let server = Server::builder().outgoing_webhook(&receiver).start().await;
        server.send(&message()).await;
        one_call_refused(&server).await;
        assert_eq!(server.metric("postrider_webhooks_pending", "").await, 1.0, "{status}");
        assert_eq!(receiver.calls().len(), 1, "{status}: the next call comes later");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = HookReceiver::start().await;
    let url = target.url();
    let receiver = HookReceiver::scripted(move |_| HookAnswer::Redirect(url.clone())).await;
    let server = Server::builder().outgoing_webhook(&receiver).start().await;
    server.send(&message()).await;
    one_call_refused(&server).await;
    assert!(target.calls().is_empty(), "the target was called");
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_no_other() {
    let (hanging, outgoing) =
        (HookReceiver::scripted(|_| HookAnswer::Hang).await, HookReceiver::start().await);
    let server = Server::builder().incoming_webhook(&hanging).outgoing_webhook(&outgoing).start().await;
    // More than all calls that one URL gets at once.
    let count = 40;
    let mut queued = Vec::new();
    for number in 0..count {
        queued.push(server.send(&message_to(&format!("friend{number}-x@remote.example"))).await.queue_id());
    }
    for id in queued {
        outgoing.event("delivered", id).await;
    }
    let hanging = hanging.calls().len();
    assert!((1..=20).contains(&hanging), "one URL gets a bounded number of calls at once, not {hanging}");
}

#[tokio::test]
async fn a_crash_loses_no_hook() {
    let answering = Arc::new(AtomicBool::new(false));
    let switch = answering.clone();
    let receiver = HookReceiver::scripted(move |_| {
        if switch.load(Ordering::SeqCst) { HookAnswer::Status(204) } else { HookAnswer::Hang }
    })
    .await;
    let mut server = Server::builder().outgoing_webhook(&receiver).start().await;
    let id = server.send(&message()).await.queue_id();
    receiver.event("delivered", id).await;
    server.kill();
    answering.store(true, Ordering::SeqCst);
    server.restart().await;
    eventually("the hook to be called again", async || {
        let calls = receiver.calls().len();
        if calls >= 2 { Ok(()) } else { Err(format!("{calls} calls")) }
    })
    .await;
    let calls = receiver.calls();
    assert_eq!(calls[0].header("X-Mox-Webhook-ID"), calls[1].header("X-Mox-Webhook-ID"));
    assert_eq!(calls[0].body, calls[1].body);
    eventually("no hook to be left", async || {
        let pending = server.metric("postrider_webhooks_pending", "").await;
        if pending == 0.0 { Ok(()) } else { Err(format!("{pending} are pending")) }
    })
    .await;
}

#[tokio::test]
async fn the_history_of_a_hook_has_every_call_with_the_start_of_its_answer() {
    let receiver = HookReceiver::scripted(|_| HookAnswer::Long(500)).await;
    let server = Embedded::calling(receiver.url()).start().await;
    server.send("rider@localhost").await;
    let hook = server.retired_hook(1).await;
    assert_eq!((hook.outcome, hook.hook.attempts.len()), (HookOutcome::Failed, 3));
    for attempt in &hook.hook.attempts {
        assert_eq!((attempt.status, attempt.success, &*attempt.error), (500, false, "status 500"));
        assert_eq!((attempt.url.as_str(), attempt.response.len()), (&*receiver.url(), 512));
    }
    let calls = receiver.calls();
    let numbers: Vec<_> = calls.iter().map(|call| call.header("X-Mox-Webhook-Attempt").to_owned()).collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    assert!(calls.iter().all(|call| call.header("webhook-id") == "hook_1"));
}

#[tokio::test]
async fn events_are_told_as_the_account_wants_them() {
    let cases: [(Vec<EventKind>, bool, &[&str]); 3] = [
        (vec![EventKind::Delivered], false, &["delivered"]),
        (vec![EventKind::Failed, EventKind::Delivered], true, &["delivered"]),
        // The first call is refused, and made again before that of the next event.
        (Vec::new(), true, &["delayed", "delayed", "delayed", "delivered"]),
    ];
    for (events, every_event, expected) in cases {
        let refused = AtomicUsize::new(0);
        let peer = SmtpPeer::scripted(move |moment| match moment.verb {
            Verb::Rcpt if refused.fetch_add(1, Ordering::SeqCst) < 2 => Action::Reply("451 4.3.0 later"),
            _ => Action::Usual,
        })
        .await;
        let first = AtomicBool::new(true);
        let receiver = HookReceiver::scripted(move |call| {
            match call.json()["Event"] == "delayed" && first.swap(false, Ordering::SeqCst) {
                true => HookAnswer::Status(500),
                false => HookAnswer::Status(200),
            }
        })
        .await;
        let url = receiver.url();
        let outgoing_webhook = Some(OutgoingWebhook { url, authorization: None, events, every_event });
        let server = Embedded::builder()
            .account(AccountRecord { outgoing_webhook, ..account("rider") })
            .deliver_to(&peer)
            .settings(|settings| {
                settings.webhooks.retry = vec![Duration::from_millis(1); 2];
                settings.delivery.retry = vec![Duration::from_millis(1); 5];
            })
            .start()
            .await;
        let id = server.send("friend@remote.example").await;
        receiver.event("delivered", id.cast_signed()).await;
        let told: Vec<_> = receiver.bodies().iter().map(|body| body["Event"].clone()).collect();
        assert_eq!(told, expected, "every_event: {every_event}");
    }
}

#[tokio::test]
async fn an_account_that_keeps_no_retired_hooks_has_none() {
    let receiver = HookReceiver::start().await;
    let outgoing_webhook =
        OutgoingWebhook { url: receiver.url(), authorization: None, events: Vec::new(), every_event: false };
    let server = Embedded::builder()
        .account(AccountRecord {
            outgoing_webhook: Some(outgoing_webhook),
            keep_retired_hooks: Duration::ZERO,
            ..account("rider")
        })
        .start()
        .await;
    let id = server.send("rider@localhost").await;
    receiver.event("delivered", id.cast_signed()).await;
    eventually("the hook to be done with", async || {
        let totals = server.app().handles.store.read(|view| view.totals()).expect("the store is read");
        assert_eq!(totals.retired_hooks, 0);
        if totals.hooks == 0 { Ok(()) } else { Err("it is not".to_owned()) }
    })
    .await;
    let all = RetiredHookFilter::default();
    let part = server.app().handles.hooks.resend_part(&all, None).await.expect("it is done");
    assert_eq!((part.made, part.without_webhook), (Vec::new(), 0));
}

async fn one_call_refused(server: &Server) {
    eventually("a call to count as refused", async || {
        let refused = server.metric("postrider_webhook_calls_total", "result=\"refused\"").await;
        if refused == 1.0 { Ok(()) } else { Err(format!("{refused} were refused")) }
    })
    .await;
    assert_eq!(server.metric("postrider_webhook_calls_total", "result=\"ok\"").await, 0.0);
}
