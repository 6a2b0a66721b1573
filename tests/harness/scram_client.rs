//! The client's side of SCRAM-SHA-256 (RFC 5802), written out, with channel bindings that a test may get wrong.

use super::SmtpClient;
use actors::AwsLc;
use base64::{Engine, prelude::BASE64_STANDARD};
use smtp::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};

/// What a client logs in with.
pub(crate) struct ScramLogin<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    /// The header of GS2, such as `p=tls-exporter,,`; `n,,` binds nothing.
    pub(crate) header: &'a str,
    /// What the connection is bound by.
    pub(crate) binding: Vec<u8>,
}

impl ScramLogin<'_> {
    /// The last reply: 235 after the server has proved that it knows the password too, or what went wrong.
    pub(crate) async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut SmtpClient<S>,
    ) -> String {
        match self.begin(client).await {
            Ok(challenged) => challenged.prove(client).await,
            Err(reply) => reply,
        }
    }

    /// The first half, up to the challenge of the server, or what it says instead.
    pub(crate) async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut SmtpClient<S>,
    ) -> Result<ScramChallenged, String> {
        let mechanism = if self.header.starts_with('p') { "SCRAM-SHA-256-PLUS" } else { "SCRAM-SHA-256" };
        let bare = format!("n={},r=rOprNGfwEbeRWgbNEkqO", self.user);
        let first = BASE64_STANDARD.encode(format!("{}{bare}", self.header));
        let reply = client.command(&format!("AUTH {mechanism} {first}")).await;
        let Some(server_first) = challenge(&reply) else { return Err(reply) };
        let part = |name| server_first.split(',').find_map(|part| part.strip_prefix(name)).expect("a part");
        let salt = BASE64_STANDARD.decode(part("s=")).expect("a salt");
        let iterations = part("i=").parse().expect("a number");
        let bound = [self.header.as_bytes(), &self.binding].concat();
        let without_proof = format!("c={},r={}", BASE64_STANDARD.encode(bound), part("r="));
        let signed = format!("{bare},{server_first},{without_proof}");
        let salted = AwsLc.pbkdf2(self.password.as_bytes(), &salt, iterations);
        let key = AwsLc.hmac(&salted, b"Client Key");
        let signature = AwsLc.hmac(&AwsLc.digest(&key), signed.as_bytes());
        let proof: Vec<u8> = key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
        let last = format!("{without_proof},p={}", BASE64_STANDARD.encode(proof));
        let signature = AwsLc.hmac(&AwsLc.hmac(&salted, b"Server Key"), signed.as_bytes());
        let server_final = format!("v={}", BASE64_STANDARD.encode(signature));
        Ok(ScramChallenged { last: BASE64_STANDARD.encode(last), server_final })
    }
}

/// A client that was challenged.
pub(crate) struct ScramChallenged {
    last: String,
    server_final: String,
}

impl ScramChallenged {
    /// Sends the proof, and checks the server's where it comes, so that only the end of the exchange is left.
    pub(crate) async fn send_proof<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut SmtpClient<S>,
    ) -> String {
        let reply = client.command(&self.last).await;
        if let Some(server_final) = challenge(&reply) {
            assert_eq!(server_final, self.server_final, "the server's proof");
        }
        reply
    }

    /// The second half: the last reply.
    pub(crate) async fn prove<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: &mut SmtpClient<S>,
    ) -> String {
        let reply = self.send_proof(client).await;
        if reply.starts_with("334 ") { client.command("").await } else { reply }
    }
}

fn challenge(reply: &str) -> Option<String> {
    let decoded = BASE64_STANDARD.decode(reply.strip_prefix("334 ")?).expect("base64");
    Some(String::from_utf8(decoded).expect("UTF-8"))
}
