//! What the authority is shown, so that it believes that the name is ours.

use arc_swap::ArcSwapOption;
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// The protocol that an authority speaks to see a challenge over TLS (RFC 8737, 4).
pub const PROTOCOL: &[u8] = b"acme-tls/1";

/// Answers to the challenge under way, where there is one.
#[derive(Default)]
pub struct AcmeAnswers {
    /// Whether the authority is to look over TLS; else over HTTP.
    speaks_tls: bool,
    over_http: ArcSwapOption<(String, String)>,
    over_tls: ArcSwapOption<CertifiedKey>,
}

impl AcmeAnswers {
    /// To be shown over TLS, by listeners that speak [`PROTOCOL`].
    pub fn for_tls() -> AcmeAnswers {
        AcmeAnswers { speaks_tls: true, ..AcmeAnswers::default() }
    }

    pub(super) fn speaks_tls(&self) -> bool {
        self.speaks_tls
    }

    /// What belongs at `/.well-known/acme-challenge/` and this token.
    pub fn over_http(&self, token: &str) -> Option<String> {
        let answer = self.over_http.load_full()?;
        (answer.0 == token).then(|| answer.1.clone())
    }

    /// The certificate for a client that speaks [`PROTOCOL`].
    pub fn over_tls(&self) -> Option<Arc<CertifiedKey>> {
        self.over_tls.load_full()
    }

    pub(super) fn set_over_http(&self, token: &str, answer: &str) {
        self.over_http.store(Some(Arc::new((token.to_owned(), answer.to_owned()))));
    }

    pub(super) fn set_over_tls(&self, certificate: CertifiedKey) {
        self.over_tls.store(Some(Arc::new(certificate)));
    }

    pub(super) fn clear(&self) {
        self.over_http.store(None);
        self.over_tls.store(None);
    }
}
