use super::*;
use crate::read;
use proptest::prelude::*;

fn converted(raw: &[u8]) -> Vec<u8> {
    let converted = seven_bit(raw).unwrap().expect("there is something to convert");
    assert!(converted.content.is_ascii());
    converted.content
}

#[test]
fn parts_are_encoded_as_their_content_asks() {
    let rows: [(&str, &str); 8] = [
        (
            "A: 1\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\nB: 2\r\n\r\ngrüne Soße aus Frankfurt \r\n",
            "A: 1\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nB: 2\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCne So=C3=9Fe aus Frankfurt=20\r\n",
        ),
        (
            "A: 1\r\nMIME-Version: 1.0\r\n\r\nзел\r\n",
            "A: 1\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n0LfQtdC7DQo=\r\n",
        ),
        (
            "A: 1\r\n\r\nnaïve, and long enough\r\n",
            "A: 1\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nna=C3=AFve, and long enough\r\n",
        ),
        // What was encoded badly is encoded anew.
        (
            "MIME-Version: 1.0\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n=C3=BC und ü, 1=2 x x x x x x\r\n",
            "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\nw7wgdW5kIMO8LCAxPTIgeCB4IHggeCB4IHgNCg==\r\n",
        ),
        // Parts without octets above 127 stay, but not what they say of themselves.
        (
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             pré\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n=C3\r\n\
             --b\r\nContent-Type: image/png\r\n\r\n\u{e9}\r\n--b--\r\népi\r\n",
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             pr??\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n=C3\r\n\
             --b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\n\r\n--b--\r\n??pi\r\n",
        ),
        (
            "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             Subject: inner\r\n\r\nnaïve, and long enough\r\n",
            "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
             Subject: inner\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\nna=C3=AFve, and long enough\r\n",
        ),
        (
            "MIME-Version: 1.0\r\nContent-Type: message/global\r\n\r\nSubject: é\r\n\r\n",
            "MIME-Version: 1.0\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSubject: =C3=A9\r\n\r\n",
        ),
        (
            "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: 1\r\nMIME-Version: 1.0\r\n\r\né\r\n--b--\r\n",
            "MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: 1\r\nMIME-Version: 1.0\r\n\
             Content-Transfer-Encoding: base64\r\n\r\nw6k=\r\n\r\n--b--\r\n",
        ),
    ];
    for (raw, expected) in rows {
        assert_eq!(String::from_utf8(converted(raw.as_bytes())).unwrap(), expected, "{raw}");
    }
    let latin = converted(b"A: 1\r\n\r\nna\xefve, and long enough\r\n");
    assert!(memchr::memmem::find(&latin, b"charset=unknown-8bit\r\n").is_some());
    assert_eq!(seven_bit(b"A: 1\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain\r\n"), Ok(None));
}

#[test]
fn what_cannot_be_converted_says_why() {
    let rows = [
        ("Subject: é\r\n\r\n", Unconvertible::Header, "5.6.3"),
        ("Content-Type: message/rfc822\r\n\r\nSubject: é\r\n\r\n", Unconvertible::Header, "5.6.3"),
        (
            "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\né\r\n--b--\r\n",
            Unconvertible::Signed,
            "5.6.2",
        ),
        ("Content-Type: multipart/mixed\r\n\r\né\r\n", Unconvertible::Composite, "5.6.3"),
        (
            "Content-Type: multipart/mixed; boundary*=utf-8''%C3%A9\r\n\r\n--é\r\n\r\né\r\n",
            Unconvertible::Composite,
            "5.6.3",
        ),
        ("Content-Type: message/partial\r\n\r\né\r\n", Unconvertible::Composite, "5.6.3"),
        ("Content-Type: message/delivery-status\r\n\r\né\r\n", Unconvertible::Composite, "5.6.3"),
        ("Content-Transfer-Encoding: x-uuencode\r\n\r\né\r\n", Unconvertible::Encoding, "5.6.3"),
        (
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nA: 1\r\n\r\né\r\n",
            Unconvertible::Encoding,
            "5.6.3",
        ),
    ];
    for (raw, expected, code) in rows {
        assert_eq!(seven_bit(raw.as_bytes()), Err(expected), "{raw}");
        assert_eq!(expected.enhanced().to_string(), code);
    }
    let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(MAX_DEPTH + 1) + "\r\né\r\n";
    assert_eq!(seven_bit(deep.as_bytes()), Err(Unconvertible::TooDeep));
    let less = "Content-Type: message/rfc822\r\n\r\n".repeat(MAX_DEPTH) + "\r\né\r\n";
    assert!(seven_bit(less.as_bytes()).is_ok());
}

