//! DKIM keys as PEM, as people keep them in files, and as PKCS#8 in DER, as they are stored.

use crate::{DkimKey, DkimKeyError};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    signature::RsaKeyPair,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

/// Octets of base64 on a line (RFC 7468, 2).
const LINE: usize = 64;

impl DkimKey {
    /// A key in PEM form, PKCS#8 (`PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`), as PKCS#8 in DER. It is secret.
    ///
    /// # Errors
    /// As [`DkimKey::from_pem`].
    pub fn pkcs8_from_pem(pem: &str) -> Result<Vec<u8>, DkimKeyError> {
        let pkcs8 = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| DkimKeyError::NotPem)? {
            PrivateKeyDer::Pkcs8(der) => der.secret_pkcs8_der().to_vec(),
            PrivateKeyDer::Pkcs1(der) => {
                let key = RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| DkimKeyError::Unusable)?;
                let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| DkimKeyError::Unusable)?;
                der.as_ref().to_vec()
            }
            _ => return Err(DkimKeyError::Unusable),
        };
        DkimKey::from_pkcs8_der(&pkcs8).map(|_| pkcs8)
    }

    /// A key in PKCS#8 as PEM. It is secret.
    pub fn pem_from_pkcs8(der: &[u8]) -> String {
        let encoded = BASE64_STANDARD.encode(der);
        let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, next) = rest.split_at(rest.len().min(LINE));
            pem.push_str(line);
            pem.push('\n');
            rest = next;
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        pem
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn a_key_is_the_same_key_after_a_way_through_pem() {
        for made in [DkimKey::generate_ed25519(), DkimKey::generate_rsa()] {
            let der = made.unwrap();
            let pem = DkimKey::pem_from_pkcs8(&der);
            assert!(pem.lines().all(|line| line.len() <= LINE), "{} lines", pem.lines().count());
            assert_eq!(DkimKey::pkcs8_from_pem(&pem), Ok(der));
        }
    }

    #[test]
    fn what_is_no_key_is_told_apart_from_what_is_no_pem() {
        let mut other = String::from("-----BEGIN PRIVATE KEY-----\n");
        writeln!(other, "AAAA\n-----END PRIVATE KEY-----").unwrap();
        for (pem, error) in
            [("", DkimKeyError::NotPem), ("key", DkimKeyError::NotPem), (&other, DkimKeyError::Unusable)]
        {
            assert_eq!(DkimKey::pkcs8_from_pem(pem), Err(error), "{pem}");
        }
    }
}
