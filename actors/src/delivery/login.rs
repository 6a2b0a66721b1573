//! What logging in to a relay computes with.

use aws_lc_rs::{
    digest, hmac, pbkdf2,
    rand::{SecureRandom, SystemRandom},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use smtp::{Login, Sha256};
use std::num::NonZeroU32;

/// The login with SCRAM-SHA-256 allowed, for one session; without it where the system has no random octets.
pub(crate) fn for_session(login: Login) -> Login {
    let mut nonce = [0; 18];
    match SystemRandom::new().fill(&mut nonce) {
        Ok(()) => login.with_scram(&AwsLc, STANDARD.encode(nonce)),
        Err(_) => login,
    }
}

/// The cryptography of aws-lc.
pub struct AwsLc;

impl Sha256 for AwsLc {
    fn digest(&self, octets: &[u8]) -> [u8; 32] {
        octets_of(digest::digest(&digest::SHA256, octets).as_ref())
    }

    fn hmac(&self, key: &[u8], octets: &[u8]) -> [u8; 32] {
        octets_of(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), octets).as_ref())
    }

    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> [u8; 32] {
        let mut out = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password, &mut out);
        out
    }
}

fn octets_of(output: &[u8]) -> [u8; 32] {
    output.try_into().expect("SHA-256 has 32 octets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_the_ones_they_are_named_after() {
        let hex = |octets: [u8; 32]| octets.map(|octet| format!("{octet:02x}")).concat();
        assert!(hex(AwsLc.digest(b"abc")).starts_with("ba7816bf8f01cfea"));
        // RFC 4231 test case 2.
        assert!(hex(AwsLc.hmac(b"Jefe", b"what do ya want for nothing?")).starts_with("5bdcc146bf60754e"));
        // RFC 7914 section 11.
        let once = NonZeroU32::new(1).unwrap();
        assert!(hex(AwsLc.pbkdf2(b"passwd", b"salt", once)).starts_with("55ac046e56e3089f"));
    }
}
