//! What is said in a session, and how many sessions there are.

use crate::harness::{Action, DnsServer, Embedded, EmbeddedBuilder, Moment, SmtpPeer, SmtpPeerBuilder, Verb};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;

/// A domain `friend.test` with that peer, and a server that delivers to it.
async fn friend(peer: SmtpPeerBuilder) -> (SmtpPeer, DnsServer, EmbeddedBuilder) {
    let peer = peer.start().await;
    let dns = DnsServer::start(&format!("friend.test A {}", peer.ip())).await;
    let server = Embedded::direct(&dns);
    (peer, dns, server)
}

fn to_many(names: &[&str]) -> Value {
    let to: Vec<_> = names.iter().map(|name| json!({"Address": format!("{name}@friend.test")})).collect();
    json!({"To": to, "Subject": "to all", "Text": "hi"})
}

#[tokio::test]
async fn many_messages_take_few_connections() {
    let (peer, _dns, server) = friend(SmtpPeer::exchanger()).await;
    let server = server.start().await;
    let count = 300;
    let ids = join_all((0..count).map(|_| server.send("x@friend.test"))).await;
    for id in ids {
        assert_eq!(server.end(id).await.word(), "delivered");
    }
    assert_eq!(peer.deliveries().len(), count);
    assert!(peer.connections() <= 20, "{} connections for {count} messages", peer.connections());
}

#[tokio::test]
async fn a_connection_is_used_as_often_and_as_long_as_it_may() {
    let (peer, _dns, server) = friend(SmtpPeer::exchanger()).await;
    let server = server
        .settings(|settings| {
            settings.delivery.connection_messages_max = 3;
            settings.delivery.connections_per_destination_max = 1;
            settings.delivery.concurrency_start = 1;
        })
        .start()
        .await;
    for _ in 0..7 {
        assert_eq!(server.try_to("x@friend.test").await.word(), "delivered");
    }
    let connections: Vec<_> = peer.deliveries().iter().map(|delivery| delivery.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 1, 1, 2]);
    peer.heard("QUIT").await;

    let (peer, _dns, server) = friend(SmtpPeer::exchanger()).await;
    let server = server.settings(|settings| settings.delivery.connection_idle = Duration::ZERO).start().await;
    for _ in 0..3 {
        assert_eq!(server.try_to("x@friend.test").await.word(), "delivered");
    }
    assert_eq!(peer.connections(), 3);
}

#[tokio::test]
async fn recipients_share_a_transaction_and_each_gets_its_own_answer() {
    let script = |moment: &Moment<'_>| match moment.verb {
        Verb::Rcpt if moment.line.contains("<gone@") => Action::Reply("550 5.1.1 no such user"),
        Verb::Rcpt if moment.line.contains("<full@") => Action::Reply("452 4.2.2 mailbox full"),
        _ => Action::Usual,
    };
    let (peer, _dns, server) = friend(SmtpPeer::exchanger().script(script)).await;
    let server = server.start().await;
    let ids = server.send_request(&to_many(&["a", "gone", "b", "full", "c"])).await;
    let fates = join_all(ids.iter().map(|id| server.fate(*id))).await;
    let got: Vec<_> = fates.iter().map(|fate| (fate.word(), fate.code())).collect();
    let wanted =
        [("delivered", 250), ("failed", 550), ("delivered", 250), ("deferred", 452), ("delivered", 250)];
    assert_eq!(got, wanted);
    let deliveries = peer.deliveries();
    assert_eq!(deliveries.len(), 1, "one transaction");
    let mut recipients = deliveries[0].recipients.clone();
    recipients.sort();
    assert_eq!(recipients, ["a@friend.test", "b@friend.test", "c@friend.test"]);
}

#[tokio::test]
async fn a_transaction_has_as_many_recipients_as_the_host_takes() {
    // RFC 9422 says how many; RFC 5321 4.5.3.1.10 lets the host say so when they come.
    let announced = SmtpPeer::exchanger().extensions(&["PIPELINING", "LIMITS RCPTMAX=2"]);
    let silent = SmtpPeer::exchanger().script({
        let taken = std::sync::Mutex::new(0);
        move |moment| {
            let mut taken = taken.lock().expect("no holder panics");
            match moment.verb {
                Verb::Mail => *taken = 0,
                Verb::Rcpt if *taken >= 2 => return Action::Reply("452 4.5.3 too many recipients"),
                Verb::Rcpt => *taken += 1,
                _ => {}
            }
            Action::Usual
        }
    });
    for (what, peer) in [("announced", announced), ("silent", silent)] {
        let (peer, _dns, server) = friend(peer).await;
        // One connection at a time, so that the script can count.
        let server = server
            .settings(|settings| {
                settings.delivery.connections_per_destination_max = 1;
                settings.delivery.concurrency_start = 1;
            })
            .start()
            .await;
        let ids = server.send_request(&to_many(&["a", "b", "c", "d", "e"])).await;
        for fate in join_all(ids.iter().map(|id| server.end(*id))).await {
            assert_eq!((fate.word(), fate.attempts.len()), ("delivered", 1), "{what}: {fate:?}");
        }
        let mut sizes: Vec<_> = peer.deliveries().iter().map(|delivery| delivery.recipients.len()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 2, 2], "{what}");
    }
}

