//! The records that a domain needs.

use mail::{Address, DkimKey, Domain, Timestamp};
use serde::Serialize;
use std::net::IpAddr;
use store::records::{DkimKeyRecord, DomainRecord};

/// Octets of one string of a TXT record (RFC 1035, 3.3).
const STRING_MAX: usize = 255;

/// What the records are made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// The domain.
    pub domain: &'f DomainRecord,
    /// The name of the server.
    pub host: &'f Domain,
    /// The addresses of the server, as far as they are known.
    pub addresses: &'f [IpAddr],
    /// Who reads reports.
    pub contact: &'f Address,
    /// What [`tlsa`] says of the server's certificate, where it has one.
    pub tlsa: Option<&'f str>,
    /// When, for the id of a policy.
    pub now: Timestamp,
}

/// A record that should be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Where, without a dot at the end.
    pub name: String,
    /// `MX`, `TXT` and so on.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// As in a zone file; `None` when this program cannot know it.
    pub value: Option<String>,
    /// What it is for.
    pub purpose: String,
    /// Whether mail suffers without it.
    pub required: bool,
    /// How a record that is there is judged.
    #[serde(skip)]
    pub expected: Expected,
}

/// What a record must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any address.
    Address,
    /// Mail goes to this host.
    Mx(String),
    /// The only SPF record has one of these mechanisms.
    Spf(Vec<String>),
    /// A DKIM record with this `p=`.
    Dkim(String),
    /// The only record that begins with this version.
    Version(&'static str),
    /// Leads to this host.
    Ptr(String),
    /// This association, in lower case.
    Tlsa(String),
}

/// Every record, the most important first.
pub fn records(facts: &Facts<'_>) -> Vec<Record> {
    let domain = facts.domain.name.as_ascii();
    let host = facts.host.as_ascii();
    let contact = facts.contact.to_smtp();
    let mut records = of_host(facts);
    records.push(Record {
        name: domain.into(),
        kind: "MX",
        value: Some(format!("10 {host}.")),
        purpose: format!("mail for {domain} comes here: answers, and bounces"),
        required: true,
        expected: Expected::Mx(host.into()),
    });
    records.push(txt(
        domain,
        &format!("v=spf1 a:{host} ~all"),
        "SPF: this server may send for the domain",
        Expected::Spf(vec![format!("a:{host}"), "mx".into(), "a".into()]),
    ));
    records.extend(dkim_records(facts.domain));
    records.push(txt(
        &format!("_dmarc.{domain}"),
        &format!("v=DMARC1; p=quarantine; rua=mailto:{contact}"),
        "DMARC: what others do with mail that only claims to come from here",
        Expected::Version("v=DMARC1"),
    ));
    records.extend(of_tls(facts, &contact));
    records
}

/// Those of its DKIM keys, which no host goes into.
pub fn dkim_records(domain: &DomainRecord) -> Vec<Record> {
    let of_key = |key: &DkimKeyRecord| {
        let content = DkimKey::from_pkcs8_der(&key.pkcs8).ok()?.dns_record();
        let public = content.rsplit("p=").next().unwrap_or_default().to_owned();
        let name = format!("{}._domainkey.{}", key.selector, domain.name.as_ascii());
        Some(txt(&name, &content, "DKIM: the key that signatures are checked with", Expected::Dkim(public)))
    };
    domain.dkim.iter().filter_map(of_key).collect()
}

fn of_host(facts: &Facts<'_>) -> Vec<Record> {
    let host = facts.host.as_ascii();
    let mut records = Vec::new();
    for (kind, wanted, required) in
        [("A", IpAddr::is_ipv4 as fn(&IpAddr) -> bool, true), ("AAAA", IpAddr::is_ipv6, false)]
    {
        let known: Vec<_> = facts.addresses.iter().filter(|address| wanted(address)).collect();
        let purpose = format!("the address of the server, {kind}");
        let record = |value| Record {
            name: host.into(),
            kind,
            value,
            purpose: purpose.clone(),
            required,
            expected: Expected::Address,
        };
        match known.as_slice() {
            [] => records.push(record(None)),
            known => records.extend(known.iter().map(|address| record(Some(address.to_string())))),
        }
    }
    for address in facts.addresses {
        records.push(Record {
            name: reverse_name(*address),
            kind: "PTR",
            value: Some(format!("{host}.")),
            purpose: "the address leads back to the name; whoever gave you the address sets it".into(),
            required: true,
            expected: Expected::Ptr(host.into()),
        });
    }
    records.push(Record {
        required: false,
        ..txt(
            host,
            "v=spf1 a -all",
            "SPF of the server's own name, which bounces are sent by",
            Expected::Spf(vec!["a".into(), format!("a:{host}"), "mx".into()]),
        )
    });
    records
}

