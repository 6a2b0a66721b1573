//! Delivery to another server, kind or not.

use crate::harness::{Action, HookReceiver, Moment, Server, SmtpPeer, Verb, judge, message_to};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn many_messages_share_few_connections() {
    let (peer, hooks) = (SmtpPeer::accepting().await, HookReceiver::start().await);
    let server = Server::builder().deliver_to(&peer).outgoing_webhook(&hooks).start().await;
    let count = 100;
    let api = server.api();
    let all = message_to("friend@remote.example");
    let sends = join_all((0..count).map(|_| api.call("Send", &all))).await;
    assert!(sends.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status == 200)));
    peer.delivered(count).await;
    assert!(peer.connections() <= 20, "{} connections for {count} messages", peer.connections());
}

#[tokio::test]
async fn one_message_after_the_other_goes_over_one_connection() {
    let (peer, hooks) = (SmtpPeer::accepting().await, HookReceiver::start().await);
    let server = Server::builder().deliver_to(&peer).outgoing_webhook(&hooks).start().await;
    for _ in 0..5 {
        let id = server.send(&message_to("friend@remote.example")).await.queue_id();
        hooks.event("delivered", id).await;
    }
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn each_recipient_gets_the_same_message_and_a_return_path_of_its_own() {
    let peer = SmtpPeer::accepting().await;
    let server = Server::builder().deliver_to(&peer).start().await;
    let sent = server
        .send(&json!({
            "To": [{"Address": "a@remote.example"}, {"Name": "B", "Address": "b@remote.example"}],
            "CC": [{"Address": "c@remote.example"}],
            "BCC": [{"Address": "hidden@remote.example"}, {"Address": "a@remote.example"}],
            "Subject": "to all",
            "Text": "hi",
        }))
        .await;
    let addresses: Vec<_> = sent.submissions.iter().map(|one| one.address.as_str()).collect();
    let wanted = [
        "a@remote.example",
        "b@remote.example",
        "c@remote.example",
        "hidden@remote.example",
        "a@remote.example",
    ];
    assert_eq!(addresses, wanted, "To, CC, BCC, in order; one named twice is queued twice");
    let ids: Vec<_> = sent.submissions.iter().map(|one| one.queue_msg_id).collect();
    assert_eq!(ids, (ids[0]..ids[0] + 5).collect::<Vec<_>>(), "the ids of one call are consecutive");

    peer.delivered(5).await;
    let deliveries = peer.deliveries();
    let mut found: Vec<_> = deliveries
        .iter()
        .map(|delivery| {
            let path = delivery.mail.split(' ').next().unwrap().to_owned();
            (delivery.recipients.clone(), path)
        })
        .collect();
    let mut wanted: Vec<_> = sent
        .submissions
        .iter()
        .map(|one| (vec![one.address.clone()], format!("<rider+{}@localhost>", one.from_id)))
        .collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    let contents: BTreeSet<_> = deliveries.iter().map(|delivery| &delivery.content).collect();
    assert_eq!(contents.len(), 1, "the content is the same for each");
    let content = String::from_utf8_lossy(&deliveries[0].content).into_owned();
    assert!(!content.contains("hidden") && !content.to_lowercase().contains("bcc"), "{content}");
    let received = deliveries[0].header("Received").expect("a Received header");
    assert!(!received.contains(" for "), "{received}");
}

#[tokio::test]
async fn the_received_header_names_a_single_recipient() {
    let peer = SmtpPeer::accepting().await;
    let server = Server::builder().deliver_to(&peer).start().await;
    server.send(&message_to("friend@remote.example")).await;
    let delivery = peer.delivery_to("friend@remote.example").await;
    let received = delivery.header("Received").expect("a Received header");
    assert!(received.contains("for <friend@remote.example>"), "{received}");
    assert!(received.contains("by localhost"), "{received}");
}

#[tokio::test]
async fn the_signature_is_good_whatever_the_text_has_in_it() {
    let peer = SmtpPeer::accepting().await;
    let server = Server::builder().deliver_to(&peer).start().await;
    let texts = [
        "hi".to_owned(),
        ".\n..\n...\n.hidden\n".to_owned(),
        "trailing spaces   \nand tabs\t\t\n\n\n\n".to_owned(),
        "Grüße, 世界, ☺\u{200b}\n".to_owned(),
        format!("{}\n", "long line ".repeat(500)),
        format!("{}\n", "ü".repeat(3000)),
        "From the start\nFrom again\n".to_owned(),
        "=\n=3D\n= \n".to_owned(),
        String::from("\r\nalready CR LF\r\n"),
    ];
    let dkim = server.greeting("DKIM").to_owned();
    let (name, record) = dkim.split_once("  ").expect("name and record");
    for (number, text) in texts.iter().enumerate() {
        let to = format!("n{number}x@remote.example");
        server
            .send(&json!({"To": [{"Address": to}], "Subject": format!("Nr. {number} ☺"), "Text": text}))
            .await;
        let delivery = peer.delivery_to(&to).await;
        judge(
            "check_dkim.py",
            &json!({
                "content": BASE64_STANDARD.encode(&delivery.content),
                "name": name.trim(),
                "record": record.trim(),
                "signed": ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"],
            }),
        );
    }
}

/// What the script of a peer is, and what is said about the message then.
type Case = (&'static str, fn(&Moment<'_>) -> Action, &'static str, u16, &'static str);

