//! Addresses as reports have them.

use crate::Address;

/// `rfc822; <friend@example.org>`, `utf-8; j\x{FC}rgen@example.org` (RFC 6533, 3), or an address without a type.
pub(super) fn typed(value: &str) -> Option<Address> {
    match value.split_once(';') {
        Some((kind, rest)) if kind.trim().eq_ignore_ascii_case("utf-8") => plain(&unescaped(rest)),
        Some((_, rest)) => plain(rest),
        None => plain(value),
    }
}

/// An address, perhaps in angle brackets, perhaps with a comment behind.
pub(super) fn plain(value: &str) -> Option<Address> {
    let value = value.trim();
    let inner =
        value.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(value, |(inner, _)| inner);
    let parse = |text: &str| Address::parse(text.trim()).ok();
    parse(inner).or_else(|| parse(inner.split([' ', '(']).next()?))
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x{") {
        out.push_str(before);
        match after.split_once('}') {
            Some((hex, behind)) if hex.len() <= 6 => {
                out.extend(hexadecimal(hex).and_then(char::from_u32));
                rest = behind;
            }
            _ => {
                out.push_str("\\x{");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// A number of hexadecimal digits alone.
pub(super) fn hexadecimal(text: &str) -> Option<u32> {
    // A sign is no digit.
    text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_in_many_dresses() {
        for (value, expected) in [
            ("rfc822; friend@example.org", Some("friend@example.org")),
            ("RFC822;<friend@example.org>", Some("friend@example.org")),
            ("rfc822; friend@example.org (expanded from <list@example.org>)", Some("friend@example.org")),
            (r"utf-8; j\x{FC}rgen@example.org", Some("jürgen@example.org")),
            ("utf-8;jürgen@example.org", Some("jürgen@example.org")),
            ("friend@example.org", Some("friend@example.org")),
            (r"utf-8; \x{110000}\x{@example.org", None),
            (r"utf-8; j\x{+FC}rgen@example.org", Some("jrgen@example.org")),
            ("x400; /c=de/", None),
            ("", None),
        ] {
            assert_eq!(typed(value), expected.map(|text| text.parse().unwrap()), "{value}");
        }
    }
}
