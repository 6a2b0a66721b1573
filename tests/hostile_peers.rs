//! Servers of others that hang, close, lie and talk nonsense: mail to them is neither lost nor delivered twice.

use crate::harness::{Action, DnsServer, Embedded, SmtpPeer, Verb, set_timeouts};
use futures_util::future::join_all;
use std::time::Duration;

/// What goes wrong on the first connection to a peer, and what the first attempt comes to: a word and a code. All
/// goes well on the next connection.
struct Case {
    what: String,
    at: Verb,
    action: Action,
    first: &'static str,
    code: u16,
}

/// The steps of a session without TLS.
const STEPS: [Verb; 6] = [Verb::Connect, Verb::Ehlo, Verb::Mail, Verb::Rcpt, Verb::Data, Verb::EndOfData];

fn cases() -> Vec<Case> {
    let deferred = |what: String, at, action, code| Case { what, at, action, first: "deferred", code };
    let mut cases = Vec::new();
    for at in STEPS {
        cases.push(deferred(format!("hangs at {at:?}"), at, Action::Hang, 0));
        cases.push(deferred(format!("closes at {at:?}"), at, Action::Close, 0));
        let busy = Action::ReplyAndClose("421 4.7.0 go away");
        cases.push(deferred(format!("goes away at {at:?}"), at, busy, 421));
        for (what, action) in nonsense() {
            cases.push(deferred(format!("{what} at {at:?}"), at, action, 0));
        }
    }
    for (at, reply) in [
        (Verb::Connect, "354 go ahead"),
        (Verb::Mail, "354 go ahead"),
        (Verb::Mail, "334 "),
        (Verb::Data, "250 ok"),
        (Verb::EndOfData, "354 go on"),
    ] {
        cases.push(deferred(format!("says {reply} at {at:?}"), at, Action::Reply(reply), 0));
    }
    for (at, replies) in [
        (Verb::Mail, "250 ok\r\n250 and one more"),
        (Verb::Rcpt, "250 ok\r\n354 go ahead already"),
        (Verb::Data, "354 go ahead\r\n250 taken before it was there"),
    ] {
        cases.push(deferred(format!("says too much at {at:?}"), at, Action::Reply(replies), 0));
    }
    let many = Action::Reply("250-2.0.0 one\r\n250-2.0.0 two\r\n250 2.0.0 three");
    cases.push(Case {
        what: "many lines".into(),
        at: Verb::EndOfData,
        action: many,
        first: "delivered",
        code: 250,
    });
    let refusal = Action::Reply("554-5.7.1 your mail\r\n554-5.7.1 is not\r\n554 5.7.1 wanted");
    cases.push(Case {
        what: "refuses in many lines".into(),
        at: Verb::EndOfData,
        action: refusal,
        first: "failed",
        code: 554,
    });
    cases
}

fn nonsense() -> Vec<(&'static str, Action)> {
    vec![
        ("no code", Action::Bytes(b"hello there\r\n".to_vec())),
        ("half a code", Action::Bytes(b"25\r\n".to_vec())),
        ("a code of four digits", Action::Bytes(b"2500 ok\r\n".to_vec())),
        ("a code that is none", Action::Bytes(b"999 ok\r\n".to_vec())),
        ("several codes", Action::Bytes(b"250-a\r\n550 b\r\n".to_vec())),
        ("bytes", Action::Bytes(b"\xff\x00\xfe\x01\r\n".to_vec())),
        ("half a reply", Action::BytesAndClose(b"250-and\r\n".to_vec())),
        ("a line without end", Action::Endless(b"250 more and more and more ")),
        ("lines without end", Action::Endless(b"250-more and more and more\r\n")),
    ]
}

