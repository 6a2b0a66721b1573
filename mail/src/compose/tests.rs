use super::*;
use crate::{
    Address, Octets, Timestamp,
    draft::{HeaderName, HeaderText, Where},
    octets::tests::{Shelf, elsewhere},
    read::{self, NameAddressText, ReadMessage},
};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::Arc;

fn mailbox(name: &str, address: &str) -> NameAddress {
    NameAddress::new(name, Address::parse(address).unwrap()).unwrap()
}

fn subject(text: &str) -> HeaderText {
    HeaderText::new(Where::Subject, text).unwrap()
}

fn header(name: &str, value: &str) -> (HeaderName, HeaderText) {
    (HeaderName::parse(name).unwrap(), HeaderText::new(Where::HeaderValue, value).unwrap())
}

fn file(name: &str, content_type: &str, id: &str, data: &'static [u8]) -> File {
    File::new(name, content_type, id, Bytes::from_static(data)).unwrap()
}

fn draft() -> Draft {
    let date = Timestamp::from_millis(1_763_805_600_500);
    let mut draft =
        Draft::new(mailbox("Ann", "ann@example.org"), MessageId::parse("<1@example.org>").unwrap(), date);
    draft.to.push(mailbox("", "bob@example.net"));
    draft.text = Some("hello\n".to_owned());
    draft
}

fn composed(draft: &Draft) -> String {
    let composed = draft.compose().unwrap();
    check_lines(composed.content());
    String::from_utf8(composed.content().to_vec()).unwrap()
}

fn read_back(draft: &Draft) -> ReadMessage {
    let composed = draft.compose().unwrap();
    check_lines(composed.content());
    assert_eq!(composed.eight_bit, !composed.content().is_ascii());
    read::read(composed.content())
}

#[test]
fn where_the_octets_of_a_file_lie_makes_no_difference() {
    let message = "Subject: ä\r\n\r\n".to_owned() + &"a line\r\n".repeat(20_000);
    let rows = [
        ("", vec![7; 200_000]),
        ("text/plain", "ü".repeat(100_000).into_bytes()),
        ("text/plain", vec![0xe4; 100_000]),
        ("message/rfc822", message.clone().into_bytes()),
        ("message/rfc822", message.replace("\r\n", "\n").into_bytes()),
        ("message/rfc822", message.replace("\r\n", "\r\r\n").into_bytes()),
        ("", b"%PDF-1.7".to_vec()),
        ("", Vec::new()),
    ];
    for (content_type, octets) in rows {
        let composed = |data: Octets| {
            let attached = File::new("a", content_type, "", data).unwrap();
            let composed = Draft { attached_files: vec![attached], ..draft() }.compose().unwrap();
            let boundary = composed.content().windows(36).find(|octets| octets.starts_with(b"--=_")).unwrap();
            let boundary = String::from_utf8(boundary[2..].to_vec()).unwrap();
            let content = String::from_utf8_lossy(composed.content()).replace(&boundary, "boundary");
            (content, composed.eight_bit)
        };
        let held = composed(Bytes::from(octets.clone()).into());
        assert!(held == composed(elsewhere(octets)), "{content_type}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_no_message() {
    let shelf = Octets::Elsewhere(Arc::new(Shelf { octets: vec![1; 100_000], readable: 90_000 }));
    let attached = File::new("a", "", "", shelf).unwrap();
    let error = Draft { attached_files: vec![attached], ..draft() }.compose().unwrap_err();
    assert!(matches!(error, DraftError::Unreadable(_)), "{error}");
}

#[test]
fn fields_go_in_front_of_a_message_whether_there_is_room_or_not() {
    let composed = draft().compose().unwrap();
    for fields in [String::new(), "A: b\r\n".into(), "x".repeat(ROOM), "x".repeat(ROOM + 1)] {
        let expected = [fields.as_bytes(), composed.content()].concat();
        assert_eq!(composed.clone().behind(fields.as_bytes()), expected, "{}", fields.len());
    }
}

fn check_lines(content: &[u8]) {
    let text = content.strip_suffix(b"\r\n").expect("a message ends with a line end");
    for line in text.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.len() <= 998 && !line.contains(&b'\r'), "{:?}", String::from_utf8_lossy(line));
    }
    assert_eq!(
        content.iter().filter(|b| **b == b'\n').count(),
        memchr::memmem::find_iter(content, b"\r\n").count()
    );
}

