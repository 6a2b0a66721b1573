//! Whom webhooks may reach: addresses, certificates, and users in URLs.

use crate::harness::{DnsServer, Embedded, HookAnswer, HookReceiver, TestCa, account};
use postrider::control::{
    Selection,
    hooks::{HookListRequest, retired_hooks},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};
use store::{
    RetiredHookFilter,
    records::{AccountRecord, HookOutcome, IncomingWebhook, OutgoingWebhook},
};

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_at_every_attempt() {
    let receiver = HookReceiver::start().await;
    let port = receiver.port();
    let dns = DnsServer::start("hooks.test A 127.0.0.1\nhooks.test A 10.0.0.1").await;
    let nameserver = dns.address();
    for host in
        ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "hooks.test", "0x7f.1", "2130706433"]
    {
        let server = Embedded::calling(format!("http://{host}:{port}/hook"))
            .settings(|settings| {
                settings.webhooks.allow_networks = Vec::new();
                settings.dns.nameservers = vec![nameserver];
            })
            .start()
            .await;
        server.send("rider@localhost").await;
        let hook = server.retired_hook(1).await;
        assert_eq!((hook.outcome, hook.hook.attempts.len()), (HookOutcome::Failed, 3), "{host}");
        for attempt in &hook.hook.attempts {
            assert!(attempt.error.contains("webhooks.allow_networks"), "{host}: {}", attempt.error);
            assert_eq!(attempt.status, 0);
        }
    }
    assert!(receiver.calls().is_empty());
}

/// A server that calls the receiver by a name, and no address but 127.0.0.1.
async fn calling_where_allowed(receiver: &HookReceiver, nameserver: SocketAddr) -> Embedded {
    Embedded::calling(receiver.url_at("hooks.test"))
        .settings(|settings| {
            settings.webhooks.allow_networks = vec!["127.0.0.1/32".parse().expect("a network")];
            settings.dns.nameservers = vec![nameserver];
        })
        .start()
        .await
}

#[tokio::test]
async fn of_the_addresses_of_a_name_only_those_that_are_allowed_are_dialled() {
    let allowed = HookReceiver::start().await;
    let refused = HookReceiver::at((Ipv4Addr::new(127, 0, 0, 2), allowed.port()).into()).await;
    let dns = DnsServer::start("hooks.test A 127.0.0.2\nhooks.test A 10.0.0.1\nhooks.test A 127.0.0.1").await;
    let server = calling_where_allowed(&allowed, dns.address()).await;
    server.send("rider@localhost").await;
    let hook = server.retired_hook(1).await;
    assert_eq!((hook.outcome, hook.hook.attempts.len()), (HookOutcome::Succeeded, 1));
    assert_eq!((allowed.calls().len(), refused.calls().len()), (1, 0));
}

#[tokio::test]
async fn a_name_that_moves_between_calls_is_judged_where_it_is_then() {
    let dns = Arc::new(DnsServer::start("hooks.test 0 IN A 127.0.0.1").await);
    let moved = dns.clone();
    let first = HookReceiver::scripted(move |_| {
        moved.put("hooks.test 0 IN A 127.0.0.2");
        HookAnswer::Raw(b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec())
    })
    .await;
    let second = HookReceiver::at((Ipv4Addr::new(127, 0, 0, 2), first.port()).into()).await;
    let server = calling_where_allowed(&first, dns.address()).await;
    server.send("rider@localhost").await;
    let hook = server.retired_hook(1).await;
    assert_eq!(hook.outcome, HookOutcome::Failed);
    let [called, refused @ ..] = &hook.hook.attempts[..] else { panic!("{hook:?}") };
    assert_eq!((called.status, refused.len()), (500, 2));
    for attempt in refused {
        assert!(attempt.error.contains("127.0.0.2 is not a public address"), "{}", attempt.error);
    }
    assert_eq!((first.calls().len(), second.calls().len()), (1, 0));
}

#[tokio::test]
async fn a_receiver_needs_a_certificate_that_is_trusted_and_its_own() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let dns = DnsServer::start("hooks.test A 127.0.0.1").await;
    let nameserver = dns.address();
    for (what, identity, trusted, error) in [
        ("good", ca.identity(&["hooks.test"]), Some(&ca), None),
        ("of nobody known", ca.identity(&["hooks.test"]), None, Some("webhooks.trusted_ca_file")),
        ("of another authority", ca.identity(&["hooks.test"]), Some(&other), Some("BadSignature")),
        ("of another host", ca.identity(&["hooks.example"]), Some(&ca), Some("not valid for name")),
        ("of the past", ca.expired(&["hooks.test"]), Some(&ca), Some("expired")),
    ] {
        let receiver = HookReceiver::with_tls(identity.server()).await;
        let server = Embedded::calling(receiver.url_at("hooks.test"))
            .settings(|settings| {
                settings.dns.nameservers = vec![nameserver];
                settings.webhooks.trusted_ca_file = trusted.map(TestCa::file);
            })
            .start()
            .await;
        server.send("rider@localhost").await;
        let attempts = server.retired_hook(1).await.hook.attempts;
        match error {
            None => assert!(attempts.len() == 1 && attempts[0].success, "{what}: {attempts:?}"),
            Some(error) => {
                assert_eq!(attempts.len(), 3, "{what}");
                for attempt in attempts {
                    assert!(attempt.error.contains("certificate"), "{what}: {}", attempt.error);
                    assert!(attempt.error.contains(error), "{what}: {}", attempt.error);
                }
            }
        }
        assert_eq!(receiver.calls().len(), usize::from(error.is_none()), "{what}");
    }
}

/// Nobody can set such a URL now.
#[tokio::test]
async fn a_user_in_a_url_of_before_still_logs_in_and_is_not_shown() {
    for (authorization, expected) in
        [(None, "Basic dXNlcjpzZWNyZXQ="), (Some("Bearer token".to_owned()), "Bearer token")]
    {
        let receiver = HookReceiver::start().await;
        let url = format!("http://user:secret@127.0.0.1:{}/hook", receiver.port());
        let outgoing_webhook = Some(OutgoingWebhook {
            url: url.clone(),
            authorization: authorization.clone(),
            events: Vec::new(),
            every_event: false,
        });
        let incoming_webhook = Some(IncomingWebhook { url, authorization });
        let server = Embedded::builder()
            .account(AccountRecord { outgoing_webhook, incoming_webhook, ..account("rider") })
            .start()
            .await;
        server.send("rider@localhost").await;
        for id in [1, 2] {
            let hook = server.retired_hook(id).await;
            assert_eq!(hook.outcome, HookOutcome::Succeeded);
            let shown = format!("http://***@127.0.0.1:{}/hook", receiver.port());
            assert_eq!(hook.hook.attempts[0].url, shown);
        }
        for call in receiver.calls() {
            assert_eq!((call.header("Authorization"), call.path.as_str()), (expected, "/hook"));
        }
        let request = HookListRequest {
            selection: Selection { account: None, filter: RetiredHookFilter::default() },
            descending: false,
            after: None,
            limit: 10,
        };
        let list = retired_hooks(&server.app().handles.store, &request).expect("a list");
        let list = serde_json::to_string(&list).expect("JSON");
        assert!(list.contains("***@127.0.0.1") && !list.contains("secret"), "{list}");
    }
}
