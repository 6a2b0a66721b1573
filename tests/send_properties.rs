//! Whatever is sent arrives as it was sent, or Send says no with the code that fits. Judged by Python's email package
//! and by MessageGet, on the message that lies in the Inbox.

use crate::harness::{Answer, Court, FilePart, Multipart, PASSWORD, Server, USER, eventually};
use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};

/// Messages that are sent.
const CASES: u32 = 200;

// What is not the same afterwards, and may not be, all in one place.

/// Lines end in `\n`, also the last.
fn text_as_sent(text: &str) -> String {
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// For MessageGet, a byte order mark is no part of a text.
fn text_as_read(text: &str) -> String {
    let text = text_as_sent(text);
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
}

/// White space around a name means nothing.
fn name_as_read(name: &str) -> &str {
    name.trim()
}

/// A part to show without a name has none.
fn file_name_as_read(name: &str) -> Option<&str> {
    Some(name).filter(|name| !name.is_empty())
}

#[derive(Clone, Debug)]
struct Case {
    from: String,
    to: (String, String),
    subject: String,
    text: String,
    html: String,
    headers: Vec<(String, String)>,
    files: Vec<File>,
    /// Files go as parts of the form where their names can.
    upload: bool,
}

#[derive(Clone, Debug)]
struct File {
    kind: Kind,
    name: String,
    content_type: &'static str,
    content_id: String,
    data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Alternative,
    Inline,
    Attached,
}

/// Text of one line, in all the ways that may be hard on a header.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "\\PC{0,60}",
        4 => "[ -~]{0,200}",
        3 => vec(any::<char>().prop_filter("it is a control character", |c| !c.is_control()), 0..40)
            .prop_map(String::from_iter),
        2 => "[😀-🙏👩🏽\u{200d}\u{fe0f} ]{0,30}",
        2 => "[א-ת\u{202e}\u{200f}\u{2066}a ]{0,40}",
        2 => "(=\\?utf-8\\?[qQbB]\\?[a-zA-Z0-9=_ ]{0,8}\\?=|=\\?| |\\?=|a){0,12}",
        2 => "[a-z,;:<>@()\\[\\]\"\\\\. ]{0,40}",
        1 => "[ \u{a0}\u{2003}\u{3000}]{0,5}[a-z]{0,3}[ \u{a0}\u{2003}\u{3000}]{0,5}",
        1 => "[äöü]{300,400}",
        1 => "[a-z]{900}",
        1 => "([a-z]{1,12} ){50,90}",
        // This one is refused.
        1 => "[a-z]{0,5}[\r\n\t\u{0}\u{7f}\u{85}][a-z]{0,5}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "(\\PC{0,20}(\r\n|\n|\r|)){0,10}",
        3 => vec(any::<char>(), 0..200).prop_map(String::from_iter),
        2 => "(\\.{1,3}|From |--|--=_|\r\n|\n|\n\n| |\t|=|=3D|[a-z]{1,9}){0,40}",
        1 => "[ -~]{990,1100}",
        1 => "(\\PC{80,200}\n){20,40}",
        1 => "\u{feff}[a-z]{0,5}",
        1 => Just("a \u{0} \u{7} \u{1b}[31m b\n".to_owned()),
        1 => Just("zeile ☺ ".repeat(9_000)),
        1 => Just(String::new()),
    ]
}

/// Its end does not ask localserve for a failure.
fn localpart() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-z][a-z0-9]{0,20}x",
        1 => "[a-z]{1,4}[äöüßéλж世]{1,4}x",
        1 => "[!#$%&'*/=?^_`{|}~-]{1,8}x",
    ]
}