fn essences(structure: &read::Structure) -> String {
    let parts: Vec<_> = structure.parts.iter().map(essences).collect();
    let kind =
        structure.content_type.replace("multipart/", "").replace("application/", "").replace("text/", "");
    if parts.is_empty() { kind } else { format!("{kind}({})", parts.join(" ")) }
}

#[test]
fn a_plain_message_is_as_plain_as_it_can_be() {
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "From: \"Ann\" <ann@example.org>\r\nTo: <bob@example.net>\r\nSubject: Hi there\r\n\
        Date: Sat, 22 Nov 2025 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\
        User-Agent: postrider/{version}\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\nhello\r\n"
    );
    assert_eq!(composed(&Draft { subject: subject("Hi there"), ..draft() }), expected);
}

#[test]
fn bcc_is_in_the_header_of_the_senders_copy_only() {
    let draft = Draft { bcc: vec![mailbox("Eve", "eve@example.com")], ..draft() };
    let content = composed(&draft);
    assert!(!content.contains("eve@") && !content.contains("Bcc"), "{content}");
    assert_eq!(bcc_header(&draft.bcc), b"Bcc: \"Eve\" <eve@example.com>\r\n");
    assert_eq!(bcc_header(&[]), b"");
    let copy = [bcc_header(&draft.bcc), content.into_bytes()].concat();
    assert_eq!(read::read(&copy).message.bcc[0].address, "eve@example.com");
}

#[test]
fn each_level_of_the_structure_is_there_only_when_needed() {
    let with = |html: Option<&str>, text: bool, counts: [usize; 3]| {
        let mut draft = draft();
        draft.html = html.map(str::to_owned);
        if !text {
            draft.text = None;
        }
        let files = |count| vec![file("f", "application/x", "", b"x"); count];
        draft.alternative_files = files(counts[0]);
        draft.inline_files = files(counts[1]);
        draft.attached_files = files(counts[2]);
        essences(&read_back(&draft).structure)
    };
    assert_eq!(with(None, true, [0, 0, 0]), "plain");
    assert_eq!(with(Some("<p>"), false, [0, 0, 0]), "html");
    assert_eq!(with(Some("<p>"), true, [0, 0, 0]), "alternative(plain html)");
    assert_eq!(with(None, true, [2, 0, 0]), "alternative(plain x x)");
    assert_eq!(with(Some("<p>"), false, [0, 1, 0]), "related(html x)");
    assert_eq!(with(Some("<p>"), true, [0, 0, 2]), "mixed(alternative(plain html) x x)");
    assert_eq!(with(None, true, [0, 0, 1]), "mixed(plain x)");
    assert_eq!(with(Some("<p>"), true, [1, 1, 1]), "mixed(related(alternative(plain html x) x) x)");
    assert_eq!(Draft { text: None, ..draft() }.compose().unwrap_err(), DraftError::MissingBody);
}