#[tokio::test]
async fn whatever_a_peer_does_the_message_arrives_once() {
    let cases = cases();
    let mut peers = Vec::new();
    let mut zone = String::new();
    for (number, case) in cases.iter().enumerate() {
        let (at, action) = (case.at, case.action.clone());
        let peer = SmtpPeer::exchanger()
            .script(move |moment| match moment.connection {
                0 if moment.verb == at => action.clone(),
                _ => Action::Usual,
            })
            .start()
            .await;
        zone += &format!("case{number}.test A {}\n", peer.ip());
        peers.push(peer);
    }
    let dns = DnsServer::start(&zone).await;
    let server = Embedded::direct(&dns)
        .settings(|settings| {
            set_timeouts(&mut settings.delivery, Duration::from_millis(500));
            settings.delivery.retry = vec![Duration::from_millis(100); 8];
        })
        .start()
        .await;
    let fates = join_all((0..cases.len()).map(async |number| {
        let id = server.send(&format!("x@case{number}.test")).await;
        server.end(id).await
    }))
    .await;
    let mut wrong = Vec::new();
    for ((case, peer), fate) in cases.iter().zip(&peers).zip(&fates) {
        let first = &fate.attempts[0].result;
        let code = first.answer().map_or(0, |answer| answer.code);
        let word = if fate.attempts.len() > 1 { "deferred" } else { fate.word() };
        let end = if case.first == "failed" { ("failed", 0) } else { ("delivered", 1) };
        let got = (word, code, fate.word(), peer.deliveries().len());
        if got != (case.first, case.code, end.0, end.1) {
            wrong.push(format!("{}: {got:?}: {first:?}", case.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn bdat_that_is_offered_and_refused_is_not_used() {
    for refusal in ["500 5.5.1 what?", "502 5.5.1 unknown command"] {
        let peer = SmtpPeer::exchanger()
            .extensions(&["PIPELINING", "CHUNKING"])
            .script(move |moment| match moment.verb {
                Verb::Bdat => Action::Reply(refusal),
                _ => Action::Usual,
            })
            .start()
            .await;
        let dns = DnsServer::start(&format!("friend.test A {}", peer.ip())).await;
        let server = Embedded::direct(&dns).start().await;
        let fate = server.try_to("x@friend.test").await;
        assert_eq!((fate.word(), fate.attempts.len()), ("delivered", 1), "{refusal}: {fate:?}");
        let chunked: Vec<_> = peer.deliveries().iter().map(|delivery| delivery.chunked).collect();
        assert_eq!(chunked, [false], "{refusal}");
    }
}

#[tokio::test]
async fn a_host_for_small_messages_is_told_the_size_and_believed() {
    let peer = SmtpPeer::exchanger()
        .extensions(&["PIPELINING", "SIZE 1"])
        .script(|moment| match moment.verb {
            Verb::Mail if moment.line.contains(" SIZE=") => Action::Reply("552 5.3.4 too large"),
            _ => Action::Usual,
        })
        .start()
        .await;
    let dns = DnsServer::start(&format!("friend.test A {}", peer.ip())).await;
    let server = Embedded::direct(&dns).start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.enhanced().as_str()), ("failed", "5.3.4"), "{fate:?}");
    assert!(peer.deliveries().is_empty());
}

#[tokio::test]
async fn a_host_that_hangs_at_quit_costs_nothing() {
    let peer = SmtpPeer::exchanger()
        .script(|moment| match moment.verb {
            Verb::Quit => Action::Hang,
            _ => Action::Usual,
        })
        .start()
        .await;
    let dns = DnsServer::start(&format!("friend.test A {}", peer.ip())).await;
    let server = Embedded::direct(&dns)
        .settings(|settings| {
            settings.delivery.connection_messages_max = 1;
            settings.delivery.connections_per_destination_max = 1;
            settings.delivery.concurrency_start = 1;
        })
        .start()
        .await;
    let ids = join_all((0..5).map(|_| server.send("x@friend.test"))).await;
    for id in ids {
        assert_eq!(server.end(id).await.attempts.len(), 1);
    }
    assert_eq!((peer.deliveries().len(), peer.connections()), (5, 5));
}
