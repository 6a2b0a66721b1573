//! DANE (RFC 7672) against zones that Knot DNS signed and serves.

use crate::harness::{
    COMMON_PORT, DnsServer, Embedded, Identity, Security, SignedDns, SmtpPeer, SmtpPeerBuilder, TestCa,
};
use config::Dnssec;
use store::records::{TlsPolicyKind, TlsVerified};

/// The zone of a domain whose exchanger is the peer, with a TLSA record where there is one.
fn zone(domain: &str, peer: &SmtpPeer, tlsa: &str) -> String {
    let mut zone = format!("{domain} MX 10 mx.{domain}\nmx.{domain} A {}\n", peer.ip());
    if !tlsa.is_empty() {
        zone += &format!("_{COMMON_PORT}._tcp.mx.{domain} TLSA {tlsa}\n");
    }
    zone
}

/// A peer with that certificate.
fn with(identity: &Identity) -> SmtpPeerBuilder {
    SmtpPeer::exchanger().starttls(identity.server())
}

/// A case: its domain, peer, TLSA record, and what the session was like; none: nothing was sent.
struct Case {
    what: &'static str,
    peer: SmtpPeer,
    security: Security,
    tlsa: String,
    delivered: Option<(TlsPolicyKind, Option<TlsVerified>)>,
}

#[tokio::test]
async fn proven_records_decide_about_certificates() {
    use Security::{Expired, Forged, Insecure, Secure};
    const DANE: TlsPolicyKind = TlsPolicyKind::Dane;
    const OPPORTUNISTIC: TlsPolicyKind = TlsPolicyKind::Opportunistic;
    let ca = TestCa::new();
    let (own, expired) = (Identity::self_signed(&["other.test"]), ca.expired(&["other.test"]));
    let named = |number: usize| ca.identity(&[&format!("mx.case{number}.test")]);
    let key = |identity: &Identity| format!("3 1 1 {}", identity.spki_sha256());
    let authority = format!("2 1 1 {}", ca.spki_sha256());
    let wrong = format!("3 1 1 {:064}", 0);
    let proven = Some((DANE, Some(TlsVerified::Dane)));
    let unproven = Some((DANE, Some(TlsVerified::No)));
    let usual = Some((OPPORTUNISTIC, Some(TlsVerified::No)));
    let plans: Vec<(&str, SmtpPeerBuilder, Security, String, _)> = vec![
        // The name and dates of a certificate whose key is known mean nothing (RFC 7672, 3.1.1).
        ("the key", with(&own), Secure, key(&own), proven),
        ("the key, expired", with(&expired), Secure, key(&expired), proven),
        ("the authority", with(&named(2)), Secure, authority.clone(), proven),
        ("the authority, another name", with(&ca.identity(&["other.test"])), Secure, authority.clone(), None),
        ("another authority", with(&named(4)), Secure, format!("2 1 1 {:064}", 0), None),
        ("another key", with(&named(5)), Secure, wrong.clone(), None),
        ("no TLS offered", SmtpPeer::exchanger(), Secure, key(&own), None),
        ("unusable records", with(&own), Secure, format!("1 1 1 {:064}", 0), unproven),
        ("unusable records, no TLS offered", SmtpPeer::exchanger(), Secure, format!("1 1 1 {:064}", 0), None),
        ("an unknown digest", with(&own), Secure, "3 1 9 00ff".to_owned(), unproven),
        ("no records", with(&own), Secure, String::new(), usual),
        (
            "no records, no TLS offered",
            SmtpPeer::exchanger(),
            Secure,
            String::new(),
            Some((OPPORTUNISTIC, None)),
        ),
        ("an insecure zone", with(&own), Insecure, wrong.clone(), usual),
        ("a forged zone", with(&own), Forged, key(&own), None),
        ("an expired zone", with(&own), Expired, key(&own), None),
    ];
    let mut cases = Vec::new();
    for (what, peer, security, tlsa, delivered) in plans {
        cases.push(Case { what, peer: peer.start().await, security, tlsa, delivered });
    }
    let zones: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| {
            let name = format!("case{number}.test");
            let records = zone(&name, &case.peer, &case.tlsa);
            (name, case.security, records)
        })
        .collect();
    let zones: Vec<_> =
        zones.iter().map(|(name, security, records)| (name.as_str(), *security, records.as_str())).collect();
    let dns = SignedDns::start(&zones).await;
    let server = Embedded::direct_signed(&dns).start().await;
    for (number, case) in cases.iter().enumerate() {
        let fate = server.try_to(&format!("x@case{number}.test")).await;
        let what = format!("{}: {fate:?}", case.what);
        match &case.delivered {
            Some((policy, verified)) => {
                assert_eq!((fate.word(), fate.policy()), ("delivered", Some(*policy)), "{what}");
                assert_eq!(fate.tls().map(|tls| tls.verified), *verified, "{what}");
                assert_eq!(case.peer.deliveries().len(), 1, "{what}");
            }
            None => {
                assert_eq!((fate.word(), fate.code()), ("deferred", 0), "{what}");
                let commands: Vec<_> =
                    case.peer.visits().into_iter().flat_map(|visit| visit.commands).collect();
                assert!(!commands.iter().any(|line| line.starts_with("MAIL")), "{what}: {commands:?}");
            }
        }
    }
}

