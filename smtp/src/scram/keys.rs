//! What a server keeps of a password for SCRAM.

use std::fmt;

/// What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3): enough to see that a client knows it, and
/// to show that the server does. Whoever has it and listens to a login can find the password by guessing, no faster
/// than `iterations` allow.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramServerKeys {
    /// At least one octet; 16 are usual.
    pub salt: Vec<u8>,
    /// Iterations of PBKDF2; at least 4096 (RFC 7677 section 4).
    pub iterations: u32,
    /// `H(ClientKey)`.
    pub stored_key: [u8; 32],
    /// `ServerKey`.
    pub server_key: [u8; 32],
}

impl fmt::Debug for ScramServerKeys {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramServerKeys").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}
