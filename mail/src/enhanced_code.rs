//! Enhanced mail system status codes (RFC 3463).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// The highest subject and detail (RFC 3463, 2).
const MAX: u16 = 999;

/// A code such as `5.1.1`. Its class is 2, 4 or 5; subject and detail are at most 999.
///
/// Serialised as a string where people read it, else as three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

/// A text that is no enhanced code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an enhanced code is 2, 4 or 5 and two numbers up to 999, as in 5.1.1")]
pub struct EnhancedCodeError;

impl EnhancedCode {
    /// The code of these numbers, if they are within bounds.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Option<EnhancedCode> {
        match (class, subject, detail) {
            (2 | 4 | 5, 0..=MAX, 0..=MAX) => Some(EnhancedCode { class, subject, detail }),
            _ => None,
        }
    }

    /// Reads a code that `text` begins with, followed by nothing or by something that cannot belong to it.
    /// Returns also what follows, without the white space that separates them.
    pub fn at_start(text: &str) -> Option<(EnhancedCode, &str)> {
        let (class, rest) = number(text)?;
        let (subject, rest) = number(rest.strip_prefix('.')?)?;
        let (detail, rest) = number(rest.strip_prefix('.')?)?;
        let mut next = rest.bytes();
        match next.next() {
            Some(b'.') if next.next().is_some_and(|b| b.is_ascii_digit()) => return None,
            Some(b) if b.is_ascii_alphanumeric() => return None,
            _ => {}
        }
        let code = EnhancedCode::new(u8::try_from(class).ok()?, subject, detail)?;
        Some((code, rest.trim_ascii_start()))
    }

    /// 2 for success, 4 for a persistent transient failure, 5 for a permanent failure.
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The second number: what the code is about (RFC 3463, 3).
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third number.
    pub const fn detail(self) -> u16 {
        self.detail
    }
}

impl FromStr for EnhancedCode {
    type Err = EnhancedCodeError;

    fn from_str(text: &str) -> Result<EnhancedCode, EnhancedCodeError> {
        match EnhancedCode::at_start(text) {
            Some((code, "")) if text.ends_with(|c: char| c.is_ascii_digit()) => Ok(code),
            _ => Err(EnhancedCodeError),
        }
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Serialize for EnhancedCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => (self.class, self.subject, self.detail).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EnhancedCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EnhancedCode, D::Error> {
        let code = if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().ok()
        } else {
            let (class, subject, detail) = Deserialize::deserialize(deserializer)?;
            EnhancedCode::new(class, subject, detail)
        };
        code.ok_or_else(|| de::Error::custom(EnhancedCodeError))
    }
}

/// One to three digits, without a zero before others.
fn number(text: &str) -> Option<(u16, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    match number.as_bytes() {
        [b'0', _, ..] => None,
        bytes if bytes.len() > 3 => None,
        _ => Some((number.parse().ok()?, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_read_at_the_start_of_a_text() {
        for (text, code, rest) in [
            ("5.1.1", (5, 1, 1), ""),
            ("5.1.1 The email account", (5, 1, 1), "The email account"),
            ("4.7.0\tLater", (4, 7, 0), "Later"),
            ("5.7.509: denied", (5, 7, 509), ": denied"),
            ("2.0.0.", (2, 0, 0), "."),
            ("5.2.2 <ü>", (5, 2, 2), "<ü>"),
        ] {
            let code = EnhancedCode::new(code.0, code.1, code.2).unwrap();
            assert_eq!(EnhancedCode::at_start(text), Some((code, rest)), "{text}");
        }
    }

    #[test]
    fn what_only_resembles_a_code_is_none() {
        for text in [
            "",
            "5",
            "5.1",
            "5.1.",
            "5..1",
            "#5.1.0 Address",
            "3.1.1",
            "0.1.1",
            "55.1.1",
            "5.1.1.2",
            "5.1.1000",
            "5.01.1",
            "5.1.1a",
            "192.0.2.1",
            "5.-1.1",
            " 5.1.1",
            "261.1.1",
            "65541.1.1",
        ] {
            assert_eq!(EnhancedCode::at_start(text), None, "{text}");
        }
        for text in ["5.1.1 ", "5.1.1 x", "5.1.1."] {
            assert_eq!(text.parse::<EnhancedCode>(), Err(EnhancedCodeError), "{text}");
        }
    }

    #[test]
    fn a_code_is_a_string_for_people_and_three_octets_in_the_store() {
        let code = EnhancedCode::new(5, 1, 10).unwrap();
        assert_eq!(serde_json::to_string(&code).unwrap(), r#""5.1.10""#);
        assert_eq!(serde_json::from_str::<EnhancedCode>(r#""5.1.10""#).unwrap(), code);
        assert!(serde_json::from_str::<EnhancedCode>(r#""6.1.10""#).is_err());
        let stored = postcard::to_stdvec(&code).unwrap();
        assert_eq!(stored, [5, 1, 10]);
        assert_eq!(postcard::from_bytes::<EnhancedCode>(&stored).unwrap(), code);
        assert!(postcard::from_bytes::<EnhancedCode>(&[6, 1, 10]).is_err());
    }

    proptest! {
        #[test]
        fn a_code_reads_back_what_it_wrote(class: u8, subject in 0..1200u16, detail in 0..1200u16) {
            let valid = matches!(class, 2 | 4 | 5) && subject <= 999 && detail <= 999;
            let code = EnhancedCode::new(class, subject, detail);
            prop_assert_eq!(code.is_some(), valid);
            prop_assert_eq!(format!("{class}.{subject}.{detail}").parse().ok(), code);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = EnhancedCode::at_start(&text);
        }
    }
}
