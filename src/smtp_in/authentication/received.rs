//! A received message as its authentication needs it. Hashing and copying work a while on large ones, so these belong on
//! a thread that may block.

use bytes::Bytes;
use mail::{Domain, UnclearAuthors, author_domains};
use mail_auth::{AuthenticatedMessage, common::crypto::HashAlgorithm, dkim::Canonicalization};

/// A larger header is not verified.
const HEADER_MAX: usize = 256 * 1024;
/// The most fields of a header that is. Each name in a signature is looked for among them.
const FIELDS_MAX: usize = 1000;

/// A message and what is known of it before anybody is asked.
#[derive(Debug)]
pub(in crate::smtp_in) struct Received {
    content: Bytes,
    verified: Option<VerifiedHeader>,
    authors: Authors,
}

/// The domains of those in From, each once, as mail-auth asks for them; or why there is no saying.
pub(super) type Authors = Result<Vec<String>, AuthorsFault>;

/// Why nobody can tell who the author of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::smtp_in) enum AuthorsFault {
    /// There is more than one From field, against RFC 5322, section 3.6: which of them a reader sees, nobody knows.
    Repeated,
    /// Readers may see different authors: in the field, or since some think that the header ends before it.
    Unclear,
}

/// A header of which the signatures are looked at.
#[derive(Debug)]
struct VerifiedHeader {
    length: usize,
    body_hashes: Vec<BodyHash>,
}

/// For each way in which a signature wants it.
type BodyHash = (Canonicalization, HashAlgorithm, u64, Vec<u8>);

impl Received {
    /// Reads the message. Where nobody is asked, `verifying` is false.
    pub(in crate::smtp_in) fn read(content: Bytes, verifying: bool) -> Received {
        if !verifying {
            return Received { content, verified: None, authors: Ok(Vec::new()) };
        }
        let message = AuthenticatedMessage::parse(&content);
        let authors = authors(&content, message.as_ref());
        let verified = message.and_then(VerifiedHeader::of);
        Received { content, verified, authors }
    }

