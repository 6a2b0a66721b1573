//! What is kept of ACME in the data directory: the account, and the certificate with its key. For the server's user
//! alone.

use crate::tls::read_certificate;
use anyhow::Context;
use instant_acme::AccountCredentials;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// An account with an authority.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptAccount {
    /// The authority.
    pub(super) directory: String,
    /// The account and its key.
    pub(super) credentials: AccountCredentials,
}

/// The files.
pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    pub(super) fn open(data_dir: &Path) -> anyhow::Result<Files> {
        let dir = data_dir.join("acme");
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(error).with_context(|| dir.display().to_string())
            }
            Ok(()) | Err(_) => Ok(Files { dir }),
        }
    }

    /// The account; `None` when there is none with that authority.
    pub(super) fn account(&self, directory: &str) -> anyhow::Result<Option<KeptAccount>> {
        let path = self.account_path();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let kept: KeptAccount = serde_json::from_slice(&text).with_context(|| {
            format!("{} cannot be read; remove it to make a new ACME account", path.display())
        })?;
        Ok(Some(kept).filter(|kept| kept.directory == directory))
    }

    pub(super) fn keep_account(&self, account: &KeptAccount) -> anyhow::Result<()> {
        self.write(&self.account_path(), &serde_json::to_vec_pretty(account)?)
    }

    /// The certificate; `None` when there is none.
    pub(super) fn certificate(&self) -> anyhow::Result<Option<CertifiedKey>> {
        let path = self.certificate_path();
        if !path.exists() {
            return Ok(None);
        }
        let read = read_certificate(&path, &path);
        read.map(Some).context("remove it to have a new one made")
    }

    /// Keeps a chain and its key, as PEM. They are one file, so that they always belong together.
    pub(super) fn keep_certificate(&self, pem: &str) -> anyhow::Result<()> {
        self.write(&self.certificate_path(), pem.as_bytes())
    }

    fn account_path(&self) -> PathBuf {
        self.dir.join("account.json")
    }

    fn certificate_path(&self) -> PathBuf {
        self.dir.join("certificate.pem")
    }

    /// Whole or not at all.
    fn write(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        let new = path.with_extension("new");
        let written = (|| {
            // What a crash left may have another mode.
            match fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            File::open(&self.dir)?.sync_all()
        })();
        written.with_context(|| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_certificate_is_kept_for_the_servers_user_alone() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        assert!(files.certificate().unwrap().is_none());
        assert!(files.account("https://ca.example/").unwrap().is_none());
        for name in ["one.example", "two.example"] {
            let made = rcgen::generate_simple_self_signed([name.into()]).unwrap();
            let pem = format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem());
            files.keep_certificate(&pem).unwrap();
            let kept = Files::open(dir.path()).unwrap().certificate().unwrap().unwrap();
            assert_eq!(kept.cert[0], *made.cert.der());
            let mode = fs::metadata(files.certificate_path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(&files.dir).unwrap().count(), 1, "nothing else is left");
    }
}
