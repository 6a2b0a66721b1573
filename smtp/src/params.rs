//! The values of MAIL and RCPT parameters, read by servers and written by clients.

use std::fmt;

use crate::xtext::{decode_utf8_address, decode_xtext, encode_utf8_address, encode_xtext};

/// Octets of an ENVID value as sent (RFC 3461 section 4.4).
pub(crate) const MAX_ENVID: usize = 100;
/// Octets of an ORCPT value as sent (RFC 3461 section 4.2).
const MAX_ORCPT: usize = 500;

/// How the content is encoded: BODY (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// Only ASCII.
    SevenBit,
    /// Octets above 127, in lines.
    EightBitMime,
    /// Any octets, without lines; only with BDAT.
    BinaryMime,
}

/// How much of the message a report returns: RET (RFC 3461 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// All of it.
    Full,
    /// Its headers.
    Headers,
}

/// What a report is wanted for: NOTIFY (RFC 3461 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notify {
    /// No report, ever.
    Never,
    /// Reports in these cases; at least one is set.
    On {
        /// The message was delivered.
        success: bool,
        /// It cannot be delivered.
        failure: bool,
        /// It is late.
        delay: bool,
    },
}

/// The recipient as the sender wrote it: ORCPT (RFC 3461 section 4.2, RFC 6533 section 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    /// Such as `rfc822` or `utf-8`.
    pub address_type: String,
    /// The address, decoded.
    pub address: String,
}

/// When to send, at the earliest: HOLDFOR, HOLDUNTIL (RFC 4865).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// So many seconds from now, 1 to 999,999,999.
    For(u32),
    /// At this time, in seconds since 1970-01-01T00:00:00Z.
    Until(i64),
}

impl Body {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        keyword(
            value,
            [("7BIT", Self::SevenBit), ("8BITMIME", Self::EightBitMime), ("BINARYMIME", Self::BinaryMime)],
        )
    }
}

impl Ret {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        keyword(value, [("FULL", Self::Full), ("HDRS", Self::Headers)])
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        })
    }
}

impl Notify {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        if value.eq_ignore_ascii_case("NEVER") {
            return Some(Self::Never);
        }
        let (mut success, mut failure, mut delay) = (false, false, false);
        for word in value.split(',') {
            let case =
                keyword(word, [("SUCCESS", &mut success), ("FAILURE", &mut failure), ("DELAY", &mut delay)]);
            *case? = true;
        }
        Some(Self::On { success, failure, delay })
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::On { success, failure, delay } = *self else {
            return f.write_str("NEVER");
        };
        let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
        let mut comma = "";
        for (_, word) in words.iter().filter(|(set, _)| *set) {
            write!(f, "{comma}{word}")?;
            comma = ",";
        }
        // "On nothing" is not sayable; it means the same as never.
        if comma.is_empty() { f.write_str("NEVER") } else { Ok(()) }
    }
}

impl OriginalRecipient {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        if value.len() > MAX_ORCPT {
            return None;
        }
        let (address_type, encoded) = value.split_once(';')?;
        if address_type.is_empty() || !address_type.bytes().all(is_type_char) {
            return None;
        }
        let address =
            if is_utf8_type(address_type) { decode_utf8_address(encoded) } else { decode_xtext(encoded) }?;
        (!address.is_empty()).then(|| Self { address_type: address_type.to_owned(), address })
    }

    /// The value as sent, if it can be: a proper type and at most 500 octets.
    pub(crate) fn encode(&self) -> Option<String> {
        let encode = if is_utf8_type(&self.address_type) { encode_utf8_address } else { encode_xtext };
        let value = format!("{};{}", self.address_type, encode(&self.address));
        Self::parse(&value).map(|_| value)
    }
}

impl Hold {
    pub(crate) fn parse_for(value: &str) -> Option<Self> {
        let digits = (1..=9).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| value.parse().ok())?.filter(|seconds| *seconds > 0).map(Self::For)
    }

    /// `2026-11-22T10:00:00Z`, `2026-11-22T10:00:00.5+01:00` (RFC 3339).
    pub(crate) fn parse_until(value: &str) -> Option<Self> {
        let (date, time) = value.split_once(['T', 't'])?;
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let (clock, offset) = split_offset(time)?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        let in_range = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60
            && (1..=9).contains(&fraction.len())
            && fraction.bytes().all(|b| b.is_ascii_digit());
        let days = days_since_1970(year, month, day);
        in_range.then(|| Self::Until(days * 86_400 + hour * 3_600 + minute * 60 + second - offset))
    }
}

