//! Which hosts mail for a domain goes to, and what happens when there are none.

use crate::harness::{
    Action, COMMON_PORT, DnsServer, Embedded, Fault, SmtpPeer, Verb, loopback, set_timeouts,
};
use config::AddressFamily;
use futures_util::future::join_all;
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

#[tokio::test]
async fn hosts_are_tried_by_preference_until_one_takes_the_message() {
    let (first, second) = (SmtpPeer::exchanger().start().await, SmtpPeer::exchanger().start().await);
    let dns = DnsServer::start(&format!(
        "friend.test     MX 30 c.friend.test
         friend.test     MX 10 a.friend.test
         friend.test     MX 20 b.friend.test
         a.friend.test   A  {}
         b.friend.test   A  {}
         c.friend.test   A  {}",
        loopback(),
        first.ip(),
        second.ip(),
    ))
    .await;
    let server = Embedded::direct(&dns).start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.host(), fate.ip()), ("delivered", "b.friend.test", Some(first.ip())));
    assert_eq!((fate.code(), fate.attempts.len()), (250, 1));
    assert_eq!((first.deliveries().len(), second.connections()), (1, 0));
    assert_eq!(first.visits()[0].ehlo, "mail.example");
}

#[tokio::test]
async fn a_host_that_does_not_work_is_passed_over() {
    let cases: [(&str, Action); 5] = [
        ("refuses", Action::ReplyAndClose("554 5.3.2 no mail here")),
        ("is busy", Action::ReplyAndClose("421 4.3.2 busy")),
        ("closes", Action::Close),
        ("hangs", Action::Hang),
        ("talks nonsense", Action::Reply("hello there")),
    ];
    for (what, action) in cases {
        let good = SmtpPeer::exchanger().start().await;
        let bad = SmtpPeer::exchanger()
            .script(move |moment| match moment.verb {
                Verb::Connect => action.clone(),
                _ => Action::Usual,
            })
            .start()
            .await;
        let dns = DnsServer::start(&format!(
            "friend.test MX 10 bad.test\nfriend.test MX 20 good.test\nbad.test A {}\ngood.test A {}",
            bad.ip(),
            good.ip()
        ))
        .await;
        let timeout = Duration::from_secs(1);
        let server = Embedded::direct(&dns)
            .settings(|settings| set_timeouts(&mut settings.delivery, timeout))
            .start()
            .await;
        let fate = server.try_to("x@friend.test").await;
        assert_eq!((fate.word(), fate.host()), ("delivered", "good.test"), "a host that {what}");
        assert_eq!(fate.attempts.len(), 1, "{what}");
    }
}

#[tokio::test]
async fn hosts_of_equal_preference_share_the_mail() {
    let peers = join_all((0..2).map(|_| SmtpPeer::exchanger().start())).await;
    let dns = DnsServer::start(&format!(
        "friend.test MX 10 a.friend.test\nfriend.test MX 10 b.friend.test\na.friend.test A {}\nb.friend.test A {}",
        peers[0].ip(),
        peers[1].ip()
    ))
    .await;
    let server = Embedded::direct(&dns)
        .settings(|settings| settings.delivery.connection_messages_max = 1)
        .start()
        .await;
    let count = 40;
    let ids = join_all((0..count).map(|_| server.send("x@friend.test"))).await;
    for id in ids {
        assert_eq!(server.end(id).await.word(), "delivered");
    }
    let got: Vec<_> = peers.iter().map(|peer| peer.deliveries().len()).collect();
    assert_eq!(got.iter().sum::<usize>(), count);
    // With chance alone, one of them is left out once in a trillion times.
    assert!(got.iter().all(|&deliveries| deliveries > 0), "{got:?}");
}

#[tokio::test]
async fn without_exchangers_the_domain_itself_takes_the_mail() {
    let peer = SmtpPeer::exchanger().start().await;
    let dns = DnsServer::start(&format!(
        "friend.test   A     {ip}
         alias.test    CNAME friend.test
         other.test    MX    10 mx.other.test
         mx.other.test CNAME friend.test
         named.test    CNAME other.test",
        ip = peer.ip()
    ))
    .await;
    let server = Embedded::direct(&dns).start().await;
    for domain in ["friend.test", "alias.test", "other.test", "named.test"] {
        let fate = server.try_to(&format!("x@{domain}")).await;
        assert_eq!((fate.word(), fate.ip()), ("delivered", Some(peer.ip())), "{domain}: {fate:?}");
        let delivery = peer.delivery_to(&format!("x@{domain}")).await;
        assert_eq!(delivery.recipients, [format!("x@{domain}")], "addresses are not rewritten");
    }
}

