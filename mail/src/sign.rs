//! DKIM signatures (RFC 6376, RFC 8463): relaxed/relaxed, SHA-256, Ed25519 or RSA.
//!
//! Made here rather than by mail-auth, which takes the time from the system clock and, in 0.13, hashes a body
//! that ends in lines of white space otherwise than RFC 6376, 3.4.4 says.

use crate::{
    Domain, Timestamp,
    fields::{Field, fields, split},
};
use aws_lc_rs::{
    digest::{Context, SHA256, digest},
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use memchr::memchr2_iter;
use std::{fmt, sync::Arc};

/// A private key to sign with.
pub struct DkimKey(Key);

enum Key {
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// Why a key cannot be used. Says nothing about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DkimKeyError {
    /// Neither an Ed25519 nor an RSA private key.
    #[error("is not a PKCS#8 private key for Ed25519 or for RSA of 2,048 bits or more; make a new one")]
    Unusable,
    /// The text has no key in PEM form.
    #[error("is not in PEM form, a block of base64 that begins with -----BEGIN PRIVATE KEY-----")]
    NotPem,
    /// No key could be generated.
    #[error("could not be generated; the system has no random numbers")]
    NotGenerated,
}

impl DkimKey {
    /// Reads an Ed25519 or RSA key from PKCS#8 (RFC 5958) in DER.
    ///
    /// # Errors
    /// When it is neither, is damaged, or an RSA key of less than 2,048 bits.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<DkimKey, DkimKeyError> {
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
            .map(Key::Ed25519)
            .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Key::Rsa))
            .map(DkimKey)
            .map_err(|_| DkimKeyError::Unusable)
    }

    /// Reads a key in PEM form: PKCS#8 (`PRIVATE KEY`), or PKCS#1 (`RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// When there is no such block, or the key is not one for [`DkimKey::from_pkcs8_der`].
    pub fn from_pem(pem: &str) -> Result<DkimKey, DkimKeyError> {
        if let Some(der) = pem_block(pem, "PRIVATE KEY") {
            return DkimKey::from_pkcs8_der(&der);
        }
        let der = pem_block(pem, "RSA PRIVATE KEY").ok_or(DkimKeyError::NotPem)?;
        RsaKeyPair::from_der(&der).map(Key::Rsa).map(DkimKey).map_err(|_| DkimKeyError::Unusable)
    }

    /// A new Ed25519 key, as PKCS#8 in DER. It is secret.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate_ed25519() -> Result<Vec<u8>, DkimKeyError> {
        let document =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| DkimKeyError::NotGenerated)?;
        Ok(document.as_ref().to_vec())
    }

    /// A new RSA key of 2,048 bits, as PKCS#8 in DER. It is secret. Takes a good part of a second.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate_rsa() -> Result<Vec<u8>, DkimKeyError> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| DkimKeyError::NotGenerated)?;
        let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| DkimKeyError::NotGenerated)?;
        Ok(der.as_ref().to_vec())
    }

    /// The content of the TXT record at `<selector>._domainkey.<domain>`. One of an RSA key has more than 255
    /// octets, and so takes several strings in a zone file.
    pub fn dns_record(&self) -> String {
        let kind = match self.0 {
            Key::Ed25519(_) => "ed25519",
            Key::Rsa(_) => "rsa",
        };
        format!("v=DKIM1; k={kind}; p={}", STANDARD.encode(self.public_key()))
    }

    /// Whether a signature costs about a millisecond of a processor, too much for a thread that others wait for.
    pub fn is_slow(&self) -> bool {
        matches!(self.0, Key::Rsa(_))
    }

    /// As DNS has it: 32 octets for Ed25519 (RFC 8463, 4), SubjectPublicKeyInfo for RSA (RFC 6376, 3.6.1).
    fn public_key(&self) -> Vec<u8> {
        match &self.0 {
            Key::Ed25519(key) => key.public_key().as_ref().to_vec(),
            Key::Rsa(key) => {
                let der: PublicKeyX509Der<'_> =
                    key.public_key().as_der().expect("a parsed key can be written");
                der.as_ref().to_vec()
            }
        }
    }

    fn algorithm(&self) -> &'static str {
        match self.0 {
            Key::Ed25519(_) => "ed25519-sha256",
            Key::Rsa(_) => "rsa-sha256",
        }
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.0 {
            // RFC 8463, 3: what Ed25519 signs is the hash.
            Key::Ed25519(key) => Ok(key.sign(digest(&SHA256, input).as_ref()).as_ref().to_vec()),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature)
                    .map_err(|_| SignError::Failed)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DkimKey({})", self.algorithm())
    }
}

