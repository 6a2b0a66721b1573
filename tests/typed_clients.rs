//! Clients in typed languages: they send every field there is, with null for an empty list or map and times down to
//! the nanosecond, and expect lists and maps never to be null in answers.

use crate::harness::{Answer, PASSWORD, Server, USER, urlencoded};
use serde_json::{Value, json};

/// A call in the way of such a client: `+` for space, and an encoding offered for the answer.
async fn call(server: &Server, method: &str, request: &Value) -> Answer {
    let request = server
        .request("POST", &format!("/webapi/v0/{method}"))
        .basic_auth(USER, Some(PASSWORD))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Accept-Encoding", "gzip")
        .header("User-Agent", "Go-http-client/1.1")
        .body(urlencoded(&[("request", &request.to_string())]).replace("%20", "+"));
    Answer::of(request).await.expect("the server answers")
}

fn without_nulls(value: &Value, path: &str) {
    match value {
        Value::Null => assert!(path.ends_with("/Date"), "{path} is null"),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| without_nulls(value, &format!("{path}/{name}")));
        }
        Value::Array(items) => items.iter().for_each(|value| without_nulls(value, path)),
        _ => {}
    }
}

#[tokio::test]
async fn every_method_takes_all_fields_and_answers_without_nulls() {
    let server = Server::start().await;
    let send = json!({
        "From": null, "To": [{"Name": "", "Address": "friend@remote.example"}], "CC": null, "BCC": null,
        "ReplyTo": null, "MessageID": "", "References": null,
        "Date": "2026-11-22T11:00:00.123456789+01:00", "Subject": "a b", "Text": "hi", "HTML": "",
        "Extra": null, "Headers": null, "AlternativeFiles": null, "InlineFiles": null,
        "AttachedFiles": [{"Name": "", "ContentType": "", "ContentID": "", "Data": "aGk="}],
        "RequireTLS": null, "FutureRelease": null, "SaveSent": true,
    });
    let address = json!({"EmailAddress": "ann@b.example"});
    let add = json!({"EmailAddress": "ann@b.example", "Manual": false, "Reason": ""});
    let calls = [
        ("Send", send),
        ("SuppressionList", json!({})),
        ("SuppressionAdd", add),
        ("SuppressionList", json!({})),
        ("SuppressionPresent", address.clone()),
        ("SuppressionRemove", address),
        ("MessageGet", json!({"MsgID": 1})),
        ("MessageRawGet", json!({"MsgID": 1})),
        ("MessagePartGet", json!({"MsgID": 1, "PartPath": null})),
        ("MessageFlagsAdd", json!({"MsgID": 1, "Flags": null})),
        ("MessageFlagsRemove", json!({"MsgID": 1, "Flags": null})),
        ("MessageMove", json!({"MsgID": 1, "DestMailboxName": "Archive"})),
        ("MessageDelete", json!({"MsgID": 1})),
    ];
    for (method, request) in calls {
        let answer = call(&server, method, &request).await;
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        assert_eq!(answer.header("content-encoding"), "", "{method}");
        if !matches!(method, "MessageRawGet" | "MessagePartGet") {
            assert_eq!(answer.header("content-type"), "application/json; charset=utf-8", "{method}");
            without_nulls(&answer.json(), method);
        }
    }
}

#[tokio::test]
async fn a_message_with_nothing_in_it_is_answered_without_nulls() {
    let server = Server::start().await;
    let mut smtp = crate::harness::SmtpClient::connect(server.smtp()).await;
    smtp.expect("EHLO c", "250").await;
    smtp.expect("MAIL FROM:<>", "250").await;
    smtp.expect("RCPT TO:<rider@localhost>", "250").await;
    smtp.expect("DATA", "354").await;
    smtp.expect("\r\n.", "250").await;
    let answer = call(&server, "MessageGet", &json!({"MsgID": 1})).await.json();
    without_nulls(&answer, "MessageGet");
    assert_eq!(answer["Message"]["Date"], Value::Null);
}