#[test]
fn files_arrive_octet_for_octet_with_name_type_and_id() {
    let calendar = b"BEGIN:VCALENDAR\nA:\xc3\xa4\r\n.\r\n..\rEND:VCALENDAR";
    let long = "Lange Dateinamen mit Umlauten wie \u{e4}\u{f6}\u{fc} und noch l\u{e4}nger, \"so\".pdf";
    let mut draft = draft();
    draft.alternative_files = vec![file("", "text/calendar; method=REQUEST", "", calendar)];
    draft.inline_files = vec![file("logo.png", "", "<logo@x>", b"\x89PNG\r\n\x1a\n\0\xff")];
    draft.attached_files = vec![
        file(long, "application/pdf; name=other", "", b"%PDF-"),
        file("a.eml", "message/rfc822", "", b"Subject: x\r\n\r\n\xc3\xa4\r\n"),
    ];
    let composed = draft.compose().unwrap();
    assert!(composed.eight_bit && !composed.smtputf8);
    check_lines(composed.content());
    let found = read::read(composed.content()).structure;
    let part = |path: &[usize]| read::part(composed.content(), path).unwrap();

    let alternative = &found.parts[0].parts[0].parts[1];
    assert_eq!(alternative.content_type_params["method"], "REQUEST");
    assert_eq!(alternative.content_disposition, "inline");
    let read = part(&[0, 0, 1]);
    assert_eq!(
        (read.content_type.as_str(), &*read.bytes),
        ("text/calendar; charset=\"utf-8\"", &calendar[..])
    );

    let inline = &found.parts[0].parts[1];
    assert_eq!((inline.filename.as_str(), inline.content_id.as_str()), ("logo.png", "<logo@x>"));
    assert_eq!((inline.content_type.as_str(), inline.decoded_size), ("image/png", 10));
    assert_eq!(&*part(&[0, 1]).bytes, b"\x89PNG\r\n\x1a\n\0\xff");

    let attached = &found.parts[1];
    assert_eq!((attached.filename.as_str(), attached.content_disposition.as_str()), (long, "attachment"));
    assert_eq!(&*part(&[2]).bytes, b"Subject: x\r\n\r\n\xc3\xa4\r\n");
    assert_eq!(found.parts[2].content_type, "message/rfc822");
}

#[test]
fn old_clients_find_the_name_in_the_content_type() {
    let draft = Draft { attached_files: vec![file("ü.pdf", "", "", b"%PDF-")], ..draft() };
    let content = composed(&draft);
    assert!(content.contains("name=\"=?utf-8?B?w7wucGRm?=\""), "{content}");
    assert!(content.contains("filename*=UTF-8''%C3%BC.pdf"), "{content}");
}

#[test]
fn custom_headers_stay_as_they_are_where_they_can() {
    let url = format!("<https://example.org/{}>, <mailto:u@example.org>", "u".repeat(200));
    let mut draft = draft();
    draft.headers = vec![
        header("List-Unsubscribe", &url),
        header("X-Empty", ""),
        header("X-Umlaut", "grüße"),
        header("x-mailer", "mine"),
        header("X-Long", &"0123456789".repeat(300)),
    ];
    let content = composed(&draft);
    let unfolded = content.replace("\r\n ", " ");
    assert!(unfolded.contains(&format!("\r\nList-Unsubscribe: {url}\r\n")), "{content}");
    assert!(content.contains("\r\nX-Empty: \r\n"), "{content}");
    assert!(content.contains("\r\nX-Umlaut: =?utf-8?"), "{content}");
    assert!(content.contains("\r\nX-Long: =?utf-8?B?"), "{content}");
    assert!(!content.contains("User-Agent"), "{content}");
}

#[test]
fn references_make_in_reply_to() {
    let id = |text: &str| MessageId::parse(text).unwrap();
    let draft = Draft { references: vec![id("<a@x>"), id("<b@x>")], ..draft() };
    let message = read_back(&draft).message;
    assert_eq!(message.references, ["<a@x>", "<b@x>"]);
    assert_eq!((message.in_reply_to.as_str(), message.message_id.as_str()), ("<b@x>", "<1@example.org>"));
    assert_eq!(message.date, Some(Timestamp::from_millis(1_763_805_600_000)));
    let many = Draft { references: vec![id("<a@x>"); MAX_REFERENCES + 1], ..draft.clone() };
    assert_eq!(many.compose().unwrap_err(), DraftError::References);
}