/// Signs for one domain with one key.
#[derive(Clone, Debug)]
pub struct DkimSigner {
    domain: Domain,
    selector: Box<str>,
    key: Arc<DkimKey>,
}

/// Why there is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The selector cannot stand in DNS.
    #[error("the DKIM selector must be 1 to 63 letters, digits, hyphens and underscores between dots")]
    Selector,
    /// The message has no From header, which a signature must cover (RFC 6376, 5.4).
    #[error("a message without a From header cannot be signed with DKIM")]
    NoFrom,
    /// The key could not be used.
    #[error("the DKIM signature could not be made")]
    Failed,
}

impl DkimSigner {
    /// Signs for `domain`, whose key is published under `selector`.
    ///
    /// # Errors
    /// [`SignError::Selector`].
    pub fn new(domain: Domain, selector: &str, key: Arc<DkimKey>) -> Result<DkimSigner, SignError> {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if selector.len() > 200 || !selector.split('.').all(is_label) {
            return Err(SignError::Selector);
        }
        Ok(DkimSigner { domain, selector: selector.into(), key })
    }

    /// The key.
    pub fn key(&self) -> &DkimKey {
        &self.key
    }

    /// The `DKIM-Signature` header with its line end, to be put in front of `content`, a message with CRLF lines.
    /// Signed are the headers that say who, what, when and how, as often as they are there; and of those a
    /// reader sees, one more, so that nobody can add a second one.
    ///
    /// # Errors
    /// When there is no From header or the key fails.
    pub fn sign(&self, content: &[u8], now: Timestamp) -> Result<Vec<u8>, SignError> {
        let (header, body) = split(content);
        let signed = SignedHeaders::of(header)?;

        let mut value = format!(
            " v=1; a={}; c=relaxed/relaxed;\r\n\td={}; s={}; t={};\r\n\th=",
            self.key.algorithm(),
            self.domain.as_ascii(),
            self.selector,
            now.as_secs().max(0),
        );
        signed.write_names(&mut value);
        value.push_str(";\r\n\tbh=");
        value.push_str(&STANDARD.encode(body_hash(body)));
        value.push_str(";\r\n\tb=");

        let mut input = signed.canonical;
        write_relaxed(&mut input, Field { name: b"DKIM-Signature", value: value.as_bytes() });
        let signature = STANDARD.encode(self.key.sign(&input)?);

        let mut out = Vec::with_capacity(value.len() + signature.len() + 64);
        out.extend_from_slice(b"DKIM-Signature:");
        out.extend_from_slice(value.as_bytes());
        write_folded(&mut out, signature.as_bytes());
        Ok(out)
    }
}

/// Signed where present.
const SIGNED: [&str; 27] = [
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "Content-Type",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Sender",
    "In-Reply-To",
    "References",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
    "Auto-Submitted",
    "Feedback-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Require-Recipient-Valid-Since",
];
/// How many of [`SIGNED`], from its start, are signed once more than they are present.
const OVERSIGNED: usize = 10;

struct SignedHeaders {
    /// Indexes of [`SIGNED`], one for each time that the name stands in `h=`.
    names: Vec<usize>,
    /// The signed headers in relaxed form.
    canonical: Vec<u8>,
}