fn file() -> impl Strategy<Value = File> {
    let kind = prop_oneof![Just(Kind::Alternative), Just(Kind::Inline), Just(Kind::Attached)];
    let name = prop_oneof![
        3 => "[a-z]{1,8}\\.(txt|pdf|png|ics|bin)",
        3 => "\\PC{0,60}",
        1 => "[ -~]{0,120}",
        1 => "[äöü世 ]{60,90}",
        1 => "[a-z'%*\"\\\\;]{0,12}",
    ];
    let content_type = prop_oneof![
        Just(""),
        Just("application/octet-stream"),
        Just("text/plain"),
        Just("text/calendar; method=REQUEST"),
        Just("Image/PNG"),
        Just("application/x-own; name=\"other; name\""),
    ];
    let data = prop_oneof![
        3 => vec(any::<u8>(), 0..400),
        2 => "(\r\n|\n|\r|\\.|[a-zä]{0,9}){0,40}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 3_000..9_000),
    ];
    (kind, name, content_type, "([a-z]{1,9}(@[a-z.]{1,9})?)?", data).prop_map(
        |(kind, name, content_type, content_id, data)| File { kind, name, content_type, content_id, data },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let headers = vec(("X-[A-Za-z0-9-]{1,12}", line()), 0..4);
    let files = prop_oneof![2 => Just(Vec::new()), 1 => vec(file(), 1..4)];
    (line(), (line(), localpart()), line(), text(), text(), headers, files, any::<bool>()).prop_map(
        |(from, to, subject, text, html, headers, files, upload)| {
            let mut seen = std::collections::BTreeSet::new();
            // X-Mailer would take the place of User-Agent.
            let fresh = |(name, _): &(String, String)| {
                !name.eq_ignore_ascii_case("X-Mailer") && seen.insert(name.to_ascii_lowercase())
            };
            let headers = headers
                .into_iter()
                .filter({
                    let mut fresh = fresh;
                    move |header| fresh(header)
                })
                .collect();
            Case { from, to, subject, text, html, headers, files, upload }
        },
    )
}

impl Case {
    /// The code with which it has to be refused.
    fn refused(&self) -> Option<&'static str> {
        if self.text.is_empty() && self.html.is_empty() {
            return Some("missingBody");
        }
        let values = self.headers.iter().map(|(_, value)| value);
        let mut lines = values.chain([&self.from, &self.to.0, &self.subject]);
        lines.any(|line| line.chars().any(char::is_control)).then_some("user")
    }

    /// Whether a file can stand in for a text that is not there.
    fn shows(&self, essence: &str) -> bool {
        self.files.iter().any(|file| file.kind != Kind::Attached && file.essence() == essence)
    }

    fn address(&self) -> String {
        format!("{}@remote.example", self.to.1)
    }

    fn can_be_uploaded(file: &File) -> bool {
        !file.name.is_empty() && !file.name.chars().any(|c| c.is_control() || matches!(c, '"' | '\\' | '%'))
    }

    fn form(&self) -> Vec<u8> {
        let mut request = json!({
            "From": [{"Name": self.from, "Address": USER}],
            "To": [{"Name": self.to.0, "Address": self.address()}],
            "Subject": self.subject,
            "Text": self.text,
            "HTML": self.html,
            "Headers": self.headers,
        });
        let uploads = self.upload && self.files.iter().all(Case::can_be_uploaded);
        let mut form = Multipart::default();
        for (kind, in_json, field) in KINDS {
            let files: Vec<_> = self.files.iter().filter(|file| file.kind == kind).collect();
            if uploads {
                for file in files {
                    form = form.file(FilePart {
                        field,
                        name: Some(&file.name),
                        content_type: Some(file.content_type).filter(|kind| !kind.is_empty()),
                        content_id: Some(file.content_id.as_str()).filter(|id| !id.is_empty()),
                        data: &file.data,
                    });
                }
            } else {
                request[in_json] = files.into_iter().map(File::to_json).collect();
            }
        }
        form.text("request", &request.to_string()).body()
    }

    /// What check_mime.py has to find.
    fn expected(&self) -> Value {
        let mut headers = json!({
            "from": [[name_as_read(&self.from), USER]],
            "to": [[name_as_read(&self.to.0), self.address()]],
        });
        for (name, value) in self.headers.iter().filter(|(_, value)| !value.is_empty()) {
            headers[name] = json!(value);
        }
        if !self.subject.is_empty() {
            headers["subject"] = json!(self.subject);
        }
        json!({"smtputf8": !self.to.1.is_ascii(), "headers": headers, "body": self.body()})
    }

    fn body(&self) -> Value {
        let of = |kind: Kind| self.files.iter().filter(move |file| file.kind == kind).map(File::expected);
        let texts = [("text/plain", &self.text), ("text/html", &self.html)];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut full: Vec<_> =
            texts.map(|(kind, text)| json!({"type": kind, "text": text_as_sent(text)})).collect();
        full.extend(of(Kind::Alternative));
        let mut body = match full.len() {
            1 => full.remove(0),
            _ => json!({"type": "multipart/alternative", "parts": full}),
        };
        for (kind, essence) in [(Kind::Inline, "multipart/related"), (Kind::Attached, "multipart/mixed")] {
            let files: Vec<_> = of(kind).collect();
            if !files.is_empty() {
                let parts = [vec![body], files].concat();
                body = json!({"type": essence, "parts": parts});
            }
        }
        body
    }
}

const KINDS: [(Kind, &str, &str); 3] = [
    (Kind::Alternative, "AlternativeFiles", "alternativefile"),
    (Kind::Inline, "InlineFiles", "inlinefile"),
    (Kind::Attached, "AttachedFiles", "attachedfile"),
];

impl File {
    fn to_json(&self) -> Value {
        json!({
            "Name": self.name,
            "ContentType": self.content_type,
            "ContentID": self.content_id,
            "Data": BASE64_STANDARD.encode(&self.data),
        })
    }

    fn essence(&self) -> String {
        match self.content_type {
            "" => mail::ContentType::of_file(&self.name, &self.data).essence().to_owned(),
            given => given.split(';').next().unwrap_or_default().to_ascii_lowercase(),
        }
    }

