//! Who may call.

use crate::harness::{Answer, Api, PASSWORD, Server, USER, message, urlencoded};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::join_all;
use serde_json::json;

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
    for (number, (what, authorization)) in (1..).zip(cases) {
        // From an address of its own, so that none is refused for the others.
        let mut request = server
            .api()
            .local_address([127, 0, 0, number])
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

const OUTSIDER: [u8; 4] = [127, 0, 0, 9];

async fn statuses(api: &Api, password: &str, count: usize) -> Vec<u16> {
    let api = api.clone().login(USER, password);
    let mut statuses = Vec::new();
    for _ in 0..count {
        let answer = api.call("SuppressionList", &json!({})).await;
        statuses.push(answer.expect("the server answers").status);
    }
    statuses
}

#[tokio::test]
async fn who_fails_too_often_is_refused_whatever_the_password() {
    let server = Server::start().await;
    let (own, outsider) = (server.api(), server.api().local_address(OUTSIDER));
    assert_eq!(statuses(&outsider, "wrong", 10).await, [401; 10]);
    for password in ["wrong", PASSWORD] {
        let api = outsider.clone().login(USER, password);
        let answer = api.call("Send", &message()).await.unwrap();
        assert_eq!(answer.status, 429, "{}", answer.text());
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(answer.header("www-authenticate"), "");
    }
    // Who gives no credentials is told how to, and others are not concerned.
    assert_eq!(Answer::of(outsider.request("POST", "/webapi/v0/Send")).await.unwrap().status, 401);
    assert_eq!(statuses(&own, PASSWORD, 1).await, [200]);

    assert_eq!(own.metric("postrider_authentication_failures_total", "way=\"webapi\"").await, 10.0);
    assert_eq!(own.metric("postrider_authentication_refusals_total", "way=\"webapi\"").await, 2.0);
    assert_eq!(own.metric("postrider_password_comparisons_total", "").await, 11.0);
    assert_eq!(own.metric("postrider_queue_messages", "").await, 0.0);
}

#[tokio::test]
async fn neighbours_are_refused_together() {
    let server = Server::start().await;
    let neighbour = |host| server.api().local_address([127, 0, 0, host]);
    for host in [10, 11, 12] {
        assert_eq!(statuses(&neighbour(host), "wrong", 10).await, [401; 10]);
    }
    assert_eq!(statuses(&neighbour(63), PASSWORD, 1).await, [429]);
    assert_eq!(statuses(&neighbour(64), PASSWORD, 1).await, [200], "it is in the next /26");
}

#[tokio::test]
async fn a_success_clears_the_count_of_a_client() {
    let server = Server::start().await;
    let outsider = server.api().local_address(OUTSIDER);
    for _ in 0..4 {
        assert_eq!(statuses(&outsider, "wrong", 9).await, [401; 9]);
        assert_eq!(statuses(&outsider, PASSWORD, 1).await, [200]);
    }
    assert_eq!(statuses(&outsider, "wrong", 11).await, [[401; 10].as_slice(), &[429]].concat());
}

#[tokio::test]
async fn of_many_guesses_at_once_no_more_are_looked_at_than_one_after_another() {
    let server = Server::start().await;
    let outsider = server.api().local_address(OUTSIDER);
    let guesses = (0..60).map(async |number: u32| {
        let api = outsider.clone().login(USER, &format!("guess {number}"));
        api.call("SuppressionList", &json!({})).await.unwrap().status
    });
    let mut answers = join_all(guesses).await;
    answers.sort_unstable();
    assert_eq!(answers, [[401; 10].as_slice(), &[429; 50]].concat());
}
