//! Headers with parameters, such as Content-Type (RFC 2045, 5.1; RFC 2231). mail-parser decodes each piece of a
//! parameter for itself, which breaks characters that are cut, and forgets the charset after the first piece.

use super::{
    charset::{Charset, guessed},
    words::unstructured,
};
use std::collections::BTreeMap;

/// The value of such a header in lower case, and its parameters with names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameterised {
    pub(crate) value: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Parameterised {
    /// Reads a header that stands on one line.
    pub(crate) fn parse(line: &[u8]) -> Parameterised {
        let line = guessed(line);
        let mut segments = Segments { rest: &line };
        let value = segments.next().map(|segment| segment.name).unwrap_or_default();
        let value = value.split_ascii_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let mut parameters = BTreeMap::new();
        let mut pieces: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
        for Segment { name, value } in segments {
            let name = name.trim().to_ascii_lowercase();
            match name.split_once('*') {
                _ if name.is_empty() => {}
                None => {
                    parameters.entry(name).or_insert(value);
                }
                Some((base, rest)) => {
                    let (number, encoded) =
                        rest.strip_suffix('*').map_or((rest, rest.is_empty()), |n| (n, true));
                    let number = if number.is_empty() { Some(0) } else { number.parse().ok() };
                    if let Some(number) = number {
                        pieces.entry(base.to_owned()).or_default().push(Piece { number, encoded, value });
                    }
                }
            }
        }
        // Who writes both forms wants the plain one read by programs that do not know the other.
        parameters.extend(pieces.into_iter().map(|(name, pieces)| (name, joined(pieces))));
        Parameterised { value, parameters }
    }

    /// A parameter that is a name for people. Many write encoded words in those, though RFC 2047, 5 (3) has none
    /// there.
    pub(super) fn name(&self, parameter: &str) -> Option<String> {
        let text = self.parameters.get(parameter)?;
        Some(if text.contains("=?") { unstructured(text.as_bytes()) } else { text.clone() })
    }
}

/// A part of a parameter's value (RFC 2231, 3 and 4).
struct Piece {
    number: u32,
    encoded: bool,
    value: String,
}

fn joined(mut pieces: Vec<Piece>) -> String {
    pieces.sort_by_key(|piece| piece.number);
    pieces.dedup_by_key(|piece| piece.number);
    let mut charset = Charset::Guessed;
    let mut octets = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let mut value = piece.value.as_str();
        if piece.encoded && at == 0 {
            let mut parts = value.splitn(3, '\'');
            if let (Some(name), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
                (charset, value) = (Charset::named(name), rest);
            }
        }
        if piece.encoded {
            percent_decode(value, &mut octets)
        } else {
            octets.extend_from_slice(value.as_bytes())
        }
    }
    charset.decode(&octets).into_owned()
}

/// A `%` without two hex digits stands for itself.
fn percent_decode(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let octet = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        out.push(octet.unwrap_or(*first));
        rest = if octet.is_some() { &tail[2..] } else { tail };
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// What stands between semicolons: a name, and the value behind a `=`. Quotes and comments are taken out.
#[derive(Default)]
struct Segment {
    name: String,
    value: String,
}

struct Segments<'a> {
    rest: &'a str,
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        if self.rest.is_empty() {
            return None;
        }
        let mut segment = Segment::default();
        let (mut in_value, mut in_quotes, mut depth, mut was_quoted) = (false, false, 0_u32, false);
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            // What counts as itself.
            let mut literal = None;
            match c {
                '\\' if in_quotes || depth > 0 => literal = chars.next().map(|(_, c)| c),
                '"' if depth == 0 => (in_quotes, was_quoted) = (!in_quotes, was_quoted || in_value),
                _ if in_quotes => literal = Some(c),
                '(' if depth > 0 || !is_name_of_file(&segment, in_value) => depth += 1,
                ')' if depth > 0 => depth -= 1,
                _ if depth > 0 => {}
                ';' => {
                    end = at + 1;
                    break;
                }
                '=' if !in_value => in_value = true,
                // Around what is quoted it means nothing.
                c if c.is_ascii_whitespace() && in_value && (was_quoted || segment.value.is_empty()) => {}
                c => literal = Some(c),
            }
            if depth == 0 {
                if in_value { segment.value.extend(literal) } else { segment.name.extend(literal) }
            }
        }
        if !was_quoted {
            segment.value.truncate(segment.value.trim_ascii_end().len());
        }
        self.rest = &self.rest[end..];
        Some(segment)
    }
}

