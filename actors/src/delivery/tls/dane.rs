//! Certificates that TLSA records name (RFC 6698, RFC 7671, RFC 7672).

use super::certificates::verify_chain;
use crate::dns::Tlsa;
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, anchor_from_trusted_cert};

const TRUST_ANCHOR: u8 = 2;
const END_ENTITY: u8 = 3;

/// The records that mail can use: usages 2 and 3 (RFC 7672 3.1), with selectors and matchings that are known and
/// data of the right length.
pub(crate) fn usable(records: &[Tlsa]) -> Vec<Tlsa> {
    let fits = |record: &&Tlsa| {
        let length = match record.matching {
            0 => !record.data.is_empty(),
            1 => record.data.len() == 32,
            2 => record.data.len() == 64,
            _ => false,
        };
        matches!(record.usage, TRUST_ANCHOR | END_ENTITY) && record.selector <= 1 && length
    };
    records.iter().filter(fits).cloned().collect()
}

/// Whether one of the records fits the first certificate, or names an authority that made it for one of the names.
pub(super) fn verify(
    certificates: &[CertificateDer<'_>],
    records: &[Tlsa],
    names: &[&str],
    time: UnixTime,
) -> Result<(), String> {
    let Some(leaf) = certificates.first() else { return Err("the server shows none".into()) };
    // With usage 3 the key is all that counts: no names, no dates (RFC 7672 3.1.1).
    if records.iter().any(|record| record.usage == END_ENTITY && matches(record, leaf)) {
        return Ok(());
    }
    let anchors: Vec<TrustAnchor<'_>> = records
        .iter()
        .filter(|record| record.usage == TRUST_ANCHOR)
        .flat_map(|record| certificates.iter().filter(|certificate| matches(record, certificate)))
        .filter_map(|certificate| anchor_from_trusted_cert(certificate).ok())
        .collect();
    if anchors.is_empty() {
        return Err("no TLSA record of the host fits it".into());
    }
    verify_chain(certificates, &anchors, names, time)
}

fn matches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let key;
    let selected: &[u8] = match record.selector {
        0 => certificate,
        _ => {
            let Ok(parsed) = EndEntityCert::try_from(certificate) else { return false };
            key = parsed.subject_public_key_info();
            &key
        }
    };
    match record.matching {
        0 => record.data == selected,
        1 => record.data == digest(&SHA256, selected).as_ref(),
        2 => record.data == digest(&SHA512, selected).as_ref(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};

    fn tlsa(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
        let data = match matching {
            0 => data.to_vec(),
            1 => digest(&SHA256, data).as_ref().to_vec(),
            _ => digest(&SHA512, data).as_ref().to_vec(),
        };
        Tlsa { usage, selector, matching, data }
    }

    #[test]
    fn records_fit_keys_certificates_and_authorities() {
        let ca_key = KeyPair::generate().unwrap();
        let ca_spki = ca_key.subject_public_key_info();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let spki = key.subject_public_key_info();
        let leaf = CertificateParams::new(vec!["mx.example".into()]).unwrap().signed_by(&key, &ca).unwrap();
        let other = KeyPair::generate().unwrap().subject_public_key_info();
        let chain = [leaf.der().clone(), ca.der().clone()];
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
        let long_after = UnixTime::since_unix_epoch(std::time::Duration::from_secs(100_000_000_000));

        for (name, record, host, time, fits) in [
            ("3 1 1", tlsa(3, 1, 1, &spki), "mx.example", now, true),
            ("3 1 1, another name", tlsa(3, 1, 1, &spki), "other.example", now, true),
            ("3 1 1, expired", tlsa(3, 1, 1, &spki), "mx.example", long_after, true),
            ("3 1 2", tlsa(3, 1, 2, &spki), "mx.example", now, true),
            ("3 1 0", tlsa(3, 1, 0, &spki), "mx.example", now, true),
            ("3 0 1", tlsa(3, 0, 1, leaf.der()), "mx.example", now, true),
            ("3 1 1, another key", tlsa(3, 1, 1, &other), "mx.example", now, false),
            ("3 1 1, the authority's key", tlsa(3, 1, 1, &ca_spki), "mx.example", now, false),
            ("2 1 1", tlsa(2, 1, 1, &ca_spki), "mx.example", now, true),
            ("2 0 1", tlsa(2, 0, 1, ca.der()), "mx.example", now, true),
            ("2 1 1, another name", tlsa(2, 1, 1, &ca_spki), "other.example", now, false),
            ("2 1 1, expired", tlsa(2, 1, 1, &ca_spki), "mx.example", long_after, false),
            ("2 1 1, another key", tlsa(2, 1, 1, &other), "mx.example", now, false),
        ] {
            assert_eq!(verify(&chain, &[record], &[host], time).is_ok(), fits, "{name}");
        }
        assert!(verify(&[], &[tlsa(3, 1, 1, &spki)], &["mx.example"], now).is_err());
    }

    #[test]
    fn only_records_that_mail_knows_are_usable() {
        for (record, expected) in [
            (tlsa(3, 1, 1, b""), true),
            (tlsa(2, 0, 2, b""), true),
            (tlsa(1, 1, 1, b""), false),
            (tlsa(0, 1, 1, b""), false),
            (tlsa(3, 2, 1, b""), false),
            (Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0; 31] }, false),
            (Tlsa { usage: 3, selector: 1, matching: 3, data: vec![0; 32] }, false),
        ] {
            assert_eq!(usable(std::slice::from_ref(&record)).len(), usize::from(expected), "{record:?}");
        }
    }
}
