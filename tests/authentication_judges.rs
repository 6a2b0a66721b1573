//! What is found out about who incoming mail is from, beside what pyspf and dkimpy find.

use crate::harness::{Exchanger, Fault, Taken, judge};
use base64::{Engine, prelude::BASE64_STANDARD};
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use mail::DkimKey;
use mail_auth::{
    AuthenticatedMessage, AuthenticationResults, MessageAuthenticator,
    arc::ArcSealer,
    common::{
        crypto::{Ed25519Key, RsaKey, Sha256},
        headers::HeaderWriter,
    },
    dkim::{Canonicalization, DkimSigner, Done},
};
use rustls_pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Names and what DNS knows of them. Clients are at 127.0.0.1.
const RECORDS: [(&str, &str, &str); 61] = [
    ("pass.test", "TXT", "v=spf1 ip4:127.0.0.1 -all"),
    ("net.test", "TXT", "v=spf1 ip4:127.0.0.0/8 -all"),
    ("othernet.test", "TXT", "v=spf1 ip4:127.9.0.0/16 -all"),
    ("upper.test", "TXT", "V=SPF1  IP4:127.0.0.1  -ALL "),
    ("fail.test", "TXT", "v=spf1 -all"),
    ("soft.test", "TXT", "v=spf1 ~all"),
    ("neutral.test", "TXT", "v=spf1 ?all"),
    ("nomatch.test", "TXT", "v=spf1 ip4:192.0.2.1"),
    ("empty.test", "TXT", "v=spf1"),
    ("early.test", "TXT", "v=spf1 -all ip4:127.0.0.1"),
    ("ip6.test", "TXT", "v=spf1 ip6:::1 -all"),
    ("texts.test", "TXT", "hello"),
    ("spf10.test", "TXT", "v=spf10 -all"),
    ("beside.test", "TXT", "hello"),
    ("beside.test", "TXT", "v=spf1 ip4:127.0.0.1 -all"),
    ("two.test", "TXT", "v=spf1 ip4:127.0.0.1 -all"),
    ("two.test", "TXT", "v=spf1 -all"),
    ("typo.test", "TXT", "v=spf1 ipv4:127.0.0.1 -all"),
    ("badbeside.test", "TXT", "v=spf1 all:x"),
    ("badbeside.test", "TXT", "hello"),
    ("modifier.test", "TXT", "v=spf1 ip4:127.0.0.1 other=%{d} -all"),
    ("include.test", "TXT", "v=spf1 include:pass.test -all"),
    ("notincluded.test", "TXT", "v=spf1 include:fail.test ~all"),
    ("negative.test", "TXT", "v=spf1 -include:pass.test +all"),
    ("nothingincluded.test", "TXT", "v=spf1 include:absent.test -all"),
    ("nested.test", "TXT", "v=spf1 include:include.test -all"),
    ("loop.test", "TXT", "v=spf1 include:loop.test -all"),
    ("redirect.test", "TXT", "v=spf1 redirect=pass.test"),
    ("redirectfail.test", "TXT", "v=spf1 redirect=fail.test"),
    ("redirectall.test", "TXT", "v=spf1 ~all redirect=pass.test"),
    ("redirectabsent.test", "TXT", "v=spf1 redirect=absent.test"),
    ("a.test", "TXT", "v=spf1 a -all"),
    ("a.test", "A", "127.0.0.1"),
    ("anet.test", "TXT", "v=spf1 a/8 -all"),
    ("anet.test", "A", "127.9.9.9"),
    ("aother.test", "TXT", "v=spf1 a:anet.test -all"),
    ("anone.test", "TXT", "v=spf1 a:absent.test ~all"),
    ("mx.test", "TXT", "v=spf1 mx -all"),
    ("mx.test", "MX", "10 anet.test."),
    ("mx.test", "MX", "20 a.test."),
    ("mxother.test", "TXT", "v=spf1 mx:nomx.test -all"),
    ("nomx.test", "A", "127.0.0.1"),
    ("exists.test", "TXT", "v=spf1 exists:%{i}.list.test -all"),
    ("127.0.0.1.list.test", "A", "127.0.0.2"),
    ("macro.test", "TXT", "v=spf1 exists:%{l}.%{o}._%{h}.%{d2}.%{v} -all"),
    ("a.macro.test._client.test.macro.test.in-addr", "A", "127.0.0.2"),
    ("reverse.test", "TXT", "v=spf1 exists:%{ir}.rev.test -all"),
    ("1.0.0.127.rev.test", "A", "127.0.0.2"),
    ("ptr.test", "TXT", "v=spf1 ptr:host.test -all"),
    ("ptrother.test", "TXT", "v=spf1 ptr -all"),
    ("1.0.0.127.in-addr.arpa", "PTR", "mail.host.test."),
    ("mail.host.test", "A", "127.0.0.1"),
    ("explained.test", "TXT", "v=spf1 -all exp=why.test"),
    ("why.test", "TXT", "%{i} is none of ours"),
    (
        "eleven.test",
        "TXT",
        "v=spf1 a:anet.test a:anet.test a:anet.test a:anet.test a:anet.test a:anet.test a:anet.test a:anet.test \
         a:anet.test a:anet.test a:a.test -all",
    ),
    (
        "ten.test",
        "TXT",
        "v=spf1 a:anet.test a:anet.test a:anet.test a:anet.test a:anet.test a:anet.test a:anet.test a:anet.test \
         a:anet.test a:a.test -all",
    ),
    ("alias.test", "CNAME", "pass.test."),
    ("xn--bcher-kva.test", "TXT", "v=spf1 ip4:127.0.0.1 -all"),
    ("includesfailing.test", "TXT", "v=spf1 include:failing.test -all"),
    ("afailing.test", "TXT", "v=spf1 a:failing.test -all"),
    ("client.test", "TXT", "v=spf1 ip4:127.0.0.1 -all"),
];
/// What nobody can look up.
const FAILING: [(&str, &str); 3] =
    [("failing.test", "TXT"), ("failing.test", "A"), ("failing._domainkey.signed.test", "TXT")];
