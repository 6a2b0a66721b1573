//! Text in headers: encoded words (RFC 2047), and octets that are no ASCII though they should be.
//!
//! Words are decoded here, as mail-parser decodes each for itself, and many programs cut within a character; and
//! as it looks for the end of a word all over a header, again at each place that looks like a start.

use super::{
    charset::{Charset, guessed},
    transfer::decoded_quoted_printable,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use mail_parser::decoders::base64::base64_decode;
use std::borrow::Cow;

/// The longest word that is taken for one. RFC 2047, 2 allows 75 octets, and many programs write more.
const MAX_WORD: usize = 4 * 1024;
/// What looks like a word and is none, in a header that mail-parser is to read.
const MAX_STRAY: usize = 50;

/// Unstructured text from a header on one line.
pub(super) fn unstructured(line: &[u8]) -> String {
    let line = guessed(line);
    Runs { rest: &line }.map(Run::into_text).collect()
}

/// The line of an address header for mail-parser: UTF-8, with a word of its own for each run of words, and a line
/// end.
pub(super) fn for_addresses(line: &[u8]) -> Vec<u8> {
    let line = guessed(line);
    let mut out = Vec::with_capacity(line.len() + 1);
    let mut stray = 0;
    for run in (Runs { rest: &line }) {
        match run {
            Run::Text(text) => {
                stray += usize::from(text.starts_with("=?"));
                if stray > MAX_STRAY {
                    break;
                }
                out.extend_from_slice(text.as_bytes());
            }
            Run::Words(text) => {
                out.extend_from_slice(format!("=?utf-8?B?{}?=", STANDARD.encode(text)).as_bytes());
            }
        }
    }
    out.push(b'\n');
    out
}

/// A stretch of a header.
enum Run<'a> {
    /// As it stands.
    Text(&'a str),
    /// Words with nothing but white space between them, decoded.
    Words(String),
}

impl Run<'_> {
    fn into_text(self) -> String {
        match self {
            Run::Text(text) => text.to_owned(),
            Run::Words(text) => text,
        }
    }
}

struct Runs<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Runs<'a> {
    type Item = Run<'a>;

    fn next(&mut self) -> Option<Run<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some((words, rest)) = words(self.rest) {
            self.rest = rest;
            return Some(Run::Words(words));
        }
        // What only looks like a word is part of the text that follows.
        let skip = if self.rest.starts_with("=?") { 2 } else { 0 };
        let end = self.rest[skip..].find("=?").map_or(self.rest.len(), |at| skip + at);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Run::Text(text))
    }
}

/// The words at the start of the text, decoded, and what follows them.
fn words(text: &str) -> Option<(String, &str)> {
    let (mut word, mut rest) = Word::parse(text)?;
    let mut decoded = String::new();
    while let Some((next, after)) = Word::parse(rest.trim_start_matches([' ', '\t'])) {
        rest = after;
        if next.continues(&word) {
            word.octets.extend_from_slice(&next.octets);
        } else {
            decoded.push_str(&word.text());
            word = next;
        }
    }
    decoded.push_str(&word.text());
    Some((decoded, rest))
}

struct Word<'a> {
    /// Without a language (RFC 2231, 5).
    charset: &'a str,
    octets: Vec<u8>,
}

impl<'a> Word<'a> {
    fn text(&self) -> Cow<'_, str> {
        Charset::named(self.charset).decode(&self.octets)
    }

    /// Whether `before` ends within a character that goes on here. Whole words are decoded for themselves, as
    /// some charsets begin anew in each.
    fn continues(&self, before: &Word<'_>) -> bool {
        self.charset.eq_ignore_ascii_case(before.charset)
            && before.octets.len() <= MAX_WORD
            && Charset::named(before.charset)
                .decode_start(&before.octets)
                .ends_with(char::REPLACEMENT_CHARACTER)
    }

    /// The word that the text begins with, and what follows it.
    fn parse(text: &'a str) -> Option<(Word<'a>, &'a str)> {
        const MAX_NAME: usize = 100;
        let body = text.strip_prefix("=?")?;
        let name_end = body.bytes().take(MAX_NAME).position(|b| b == b'?')?;
        let (name, body) = (&body[..name_end], &body[name_end + 1..]);
        let charset = name.split('*').next().unwrap_or_default();
        if charset.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let encoding = body.as_bytes().first()?.to_ascii_lowercase();
        let body = body.get(1..)?.strip_prefix('?')?;
        let end = body[..body.floor_char_boundary(MAX_WORD)].find("?=")?;
        let (payload, rest) = (&body[..end], &body[end + 2..]);
        let octets = match encoding {
            b'b' => base64_decode(payload.as_bytes())?,
            b'q' => decoded_quoted_printable(&underscores(payload)),
            _ => return None,
        };
        Some((Word { charset, octets }, rest))
    }
}

/// RFC 2047, 4.2 (2). White space at the end of the word counts, other than at the end of a line.
fn underscores(payload: &str) -> Cow<'_, [u8]> {
    if payload.contains(['_', ' ']) {
        Cow::Owned(payload.replace(['_', ' '], "=20").into_bytes())
    } else {
        Cow::Borrowed(payload.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded_where_they_are_some() {
        let rows = [
            ("plain", "plain"),
            ("=?utf-8?q?a_b?=", "a b"),
            ("=?UTF-8?B?w6Q=?=", "ä"),
            ("a =?utf-8?q?b?= c", "a b c"),
            ("=?utf-8?q?a?= =?utf-8?q?b?=\t=?utf-8?q?_c?=", "ab c"),
            // Cut within a character.
            ("=?utf-8?q?=C3?= =?utf-8?q?=A4?=", "ä"),
            ("=?utf-8?b?4pg=?= =?UTF-8?B?ug==?=", "☺"),
            ("=?shift_jis?q?=83?= =?shift_jis?q?n?=", "ハ"),
            ("=?iso-8859-1?q?=E4?= =?utf-8?q?=C3=A4?=", "ää"),
            ("=?iso-2022-jp?b?GyRCJU8bKEI=?= =?iso-2022-jp?b?GyRCJU8bKEI=?=", "ハハ"),
            ("=?utf-8*de?q?a?=", "a"),
            ("=?us-ascii?q?=E4=C4?=", "äÄ"),
            ("=?utf-8?q?really??=", "really?"),
            ("=?utf-8?q?with space ?=x", "with space x"),
            ("x=?utf-8?q?y?=z", "xyz"),
            ("=?utf-8?q?=ZZ?=", "=ZZ"),
            ("=?utf-8?b?!!?= =?utf-8?x?a?= =?utf-8?q?a =?", "=?utf-8?b?!!?= =?utf-8?x?a?= =?utf-8?q?a =?"),
            ("=? =?=?= 1=?2", "=? =?=?= 1=?2"),
            ("=??q?a?=", "=??q?a?="),
            ("grün", "grün"),
        ];
        for (line, text) in rows {
            assert_eq!(unstructured(line.as_bytes()), text, "{line}");
        }
        assert_eq!(unstructured(b"gr\xfcn"), "grün");
    }

    #[test]
    fn a_run_of_words_becomes_one_word_for_mail_parser() {
        let line = for_addresses(b"=?utf-8?q?=C3?= =?utf-8?q?=A4?= x <a@b>, \xe4");
        assert_eq!(String::from_utf8(line).unwrap(), "=?utf-8?B?w6Q=?= x <a@b>, ä\n");
    }
}
