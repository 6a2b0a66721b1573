//! From where a call comes.

use crate::harness::{Answer, Embedded, SmtpPeer, account, message};
use serde_json::json;

#[tokio::test]
async fn the_trace_names_the_address_of_the_client() {
    let peer = SmtpPeer::accepting().await;
    let server = Embedded::builder().account(account("rider")).deliver_to(&peer).start().await;
    server.api().local_address([127, 0, 0, 9]).ok("Send", &message()).await;
    let received = peer.delivery_to("friend@remote.example").await.header("Received").unwrap();
    assert!(received.starts_with("from [127.0.0.9] ([127.0.0.9]) by mail.example "), "{received}");
}

#[tokio::test]
async fn behind_a_proxy_the_trace_names_whom_the_proxy_names() {
    let peer = SmtpPeer::accepting().await;
    let server = Embedded::builder()
        .trusted_proxies(&["127.0.0.1", "127.0.0.8/29"])
        .account(account("rider"))
        .deliver_to(&peer)
        .start()
        .await;
    let request = server
        .api()
        .call_request("Send", &message())
        .header("X-Forwarded-For", "198.51.100.1, [2001:db8::7]:1234")
        .header("X-Forwarded-For", "127.0.0.9")
        .header("X-Forwarded-Proto", "https");
    assert_eq!(Answer::of(request).await.unwrap().status, 200);
    let received = peer.delivery_to("friend@remote.example").await.header("Received").unwrap();
    let expected = "from [IPv6:2001:db8::7] ([IPv6:2001:db8::7]) by mail.example via tcp with HTTPS id ";
    assert!(received.starts_with(expected), "{received}");
}

#[tokio::test]
async fn behind_a_proxy_failures_are_those_of_whom_the_proxy_names() {
    let server = Embedded::builder().trusted_proxies(&["127.0.0.1"]).account(account("rider")).start().await;
    let status = async |password: &str, client: &str| {
        let api = server.api().login("rider@localhost", password);
        let request = api.call_request("SuppressionList", &json!({})).header("X-Forwarded-For", client);
        Answer::of(request).await.unwrap().status
    };
    for number in 0..10 {
        // What the client itself says does not help it.
        assert_eq!(status("wrong", &format!("198.51.100.{number}, 192.0.2.1")).await, 401);
    }
    assert_eq!(status("postrider", "192.0.2.1").await, 429);
    assert_eq!(status("postrider", "192.0.2.2").await, 200);
}

#[tokio::test]
async fn behind_a_proxy_nobody_is_served_who_is_not_named_or_comes_past_it() {
    let server = Embedded::builder().trusted_proxies(&["127.0.0.1"]).account(account("rider")).start().await;
    let past_it = server.api().local_address([127, 0, 0, 2]);
    let call = |api: &crate::harness::Api| api.call_request("SuppressionList", &json!({}));
    for named in ["", "unknown", "192.0.2.1, unknown"] {
        let answer = Answer::of(call(&server.api()).header("X-Forwarded-For", named)).await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (500, "server"), "{named:?}");
    }
    let unnamed = server.api().call("SuppressionList", &json!({})).await.unwrap();
    assert_eq!((unnamed.status, unnamed.code().as_str()), (500, "server"));
    let answer = Answer::of(call(&past_it).header("X-Forwarded-For", "192.0.2.1")).await.unwrap();
    assert_eq!(answer.status, 403, "{}", answer.text());
    for api in [server.api(), past_it] {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(api.get(path).await.status, 200);
        }
    }
}
