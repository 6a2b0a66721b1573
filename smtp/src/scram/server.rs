//! The server's side of SCRAM: each message makes what the next one is judged by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::{ChannelBindings, ScramServerKeys, Sha256, decode_name, xor};

/// The first message of a client, understood.
pub(crate) struct ClientFirst {
    sha256: &'static dyn Sha256,
    username: String,
    nonce: String,
    /// The message without the header of GS2.
    bare: String,
    /// What the last message must repeat: the header of GS2, and the channel binding.
    binding: Vec<u8>,
}

/// Why a first message begins no login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FirstError {
    #[error("Malformed SCRAM message")]
    Malformed,
    /// `m=`, which must not be ignored.
    #[error("This SCRAM extension is not supported")]
    Extension,
    #[error("Acting as somebody else is not supported: leave the authorization identity empty")]
    Identity,
    #[error("This channel binding is not available: use tls-exporter or tls-server-end-point")]
    Binding,
    /// The client could bind the channel and was not told that the server can.
    #[error("SCRAM-SHA-256-PLUS is offered and was hidden from you: somebody may be reading along")]
    Downgrade,
}

/// A client that was told salt and nonce, and has to prove that it knows the password.
pub(crate) struct Challenged {
    first: ClientFirst,
    keys: ScramServerKeys,
    nonce: String,
    server_first: String,
}

/// What the last message of a client shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It knows the password.
    Proven {
        /// By which the server shows that it does too.
        server_final: String,
    },
    /// It does not, or its TLS connection is not the server's.
    Disproved,
}

impl ClientFirst {
    /// Reads the first message: of SCRAM-SHA-256-PLUS if `plus`, over a connection with these bindings.
    pub(crate) fn parse(
        message: &[u8],
        plus: bool,
        bindings: &ChannelBindings,
        sha256: &'static dyn Sha256,
    ) -> Result<Self, FirstError> {
        let message = std::str::from_utf8(message)
            .ok()
            .filter(|text| !text.contains('\0'))
            .ok_or(FirstError::Malformed)?;
        let mut parts = message.splitn(3, ',');
        let (Some(flag), Some(identity), Some(bare)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(FirstError::Malformed);
        };
        let bound = bound(flag, plus, bindings)?;
        let (username, nonce) = username_and_nonce(bare)?;
        match identity.strip_prefix("a=") {
            None if identity.is_empty() => {}
            Some(name) if decode_name(name).as_ref() == Some(&username) => {}
            Some(_) => return Err(FirstError::Identity),
            None => return Err(FirstError::Malformed),
        }
        let header = &message.as_bytes()[..message.len() - bare.len()];
        let binding = [header, bound].concat();
        Ok(Self { sha256, username, nonce: nonce.to_owned(), bare: bare.to_owned(), binding })
    }

    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    /// The client's challenge, and what its answer is judged by.
    pub(crate) fn challenge(self, keys: ScramServerKeys, server_nonce: &str) -> Challenged {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(&keys.salt), keys.iterations);
        Challenged { first: self, keys, nonce, server_first }
    }
}

impl Challenged {
    pub(crate) fn server_first(&self) -> &str {
        &self.server_first
    }

    pub(crate) fn username(&self) -> &str {
        self.first.username()
    }

    /// Judges the last message of the client; `None` when it is malformed.
    pub(crate) fn judge(&self, message: &[u8]) -> Option<Verdict> {
        let message = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut parts = without_proof.split(',');
        let binding = STANDARD.decode(parts.next()?.strip_prefix("c=")?).ok()?;
        let nonce = parts.next()?.strip_prefix("r=")?;
        let proof: [u8; 32] = STANDARD.decode(proof).ok()?.try_into().ok()?;

        let sha256 = self.first.sha256;
        let signed = [&self.first.bare, &self.server_first, without_proof].join(",");
        let client_signature = sha256.hmac(&self.keys.stored_key, signed.as_bytes());
        let stored_key = sha256.digest(&xor(&proof, &client_signature));
        let proven = stored_key.ct_eq(&self.keys.stored_key)
            & binding.ct_eq(&self.first.binding)
            & nonce.as_bytes().ct_eq(self.nonce.as_bytes());
        Some(match bool::from(proven) {
            true => {
                let signature = sha256.hmac(&self.keys.server_key, signed.as_bytes());
                Verdict::Proven { server_final: format!("v={}", STANDARD.encode(signature)) }
            }
            false => Verdict::Disproved,
        })
    }
}

/// The octets of the channel that a client with this flag binds its login to (RFC 5802 section 6).
fn bound<'a>(flag: &str, plus: bool, bindings: &'a ChannelBindings) -> Result<&'a [u8], FirstError> {
    match (flag, plus) {
        ("n", false) => Ok(&[]),
        ("y", false) if bindings.any() => Err(FirstError::Downgrade),
        ("y", false) => Ok(&[]),
        (flag, true) => {
            let name = flag.strip_prefix("p=").ok_or(FirstError::Malformed)?;
            bindings.named(name).ok_or(FirstError::Binding)
        }
        (_, false) => Err(FirstError::Malformed),
    }
}

/// Reads `n=name,r=nonce`; optional extensions may follow, and are ignored.
fn username_and_nonce(bare: &str) -> Result<(String, &str), FirstError> {
    if bare.starts_with("m=") {
        return Err(FirstError::Extension);
    }
    let mut parts = bare.split(',');
    let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
    let username = part("n=").and_then(decode_name).filter(|name| !name.is_empty());
    let nonce = part("r=").filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_graphic()));
    username.zip(nonce).ok_or(FirstError::Malformed)
}