/// The value that belongs to `word`, whatever its case.
fn keyword<T>(word: &str, table: impl IntoIterator<Item = (&'static str, T)>) -> Option<T> {
    table.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn is_utf8_type(address_type: &str) -> bool {
    address_type.eq_ignore_ascii_case("utf-8")
}

fn is_type_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// The time of day and the offset from UTC in seconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let at = time.rfind(['+', '-'])?;
    let [hours, minutes] = numbers(&time[at + 1..], ':', [2, 2])?;
    let seconds = hours * 3_600 + minutes * 60;
    let sign = if time[at..].starts_with('-') { -1 } else { 1 };
    (hours < 24 && minutes < 60).then_some((&time[..at], sign * seconds))
}

/// Numbers of exactly these widths between separators.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut values = [0; N];
    for (value, width) in values.iter_mut().zip(widths) {
        let part =
            parts.next().filter(|part| part.len() == width && part.bytes().all(|b| b.is_ascii_digit()))?;
        *value = part.parse().ok()?;
    }
    parts.next().is_none().then_some(values)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar; the year is 0 to 9999.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before_year = |year: i64| {
        let last = year - 1;
        365 * year + last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400)
    };
    let before_month: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    before_year(year) - before_year(1970) + before_month + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_time_is_read_as_seconds() {
        let table: &[(&str, Option<i64>)] = &[
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-03-01T00:00:00Z", Some(951_868_800)),
            ("2024-02-29T12:30:15Z", Some(1_709_209_815)),
            ("2024-02-29T12:30:15.25+01:30", Some(1_709_204_415)),
            ("2024-02-29t12:30:15-01:30", Some(1_709_215_215)),
            ("1969-12-31T23:59:59Z", Some(-1)),
            ("2023-02-29T12:30:15Z", None),
            ("2024-13-01T00:00:00Z", None),
            ("2024-01-01T24:00:00Z", None),
            ("2024-01-01T00:00:00", None),
            ("2024-01-01 00:00:00Z", None),
            ("2024-1-1T00:00:00Z", None),
            ("2024-01-01T00:00:00.Z", None),
        ];
        for (text, seconds) in table {
            assert_eq!(Hold::parse_until(text), seconds.map(Hold::Until), "{text}");
        }
        for (text, seconds) in [
            ("1", Some(1)),
            ("999999999", Some(999_999_999)),
            ("0", None),
            ("", None),
            ("+1", None),
            ("1000000000", None),
        ] {
            assert_eq!(Hold::parse_for(text), seconds.map(Hold::For), "{text}");
        }
    }

    #[test]
    fn notify_is_never_or_a_list() {
        for (text, written) in [
            ("never", Some("NEVER")),
            ("Success,DELAY", Some("SUCCESS,DELAY")),
            ("FAILURE", Some("FAILURE")),
            ("NEVER,FAILURE", None),
            ("", None),
            ("FAILURE,", None),
        ] {
            assert_eq!(Notify::parse(text).map(|n| n.to_string()).as_deref(), written, "{text}");
        }
    }

    #[test]
    fn an_original_recipient_is_read_as_it_was_written() {
        for (text, address) in [
            ("rfc822;a+2Bb@example.org", Some("a+b@example.org")),
            ("utf-8;j\\x{FC}rgen@example.org", Some("jürgen@example.org")),
            ("rfc822;", None),
            (";a@example.org", None),
            ("a@example.org", None),
            ("rfc822;a+b", None),
        ] {
            let parsed = OriginalRecipient::parse(text);
            assert_eq!(parsed.as_ref().map(|o| o.address.as_str()), address, "{text}");
            assert_eq!(parsed.and_then(|o| o.encode()).as_deref(), address.map(|_| text), "{text}");
        }
        let evil = OriginalRecipient { address_type: "x y".into(), address: "a".into() };
        assert_eq!(evil.encode(), None);
    }
}
