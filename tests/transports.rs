//! Ways out other than direct delivery, and which messages take them.

use crate::harness::{
    Action, COMMON_PORT, DnsServer, Embedded, Identity, SmtpPeer, SocksProxy, TestCa, Verb, account, address,
    domain,
};
use serde_json::json;
use std::time::Duration;
use store::records::{TlsPolicyKind, TlsVerified};

/// A transport of that kind as the way for everything.
fn everything_by(way: &str) -> String {
    format!("[[transports]]\nname = \"way\"\n{way}\n[[routes]]\ntransport = \"way\"\n")
}

#[tokio::test]
async fn a_relay_takes_mail_for_every_domain() {
    let peer = SmtpPeer::accepting().await;
    let dns = DnsServer::start("").await;
    let port = peer.address().port();
    let server = Embedded::direct(&dns)
        .routing(&everything_by(&format!("smtp = {{ host = \"127.0.0.1\", port = {port}, tls = \"none\" }}")))
        .start()
        .await;
    for recipient in ["x@one.test", "x@two.test"] {
        let fate = server.try_to(recipient).await;
        assert_eq!((fate.word(), fate.host()), ("delivered", "127.0.0.1"));
        assert_eq!((fate.tls(), fate.policy()), (None, Some(TlsPolicyKind::Relay)));
        peer.delivery_to(recipient).await;
    }
    assert_eq!(peer.connections(), 1, "a relay is one destination");
    assert_eq!(dns.asked("one.test", "MX").udp, 0);
}

#[tokio::test]
async fn submission_logs_in_over_verified_tls() {
    let ca = TestCa::new();
    let good = || ca.identity(&["relay.test"]);
    let secret = "not to be seen";
    let cases = [
        ("good", good(), secret, "required", "delivered"),
        ("a wrong password", good(), "wrong", "required", "deferred"),
        ("a wrong name", ca.identity(&["other.test"]), secret, "required", "deferred"),
        ("self-signed", Identity::self_signed(&["relay.test"]), secret, "required", "deferred"),
        ("expired", ca.expired(&["relay.test"]), secret, "required", "deferred"),
        (
            "self-signed, unverified",
            Identity::self_signed(&["relay.test"]),
            secret,
            "unverified",
            "delivered",
        ),
    ];
    for implicit in [false, true] {
        for (what, identity, password, tls, outcome) in &cases {
            let builder = SmtpPeer::exchanger().login("app", secret);
            let builder = match implicit {
                false => builder.starttls(identity.server()),
                true => builder.implicit_tls(identity.server()),
            };
            let peer = builder.start().await;
            let dns = DnsServer::start(&format!("relay.test A {}", peer.ip())).await;
            let kind = if implicit { "submissions" } else { "submission" };
            let server = Embedded::direct(&dns)
                .settings(|settings| settings.delivery.trusted_ca_file = Some(ca.file()))
                .routing(&everything_by(&format!(
                    "{kind} = {{ host = \"relay.test\", port = {COMMON_PORT}, tls = \"{tls}\", \
                     username = \"app\", password = \"{password}\" }}"
                )))
                .start()
                .await;
            let fate = server.try_to("x@friend.test").await;
            let what = format!("{kind}, {what}: {fate:?}");
            assert_eq!(fate.word(), *outcome, "{what}");
            assert!(!format!("{fate:?}").contains(secret), "{what}");
            let visit = peer.visits().remove(0);
            if *outcome == "delivered" {
                assert_eq!(visit.login.as_deref(), Some("app"), "{what}");
                let verified = if *tls == "required" { TlsVerified::WebPki } else { TlsVerified::No };
                assert_eq!(fate.tls().map(|tls| tls.verified), Some(verified), "{what}");
                assert_eq!(visit.tls.and_then(|tls| tls.sni).as_deref(), Some("relay.test"), "{what}");
            } else {
                let mail = visit.commands.iter().any(|line| line.starts_with("MAIL"));
                assert!(!mail && peer.deliveries().is_empty(), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_login_never_goes_out_in_the_clear() {
    let peer = SmtpPeer::exchanger().login("app", "secret").start().await;
    let dns = DnsServer::start(&format!("relay.test A {}", peer.ip())).await;
    let server = Embedded::direct(&dns)
        .routing(&everything_by(&format!(
            "submission = {{ host = \"relay.test\", port = {COMMON_PORT}, tls = \"unverified\", username = \"app\", \
             password = \"secret\" }}"
        )))
        .start()
        .await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.enhanced().as_str()), ("deferred", "4.7.10"), "{fate:?}");
    assert!(format!("{fate:?}").contains("in the transport, if that is meant"), "{fate:?}");
    let visits = peer.visits();
    assert!(visits.iter().all(|visit| visit.login.is_none()), "{visits:?}");
    assert!(
        !visits.iter().flat_map(|visit| &visit.commands).any(|line| line.starts_with("AUTH")),
        "{visits:?}"
    );
}

#[tokio::test]
async fn a_proxy_reaches_the_exchangers() {
    let peer = SmtpPeer::exchanger().start().await;
    let dns =
        DnsServer::start(&format!("friend.test MX 10 mx.friend.test\nmx.friend.test A {}", peer.ip())).await;
    let proxy = SocksProxy::start().await;
    let by = |proxy: &SocksProxy| {
        let port = proxy.address().port();
        everything_by(&format!(
            "socks = {{ host = \"127.0.0.1\", port = {port}, hostname = \"proxy.example\" }}"
        ))
    };
    let server = Embedded::direct(&dns).routing(&by(&proxy)).start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.host(), fate.ip()), ("delivered", "mx.friend.test", Some(peer.ip())));
    assert_eq!(proxy.requests(), [peer.address()]);
    assert_eq!(peer.visits()[0].ehlo, "proxy.example");

    let refusing = SocksProxy::refusing(2).await;
    let server = Embedded::direct(&dns).routing(&by(&refusing)).start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.enhanced().as_str()), ("deferred", "4.4.1"), "{fate:?}");
    assert_eq!(refusing.requested().await, peer.address());
    assert_eq!(peer.connections(), 1, "nothing goes past the proxy");
}

