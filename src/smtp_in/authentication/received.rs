//! A received message as its authentication needs it. Hashing and copying work a while on large ones, so these belong on
//! a thread that may block.

use super::signatures::is_named;
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
    header: Header,
    authors: Authors,
}

/// How often there is a From field, where it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::smtp_in) enum Authors {
    /// Once, not at all, or nobody asks.
    Usual,
    /// More than once, against RFC 5322, section 3.6: which of them a reader sees, nobody knows.
    Repeated,
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
    /// Reads the message. Where nobody is asked, `verifying` is false.
    pub(in crate::smtp_in) fn read(content: Bytes, verifying: bool) -> Received {
        let message = if verifying { AuthenticatedMessage::parse(&content) } else { None };
        let authors = message.as_ref().map_or(Authors::Usual, Authors::of);
        let header = message.map_or(Header::None, Header::of);
        Received { content, header, authors }
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

    /// How often there is a From field.
    pub(super) fn authors(&self) -> Authors {
        self.authors
    }

    /// How many bytes came.
    pub(in crate::smtp_in) fn size(&self) -> usize {
        self.content.len()
    }

    /// The bytes to keep: without `Authentication-Results` fields that claim to be of `hostname`, which is us.
    pub(in crate::smtp_in) fn into_content(self, hostname: &Domain) -> Bytes {
        mail::without_results_of(hostname, &self.content).map_or(self.content, Bytes::from)
    }
}

impl Authors {
    fn of(message: &AuthenticatedMessage<'_>) -> Authors {
        match message.headers.iter().filter(|(name, _)| is_named(name, "From")).nth(1) {
            Some(_) => Authors::Repeated,
            None => Authors::Usual,
        }
    }
}

impl Header {
    fn of(message: AuthenticatedMessage<'_>) -> Header {
        let length = message.body_offset();
        if length > HEADER_MAX || message.headers.len() > FIELDS_MAX {
            return Header::Huge { from: message.from };
        }
        Header::Usual { length, body_hashes: message.body_hashes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp_in::authentication::signatures::take_out_unacceptable;
    use proptest::{collection::vec, prelude::*, sample::select};

    fn received(content: &str) -> Received {
        Received::read(Bytes::copy_from_slice(content.as_bytes()), true)
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
    fn a_second_from_field_is_seen() {
        let huge = "x:\r\n".repeat(FIELDS_MAX);
        for (content, expected) in [
            ("From: a@example.org\r\n\r\nFrom: b@example.org\r\n", Authors::Usual),
            ("From: a@example.org, b@example.org\r\n\r\n", Authors::Usual),
            ("Subject: s\r\n\r\n", Authors::Usual),
            ("From: a@example.org\r\nfrom : b@example.org\r\n\r\n", Authors::Repeated),
            (&format!("From: a@example.org\r\n{huge}From: a@example.org\r\n\r\n"), Authors::Repeated),
        ] {
            assert_eq!(received(content).authors(), expected, "{content:?}");
        }
    }

    #[test]
    fn what_is_verified_is_what_came_and_what_is_kept_has_no_forged_results() {
        let forged = "Authentication-Results: mx.example; dmarc=pass\r\n";
        let content = format!("{forged}{SIGNATURE}From: a@example.org\r\n\r\nbody\r\n");
        let received = received(&content);
        assert_eq!(received.message().unwrap().headers.len(), 3);
        assert_eq!(received.into_content(&Domain::parse("mx.example").unwrap()), content.replace(forged, ""));
        assert!(super::tests::received("\r\nno header\r\n").message().is_none());
    }

    /// What headers that somebody tampers with are made of.
    const PIECES: [&str; 28] = [
        "DKIM-Signature:",
        "ARC-Seal: i=1;",
        "ARC-Message-Signature: i=1;",
        "ARC-Authentication-Results: i=1;",
        "From:",
        "Authentication-Results:",
        "\r\n",
        "\r\n\r\n",
        "\r\n\t",
        " ",
        ";",
        ":",
        "=",
        "\"",
        "(",
        "\\",
        "@",
        "<",
        "a=rsa-sha256;",
        "a=rsa-sha1; c=simple/relaxed;",
        "d=example.org; s=s;",
        "h=From:;",
        "bh=aGFzaA==;",
        "b=c2ln;",
        "l=99999999999999999999;",
        "mx.example",
        "ü",
        "\0",
    ];

    proptest! {
        #[test]
        fn no_header_breaks_its_reader(pieces in vec(select(&PIECES[..]), 0..60)) {
            let content = pieces.concat();
            let received = received(&content);
            if let Some(mut message) = received.message() {
                take_out_unacceptable(&mut message);
                for field in &message.dkim_headers {
                    let hashed = message.body_hashes.iter().any(|(form, ..)| *form == field.header.cb);
                    prop_assert!(hashed, "{content:?}");
                }
            }
            let kept = received.into_content(&Domain::parse("mx.example").unwrap());
            prop_assert!(kept.len() <= content.len());
        }
    }
}
