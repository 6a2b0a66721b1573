use super::*;
use proptest::prelude::*;

const FROM: &str = "From: Rider <rider@example.org>\r\n";

fn submitted(raw: impl Into<Vec<u8>>) -> Result<Submitted, SubmittedError> {
    read(&Bytes::from(raw.into()))
}

fn whole(submitted: &Submitted) -> Vec<u8> {
    [&*submitted.header, &*submitted.rest].concat()
}

#[test]
fn a_complete_message_stays_as_it_is() {
    let raw = "received: from a\r\n\tby b\r\nMessage-ID:\r\n <a@b>\r\nFROM: rider@example.org\r\nSender: <tom@example.org>\r\n\
        To: x@y.example\r\nSubject: =?utf-8?q?gr=C3=BCn?=\r\nsubject: other\r\nDate: yesterday\r\nTLS-Required: No\r\n\r\n\
        Bcc: a@b.example\r\n\r\n";
    let mut message = submitted(raw).unwrap();
    assert_eq!(message.complete(Timestamp::default(), [0; 12]).as_str(), "<a@b>");
    assert_eq!(String::from_utf8(whole(&message)).unwrap(), raw);
    assert_eq!(message.from.to_string(), "rider@example.org");
    assert_eq!(message.sender.unwrap().to_string(), "tom@example.org");
    assert_eq!((&*message.subject, message.received, message.tls_not_required), ("grün", 1, true));
    assert!(message.has_date && message.extra.is_empty());
}

#[test]
fn what_recipients_must_not_see_is_left_out() {
    let raw = format!(
        "Return-Path: <>\r\nBCC: a@b.example,\r\n c@d.example\r\n{FROM}bcc : e@f.example\r\nResent-Bcc: g@h.example\r\n\
         Bcc-Not: kept\r\nX-Mox-Extra-Order: 17\r\nx-postrider-extra-text: =?utf-8?q?gr=C3=BCn?=\r\n und=20blau\r\n\r\nBcc: x\r\n"
    );
    let message = submitted(raw).unwrap();
    assert_eq!(String::from_utf8(whole(&message)).unwrap(), format!("{FROM}Bcc-Not: kept\r\n\r\nBcc: x\r\n"));
    let extra: Vec<_> = message.extra.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(extra, [("Order", "17"), ("Text", "grün und=20blau")]);
}

#[test]
fn missing_fields_are_added_and_those_that_are_none_replaced() {
    let now = Timestamp::from_millis(1_763_805_600_500);
    let date = "Date: Sat, 22 Nov 2025 10:00:00 +0000\r\n";
    let new_id = MessageId::new(now, [7; 12], &crate::Domain::parse("example.org").unwrap());
    let message_id = format!("Message-ID: {new_id}\r\n");
    for (header, expected) in [
        ("", format!("{date}{message_id}")),
        ("Date: \r\nMessage-ID: \r\n", format!("{date}{message_id}")),
        ("Date: x\r\nMessage-ID: not one\r\n", format!("Date: x\r\n{message_id}")),
        (
            "Message-ID: <no-at>\r\nMessage-ID: <a@b>\r\nDate: x\r\n",
            "Message-ID: <a@b>\r\nDate: x\r\n".into(),
        ),
        ("Message-ID: a@b\r\n", format!("Message-ID: a@b\r\n{date}")),
    ] {
        let mut message = submitted(format!("{FROM}{header}\r\nbody\r\n")).unwrap();
        let id = message.complete(now, [7; 12]);
        assert_eq!(
            String::from_utf8(whole(&message)).unwrap(),
            format!("{FROM}{expected}\r\nbody\r\n"),
            "{header}"
        );
        assert_eq!(message.complete(now, [8; 12]), id);
    }
}

