//! The client's side of SCRAM, without channel binding.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Sha256, encode_name, xor};
use crate::sasl::LoginError;

/// Iterations that a server may ask for: at least what RFC 7677 section 4 wants, at most some tens of
/// milliseconds of work.
const ITERATIONS: std::ops::RangeInclusive<u32> = 4_096..=100_000;
/// `n,,` in base64: no channel binding (RFC 5802 section 7).
const GS2_HEADER: &str = "n,,";

pub(crate) struct Scram {
    sha256: &'static dyn Sha256,
    password: String,
    nonce: String,
    client_first_bare: String,
    stage: Stage,
}

enum Stage {
    /// The server's first message is awaited.
    First,
    /// Its last message is, which must hold this signature.
    Final { signature: [u8; 32] },
    /// The server showed that it knows the password.
    Proven,
}

impl Scram {
    pub(crate) fn new(username: &str, password: &str, nonce: &str, sha256: &'static dyn Sha256) -> Self {
        let username = encode_name(username);
        Self {
            sha256,
            password: password.into(),
            nonce: nonce.into(),
            client_first_bare: format!("n={username},r={nonce}"),
            stage: Stage::First,
        }
    }

    pub(crate) fn client_first(&self) -> String {
        format!("{GS2_HEADER}{}", self.client_first_bare)
    }

    pub(crate) fn respond(&mut self, challenge: &[u8]) -> Result<String, LoginError> {
        let message = std::str::from_utf8(challenge).map_err(|_| LoginError::Challenge)?;
        match self.stage {
            Stage::First => {
                let (answer, signature) = self.client_final(message)?;
                self.stage = Stage::Final { signature };
                Ok(answer)
            }
            Stage::Final { signature } => {
                let said = message.split(',').next().and_then(|part| part.strip_prefix("v="));
                let said = STANDARD.decode(said.ok_or(LoginError::Challenge)?);
                if said.ok().as_deref() != Some(&signature[..]) {
                    return Err(LoginError::ServerUnproven);
                }
                self.stage = Stage::Proven;
                Ok(String::new())
            }
            Stage::Proven => Err(LoginError::Challenge),
        }
    }

    pub(crate) fn is_proven(&self) -> bool {
        matches!(self.stage, Stage::Proven)
    }

    /// The client's last message, and the signature with which the server must answer.
    fn client_final(&self, server_first: &str) -> Result<(String, [u8; 32]), LoginError> {
        let ServerFirst { nonce, salt, iterations } = ServerFirst::parse(server_first, &self.nonce)?;
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(GS2_HEADER));
        let signed = [&self.client_first_bare, server_first, &without_proof].join(",");
        let salted = self.sha256.pbkdf2(self.password.as_bytes(), &salt, iterations);
        let client_key = self.sha256.hmac(&salted, b"Client Key");
        let client_signature = self.sha256.hmac(&self.sha256.digest(&client_key), signed.as_bytes());
        let proof = xor(&client_key, &client_signature);
        let server_key = self.sha256.hmac(&salted, b"Server Key");
        let answer = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((answer, self.sha256.hmac(&server_key, signed.as_bytes())))
    }
}

struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: NonZeroU32,
}

impl<'a> ServerFirst<'a> {
    /// Reads `r=nonce,s=salt,i=iterations`; unknown parts may follow. `m=` before it means something that must
    /// not be ignored, and is not read either.
    fn parse(message: &'a str, our_nonce: &str) -> Result<Self, LoginError> {
        let mut parts = message.split(',');
        let mut part = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
        let (nonce, salt, iterations) = (part("r="), part("s="), part("i="));
        let nonce = nonce.filter(|nonce| nonce.len() > our_nonce.len() && nonce.starts_with(our_nonce));
        let salt = salt.and_then(|salt| STANDARD.decode(salt).ok()).filter(|salt| !salt.is_empty());
        let iterations = iterations.and_then(|count| count.parse::<u32>().ok());
        let (Some(nonce), Some(salt), Some(count)) = (nonce, salt, iterations) else {
            return Err(LoginError::Challenge);
        };
        let fitting = NonZeroU32::new(count).filter(|count| ITERATIONS.contains(&count.get()));
        Ok(Self { nonce, salt, iterations: fitting.ok_or(LoginError::Iterations)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scram::tests::AwsLc;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn scram() -> Scram {
        Scram::new("user", "pencil", NONCE, &AwsLc)
    }

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let mut scram = scram();
        assert_eq!(scram.client_first(), format!("n,,n=user,r={NONCE}"));
        assert_eq!(
            scram.respond(SERVER_FIRST.as_bytes()).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(!scram.is_proven());
        assert_eq!(scram.respond(SERVER_FINAL.as_bytes()), Ok(String::new()));
        assert!(scram.is_proven());
        assert_eq!(scram.respond(SERVER_FINAL.as_bytes()), Err(LoginError::Challenge));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        for (said, expected) in [
            ("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", LoginError::ServerUnproven),
            ("v=", LoginError::ServerUnproven),
            ("v=?", LoginError::ServerUnproven),
            ("e=other-error", LoginError::Challenge),
            ("", LoginError::Challenge),
        ] {
            let mut scram = scram();
            scram.respond(SERVER_FIRST.as_bytes()).unwrap();
            assert_eq!(scram.respond(said.as_bytes()), Err(expected), "{said}");
            assert!(!scram.is_proven());
        }
    }

    #[test]
    fn a_first_message_that_weakens_the_exchange_is_refused() {
        for (said, expected) in [
            (format!("r={NONCE}x,s=AAAA,i=4095"), LoginError::Iterations),
            (format!("r={NONCE}x,s=AAAA,i=0"), LoginError::Iterations),
            (format!("r={NONCE}x,s=AAAA,i=100001"), LoginError::Iterations),
            (format!("r={NONCE}x,s=AAAA,i=many"), LoginError::Challenge),
            (format!("r={NONCE}x,s=,i=4096"), LoginError::Challenge),
            (format!("r={NONCE}x,s=?,i=4096"), LoginError::Challenge),
            (format!("r={NONCE},s=AAAA,i=4096"), LoginError::Challenge),
            ("r=other,s=AAAA,i=4096".into(), LoginError::Challenge),
            (format!("m=x,r={NONCE}x,s=AAAA,i=4096"), LoginError::Challenge),
            (String::new(), LoginError::Challenge),
        ] {
            assert_eq!(scram().respond(said.as_bytes()), Err(expected), "{said}");
        }
        assert_eq!(scram().respond(b"\xff"), Err(LoginError::Challenge));
    }

    #[test]
    fn a_username_cannot_become_another_part() {
        let scram = Scram::new("a=b,r=c", "x", "n", &AwsLc);
        assert_eq!(scram.client_first(), "n,,n=a=3Db=2Cr=3Dc,r=n");
    }
}
