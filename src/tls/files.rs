//! Certificates from PEM files.

use anyhow::{Context, bail, ensure};
use rustls::{crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{fs::File, io::Read, path::Path};

/// More than any chain or key has.
const FILE_MAX: u64 = 1 << 20;

/// Reads a certificate chain and its key.
///
/// # Errors
/// Names the file, and what is wrong with it.
pub fn read_certificate(cert: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let in_file = |path: &Path| format!("[tls]: {}", path.display());
    let chain = certificates("[tls]", cert)?;
    let key_pem = read("[tls]", key)?;
    let private = PrivateKeyDer::from_pem_slice(&key_pem)
        .ok()
        .context("has no private key in PEM form")
        .with_context(|| in_file(key))?;
    let provider = CryptoProvider::get_default().context("TLS is not set up")?;
    match CertifiedKey::from_der(chain, private, provider) {
        Ok(certificate) => Ok(certificate),
        Err(rustls::Error::InconsistentKeys(_)) => {
            bail!(
                "[tls]: the key in {} does not belong to the certificate in {}",
                key.display(),
                cert.display()
            )
        }
        Err(error) => bail!("[tls]: {} and {} cannot be used: {error}", cert.display(), key.display()),
    }
}

/// Reads the certificates of authorities that a section of the settings trusts besides those of the system; none, where
/// it names no file.
///
/// # Errors
/// Names the file, and what is wrong with it.
pub fn read_authorities(section: &str, path: Option<&Path>) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    path.map(|path| certificates(section, path)).transpose().map(Option::unwrap_or_default)
}

/// The certificates in a file that a section of the settings names; at least one.
fn certificates(section: &str, path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let pem = read(section, path)?;
    let in_file = || format!("{section}: {}", path.display());
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .ok()
        .context("is not in PEM form")
        .with_context(in_file)?;
    ensure!(!certificates.is_empty(), "{}: has no certificate in PEM form", in_file());
    Ok(certificates)
}

fn read(section: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
    read.with_context(|| format!("{section}: {} cannot be read", path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_certificate_and_key_that_do_not_fit_are_refused_with_the_reason() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let made = || rcgen::generate_simple_self_signed(["mail.example".into()]).unwrap();
        let (one, other) = (made(), made());
        fs::write(path("cert"), one.cert.pem()).unwrap();
        fs::write(path("key"), one.signing_key.serialize_pem()).unwrap();
        fs::write(path("other-key"), other.signing_key.serialize_pem()).unwrap();
        fs::write(path("empty"), "").unwrap();
        read_certificate(&path("cert"), &path("key")).unwrap();
        for (cert, key, expected) in [
            ("cert", "other-key", "does not belong to the certificate"),
            ("cert", "cert", "has no private key"),
            ("key", "key", "has no certificate"),
            ("empty", "key", "has no certificate"),
            ("missing", "key", "missing cannot be read"),
        ] {
            let error = format!("{:#}", read_certificate(&path(cert), &path(key)).unwrap_err());
            assert!(error.contains(expected), "{cert} {key}: {error}");
            assert!(!error.contains("PRIVATE KEY"), "{error}");
        }
    }
}