const MESSAGE: &str = "From: A <a@signed.test>\r\nTo: B <b@remote.test>\r\nSubject: Grüße  und\r\n\tmehr\r\n\
    Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nHello,  world \t\r\n\r\nbye\r\n\r\n\r\n";

/// What is offered.
struct Case {
    what: String,
    helo: &'static str,
    mail_from: String,
    content: String,
    /// How many signatures it has.
    signatures: usize,
    /// Methods about which the judges think otherwise; the reason stands beside it.
    differences: &'static [&'static str],
}

#[tokio::test]
async fn results_are_those_of_pyspf_and_dkimpy() {
    let keys = Keys::new();
    let mut records: Vec<(&str, &str, String)> =
        RECORDS.iter().map(|(name, kind, value)| (*name, *kind, (*value).to_owned())).collect();
    records.extend(keys.records());
    let mx = Exchanger::start(&zone(&records)).await;
    for (name, kind) in FAILING {
        mx.dns.fault(name, kind, Fault::ServFail);
    }
    let mut cases = Vec::new();
    let chains = arc_cases(&keys, mx.dns.address()).await;
    for case in spf_cases().chain(dkim_cases(&keys)).chain(chains) {
        let taken = mx.take(case.helo, &case.mail_from, &case.content).await;
        cases.push(as_json(&case, &taken));
    }
    judge("check_auth.py", &json!({"records": records, "failing": FAILING, "cases": cases}));
}

/// As a zone file has them. A string of TXT has at most 255 octets.
fn zone(records: &[(&str, &str, String)]) -> String {
    let line = |(name, kind, value): &(&str, &str, String)| match *kind {
        "TXT" => {
            let strings: Vec<_> = value.as_bytes().chunks(200).map(String::from_utf8_lossy).collect();
            format!("{name} TXT \"{}\"\n", strings.join("\" \""))
        }
        kind => format!("{name} {kind} {value}\n"),
    };
    records.iter().map(line).collect()
}

fn as_json(case: &Case, taken: &Taken) -> Value {
    let word = |said: &str| said.split(' ').next().unwrap_or_default().to_owned();
    let dkim: Vec<_> = taken.results_of("dkim").into_iter().map(word).filter(|word| word != "none").collect();
    let said = json!({
        "spf": word(taken.results_of("spf")[0]),
        "dkim": dkim.iter().map(|word| word == "pass").collect::<Vec<_>>(),
        "arc": word(taken.results_of("arc")[0]),
    });
    json!({
        "what": case.what, "said": said, "ip": "127.0.0.1", "helo": case.helo, "mail_from": case.mail_from,
        "content": BASE64_STANDARD.encode(&case.content), "signatures": case.signatures,
        "differences": case.differences,
    })
}

fn spf_cases() -> impl Iterator<Item = Case> {
    let mut domains: Vec<_> =
        RECORDS.iter().map(|(name, ..)| *name).filter(|name| !name.contains("_")).collect();
    domains.dedup();
    domains
        .retain(|name| !name.ends_with(".arpa") && !name.starts_with(|first: char| first.is_ascii_digit()));
    domains.extend(["absent.test", "sub.pass.test", "PASS.Test", "failing.test", "localhost"]);
    let of_domain = |domain: &str| Case::unsigned(&format!("SPF of {domain}"), &format!("a@{domain}"));
    let of_helo = |helo| Case { helo, ..Case::unsigned(&format!("SPF of a client {helo}"), "") };
    let clients = ["pass.test", "fail.test", "absent.test", "[127.0.0.1]", "localhost", "failing.test"];
    let domains: Vec<_> = domains.into_iter().map(of_domain).collect();
    domains.into_iter().chain(clients.map(of_helo))
}