impl SignedHeaders {
    fn of(header: &[u8]) -> Result<SignedHeaders, SignError> {
        let mut present: Vec<(usize, Field<'_>)> = Vec::new();
        for field in fields(header) {
            if let Some(index) = SIGNED.iter().position(|name| field.is(name)) {
                present.push((index, field));
            }
        }
        // Of several headers of one name the last counts first (RFC 6376, 5.4.2).
        present.reverse();
        present.sort_by_key(|(index, _)| *index);
        if present.first().is_none_or(|(index, _)| *index != 0) {
            return Err(SignError::NoFrom);
        }
        let mut canonical = Vec::with_capacity(header.len() + 512);
        for (_, field) in &present {
            write_relaxed(&mut canonical, *field);
            canonical.extend_from_slice(b"\r\n");
        }
        let mut names: Vec<_> = present.iter().map(|(index, _)| *index).chain(0..OVERSIGNED).collect();
        names.sort_unstable();
        Ok(SignedHeaders { names, canonical })
    }

    fn write_names(&self, out: &mut String) {
        let mut column = 10;
        for (at, &index) in self.names.iter().enumerate() {
            let name = SIGNED[index];
            if at > 0 {
                out.push(':');
                column += 1;
            }
            if column + name.len() > 76 {
                out.push_str("\r\n\t");
                column = 8;
            }
            out.push_str(name);
            column += name.len();
        }
    }
}

/// A header in relaxed form without its line end (RFC 6376, 3.4.2).
fn write_relaxed(out: &mut Vec<u8>, field: Field<'_>) {
    out.extend(field.name.iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let mut space = false;
    for &b in field.value.trim_ascii() {
        match b {
            b' ' | b'\t' | b'\r' | b'\n' => space = true,
            _ => {
                if space {
                    out.push(b' ');
                    space = false;
                }
                out.push(b);
            }
        }
    }
}

/// The hash of the body in relaxed form (RFC 6376, 3.4.4).
fn body_hash(body: &[u8]) -> [u8; 32] {
    let body = without_trailing_blank(body);
    let mut hash = Context::new(&SHA256);
    // All that is canonical already is hashed in one go, up to white space that is not.
    let mut done = 0;
    for at in memchr2_iter(b' ', b'\t', body) {
        if at < done {
            continue;
        }
        let end = at + body[at..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let at_line_end = body[end..].starts_with(b"\r\n");
        if !at_line_end && body[at..end] == *b" " {
            continue;
        }
        hash.update(&body[done..at]);
        if !at_line_end {
            hash.update(b" ");
        }
        done = end;
    }
    hash.update(&body[done..]);
    if !body.is_empty() {
        hash.update(b"\r\n");
    }
    hash.finish().as_ref().try_into().expect("SHA-256 has 32 octets")
}

fn without_trailing_blank(body: &[u8]) -> &[u8] {
    let mut body = body;
    loop {
        body = match body {
            [rest @ .., b' ' | b'\t'] | [rest @ .., b'\r', b'\n'] => rest,
            _ => return body,
        };
    }
}

fn write_folded(out: &mut Vec<u8>, base64: &[u8]) {
    for (at, line) in base64.chunks(70).enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\r\n\t");
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b"\r\n");
}

fn pem_block(pem: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (block, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let base64: Vec<u8> = block.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    STANDARD.decode(base64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    const MESSAGE: &str = "From: Joe <joe@football.example.com>\r\nTo:  Suzie\t<suzie@shopping.example.net>\r\n\
        Subject: Is dinner\r\n ready?\r\nTo: second@example.net\r\nX-Other: not signed\r\n\
        List-Unsubscribe: <https://example.org/u>\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n";

    fn key(der: Result<Vec<u8>, DkimKeyError>) -> Arc<DkimKey> {
        Arc::new(DkimKey::from_pkcs8_der(&der.unwrap()).unwrap())
    }

    fn signer(key: Arc<DkimKey>) -> DkimSigner {
        DkimSigner::new(Domain::parse("football.example.com").unwrap(), "brisbane", key).unwrap()
    }

    fn tag<'a>(header: &'a str, name: &str) -> &'a str {
        let tags = header.split(';').map(|tag| tag.split_once('=').unwrap());
        tags.rev().find(|(n, _)| n.rsplit([' ', '\t', ':', '\n']).next() == Some(name)).unwrap().1
    }

    /// A verifier of its own: it takes the headers named in `h=`, from the bottom up.
    fn verifies(signature: &str, message: &str, record: &str) -> bool {
        let (header, body) = message.split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<String> = Vec::new();
        for line in header.split("\r\n") {
            match line.strip_prefix([' ', '\t']) {
                Some(more) => *lines.last_mut().unwrap() += &format!(" {more}"),
                None => lines.push(line.to_owned()),
            }
        }
        let relaxed = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            let words: Vec<_> = value.split_ascii_whitespace().collect();
            format!("{}:{}", name.to_lowercase(), words.join(" "))
        };
        let mut input = String::new();
        for name in tag(signature, "h").split(':').map(|name| name.trim().to_lowercase()) {
            let of_name = |line: &String| line.to_lowercase().starts_with(&format!("{name}:"));
            if let Some(at) = lines.iter().rposition(of_name) {
                input += &format!("{}\r\n", relaxed(&lines.remove(at)));
            }
        }
        let b: String = tag(signature, "b").split_ascii_whitespace().collect();
        let until_b = &signature[..signature.rfind("\tb=").unwrap() + 3];
        input += &relaxed(until_b);
        if tag(signature, "bh") != STANDARD.encode(body_hash(body.as_bytes())) {
            return false;
        }
        let public = STANDARD.decode(tag(record, "p")).unwrap();
        let b = STANDARD.decode(b).unwrap();
        if record.contains("k=ed25519") {
            let hash = digest(&SHA256, input.as_bytes());
            UnparsedPublicKey::new(&ED25519, public).verify(hash.as_ref(), &b).is_ok()
        } else {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(input.as_bytes(), &b).is_ok()
        }
    }

    #[test]
    fn signatures_verify_until_the_message_changes() {
        for key in [key(DkimKey::generate_ed25519()), key(DkimKey::generate_rsa())] {
            let record = key.dns_record();
            let header =
                signer(key).sign(MESSAGE.as_bytes(), Timestamp::from_millis(1_528_637_909_000)).unwrap();
            let header = String::from_utf8(header).unwrap();
            assert!(verifies(&header, MESSAGE, &record), "{header}");
            assert!(header.lines().all(|line| line.len() < 80) && header.ends_with("\r\n"), "{header}");
            assert_eq!(tag(&header, "t"), "1528637909");
            assert_eq!(tag(&header, "h").split(':').filter(|name| name.trim() == "To").count(), 3);
            assert!(verifies(&header, &MESSAGE.replace("X-Other", "X-Changed"), &record));
            assert!(verifies(&header, &MESSAGE.replace("game.  Are", "game. Are"), &record));
            for (from, to) in [
                ("lost", "won"),
                ("Subject: Is", "Subject: is"),
                ("From:", "From: evil@example.org\r\nFrom:"),
                ("example.org/u", "example.org/x"),
                ("X-Other: not signed", "Reply-To: evil@example.org"),
            ] {
                assert!(!verifies(&header, &MESSAGE.replace(from, to), &record), "{from} to {to}");
            }
        }
    }

    #[test]
    fn bodies_are_hashed_in_relaxed_form() {
        let hash = |body: &str| STANDARD.encode(body_hash(body.as_bytes()));
        // RFC 8463, A.3, and the hash of nothing.
        let game = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
        assert_eq!(hash(game), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
        for empty in ["", "\r\n", "\r\n\r\n", " \t\r\n  \r\n"] {
            assert_eq!(hash(empty), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "{empty:?}");
        }
        let rows = [
            // RFC 6376, 3.4.5.
            (" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
            ("a\r\n \t\r\n", "a\r\n"),
            ("a \r\n \r\nb", "a\r\n\r\nb\r\n"),
            ("\ta\t\tb\t\r\n", " a b\r\n"),
            ("a b c", "a b c\r\n"),
            ("a\rb \nc\r\n", "a\rb \nc\r\n"),
        ];
        for (body, canonical) in rows {
            let expected = STANDARD.encode(digest(&SHA256, canonical.as_bytes()));
            assert_eq!(hash(body), expected, "{body:?}");
        }
    }

    #[test]
    fn headers_are_relaxed_as_in_the_example_of_the_rfc() {
        let mut out = Vec::new();
        for field in fields(b"A: X\r\nB : Y\t\r\n\tZ  \r\n") {
            write_relaxed(&mut out, field);
            out.extend_from_slice(b"\r\n");
        }
        assert_eq!(out, b"a:X\r\nb:Y Z\r\n");
    }

    #[test]
    fn keys_are_read_in_pem_form_and_kept_secret() {
        let der = DkimKey::generate_ed25519().unwrap();
        let base64 = STANDARD.encode(&der);
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n{}\n-----END PRIVATE KEY-----\n",
            &base64[..64],
            &base64[64..]
        );
        let key = DkimKey::from_pem(&pem).unwrap();
        assert_eq!(key.dns_record(), DkimKey::from_pkcs8_der(&der).unwrap().dns_record());
        assert_eq!(format!("{key:?}"), "DkimKey(ed25519-sha256)");
        assert!(!key.is_slow());
        assert_eq!(DkimKey::from_pem("hello").unwrap_err(), DkimKeyError::NotPem);
        assert_eq!(DkimKey::from_pkcs8_der(&der[1..]).unwrap_err(), DkimKeyError::Unusable);
        assert_eq!(STANDARD.decode(tag(&key.dns_record(), "p")).unwrap().len(), 32);
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let signer = signer(key(DkimKey::generate_ed25519()));
        let now = Timestamp::from_millis(0);
        assert_eq!(signer.sign(b"To: a@example.org\r\n\r\nhi\r\n", now), Err(SignError::NoFrom));
        assert!(signer.sign(b"From: a@example.org\r\n", now).is_ok());
        for selector in ["", "a b", "a;d=evil", "a..b", "ä", &"x".repeat(64)] {
            let made = DkimSigner::new(signer.domain.clone(), selector, signer.key.clone());
            assert_eq!(made.map(|_| ()), Err(SignError::Selector), "{selector:?}");
        }
    }
}
