//! TLS of the listeners: the certificate they show, and its exchange while they run.

pub mod acme;
mod files;

pub use files::{read_authorities, read_certificate};

use acme::AcmeAnswers;
use arc_swap::ArcSwapOption;
use mail::{Domain, Timestamp};
use rustls::{
    ServerConfig,
    client::verify_server_name,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::ServerName;
use std::{fmt, sync::Arc};

/// The certificate that listeners show. Connections made after a change see the new one; those there are go on.
#[derive(Default)]
pub struct Certificate {
    current: ArcSwapOption<CertifiedKey>,
}

impl Certificate {
    /// Shows this one from now on.
    pub fn set(&self, certificate: CertifiedKey) {
        self.current.store(Some(Arc::new(certificate)));
    }

    /// What a listener needs to speak TLS with this certificate.
    pub fn server_config(self: &Arc<Certificate>) -> Arc<ServerConfig> {
        let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(self.clone());
        Arc::new(config)
    }

    /// As [`Certificate::server_config`], for one that shows an ACME authority its answers as well.
    pub fn server_config_with_answers(
        self: &Arc<Certificate>,
        answers: Arc<AcmeAnswers>,
    ) -> Arc<ServerConfig> {
        let resolver = Arc::new(WithAnswers { certificate: self.clone(), answers });
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![acme::PROTOCOL.to_vec()];
        Arc::new(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

/// The certificate for all but an ACME authority that looks for the answer to its challenge.
struct WithAnswers {
    certificate: Arc<Certificate>,
    answers: Arc<AcmeAnswers>,
}

impl ResolvesServerCert for WithAnswers {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // An authority offers this protocol and no other (RFC 8737, 3).
        let mut protocols = hello.alpn().into_iter().flatten();
        match (protocols.next(), protocols.next()) {
            (Some(acme::PROTOCOL), None) => self.answers.over_tls(),
            _ => self.certificate.resolve(hello),
        }
    }
}

impl fmt::Debug for WithAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithAnswers").finish_non_exhaustive()
    }
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// From then on.
    pub begin: Timestamp,
    /// Until then.
    pub end: Timestamp,
}

/// The life of the first certificate of a chain; `None` when it cannot be read.
pub fn certificate_life(certificate: &CertifiedKey) -> Option<Life> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate.cert.first()?).ok()?;
    let at = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    let validity = parsed.validity();
    Some(Life { begin: at(validity.not_before.timestamp()), end: at(validity.not_after.timestamp()) })
}

/// Whether the first certificate of a chain is for that name.
pub fn is_for(certificate: &CertifiedKey, name: &Domain) -> bool {
    let parsed = certificate.end_entity_cert().ok().and_then(|cert| ParsedCertificate::try_from(cert).ok());
    let name = ServerName::try_from(name.as_ascii()).ok();
    parsed.zip(name).is_some_and(|(parsed, name)| verify_server_name(&parsed, &name).is_ok())
}
