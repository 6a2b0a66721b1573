//! Calls that an application makes again because it heard no answer.

use crate::harness::{
    Answer, Api, Embedded, FilePart, Multipart, PASSWORD, Server, SmtpPeer, account, address, eventually,
    message_to,
};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
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

/// The octets decide, not what is told about them: otherwise an invoice would be acknowledged and never sent.
#[tokio::test]
async fn a_key_stands_for_the_octets_of_its_files_and_for_what_its_json_means() {
    let server = Embedded::builder()
        .account(account("rider"))
        .settings(|settings| settings.limits.upload_memory_max = 1_000)
        .start()
        .await;
    let api = server.api();
    let upload = async |key: &str, json: &str, data: &[u8]| {
        let file = FilePart { field: "attachedfile", name: Some("invoice.bin"), data, ..FilePart::default() };
        let call = api.call_request("Send", &Value::Null).header("Idempotency-Key", key);
        let form = Multipart::default().text("request", json).file(file).body();
        let call = call.body(form).headers(HeaderMap::from_iter([(
            CONTENT_TYPE,
            Multipart::content_type().parse().expect("a header"),
        )]));
        Answer::of(call).await.expect("the server answers")
    };
    let json = r#"{"To":[{"Name":"Rider","Address":"rider@localhost"}],"Text":"hi"}"#;
    let other_order =
        "{ \"Text\": \"hi\",\n \"To\": [ {\"Address\": \"rider@localhost\", \"Name\": \"Rider\"} ] }";
    for size in [4, 2_000, 300_000] {
        let key = format!("of {size}");
        let (ours, others) = (vec![b'A'; size], vec![b'B'; size]);
        let first = upload(&key, json, &ours).await;
        assert_eq!(first.status, 200, "{}", first.text());
        assert_eq!(upload(&key, other_order, &ours).await.json(), first.json(), "{size}");
        let refused = upload(&key, json, &others).await;
        assert_eq!((refused.status, refused.code()), (400, "user".into()), "{size}: {}", refused.text());
    }
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

#[tokio::test]
async fn a_copy_that_could_not_be_stored_is_told_again() {
    let server = Embedded::builder()
        .account(account("rider"))
        .settings(|settings| settings.store.inline_content_max = 4_000)
        .start()
        .await;
    // The copy is larger by its Bcc, and has to go to a file, for which there is no place any more.
    let store = &server.app().handles.store;
    std::fs::rename(store.path().join("content"), store.path().join("elsewhere")).expect("it is there");
    let bcc = |n| json!({"Address": format!("{}{n}@remote.example", "x".repeat(50))});
    let request = json!({
        "To": [{"Address": "friend@remote.example"}],
        "BCC": (0..50).map(bcc).collect::<Vec<_>>(),
        "Text": "hi",
        "SaveSent": true,
    });
    let first = send(&server.api(), "k", &request).await;
    assert_eq!((first.status, first.code()), (500, "server".into()), "{}", first.text());
    assert!(first.text().contains("the message is queued"), "{}", first.text());
    assert_eq!(send(&server.api(), "k", &request).await.json(), first.json());
    assert_eq!(store.read(|view| view.last_queue_id()).unwrap().0, 51);
}
