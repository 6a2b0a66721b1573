//! TLS to hosts that have no policy, and what messages can ask of it.

use crate::harness::{
    Action, DnsServer, Embedded, Identity, Moment, Security, SignedDns, SmtpPeer, TestCa, Verb, message_to,
};
use rustls::version::{TLS12, TLS13};
use serde_json::json;
use store::records::{TlsPolicyKind, TlsVerified};

/// The zone of a domain whose exchanger is the peer.
fn zone(domain: &str, peer: &SmtpPeer) -> String {
    format!("{domain} MX 10 mx.{domain}\nmx.{domain} A {}\n", peer.ip())
}

#[tokio::test]
async fn any_certificate_is_better_than_none() {
    let ca = TestCa::new();
    for (what, config, version) in [
        ("good", ca.identity(&["mx.friend.test"]).server(), "TLSv1.3"),
        ("old", ca.identity(&["mx.friend.test"]).server_of(&[&TLS12]), "TLSv1.2"),
        ("new", ca.identity(&["mx.friend.test"]).server_of(&[&TLS13]), "TLSv1.3"),
        ("self-signed", Identity::self_signed(&["mx.friend.test"]).server(), "TLSv1.3"),
        ("expired", ca.expired(&["mx.friend.test"]).server(), "TLSv1.3"),
        ("of another", ca.identity(&["mx.other.test"]).server(), "TLSv1.3"),
    ] {
        let peer = SmtpPeer::exchanger().starttls(config).start().await;
        let dns = DnsServer::start(&zone("friend.test", &peer)).await;
        let server = Embedded::direct(&dns).start().await;
        let fate = server.try_to("x@friend.test").await;
        assert_eq!((fate.word(), fate.policy()), ("delivered", Some(TlsPolicyKind::Opportunistic)), "{what}");
        let facts = fate.tls().expect(what);
        assert_eq!((facts.version.as_str(), facts.verified), (version, TlsVerified::No), "{what}");
        assert!(facts.cipher.starts_with("TLS"), "{facts:?}");
        let visit = peer.visits().remove(0);
        assert_eq!(visit.tls.expect(what).sni.as_deref(), Some("mx.friend.test"), "{what}");
        assert_eq!(peer.connections(), 1, "{what}");
    }
}

#[tokio::test]
async fn it_is_recorded_when_an_authority_vouches_for_the_host() {
    let ca = TestCa::new();
    let peer = SmtpPeer::exchanger().starttls(ca.identity(&["mx.friend.test"]).server()).start().await;
    let dns = DnsServer::start(&zone("friend.test", &peer)).await;
    let server = Embedded::direct(&dns)
        .settings(|settings| settings.delivery.trusted_ca_file = Some(ca.file()))
        .start()
        .await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!(fate.tls().map(|tls| tls.verified), Some(TlsVerified::WebPki));
    assert_eq!(fate.policy(), Some(TlsPolicyKind::Opportunistic));
}

#[tokio::test]
async fn plain_text_is_better_than_nothing() {
    type Script = fn(&Moment<'_>) -> Action;
    fn at(verb: Verb, moment: &Moment<'_>, action: Action) -> Action {
        if moment.verb == verb { action } else { Action::Usual }
    }
    let cases: [(&str, Script); 7] = [
        ("STARTTLS is refused", |m| at(Verb::StartTls, m, Action::Reply("454 4.7.0 not now"))),
        ("STARTTLS is unknown", |m| at(Verb::StartTls, m, Action::Reply("502 5.5.1 what?"))),
        ("STARTTLS closes", |m| at(Verb::StartTls, m, Action::Close)),
        ("STARTTLS is answered with nonsense", |m| at(Verb::StartTls, m, Action::Bytes(b"ok\r\n".to_vec()))),
        ("the handshake closes", |m| at(Verb::Handshake, m, Action::Close)),
        ("the handshake is broken", |m| {
            at(Verb::Handshake, m, Action::BytesAndClose(b"\x15\x03\x03\x00\x02\x02\x28".to_vec()))
        }),
        ("the handshake is nonsense", |m| {
            at(Verb::Handshake, m, Action::BytesAndClose(b"250 ok\r\n".to_vec()))
        }),
    ];
    let identity = Identity::self_signed(&["mx.friend.test"]);
    for (what, script) in cases {
        let peer = SmtpPeer::exchanger().starttls(identity.server()).script(script).start().await;
        let dns = DnsServer::start(&zone("friend.test", &peer)).await;
        let server = Embedded::direct(&dns).start().await;
        let fate = server.try_to("x@friend.test").await;
        assert_eq!(
            (fate.word(), fate.tls(), fate.attempts.len()),
            ("delivered", None, 1),
            "{what}: {fate:?}"
        );
        assert_eq!(peer.deliveries().len(), 1, "{what}");
    }
    let peer = SmtpPeer::exchanger().start().await;
    let dns = DnsServer::start(&zone("friend.test", &peer)).await;
    let server = Embedded::direct(&dns).start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.tls()), ("delivered", None));
    assert_eq!((fate.policy(), peer.connections()), (Some(TlsPolicyKind::Opportunistic), 1));
}

