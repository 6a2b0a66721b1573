//! The text of a reply without the addresses in it, whose words are names.

use std::borrow::Cow;

/// The text with blanks in place of each address. Names of hosts stay: those of block lists are evidence.
pub(super) fn addresses(text: &[u8]) -> Cow<'_, [u8]> {
    let mut text = Cow::Borrowed(text);
    for at in 0..text.len() {
        if text[at] == b'@' {
            let (start, end) = (localpart_start(&text[..at]), at + 1 + domain_length(&text[at + 1..]));
            // Most texts have none.
            if start < at && end > at + 1 {
                text.to_mut()[start..end].fill(b' ');
            }
        }
    }
    text
}

/// Where the localpart begins that ends the text.
fn localpart_start(text: &[u8]) -> usize {
    let quoted = text.strip_suffix(b"\"").and_then(|inner| inner.iter().rposition(|&b| b == b'"'));
    quoted.unwrap_or_else(|| text.iter().rposition(|&b| !in_localpart(b)).map_or(0, |before| before + 1))
}

/// Without what is in URLs as well, since hosts stand before it.
fn in_localpart(b: u8) -> bool {
    b.is_ascii_alphanumeric() || !b.is_ascii() || b".!#$%&'*+-^_~".contains(&b)
}

fn domain_length(text: &[u8]) -> usize {
    if text.starts_with(b"[") {
        return text.iter().position(|&b| b == b']').map_or(0, |end| end + 1);
    }
    text.iter().take_while(|&&b| b.is_ascii_alphanumeric() || !b.is_ascii() || b"-.".contains(&b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_blanked_and_nothing_else() {
        for (text, expected) in [
            ("", ""),
            ("no such user", "no such user"),
            ("<a.b+c@d.example>: unknown", "<               >: unknown"),
            ("(a@b.example:blocked)", "(           :blocked)"),
            ("a@b.example", "           "),
            ("to a@[192.0.2.1] no", "to               no"),
            ("<\"a b\"@c.example>", "<               >"),
            ("\u{fc}@\u{fc}.example, x", "             , x"),
            ("see https://spamhaus.org/?ip=a@b.example", "see https://spamhaus.org/?ip=           "),
            ("@ 1 a@ b @c \"@ @[", "@ 1 a@ b @c \"@ @["),
            ("spamhaus.org", "spamhaus.org"),
        ] {
            assert_eq!(String::from_utf8_lossy(&addresses(text.as_bytes())), expected, "{text}");
        }
    }
}