#[tokio::test]
async fn mail_goes_over_both_families_of_addresses() {
    let peer = SmtpPeer::builder().at((Ipv6Addr::LOCALHOST, 0)).start().await;
    let port = peer.address().port();
    let dns =
        DnsServer::start(&format!("both.test AAAA ::1\nboth.test A {}\nsix.test AAAA ::1", loopback())).await;
    let server = Embedded::direct(&dns).settings(|settings| settings.delivery.port = port).start().await;
    for domain in ["both.test", "six.test"] {
        let fate = server.try_to(&format!("x@{domain}")).await;
        assert_eq!((fate.word(), fate.ip()), ("delivered", Some(Ipv6Addr::LOCALHOST.into())), "{domain}");
    }
}

#[tokio::test]
async fn one_family_alone_can_be_used() {
    let peer = SmtpPeer::exchanger().start().await;
    let dns = DnsServer::start(&format!("both.test AAAA ::1\nboth.test A {}", peer.ip())).await;
    let transport = |family: &str| {
        format!(
            "[[transports]]\nname = \"way\"\ndirect = {{ family = \"{family}\" }}\n[[routes]]\ntransport = \"way\"\n"
        )
    };
    let server = Embedded::direct(&dns).routing(&transport("ipv4")).start().await;
    assert!(matches!(
        server.app().settings.transports[0].way,
        config::Way::Direct(config::Direct { family: AddressFamily::Ipv4, .. })
    ));
    let fate = server.try_to("x@both.test").await;
    assert_eq!((fate.word(), fate.ip()), ("delivered", Some(peer.ip())));
    assert_eq!(dns.asked("both.test", "AAAA").udp, 0);
    let server = Embedded::direct(&dns).routing(&transport("ipv6")).start().await;
    let fate = server.try_to("x@both.test").await;
    assert_eq!((fate.word(), fate.ip()), ("deferred", Some(Ipv6Addr::LOCALHOST.into())));
}

#[tokio::test]
async fn mail_comes_from_the_chosen_addresses() {
    let peer = SmtpPeer::exchanger().start().await;
    let dns = DnsServer::start(&format!("friend.test A {}", peer.ip())).await;
    let sources: Vec<IpAddr> = vec![loopback().into(), loopback().into()];
    let chosen = sources.clone();
    let server = Embedded::direct(&dns)
        .settings(|settings| {
            settings.delivery.source_addresses = chosen;
            settings.delivery.connection_messages_max = 1;
        })
        .start()
        .await;
    for id in join_all((0..40).map(|_| server.send("x@friend.test"))).await {
        assert_eq!(server.end(id).await.word(), "delivered");
    }
    let used: BTreeSet<_> = peer.visits().iter().map(|visit| visit.from).collect();
    assert_eq!(used, sources.into_iter().collect());
}

#[tokio::test]
async fn what_the_name_servers_say_decides_between_failing_and_waiting() {
    let unreachable = loopback();
    let dns = DnsServer::start(&format!(
        "null.test       MX    0 .
         empty.test      TXT   nothing
         own.test        MX    10 mail.example
         ours.test       MX    10 mail.example
         ours.test       MX    10 away.test
         away.test       A     {unreachable}
         mail.example    A     {unreachable}
         lost.test       MX    10 nowhere.test
         half.test       MX    10 nowhere.test
         half.test       MX    20 away.test
         other-half.test MX    10 away.test
         other-half.test MX    20 nowhere.test
         foggy.test      MX    10 nowhere.test
         foggy.test      MX    20 unclear.test
         unclear.test    A     {unreachable}
         hidden.test     MX    10 unclear.test
         broken.test     MX    10 away.test
         refused.test    MX    10 away.test
         bare.test       TXT   nothing
         loop.test       CNAME pool.test
         pool.test       CNAME loop.test
         down.test       MX    10 away.test"
    ))
    .await;
    dns.fault("broken.test", "MX", Fault::ServFail);
    dns.fault("refused.test", "MX", Fault::Refused);
    dns.fault("unclear.test", "A", Fault::ServFail);
    dns.fault("unclear.test", "AAAA", Fault::ServFail);
    dns.fault("bare.test", "A", Fault::ServFail);
    let server = Embedded::direct(&dns).start().await;
    let cases = [
        ("null.test", "failed", "5.1.10"),
        ("missing.test", "failed", "5.1.2"),
        ("empty.test", "failed", "5.4.4"),
        ("own.test", "failed", "5.4.6"),
        ("ours.test", "failed", "5.4.6"),
        ("lost.test", "failed", "5.4.4"),
        ("loop.test", "failed", "5.4.4"),
        // What may get better counts more than what does not.
        ("half.test", "deferred", "4.4.1"),
        ("other-half.test", "deferred", "4.4.1"),
        ("foggy.test", "deferred", "4.4.3"),
        ("hidden.test", "deferred", "4.4.3"),
        ("broken.test", "deferred", "4.4.3"),
        ("refused.test", "deferred", "4.4.3"),
        ("bare.test", "deferred", "4.4.3"),
        ("down.test", "deferred", "4.4.1"),
    ];
    let fates = join_all(cases.map(async |(domain, ..)| server.try_to(&format!("x@{domain}")).await)).await;
    let got: Vec<_> = fates.iter().map(|fate| (fate.word(), fate.enhanced())).collect();
    let got: Vec<_> = cases
        .iter()
        .zip(&got)
        .map(|((domain, ..), (word, enhanced))| (*domain, *word, enhanced.as_str()))
        .collect();
    assert_eq!(got, cases);
    for (fate, (domain, ..)) in fates.iter().zip(cases) {
        assert_eq!((fate.code(), fate.tls()), (0, None), "{domain}");
        assert!(!fate.last().result.error().is_empty(), "{domain}");
    }
}