#[test]
fn a_header_ends_where_its_fields_do() {
    for (raw, header, rest) in [
        ("From: a@b.example\r\n\r\nbody\r\n", "From: a@b.example\r\n", "\r\nbody\r\n"),
        (
            "From: a@b.example\r\nHello there\r\nyou, and: I\r\n",
            "From: a@b.example\r\n",
            "\r\nHello there\r\nyou, and: I\r\n",
        ),
        (
            "From: a@b.example\r\nBcc: x\r\nHello there\r\n http://x\r\n\r\nBcc: x\r\n",
            "From: a@b.example\r\n",
            "\r\nHello there\r\n http://x\r\n\r\nBcc: x\r\n",
        ),
        (
            "From a@b Mon Nov 23 09:59:00 2026\r\n>From x@y Mon\r\n\tfolded\r\nFrom: a@b.example\r\n\r\nhi",
            "From: a@b.example\r\n",
            "\r\nhi",
        ),
        ("From: a@b.example\r\n", "From: a@b.example\r\n", "\r\n"),
        ("From: a@b.example", "From: a@b.example\r\n", "\r\n"),
        ("From \t: a@b.example\r\n\r\n", "From: a@b.example\r\n", "\r\n"),
        ("From:\r\n a@b.example\r\n \r\n\r\nx", "From:\r\n a@b.example\r\n \r\n", "\r\nx"),
    ] {
        let message = submitted(raw).unwrap();
        assert_eq!((&*message.header, &*message.rest), (header.as_bytes(), rest.as_bytes()), "{raw:?}");
    }
}

#[test]
fn what_is_wrong_is_refused() {
    use SubmittedError::{Broken, LongExtra, LongHeader, NoFrom, NoKey, NotOne, Repeated, RepeatedKey};
    let broken = format!("gr\\xc3\\xbcn \\t{}", "x".repeat(53));
    let long = format!("{FROM}X-Mox-Extra-A: {}\r\n\r\n", "x".repeat(MAX_EXTRA));
    for (raw, error) in [
        ("", NoFrom),
        ("\r\nFrom: a@b.example\r\n", NoFrom),
        ("Hello\r\n\r\nFrom: a@b.example\r\n\r\n", NoFrom),
        ("From a@b Mon Nov 23\r\n\r\nFrom: a@b.example\r\n", NoFrom),
        (" From: a@b.example\r\n\r\n", NoFrom),
        ("Hello\r\nFrom: a@b.example\r\n\r\n", Broken("Hello".into())),
        (" Hello\r\nFrom: a@b.example\r\n\r\n", Broken(" Hello".into())),
        (&*format!("{FROM}garbage line\r\nBcc: leak@x\r\n\r\nhi"), Broken("garbage line".into())),
        (&*format!("{FROM}garbage\r\n : line\r\nmore\r\n\tx\r\nBCC : leak@x"), Broken("more".into())),
        (&*format!("{FROM}From a@b Mon\r\nX: y\r\n\r\nhi"), Broken("From a@b Mon".into())),
        (&*format!("{FROM}grün \t{}\r\nX: y\r\n", "x".repeat(99)), Broken(broken)),
        ("From: a@b.example\r\nfrom: a@b.example\r\n\r\n", Repeated("From")),
        ("From: a@b.example, c@d.example\r\n\r\n", NotOne("From")),
        ("From:\r\n\r\n", NotOne("From")),
        ("From: a@b.example\r\nSender: x\r\n\r\n", NotOne("Sender")),
        ("From: a@b.example\r\nSender: a@b.example\r\nSender: a@b.example\r\n\r\n", Repeated("Sender")),
        ("X-Mox-Extra-: x\r\n\r\n", NoKey),
        ("X-Mox-Extra-a-b: x\r\nX-Postrider-Extra-A-B: y\r\n\r\n", RepeatedKey("A-B".into())),
        (&*long, LongExtra),
        (&*format!("{FROM}X: {}\r\n\r\n", "x".repeat(MAX_HEADER)), LongHeader),
    ] {
        assert_eq!(submitted(raw).err(), Some(error), "{}", &raw[..raw.len().min(80)]);
    }
}

