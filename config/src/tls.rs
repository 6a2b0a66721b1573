//! `[tls]`: where the server's certificate comes from.

use crate::source::{Section, Value, mail_address, path, text};
use mail::Address;
use std::path::PathBuf;

/// The authority that is asked unless another is named.
const DEFAULT_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Where the server's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// There is none: no listener offers TLS.
    Off,
    /// PEM files.
    Files {
        /// The certificate and those between it and the root.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// An ACME authority.
    Acme(Acme),
}

/// How to get certificates by ACME (RFC 8555).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// Whom the authority may write to.
    pub contact: Address,
    /// The authority's directory, an `https` URL.
    pub directory: String,
}

impl Tls {
    /// Whether there is a certificate to offer.
    pub fn is_on(&self) -> bool {
        match self {
            Tls::Off => false,
            Tls::Files { .. } | Tls::Acme(_) => true,
        }
    }

    pub(crate) fn read(mut section: Section<'_, '_>) -> Tls {
        let base = section.base();
        let cert = section.optional("cert_file", path(base));
        let key = section.optional("key_file", path(base));
        let has_acme = section.has("acme");
        let acme = section.optional_section("acme").and_then(Acme::read);
        if has_acme && (cert.is_some() || key.is_some()) {
            section.fail("acme", "cannot go with `cert_file` and `key_file`: choose one");
        }
        match (cert, key, acme) {
            (None, None, None) => Tls::Off,
            (None, None, Some(acme)) => Tls::Acme(acme),
            (Some(cert), Some(key), _) => Tls::Files { cert, key },
            (Some(_), None, _) => {
                section.check("key_file", false, "is missing: a certificate needs its key");
                Tls::Off
            }
            (None, Some(_), _) => {
                section.check("cert_file", false, "is missing: a key needs its certificate");
                Tls::Off
            }
        }
    }
}

impl Acme {
    fn read(mut section: Section<'_, '_>) -> Option<Acme> {
        let contact = section.required("contact", mail_address);
        let directory = section.optional("directory", https_url);
        Some(Acme { contact: contact?, directory: directory.unwrap_or_else(|| DEFAULT_DIRECTORY.to_owned()) })
    }
}

fn https_url(value: &Value) -> Result<String, String> {
    let url = text(value)?;
    match url.strip_prefix("https://") {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => Ok(url.to_owned()),
        _ => Err("must be an https URL".to_owned()),
    }
}