/// A man in the middle could add commands or replies before the handshake (CVE-2011-0411).
#[tokio::test]
async fn what_was_said_before_the_handshake_is_forgotten() {
    let identity = Identity::self_signed(&["mx.friend.test"]);
    let peer = SmtpPeer::exchanger()
        .starttls(identity.server())
        .script(|moment| match (moment.verb, moment.connection) {
            (Verb::StartTls, 0) => {
                Action::Bytes(b"220 ready\r\n250-evil.example\r\n250 AUTH PLAIN\r\n".to_vec())
            }
            _ => Action::Usual,
        })
        .start()
        .await;
    let dns = DnsServer::start(&zone("friend.test", &peer)).await;
    let server = Embedded::direct(&dns).start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!(fate.word(), "delivered", "{fate:?}");
    let deliveries = peer.deliveries();
    assert_eq!(deliveries.len(), 1);
    assert_ne!(deliveries[0].connection, 0, "that connection is given up");
}

#[tokio::test]
async fn a_message_can_require_tls_all_the_way() {
    let ca = TestCa::new();
    let good = || ca.identity(&["mx.secure.test"]).server();
    let builder = SmtpPeer::exchanger;
    let offering = &["PIPELINING", "REQUIRETLS"];
    for (what, peer, outcome) in [
        ("all is well", builder().starttls(good()).extensions(offering), "delivered"),
        ("REQUIRETLS is not offered", builder().starttls(good()), "failed"),
        ("TLS is not offered", builder().extensions(offering), "not sent"),
        (
            "the certificate is bad",
            builder().starttls(Identity::self_signed(&["mx.secure.test"]).server()).extensions(offering),
            "not sent",
        ),
    ] {
        let peer = peer.start().await;
        let dns = SignedDns::start(&[("secure.test", Security::Secure, &zone("secure.test", &peer))]).await;
        let server = Embedded::direct_signed(&dns)
            .settings(|settings| settings.delivery.trusted_ca_file = Some(ca.file()))
            .start()
            .await;
        let mut message = message_to("x@secure.test");
        message["RequireTLS"] = json!(true);
        let id = server.send_request(&message).await[0];
        let fate = server.fate(id).await;
        let what = format!("{what}: {fate:?}");
        if outcome == "delivered" {
            assert_eq!(
                (fate.word(), fate.policy()),
                ("delivered", Some(TlsPolicyKind::RequireTls)),
                "{what}"
            );
            assert_eq!(fate.tls().map(|tls| tls.verified), Some(TlsVerified::WebPki), "{what}");
            let mail = &peer.deliveries()[0].mail;
            assert!(mail.split(' ').any(|word| word == "REQUIRETLS"), "{mail}");
        } else {
            assert_ne!(fate.word(), "delivered", "{what}");
            assert!(peer.deliveries().is_empty(), "{what}");
            let sent =
                peer.visits().iter().flat_map(|visit| visit.commands.clone()).any(|l| l.starts_with("RCPT"));
            assert!(!sent, "{what}");
        }
        if outcome == "failed" {
            assert_eq!((fate.word(), fate.enhanced().as_str()), ("failed", "5.7.30"), "{what}");
        }
    }
}

#[tokio::test]
async fn tls_is_not_proven_by_a_name_that_nobody_vouches_for() {
    let ca = TestCa::new();
    let peer = SmtpPeer::exchanger()
        .starttls(ca.identity(&["mx.friend.test"]).server())
        .extensions(&["REQUIRETLS"])
        .start()
        .await;
    let dns = DnsServer::start(&zone("friend.test", &peer)).await;
    let server = Embedded::direct(&dns)
        .settings(|settings| settings.delivery.trusted_ca_file = Some(ca.file()))
        .start()
        .await;
    let mut message = message_to("x@friend.test");
    message["RequireTLS"] = json!(true);
    let id = server.send_request(&message).await[0];
    let fate = server.fate(id).await;
    assert_eq!((fate.word(), fate.enhanced().as_str()), ("failed", "5.7.30"), "{fate:?}");
    assert!(peer.deliveries().is_empty());
}

#[tokio::test]
async fn a_message_can_do_without_tls() {
    let ca = TestCa::new();
    let peer = SmtpPeer::exchanger().starttls(ca.identity(&["mx.other.test"]).server()).start().await;
    let records = format!("{}_20025._tcp.mx.secure.test TLSA 3 1 1 {:064}", zone("secure.test", &peer), 0);
    let dns = SignedDns::start(&[("secure.test", Security::Secure, &records)]).await;
    let server = Embedded::direct_signed(&dns).start().await;
    assert_eq!(server.try_to("x@secure.test").await.word(), "deferred");
    let mut message = message_to("x@secure.test");
    message["RequireTLS"] = json!(false);
    let id = server.send_request(&message).await[0];
    let fate = server.fate(id).await;
    assert_eq!((fate.word(), fate.policy()), ("delivered", Some(TlsPolicyKind::TlsNotRequired)), "{fate:?}");
    assert_eq!(peer.deliveries()[0].header("TLS-Required").as_deref(), Some("No"));
}
