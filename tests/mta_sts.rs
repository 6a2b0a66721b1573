//! MTA-STS (RFC 8461) against an HTTPS server that has the policies.

use crate::harness::{
    DnsServer, Embedded, EmbeddedBuilder, Identity, SmtpPeer, StsAnswer, StsServer, TestCa,
};
use store::records::{TlsPolicyKind, TlsVerified};

const POLICY_HOST: &str = "mta-sts.friend.test";

/// The domain `friend.test` with a policy server, its exchanger `mx.friend.test`, and an authority for both.
struct Friend {
    ca: TestCa,
    dns: DnsServer,
    policies: StsServer,
    peer: SmtpPeer,
}

impl Friend {
    /// The exchanger has that certificate.
    async fn with(identity: impl FnOnce(&TestCa) -> Identity) -> Friend {
        let ca = TestCa::new();
        let peer = SmtpPeer::exchanger().starttls(identity(&ca).server()).start().await;
        Friend::of(ca, peer).await
    }

    async fn of(ca: TestCa, peer: SmtpPeer) -> Friend {
        let policies = StsServer::start(ca.identity(&[POLICY_HOST]).server()).await;
        let dns = DnsServer::start(&format!(
            "friend.test          MX  10 mx.friend.test
             mx.friend.test       A   {}
             _mta-sts.friend.test 0 TXT \"v=STSv1; id=1;\"
             {POLICY_HOST}        A   127.0.0.1",
            peer.ip()
        ))
        .await;
        Friend { ca, dns, policies, peer }
    }

    fn policy(&self, mode: &str, mx: &str) {
        let text = format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400");
        self.policies.answer(POLICY_HOST, StsAnswer::Policy(text));
    }

    fn server(&self) -> EmbeddedBuilder {
        Embedded::direct(&self.dns).settings(|settings| {
            settings.delivery.trusted_ca_file = Some(self.ca.file());
            settings.delivery.mta_sts_port = self.policies.address().port();
            // Every message has its own connection, and is judged by what is known then.
            settings.delivery.connection_messages_max = 1;
        })
    }

    /// Whether a message got as far as its return path.
    fn was_told(&self) -> bool {
        let visits = self.peer.visits();
        visits.iter().flat_map(|visit| &visit.commands).any(|line| line.starts_with("MAIL"))
    }
}

#[tokio::test]
async fn a_policy_is_enforced_and_fetched_once() {
    let friend = Friend::with(|ca| ca.identity(&["mx.friend.test"])).await;
    friend.policy("enforce", "*.friend.test");
    let server = friend.server().start().await;
    for _ in 0..3 {
        let fate = server.try_to("x@friend.test").await;
        assert_eq!((fate.word(), fate.policy()), ("delivered", Some(TlsPolicyKind::MtaSts)), "{fate:?}");
        assert_eq!(fate.tls().map(|tls| tls.verified), Some(TlsVerified::WebPki));
    }
    assert_eq!((friend.policies.requests(POLICY_HOST), friend.peer.connections()), (1, 3));
}

#[tokio::test]
async fn nothing_is_sent_to_a_host_that_does_not_fit_the_policy() {
    let good = |ca: &TestCa| ca.identity(&["mx.friend.test"]);
    let mut friends = vec![
        ("another name", Friend::with(|ca| ca.identity(&["mx.other.test"])).await, "mx.friend.test"),
        ("expired", Friend::with(|ca| ca.expired(&["mx.friend.test"])).await, "mx.friend.test"),
        ("self-signed", Friend::with(|_| Identity::self_signed(&["mx.friend.test"])).await, "mx.friend.test"),
        ("not in the policy", Friend::with(good).await, "mx.other.test"),
        ("below what is in the policy", Friend::with(good).await, "friend.test"),
    ];
    let plain = SmtpPeer::exchanger().start().await;
    friends.push(("no TLS offered", Friend::of(TestCa::new(), plain).await, "mx.friend.test"));
    for (what, friend, mx) in friends {
        friend.policy("enforce", mx);
        let server = friend.server().start().await;
        let fate = server.try_to("x@friend.test").await;
        assert_eq!((fate.word(), fate.code()), ("deferred", 0), "{what}: {fate:?}");
        assert!(fate.enhanced().starts_with("4.7."), "{what}: {fate:?}");
        assert!(!friend.was_told(), "{what}");

        friend.policy("testing", mx);
        friend.dns.put("_mta-sts.friend.test 0 TXT \"v=STSv1; id=2\"");
        let fate = server.try_to("x@friend.test").await;
        assert_eq!((fate.word(), fate.policy()), ("delivered", Some(TlsPolicyKind::Opportunistic)), "{what}");
        assert_eq!(friend.policies.requests(POLICY_HOST), 2, "{what}");
    }
}