#[test]
fn a_signed_part_without_octets_above_127_stays_as_it_is() {
    let signed = "Content-Type: multipart/signed; boundary=s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                  --s\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain\r\n--s--";
    let raw = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{signed}\r\n--b\r\n\r\né\r\n--b--\r\n"
    );
    let content = converted(raw.as_bytes());
    assert!(memchr::memmem::find(&content, signed.as_bytes()).is_some());
}

#[test]
fn broken_signatures_are_told_of() {
    for (header, expected) in [("DKIM-Signature: v=1\r\n", true), ("X-DKIM-Signature: v=1\r\n", false)] {
        let raw = format!("{header}MIME-Version: 1.0\r\n\r\né\r\n");
        assert_eq!(seven_bit(raw.as_bytes()).unwrap().unwrap().breaks_signatures, expected);
    }
}

/// The leaves in order: their type and content.
fn leaves(raw: &[u8]) -> Vec<(String, Vec<u8>)> {
    fn walk(entity: &Entity<'_>, raw: &[u8], depth: usize, found: &mut Vec<(String, Vec<u8>)>) {
        let body = split(raw).1;
        if entity.content_type == "message/rfc822" && depth < 30 {
            return walk(&Entity::parse(body, "text/plain"), body, depth + 1, found);
        }
        let mut parts = entity.part_ranges().peekable();
        if parts.peek().is_none() {
            let mut octets = entity.decoded().into_owned();
            // What decodes to nothing more ends where its lines do.
            while octets.ends_with(b"\r\n") {
                octets.truncate(octets.len() - 2);
            }
            return found.push((entity.content_type.clone(), octets));
        }
        for range in parts {
            let raw = &body[range];
            walk(&Entity::parse(raw, entity.default_of_parts()), raw, depth + 1, found);
        }
    }
    let mut found = Vec::new();
    walk(&Entity::parse(raw, "text/plain"), raw, 0, &mut found);
    found
}

fn message() -> impl Strategy<Value = String> {
    let leaf = (
        prop::sample::select(vec![
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Type: application/octet-stream\r\nContent-Disposition: attachment\r\n",
            "X: 1\r\n",
        ]),
        prop::sample::select(vec![
            "",
            "Content-Transfer-Encoding: 8bit\r\n",
            "Content-Transfer-Encoding: quoted-printable\r\n",
        ]),
        "([ -~]{0,90}|[aéßж\u{1f600}=\t]{1,9}|\r\n|--b1){0,20}",
    );
    let leaf = leaf.prop_map(|(kind, encoding, body)| format!("{kind}{encoding}\r\n{body}"));
    leaf.prop_recursive(4, 20, 4, |inner| {
        (prop::collection::vec(inner, 1..4), 0_u32..1_000_000, 0..3).prop_map(|(parts, boundary, kind)| {
            if kind == 0 {
                return format!("Content-Type: message/rfc822\r\n\r\n{}", parts[0]);
            }
            let kind = if kind == 1 { "mixed" } else { "alternative" };
            let parts: String = parts.iter().map(|part| format!("\r\n--b{boundary}x\r\n{part}")).collect();
            format!(
                "Content-Type: multipart/{kind}; boundary=b{boundary}x\r\n\r\n{parts}\r\n--b{boundary}x--\r\n"
            )
        })
    })
}

proptest! {
    #[test]
    fn what_a_message_says_survives(message in message()) {
        let raw = format!("From: a@example.org\r\nMIME-Version: 1.0\r\n{message}");
        if let Some(converted) = seven_bit(raw.as_bytes()).unwrap() {
            prop_assert!(converted.content.is_ascii());
            prop_assert_eq!(leaves(&converted.content), leaves(raw.as_bytes()));
            let (before, after) = (read::read(raw.as_bytes()), read::read(&converted.content));
            prop_assert_eq!(after.message.text.trim_end(), before.message.text.trim_end());
            prop_assert_eq!(seven_bit(&converted.content), Ok(None));
            prop_assert_eq!(converted.content.iter().filter(|b| **b == b'\n').count(),
                            memchr::memmem::find_iter(&converted.content, b"\r\n").count());
        } else {
            prop_assert!(raw.is_ascii());
        }
    }

    #[test]
    fn whatever_is_converted_comes_out_in_seven_bits(raw in prop::collection::vec(
        prop::sample::select(vec!["Content-Type: ", "multipart/mixed", "message/rfc822", "; boundary=b", "--b", "--b--",
                                  "Content-Transfer-Encoding: ", "8bit", "base64", "\r\n", "\r\n\r\n", "é", "a", ":"]), 0..60)) {
        let raw = raw.concat();
        if let Ok(Some(converted)) = seven_bit(raw.as_bytes()) {
            prop_assert!(converted.content.is_ascii());
        }
    }
}
