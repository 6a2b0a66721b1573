//! DKIM signatures (RFC 6376, RFC 8463) by mail-auth: relaxed/simple, SHA-256, Ed25519 or RSA.

use crate::{
    Domain,
    fields::{split, unfolded, whole_fields},
};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{KeySize, PublicKey},
    signature::RsaKeyPair,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use mail_auth::{
    common::{
        crypto::{self, Algorithm, Ed25519Key, RsaKey, Sha256, SigningKey},
        headers::{HeaderWriter, Writable},
    },
    dkim::{self, Canonicalization},
};
use memchr::memchr;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use std::{fmt, sync::Arc};

/// A private key to sign with.
pub struct DkimKey(crypto::DkimKey);

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
        match Ed25519Key::from_pkcs8_maybe_unchecked_der(der) {
            Ok(key) => Ok(DkimKey(key.into())),
            Err(_) => DkimKey::rsa(PrivateKeyDer::Pkcs8(der.into())),
        }
    }

    /// Reads a key in PEM form: PKCS#8 (`PRIVATE KEY`), or PKCS#1 (`RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// When there is no such block, or the key is not one for [`DkimKey::from_pkcs8_der`].
    pub fn from_pem(pem: &str) -> Result<DkimKey, DkimKeyError> {
        match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| DkimKeyError::NotPem)? {
            PrivateKeyDer::Pkcs8(der) => DkimKey::from_pkcs8_der(der.secret_pkcs8_der()),
            der => DkimKey::rsa(der),
        }
    }

    /// A new Ed25519 key, as PKCS#8 in DER. It is secret.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate_ed25519() -> Result<Vec<u8>, DkimKeyError> {
        Ed25519Key::generate_pkcs8().map_err(|_| DkimKeyError::NotGenerated)
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
        let (kind, public) = match &self.0 {
            crypto::DkimKey::Ed25519(key) => ("ed25519", key.public_key()),
            crypto::DkimKey::Rsa(key) => ("rsa", subject_public_key_info(&key.public_key())),
        };
        format!("v=DKIM1; k={kind}; p={}", STANDARD.encode(public))
    }

    /// Whether a signature costs about a millisecond of a processor, too much for a thread that others wait for.
    pub fn is_slow(&self) -> bool {
        matches!(self.0, crypto::DkimKey::Rsa(_))
    }

    fn rsa(der: PrivateKeyDer<'_>) -> Result<DkimKey, DkimKeyError> {
        let key = RsaKey::<Sha256>::from_key_der(der).map_err(|_| DkimKeyError::Unusable)?;
        Ok(DkimKey(key.into()))
    }
}

/// mail-auth gives the RSAPublicKey of PKCS#1, which RFC 6376, 3.6.1 asks for; verifiers expect the form of its
/// examples (erratum 3017).
fn subject_public_key_info(pkcs1: &[u8]) -> Vec<u8> {
    let key = PublicKey::from_der(pkcs1).expect("the public half of a parsed key");
    let der: PublicKeyX509Der<'_> = key.as_der().expect("a parsed key can be written");
    der.as_ref().to_vec()
}

impl fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_slow() { "DkimKey(rsa-sha256)" } else { "DkimKey(ed25519-sha256)" })
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
    /// A line in the header section is no header field, so that verifiers would not agree what was signed.
    #[error("a message with a line among its headers that is not 'Name: value' cannot be signed with DKIM")]
    Malformed,
    /// The key could not be used.
    #[error("the DKIM signature could not be made")]
    Failed,
}

/// Whether a selector can stand in DNS: 1 to 63 letters, digits, hyphens and underscores between dots.
pub fn is_dkim_selector(selector: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    selector.len() <= 200 && selector.split('.').all(is_label)
}

impl DkimSigner {
    /// Signs for `domain`, whose key is published under `selector`.
    ///
    /// # Errors
    /// [`SignError::Selector`].
    pub fn new(domain: Domain, selector: &str, key: Arc<DkimKey>) -> Result<DkimSigner, SignError> {
        if !is_dkim_selector(selector) {
            return Err(SignError::Selector);
        }
        Ok(DkimSigner { domain, selector: selector.into(), key })
    }

    /// The key.
    pub fn key(&self) -> &DkimKey {
        &self.key
    }

