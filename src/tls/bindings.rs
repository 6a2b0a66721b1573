//! What a login can be tied to: the TLS connection that it is made over.

use super::Shown;
use aws_lc_rs::digest::{self, Algorithm};
use rustls::{ProtocolVersion, ServerConnection};
use rustls_pki_types::CertificateDer;
use smtp::ChannelBindings;
use x509_parser::{
    oid_registry::{
        OID_HASH_SHA1, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512,
        OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512, Oid,
    },
    signature_algorithm::SignatureAlgorithm,
    x509::AlgorithmIdentifier,
};

/// RFC 9266 section 2.
const EXPORTER: &[u8] = b"EXPORTER-Channel-Binding";

/// Those of a connection whose handshake is over, and in which the certificate of `shown` was shown.
pub(crate) fn channel_bindings(connection: &ServerConnection, shown: &Shown) -> ChannelBindings {
    // Before TLS 1.3, only the extended master secret ties it to the connection, and rustls does not tell whether that
    // was used (RFC 9266 section 4).
    let exporter = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => {
            connection.export_keying_material([0; 32], EXPORTER, Some(&[])).ok()
        }
        _ => None,
    };
    ChannelBindings { exporter, end_point: shown.end_point.clone() }
}

/// The hash of a certificate that is `tls-server-end-point` (RFC 5929 section 4.1), by the hash function of its
/// signature; none where that has no single one.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let algorithm = hash(&parsed.signature_algorithm)?;
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

fn hash(signature: &AlgorithmIdentifier<'_>) -> Option<&'static Algorithm> {
    let sha256 = [
        &OID_PKCS1_MD5WITHRSAENC,
        &OID_PKCS1_SHA1WITHRSA,
        &OID_PKCS1_SHA256WITHRSA,
        &OID_SIG_ECDSA_WITH_SHA256,
        &OID_HASH_SHA1,
        &OID_NIST_HASH_SHA256,
    ];
    let sha384 = [&OID_PKCS1_SHA384WITHRSA, &OID_SIG_ECDSA_WITH_SHA384, &OID_NIST_HASH_SHA384];
    let sha512 = [&OID_PKCS1_SHA512WITHRSA, &OID_SIG_ECDSA_WITH_SHA512, &OID_NIST_HASH_SHA512];
    let by = |oid: &Oid<'_>| match oid {
        oid if sha256.contains(&oid) => Some(&digest::SHA256),
        oid if sha384.contains(&oid) => Some(&digest::SHA384),
        oid if sha512.contains(&oid) => Some(&digest::SHA512),
        _ => None,
    };
    if signature.algorithm == OID_PKCS1_RSASSAPSS {
        return match SignatureAlgorithm::try_from(signature).ok()? {
            SignatureAlgorithm::RSASSA_PSS(params) => by(params.hash_algorithm_oid()),
            _ => None,
        };
    }
    by(&signature.algorithm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm as Signs};

    #[test]
    fn the_end_point_is_hashed_as_the_certificate_was_signed() {
        let rows: [(&'static Signs, Option<&'static Algorithm>); 3] = [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(&digest::SHA256)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(&digest::SHA384)),
            (&rcgen::PKCS_ED25519, None),
        ];
        for (signs, algorithm) in rows {
            let key = KeyPair::generate_for(signs).unwrap();
            let made = CertificateParams::new(["mail.example".into()]).unwrap().self_signed(&key).unwrap();
            let expected = algorithm.map(|it| digest::digest(it, made.der()).as_ref().to_vec());
            assert_eq!(end_point(made.der()), expected, "{signs:?}");
        }
        assert_eq!(end_point(&CertificateDer::from_slice(b"no certificate")), None);
    }

    #[test]
    fn old_hashes_give_way_to_sha256() {
        for oid in [OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA] {
            let name = oid.to_string();
            assert_eq!(hash(&AlgorithmIdentifier::new(oid, None)), Some(&digest::SHA256), "{name}");
        }
    }
}