    /// The message to verify: what was signed, even if it is not to be kept. `None` without a header, or with one of
    /// which the signatures are not looked at.
    pub(super) fn message(&self) -> Option<AuthenticatedMessage<'_>> {
        let verified = self.verified.as_ref()?;
        // Of the body the hashes are enough, and they were made elsewhere.
        let mut message = AuthenticatedMessage::parse(&self.content[..verified.length])?;
        message.body_hashes.clone_from(&verified.body_hashes);
        Some(message)
    }

    /// Whose policy counts.
    pub(super) fn authors(&self) -> &Authors {
        &self.authors
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

/// Those that are shown, provided that signatures are about them too: that mail-auth sees the same From field.
fn authors(content: &[u8], message: Option<&AuthenticatedMessage<'_>>) -> Authors {
    let mut shown = mail::from_fields(content);
    let signed = message.map(|message| message.headers.as_slice()).unwrap_or_default();
    let mut signed = signed.iter().filter(|(name, _)| is_from(name)).map(|(_, value)| *value);
    match [(shown.next(), shown.next()), (signed.next(), signed.next())] {
        [(None, _), (None, _)] => Ok(Vec::new()),
        [(Some(shown), None), (Some(signed), None)] if is_same(shown, signed) => {
            author_domains(shown).map_err(|UnclearAuthors| AuthorsFault::Unclear)
        }
        [(_, Some(_)), _] | [_, (_, Some(_))] => Err(AuthorsFault::Repeated),
        _ => Err(AuthorsFault::Unclear),
    }
}

/// As mail-auth sees it, white space anywhere.
fn is_from(name: &[u8]) -> bool {
    let name = name.iter().filter(|b| !b.is_ascii_whitespace());
    name.map(u8::to_ascii_lowercase).eq(*b"from")
}

/// Whether they are the same octets in the same place.
fn is_same(value: &[u8], other: &[u8]) -> bool {
    std::ptr::eq(value.trim_ascii_end(), other.trim_ascii_end())
}

impl VerifiedHeader {
    fn of(message: AuthenticatedMessage<'_>) -> Option<VerifiedHeader> {
        let length = message.body_offset();
        let usual = length <= HEADER_MAX && message.headers.len() <= FIELDS_MAX;
        usual.then_some(VerifiedHeader { length, body_hashes: message.body_hashes })
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
        assert_eq!(*received.authors(), Ok(vec!["example.org".to_owned()]));
        assert_eq!((&message.dkim_headers, &message.headers), (&whole.dkim_headers, &whole.headers));
        assert_eq!(message.body_hashes, whole.body_hashes);
        assert!(!message.body_hashes.is_empty());
    }

    #[test]
    fn a_huge_header_is_not_verified_but_its_author_is_known() {
        for filler in ["x:\r\n".repeat(FIELDS_MAX), format!("X: {}\r\n", "x".repeat(HEADER_MAX))] {
            let content = format!("{SIGNATURE}{filler}From: a@example.org\r\n\r\nbody\r\n");
            let received = received(&content);
            assert!(received.message().is_none());
            assert_eq!(*received.authors(), Ok(vec!["example.org".to_owned()]));
        }
    }

    #[test]
    fn the_authors_are_those_that_every_reader_sees() {
        use AuthorsFault::{Repeated, Unclear};
        let huge = "x:\r\n".repeat(FIELDS_MAX);
        for (content, expected) in [
            ("From: a@example.org\r\n\r\nFrom: b@other.example\r\n", Ok(&["example.org"][..])),
            ("From: a@example.org, b@other.example\r\n\r\n", Ok(&["example.org", "other.example"])),
            ("FROM\t: a@example.org\r\n\r\n", Ok(&["example.org"])),
            ("From:\r\n a@example.org\r\n\r\n", Ok(&["example.org"])),
            ("From: a@example.org\r\njunk\r\nTo: x\r\n\r\n", Ok(&["example.org"])),
            (
                "From a@example.org  Sun Nov 22 10:00:00 2026\r\nFrom: b@example.org\r\n\r\n",
                Ok(&["example.org"]),
            ),
            ("Subject: s\r\n\r\n", Ok(&[])),
            ("Sender: a@example.org\r\n\r\n", Ok(&[])),
            ("\r\nFrom: a@example.org\r\n", Ok(&[])),
            ("junk\r\n\r\n", Ok(&[])),
            ("Fr\0om: a@example.org\r\n\r\n", Ok(&[])),
            ("From\u{a0}: a@example.org\r\n\r\n", Ok(&[])),
            ("From: a@example.org\r\nfrom : b@example.org\r\n\r\n", Err(Repeated)),
            ("From: a@example.org\r\nx\r\nFrom: b@example.org\r\n\r\n", Err(Repeated)),
            (&format!("From: a@example.org\r\n{huge}From: a@example.org\r\n\r\n"), Err(Repeated)),
            ("From: a@example.org\r\nF rom: b@example.org\r\n\r\n", Err(Repeated)),
            ("Subject: s\r\njunk\r\nFrom: a@example.org\r\n\r\n", Err(Unclear)),
            ("junk\r\nFrom: a@example.org\r\n\r\n", Err(Unclear)),
            (" \r\nFrom: a@example.org\r\n\r\n", Err(Unclear)),
            (" junk\r\nFrom: a@example.org\r\n\r\n", Err(Unclear)),
            (" From: a@example.org\r\n\r\n", Err(Unclear)),
            ("F rom: a@example.org\r\n\r\n", Err(Unclear)),
            ("From\r\n : a@example.org\r\n\r\n", Err(Unclear)),
            ("From: a@example.org", Err(Unclear)),
            ("From: a@(x)example.org\r\n\r\n", Err(Unclear)),
        ] {
            let expected = expected.map(|domains| domains.iter().map(|&domain| domain.to_owned()).collect());
            assert_eq!(*received(content).authors(), expected, "{content:?}");
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

    /// What a From field and its surroundings are made of by somebody who wants another author judged than is shown.
    const AUTHORS: [&str; 31] = [
        "ceo@bank.test",
        "a@good.test",
        "<ceo@bank.test>",
        "<a@good.test>",
        "ceo@",
        "bank.test",
        "@",
        "<",
        ">",
        ",",
        ";",
        ":",
        "(",
        ")",
        "\"",
        "\\",
        ".",
        "[",
        "]",
        " ",
        "=?utf-8?q?ceo=40bank.test?=",
        "Name",
        "ü",
        "\0",
        "\r\n",
        "\r\n ",
        "\r\n\r\n",
        "\r\nFrom:",
        "\r\n From :",
        "\r\nF rom:",
        "\r\njunk\r\n",
    ];

    /// What a person makes of an address.
    fn domain_at_its_end(shown: &mail::read::NameAddressText) -> Option<String> {
        let (_, domain) = shown.address.rsplit_once('@')?;
        let domain: String = domain.chars().filter(|c| !c.is_whitespace()).collect();
        let domain = domain.trim_end_matches('.').to_lowercase();
        Some(Domain::parse(&domain).map_or(domain, |domain| domain.as_ascii().to_owned()))
    }

    proptest! {
        #[test]
        fn the_domains_that_are_judged_are_those_that_are_shown(
            before in vec(select(&AUTHORS[..]), 0..3),
            value in vec(select(&AUTHORS[..]), 0..8),
            after in vec(select(&AUTHORS[..]), 0..3),
        ) {
            let (before, value, after) = (before.concat(), value.concat(), after.concat());
            let content = format!("{before}\r\nFrom: {value}\r\nTo: {after}\r\n\r\nbody\r\n");
            if let Ok(judged) = received(&content).authors() {
                let shown = mail::read::read(content.as_bytes()).message.from;
                let domains: Vec<_> = shown.iter().filter_map(domain_at_its_end).collect();
                let literals = shown.iter().filter(|shown| shown.address.ends_with(']')).count();
                prop_assert_eq!(literals, 0, "{:?}", content);
                for domain in &domains {
                    prop_assert!(judged.contains(domain), "{:?} shows {:?}", content, shown);
                }
                // A name that does not end takes the address with it.
                if domains.is_empty() && judged.len() == 1 && value.matches('@').count() == 1 {
                    prop_assert!(value.contains(&judged[0]), "{:?}", content);
                    return Ok(());
                }
                prop_assert!(judged.iter().all(|judged| domains.contains(judged)), "{:?}", content);
                let hidden = shown.iter().any(|shown| shown.address.is_empty() && shown.name.contains('@'));
                prop_assert!(!hidden, "{:?} shows {:?}", content, shown);
            }
        }

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