#[tokio::test]
async fn a_transport_can_refuse_everything() {
    let dns = DnsServer::start("").await;
    for (code, outcome) in [(550, "failed"), (451, "deferred")] {
        let class = code / 100;
        let server = Embedded::direct(&dns)
            .routing(&everything_by(&format!(
                "fail = {{ code = {code}, text = \"{class}.7.1 not from here\" }}"
            )))
            .start()
            .await;
        let fate = server.try_to("x@friend.test").await;
        assert_eq!((fate.word(), fate.code()), (outcome, code), "{fate:?}");
        assert_eq!(fate.enhanced(), format!("{class}.7.1"));
        assert!(fate.last().result.error().contains("not from here"), "{fate:?}");
    }
    assert_eq!(dns.asked("friend.test", "MX").udp, 0);
}

#[tokio::test]
async fn the_first_route_that_fits_decides() {
    let peer = SmtpPeer::exchanger().start().await;
    let dns = DnsServer::start(&format!("*.test A {}", peer.ip())).await;
    let refuse = |name: &str, code: u16| {
        format!("[[transports]]\nname = \"{name}\"\nfail = {{ code = {code}, text = \"{name}\" }}\n")
    };
    let routing = [
        refuse("to", 451),
        refuse("below", 452),
        refuse("from", 453),
        refuse("account", 454),
        refuse("domain", 455),
        "[[routes]]\ntransport = \"to\"\nto_domains = [\"to.test\"]\n".into(),
        "[[routes]]\ntransport = \"below\"\nto_domains = [\".below.test\", \"to.test\"]\n".into(),
        "[[routes]]\ntransport = \"from\"\nfrom_domains = [\"from.test\"]\n".into(),
    ]
    .concat();
    let route = |transport: &str, to: &str| mail::Route {
        transport: transport.into(),
        from_domains: Vec::new(),
        to_domains: vec![to.parse().expect("a pattern")],
        minimum_attempts: 0,
    };
    let mut rider = account("rider");
    rider.addresses.push(address("@from.test"));
    rider.addresses.push(address("@routed.test"));
    rider.routes = vec![route("account", "own.test"), route("account", "account.test")];
    let mut routed = domain("routed.test");
    routed.routes = vec![route("domain", "account.test"), route("domain", "to.test")];
    let server = Embedded::direct(&dns)
        .routing(&routing)
        .domain(domain("from.test"))
        .domain(routed)
        .account(rider)
        .start()
        .await;
    for (from, to, code) in [
        ("rider@localhost", "free.test", 250),
        ("rider@localhost", "to.test", 451),
        ("rider@localhost", "x.below.test", 452),
        ("rider@localhost", "below.test", 250),
        ("x@from.test", "free.test", 453),
        ("x@from.test", "to.test", 451),
        ("x@from.test", "own.test", 454),
        ("x@routed.test", "account.test", 454),
        ("x@routed.test", "to.test", 455),
        ("x@routed.test", "free.test", 250),
    ] {
        let to_address = format!("x@{to}");
        let message = json!({"From": [{"Address": from}], "To": [{"Address": to_address}], "Subject": "s", "Text": "t"});
        let id = server.send_request(&message).await[0];
        let fate = server.fate(id).await;
        assert_eq!(fate.code(), code, "from {from} to {to}: {fate:?}");
    }
}

#[tokio::test]
async fn a_route_can_wait_for_failed_attempts() {
    let (busy, relay) = (
        SmtpPeer::exchanger()
            .script(|moment| match moment.verb {
                Verb::Mail => Action::Reply("451 4.3.2 busy"),
                _ => Action::Usual,
            })
            .start()
            .await,
        SmtpPeer::accepting().await,
    );
    let dns = DnsServer::start(&format!("friend.test A {}", busy.ip())).await;
    let port = relay.address().port();
    let server = Embedded::direct(&dns)
        .settings(|settings| settings.delivery.retry = vec![Duration::from_millis(50); 4])
        .routing(&format!(
            "[[transports]]\nname = \"relay\"\nsmtp = {{ host = \"127.0.0.1\", port = {port}, tls = \"none\" }}\n\
             [[routes]]\ntransport = \"relay\"\nminimum_attempts = 2\n"
        ))
        .start()
        .await;
    let id = server.send("x@friend.test").await;
    let fate = server.end(id).await;
    assert_eq!((fate.word(), fate.attempts.len()), ("delivered", 3), "{fate:?}");
    let hosts: Vec<_> = fate.attempts.iter().map(|attempt| attempt.host.as_str()).collect();
    assert_eq!(hosts, ["friend.test", "friend.test", "127.0.0.1"]);
    assert_eq!(relay.deliveries().len(), 1);
}