    /// The `DKIM-Signature` header with its line end, to be put in front of `content`, a message in which CR and
    /// LF stand only as CRLF. Signed are the headers that say who, what, when and how, as often as they are
    /// there; and of those a reader sees, one more, so that nobody can add a second one.
    ///
    /// The time of the signature (`t=`) is the only one in this crate that is not an argument: mail-auth reads
    /// the system clock for it.
    ///
    /// # Errors
    /// When there is no From header, the header section is broken, or the key fails.
    pub fn sign(&self, content: &[u8]) -> Result<Vec<u8>, SignError> {
        let (header, rest) = content.split_at(split(content).0.len());
        self.sign_pieces(header, rest)
    }

    /// [`DkimSigner::sign`] for a message that is in two pieces: the header section, and all that follows its last
    /// line, which begins with the empty line.
    ///
    /// # Errors
    /// As there.
    pub fn sign_pieces(&self, header: &[u8], rest: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = dkim::DkimSigner::from_key(Lent(&self.key.0))
            .domain(self.domain.as_ascii())
            .selector(&*self.selector)
            .headers(names_to_sign(header)?)
            .header_canonicalization(Canonicalization::Relaxed)
            // Not relaxed: mail-auth 0.13 keeps an empty line where a body ends in lines of white space alone,
            // against RFC 6376, 3.4.4, and other verifiers then find another hash. Serious relays leave a body
            // as it is.
            .body_canonicalization(Canonicalization::Simple)
            .sign_chained([header, rest])
            .map_err(|_| SignError::Failed)?;
        Ok(unfolded_end(signature.to_header()).into_bytes())
    }

    /// Whether the value of a signature names this domain and selector (RFC 6376, 3.5).
    fn is_named_in(&self, value: &[u8]) -> bool {
        let value = unfolded(value);
        let tag = |name: &[u8]| {
            let mut tags = value.split(|b| *b == b';').filter_map(|tag| {
                let equals = memchr(b'=', tag)?;
                Some((tag[..equals].trim_ascii(), tag[equals + 1..].trim_ascii()))
            });
            tags.find(|(tag, _)| *tag == name).map(|(_, value)| value).unwrap_or_default()
        };
        tag(b"d").eq_ignore_ascii_case(self.domain.as_ascii().as_bytes())
            && tag(b"s").eq_ignore_ascii_case(self.selector.as_bytes())
    }
}