    fn disposition(&self) -> &'static str {
        if self.kind == Kind::Attached { "attachment" } else { "inline" }
    }

    fn id(&self) -> Option<String> {
        (!self.content_id.is_empty()).then(|| format!("<{}>", self.content_id))
    }

    fn expected(&self) -> Value {
        let name = match file_name_as_read(&self.name) {
            // The parameter of the content type.
            None if self.content_type.contains("name=") => Some("other; name"),
            name => name,
        };
        json!({
            "type": self.essence(),
            "disposition": self.disposition(),
            "filename": name,
            "content_id": self.id(),
            "data": BASE64_STANDARD.encode(&self.data),
        })
    }
}

/// The server, the judge, and how many messages are in the Inbox.
struct Bench {
    server: Server,
    court: RefCell<Court>,
    arrived: Cell<u64>,
}

impl Bench {
    async fn try_out(&self, case: &Case) -> Result<(), String> {
        let call = self
            .server
            .request("POST", "/webapi/v0/Send")
            .basic_auth(USER, Some(PASSWORD))
            .header("Content-Type", Multipart::content_type())
            .body(case.form());
        let answer = Answer::of(call).await.map_err(|error| error.to_string())?;
        if answer.status != 200 {
            let (code, expected) = (answer.code(), case.refused());
            return match expected {
                Some(expected) if answer.status == 400 && code == expected => Ok(()),
                _ => Err(format!("{}, not {expected:?}: {}", answer.status, answer.text())),
            };
        }
        if let Some(code) = case.refused() {
            return Err(format!("accepted and not refused with {code}"));
        }
        let id = json!({"MsgID": self.arrived.get() + 1});
        self.arrived.set(self.arrived.get() + 1);
        let raw = eventually("the message", async || match self.server.call("MessageRawGet", &id).await {
            raw if raw.status == 200 => Ok(raw.body),
            other => Err(other.text()),
        })
        .await;
        let verdict = self
            .court
            .borrow_mut()
            .hear(&json!({"content": BASE64_STANDARD.encode(&raw), "expected": case.expected()}));
        verdict.map_err(|fault| format!("{fault}\n{}", String::from_utf8_lossy(&raw)))?;
        agrees(case, &self.server.ok("MessageGet", &id).await)
    }
}

/// Whether MessageGet reads what was sent.
fn agrees(case: &Case, got: &Value) -> Result<(), String> {
    let name = |name: &str, address: &str| json!([{"Name": name_as_read(name), "Address": address}]);
    let rows = [
        ("From", name(&case.from, USER)),
        ("To", name(&case.to.0, &case.address())),
        ("Subject", json!(case.subject)),
    ];
    for (field, expected) in rows {
        same(&got["Message"][field], &expected, field)?;
    }
    for (field, text, essence) in [("Text", &case.text, "text/plain"), ("HTML", &case.html, "text/html")] {
        if !text.is_empty() || !case.shows(essence) {
            same(&got["Message"][field], &json!(text_as_read(text)), field)?;
        }
    }
    structure_agrees(&got["Structure"], &case.body())
}

fn structure_agrees(found: &Value, expected: &Value) -> Result<(), String> {
    same(&found["ContentType"], &expected["type"], "ContentType")?;
    let parts = |of: &Value, name: &str| of[name].as_array().cloned().unwrap_or_default();
    let (found_parts, expected_parts) = (parts(found, "Parts"), parts(expected, "parts"));
    same(&json!(found_parts.len()), &json!(expected_parts.len()), "Parts")?;
    if let Some(data) = expected["data"].as_str() {
        let text = |value: &Value| json!(value.as_str().unwrap_or_default());
        same(&found["ContentDisposition"], &expected["disposition"], "ContentDisposition")?;
        same(&found["Filename"], &text(&expected["filename"]), "Filename")?;
        same(&found["ContentID"], &text(&expected["content_id"]), "ContentID")?;
        let size = BASE64_STANDARD.decode(data).expect("base64").len();
        same(&found["DecodedSize"], &json!(size), "DecodedSize")?;
    }
    found_parts
        .iter()
        .zip(&expected_parts)
        .try_for_each(|(found, expected)| structure_agrees(found, expected))
}

fn same(found: &Value, expected: &Value, what: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what} is {found:.2000}, not {expected:.2000}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_arrives_or_is_refused_with_the_code_that_fits() {
    let bench = Bench {
        server: Server::start().await,
        court: RefCell::new(Court::open("check_mime.py")),
        arrived: Cell::new(0),
    };
    let runtime = tokio::runtime::Handle::current();
    let run = tokio::task::spawn_blocking(move || {
        let config = ProptestConfig {
            cases: CASES,
            max_shrink_iters: 100,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        TestRunner::new(config)
            .run(&case(), |case| runtime.block_on(bench.try_out(&case)).map_err(TestCaseError::fail))
            .unwrap_or_else(|failure| panic!("{failure}"))
    });
    run.await.expect("every case is good");
}