#[test]
fn a_message_says_what_it_needs_of_a_server() {
    for (raw, eight_bit, smtputf8) in [
        (&b"\r\nhi\r\n"[..], false, false),
        ("\r\nhé\r\n".as_bytes(), true, false),
        ("Subject: hé\r\n\r\nhi\r\n".as_bytes(), true, true),
        (b"Subject: h\xe9\r\n\r\nhi\r\n", true, false),
        ("X-Mox-Extra-a: hé\r\n\r\nhi\r\n".as_bytes(), false, false),
    ] {
        let message = submitted([FROM.as_bytes(), raw].concat()).unwrap();
        assert_eq!((message.eight_bit(), message.smtputf8()), (eight_bit, smtputf8), "{raw:?}");
    }
}

/// The largest header that is read, of what took time for each of its fields before, or could. With time that grows with
/// the square of it, this test does not end.
#[test]
fn a_hostile_header_is_read_in_one_go() {
    let words = "=?utf-8?q?=C3?= ".repeat(10_000);
    for (what, part) in [
        ("Received", "Received: x\r\n"),
        ("fields without a name for us", "A:\r\n"),
        ("one folded line", "\tx\r\n"),
        ("lines that are none", "x\r\n"),
        ("lines of a mailbox file", "From x\r\n"),
        ("texts", "X-A: é\r\n"),
        ("comments", "\t((((\r\n"),
        ("quotes", "\t\"\\\"\"\r\n"),
        ("addresses", "To: é <a@b.example>\r\n"),
        ("parameters", "Content-Type: a/b; c*0*=\"é\"; c*1=d\r\n"),
        ("words", &format!("Comments: é{words}\r\n")),
        ("starts of words", &format!("Comments: é{}\r\n", "=?a?q?x".repeat(10_000))),
        ("hidden recipients", "Bcc: x@y.example\r\n"),
        ("identities", "Message-ID: <é\r\n"),
    ] {
        let many = part.repeat((MAX_HEADER - 100) / part.len());
        let header = match part.as_bytes() {
            [b'\t', ..] => {
                let folded = format!("To: é\r\n{}", part.repeat(250_000 / part.len()));
                format!("{FROM}{}", folded.repeat(4))
            }
            _ if what == "lines of a mailbox file" => format!("{many}{FROM}"),
            _ => format!("{FROM}{many}"),
        };
        let mut message =
            submitted(format!("{header}\r\nhi")).unwrap_or_else(|error| panic!("{what}: {error}"));
        message.encode_header();
    }
    let keys: String = (0..50_000).map(|number| format!("X-Mox-Extra-{number}:\r\n")).collect();
    assert_eq!(submitted(keys).err(), Some(SubmittedError::ManyExtra));
}

/// Fields with whether they are kept, and a body.
fn messages() -> impl Strategy<Value = (Vec<(String, bool)>, String)> {
    let value = "[ -~é]{0,30}(\r\n[ \t][ -~]{1,20})?";
    let kept = ("(To|Cc|Subject|X-Mox|Comments|Bcc2|X-[A-Za-z]{1,8})", value)
        .prop_map(|(name, value)| (format!("{name}: {value}\r\n"), true));
    let dropped = ("([Bb]cc|Resent-Bcc|Return-Path)", value)
        .prop_map(|(name, value)| (format!("{name}: {value}\r\n"), false));
    (prop::collection::vec(prop_oneof![3 => kept, 1 => dropped], 0..8), "([ -~]{0,20}\r\n){0,4}[a-z]{0,3}")
}