#[tokio::test]
async fn another_host_that_is_proven_takes_the_message() {
    let (good, bad) = (Identity::self_signed(&["a.test"]), Identity::self_signed(&["b.test"]));
    let peers = (with(&bad).start().await, with(&good).start().await);
    let records = format!(
        "secure.test MX 10 bad.secure.test
         secure.test MX 20 good.secure.test
         bad.secure.test A {}
         good.secure.test A {}
         _{COMMON_PORT}._tcp.bad.secure.test TLSA 3 1 1 {good_key}
         _{COMMON_PORT}._tcp.good.secure.test TLSA 3 1 1 {good_key}",
        peers.0.ip(),
        peers.1.ip(),
        good_key = good.spki_sha256(),
    );
    let dns = SignedDns::start(&[("secure.test", Security::Secure, &records)]).await;
    let server = Embedded::direct_signed(&dns).start().await;
    let fate = server.try_to("x@secure.test").await;
    assert_eq!((fate.word(), fate.host()), ("delivered", "good.secure.test"), "{fate:?}");
    assert!(peers.0.deliveries().is_empty());
}

#[tokio::test]
async fn an_exchanger_in_a_secure_zone_can_serve_an_insecure_domain() {
    let identity = Identity::self_signed(&["a.test"]);
    let peer = with(&identity).start().await;
    let plain = "plain.test MX 10 mx.secure.test\n";
    let secure = zone("secure.test", &peer, &format!("3 1 1 {:064}", 0));
    let dns = SignedDns::start(&[
        ("plain.test", Security::Insecure, plain),
        ("secure.test", Security::Secure, &secure),
    ])
    .await;
    let server = Embedded::direct_signed(&dns).start().await;
    // Nothing proves that it is the exchanger, so its records would keep nobody out (RFC 7672, 2.2.1).
    let fate = server.try_to("x@plain.test").await;
    assert_eq!((fate.word(), fate.policy()), ("delivered", Some(TlsPolicyKind::Opportunistic)), "{fate:?}");
}

#[tokio::test]
async fn what_a_resolver_says_of_itself_proves_nothing() {
    let peer = with(&Identity::self_signed(&["a.test"])).start().await;
    let dns = DnsServer::start(&zone("friend.test", &peer, &format!("3 1 1 {:064}", 0))).await;
    dns.authenticate("friend.test");
    let server = Embedded::direct(&dns).settings(|settings| settings.dns.dnssec = Dnssec::Auto).start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.policy()), ("delivered", Some(TlsPolicyKind::Opportunistic)), "{fate:?}");
}
