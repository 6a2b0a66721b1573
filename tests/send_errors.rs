//! What Send refuses, with which code, and that nothing of it is queued.

use crate::harness::{Server, message};
use serde_json::{Map, Value, json};

/// The good message with some fields changed; null removes one.
fn with(changes: Value) -> Value {
    let mut request = message();
    let fields = request.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(fields.remove(name)),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    request
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_its_code() {
    let server = Server::start().await;
    let to = |address: &str| json!({"To": [{"Address": address}]});
    let file = json!([{"Name": "a.txt", "ContentType": "text/plain", "Data": "aGk="}]);
    let cases = [
        (json!({"Text": null}), "missingBody"),
        (json!({"Text": ""}), "missingBody"),
        (json!({"Text": null, "AttachedFiles": file}), "missingBody"),
        (json!({"Text": null, "To": null}), "missingBody"),
        (json!({"From": [{"Address": "rider@localhost"}, {"Address": "rider@localhost"}]}), "multipleFrom"),
        (json!({"From": [{"Address": "x"}, {"Address": "y"}]}), "multipleFrom"),
        (to("friend"), "badAddress"),
        (to(""), "badAddress"),
        (to("friend@"), "badAddress"),
        (to("friend@remote..example"), "badAddress"),
        (to("a b@remote.example"), "badAddress"),
        (to("Friend <friend@remote.example>"), "badAddress"),
        (to("a@b.example, c@d.example"), "badAddress"),
        (to("friend@remote.example\r\nBcc: x@y.example"), "badAddress"),
        (json!({"CC": [{"Address": "@remote.example"}]}), "badAddress"),
        (json!({"BCC": [{"Address": "a@b@c.example"}]}), "badAddress"),
        (json!({"ReplyTo": [{"Address": "nobody"}]}), "badAddress"),
        (json!({"From": [{"Address": "nobody"}]}), "badAddress"),
        (json!({"From": [{"Address": "nobody"}], "To": null}), "badAddress"),
        (json!({"From": [{"Address": "another@localhost"}]}), "badFrom"),
        (json!({"From": [{"Address": "rider@remote.example"}]}), "badFrom"),
        (json!({"From": [{"Address": "another@localhost"}], "To": null}), "badFrom"),
        (json!({"To": null}), "noRecipients"),
        (json!({"To": []}), "noRecipients"),
        (json!({"MessageID": "1@localhost"}), "malformedMessageID"),
        (json!({"MessageID": "<1@localhost"}), "malformedMessageID"),
        (json!({"MessageID": "<1@localhost>\r\nX: y"}), "malformedMessageID"),
        (json!({"Subject": "two\r\nlines"}), "user"),
        (json!({"Subject": "a bell\u{7}"}), "user"),
        (json!({"To": [{"Name": "A\nB", "Address": "friend@remote.example"}]}), "user"),
        (json!({"Headers": [["X-Two\r\nX", "y"]]}), "user"),
        (json!({"Headers": [["X Y", "y"]]}), "user"),
        (json!({"Headers": [["X-Ü", "y"]]}), "user"),
        (json!({"Headers": [["", "y"]]}), "user"),
        (json!({"Headers": [["X-Two", "y\r\nBcc: z@remote.example"]]}), "user"),
        (json!({"Headers": [["from", "a@localhost"]]}), "user"),
        (json!({"Headers": [["To", "a@localhost"]]}), "user"),
        (json!({"Headers": [["Bcc", "a@localhost"]]}), "user"),
        (json!({"Headers": [["DATE", "now"]]}), "user"),
        (json!({"Headers": [["Message-Id", "<1@localhost>"]]}), "user"),
        (json!({"Headers": [["Content-Type", "text/html"]]}), "user"),
        (json!({"Headers": [["MIME-Version", "2.0"]]}), "user"),
        (json!({"Headers": [["Content-Transfer-Encoding", "base64"]]}), "user"),
        (json!({"AttachedFiles": [{"Name": "a", "ContentType": "text/plain\r\nX: y", "Data": ""}]}), "user"),
        (
            json!({"InlineFiles": [{"Name": "a", "ContentType": "image/png", "ContentID": "<a\r\nb>", "Data": ""}]}),
            "user",
        ),
        (json!({"FutureRelease": "2199-01-01T00:00:00Z"}), "user"),
    ];
    for (changes, code) in cases {
        let answer = server.call("Send", &with(changes.clone())).await;
        assert_eq!(answer.status, 400, "{changes}: {}", answer.text());
        assert_eq!(answer.code(), code, "{changes}: {}", answer.text());
    }
    assert_eq!(server.metric("postrider_submissions_total", "result=\"accepted\"").await, 0.0);
    assert_eq!(server.metric("postrider_queue_messages", "").await, 0.0);
}

#[tokio::test]
async fn what_may_be_left_out_may_be_left_out_or_empty() {
    let server = Server::start().await;
    let nulls: Map<_, _> = ["Date", "RequireTLS", "FutureRelease"]
        .map(|name| (name.to_owned(), Value::Null))
        .into_iter()
        .collect();
    let mut explicit = message();
    explicit.as_object_mut().unwrap().extend(nulls);
    let cases = [
        message(),
        explicit,
        with(json!({"Subject": null})),
        with(json!({"HTML": "<p>only HTML</p>", "Text": null})),
        with(
            json!({"From": [], "CC": [], "BCC": [], "ReplyTo": [], "References": [], "Extra": {}, "Headers": []}),
        ),
        with(json!({"MessageID": "", "HTML": ""})),
        with(json!({"To": [], "BCC": [{"Address": "friend@remote.example"}]})),
        with(json!({"From": [{"Address": "rider@localhost"}]})),
        with(json!({"From": [{"Name": "R", "Address": "RIDER@LOCALHOST"}]})),
        with(json!({"AttachedFiles": [{"Name": "", "ContentType": "", "ContentID": "", "Data": ""}]})),
        with(json!({"SaveSent": true})),
        with(json!({"SaveSent": false, "RequireTLS": false})),
    ];
    for request in cases {
        server.send(&request).await;
    }
    let given = server.send(&with(json!({"MessageID": "<given@app.example>"}))).await;
    assert_eq!(given.message_id, "<given@app.example>");
}
