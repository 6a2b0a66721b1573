//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): what both sides share.

mod binding;
mod client;
mod keys;
mod server;
#[cfg(test)]
pub(crate) mod tests;

use std::num::NonZeroU32;

pub use binding::ChannelBindings;
pub(crate) use client::Scram;
pub use keys::ScramServerKeys;
pub(crate) use server::{Challenged, ClientFirst, FirstError, Verdict};

/// What SCRAM-SHA-256 computes with; the caller brings a library for it.
pub trait Sha256: Send + Sync {
    /// SHA-256.
    fn digest(&self, octets: &[u8]) -> [u8; 32];
    /// HMAC-SHA-256.
    fn hmac(&self, key: &[u8], octets: &[u8]) -> [u8; 32];
    /// PBKDF2-HMAC-SHA-256 with a result of 32 octets.
    fn pbkdf2(&self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> [u8; 32];
}

/// The username as `saslname` (RFC 5802 section 5.1).
fn encode_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Reads a `saslname`; `None` when a `=` stands for neither `=` nor `,`.
fn decode_name(encoded: &str) -> Option<String> {
    let mut parts = encoded.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (meant, rest) = part.split_at_checked(2)?;
        name.push(match meant {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|at| a[at] ^ b[at])
}
