//! xtext, which carries any printable text in a parameter value (RFC 3461 section 4).

/// Writes `text` as xtext: printable ASCII without `+` and `=` as it is, every other octet as `+` and two
/// capital hexadecimal digits.
pub fn encode_xtext(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' => write!(out, "+{byte:02X}").expect("a String takes all"),
            b'!'..=b'~' => out.push(char::from(byte)),
            _ => write!(out, "+{byte:02X}").expect("a String takes all"),
        }
    }
    out
}

/// Reads xtext. `None` when it is malformed, or when what it carries is not UTF-8 or holds control characters.
pub fn decode_xtext(xtext: &str) -> Option<String> {
    let mut out = Vec::with_capacity(xtext.len());
    let mut bytes = xtext.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(capital_hex(bytes.next()?)? * 16 + capital_hex(bytes.next()?)?),
            b'=' => return None,
            b'!'..=b'~' => out.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(out).ok().filter(|text| !text.chars().any(char::is_control))
}

/// Writes `text` as utf-8-addr-xtext (RFC 6533 section 3), for the address type `utf-8`.
pub(crate) fn encode_utf8_address(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '+' | '=' | '\\' => write!(out, "\\x{{{:02X}}}", u32::from(c)).expect("a String takes all"),
            '!'..='~' => out.push(c),
            _ => write!(out, "\\x{{{:02X}}}", u32::from(c)).expect("a String takes all"),
        }
    }
    out
}

/// Reads utf-8-addr-xtext and utf-8-addr-unitext.
pub(crate) fn decode_utf8_address(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            out.push(c);
            continue;
        }
        let (hex, after) = rest.strip_prefix("x{")?.split_once('}')?;
        if !(2..=6).contains(&hex.len()) || !hex.bytes().all(|b| capital_hex(b).is_some()) {
            return None;
        }
        out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        rest = after;
    }
    Some(out).filter(|text| !text.chars().any(char::is_control))
}

fn capital_hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_xtext_is_refused() {
        for bad in ["+", "+4", "+4g", "+4a", "a=b", "a b", "+00", "+FF", "é"] {
            assert_eq!(decode_xtext(bad), None, "{bad}");
        }
        assert_eq!(decode_xtext("a+2Bb+3Dc").as_deref(), Some("a+b=c"));
        for bad in ["\\", "\\x", "\\x{", "\\x{1}", "\\x{D800}", "\\x{0A}", "\\x{1234567}", "\\x{4g}"] {
            assert_eq!(decode_utf8_address(bad), None, "{bad}");
        }
        assert_eq!(decode_utf8_address("a\\x{E9}@b").as_deref(), Some("aé@b"));
    }

    proptest! {
        #[test]
        fn text_survives_both_encodings(text in "\\PC{0,40}") {
            let printable: String = text.chars().filter(|c| !c.is_control()).collect();
            let (plain, address) = (encode_xtext(&printable), encode_utf8_address(&printable));
            prop_assert!(plain.bytes().chain(address.bytes()).all(|b| b.is_ascii_graphic() && b != b'='));
            prop_assert_eq!(decode_xtext(&plain), Some(printable.clone()));
            prop_assert_eq!(decode_utf8_address(&address), Some(printable));
        }
    }
}
