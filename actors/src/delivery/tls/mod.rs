//! TLS to mail servers: the handshake, and afterwards the judgement of the certificate, before anything is said.

mod certificates;
mod dane;

pub(crate) use certificates::Roots;
pub(crate) use dane::usable;

use super::dial::Stream;
use crate::dns::Tlsa;
use mail::Timestamp;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::{io, sync::Arc};
use store::records::{TlsFacts, TlsVerified};
use tokio_rustls::TlsConnector;

/// What TLS to a host must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// None: no TLS at all, even where it is offered.
    Forbidden,
    /// Whatever there is; plain text where there is nothing.
    Optional,
    /// TLS, with any certificate.
    AnyCertificate,
    /// TLS, with a certificate that a trusted authority made for one of these names.
    Verified { names: Vec<String> },
    /// TLS, with a certificate that one of these records fits (RFC 7672). The names count for records of usage 2.
    Dane { records: Vec<Tlsa>, names: Vec<String> },
}

impl Requirement {
    /// Whether mail may go in plain text.
    pub(crate) fn allows_plain(&self) -> bool {
        matches!(self, Requirement::Forbidden | Requirement::Optional)
    }
}

/// Makes TLS connections.
#[derive(Clone)]
pub(crate) struct TlsClient {
    connector: TlsConnector,
    roots: Roots,
}

/// A connection after the handshake.
pub(crate) struct Secured {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) facts: TlsFacts,
}

/// Why there is no TLS that will do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// The handshake failed.
    #[error("TLS handshake: {0}")]
    Handshake(io::Error),
    /// The certificate is not what it must be.
    #[error("TLS certificate: {0}")]
    Certificate(String),
}

impl TlsClient {
    pub(crate) fn new(roots: Roots) -> TlsClient {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(Unjudged { provider: provider.clone() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has what TLS 1.2 and 1.3 need")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        TlsClient { connector: TlsConnector::from(Arc::new(config)), roots }
    }

    /// Secures a connection to `host`, and judges the certificate at `now`.
    pub(crate) async fn secure(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
        requirement: &Requirement,
        now: Timestamp,
    ) -> Result<Secured, TlsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError::Certificate(format!("{host} is no name that certificates can have")))?;
        let stream = self.connector.connect(name, stream).await.map_err(TlsError::Handshake)?;
        let (_, session) = stream.get_ref();
        let certificates = session.peer_certificates().unwrap_or_default();
        let verified = self.judge(certificates, host, requirement, now).map_err(TlsError::Certificate)?;
        let facts = TlsFacts {
            version: session.protocol_version().map(version).unwrap_or_default(),
            cipher: session
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or_default()
                .to_owned(),
            verified,
        };
        Ok(Secured { stream: Box::new(stream), facts })
    }

    fn judge(
        &self,
        certificates: &[CertificateDer<'_>],
        host: &str,
        requirement: &Requirement,
        now: Timestamp,
    ) -> Result<TlsVerified, String> {
        let time = unix_time(now);
        match requirement {
            Requirement::Forbidden | Requirement::Optional | Requirement::AnyCertificate => {
                // It is good to know, and binds nobody.
                let good = self.roots.verify(certificates, &[host], time);
                Ok(if good.is_ok() { TlsVerified::WebPki } else { TlsVerified::No })
            }
            Requirement::Verified { names } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.roots.verify(certificates, &names, time)?;
                Ok(TlsVerified::WebPki)
            }
            Requirement::Dane { records, names } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                dane::verify(certificates, records, &names, time)?;
                Ok(TlsVerified::Dane)
            }
        }
    }
}

fn version(version: rustls::ProtocolVersion) -> String {
    match version {
        rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2".into(),
        rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3".into(),
        other => format!("{other:?}"),
    }
}

fn unix_time(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(now.since(Timestamp::default()))
}

/// Lets every certificate pass for now; that the server has its key is checked.
#[derive(Debug)]
struct Unjudged {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unjudged {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
