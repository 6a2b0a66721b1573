//! Who may call.

use crate::harness::{Answer, PASSWORD, Server, USER, message, urlencoded};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::join_all;

#[tokio::test]
async fn wrong_credentials_are_refused_with_a_challenge() {
    let server = Server::start().await;
    let basic = |text: &str| Some(format!("Basic {}", BASE64_STANDARD.encode(text)));
    let cases = [
        ("none", None),
        ("wrong password", basic("rider@localhost:wrong")),
        ("password in capitals", basic("rider@localhost:POSTRIDER")),
        ("longer password", basic("rider@localhost:postrider ")),
        ("empty password", basic("rider@localhost:")),
        ("unknown user", basic("nobody@localhost:postrider")),
        ("account name as user", basic("rider:postrider")),
        ("empty user", basic(":postrider")),
        ("no colon", basic("rider@localhost")),
        ("empty", basic("")),
        ("no base64", Some("Basic ???".to_owned())),
        ("no UTF-8", Some("Basic /////w==".to_owned())),
        ("another scheme", Some(format!("Bearer {PASSWORD}"))),
        ("no scheme", Some(BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")))),
    ];
    for (what, authorization) in cases {
        let mut request = server
            .request("POST", "/webapi/v0/Send")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(urlencoded(&[("request", &message().to_string())]));
        if let Some(value) = &authorization {
            request = request.header("Authorization", value);
        }
        let answer = Answer::of(request).await.unwrap();
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"webapi\"", "{what}");
    }
    assert_eq!(server.metric("postrider_queue_messages", "").await, 0.0);
    server.send(&message()).await;
}

#[tokio::test]
async fn many_at_once_log_in_with_the_same_credentials() {
    let server = Server::start().await;
    let api = server.api();
    let request = message();
    let answers = join_all((0..1_000).map(|_| api.call("Send", &request))).await;
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(server.metric("postrider_password_comparisons_total", "").await, 1.0);
}