/// What protects the way here. Needs a certificate to be of use.
fn of_tls(facts: &Facts<'_>, contact: &str) -> Vec<Record> {
    let domain = facts.domain.name.as_ascii();
    let host = facts.host.as_ascii();
    let id: String = facts.now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    let policy = format!(
        "MTA-STS, a suggestion: once the server has a certificate, and https://mta-sts.{domain}/.well-known/mta-sts.txt \
         has the lines \"version: STSv1\", \"mode: testing\", \"mx: {host}\", \"max_age: 604800\""
    );
    let suggestion = |record: Record| Record { required: false, ..record };
    let mut records = vec![
        suggestion(txt(
            &format!("_mta-sts.{domain}"),
            &format!("v=STSv1; id={id}"),
            &policy,
            Expected::Version("v=STSv1"),
        )),
        suggestion(txt(
            &format!("_smtp._tls.{domain}"),
            &format!("v=TLSRPTv1; rua=mailto:{contact}"),
            "TLSRPT, a suggestion: others report where TLS fails on the way here",
            Expected::Version("v=TLSRPTv1"),
        )),
    ];
    records.extend(facts.tlsa.map(|association| Record {
        name: format!("_25._tcp.{host}"),
        kind: "TLSA",
        value: Some(association.into()),
        purpose: "DANE, a suggestion where the zone is signed: the key of the certificate; keep the key when the \
                  certificate is renewed"
            .into(),
        required: false,
        expected: Expected::Tlsa(association.to_ascii_lowercase()),
    }));
    records
}

fn txt(name: &str, content: &str, purpose: &str, expected: Expected) -> Record {
    Record {
        name: name.into(),
        kind: "TXT",
        value: Some(strings(content)),
        purpose: purpose.into(),
        required: true,
        expected,
    }
}

/// The content of a TXT record as the strings of a zone file.
fn strings(content: &str) -> String {
    let mut quoted = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let (string, next) = rest.split_at(rest.floor_char_boundary(STRING_MAX));
        quoted.push(format!("\"{}\"", string.replace('\\', "\\\\").replace('"', "\\\"")));
        rest = next;
    }
    quoted.join(" ")
}

/// The name at which an address leads to a name.
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: Vec<_> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

/// The association of a certificate's key for DANE-EE (RFC 7671, 5.1): `3 1 1` and the digest. `None` when it is no
/// certificate.
pub fn tlsa(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let key = certificate.tbs_certificate.subject_pki.raw;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("3 1 1 {hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, domain};

    #[test]
    fn a_domain_gets_every_record() {
        let mut domain = domain("example.com");
        for (selector, pkcs8) in [("e", DkimKey::generate_ed25519()), ("r", DkimKey::generate_rsa())] {
            domain
                .dkim
                .push(store::records::DkimKeyRecord { selector: selector.into(), pkcs8: pkcs8.unwrap() });
        }
        let facts = Facts {
            domain: &domain,
            host: &"mail.example.com".parse().unwrap(),
            addresses: &["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            contact: &"me@example.com".parse().unwrap(),
            tlsa: Some("3 1 1 00"),
            now: NOW,
        };
        let records = records(&facts);
        let has = |name: &str, kind: &str, start: &str| {
            records.iter().any(|record| {
                let value = record.value.as_deref().unwrap_or_default();
                (record.name.as_str(), record.kind) == (name, kind) && value.starts_with(start)
            })
        };
        for (name, kind, start) in [
            ("mail.example.com", "A", "192.0.2.1"),
            ("mail.example.com", "AAAA", "2001:db8::1"),
            ("1.2.0.192.in-addr.arpa", "PTR", "mail.example.com."),
            (
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
                "PTR",
                "mail.example.com.",
            ),
            ("mail.example.com", "TXT", "\"v=spf1 a -all\""),
            ("example.com", "MX", "10 mail.example.com."),
            ("example.com", "TXT", "\"v=spf1 a:mail.example.com ~all\""),
            ("e._domainkey.example.com", "TXT", "\"v=DKIM1; k=ed25519; p="),
            ("r._domainkey.example.com", "TXT", "\"v=DKIM1; k=rsa; p="),
            ("_dmarc.example.com", "TXT", "\"v=DMARC1; p=quarantine; rua=mailto:me@example.com\""),
            ("_mta-sts.example.com", "TXT", "\"v=STSv1; id=20261122100000\""),
            ("_smtp._tls.example.com", "TXT", "\"v=TLSRPTv1; rua=mailto:me@example.com\""),
            ("_25._tcp.mail.example.com", "TLSA", "3 1 1 00"),
        ] {
            assert!(has(name, kind, start), "{name} {kind} {start}: {records:#?}");
        }
        let rsa = records.iter().find(|record| record.name.starts_with("r.")).unwrap();
        let strings: Vec<_> = rsa.value.as_ref().unwrap().split("\" \"").collect();
        assert!(
            strings.len() == 2 && strings.iter().all(|string| string.len() <= STRING_MAX + 1),
            "{strings:?}"
        );
    }
}
