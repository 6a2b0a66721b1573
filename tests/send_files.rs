//! Messages of all shapes, as another server receives them, judged by Python's email package.

use crate::harness::{Answer, FilePart, Multipart, PASSWORD, Server, SmtpPeer, USER, judge};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\x01\xff\xfe";
const PDF: &[u8] = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n";
const ICS: &[u8] = "BEGIN:VCALENDAR\r\nSUMMARY:Grüße\r\nEND:VCALENDAR\r\n".as_bytes();

struct Case {
    what: &'static str,
    request: Value,
    files: Vec<FilePart<'static>>,
    expected: Value,
}

fn file(kind: &str, disposition: &str, name: Option<&str>, id: Option<&str>, data: &[u8]) -> Value {
    json!({
        "type": kind,
        "disposition": disposition,
        "filename": name,
        "content_id": id,
        "data": BASE64_STANDARD.encode(data),
    })
}

fn text(kind: &str, text: &str) -> Value {
    json!({"type": kind, "text": text})
}

#[tokio::test]
async fn a_message_of_any_shape_is_what_the_sender_meant() {
    let peer = SmtpPeer::accepting().await;
    let server = Server::builder().deliver_to(&peer).start().await;
    for (number, case) in cases().into_iter().enumerate() {
        let to = format!("n{number}x@remote.example");
        let mut request = case.request;
        request["BCC"] = json!([{"Name": "hidden", "Address": to}]);
        let mut form = Multipart::default().text("request", &request.to_string());
        for file in case.files {
            form = form.file(file);
        }
        let call = server
            .request("POST", "/webapi/v0/Send")
            .basic_auth(USER, Some(PASSWORD))
            .header("Content-Type", Multipart::content_type())
            .body(form.body());
        let answer = Answer::of(call).await.unwrap();
        assert_eq!(answer.status, 200, "{}: {}", case.what, answer.text());
        let delivery = peer.delivery_to(&to).await;
        let smtputf8 = case.expected["smtputf8"] == true;
        assert_eq!(delivery.mail.contains("SMTPUTF8"), smtputf8, "{}: {}", case.what, delivery.mail);
        assert_eq!(
            delivery.mail.contains("BODY=8BITMIME"),
            !delivery.content.is_ascii(),
            "{}: {}",
            case.what,
            delivery.mail
        );
        let mut expected = case.expected;
        expected["absent"] = json!(["bcc"]);
        if expected["headers"].get("from").is_none() {
            expected["headers"]["from"] = json!([["Rider", "rider@localhost"]]);
        }
        let content = BASE64_STANDARD.encode(&delivery.content);
        // So that a complaint says which case it is about.
        println!("{}", case.what);
        judge("check_mime.py", &json!({"content": content, "expected": expected}));
    }
}

