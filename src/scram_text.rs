//! SCRAM keys as text, as directory files have them (RFC 5803).

use crate::password::SCRAM_ITERATIONS;
use base64::{Engine, prelude::BASE64_STANDARD};
use std::ops::RangeInclusive;
use store::records::ScramKeys;

const SCHEME: &str = "SCRAM-SHA-256";
/// At least what RFC 7677 section 4 wants; at most what clients put up with.
const ITERATIONS: RangeInclusive<u32> = 4_096..=10 * SCRAM_ITERATIONS;

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
pub(crate) fn write_scram(keys: &ScramKeys) -> String {
    let ScramKeys { salt, iterations, stored_key, server_key } = keys;
    let [salt, stored, server] =
        [&salt[..], stored_key, server_key].map(|octets| BASE64_STANDARD.encode(octets));
    format!("{SCHEME}${iterations}:{salt}${stored}:{server}")
}

/// Reads what [`write_scram`] writes; none where the salt has not 16 octets, or the iterations are too few or too many.
pub(crate) fn read_scram(text: &str) -> Option<ScramKeys> {
    let (iterations, rest) = text.strip_prefix(SCHEME)?.strip_prefix('$')?.split_once(':')?;
    let (salt, keys) = rest.split_once('$')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    Some(ScramKeys {
        salt: octets(salt)?,
        iterations: iterations.parse().ok().filter(|count| ITERATIONS.contains(count))?,
        stored_key: octets(stored_key)?,
        server_key: octets(server_key)?,
    })
}

fn octets<const N: usize>(encoded: &str) -> Option<[u8; N]> {
    BASE64_STANDARD.decode(encoded).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::password::Password;

    #[test]
    fn what_is_written_is_read() {
        let keys = Password::new("tést").unwrap().scram_keys();
        assert_eq!(read_scram(&write_scram(&keys)), Some(keys));
    }

    #[test]
    fn what_is_weak_or_malformed_is_not_read() {
        let good = write_scram(&Password::new("tést").unwrap().scram_keys());
        for (part, other) in [
            ("SCRAM-SHA-256", "SCRAM-SHA-1"),
            ("$10000:", "$4095:"),
            ("$10000:", "$100001:"),
            ("$10000:", "$:"),
            ("$10000:", "$10000:AA"),
            (":", "$"),
            ("=", ""),
        ] {
            let changed = good.replace(part, other);
            assert_ne!(changed, good);
            assert_eq!(read_scram(&changed), None, "{changed}");
        }
    }
}
