//! TLS of the listeners: the certificate they show, and its exchange while they run.

mod files;

pub use files::read_certificate;

use arc_swap::ArcSwapOption;
use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
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
