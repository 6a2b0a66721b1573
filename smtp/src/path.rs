//! Paths: `<local@domain>` as MAIL and RCPT have it (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

use std::net::{Ipv4Addr, Ipv6Addr};

/// Octets of a path, brackets included (RFC 5321 section 4.5.3.1.3). There is no separate limit of 64 octets for
/// the localpart: rewritten return paths pass it in practice.
const MAX_PATH: usize = 256;
/// Octets of a domain (section 4.5.3.1.2).
const MAX_DOMAIN: usize = 255;
/// Octets of one label of a domain (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// Splits `<path>rest`. Gives the mailbox as spelled, empty for the null path, without the source route, which is
/// to be ignored (RFC 5321 section 3.6.1). `None` when it is malformed.
pub(crate) fn split_path(input: &str) -> Option<(&str, &str)> {
    let inner = input.strip_prefix('<')?;
    if let Some(rest) = inner.strip_prefix('>') {
        return Some(("", rest));
    }
    let start = if inner.starts_with('@') { source_route(inner)? } else { 0 };
    let mailbox = &inner[start..];
    let end = mailbox_length(mailbox)?;
    let rest = mailbox[end..].strip_prefix('>')?;
    let length = input.len() - rest.len();
    (length <= MAX_PATH).then_some((&mailbox[..end], rest))
}

/// Whether `text` can stand between the brackets of a path without changing its meaning.
pub(crate) fn is_mailbox(text: &str) -> bool {
    text.len() + 2 <= MAX_PATH && mailbox_length(text) == Some(text.len())
}

/// Whether `mailbox` is the one mailbox without a domain that every server has (section 4.5.1).
pub(crate) fn is_bare_postmaster(mailbox: &str) -> bool {
    mailbox.eq_ignore_ascii_case("postmaster")
}

/// Octets of the mailbox that `text` begins with.
fn mailbox_length(text: &str) -> Option<usize> {
    let local = if text.starts_with('"') { quoted_length(text)? } else { dot_string_length(text)? };
    match text[local..].strip_prefix('@') {
        Some(domain) => Some(local + 1 + domain_length(domain)?),
        None => is_bare_postmaster(&text[..local]).then_some(local),
    }
}

/// Octets of `@a,@b:`.
fn source_route(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        at += 1 + domain_length(text[at..].strip_prefix('@')?)?;
        match text.as_bytes().get(at) {
            Some(b',') => at += 1,
            Some(b':') => return Some(at + 1),
            _ => return None,
        }
    }
}

fn quoted_length(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some(at + 1),
            '\\' => {
                chars.next().filter(|(_, escaped)| matches!(escaped, ' '..='~'))?;
            }
            c if c.is_control() => return None,
            _ => {}
        }
    }
    None
}

fn dot_string_length(text: &str) -> Option<usize> {
    let length = text.find(|c| !(is_atext(c) || c == '.')).unwrap_or(text.len());
    text[..length].split('.').all(|atom| !atom.is_empty()).then_some(length)
}

fn domain_length(text: &str) -> Option<usize> {
    if text.starts_with('[') {
        let end = text.find(']')?;
        return is_address_literal(&text[1..end]).then_some(end + 1);
    }
    let length = text.find(|c| !(is_label_char(c) || c == '.')).unwrap_or(text.len());
    let labels_fit = text[..length].split('.').all(|label| {
        (1..=MAX_LABEL).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    });
    (labels_fit && length <= MAX_DOMAIN).then_some(length)
}

/// What stands between the brackets of `[192.0.2.1]`, `[IPv6:2001:db8::1]`, `[tag:content]` (section 4.1.3).
fn is_address_literal(inner: &str) -> bool {
    match inner.split_once(':') {
        None => inner.parse::<Ipv4Addr>().is_ok(),
        Some((tag, address)) if tag.eq_ignore_ascii_case("ipv6") => address.parse::<Ipv6Addr>().is_ok(),
        Some((tag, content)) => {
            let tag_fits = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && tag.ends_with(|c: char| c.is_ascii_alphanumeric());
            tag_fits && !content.is_empty() && content.bytes().all(|b| matches!(b, b'!'..=b'Z' | b'^'..=b'~'))
        }
    }
}

fn is_atext(c: char) -> bool {
    if !c.is_ascii() {
        return !c.is_control();
    }
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// The underscore is no host name character, but names with it receive mail.
fn is_label_char(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '-' || c == '_' } else { !c.is_control() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_from_what_follows() {
        let table: &[(&str, Option<(&str, &str)>)] = &[
            ("<>", Some(("", ""))),
            ("<> SIZE=1", Some(("", " SIZE=1"))),
            ("<a@example.org>", Some(("a@example.org", ""))),
            ("<a.b+c@example.org> X", Some(("a.b+c@example.org", " X"))),
            ("<\"a b>@\\\"c\"@example.org>", Some(("\"a b>@\\\"c\"@example.org", ""))),
            ("<\"\"@example.org>", Some(("\"\"@example.org", ""))),
            ("<a@[192.0.2.1]>", Some(("a@[192.0.2.1]", ""))),
            ("<a@[IPv6:2001:db8::1]>", Some(("a@[IPv6:2001:db8::1]", ""))),
            ("<a@[x-tag:some/thing]>", Some(("a@[x-tag:some/thing]", ""))),
            ("<@one.example,@two.example:a@b.example>", Some(("a@b.example", ""))),
            ("<Postmaster>", Some(("Postmaster", ""))),
            ("<jürgen@bücher.example>", Some(("jürgen@bücher.example", ""))),
            ("a@example.org", None),
            ("<a@example.org", None),
            ("< a@example.org>", None),
            ("<a@example.org >", None),
            ("<a>", None),
            ("<@example.org>", None),
            ("<a@>", None),
            ("<.a@example.org>", None),
            ("<a..b@example.org>", None),
            ("<a.@example.org>", None),
            ("<a b@example.org>", None),
            ("<a@example.org.>", None),
            ("<a@-x.example>", None),
            ("<a@b@c.example>", None),
            ("<\"a@example.org>", None),
            ("<\"a\"b@example.org>", None),
            ("<a@[192.0.2.256]>", None),
            ("<a@[IPv6:2001:db8]>", None),
            ("<a@[]>", None),
            ("<@one.example a@b.example>", None),
            ("<@one.example,a@b.example>", None),
            ("<\u{85}@example.org>", None),
        ];
        for (input, expected) in table {
            assert_eq!(split_path(input), *expected, "{input}");
        }
        let long = format!("<{}@example.org>", "a".repeat(256 - 14));
        assert!(split_path(&long).is_some());
        assert_eq!(split_path(&long.replace("<", "<a")), None);
    }

    #[test]
    fn only_a_whole_mailbox_is_one() {
        for good in ["a@b.example", "\"x> SIZE=1 <y\"@b.example", "postmaster"] {
            assert!(is_mailbox(good), "{good}");
        }
        for bad in ["", "a@b.example> SIZE=1", "a@b.example\r\nDATA", "a", "<a@b.example>", "a@b.example "] {
            assert!(!is_mailbox(bad), "{bad}");
        }
    }
}