fn cases() -> Vec<Case> {
    let plain = |what, body: &str| Case {
        what,
        request: json!({"Subject": "s", "Text": body}),
        files: vec![],
        expected: json!({"headers": {"subject": "s"}, "body": text("text/plain", body)}),
    };
    let long = "x".repeat(5000);
    let words = "words that go on and on, ".repeat(300);
    let umlauts = "Ää Öö Üü ".repeat(500);
    vec![
        plain("plain text", "hi\n"),
        plain("no line end", "hi"),
        plain("dots", ".\n..\n.x\n\n.\n"),
        plain("spaces at the end of lines", "a  \nb\t\n \n"),
        plain("non-ASCII", "Grüße, 世界, ☺, \u{202e}\n"),
        plain("a long line", &long),
        plain("long lines of words", &format!("{words}\n{words}")),
        plain("long lines of non-ASCII", &umlauts),
        plain("From at the start of a line", "From me\n>From you\n"),
        plain("what looks like MIME", "--\nContent-Type: text/html\n\n--=_x--\n=3D =\n"),
        Case {
            what: "HTML only",
            request: json!({"Subject": "s", "HTML": "<p>☺</p>\n"}),
            files: vec![],
            expected: json!({"headers": {}, "body": text("text/html", "<p>☺</p>\n")}),
        },
        Case {
            what: "headers of all kinds",
            request: json!({
                "From": [{"Name": "Rïder, \"the\" (quick)", "Address": "rider@localhost"}],
                "To": [{"Name": "世界", "Address": "a@xn--bcher-kva.example"}, {"Address": "\"odd local\"@remote.example"}],
                "CC": [{"Name": "O'Brien, Pat", "Address": "c@remote.example"}],
                "ReplyTo": [{"Name": "R", "Address": "r@remote.example"}],
                "MessageID": "<given-1@app.example>",
                "References": ["<1@remote.example>", "<2@remote.example>"],
                "Subject": "Grüße an alle, die so lange Betreffzeilen mögen, dass sie nicht mehr in eine Zeile passen ☺",
                "Text": "t",
                "Headers": [["X-Plain", "plain"], ["X-Umlaut", "Ünd so weiter ☺"], ["X-Long", words.trim_end()],
                            ["List-Unsubscribe", "<https://app.example/u?x=1>"]],
            }),
            files: vec![],
            expected: json!({
                "headers": {
                    "from": [["Rïder, \"the\" (quick)", "rider@localhost"]],
                    "to": [["世界", "a@xn--bcher-kva.example"], ["", "odd local@remote.example"]],
                    "cc": [["O'Brien, Pat", "c@remote.example"]],
                    "reply-to": [["R", "r@remote.example"]],
                    "message-id": "<given-1@app.example>",
                    "references": "<1@remote.example> <2@remote.example>",
                    "in-reply-to": "<2@remote.example>",
                    "subject":
                        "Grüße an alle, die so lange Betreffzeilen mögen, dass sie nicht mehr in eine Zeile passen ☺",
                    "x-plain": "plain",
                    "x-umlaut": "Ünd so weiter ☺",
                    "x-long": words.trim_end(),
                    "list-unsubscribe": "<https://app.example/u?x=1>",
                },
                "body": text("text/plain", "t"),
            }),
        },
        Case {
            what: "a non-ASCII localpart",
            request: json!({"To": [{"Name": "Jürgen", "Address": "jürgen@bücher.example"}], "Subject": "Grüße", "Text": "t"}),
            files: vec![],
            expected: json!({
                "smtputf8": true,
                "headers": {"subject": "Grüße", "to": [["Jürgen", "jürgen@bücher.example"]]},
                "body": text("text/plain", "t"),
            }),
        },
        Case {
            what: "text and HTML",
            request: json!({"Text": "t ☺\n", "HTML": "<b>h</b>\n"}),
            files: vec![],
            expected: json!({"headers": {}, "body": {"type": "multipart/alternative", "parts": [
                text("text/plain", "t ☺\n"), text("text/html", "<b>h</b>\n"),
            ]}}),
        },
        Case {
            what: "files in JSON",
            request: json!({
                "Text": "t",
                "HTML": "<img src=\"cid:logo@app\">",
                "AlternativeFiles": [{"Name": "", "ContentType": "text/calendar; method=REQUEST", "ContentID": "",
                    "Data": BASE64_STANDARD.encode(ICS)}],
                "InlineFiles": [{"Name": "logo.png", "ContentType": "image/png", "ContentID": "<logo@app>",
                    "Data": BASE64_STANDARD.encode(PNG)}],
                "AttachedFiles": [
                    {"Name": "Rechnung Nr. 1 für Jürgen.pdf", "ContentType": "", "Data": BASE64_STANDARD.encode(PDF)},
                    {"Name": "empty.bin", "ContentType": "application/x-own", "Data": ""},
                    {"Name": "", "ContentType": "", "Data": BASE64_STANDARD.encode([0, 1, 2, 255])},
                ],
            }),
            files: vec![],
            expected: json!({"headers": {}, "body": {"type": "multipart/mixed", "parts": [
                {"type": "multipart/related", "parts": [
                    {"type": "multipart/alternative", "parts": [
                        text("text/plain", "t"),
                        text("text/html", "<img src=\"cid:logo@app\">"),
                        with_params(file("text/calendar", "inline", None, None, ICS), json!({"method": "REQUEST"})),
                    ]},
                    file("image/png", "inline", Some("logo.png"), Some("<logo@app>"), PNG),
                ]},
                file("application/pdf", "attachment", Some("Rechnung Nr. 1 für Jürgen.pdf"), None, PDF),
                file("application/x-own", "attachment", Some("empty.bin"), None, b""),
                file("application/octet-stream", "attachment", None, None, &[0, 1, 2, 255]),
            ]}}),
        },
        Case {
            what: "uploaded files, and one in JSON",
            request: json!({
                "Text": "t",
                "AttachedFiles": [{"Name": "first.txt", "ContentType": "text/plain", "Data": BASE64_STANDARD.encode("1\r\n.\n2\r3")}],
            }),
            files: vec![
                FilePart {
                    field: "alternativefile",
                    content_type: Some("text/calendar; charset=utf-8"),
                    data: ICS,
                    ..FilePart::default()
                },
                FilePart {
                    field: "inlinefile",
                    name: Some("logo.png"),
                    content_type: Some("image/png"),
                    content_id: Some("<logo@app>"),
                    data: PNG,
                },
                FilePart {
                    field: "attachedfile", name: Some("größe.pdf"), data: PDF, ..FilePart::default()
                },
                FilePart {
                    field: "attachedfile",
                    name: Some("mail.txt"),
                    data: b".\r\n",
                    ..FilePart::default()
                },
            ],
            expected: json!({"headers": {}, "body": {"type": "multipart/mixed", "parts": [
                {"type": "multipart/related", "parts": [
                    {"type": "multipart/alternative", "parts": [
                        text("text/plain", "t"),
                        with_params(file("text/calendar", "inline", None, None, ICS), json!({"charset": "utf-8"})),
                    ]},
                    file("image/png", "inline", Some("logo.png"), Some("<logo@app>"), PNG),
                ]},
                file("text/plain", "attachment", Some("first.txt"), None, b"1\r\n.\n2\r3"),
                file("application/pdf", "attachment", Some("größe.pdf"), None, PDF),
                file("text/plain", "attachment", Some("mail.txt"), None, b".\r\n"),
            ]}}),
        },
        Case {
            what: "a large upload",
            request: json!({"Text": "t"}),
            files: vec![FilePart {
                field: "attachedfile",
                name: Some("large.bin"),
                data: large(),
                ..FilePart::default()
            }],
            expected: json!({"headers": {}, "body": {"type": "multipart/mixed", "parts": [
                text("text/plain", "t"),
                file("application/octet-stream", "attachment", Some("large.bin"), None, large()),
            ]}}),
        },
    ]
}

fn with_params(mut file: Value, params: Value) -> Value {
    file["params"] = params;
    file
}

/// More than is held in memory of an upload, or in the database of a message.
fn large() -> &'static [u8] {
    static LARGE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
        (0..700_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    });
    &LARGE
}