impl Case {
    fn unsigned(what: &str, mail_from: &str) -> Case {
        Case {
            what: what.into(),
            helo: "client.test",
            mail_from: mail_from.into(),
            content: MESSAGE.into(),
            signatures: 0,
            differences: &[],
        }
    }

    fn signed(what: &str, signatures: usize, content: String) -> Case {
        Case { content, signatures, ..Case::unsigned(what, "a@pass.test") }
    }
}

/// The keys of signed.test.
struct Keys {
    rsa: Vec<u8>,
    ed25519: Vec<u8>,
}

impl Keys {
    fn new() -> Keys {
        Keys {
            rsa: DkimKey::generate_rsa().expect("a key"),
            ed25519: DkimKey::generate_ed25519().expect("a key"),
        }
    }

    fn records(&self) -> Vec<(&'static str, &'static str, String)> {
        let record = |der: &[u8]| DkimKey::from_pkcs8_der(der).expect("a key").dns_record();
        let (rsa, ed25519) = (record(&self.rsa), record(&self.ed25519));
        [
            ("rsa._domainkey.signed.test", rsa.clone()),
            ("ed._domainkey.signed.test", ed25519.clone()),
            ("bare._domainkey.signed.test", rsa.replace("v=DKIM1; k=rsa; ", "")),
            ("strict._domainkey.signed.test", rsa.replace("k=rsa;", "t=s; k=rsa;")),
            ("testing._domainkey.signed.test", rsa.replace("k=rsa;", "t=y; k=rsa;")),
            ("revoked._domainkey.signed.test", "v=DKIM1; k=rsa; p=".to_owned()),
            ("odd._domainkey.signed.test", "v=DKIM1; k=rsa; p=bm8ga2V5".to_owned()),
            ("kind._domainkey.signed.test", ed25519.replace("ed25519", "rsa")),
        ]
        .map(|(name, value)| (name, "TXT", value))
        .into()
    }

    fn rsa_key(&self) -> RsaKey<Sha256> {
        RsaKey::from_key_der(PrivateKeyDer::Pkcs8(self.rsa.as_slice().into())).expect("a key")
    }

    /// The header of a signature with the RSA key.
    fn sign(
        &self,
        selector: &str,
        fields: &[&str],
        change: impl FnOnce(DkimSigner<RsaKey<Sha256>, Done>) -> DkimSigner<RsaKey<Sha256>, Done>,
        message: &str,
    ) -> String {
        let signer = DkimSigner::from_key(self.rsa_key()).domain("signed.test").selector(selector);
        let signer = change(signer.headers(fields.iter().copied()));
        folded_right(signer.sign(message.as_bytes()).expect("a signature").to_header())
    }

    fn sign_ed25519(&self, selector: &str, message: &str) -> String {
        let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(&self.ed25519).expect("a key");
        let signer = DkimSigner::from_key(key).domain("signed.test").selector(selector);
        let signer = signer.headers(["From", "To", "Subject"]);
        folded_right(signer.sign(message.as_bytes()).expect("a signature").to_header())
    }

    /// The three fields of one more link of a chain that verifies, or of its first.
    async fn seal(&self, message: &str, by: &MessageAuthenticator) -> String {
        let parsed = AuthenticatedMessage::parse(message.as_bytes()).expect("a header");
        let results = AuthenticationResults::new("relay.test");
        let so_far = by.verify_arc(&parsed).await;
        let sealer = ArcSealer::from_key(self.rsa_key()).domain("signed.test").selector("rsa");
        let sealer = sealer.headers(["From", "To", "Subject"]);
        sealer.seal(&parsed, &results, &so_far).expect("a seal").to_header()
    }
}

/// mail-auth folds behind a signature that fills its line, which dkimpy does not read.
fn folded_right(header: String) -> String {
    header.replace("\r\n\t;\r\n", ";\r\n")
}