#[test]
fn lines_that_end_in_a_bare_newline_are_whole_and_lose_nothing() {
    for (behind, header, rest) in [
        ("!:\n", "!:\r\n", "\r\n"),
        ("!:\nbody\n", "!:\r\n", "\r\nbody\n"),
        ("!:\n\nbody", "!:\r\n", "\r\nbody"),
    ] {
        let message = submitted(format!("{FROM}{behind}").into_bytes()).unwrap();
        assert_eq!(message.header, format!("{FROM}{header}").as_bytes(), "{behind:?}");
        assert_eq!(message.rest, rest, "{behind:?}");
    }
}

proptest! {
    #[test]
    fn nothing_but_what_is_left_out_and_added_changes((fields, body) in messages(), at in 0_usize..8) {
        let mut fields = fields;
        fields.insert(at.min(fields.len()), (FROM.to_owned(), true));
        let all: String = fields.iter().map(|(field, _)| &**field).collect();
        let kept: String = fields.iter().filter(|(_, kept)| *kept).map(|(field, _)| &**field).collect();
        let mut message = submitted(format!("{all}\r\n{body}")).unwrap();
        let before = whole(&message);
        prop_assert_eq!(String::from_utf8(before.clone()).unwrap(), format!("{kept}\r\n{body}"));
        message.complete(Timestamp::default(), [1; 12]);
        let header = &message.header[..];
        prop_assert!(header.starts_with(kept.as_bytes()) && header.ends_with(b"\r\n"));
        prop_assert_eq!(header[kept.len()..].split(|b| *b == b'\n').count(), 3);
    }

    #[test]
    fn hidden_recipients_are_in_nothing_that_goes_out(
        before in prop::collection::vec("(Bcc: leak@x|BCC\t: leak@x|bcc\r\n : x|To: x@y|garbage|From x|\t: x|[ -~]{0,9})\r\n", 0..6),
        after in prop::collection::vec("(Bcc: leak@x|resent-bcc: leak@x|To: x@y|garbage| Bcc|\u{fc}: x|[ -~]{1,9})\r\n", 0..6),
    ) {
        let raw = format!("{}{FROM}{}\r\nBcc: body", before.concat(), after.concat());
        if let Ok(message) = submitted(raw.clone()) {
            let body = raw.len() - raw.find("\r\n\r\n").unwrap() - 4;
            let sent = whole(&message);
            let shown = String::from_utf8_lossy(&sent[..sent.len() - body]).to_ascii_lowercase();
            prop_assert!(!shown.contains("leak@x"), "{shown}");
        }
    }

    #[test]
    fn a_header_that_is_encoded_says_the_same(
        from in "[ -~é]{0,9} ?<rider@example.org>",
        subject in "([ -~éü☺]|=\\?utf-8\\?q\\?=0D=0Aé=C3\\?= |\r\n[ \t]){0,30}",
        others in prop::collection::vec("(To|Cc|Date|X-Note|Content-Type): [ -~é\"<>@,;:()]{0,30}\r\n", 0..4),
        latin1 in any::<bool>(),
    ) {
        let raw = format!("From: {from}\r\nSubject: {subject}\r\n{}\r\nhi", others.concat());
        let raw = match latin1 {
            true => raw.chars().map(|c| u8::try_from(c).unwrap_or(0xe9)).collect(),
            false => raw.into_bytes(),
        };
        if let Ok(mut message) = submitted(raw) {
            let before = message.clone();
            message.encode_header();
            prop_assert!(message.header.is_ascii() || message.header == before.header);
            let after = submitted(whole(&message)).unwrap();
            prop_assert_eq!((&after.header, &after.rest), (&message.header, &message.rest));
            prop_assert_eq!((after.from, after.subject), (before.from, before.subject));
            prop_assert_eq!((after.has_date, after.message_id), (before.has_date, before.message_id));
        }
    }

    #[test]
    fn whatever_comes_is_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..300), field in any::<bool>()) {
        let raw = if field { [FROM.as_bytes(), &raw].concat() } else { raw };
        if let Ok(message) = submitted(raw) {
            prop_assert!(message.header.ends_with(b"\r\n") && message.rest.starts_with(b"\r\n"));
        }
    }
}
