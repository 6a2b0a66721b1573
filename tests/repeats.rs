//! Calls that an application makes again because it heard no answer.

use crate::harness::{
    Answer, Api, Embedded, PASSWORD, Server, SmtpPeer, account, address, eventually, message_to,
};
use serde_json::{Value, json};
use store::records::AccountRecord;

async fn send(api: &Api, key: &str, request: &Value) -> Answer {
    let call = api.call_request("Send", request).header("Idempotency-Key", key);
    Answer::of(call).await.expect("the server answers")
}

#[tokio::test]
async fn a_call_that_is_made_again_is_answered_as_the_first_and_queued_once() {
    let peer = SmtpPeer::accepting().await;
    let mut server = Server::builder().deliver_to(&peer).start().await;
    let request = json!({
        "To": [{"Address": "a@remote.example"}, {"Address": "b@remote.example"}],
        "Subject": "once",
        "Text": "hi",
    });
    let api = server.api();
    let first = send(&api, "order 17", &request).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert!(first.json()["Submissions"][1]["FromID"].as_str().is_some_and(|id| id.len() > 20));
    for key in ["order 17", "\"order 17\""] {
        assert_eq!(send(&api, key, &request).await.json(), first.json());
    }
    server.kill();
    server.restart().await;
    let api = server.api();
    assert_eq!(send(&api, "order 17", &request).await.json(), first.json(), "after a crash");

    let another = send(&api, "order 18", &request).await.json();
    assert_ne!(another["MessageID"], first.json()["MessageID"]);
    peer.delivered(2).await;
    let ids = |answer: &Value| {
        let ids = answer["Submissions"].as_array().unwrap().iter();
        ids.map(|one| one["QueueMsgID"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((ids(&first.json()), ids(&another)), (vec![1, 2], vec![3, 4]), "no id between was used");
}

#[tokio::test]
async fn calls_with_the_same_key_at_the_same_time_are_one() {
    let server = Server::start().await;
    let (api, request) = (server.api(), message_to("friend@remote.example"));
    let calls = (0..20).map(|_| send(&api, "same", &request));
    let answers = futures_util::future::join_all(calls).await;
    let first = answers[0].json();
    for answer in &answers {
        assert_eq!((answer.status, answer.json()), (200, first.clone()));
    }
    assert_eq!(send(&api, "next", &request).await.json()["Submissions"][0]["QueueMsgID"], 2);
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_account() {
    let other = AccountRecord { addresses: vec![address("o@localhost")], ..account("other") };
    let server = Embedded::builder().account(account("rider")).account(other).start().await;
    let (api, request) = (server.api(), message_to("rider@localhost"));
    assert_eq!(send(&api, "k", &request).await.status, 200);
    let refused = send(&api, "k", &message_to("other@localhost")).await;
    assert_eq!((refused.status, &refused.json()["Code"]), (400, &json!("user")));
    assert!(refused.text().contains("use a new key"), "{}", refused.text());
    let others = api.clone().login("o@localhost", PASSWORD);
    let sent = send(&others, "k", &request).await;
    assert_eq!(sent.status, 200, "{}", sent.text());

    for (key, good) in [("x".repeat(255), true), ("x".repeat(256), false), (String::new(), false)] {
        let answer = send(&api, &key, &request).await;
        assert_eq!(answer.status == 200, good, "{}", answer.text());
    }
    // A call that was refused may be made again with its key.
    let bad = json!({"To": [{"Address": "nobody"}], "Text": "hi"});
    assert_eq!(send(&api, "again", &bad).await.json()["Code"], "badAddress");
    assert_eq!(send(&api, "again", &request).await.status, 200);
}

#[tokio::test]
async fn a_copy_that_did_not_fit_is_told_again() {
    let full = AccountRecord { mailbox_quota: Some(10), ..account("rider") };
    let server = Embedded::builder().account(full).start().await;
    let mut request = message_to("friend@remote.example");
    request["SaveSent"] = true.into();
    let first = send(&server.api(), "k", &request).await;
    assert_eq!(first.json()["Code"], "sentOverQuota");
    assert_eq!(send(&server.api(), "k", &request).await.json(), first.json());
    let queued = || server.app().handles.store.read(|view| view.last_queue_id()).unwrap().0;
    eventually("one message to have been queued", async || match queued() {
        1 => Ok(()),
        queued => Err(format!("{queued} were")),
    })
    .await;
}
