//! Content that is made to break something: lines smuggled into headers, trees without bottom, floods.

use crate::harness::{
    Answer, FilePart, HttpClient, Multipart, PASSWORD, Server, SmtpClient, SmtpPeer, USER, eventually,
    message, post_head,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// Far more than anything here takes.
const QUICK: Duration = Duration::from_secs(20);

/// Line ends of all kinds, with a header behind them.
const SMUGGLED: [&str; 8] = [
    "a\r\nX-Smuggled: 1",
    "a\nX-Smuggled: 1",
    "a\rX-Smuggled: 1",
    "a\r\n\r\nX-Smuggled: 1",
    "a\r\n X-Smuggled: 1\r\nX-Smuggled: 2",
    "a\u{b}X-Smuggled: 1\u{c}X-Smuggled: 2",
    "a\u{85}X-Smuggled: 1",
    "a\u{2028}X-Smuggled: 1\u{2029}",
];

#[tokio::test]
async fn no_field_carries_a_line_into_a_header() {
    let peer = SmtpPeer::accepting().await;
    let server = Server::builder().deliver_to(&peer).start().await;
    let mut accepted = 0;
    for text in SMUGGLED {
        let file = |changes: Value| {
            let mut file =
                json!({"Name": "a.txt", "ContentType": "text/plain", "ContentID": "a@b", "Data": "aGk="});
            file.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            json!([file])
        };
        let named = |name: &str| json!([{"Name": name, "Address": "friend@remote.example"}]);
        let at = |address: &str| json!([{"Address": address}]);
        let changes = [
            json!({"From": [{"Name": text, "Address": USER}]}),
            json!({"From": [{"Address": format!("{USER}{text}")}]}),
            json!({"To": named(text)}),
            json!({"To": at(&format!("{text}@remote.example"))}),
            json!({"To": at(&format!("\"{text}\"@remote.example"))}),
            json!({"To": at(&format!("friend@{text}"))}),
            json!({"CC": named(text)}),
            json!({"BCC": named(text)}),
            json!({"ReplyTo": named(text)}),
            json!({"ReplyTo": at(&format!("<{text}@b.example>"))}),
            json!({"MessageID": format!("<{text}@b.example>")}),
            json!({"References": [format!("<{text}@b.example>")]}),
            json!({"References": ["<a@b.example>", text]}),
            json!({"Date": text}),
            json!({"Subject": text}),
            json!({"Headers": [["X-Own", text]]}),
            json!({"Headers": [[text, "x"]]}),
            json!({"Headers": [[format!("X-Own: y\r\n{text}"), "x"]]}),
            json!({"Extra": {"key": text}}),
            json!({"Extra": {text: "value"}}),
            json!({"AttachedFiles": file(json!({"Name": text}))}),
            json!({"InlineFiles": file(json!({"ContentType": text}))}),
            json!({"InlineFiles": file(json!({"ContentType": format!("text/plain; x=\"{text}\"")}))}),
            json!({"InlineFiles": file(json!({"ContentType": format!("{text}/plain")}))}),
            json!({"AlternativeFiles": file(json!({"ContentID": text}))}),
            json!({"Text": text, "HTML": text}),
        ];
        for change in changes {
            let mut request = message();
            request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let answer = server.call("Send", &request).await;
            accepted += usize::from(answer.status == 200);
            assert!([200, 400].contains(&answer.status), "{change}: {}", answer.text());
        }
        let parts = [
            FilePart { name: Some(text), ..FilePart::default() },
            FilePart { content_type: Some(text), ..FilePart::default() },
            FilePart { content_id: Some(text), ..FilePart::default() },
            FilePart {
                content_type: Some("text/plain"),
                name: Some("a\"; x=\"\r\nX-Smuggled: 1"),
                ..FilePart::default()
            },
        ];
        for part in parts {
            let form = Multipart::default().text("request", &message().to_string());
            let answer = upload(&server, form.file(FilePart { field: "attachedfile", ..part }).body()).await;
            accepted += usize::from(answer.status == 200);
            assert!([200, 400].contains(&answer.status), "{part:?}: {}", answer.text());
        }
    }
    peer.delivered(accepted).await;
    for delivery in peer.deliveries() {
        let text = String::from_utf8_lossy(&delivery.content).into_owned();
        let in_body = text.contains("\r\nContent-Type: text/plain; charset=\"utf-8\"\r\n");
        assert!(in_body, "{text}");
        for (before, _) in text.match_indices("\r\nX-Smuggled") {
            // In a text it stands behind the empty line of its part, which is what the sender wanted.
            let part = text[..before].rfind("\r\nContent-Transfer-Encoding: 7bit\r\n\r\na").expect("a text");
            assert!(!text[part + 2..before].contains("\r\n--=_"), "{text}");
        }
    }
}

async fn upload(server: &Server, body: Vec<u8>) -> Answer {
    let call = server
        .request("POST", "/webapi/v0/Send")
        .basic_auth(USER, Some(PASSWORD))
        .header("Content-Type", Multipart::content_type())
        .body(body);
    Answer::of(call).await.expect("an answer")
}

#[tokio::test]
async fn json_that_nobody_writes_is_a_protocol_error() {
    let server = Server::start().await;
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let digits = "9".repeat(100_000);
    let cases: Vec<(&str, String)> = vec![
        ("deep in an unknown field", format!("{{\"X\": {}}}", deep("[", "]"))),
        ("deep in a known field", format!("{{\"To\": {}}}", deep("[", "]"))),
        ("deep in a text", format!("{{\"Text\": {}}}", deep("[", "]"))),
        ("deep objects", format!("{{\"Extra\": {}1{}}}", "{\"a\":".repeat(100_000), "}".repeat(100_000))),
        ("deep and not closed", format!("{{\"Headers\": {}", "[".repeat(100_000))),
        ("a key twice", r#"{"Text": "a", "Text": "b", "To": [{"Address": "a@b.example"}]}"#.into()),
        (
            "an inner key twice",
            r#"{"Text": "a", "To": [{"Address": "a@b.example", "Address": "c@d.example"}]}"#.into(),
        ),
        ("half of a surrogate", r#"{"Text": "\ud800", "To": [{"Address": "a@b.example"}]}"#.into()),
        (
            "halves in the wrong order",
            r#"{"Text": "\udc00\ud800", "To": [{"Address": "a@b.example"}]}"#.into(),
        ),
        ("a line end in a string", "{\"Text\": \"a\nb\"}".into()),
        ("NUL", "{\"Text\": \"a\0b\"}".into()),
        ("NUL behind it", "{}\0".into()),
        ("something behind it", "{} x".into()),
        ("a byte order mark", "\u{feff}{}".into()),
        ("single quotes", "{'Text': 'a'}".into()),
        ("a comma too many", r#"{"Text": "a",}"#.into()),
        ("a comment", "{/* a */}".into()),
        ("a large number", r#"{"SaveSent": 1e400}"#.into()),
        ("many digits", format!("{{\"SaveSent\": {digits}}}")),
        ("a number for a text", "{\"Subject\": 1}".into()),
        ("a header of three", r#"{"Headers": [["a", "b", "c"]]}"#.into()),
        ("a header of one", r#"{"Headers": [["a"]]}"#.into()),
    ];
    for (what, json) in &cases {
        let request = crate::harness::urlencoded(&[("request", json)]);
        let start = Instant::now();
        let answer = post(&server, "Send", &request).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "protocol"), "{what}");
        assert!(answer.body.len() < 2_000, "{what}: {}", answer.text());
        assert!(start.elapsed() < QUICK, "{what}");
    }
    for id in [digits.as_str(), "1e400", "1.5", "9223372036854775808", "\"1\"", "[1]", "true", "{}"] {
        let request = crate::harness::urlencoded(&[("request", &format!("{{\"MsgID\": {id}}}"))]);
        let answer = post(&server, "MessageGet", &request).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "protocol"), "{id:.30}");
        assert!(answer.body.len() < 2_000, "{id:.30}");
    }
    for id in ["9223372036854775807", "-9223372036854775808", "0"] {
        let request = crate::harness::urlencoded(&[("request", &format!("{{\"MsgID\": {id}}}"))]);
        assert_eq!(post(&server, "MessageGet", &request).await.code(), "messageNotFound", "{id}");
    }
    assert_eq!(server.metric("postrider_queue_messages", "").await, 0.0);
}

async fn post(server: &Server, method: &str, form: &str) -> Answer {
    let call = server
        .request("POST", &format!("/webapi/v0/{method}"))
        .basic_auth(USER, Some(PASSWORD))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form.to_owned());
    Answer::of(call).await.expect("an answer")
}

#[tokio::test]
async fn more_than_a_message_can_bear_is_refused() {
    let server = Server::start().await;
    let ids = |count: usize| -> Vec<_> { (0..count).map(|n| format!("<{n}@b.example>")).collect() };
    let headers = |count: usize| -> Vec<_> { (0..count).map(|n| json!([format!("X-{n}"), "y"])).collect() };
    let files = |count: usize| vec![json!({"Name": "a", "Data": ""}); count];
    let to = |count: usize| vec![json!({"Address": "friend@remote.example"}); count];
    let extra =
        |count: usize| -> serde_json::Map<_, _> { (0..count).map(|n| (n.to_string(), json!("x"))).collect() };
    let long = |size: usize| "x".repeat(size);
    let cases = [
        (json!({"To": to(200_000)}), "user"),
        (json!({"References": ids(100_000)}), "user"),
        (json!({"Headers": headers(100_000)}), "user"),
        (json!({"AttachedFiles": files(10_000)}), "user"),
        (json!({"Extra": extra(100_000)}), "user"),
        (json!({"Extra": {"a": long(1 << 20)}}), "user"),
        (json!({"Subject": long(1 << 20)}), "user"),
        (json!({"Headers": [["X-Long", long(1 << 20)]]}), "user"),
        (json!({"Headers": [[long(1 << 20), "x"]]}), "user"),
        (json!({"To": [{"Name": long(1 << 20), "Address": "friend@remote.example"}]}), "user"),
        (json!({"To": [{"Address": long(1 << 20)}]}), "badAddress"),
        (json!({"MessageID": format!("<{}@b>", long(1 << 20))}), "malformedMessageID"),
        (json!({"AttachedFiles": [{"Name": long(1 << 20), "Data": ""}]}), "user"),
        (json!({"AttachedFiles": [{"Name": "a", "ContentType": long(1 << 20), "Data": ""}]}), "user"),
    ];
    for (changes, code) in cases {
        let mut request = message();
        request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let start = Instant::now();
        let answer = server.call("Send", &request).await;
        let shown = format!("{changes:.100}");
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{shown}");
        assert!(answer.body.len() < 2_000, "{shown}: {}", answer.text());
        assert!(start.elapsed() < QUICK, "{shown}: {:?}", start.elapsed());
    }
    assert_eq!(server.metric("postrider_queue_messages", "").await, 0.0);
}

#[tokio::test]
async fn forms_that_nobody_sends_are_a_protocol_error() {
    let server = Server::start().await;
    let good = crate::harness::urlencoded(&[("request", &message().to_string())]);
    for (what, form) in [
        ("many fields", format!("{good}{}", "&a=b".repeat(100_000))),
        ("many separators", format!("{}{good}", "&".repeat(100_000))),
        ("bad escapes", "request=%7B%%%2%GG%7D".to_owned()),
        ("no UTF-8", "request=%7B%22Text%22%3A%22%FF%22%7D".to_owned()),
    ] {
        let answer = post(&server, "Send", &form).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "protocol"), "{what}");
    }

    let request = "Content-Disposition: form-data; name=\"request\"\r\n\r\n";
    let json = message().to_string();
    let file = "Content-Disposition: form-data; name=\"attachedfile\"; filename=\"a\"\r\n";
    let whole = |part: &str| format!("--b\r\n{request}{json}\r\n--b\r\n{part}\r\n--b--\r\n");
    let many: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    let cases = [
        ("10,000 parts", whole(&format!("{file}\r\nx\r\n--b\r\n").repeat(10_000)), false),
        ("no last boundary", format!("--b\r\n{request}{json}\r\n"), false),
        ("another boundary", whole("").replace("--b", "--c"), false),
        ("no boundary", format!("{request}{json}\r\n"), false),
        ("only the last boundary", "--b--\r\n".to_owned(), false),
        ("many headers in a part", whole(&format!("{file}{many}\r\nx")), false),
        ("a long header in a part", whole(&format!("{file}X: {}\r\n\r\nx", "y".repeat(1 << 20))), false),
        ("a part without headers", whole("\r\nx"), false),
        ("a part that is no form data", whole("Content-Disposition: attachment; filename=a\r\n\r\nx"), false),
        ("a part that does not end its headers", whole("Content-Disposition"), false),
        ("boundaries that almost are", whole(&format!("{file}\r\n{}", "\r\n--bb".repeat(100_000))), false),
        ("line ends that almost are", whole(&format!("{file}\r\n{}", "\r\n-".repeat(100_000))), true),
    ];
    for (what, body, good) in cases {
        let mut client = HttpClient::connect(server.http()).await;
        let kind = "Content-Type: multipart/form-data; boundary=b";
        let start = Instant::now();
        client.write(post_head("Send", &format!("{kind}\r\nContent-Length: {}", body.len())) + &body).await;
        let answer = client.answer().await.expect("an answer");
        assert!(start.elapsed() < QUICK, "{what}: {:?}", start.elapsed());
        if good {
            assert_eq!(answer.status, 200, "{what}: {}", answer.body);
        } else {
            assert_eq!((answer.status, answer.code().as_str()), (400, "protocol"), "{what}: {}", answer.body);
        }
    }
    assert_eq!(server.metric("postrider_submissions_total", "result=\"accepted\"").await, 1.0);
}

