//! `Authentication-Results` fields of a received message (RFC 8601).

use crate::{
    Domain,
    fields::{Field, split, whole_fields},
};

const NAME: &str = "Authentication-Results";

/// The message without the `Authentication-Results` fields that say they come from `host`, whose own they cannot be
/// before it has looked (RFC 8601, section 5). `None`: there are none of these, and the message stays as it is.
pub fn without_results_of(host: &Domain, content: &[u8]) -> Option<Vec<u8>> {
    let (header, _) = split(content);
    let is_forged = |field: &Option<Field<'_>>| field.is_some_and(|field| claims_to_be(host, field));
    if !whole_fields(header).any(|(_, field)| is_forged(&field)) {
        return None;
    }
    let mut out = Vec::with_capacity(content.len());
    for (line, field) in whole_fields(header) {
        if !is_forged(&field) {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(&content[header.len()..]);
    Some(out)
}

fn claims_to_be(host: &Domain, field: Field<'_>) -> bool {
    if !field.is(NAME) {
        return false;
    }
    let id = authserv_id(field.value);
    let id = String::from_utf8_lossy(&id);
    Domain::parse(id.trim_end_matches('.')).is_ok_and(|id| id == *host)
}

/// The name at the start of the value: a token, or a quoted string (RFC 8601, section 2.2).
fn authserv_id(value: &[u8]) -> Vec<u8> {
    let rest = behind_comments(value);
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        let ends = |b: &u8| b.is_ascii_whitespace() || b";()/\"".contains(b);
        return rest[..rest.iter().position(ends).unwrap_or(rest.len())].to_vec();
    };
    let mut id = Vec::new();
    let mut bytes = quoted.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => id.extend(bytes.next()),
            b'\r' | b'\n' => {}
            byte => id.push(byte),
        }
    }
    id
}

/// What follows white space and comments, which nest (RFC 5322, section 3.2.2).
fn behind_comments(value: &[u8]) -> &[u8] {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = value.get(at) {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\\' if depth > 0 => at += 1,
            byte if depth > 0 || byte.is_ascii_whitespace() => {}
            _ => break,
        }
        at += 1;
    }
    value.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_claim_to_be_ours_are_taken_out_and_no_others() {
        for (host, value, taken) in [
            ("mx.example", " mx.example; spf=pass", true),
            ("mx.example", "MX.Example 1; spf=pass", true),
            ("mx.example", "\r\n\t(a (nested \\) one)) mx.example(really);\r\n\tspf=pass", true),
            ("mx.example", " \"mx.\\example\"; spf=pass", true),
            ("mx.example", " mx.example.; none", true),
            ("mx.example", " mx.example", true),
            ("bücher.example", " xn--bcher-kva.example; none", true),
            ("bücher.example", " Bücher.example; none", true),
            ("mx.example", " other.example; spf=pass smtp.helo=mx.example", false),
            ("mx.example", " mx.example.org; spf=pass", false),
            ("mx.example", " (mx.example) other.example; spf=pass", false),
            ("mx.example", "; spf=pass", false),
            ("mx.example", " (not closed mx.example; spf=pass", false),
            ("mx.example", " (ends in \\", false),
            ("mx.example", "", false),
        ] {
            let host = Domain::parse(host).unwrap();
            let field = format!("Authentication-RESULTS :{value}\r\n");
            let message = format!("Subject: s\r\n{field}From: a@b.example\r\n\r\n{field}body");
            let expected = message.replacen(&field, "", 1);
            let left = without_results_of(&host, message.as_bytes());
            let left = left.map(|left| String::from_utf8(left).unwrap());
            assert_eq!(left, taken.then_some(expected), "{value:?}");
        }
    }

    #[test]
    fn every_forged_field_goes_and_nothing_else_of_the_name() {
        let host = Domain::parse("mx.example").unwrap();
        let ours = "Authentication-Results: mx.example; none\r\n";
        let others = "ARC-Authentication-Results: i=1; mx.example; none\r\nX: mx.example\r\n";
        let message = format!("{ours}{others}{ours}\r\nbody");
        let left = without_results_of(&host, message.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(left).unwrap(), format!("{others}\r\nbody"));
        assert_eq!(without_results_of(&host, b"\r\nbody"), None);
    }
}