/// Names with parentheses are common, comments in them are not.
fn is_name_of_file(segment: &Segment, in_value: bool) -> bool {
    in_value && ["name", "filename"].iter().any(|name| segment.name.trim().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_read_in_every_form_they_come_in() {
        type Pairs = [(&'static str, &'static str)];
        let rows: [(&str, &str, &Pairs); 25] = [
            ("text/plain", "text/plain", &[]),
            ("TEXT/Plain; Charset=UTF-8", "text/plain", &[("charset", "UTF-8")]),
            ("text/plain;charset = \"utf-8\" ;", "text/plain", &[("charset", "utf-8")]),
            ("text/plain; charset=us-ascii (Plain text)", "text/plain", &[("charset", "us-ascii")]),
            ("text/plain (a; b=c); x=y", "text/plain", &[("x", "y")]),
            ("a/b; boundary=\"a b;\\\"c\\\\\"", "a/b", &[("boundary", "a b;\"c\\")]),
            ("a/b; boundary=\" b \"", "a/b", &[("boundary", " b ")]),
            ("a/b; x=1; X=2", "a/b", &[("x", "1")]),
            ("a/b; x; =y; z=", "a/b", &[("x", ""), ("z", "")]),
            ("a/b; name=my report (1).pdf; x=1", "a/b", &[("name", "my report (1).pdf"), ("x", "1")]),
            ("a/b; x=\"open", "a/b", &[("x", "open")]),
            ("a/b; x=a=b", "a/b", &[("x", "a=b")]),
            ("a/b; filename*=utf-8''%C3%A4%20b.txt", "a/b", &[("filename", "ä b.txt")]),
            ("a/b; filename*=iso-8859-1'de'%E4", "a/b", &[("filename", "ä")]),
            ("a/b; filename*=UTF-8''a%ZZ%4", "a/b", &[("filename", "a%ZZ%4")]),
            ("a/b; name*0=\"one \"; name*1=two", "a/b", &[("name", "one two")]),
            ("a/b; name*1=two; name*0=one; name*10=c; name*2=three", "a/b", &[("name", "onetwothreec")]),
            ("a/b; name*0*=utf-8''%C3; name*1*=%A4; name*2=.txt", "a/b", &[("name", "ä.txt")]),
            ("a/b; name*0*=iso-8859-1''%E4; name*1*=%E4", "a/b", &[("name", "ää")]),
            ("a/b; name=plain; name*=utf-8''%C3%A4", "a/b", &[("name", "ä")]),
            ("a/b; name*=utf-8''%C3%A4; name=plain", "a/b", &[("name", "ä")]),
            ("a/b; name*=it's", "a/b", &[("name", "it's")]),
            ("a/b; name*x=1", "a/b", &[]),
            ("", "", &[]),
            (";;;", "", &[]),
        ];
        for (line, value, parameters) in rows {
            let parsed = Parameterised::parse(line.as_bytes());
            let found: Vec<_> = parsed.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!((parsed.value.as_str(), &*found), (value, parameters), "{line}");
        }
        let latin = Parameterised::parse(b"a/b; name=\"\xe4.txt\"");
        assert_eq!(latin.parameters["name"], "ä.txt");
        let words = Parameterised::parse(b"a/b; name=\"=?utf-8?q?=C3?= =?utf-8?q?=A4?=.txt\"");
        assert_eq!(words.name("name").as_deref(), Some("ä.txt"));
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(value in "[ -~éä☺]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let parsed = Parameterised::parse(format!("a/b; x=\"{quoted}\"; y=1").as_bytes());
            prop_assert_eq!(&parsed.parameters["x"], &value);
            prop_assert_eq!(&parsed.parameters["y"], "1");
        }
    }
}