#[tokio::test]
async fn a_host_in_the_policy_takes_what_another_may_not() {
    let friend = Friend::with(|ca| ca.identity(&["mx.friend.test"])).await;
    let other = SmtpPeer::exchanger().start().await;
    friend.dns.put(&format!(
        "friend.test MX 5 evil.test\nfriend.test MX 10 mx.friend.test\nevil.test A {}",
        other.ip()
    ));
    friend.policy("enforce", "mx.friend.test");
    let server = friend.server().start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.host()), ("delivered", "mx.friend.test"), "{fate:?}");
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn a_policy_holds_when_its_server_and_ours_are_gone() {
    let friend = Friend::with(|ca| ca.identity(&["mx.friend.test"])).await;
    friend.policy("enforce", "mx.friend.test");
    let server = friend.server().start().await;
    assert_eq!(server.try_to("x@friend.test").await.policy(), Some(TlsPolicyKind::MtaSts));
    let data = server.stop();

    // Somebody takes over: no policy server, no record, another exchanger.
    let Friend { ca, dns, policies, peer } = friend;
    let port = policies.address().port();
    drop(policies);
    dns.remove("_mta-sts.friend.test");
    let evil = SmtpPeer::exchanger().starttls(Identity::self_signed(&["evil.test"]).server()).start().await;
    dns.put(&format!("friend.test MX 10 evil.test\nevil.test A {}", evil.ip()));
    let server = Embedded::direct(&dns)
        .settings(|settings| {
            settings.delivery.trusted_ca_file = Some(ca.file());
            settings.delivery.mta_sts_port = port;
        })
        .data(data)
        .start()
        .await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.code()), ("deferred", 0), "{fate:?}");
    assert!(evil.deliveries().is_empty());
    assert_eq!(peer.deliveries().len(), 1);
}

#[tokio::test]
async fn a_new_id_brings_a_new_policy() {
    let friend = Friend::with(|ca| ca.identity(&["mx.other.test"])).await;
    friend.policy("enforce", "mx.friend.test");
    let server = friend.server().start().await;
    assert_eq!(server.try_to("x@friend.test").await.word(), "deferred");

    // What the file says counts only with a new id.
    friend.policy("none", "mx.friend.test");
    assert_eq!(server.try_to("x@friend.test").await.word(), "deferred");
    assert_eq!(friend.policies.requests(POLICY_HOST), 1);

    friend.dns.put("_mta-sts.friend.test 0 TXT \"v=STSv1; id=2\"");
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.policy()), ("delivered", Some(TlsPolicyKind::Opportunistic)), "{fate:?}");
    assert_eq!(friend.policies.requests(POLICY_HOST), 2);
}

#[tokio::test]
async fn what_is_no_policy_binds_nobody() {
    let enforce = "version: STSv1\nmode: enforce\nmx: mx.friend.test\nmax_age: 86400";
    let cases = [
        ("not found", StsAnswer::Status(404)),
        ("a failure", StsAnswer::Status(500)),
        ("a redirect", StsAnswer::Redirect(format!("https://{POLICY_HOST}/.well-known/mta-sts.txt"))),
        ("a web page", StsAnswer::Typed("text/html", enforce.into())),
        ("another version", StsAnswer::Policy(enforce.replace("STSv1", "STSv2"))),
        ("no max_age", StsAnswer::Policy(enforce.replace("max_age: 86400", ""))),
        ("an unknown mode", StsAnswer::Policy(enforce.replace("enforce", "perhaps"))),
        ("no host", StsAnswer::Policy(enforce.replace("mx: mx.friend.test\n", ""))),
        ("far too much", StsAnswer::Policy(format!("{enforce}\n{}", "x: y\n".repeat(100_000)))),
    ];
    for (what, answer) in cases {
        let friend = Friend::with(|_| Identity::self_signed(&["mx.friend.test"])).await;
        friend.policies.answer(POLICY_HOST, answer);
        let server = friend.server().start().await;
        let fate = server.try_to("x@friend.test").await;
        assert_eq!((fate.word(), fate.policy()), ("delivered", Some(TlsPolicyKind::Opportunistic)), "{what}");
        assert_eq!(friend.policies.requests(POLICY_HOST), 1, "{what}");
    }
}

#[tokio::test]
async fn a_policy_server_that_nobody_vouches_for_is_not_believed() {
    let mut friend = Friend::with(|ca| ca.identity(&["mx.other.test"])).await;
    friend.policies = StsServer::start(Identity::self_signed(&[POLICY_HOST]).server()).await;
    friend.policy("enforce", "mx.friend.test");
    let server = friend.server().start().await;
    let fate = server.try_to("x@friend.test").await;
    assert_eq!((fate.word(), fate.policy()), ("delivered", Some(TlsPolicyKind::Opportunistic)), "{fate:?}");
    assert_eq!(friend.policies.requests(POLICY_HOST), 0);
}
