//! The certificate of a developer's server: made at its first start, and trusted by nobody who is not told to.

use super::read_certificate;
use anyhow::Context;
use rcgen::{CertificateParams, KeyPair};
use rustls::sign::CertifiedKey;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The file with the certificate and its key, both as PEM.
const FILE: &str = "localhost.pem";

/// The certificate in the data directory, for `localhost` and this machine's own addresses, made where it is missing;
/// and its file, with which clients can trust it.
///
/// # Errors
/// When the file can neither be read nor made.
pub fn local_certificate(data_dir: &Path) -> anyhow::Result<(CertifiedKey, PathBuf)> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        make(&path).with_context(|| path.display().to_string())?;
    }
    let certificate = read_certificate(&path, &path).context("remove it to have a new one made")?;
    Ok((certificate, path))
}

/// Whole or not at all.
fn make(path: &Path) -> anyhow::Result<()> {
    let mut params = CertificateParams::new(["localhost".to_owned()])?;
    for address in ["127.0.0.1", "::1"] {
        let address: IpAddr = address.parse()?;
        params.subject_alt_names.push(rcgen::SanType::IpAddress(address));
    }
    let key = KeyPair::generate()?;
    let pem = format!("{}{}", params.self_signed(&key)?.pem(), key.serialize_pem());
    let new = path.with_extension("new");
    // What a crash left may have another mode.
    if new.exists() {
        fs::remove_file(&new)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    Ok(fs::rename(&new, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::is_for;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once_for_the_servers_user_alone() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let (first, path) = local_certificate(dir.path()).unwrap();
        assert!(is_for(&first, &"localhost".parse().unwrap()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (second, _) = local_certificate(dir.path()).unwrap();
        assert_eq!(first.cert, second.cert);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    }
}
