use super::*;
use proptest::prelude::*;

const LETTER: &str = "From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\r\nTo: a@example.org,\r\n \"B, C\" <b@example.org>\r\n\
    Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n and more\r\nDate: Sat, 22 Nov 2025 11:00:00 +0100\r\n\
    Message-ID: <1@example.org>\r\nReferences: <a@x>\r\n\t<b@x>\r\nContent-Type: multipart/mixed; boundary=\r\n \"b1\"\r\n\r\n\
    preamble\r\n--b1\r\nContent-Type: multipart/alternative; boundary=b1x\r\n\r\n\
    --b1x\r\n\r\nplain\r\n--b1x\r\nContent-Type: TEXT/HTML; Charset=ISO-8859-1\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n\
    <p>=E4=\r\n</p>\r\n--b1x--\r\n--b1\r\nContent-Type: image/png; name=\"=?utf-8?Q?l=C3=B6go.png?=\"\r\n\
    Content-Disposition: INLINE\r\nContent-ID: <logo@x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBO\r\nRw0K\r\n--b1--\r\nepilogue";

#[test]
fn headers_texts_and_structure_are_read() {
    let read = read(LETTER.as_bytes());
    let json = serde_json::to_value(&read.message).unwrap();
    let expected = serde_json::json!({
        "From": [{"Name": "Jürgen", "Address": "j@example.org"}],
        "To": [{"Name": "", "Address": "a@example.org"}, {"Name": "B, C", "Address": "b@example.org"}],
        "CC": [], "BCC": [], "ReplyTo": [],
        "MessageID": "<1@example.org>",
        "References": ["<a@x>", "<b@x>"],
        "Date": "2025-11-22T10:00:00Z",
        "Subject": "Grüße and more",
        "Text": "plain",
        "HTML": "<p>ä</p>",
    });
    assert_eq!(json, expected);
    let leaf = |kind: &str, params: serde_json::Value, size: i64| {
        serde_json::json!({"ContentType": kind, "ContentTypeParams": params, "ContentID": "",
            "ContentDisposition": "", "Filename": "", "DecodedSize": size, "Parts": []})
    };
    let json = serde_json::to_value(&read.structure).unwrap();
    assert_eq!(json["ContentType"], "multipart/mixed");
    assert_eq!(json["ContentTypeParams"], serde_json::json!({"boundary": "b1"}));
    let alternative = &json["Parts"][0];
    assert_eq!(alternative["Parts"][0], leaf("text/plain", serde_json::json!({}), 5));
    assert_eq!(alternative["Parts"][1], leaf("text/html", serde_json::json!({"charset": "ISO-8859-1"}), 8));
    let image = &json["Parts"][1];
    assert_eq!((&image["Filename"], &image["ContentID"]), (&"lögo.png".into(), &"<logo@x>".into()));
    assert_eq!((&image["ContentDisposition"], &image["DecodedSize"]), (&"inline".into(), &6.into()));
}

#[test]
fn parts_are_found_by_their_path() {
    let raw = LETTER.as_bytes();
    let found = |path: &[usize]| part(raw, path).map(|part| (part.content_type, part.bytes.into_owned()));
    assert_eq!(found(&[1]), Some(("image/png".to_owned(), b"\x89PNG\r\n".to_vec())));
    assert_eq!(
        found(&[0, 1]),
        Some(("text/html; charset=\"ISO-8859-1\"".to_owned(), b"<p>\xe4</p>".to_vec()))
    );
    assert!(found(&[]).unwrap().1.starts_with(b"preamble"));
    for path in [&[2][..], &[0, 2], &[1, 0], &[0, 0, 0], &[0; 50]] {
        assert_eq!(found(path), None, "{path:?}");
    }
}

#[test]
fn the_texts_are_real_and_no_attachments() {
    let rows = [
        ("\r\nhi\r\n", ("hi\n", "")),
        ("Content-Type: text/html\r\n\r\n<p>", ("", "<p>")),
        ("Content-Type: application/pdf\r\n\r\n%PDF", ("", "")),
        ("Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nhi", ("", "")),
        ("Content-Type: nonsense\r\n\r\nhi", ("hi", "")),
        (
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n\r\nno\r\n\
            --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nno\r\n--b\r\n\r\nyes\r\n--b--",
            ("yes", ""),
        ),
        // Cut off in the midst, LF only.
        ("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nyes\nyes\n", ("yes\nyes\n", "")),
        ("Content-Type: text/plain; charset=utf-8\r\n\r\n\u{feff}é", ("é", "")),
        ("Content-Transfer-Encoding: base64\r\n\r\naGk=!!", ("hi", "")),
        ("Content-Transfer-Encoding: quoted-printable\r\n\r\nno=tqp, =C3=A4", ("no=tqp, ä", "")),
        ("\r\none\rtwo\r\nthree\r\r\n", ("one\ntwo\nthree\n\n", "")),
    ];
    for (raw, (text, html)) in rows {
        let message = read(raw.as_bytes()).message;
        assert_eq!((message.text.as_str(), message.html.as_str()), (text, html), "{raw:?}");
    }
}