#[tokio::test]
async fn what_is_offered_is_used_and_nothing_else() {
    let message =
        json!({"To": [{"Address": "x@friend.test"}], "Subject": "s", "Text": "line\n".repeat(2000)});
    let offers: [(&[&str], bool); 4] = [
        (&[], false),
        (&["PIPELINING"], false),
        (&["PIPELINING", "SIZE 1000000", "DSN"], false),
        (&["PIPELINING", "CHUNKING", "8BITMIME", "SIZE", "DSN", "LIMITS RCPTMAX=5"], true),
    ];
    let mut contents = Vec::new();
    for (offered, chunked) in offers {
        let (peer, _dns, server) = friend(SmtpPeer::exchanger().extensions(offered)).await;
        let server = server.start().await;
        let id = server.send_request(&message).await[0];
        let fate = server.fate(id).await;
        assert_eq!(fate.word(), "delivered", "{offered:?}: {fate:?}");
        let delivery = peer.deliveries().remove(0);
        assert_eq!(delivery.chunked, chunked, "{offered:?}");
        let size = format!("SIZE={}", delivery.content.len());
        let has = |word: &str| delivery.mail.split(' ').any(|given| given.starts_with(word));
        let offers = |name: &str| offered.iter().any(|offer| offer.starts_with(name));
        assert_eq!(has(&size), offers("SIZE"), "{offered:?}: {}", delivery.mail);
        let envid = format!("ENVID={}", delivery.message_id().trim_matches(['<', '>']).replace('+', "+2B"));
        assert_eq!(has(&envid), offers("DSN"), "{offered:?}: {}", delivery.mail);
        assert_eq!(has("RET=HDRS"), offers("DSN"), "{offered:?}: {}", delivery.mail);
        contents.push(delivery.body().to_vec());
    }
    assert!(contents.iter().all(|body| body == &contents[0]), "BDAT and DATA bring the same");
}

#[tokio::test]
async fn international_addresses_need_a_host_that_knows_them() {
    let (peer, _dns, server) = friend(SmtpPeer::exchanger()).await;
    let server = server.start().await;
    let fate = server.try_to("müller@friend.test").await;
    assert_eq!(fate.word(), "delivered", "{fate:?}");
    let delivery = peer.delivery_to("müller@friend.test").await;
    assert!(delivery.mail.split(' ').any(|word| word == "SMTPUTF8"), "{}", delivery.mail);

    let (peer, _dns, server) = friend(SmtpPeer::exchanger().extensions(&["8BITMIME"])).await;
    let server = server.start().await;
    let fate = server.try_to("müller@friend.test").await;
    assert_eq!((fate.word(), fate.enhanced().as_str()), ("failed", "5.6.7"), "{fate:?}");
    assert!(peer.deliveries().is_empty());
    assert_eq!(server.try_to("miller@friend.test").await.word(), "delivered");
}

#[tokio::test]
async fn a_domain_in_other_letters_is_asked_for_in_ascii() {
    let peer = SmtpPeer::exchanger().extensions(&[]).start().await;
    let dns = DnsServer::start(&format!("xn--mller-kva.test A {}", peer.ip())).await;
    let server = Embedded::direct(&dns).start().await;
    let fate = server.try_to("x@müller.test").await;
    assert_eq!(fate.word(), "delivered", "{fate:?}");
    assert_eq!(peer.deliveries()[0].recipients, ["x@xn--mller-kva.test"]);
}

#[tokio::test]
async fn a_host_that_knows_no_ehlo_is_greeted_the_old_way() {
    let script = |moment: &Moment<'_>| match moment.verb {
        Verb::Ehlo => Action::Reply("502 5.5.1 what?"),
        _ => Action::Usual,
    };
    let (peer, _dns, server) = friend(SmtpPeer::exchanger().script(script)).await;
    let server = server.start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!(fate.word(), "delivered", "{fate:?}");
    assert_eq!(peer.deliveries()[0].mail, "<rider@localhost>");
}
