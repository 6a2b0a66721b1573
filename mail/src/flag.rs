//! Flags of messages in mailboxes (RFC 9051, 2.3.2).

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// The most octets in a keyword.
const MAX_KEYWORD: usize = 100;

const SYSTEM: [&str; 5] = ["\\seen", "\\answered", "\\flagged", "\\deleted", "\\draft"];
const WELL_KNOWN: [&str; 5] = ["$forwarded", "$junk", "$notjunk", "$phishing", "$mdnsent"];

/// A system flag such as `\seen`, or a keyword: an IMAP atom of at most 100 octets. In lower case, as flags are the
/// same in whatever case they are written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Flag(Box<str>);

/// Why a text is no flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// Nothing was given.
    #[error("the flag is empty")]
    Empty,
    /// It begins with a backslash, and is none of those that may.
    #[error("the only flags with a backslash are \\seen, \\answered, \\flagged, \\deleted and \\draft")]
    System,
    /// It has a character that atoms do not have.
    #[error("the flag has {0:?}; use letters, digits and signs other than ( ) {{ ] % * \" and \\")]
    Character(char),
    /// It has more than 100 octets.
    #[error("the flag is longer than {MAX_KEYWORD} octets")]
    TooLong,
}

impl Flag {
    /// Custom keywords that a message may have; system and well-known flags do not count.
    pub const CUSTOM_MAX: usize = 100;

    /// Reads a flag in whatever case.
    ///
    /// # Errors
    /// When it is neither a system flag nor a keyword.
    pub fn parse(text: &str) -> Result<Flag, FlagError> {
        if text.is_empty() {
            return Err(FlagError::Empty);
        }
        if text.len() > MAX_KEYWORD {
            return Err(FlagError::TooLong);
        }
        let lower = text.to_ascii_lowercase();
        if lower.starts_with('\\') {
            return if SYSTEM.contains(&&*lower) { Ok(Flag(lower.into())) } else { Err(FlagError::System) };
        }
        match lower.chars().find(|c| !is_atom_char(*c)) {
            Some(c) => Err(FlagError::Character(c)),
            None => Ok(Flag(lower.into())),
        }
    }

    /// The message was read.
    pub fn seen() -> Flag {
        Flag("\\seen".into())
    }

    /// The text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether somebody made it up: it is neither a system flag nor a well-known keyword.
    pub fn is_custom(&self) -> bool {
        !SYSTEM.contains(&&*self.0) && !WELL_KNOWN.contains(&&*self.0)
    }
}

/// RFC 9051, 9: ATOM-CHAR.
fn is_atom_char(c: char) -> bool {
    c.is_ascii_graphic() && !matches!(c, '(' | ')' | '{' | '%' | '*' | '"' | '\\' | ']')
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flag, D::Error> {
        Flag::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_atoms_or_one_of_the_system() {
        let long = "x".repeat(101);
        let rows = [
            ("\\Seen", Ok("\\seen")),
            ("\\DRAFT", Ok("\\draft")),
            ("$Forwarded", Ok("$forwarded")),
            ("Invoice-2026/11", Ok("invoice-2026/11")),
            ("a[1", Ok("a[1")),
            (&long[..100], Ok(&long[..100])),
            ("", Err(FlagError::Empty)),
            (&long, Err(FlagError::TooLong)),
            ("\\recent", Err(FlagError::System)),
            ("\\", Err(FlagError::System)),
            ("two words", Err(FlagError::Character(' '))),
            ("a\\b", Err(FlagError::Character('\\'))),
            ("a]", Err(FlagError::Character(']'))),
            ("tab\t", Err(FlagError::Character('\t'))),
            ("ü", Err(FlagError::Character('ü'))),
        ];
        for (text, expected) in rows {
            assert_eq!(Flag::parse(text).as_ref().map(Flag::as_str), expected.as_ref().copied(), "{text:?}");
        }
    }

    #[test]
    fn only_made_up_keywords_are_custom() {
        for (text, custom) in [("\\seen", false), ("$junk", false), ("$mdnsent", false), ("$label1", true)] {
            assert_eq!(Flag::parse(text).unwrap().is_custom(), custom, "{text}");
        }
    }

    #[test]
    fn every_character_that_atoms_do_not_have_is_refused() {
        for c in "(){%*\"\\] \u{7f}\0".chars() {
            assert_eq!(Flag::parse(&format!("a{c}")), Err(FlagError::Character(c)), "{c:?}");
        }
    }
}
