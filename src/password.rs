//! Passwords: how they are compared, and what is kept of them.

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::PasswordHash,
};
use smtp::Sha256;
use std::{fmt, num::NonZeroU32};
use store::records::ScramKeys;
use unicode_normalization::UnicodeNormalization;

/// The most octets of a password.
const MAX: usize = 1_000;

/// Iterations of PBKDF2 for SCRAM; at least 4,096 (RFC 7677, 4). Each login costs the client as many.
pub(crate) const SCRAM_ITERATIONS: u32 = 10_000;

/// A password in the form in which it is compared: PRECIS OpaqueString (RFC 8265, 4.2). Never shown.
#[derive(Clone)]
pub struct Password(Box<str>);

/// Why a text is no password. Says nothing about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing was given.
    #[error("the password is empty")]
    Empty,
    /// More than 1,000 octets.
    #[error("the password is longer than {MAX} octets")]
    TooLong,
    /// A line break, a tab or another control character.
    #[error("the password has a control character")]
    ControlCharacter,
}

impl Password {
    /// Prepares a password: every Unicode space becomes U+0020, and the whole is put in NFC.
    ///
    /// # Errors
    /// When it is empty, too long, or has a control character.
    pub fn new(text: &str) -> Result<Password, PasswordError> {
        if text.is_empty() {
            return Err(PasswordError::Empty);
        }
        if text.len() > MAX {
            return Err(PasswordError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(PasswordError::ControlCharacter);
        }
        let text: String = text.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc().collect();
        Ok(Password(text.into()))
    }

    /// Whether `hash`, an Argon2 hash as a PHC string, is that of this password. Takes tens of milliseconds of a
    /// processor and as much memory as the hash says.
    pub fn matches(&self, hash: &str) -> bool {
        Argon2::default().verify_password(self.as_bytes(), hash).is_ok()
    }

    /// Its Argon2id hash as a PHC string, with a fresh salt. Takes as long as comparing does.
    pub fn hash(&self) -> String {
        // 19 MiB, two rounds, one lane: what OWASP recommends.
        let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are within Argon2's bounds");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_with_salt(self.as_bytes(), &rand::random::<[u8; 16]>())
            .expect("password and salt are within Argon2's bounds")
            .to_string()
    }

    /// What SCRAM-SHA-256 needs of it (RFC 5802, 3), with a fresh salt. Takes some milliseconds of a processor.
    pub fn scram_keys(&self) -> ScramKeys {
        let sha256 = actors::AwsLc;
        let (salt, iterations) = (rand::random::<[u8; 16]>(), SCRAM_ITERATIONS);
        let count = NonZeroU32::new(iterations).expect("there are iterations");
        let salted = sha256.pbkdf2(self.as_bytes(), &salt, count);
        ScramKeys {
            salt,
            iterations,
            stored_key: sha256.digest(&sha256.hmac(&salted, b"Client Key")),
            server_key: sha256.hmac(&salted, b"Server Key"),
        }
    }

    /// What is hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The Argon2id hash of a password, see [`Password::hash`].
///
/// # Errors
/// When the text is no password.
pub fn hash_password(text: &str) -> Result<String, PasswordError> {
    Ok(Password::new(text)?.hash())
}

/// Whether a text is the Argon2id hash of a password as a PHC string.
pub fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.algorithm == ARGON2ID_IDENT && hash.hash.is_some())
}

/// The category Zs, which OpaqueString folds.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same_password() {
        for (one, other) in [
            ("te\u{301}st", "tést"),
            ("a\u{a0}b\u{3000}c", "a b c"),
            ("\u{212b}", "å".to_uppercase().as_str()),
            (" kept ", "\u{2003}kept\u{202f}"),
        ] {
            assert_eq!(Password::new(one).unwrap().as_bytes(), Password::new(other).unwrap().as_bytes());
        }
        let (lower, upper) = (Password::new("secret").unwrap(), Password::new("Secret").unwrap());
        assert_ne!(lower.as_bytes(), upper.as_bytes());
    }

    #[test]
    fn what_is_no_password_is_refused() {
        for (text, error) in [
            ("", PasswordError::Empty),
            ("a\nb", PasswordError::ControlCharacter),
            ("\u{85}", PasswordError::ControlCharacter),
            ("a\u{2028}", PasswordError::ControlCharacter),
            (&"x".repeat(1_001), PasswordError::TooLong),
        ] {
            assert_eq!(Password::new(text).unwrap_err(), error);
        }
    }

    #[test]
    fn a_hash_matches_its_password_only() {
        let hash = hash_password("te\u{301}st").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(Password::new("tést").unwrap().matches(&hash));
        assert!(!Password::new("test").unwrap().matches(&hash));
        assert!(!Password::new("tést").unwrap().matches("no hash"));
        assert_ne!(hash, hash_password("tést").unwrap());
        assert!(is_hash(&hash));
        for no_hash in ["", "tést", "$argon2id$", "$2b$10$abcdefghijklmnopqrstuv"] {
            assert!(!is_hash(no_hash), "{no_hash}");
        }
    }

    #[test]
    fn a_password_is_shown_to_nobody() {
        assert_eq!(format!("{:?}", Password::new("hunter2").unwrap()), "***");
    }
}