#[tokio::test]
async fn name_servers_that_do_not_answer_defer() {
    let dns =
        DnsServer::start(&format!("silent.test A {0}\nodd.test A {0}\nliar.test A {0}", loopback())).await;
    dns.fault("silent.test", "MX", Fault::Silence);
    dns.fault("odd.test", "MX", Fault::Garbage);
    dns.fault("liar.test", "MX", Fault::WrongId);
    let server = Embedded::direct(&dns).start().await;
    let domains = ["silent.test", "odd.test", "liar.test"];
    let fates = join_all(domains.map(async |domain| server.try_to(&format!("x@{domain}")).await)).await;
    for (fate, domain) in fates.iter().zip(domains) {
        assert_eq!((fate.word(), fate.enhanced().as_str()), ("deferred", "4.4.3"), "{domain}: {fate:?}");
    }
}

#[tokio::test]
async fn long_answers_are_asked_for_again_over_tcp() {
    let peer = SmtpPeer::exchanger().start().await;
    let mut zone = format!("mx0.large.test A {0}\ncut.test A {0}\ncut.test MX 10 cut.test\n", peer.ip());
    for number in 0..200 {
        zone += &format!("large.test MX {number} mx{number}.large.test\n");
    }
    let dns = DnsServer::start(&zone).await;
    dns.fault("cut.test", "MX", Fault::Truncated);
    let server = Embedded::direct(&dns).start().await;
    for domain in ["large.test", "cut.test"] {
        assert_eq!(server.try_to(&format!("x@{domain}")).await.word(), "delivered", "{domain}");
        assert_eq!(dns.asked(domain, "MX").tcp, 1, "{domain}");
    }
}

#[tokio::test]
async fn answers_are_remembered_as_long_as_they_may() {
    let peer = SmtpPeer::exchanger().start().await;
    let dns =
        DnsServer::start(&format!("friend.test MX 10 mx.friend.test\nmx.friend.test A {}", peer.ip())).await;
    let server = Embedded::direct(&dns)
        .settings(|settings| settings.delivery.connection_messages_max = 1)
        .start()
        .await;
    for _ in 0..5 {
        assert_eq!(server.try_to("x@friend.test").await.word(), "delivered");
    }
    assert_eq!(peer.connections(), 5);
    assert_eq!((dns.asked("friend.test", "MX").udp, dns.asked("mx.friend.test", "A").udp), (1, 1));
}

#[tokio::test]
async fn mail_to_an_address_literal_goes_there_without_questions() {
    let peer = SmtpPeer::exchanger().start().await;
    let dns = DnsServer::start("").await;
    let server = Embedded::direct(&dns).start().await;
    let to = format!("x@[{}]", peer.ip());
    let fate = server.try_to(&to).await;
    assert_eq!((fate.word(), fate.ip()), ("delivered", Some(peer.ip())), "{fate:?}");
    assert_eq!(peer.deliveries()[0].recipients, [to]);
    assert_eq!(peer.address().port(), COMMON_PORT);
}

#[tokio::test]
async fn a_host_with_our_own_name_would_be_a_loop() {
    let peer = SmtpPeer::exchanger()
        .script(|moment| match moment.verb {
            Verb::Connect => Action::Reply("220 mail.example ESMTP"),
            Verb::Ehlo => Action::Reply("250 mail.example"),
            _ => Action::Usual,
        })
        .start()
        .await;
    let dns = DnsServer::start(&format!("friend.test A {}", peer.ip())).await;
    let server = Embedded::direct(&dns).start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.enhanced().as_str()), ("failed", "5.4.6"), "{fate:?}");
    assert!(peer.deliveries().is_empty());
}

#[tokio::test]
async fn an_exchanger_at_our_own_address_would_be_a_loop() {
    let own = loopback();
    let dns = DnsServer::start(&format!("friend.test MX 10 mx.friend.test\nmx.friend.test A {own}")).await;
    let server = Embedded::direct(&dns).smtp((own, COMMON_PORT)).start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.enhanced().as_str()), ("failed", "5.4.6"), "{fate:?}");
    assert_eq!((fate.host(), fate.ip()), ("mx.friend.test", Some(own.into())));
}
