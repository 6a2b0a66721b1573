//! The text in a return path that tells which sent message a report is about.

use crate::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

/// The most octets of a FromID: it stands in a localpart.
const MAX: usize = 64;
/// base32hex (RFC 4648, 7) in lower case: in this alphabet text sorts as the numbers do.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// What stands behind the separator of a message's return path: an id of the queue message, made here or brought
/// by the sender. Compared, hashed and ordered without regard to case.
#[derive(Clone)]
pub struct FromId {
    text: Arc<str>,
    key: Arc<str>,
}

/// A text that is no FromID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a FromID has 1 to 64 octets and no control characters")]
pub struct FromIdError;

impl FromId {
    /// A fresh id: 26 lower-case letters and digits.
    ///
    /// The first six are `now` in seconds, so that an index on FromIDs is appended to rather than hit at random
    /// places; they wrap every 34 years. All bits of `random`, which must come from a generator that cannot be
    /// guessed, are in the rest.
    pub fn new(now: Timestamp, random: [u8; 12]) -> FromId {
        let text: Arc<str> = fresh(now, random).into();
        FromId { key: text.clone(), text }
    }

    /// Takes what a sender or a report brings: any 1 to 64 octets without control characters.
    pub fn parse(text: &str) -> Option<FromId> {
        if text.is_empty() || text.len() > MAX || text.contains(char::is_control) {
            return None;
        }
        let key = text.to_lowercase();
        let text: Arc<str> = text.into();
        let key = if key == *text { text.clone() } else { key.into() };
        Some(FromId { text, key })
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text in lower case, to store and look up by; at most 96 octets.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl PartialEq for FromId {
    fn eq(&self, other: &FromId) -> bool {
        self.key == other.key
    }
}

impl Eq for FromId {}

impl PartialOrd for FromId {
    fn partial_cmp(&self, other: &FromId) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FromId {
    fn cmp(&self, other: &FromId) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for FromId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl FromStr for FromId {
    type Err = FromIdError;

    fn from_str(text: &str) -> Result<FromId, FromIdError> {
        FromId::parse(text).ok_or(FromIdError)
    }
}

impl fmt::Display for FromId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for FromId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FromId({:?})", self.text)
    }
}

/// As a string, as it was given.
impl Serialize for FromId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for FromId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FromId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The lowest `N` base32 digits of `number`, the highest of them first.
/// The text of [`FromId::new`].
pub(crate) fn fresh(now: Timestamp, random: [u8; 12]) -> String {
    let random = random.iter().fold(0u128, |sum, &byte| sum << 8 | u128::from(byte));
    let time = digits::<6>(u128::from(now.as_secs().cast_unsigned()));
    time.into_iter().chain(digits::<20>(random)).map(char::from).collect()
}

fn digits<const N: usize>(number: u128) -> [u8; N] {
    std::array::from_fn(|at| ALPHABET[(number >> (5 * (N - 1 - at)) & 31) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fresh_id_begins_with_the_time_and_goes_on_with_all_random_bits() {
        let at = |secs: i64| Timestamp::from_millis(secs * 1000);
        for (secs, random, text) in [
            (0, [0; 12], "00000000000000000000000000"),
            (31, [0xff; 12], "00000v1vvvvvvvvvvvvvvvvvvv"),
            ((1 << 30) - 1, [0; 12], "vvvvvv00000000000000000000"),
            (1 << 30, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 33], "00000000000000000000000011"),
        ] {
            assert_eq!(FromId::new(at(secs), random).as_str(), text);
        }
    }

    #[test]
    fn a_brought_id_keeps_its_spelling_and_is_compared_in_lower_case() {
        let id = FromId::parse("Order-ÄB").unwrap();
        assert_eq!((id.as_str(), id.key()), ("Order-ÄB", "order-äb"));
        assert_eq!(id, "ORDER-äb".parse().unwrap());
        assert_ne!(id, "order".parse().unwrap());
        let mut set = std::collections::HashSet::from([id]);
        assert!(!set.insert("order-äb".parse().unwrap()));
    }

    #[test]
    fn what_cannot_stand_in_a_localpart_is_no_id() {
        for text in ["", "a\r\nb", &"a".repeat(65)] {
            assert_eq!(FromId::parse(text), None, "{text:?}");
        }
        assert!(FromId::parse(&"a".repeat(64)).is_some());
    }

    proptest! {
        #[test]
        fn later_ids_sort_later(secs in 0i64..(1 << 30) - 1, random: [[u8; 12]; 2]) {
            let id = |secs: i64, random| FromId::new(Timestamp::from_millis(secs * 1000), random);
            prop_assert!(id(secs, random[0]) < id(secs + 1, random[1]));
        }

        #[test]
        fn different_random_bits_make_different_ids(a: [u8; 12], b: [u8; 12]) {
            let id = |random| FromId::new(Timestamp::from_millis(0), random);
            prop_assert_eq!(a == b, id(a) == id(b));
            prop_assert_eq!(FromId::parse(id(a).as_str()), Some(id(a)));
        }

        #[test]
        fn a_key_is_bounded(text in "[ȺİA-Z]{1,64}") {
            if let Some(id) = FromId::parse(&text) {
                prop_assert!(id.key().len() <= 96);
            }
        }
    }
}