#[test]
fn a_non_ascii_localpart_makes_utf8_headers_and_nothing_else_does() {
    let mut plain = Draft { subject: subject("grüße"), ..draft() };
    plain.to = vec![mailbox("Jürgen", "j@bücher.example")];
    plain.bcc = vec![mailbox("", "jürgen@example.org")];
    let composed = plain.compose().unwrap();
    assert!(!composed.smtputf8 && composed.content().is_ascii());
    let content = String::from_utf8(composed.content().to_vec()).unwrap();
    assert!(content.contains("<j@xn--bcher-kva.example>"), "{content}");

    plain.cc = vec![mailbox("Jörg \"X\"", "jörg@bücher.example")];
    let composed = plain.compose().unwrap();
    assert!(composed.smtputf8 && composed.eight_bit);
    let content = String::from_utf8(composed.content().to_vec()).unwrap();
    assert!(content.contains("Subject: grüße\r\n"), "{content}");
    assert!(content.contains("\r\nCc: \"Jörg \\\"X\\\"\" <jörg@bücher.example>\r\n"), "{content}");
}

#[test]
fn text_with_long_lines_and_dots_is_read_back() {
    let text = format!(".\n..\n{}\nFrom me\n\n.", "lång ".repeat(1000));
    let message = read_back(&Draft { text: Some(text.clone()), ..draft() }).message;
    assert_eq!(message.text, format!("{text}\n"));
}

#[test]
fn a_text_cannot_break_out_of_its_part() {
    let mut draft = Draft { html: Some("<p>".to_owned()), ..draft() };
    draft.text = Some("--=_0\r\nContent-Type: text/html\r\n\r\nevil\n".to_owned());
    assert_eq!(essences(&read_back(&draft).structure), "alternative(plain html)");
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,120}",
        "\\PC{0,60}",
        "[a-zäöü ,.=?_\"\\\\()<>@;:]{0,100}",
        "(=\\?utf-8\\?q\\?[a-z]{1,5}\\?= ?){0,3}",
    ]
    .prop_filter("no control characters", |text| !text.chars().any(char::is_control))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_the_subject_and_names_they_are_read_back(
        subject_text in line(), name in line(), value in line(), utf8 in any::<bool>(),
    ) {
        let mut draft = Draft { subject: subject(&subject_text), ..draft() };
        draft.to = vec![mailbox(&name, if utf8 { "ü@example.org" } else { "u@example.org" }), mailbox("", "b@b")];
        draft.headers = vec![header("X-Text", &value)];
        let message = read_back(&draft).message;
        prop_assert_eq!(&message.subject, &subject_text);
        let expected = NameAddressText {
            name: name.trim().to_owned(),
            address: if utf8 { "ü@example.org" } else { "u@example.org" }.to_owned(),
        };
        prop_assert_eq!(&message.to[0], &expected);
        prop_assert_eq!(&message.to[1].address, "b@b");
        prop_assert_eq!(&message.message_id, "<1@example.org>");
    }

    #[test]
    fn whatever_the_texts_they_are_read_back(text in "(\\PC|[\n.= \t]){0,300}", html in "\\PC{0,300}") {
        let draft = Draft { text: Some(text.clone()), html: Some(html.clone()), ..draft() };
        prop_assert!(draft.min_size() <= draft.compose().unwrap().content().len());
        let message = read_back(&draft).message;
        let ended = |text: &str| if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
        let (text, html) = (ended(&text), ended(&html));
        prop_assert_eq!(&message.text, text.strip_prefix('\u{feff}').unwrap_or(&text));
        prop_assert_eq!(&message.html, html.strip_prefix('\u{feff}').unwrap_or(&html));
    }

    #[test]
    fn whatever_the_file_it_is_read_back(name in prop_oneof!["\\PC{0,120}", "[ -~]{0,120}"], data in prop::collection::vec(any::<u8>(), 0..400)) {
        let attached = File::new(&name, "", "", Bytes::from(data.clone())).unwrap();
        let draft = Draft { attached_files: vec![attached], ..draft() };
        let content = draft.compose().unwrap().content().to_vec();
        prop_assert!(draft.min_size() <= content.len());
        check_lines(&content);
        prop_assert_eq!(&read::read(&content).structure.parts[1].filename, &name);
        let part = read::part(&content, &[1]).unwrap();
        prop_assert_eq!(part.bytes.as_ref(), data.as_slice());
    }
}
