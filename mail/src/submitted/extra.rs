//! What an application attaches to a message that it submits, in header fields of their own.

use super::{MAX_EXTRA, MAX_EXTRA_KEYS, SubmittedError};
use std::collections::{BTreeMap, btree_map::Entry};

const PREFIXES: [&str; 2] = ["X-Postrider-Extra-", "X-Mox-Extra-"];

/// The key in the name of such a field, in its canonical form.
pub(super) fn extra_key(name: &[u8]) -> Option<String> {
    let key = PREFIXES.iter().find_map(|prefix| {
        let (start, key) = name.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix.as_bytes()).then_some(key)
    })?;
    Some(canonical(key))
}

/// Keys with their values, and how much they are.
#[derive(Default)]
pub(super) struct Extra {
    values: BTreeMap<String, String>,
    octets: usize,
}

impl Extra {
    /// Adds a key with its value.
    pub(super) fn insert(&mut self, key: String, value: String) -> Result<(), SubmittedError> {
        if key.is_empty() {
            return Err(SubmittedError::NoKey);
        }
        self.octets += key.len() + value.len();
        match self.values.entry(key) {
            Entry::Occupied(found) => return Err(SubmittedError::RepeatedKey(found.key().clone())),
            Entry::Vacant(free) => drop(free.insert(value)),
        }
        if self.values.len() > MAX_EXTRA_KEYS {
            return Err(SubmittedError::ManyExtra);
        }
        if self.octets > MAX_EXTRA {
            return Err(SubmittedError::LongExtra);
        }
        Ok(())
    }

    pub(super) fn into_values(self) -> BTreeMap<String, String> {
        self.values
    }
}

/// As Go's net/textproto has header names, since clients know the keys so: a capital letter at the start and behind each
/// hyphen, else small ones. A name with characters that HTTP does not allow in names (RFC 9110, 5.6.2) stays as it is.
fn canonical(key: &[u8]) -> String {
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    if !key.iter().all(is_token) {
        return String::from_utf8_lossy(key).into_owned();
    }
    let mut at_start = true;
    let mut canonical = String::with_capacity(key.len());
    for &b in key {
        canonical.push(char::from(if at_start { b.to_ascii_uppercase() } else { b.to_ascii_lowercase() }));
        at_start = b == b'-';
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_form_of_a_header_name() {
        for (name, key) in [
            ("X-Mox-Extra-order", Some("Order")),
            ("x-postrider-extra-ORDER-id", Some("Order-Id")),
            ("X-Postrider-Extra-a--b_c.d", Some("A--B_c.d")),
            ("X-Mox-Extra-a/B", Some("a/B")),
            ("X-Mox-Extra-", Some("")),
            ("X-Mox-Extra", None),
            ("X-Extra-a", None),
            ("X", None),
        ] {
            assert_eq!(extra_key(name.as_bytes()).as_deref(), key, "{name}");
        }
    }

    #[test]
    fn extra_is_bounded() {
        let mut extra = Extra::default();
        extra.insert("A".into(), "x".repeat(MAX_EXTRA - 2)).unwrap();
        extra.insert("B".into(), String::new()).unwrap();
        assert_eq!(extra.insert("C".into(), String::new()), Err(SubmittedError::LongExtra));

        let mut extra = Extra::default();
        for number in 0..MAX_EXTRA_KEYS {
            extra.insert(number.to_string(), String::new()).unwrap();
        }
        assert_eq!(extra.insert("more".into(), String::new()), Err(SubmittedError::ManyExtra));
    }
}
