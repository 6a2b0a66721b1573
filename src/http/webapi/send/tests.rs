use crate::http::testing::{Answer, TestServer, basic};
use actix_web::test::TestRequest;
use config::Service;
use mail::{MailboxId, QueueId};
use serde_json::{Value, json};
use store::records::{MessageRecord, QueueRecord};

fn message() -> Value {
    json!({
        "From": [{"Name": "", "Address": "rider@localhost"}],
        "To": [{"Name": "Ann", "Address": "ann@there.example"}],
        "Subject": "Hi",
        "Text": "Hello\nthere\n",
    })
}

fn with(changes: Value) -> Value {
    let mut message = message();
    for (name, value) in changes.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

impl TestServer {
    fn queued(&self, id: &Value) -> QueueRecord {
        let id = QueueId(id.as_u64().unwrap());
        self.app.handles.store.read(|view| view.message(id)).unwrap().unwrap()
    }

    fn content(&self, content: mail::ContentId) -> String {
        let bytes = self.app.handles.store.read(|view| view.content(content)).unwrap().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn sent(&self) -> Vec<MessageRecord> {
        let store = &self.app.handles.store;
        let rider = store.directory().accounts().find(|a| a.record.name == "rider").unwrap().id;
        store
            .read(|view| {
                let mailboxes = view.mailboxes(rider)?;
                let sent: MailboxId = mailboxes.into_iter().find(|(_, m)| m.name == "Sent").unwrap().0;
                let messages = view.mailbox_messages(sent, None, 10)?;
                messages.into_iter().map(|id| view.mailbox_message(id).map(Option::unwrap)).collect()
            })
            .unwrap()
    }
}

#[actix_web::test]
async fn a_message_is_queued_signed_and_with_a_trace() {
    let server = TestServer::start().await;
    let answer = server.call("Send", with(json!({"Extra": {"k": "v"}, "RequireTLS": true}))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers.get("content-type").unwrap(), "application/json; charset=utf-8");
    let answer = answer.json();
    let submission = &answer["Submissions"][0];
    assert_eq!(submission["Address"], "ann@there.example");
    let record = server.queued(&submission["QueueMsgID"]);
    let from_id = submission["FromID"].as_str().unwrap();
    assert!(from_id.len() >= 20 && from_id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    assert_eq!(record.mail_from.to_string(), format!("rider+{from_id}@localhost"));
    assert_eq!((&*record.destination, &*record.subject), ("there.example", "Hi"));
    assert_eq!((record.extra["k"].as_str(), record.require_tls), ("v", Some(true)));
    assert_eq!(record.message_id, answer["MessageID"].as_str().unwrap());
    let content = server.content(record.content);
    assert_eq!(record.size, content.len() as u64);
    assert!(
        content.starts_with("Received: from [192.0.2.1] ([192.0.2.1])\r\n\tby mail.example via"),
        "{content}"
    );
    let (trace, rest) = content.split_once("DKIM-Signature: ").unwrap();
    assert!(trace.contains("for <ann@there.example>;"), "{trace}");
    assert!(
        rest.contains("d=localhost;") && rest.contains("s=s1;") && rest.contains("\r\nSubject: Hi\r\n"),
        "{rest}"
    );
    assert!(rest.ends_with("Hello\r\nthere\r\n"), "{rest}");
    assert_eq!(server.app.submissions.with_label_values(&["webapi", "accepted"]).get(), 1);
}

#[actix_web::test]
async fn recipients_share_a_content_and_have_consecutive_ids_in_order() {
    let server = TestServer::start().await;
    let named = |address: &str| json!([{"Address": address}]);
    let request = with(json!({
        "To": [{"Address": "c@x.example"}, {"Address": "c@x.example"}],
        "CC": named("b@bücher.example"),
        "BCC": named("hidden@x.example"),
        "SaveSent": true,
    }));
    let answer = server.call("Send", request).await.json();
    let submissions = answer["Submissions"].as_array().unwrap();
    let addresses: Vec<_> = submissions.iter().map(|s| s["Address"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["c@x.example", "c@x.example", "b@bücher.example", "hidden@x.example"]);
    let ids: Vec<_> = submissions.iter().map(|s| s["QueueMsgID"].as_u64().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
    let records: Vec<_> = submissions.iter().map(|s| server.queued(&s["QueueMsgID"])).collect();
    assert!(records.iter().all(|record| record.content == records[0].content));
    assert_ne!(submissions[0]["FromID"], submissions[1]["FromID"]);
    let content = server.content(records[0].content);
    assert!(!content.contains("hidden") && !content.contains("\tfor <"), "{content}");

    let [copy] = server.sent().try_into().unwrap();
    assert_eq!(copy.flags, [mail::Flag::seen()]);
    assert_eq!(server.content(copy.content), format!("Bcc: <hidden@x.example>\r\n{content}"));
}

#[actix_web::test]
async fn without_from_ids_the_return_path_is_the_from_address() {
    let server = TestServer::start().await;
    let request = json!({"To": [{"Address": "a@b.example"}], "HTML": "<p>Hi</p>"});
    let answer = server.call_as("other@localhost", "Send", request).await.json();
    let submission = &answer["Submissions"][0];
    assert_eq!(submission["FromID"], "");
    let record = server.queued(&submission["QueueMsgID"]);
    assert_eq!(record.mail_from.to_string(), "other@localhost");
    let content = server.content(record.content);
    assert!(content.contains("\r\nFrom: \"The other\" <other@localhost>\r\n"), "{content}");
    assert!(server.sent().is_empty());
}

#[actix_web::test]
async fn what_cannot_be_composed_is_refused_and_nothing_is_queued() {
    let server = TestServer::with(|settings| {
        settings.limits.recipients_max = 2;
        settings.limits.message_size_max = 20_000;
    })
    .await;
    let to = json!({"Address": "a@b.example"});
    let file = |file: Value| json!({"AttachedFiles": [file]});
    for (changes, code) in [
        (json!({"MessageID": "a@b"}), "malformedMessageID"),
        (json!({"References": ["<a@b>", "c"]}), "malformedMessageID"),
        (json!({"Subject": "a\r\nBcc: x@y.example"}), "user"),
        (json!({"To": [{"Name": "a\nb", "Address": "a@b.example"}]}), "user"),
        (json!({"To": [to, to, to]}), "user"),
        (json!({"Headers": [["X-A", "a\u{0}"]]}), "user"),
        (json!({"Headers": [["Message-ID", "<a@b>"]]}), "user"),
        (json!({"FutureRelease": "2027-01-22T10:00:00Z"}), "user"),
        (json!({"Date": "1969-01-01T00:00:00Z"}), "user"),
        (file(json!({"Data": "!"})), "user"),
        (file(json!({"ContentType": "text"})), "user"),
        (file(json!({"ContentID": "a b"})), "user"),
        (json!({"Text": "x".repeat(20_000)}), "messageTooLarge"),
        (json!({"Unknown": 1}), "protocol"),
        (json!({"To": [{"Address": "a@b.example", "X": 1}]}), "protocol"),
        (json!({"Date": "now"}), "protocol"),
    ] {
        let answer = server.call("Send", with(changes.clone())).await;
        assert_eq!(answer.error(), (400, code.into()), "{changes} {}", answer.body);
    }
    assert_eq!(server.app.handles.store.read(|view| view.totals()).unwrap().queued, 0);
    assert_eq!(server.call("Send", message()).await.status, 200);
}

async fn multipart(server: &TestServer, request: &Value, parts: &[(&str, &str, &str)]) -> Answer {
    let mut body = format!("--b\r\nContent-Disposition: form-data; name=request\r\n\r\n{request}\r\n");
    for (name, headers, data) in parts {
        body += &format!("--b\r\nContent-Disposition: form-data; name={name}; {headers}\r\n\r\n{data}\r\n");
    }
    let post = TestRequest::post()
        .uri("/webapi/v0/Send")
        .insert_header(("authorization", basic("rider@localhost", "tést")))
        .insert_header(("content-type", "multipart/form-data; boundary=b"))
        .set_payload(body + "--b--\r\n");
    server.request(post, &[Service::Webapi]).await
}

#[actix_web::test]
async fn files_come_in_the_form_and_in_json() {
    let server = TestServer::start().await;
    let request = with(json!({"AttachedFiles": [{"Name": "a.txt", "Data": "aGk="}]}));
    let parts = [
        ("attachedfile", "filename=b.bin\r\nContent-Type: application/x-b", "bee"),
        ("attachedfile", "filename=c", "%PDF-1.4"),
        ("inlinefile", "filename=d.png\r\nContent-ID: <d@x>", "png"),
        ("alternativefile", "filename=e.ics\r\nContent-Type: text/calendar; method=REQUEST", "BEGIN"),
    ];
    let answer = multipart(&server, &request, &parts).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let record = server.queued(&answer.json()["Submissions"][0]["QueueMsgID"]);
    let read = mail::read::read(server.content(record.content).as_bytes());
    let mixed = &read.structure;
    let types =
        |of: &mail::read::Structure| of.parts.iter().map(|p| p.content_type.clone()).collect::<Vec<_>>();
    assert_eq!(types(mixed), ["multipart/related", "text/plain", "application/x-b", "application/pdf"]);
    assert_eq!(types(&mixed.parts[0]), ["multipart/alternative", "image/png"]);
    assert_eq!(mixed.parts[0].parts[1].content_id, "<d@x>");
    assert_eq!(types(&mixed.parts[0].parts[0]), ["text/plain", "text/calendar"]);
}

#[actix_web::test]
async fn a_large_message_goes_to_a_file_of_its_own() {
    let server = TestServer::with(|settings| settings.limits.upload_memory_max = 1_000).await;
    let large = "x".repeat(600_000);
    let parts = [("attachedfile", "filename=a.bin\r\nContent-Type: application/octet-stream", &*large)];
    let answer = multipart(&server, &with(json!({"SaveSent": true})), &parts).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let record = server.queued(&answer.json()["Submissions"][0]["QueueMsgID"]);
    assert!(record.size > 600_000);
    let content = server.content(record.content);
    assert_eq!(content.len() as u64, record.size);
    let [copy] = server.sent().try_into().unwrap();
    assert_eq!(server.content(copy.content), content);
}

#[actix_web::test]
async fn a_localpart_that_is_not_ascii_makes_an_smtputf8_message() {
    let server = TestServer::start().await;
    for (to, expected) in [("é@b.example", true), ("e@bücher.example", false)] {
        let request = with(json!({"To": [{"Address": to}]}));
        let answer = server.call("Send", request).await.json();
        assert_eq!(server.queued(&answer["Submissions"][0]["QueueMsgID"]).smtputf8, expected, "{to}");
    }
}

#[actix_web::test]
async fn load_that_does_not_fit_is_shed() {
    let server = TestServer::start().await;
    // Not awaited: each waits for the writer, and holds its place.
    let waiting: Vec<_> = (0..200).map(|_| server.call("Send", message())).collect();
    let answers = futures_util::future::join_all(waiting).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(count(200) + count(503), 200);
    assert!(count(200) >= 100 && count(503) > 0, "{} {}", count(200), count(503));
    let busy = answers.iter().find(|answer| answer.status == 503).unwrap();
    assert_eq!(busy.error().1, "busy");
    assert!(busy.headers.contains_key("retry-after"));
    assert_eq!(server.app.handles.store.read(|view| view.totals()).unwrap().queued, count(200) as u64);
}