#[test]
fn automated_messages_are_told_by_their_header() {
    let rows = [
        ("Subject: x", false),
        ("Auto-Submitted: no", false),
        ("auto-submitted: NO (really)", false),
        ("Auto-Submitted: auto-replied; x=y", true),
        ("Auto-Submitted: none", true),
        ("List-Id: <x>", true),
        ("List-Unsubscribe: <https://x>", true),
        ("List-Unsubscribe-Post: List-Unsubscribe=One-Click", true),
        ("Precedence: bulk", true),
        ("Content-Type: multipart/report; boundary=b", true),
    ];
    for (header, automated) in rows {
        let facts = read(format!("{header}\r\n\r\nhi").as_bytes()).facts;
        assert_eq!(facts.automated(false), automated, "{header}");
        assert!(facts.automated(true) && !facts.dsn);
    }
}

#[test]
fn a_dsn_is_a_report_with_a_delivery_status_in_second_place() {
    let report = |kind: &str, second: &str| {
        let raw = format!(
            "Content-Type: multipart/{kind}; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: {second}\r\n\r\n\r\n--b--"
        );
        read(raw.as_bytes()).facts.dsn
    };
    assert!(report("report", "message/delivery-status"));
    assert!(report("report", "message/global-delivery-status"));
    assert!(!report("report", "message/feedback-report"));
    assert!(!report("mixed", "message/delivery-status"));
}

#[test]
fn what_others_write_wrongly_is_read_kindly() {
    let of = |header: &str| read(format!("{header}\r\n\r\n").as_bytes()).message;
    assert_eq!(of("Message-ID: 1@x").message_id, "<1@x>");
    assert_eq!(of("In-Reply-To: your message of <2@x>").in_reply_to, "<2@x>");
    assert_eq!(of("From: not an address").from.len(), 1);
    assert_eq!(of("From: \"a b\\\"c\"@b.example").from[0].address, "\"a b\\\"c\"@b.example");
    assert_eq!(of("From: =?utf-8?q?=C3?= =?utf-8?q?=A4?= <a@x>").from[0].name, "ä");
    assert_eq!(of("From:").from, []);
    assert_eq!(of("To: undisclosed-recipients:;").to, []);
    assert_eq!(of("To: friends: a@x, b@y;").to.len(), 2);
    assert_eq!(of("Date: yesterday").date, None);
    let leap = of("Date: Sat, 31 Dec 2016 23:59:60 +0000").date;
    assert_eq!(leap.map(Timestamp::as_secs), Some(1_483_228_800));
    assert_eq!(of("Subject: a\r\nSubject: b").subject, "a");
    assert_eq!(of("Subject: gr\u{fc}n").subject, "gr\u{fc}n");
}

#[test]
fn texts_are_cut_on_a_character() {
    let raw = format!("\r\n{}", "xä".repeat(MAX_TEXT / 2));
    let text = read(raw.as_bytes()).message.text;
    assert!(text.len() <= MAX_TEXT && text.len() + 3 > MAX_TEXT, "{}", text.len());
}

#[test]
fn nesting_and_number_of_parts_are_bounded() {
    let deep: String = (0..30_000)
        .map(|i| format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"))
        .collect();
    let mut structure = &read(deep.as_bytes()).structure;
    let mut depth = 0;
    while let Some(part) = structure.parts.first() {
        (structure, depth) = (part, depth + 1);
    }
    assert_eq!(depth, MAX_DEPTH);
    let wide = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\n".repeat(3_000));
    assert_eq!(read(wide.as_bytes()).structure.parts.len(), MAX_PARTS);
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    assert_eq!(read(messages.as_bytes()).structure.parts, []);
}

#[test]
fn a_long_text_is_decoded_as_far_as_it_is_shown() {
    let rows = [
        ("text/plain", "8bit", "xä".repeat(MAX_TEXT), "xä"),
        ("text/plain; charset=koi8-r", "8bit", "x".repeat(5 * MAX_TEXT), "x"),
        ("text/plain", "quoted-printable", "=C3=A4".repeat(MAX_TEXT), "ä"),
        ("text/plain", "quoted-printable", "=\r\n".repeat(MAX_TEXT) + &"=C3=A4".repeat(MAX_TEXT), "ä"),
        ("text/plain; charset=utf-16le", "base64", "YQBi\r\nAGMA".repeat(2 * MAX_TEXT), "abc"),
    ];
    for (kind, encoding, body, shown) in rows {
        let raw = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}");
        let text = read(raw.as_bytes()).message.text;
        assert!(text.len() <= MAX_TEXT && text.len() + 3 > MAX_TEXT, "{kind} {encoding}: {}", text.len());
        assert_eq!(text, cut_to(&shown.repeat(MAX_TEXT), text.len()), "{kind} {encoding}");
    }
}

fn cut_to(text: &str, len: usize) -> &str {
    &text[..len]
}

proptest! {
    #[test]
    fn nothing_makes_it_fail(
        lines in prop::collection::vec(
            prop_oneof![
                Just("Content-Type: multipart/mixed; boundary=b".to_owned()),
                Just("--b".to_owned()),
                Just("--b--".to_owned()),
                Just(String::new()),
                "(From|To|Date|Subject|Message-ID|References|Content-Type|Content-Disposition|Content-ID): [ -~ä]{0,60}",
                "[ \t][(<>\"=?;,*'@a-z0-9%\\\\]{0,40}",
                "\\PC{0,40}",
            ],
            0..30,
        ),
        junk in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut raw = lines.join("\r\n").into_bytes();
        read(&raw);
        raw.extend(junk);
        let found = read(&raw);
        part(&raw, &[]).unwrap();
        for at in 0..found.structure.parts.len() {
            prop_assert_eq!(
                i64::try_from(part(&raw, &[at]).unwrap().bytes.len()).unwrap(),
                found.structure.parts[at].decoded_size
            );
        }
    }
}