fn dkim_cases(keys: &Keys) -> Vec<Case> {
    const FIELDS: [&str; 3] = ["From", "To", "Subject"];
    let plain = |selector: &str| keys.sign(selector, &FIELDS, |signer| signer, MESSAGE);
    let canonical = |header, body| {
        let change =
            |signer: DkimSigner<_, Done>| signer.header_canonicalization(header).body_canonicalization(body);
        keys.sign("rsa", &FIELDS, change, MESSAGE)
    };
    let by_user = |selector: &str, user: &str| {
        keys.sign(selector, &FIELDS, |signer| signer.agent_user_identifier(user), MESSAGE)
    };
    let one = |what: &str, signature: String| Case::signed(what, 1, signature + MESSAGE);
    let (rsa, ed25519) = (plain("rsa"), keys.sign_ed25519("ed", MESSAGE));
    let mut cases = vec![
        one("RSA", rsa.clone()),
        one("Ed25519", ed25519.clone()),
        Case::signed("two signatures", 2, format!("{rsa}{ed25519}{MESSAGE}")),
        Case::signed("one of two", 2, format!("{}{ed25519}{MESSAGE}", plain("absent"))),
        one("simple/simple", canonical(Canonicalization::Simple, Canonicalization::Simple)),
        one("simple/relaxed", canonical(Canonicalization::Simple, Canonicalization::Relaxed)),
        one("relaxed/simple", canonical(Canonicalization::Relaxed, Canonicalization::Simple)),
        one("a key without its kind", plain("bare")),
        one("a key in tests", plain("testing")),
        one("no key", plain("absent")),
        one("a revoked key", plain("revoked")),
        one("a key that is none", plain("odd")),
        one("another key", plain("ed")),
        one("a key of another kind", keys.sign_ed25519("kind", MESSAGE)),
        one("a key that cannot be looked up", plain("failing")),
        one("by a user", by_user("rsa", "a@signed.test")),
        one("by a user below", by_user("rsa", "a@sub.signed.test")),
        one("by a user elsewhere", by_user("rsa", "a@other.test")),
        one("nonsense", "DKIM-Signature: nonsense\r\n".into()),
        one("no domain", rsa.replace("d=signed.test;", "")),
        one("another version", rsa.replace("v=1;", "v=2;")),
        one("another algorithm", rsa.replace("rsa-sha256", "rsa-sha257")),
        one("an old algorithm", rsa.replace("rsa-sha256", "rsa-sha1")),
    ];
    for (what, change) in [
        ("another body", ("bye", "by")),
        ("one more line in the body", ("\r\n\r\nbye", "\r\n\r\n\r\nbye")),
        ("more lines at the end of the body", ("bye\r\n\r\n", "bye\r\n\r\n\r\n\r\n")),
        ("another subject", ("Subject: Gr", "Subject: gr")),
        ("another white space in the subject", ("und\r\n\t", "und ")),
        ("a field that is not signed", ("Date: Sun", "Date: Mon")),
        ("another author", ("From: A", "From: B")),
    ] {
        cases.push(Case::signed(what, 1, rsa.clone() + &MESSAGE.replace(change.0, change.1)));
    }
    let part = keys.sign("rsa", &FIELDS, |signer| signer.body_length(true), MESSAGE);
    let without_from = keys.sign("rsa", &["To", "Subject"], |signer| signer, MESSAGE);
    for (what, signature) in [
        // It would let anybody add to the message (RFC 6376, section 8.2).
        ("a part of the body is signed", part),
        // RFC 6376, section 6.1.1; dkimpy does not look.
        ("From is not signed", without_from),
        // RFC 6376, section 3.6.1, t=s; dkimpy does not look.
        ("by a user below who may not", by_user("strict", "a@sub.signed.test")),
    ] {
        cases.push(Case { differences: &["dkim"], ..one(what, signature) });
    }
    cases
}

/// `dns` knows the keys.
async fn arc_cases(keys: &Keys, dns: SocketAddr) -> Vec<Case> {
    let mut server = NameServerConfig::udp(dns.ip());
    server.connections.iter_mut().for_each(|connection| connection.port = dns.port());
    let config = ResolverConfig::from_name_servers(vec![server]);
    let by = MessageAuthenticator::new(config, ResolverOpts::default()).expect("a resolver");
    let seal = keys.seal(MESSAGE, &by).await;
    let once = format!("{seal}{MESSAGE}");
    let twice = keys.seal(&once, &by).await + &once;
    let without = |name: &str| seal.replacen(name, "X-", 1) + MESSAGE;
    vec![
        Case::signed("a chain", 0, once),
        Case::signed("a chain of two", 0, twice.clone()),
        Case::signed("a chain of two and other results", 0, twice.replacen("relay.test", "other.test", 2)),
        Case::signed(
            "a chain of two without its first seal",
            0,
            twice.replace("ARC-Seal: i=1", "X-Seal: i=1"),
        ),
        Case::signed("a chain of two without its first link", 0, twice.replace(&seal, "")),
        Case::signed("a chain and another body", 0, seal.clone() + &MESSAGE.replace("bye", "by")),
        Case::signed("a chain and other results", 0, seal.replace("relay.test", "other.test") + MESSAGE),
        Case::signed("a chain without its seal", 0, without("ARC-Seal")),
        Case::signed("a chain without its signature", 0, without("ARC-Message-Signature")),
    ]
}
