//! The text of a reply without the names of its recipient, whose words are no reasons.

use crate::Address;
use std::borrow::Cow;

/// The text with blanks in place of each address that has the localpart of one of `names`, at whatever domain. Other
/// addresses stay, and so do the names of hosts: where complaints about a block list go is evidence of one.
pub fn without_names<'t>(text: &'t str, names: &[Address]) -> Cow<'t, str> {
    let mut blanked = Cow::Borrowed(text);
    for (at, _) in text.match_indices('@') {
        let (start, end) = (localpart_start(&text[..at]), at + 1 + domain_length(&text[at + 1..]));
        let localpart = text[start..at].trim_matches('"');
        let is_named = names.iter().any(|name| is_same(name.localpart().as_str(), localpart));
        // Most texts have none.
        if is_named && end > at + 1 {
            blanked.to_mut().replace_range(start..end, &" ".repeat(end - start));
        }
    }
    blanked
}

fn is_same(a: &str, b: &str) -> bool {
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}

/// Where the localpart begins that ends the text.
fn localpart_start(text: &str) -> usize {
    let quoted = text.strip_suffix('"').and_then(|inner| inner.rfind('"'));
    quoted.unwrap_or_else(|| text.rfind(|c| !in_localpart(c)).map_or(0, |before| before + 1))
}

/// Without what is in URLs as well, since hosts stand before it.
fn in_localpart(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii() || ".!#$%&'*+-^_~".contains(c)
}

fn domain_length(text: &str) -> usize {
    if text.starts_with('[') {
        return text.find(']').map_or(0, |end| end + 1);
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || !c.is_ascii() || "-.".contains(c)))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_recipient_are_blanked_and_nothing_else() {
        let names = ["a.b+c@d.example", "A@x.example", "\"a b\"@c.example", "\u{fc}@x.example"]
            .map(|name| name.parse().unwrap());
        for (text, expected) in [
            ("", ""),
            ("no such user", "no such user"),
            ("<a.b+c@d.example>: unknown", "<               >: unknown"),
            ("<A.B+C@other.example>: unknown", "<                   >: unknown"),
            ("<b+c@d.example>: unknown", "<b+c@d.example>: unknown"),
            ("(a@b.example:blocked)", "(           :blocked)"),
            ("a@b.example", "           "),
            ("to a@[192.0.2.1] no", "to               no"),
            ("<\"a b\"@c.example>", "<               >"),
            ("\u{dc}@\u{fc}.example, x", "            , x"),
            ("a@b.example, write to spam@b.example", "           , write to spam@b.example"),
            ("see https://spamhaus.org/?ip=a@b.example", "see https://spamhaus.org/?ip=           "),
            ("@ 1 a@ b @c \"@ @[", "@ 1 a@ b @c \"@ @["),
            ("spamhaus.org", "spamhaus.org"),
        ] {
            let found = without_names(text, &names);
            assert_eq!(
                found.split_whitespace().collect::<Vec<_>>(),
                expected.split_whitespace().collect::<Vec<_>>()
            );
            assert_eq!(found.len(), text.len(), "{text}");
        }
        assert!(matches!(without_names("<x@y.example>", &names), Cow::Borrowed(_)));
    }
}