#[tokio::test]
async fn every_answer_means_what_it_should() {
    fn at(verb: Verb, moment: &Moment<'_>, action: Action) -> Action {
        if moment.verb == verb { action } else { Action::Usual }
    }
    let cases: &[Case] = &[
        (
            "421 as greeting",
            |m| at(Verb::Connect, m, Action::Reply("421 4.3.2 busy")),
            "delayed",
            421,
            "4.3.2",
        ),
        ("nonsense as greeting", |m| at(Verb::Connect, m, Action::Reply("hello there")), "delayed", 0, ""),
        ("closed at once", |m| at(Verb::Connect, m, Action::Close), "delayed", 0, ""),
        (
            "421 at MAIL",
            |m| at(Verb::Mail, m, Action::ReplyAndClose("421 4.7.0 slow down")),
            "delayed",
            421,
            "4.7.0",
        ),
        ("451 at MAIL", |m| at(Verb::Mail, m, Action::Reply("451 4.4.5 later")), "delayed", 451, "4.4.5"),
        ("550 at MAIL", |m| at(Verb::Mail, m, Action::Reply("550 5.7.1 not you")), "failed", 550, "5.7.1"),
        ("closed at RCPT", |m| at(Verb::Rcpt, m, Action::Close), "delayed", 0, ""),
        (
            "450 at RCPT",
            |m| at(Verb::Rcpt, m, Action::Reply("450 4.2.0 greylisted")),
            "delayed",
            450,
            "4.2.0",
        ),
        (
            "550 at RCPT",
            |m| at(Verb::Rcpt, m, Action::Reply("550 5.1.1 no such user")),
            "failed",
            550,
            "5.1.1",
        ),
        ("451 at DATA", |m| at(Verb::Data, m, Action::Reply("451 4.3.0 no")), "delayed", 451, "4.3.0"),
        ("554 at DATA", |m| at(Verb::Data, m, Action::Reply("554 5.6.0 no")), "failed", 554, "5.6.0"),
        (
            "452 at the end",
            |m| at(Verb::EndOfData, m, Action::Reply("452 4.3.1 full")),
            "delayed",
            452,
            "4.3.1",
        ),
        (
            "554 at the end",
            |m| at(Verb::EndOfData, m, Action::Reply("554 5.7.1 spam")),
            "failed",
            554,
            "5.7.1",
        ),
        ("closed at the end", |m| at(Verb::EndOfData, m, Action::Close), "delayed", 0, ""),
        ("nonsense at the end", |m| at(Verb::EndOfData, m, Action::Reply("ok then")), "delayed", 0, ""),
        ("nothing but a code", |m| at(Verb::EndOfData, m, Action::Reply("250")), "delivered", 250, ""),
        (
            "many lines",
            |m| at(Verb::EndOfData, m, Action::Reply("250-2.0.0 one\r\n250-2.0.0 two\r\n250 2.0.0 three")),
            "delivered",
            250,
            "2.0.0",
        ),
    ];
    for (what, script, event, code, enhanced) in cases {
        let (peer, hooks) = (SmtpPeer::scripted(script).await, HookReceiver::start().await);
        let server = Server::builder().deliver_to(&peer).outgoing_webhook(&hooks).start().await;
        let id = server.send(&message_to("friend@remote.example")).await.queue_id();
        let told = hooks.any_event(id).await;
        assert_eq!(
            (&told["Event"], &told["SMTPCode"], &told["SMTPEnhancedCode"], &told["Attempt"]),
            (&json!(event), &json!(code), &json!(enhanced), &json!(1)),
            "{what}: {told}"
        );
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_delays() {
    // A port that was free a moment ago, and whose listener is gone.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let hooks = HookReceiver::start().await;
    let server = Server::builder().deliver_to_address(address).outgoing_webhook(&hooks).start().await;
    let id = server.send(&message_to("friend@remote.example")).await.queue_id();
    let told = hooks.event("delayed", id).await;
    assert_eq!((&told["SMTPCode"], &told["Suppressing"]), (&json!(0), &json!(false)));
    assert!(told["Error"].as_str().is_some_and(|error| error.contains("refused")), "{told}");
}

#[tokio::test]
async fn a_connection_that_ended_while_idle_is_replaced_without_counting_an_attempt() {
    let scripts: [fn(&Moment<'_>) -> Action; 3] = [
        |moment| match (moment.verb, moment.accepted) {
            (Verb::Mail, 1..) => Action::Close,
            _ => Action::Usual,
        },
        |moment| match (moment.verb, moment.accepted) {
            (Verb::Mail, 1..) => Action::ReplyAndClose("421 4.4.2 idle for too long"),
            _ => Action::Usual,
        },
        |moment| match moment.verb {
            Verb::EndOfData => Action::ReplyAndClose("250 2.0.0 accepted, and goodbye"),
            _ => Action::Usual,
        },
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        let (peer, hooks) = (SmtpPeer::scripted(script).await, HookReceiver::start().await);
        let server = Server::builder().deliver_to(&peer).outgoing_webhook(&hooks).start().await;
        for message in 0..3 {
            let id = server.send(&message_to("friend@remote.example")).await.queue_id();
            let told = hooks.any_event(id).await;
            let seen: (&Value, &Value) = (&told["Event"], &told["Attempt"]);
            assert_eq!(seen, (&json!("delivered"), &json!(1)), "script {number}, message {message}: {told}");
        }
        assert_eq!((peer.deliveries().len(), peer.connections()), (3, 3), "script {number}");
    }
}

#[tokio::test]
async fn a_refused_recipient_costs_the_others_nothing() {
    let peer = SmtpPeer::scripted(|moment| match moment.verb {
        Verb::Rcpt if moment.line.contains("<gone@") => Action::Reply("550 5.1.1 no such user"),
        Verb::Rcpt if moment.line.contains("<full@") => Action::Reply("452 4.2.2 mailbox full"),
        _ => Action::Usual,
    })
    .await;
    let hooks = HookReceiver::start().await;
    let server = Server::builder().deliver_to(&peer).outgoing_webhook(&hooks).start().await;
    let to = ["gone", "a", "full", "b", "c"].map(|name| json!({"Address": format!("{name}@remote.example")}));
    let sent = server.send(&json!({"To": to, "Subject": "s", "Text": "t"})).await;
    for one in &sent.submissions {
        let event = match one.address.split('@').next().unwrap() {
            "gone" => "failed",
            "full" => "delayed",
            _ => "delivered",
        };
        hooks.event(event, one.queue_msg_id).await;
    }
    assert_eq!(peer.deliveries().len(), 3);
}