/// `content` without the `DKIM-Signature` fields that one of the signers made, or could have made: to sign anew
/// what has changed. Signatures of others stay, as they say where a message has been.
pub fn without_signatures_of(signers: &[DkimSigner], content: &[u8]) -> Vec<u8> {
    let (header, _) = split(content);
    let is_ours = |value: &[u8]| signers.iter().any(|signer| signer.is_named_in(value));
    let mut out = Vec::with_capacity(content.len());
    for (line, field) in whole_fields(header) {
        if !field.is_some_and(|field| field.is("DKIM-Signature") && is_ours(field.value)) {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(&content[header.len()..]);
    out
}

/// Takes out the folding that mail-auth puts behind a `b=` that fills its line. It is no part of what is signed
/// (RFC 6376, 3.7), but some verifiers, dkimpy among them, leave it in.
fn unfolded_end(mut header: String) -> String {
    if header.ends_with("\r\n\t;\r\n") {
        header.truncate(header.len() - "\r\n\t;\r\n".len());
        header.push_str(";\r\n");
    }
    header
}

/// mail-auth wants to own the key of a signer; this lends it one, as names to sign differ from message to message.
struct Lent<'a>(&'a crypto::DkimKey);

impl SigningKey for Lent<'_> {
    type Hasher = Sha256;

    fn sign(&self, input: impl Writable) -> mail_auth::Result<Vec<u8>> {
        self.0.sign(input)
    }

    fn algorithm(&self) -> Algorithm {
        self.0.algorithm()
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

/// What mail-auth is to sign: under the first of a name it signs all headers that have it, or their absence; under
/// each further one, that there are no more.
fn names_to_sign(header: &[u8]) -> Result<Vec<&'static str>, SignError> {
    let mut present = [false; SIGNED.len()];
    for name in names(header) {
        let name = name?;
        if let Some(index) = SIGNED.iter().position(|signed| name.eq_ignore_ascii_case(signed.as_bytes())) {
            present[index] = true;
        }
    }
    if !present[0] {
        return Err(SignError::NoFrom);
    }
    let present = SIGNED.iter().zip(present).filter_map(|(name, present)| present.then_some(*name));
    Ok(present.chain(SIGNED[..OVERSIGNED].iter().copied()).collect())
}

/// The names of all fields, or what is wrong with a line that is neither a field nor the rest of one. White space
/// before the colon (RFC 5322, 4.5) is wrong too: for mail-auth it belongs to the name.
fn names(header: &[u8]) -> impl Iterator<Item = Result<&[u8], SignError>> {
    header.split_inclusive(|&b| b == b'\n').enumerate().filter_map(|(at, line)| {
        let line = match line.strip_suffix(b"\r\n") {
            Some([b' ' | b'\t', ..]) if at > 0 => return None,
            Some(line) => line,
            None => return Some(Err(SignError::Malformed)),
        };
        let name = memchr(b':', line).map(|colon| &line[..colon]);
        let name = name.filter(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic));
        Some(name.ok_or(SignError::Malformed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::{
        digest::{SHA256, digest},
        signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
    };

    const MESSAGE: &str = "From: Joe <joe@football.example.com>\r\nTo:  Suzie\t<suzie@shopping.example.net>\r\n\
        Subject: Is dinner\r\n ready?\r\nTo: second@example.net\r\nX-Other: not signed\r\n\
        List-Unsubscribe: <https://example.org/u>\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n";

    fn key(der: Result<Vec<u8>, DkimKeyError>) -> Arc<DkimKey> {
        Arc::new(DkimKey::from_pkcs8_der(&der.unwrap()).unwrap())
    }

    fn signer(key: Arc<DkimKey>) -> DkimSigner {
        DkimSigner::new(Domain::parse("football.example.com").unwrap(), "brisbane", key).unwrap()
    }

    fn signed(signer: &DkimSigner, message: &str) -> String {
        String::from_utf8(signer.sign(message.as_bytes()).unwrap()).unwrap()
    }

    /// The value of a tag without its folding.
    fn tag(header: &str, name: &str) -> String {
        let list = header.strip_prefix("DKIM-Signature:").unwrap_or(header);
        let mut tags = list.split(';').filter_map(|tag| tag.split_once('='));
        tags.find(|(n, _)| n.trim() == name).unwrap().1.split_ascii_whitespace().collect()
    }

    fn base64(text: &str) -> Vec<u8> {
        STANDARD.decode(text).unwrap()
    }

    /// A verifier of its own: it takes the headers named in `h=`, from the bottom up.
    fn verifies(signature: &str, message: &str, record: &str) -> bool {
        let (header, body) = message.split_once("\r\n\r\n").unwrap();
        let simple_body = format!("{}\r\n", body.trim_end_matches("\r\n"));
        if tag(signature, "bh") != STANDARD.encode(digest(&SHA256, simple_body.as_bytes())) {
            return false;
        }
        let unfolded = header.replace("\r\n ", " ");
        let mut lines: Vec<&str> = unfolded.split("\r\n").collect();
        let relaxed = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            let words: Vec<_> = value.split_ascii_whitespace().collect();
            format!("{}:{}", name.to_lowercase(), words.join(" "))
        };
        let mut input = String::new();
        for name in tag(signature, "h").split(':') {
            let of_name = |line: &&str| line.split_once(':').unwrap().0.eq_ignore_ascii_case(name);
            if let Some(at) = lines.iter().rposition(of_name) {
                input += &format!("{}\r\n", relaxed(lines.remove(at)));
            }
        }
        let (until_b, _) = signature.rsplit_once(" b=").unwrap();
        input += &relaxed(&format!("{until_b} b=;"));
        let (public, b) = (base64(&tag(record, "p")), base64(&tag(signature, "b")));
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
            let header = signed(&signer(key), MESSAGE);
            assert!(verifies(&header, MESSAGE, &record), "{header}");
            assert!(header.lines().all(|line| line.len() < 100) && header.ends_with("\r\n"), "{header}");
            for unsigned in [("X-Other", "X-Changed"), ("Is dinner\r\n ready?", "Is  dinner ready?")] {
                assert!(verifies(&header, &MESSAGE.replace(unsigned.0, unsigned.1), &record), "{unsigned:?}");
            }
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
    fn a_signature_names_each_header_it_covers_and_one_more_of_those_a_reader_sees() {
        let header = signed(&signer(key(DkimKey::generate_ed25519())), MESSAGE);
        let names = tag(&header, "h");
        let rows = [
            ("From", 2),
            ("To", 3),
            ("Subject", 2),
            ("Reply-To", 1),
            ("List-Unsubscribe", 1),
            ("List-Id", 0),
            ("X-Other", 0),
        ];
        for (name, times) in rows {
            assert_eq!(names.split(':').filter(|n| *n == name).count(), times, "{name} in {names}");
        }
        assert_eq!((&*tag(&header, "d"), &*tag(&header, "s")), ("football.example.com", "brisbane"));
        let age = jiff::Timestamp::now().as_second() - tag(&header, "t").parse::<i64>().unwrap();
        assert!((0..60).contains(&age), "{age}");
    }

    /// The bodies for which relaxed form would go wrong are among them.
    #[test]
    fn signatures_verify_whatever_a_body_ends_in() {
        let key = key(DkimKey::generate_ed25519());
        let (record, signer) = (key.dns_record(), signer(key));
        for body in [
            "",
            "\r\n",
            "\r\n\r\n\r\n",
            " \t\r\n  \r\n",
            "a",
            "a\r\n\r\n\r\n",
            "a\r\n \t\r\n",
            "a \r\n \r\n \r\n\r\n",
        ] {
            let message = format!("From: joe@football.example.com\r\n\r\n{body}");
            let header = signed(&signer, &message);
            assert_eq!(tag(&header, "c"), "relaxed/simple");
            assert!(verifies(&header, &message, &record), "{body:?}: {header}");
        }
    }

    /// What is signed moves the end of the signature from column to column; Subject alone moves it to the last one.
    #[test]
    fn no_white_space_follows_the_signature() {
        let key = key(DkimKey::generate_rsa());
        let (record, signer) = (key.dns_record(), signer(key));
        for subset in 0..32 {
            let chosen = SIGNED[1..6].iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1);
            let fields: String = chosen.map(|(_, name)| format!("{name}: x\r\n")).collect();
            let message = format!("{fields}From: joe@football.example.com\r\n\r\nhi\r\n");
            let header = signed(&signer, &message);
            assert!(header.ends_with("==;\r\n"), "{header}");
            assert!(verifies(&header, &message, &record), "{header}");
        }
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
    fn our_own_signatures_are_taken_out_and_no_others() {
        let signer = signer(key(DkimKey::generate_ed25519()));
        let ours = signed(&signer, MESSAGE);
        for (others, kept) in [
            ("DKIM-Signature: v=1; d=football.example.com; s=other; b=x\r\n", true),
            ("DKIM-Signature: v=1; d=example.com; s=brisbane; b=x\r\n", true),
            ("DKIM-Signature: nothing\r\n", true),
            ("X-Signature: d=football.example.com; s=brisbane\r\n", true),
            ("dkim-signature: v=1; s = brisbane;\r\n\td=Football.example.com\r\n", false),
        ] {
            let message = format!("{ours}{others}{MESSAGE}");
            let expected = format!("{}{MESSAGE}", if kept { others } else { "" });
            let left = without_signatures_of(std::slice::from_ref(&signer), message.as_bytes());
            assert_eq!(String::from_utf8(left).unwrap(), expected);
        }
        assert_eq!(without_signatures_of(&[], ours.as_bytes()), ours.as_bytes());
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let signer = signer(key(DkimKey::generate_ed25519()));
        let rows = [
            ("From: a@example.org\r\n", None),
            ("From: a@example.org\r\n \r\n\r\nhi\r\n", None),
            ("To: a@example.org\r\n\r\nFrom: a@example.org\r\n", Some(SignError::NoFrom)),
            ("\r\nhi\r\n", Some(SignError::NoFrom)),
            ("", Some(SignError::NoFrom)),
            ("From: a@example.org", Some(SignError::Malformed)),
            ("From : a@example.org\r\n\r\n", Some(SignError::Malformed)),
            (" From: a@example.org\r\n\r\n", Some(SignError::Malformed)),
            ("From: a@example.org\r\nnothing\r\nTo: b@example.org\r\n\r\n", Some(SignError::Malformed)),
            ("From: a@example.org\nTo: b@example.org\r\n\r\n", Some(SignError::Malformed)),
        ];
        for (message, error) in rows {
            assert_eq!(signer.sign(message.as_bytes()).err(), error, "{message:?}");
        }
        for selector in ["", "a b", "a;d=evil", "a..b", "ä", &"x".repeat(64)] {
            let made = DkimSigner::new(signer.domain.clone(), selector, signer.key.clone());
            assert_eq!(made.map(|_| ()), Err(SignError::Selector), "{selector:?}");
        }
    }
}