#[tokio::test]
async fn messages_without_bottom_can_still_be_got() {
    let server = Server::start().await;
    let deep: String = (0..5_000)
        .map(|i| format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"))
        .collect();
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(20_000);
    let parts = "--b\r\nContent-Disposition: attachment; filename=x\r\n\r\nx\r\n".repeat(10_000);
    let cases = [
        ("deep", deep),
        ("messages in messages", messages),
        ("10,000 parts", format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n")),
        ("comments", format!("To: {}\r\nFrom: {}\r\n\r\nhi\r\n", folded("("), folded("a (b) <"))),
        ("groups", format!("To: {}\r\nCc: {}\r\n\r\nhi\r\n", folded("a:"), folded("a:b@c;"))),
        ("words", format!("Subject: {}\r\n\r\nhi\r\n", folded("=?ab?q?z"))),
        ("headers", format!("{}\r\nhi\r\n", "X: y\r\n".repeat(170_000))),
    ];
    let mut client = SmtpClient::ready(server.smtp()).await;
    for (number, (what, content)) in cases.iter().enumerate() {
        client.envelope("a@remote.example", &["rider@localhost"]).await;
        client.write(content.as_bytes()).await;
        client.write(b"\r\n.\r\n").await;
        let reply = client.reply().await;
        assert!(reply.starts_with("250 "), "{what}: {reply}");
        let id = json!({"MsgID": number + 1});
        let start = Instant::now();
        let got = eventually(what, async || match server.call("MessageGet", &id).await {
            answer if answer.status == 200 => Ok(answer),
            answer => Err(answer.text()),
        })
        .await;
        assert!(start.elapsed() < QUICK, "{what}: {:?}", start.elapsed());
        assert!(got.body.len() < 4 << 20, "{what}: {}", got.body.len());
        let (count, depth) = extent(&got.json()["Structure"]);
        assert!(count <= 1_001 && depth <= 21, "{what}: {count} parts, {depth} deep");
        let raw = server.call("MessageRawGet", &id).await.body;
        assert!(raw.ends_with(format!("{content}\r\n").as_bytes()), "{what}");
    }
}

/// A long field, in lines that SMTP takes.
fn folded(text: &str) -> String {
    let line = text.repeat(900 / text.len());
    vec![line; 300].join("\r\n ")
}

/// The number of parts of a structure, itself included, and how many levels they stand on.
fn extent(structure: &Value) -> (usize, usize) {
    let parts = structure["Parts"].as_array().expect("a list");
    parts
        .iter()
        .map(extent)
        .fold((1, 1), |(count, depth), (more, below)| (count + more, depth.max(below + 1)))
}
