//! A received message as its authentication needs it. Hashing works a while on large ones, so these belong on a thread
//! that may block.

use bytes::Bytes;
use mail::Domain;
use mail_auth::{AuthenticatedMessage, common::crypto::HashAlgorithm, dkim::Canonicalization};

/// A larger header is not verified.
const HEADER_MAX: usize = 256 * 1024;
/// The most fields of a header that is. Each name in a signature is looked for among them.
const FIELDS_MAX: usize = 1000;

/// A message and what is known of it before anybody is asked.
#[derive(Debug)]
pub(in crate::smtp_in) struct Received {
    content: Bytes,
    /// Without `Authentication-Results` fields that claim to be ours, where there are any.
    cleaned: Option<Bytes>,
    header: Header,
}

#[derive(Debug)]
enum Header {
    Usual {
        length: usize,
        body_hashes: Vec<BodyHash>,
    },
    /// Its signatures are not looked at.
    Huge {
        from: Vec<String>,
    },
    None,
}

/// For each way in which a signature wants it.
type BodyHash = (Canonicalization, HashAlgorithm, u64, Vec<u8>);

impl Received {
    /// Reads the message, for a server that goes by the name `hostname`. Where nobody is asked, `verifying` is false.
    pub(in crate::smtp_in) fn read(content: Bytes, hostname: &Domain, verifying: bool) -> Received {
        let header = if verifying { Header::read(&content) } else { Header::None };
        let cleaned = mail::without_results_of(hostname, &content).map(Bytes::from);
        Received { content, cleaned, header }
    }

    /// The message to verify: what was signed, even if it is not to be kept. `None` without a header.
    pub(super) fn message(&self) -> Option<AuthenticatedMessage<'_>> {
        match &self.header {
            Header::Usual { length, body_hashes } => {
                // Of the body the hashes are enough, and they were made elsewhere.
                let mut message = AuthenticatedMessage::parse(&self.content[..*length])?;
                message.body_hashes.clone_from(body_hashes);
                Some(message)
            }
            Header::Huge { from } => {
                Some(AuthenticatedMessage { from: from.clone(), ..AuthenticatedMessage::default() })
            }
            Header::None => None,
        }
    }

    /// The bytes to keep.
    pub(in crate::smtp_in) fn into_content(self) -> Bytes {
        self.cleaned.unwrap_or(self.content)
    }
}

impl Header {
    fn read(content: &[u8]) -> Header {
        match AuthenticatedMessage::parse(content) {
            Some(message) if message.body_offset() > HEADER_MAX || message.headers.len() > FIELDS_MAX => {
                Header::Huge { from: message.from }
            }
            Some(message) => {
                Header::Usual { length: message.body_offset(), body_hashes: message.body_hashes }
            }
            None => Header::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(content: &str) -> Received {
        Received::read(
            Bytes::copy_from_slice(content.as_bytes()),
            &Domain::parse("mx.example").unwrap(),
            true,
        )
    }

    const SIGNATURE: &str =
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s; h=From; bh=aGFzaA==; b=c2lnbg==\r\n";

    #[test]
    fn the_header_and_the_hashes_make_the_same_message() {
        let content = format!("{SIGNATURE}From: A@Example.org\r\n\r\na body\r\n");
        let received = received(&content);
        let whole = AuthenticatedMessage::parse(content.as_bytes()).unwrap();
        let message = received.message().unwrap();
        assert_eq!(message.from, ["a@example.org"]);
        assert_eq!((&message.dkim_headers, &message.headers), (&whole.dkim_headers, &whole.headers));
        assert_eq!(message.body_hashes, whole.body_hashes);
        assert!(!message.body_hashes.is_empty());
    }

    #[test]
    fn a_huge_header_is_not_verified_but_its_author_is_known() {
        for filler in ["x:\r\n".repeat(FIELDS_MAX), format!("X: {}\r\n", "x".repeat(HEADER_MAX))] {
            let content = format!("{SIGNATURE}{filler}From: a@example.org\r\n\r\nbody\r\n");
            let received = received(&content);
            let message = received.message().unwrap();
            assert_eq!((message.from.len(), message.dkim_headers.len()), (1, 0));
        }
    }

    #[test]
    fn what_is_verified_is_what_came_and_what_is_kept_has_no_forged_results() {
        let forged = "Authentication-Results: mx.example; dmarc=pass\r\n";
        let content = format!("{forged}{SIGNATURE}From: a@example.org\r\n\r\nbody\r\n");
        let received = received(&content);
        assert_eq!(received.message().unwrap().headers.len(), 3);
        assert_eq!(received.into_content(), content.replace(forged, ""));
        assert!(super::tests::received("\r\nno header\r\n").message().is_none());
    }
}
