//! TLS of the listeners: the certificate they show, and its exchange while they run.

pub mod acme;
mod bindings;
mod files;
mod local;

pub(crate) use bindings::channel_bindings;
pub use local::local_certificate;

pub use files::{read_authorities, read_certificate};

use acme::AcmeAnswers;
use arc_swap::ArcSwapOption;
use mail::{Domain, Timestamp};
use rustls::{
    ServerConfig,
    client::verify_server_name,
    crypto::aws_lc_rs::Ticketer,
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::ServerName;
use std::{fmt, sync::Arc};

/// The certificate that listeners show. Connections made after a change see the new one; those there are go on.
#[derive(Default)]
pub struct Certificate {
    current: ArcSwapOption<Shown>,
}

/// A certificate, and what speaks TLS with it and no other. So that it is known which one a resumed session is bound
/// to, tickets are only good for as long as it is shown.
pub(crate) struct Shown {
    key: Arc<CertifiedKey>,
    /// For all but HTTP.
    pub(crate) config: Arc<ServerConfig>,
    /// See [`bindings::end_point`].
    end_point: Option<Vec<u8>>,
}

impl Certificate {
    /// Shows this one from now on.
    pub fn set(&self, certificate: CertifiedKey) {
        let key = Arc::new(certificate);
        let resolver = Arc::new(SingleCertAndKey::from(key.clone()));
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
        match Ticketer::new() {
            Ok(ticketer) => config.ticketer = ticketer,
            // Without tickets, some sessions are still remembered.
            Err(error) => tracing::warn!(%error, "TLS sessions cannot be resumed by ticket"),
        }
        let end_point = key.cert.first().and_then(|certificate| bindings::end_point(certificate));
        self.current.store(Some(Arc::new(Shown { key, config: Arc::new(config), end_point })));
    }

    /// The one that is shown now; none before the first.
    pub(crate) fn shown(&self) -> Option<Arc<Shown>> {
        self.current.load_full()
    }

    /// What an HTTP listener needs to speak TLS with this certificate, which shows an ACME authority its answers as
    /// well.
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
        self.current.load_full().map(|shown| shown.key.clone())
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
