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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scram::tests::{AwsLc, client_final, keys};

    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn bindings() -> ChannelBindings {
        ChannelBindings { exporter: Some([7; 32]), end_point: Some(vec![1, 2, 3]) }
    }

    fn parse(message: &str, plus: bool, bindings: &ChannelBindings) -> Result<ClientFirst, FirstError> {
        ClientFirst::parse(message.as_bytes(), plus, bindings, &AwsLc)
    }

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let first = parse(FIRST, false, &ChannelBindings::default()).ok().unwrap();
        assert_eq!(first.username(), "user");
        let challenged = first.challenge(keys("pencil"), NONCE);
        assert_eq!(
            challenged.server_first(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_owned();
        assert_eq!(challenged.judge(LAST.as_bytes()), Some(Verdict::Proven { server_final }));
    }

    #[test]
    fn a_first_message_is_taken_or_refused_by_its_binding_its_identity_and_its_form() {
        use FirstError::*;
        let (none, some) = (ChannelBindings::default(), bindings());
        let exporter_only = ChannelBindings { end_point: None, ..bindings() };
        let table: &[(&str, bool, &ChannelBindings, Option<FirstError>)] = &[
            ("n,,n=user,r=x", false, &none, None),
            ("y,,n=user,r=x", false, &none, None),
            ("n,,n=user,r=x,o=optional,x=y", false, &none, None),
            ("n,a=user,n=user,r=x", false, &none, None),
            ("n,a=a=3Db,n=a=3Db,r=x", false, &none, None),
            // A client that cannot bind may say so; one that can knows now that somebody hid PLUS from it.
            ("n,,n=user,r=x", false, &some, None),
            ("y,,n=user,r=x", false, &some, Some(Downgrade)),
            ("p=tls-exporter,,n=user,r=x", true, &some, None),
            ("p=tls-server-end-point,,n=user,r=x", true, &some, None),
            ("p=tls-server-end-point,,n=user,r=x", true, &exporter_only, Some(Binding)),
            ("p=tls-unique,,n=user,r=x", true, &some, Some(Binding)),
            ("p=,,n=user,r=x", true, &some, Some(Binding)),
            ("n,,n=user,r=x", true, &some, Some(Malformed)),
            ("y,,n=user,r=x", true, &some, Some(Malformed)),
            ("p=tls-exporter,,n=user,r=x", false, &some, Some(Malformed)),
            ("n,a=admin,n=user,r=x", false, &none, Some(Identity)),
            ("n,a=,n=user,r=x", false, &none, Some(Identity)),
            ("n,admin,n=user,r=x", false, &none, Some(Malformed)),
            ("n,,m=must,n=user,r=x", false, &none, Some(Extension)),
            ("n,,n=us=er,r=x", false, &none, Some(Malformed)),
            ("n,,n=us\0er,r=x", false, &none, Some(Malformed)),
            ("n,,n=,r=x", false, &none, Some(Malformed)),
            ("n,,n=user,r=", false, &none, Some(Malformed)),
            ("n,,n=user,r=a b", false, &none, Some(Malformed)),
            ("n,,n=user,r=ü", false, &none, Some(Malformed)),
            ("n,,n=user", false, &none, Some(Malformed)),
            ("n,,r=x,n=user", false, &none, Some(Malformed)),
            ("n,n=user,r=x", false, &none, Some(Malformed)),
            ("N,,n=user,r=x", false, &none, Some(Malformed)),
            ("n", false, &none, Some(Malformed)),
            ("", false, &none, Some(Malformed)),
        ];
        for (message, plus, bindings, error) in table {
            assert_eq!(parse(message, *plus, bindings).err(), *error, "{message:?} plus: {plus}");
        }
        assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=x", false, &none, &AwsLc).err(), Some(Malformed));
    }

    #[test]
    fn a_last_message_proves_only_with_the_password_the_nonce_and_the_binding() {
        let challenged = || parse(FIRST, false, &bindings()).ok().unwrap().challenge(keys("pencil"), NONCE);
        let other_proof = LAST.replace("dHzb", "dHzc");
        let table: &[(&str, Option<Verdict>)] = &[
            (&other_proof, Some(Verdict::Disproved)),
            (&LAST.replace("hNlF$k0", "hNlF$k1"), Some(Verdict::Disproved)),
            (&LAST.replace("c=biws", "c=eSws"), Some(Verdict::Disproved)),
            (&LAST.replace("c=biws", "c="), Some(Verdict::Disproved)),
            (&LAST.replace(",p=", ",x=y,p="), Some(Verdict::Disproved)),
            (&LAST.replace("VQ=", "VQ"), None),
            (&LAST.replace("dHzb", ""), None),
            (&LAST.replace("c=biws", "c=?"), None),
            (&LAST.replace("c=biws", "x=biws"), None),
            (&LAST.replace(",r=", ",x="), None),
            (&LAST.replace(",p=", ",q="), None),
            ("c=biws,p=AAAA", None),
            ("", None),
        ];
        for (message, verdict) in table {
            assert_eq!(challenged().judge(message.as_bytes()), *verdict, "{message}");
        }
        assert_eq!(challenged().judge(b"\xff,p="), None);
    }

    #[test]
    fn a_login_is_tied_to_the_connection_it_is_made_in() {
        let bare = "n=user,r=abc";
        let seen = |header: &str, binding: &[u8], password: &str| {
            let first = parse(&format!("{header}{bare}"), true, &bindings()).ok().unwrap();
            let challenged = first.challenge(keys("pencil"), NONCE);
            let bound = [header.as_bytes(), binding].concat();
            let last = client_final(password, &bound, bare, challenged.server_first());
            matches!(challenged.judge(last.as_bytes()), Some(Verdict::Proven { .. }))
        };
        for (header, binding) in
            [("p=tls-exporter,,", &[7; 32][..]), ("p=tls-server-end-point,a=user,", &[1, 2, 3])]
        {
            assert!(seen(header, binding, "pencil"), "{header}");
            assert!(!seen(header, binding, "ink"), "{header}");
            assert!(!seen(header, &[8; 32], "pencil"), "{header}");
            assert!(!seen(header, b"", "pencil"), "{header}");
        }
    }
}
