//! Certificates made by authorities (RFC 5280), and names in them (RFC 6125).

use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use std::sync::Arc;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// The authorities that are trusted.
#[derive(Clone, Default)]
pub(crate) struct Roots(Arc<[TrustAnchor<'static>]>);

impl Roots {
    /// Those of the system, and others. Certificates that cannot be read are left out.
    pub(crate) fn system_and(others: &[CertificateDer<'static>]) -> Roots {
        let system = rustls_native_certs::load_native_certs();
        for error in &system.errors {
            tracing::warn!(%error, "the system's certificate authorities cannot all be read");
        }
        Roots::of(system.certs.iter().chain(others))
    }

    fn of<'c>(certificates: impl Iterator<Item = &'c CertificateDer<'static>>) -> Roots {
        let anchors = certificates.filter_map(|certificate| {
            anchor_from_trusted_cert(certificate).ok().map(|anchor| anchor.to_owned())
        });
        Roots(anchors.collect())
    }

    /// Whether an authority made the first certificate, over the others, for one of the names.
    ///
    /// # Errors
    /// Why not, for people.
    pub(super) fn verify(
        &self,
        certificates: &[CertificateDer<'_>],
        names: &[&str],
        time: UnixTime,
    ) -> Result<(), String> {
        verify_chain(certificates, &self.0, names, time)
    }
}

/// Whether one of the `anchors` made the first certificate, over the others, for one of the names.
pub(super) fn verify_chain(
    certificates: &[CertificateDer<'_>],
    anchors: &[TrustAnchor<'_>],
    names: &[&str],
    time: UnixTime,
) -> Result<(), String> {
    let [first, others @ ..] = certificates else { return Err("the server shows none".into()) };
    let leaf = EndEntityCert::try_from(first).map_err(|error| format!("it cannot be read ({error})"))?;
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        anchors,
        others,
        time,
        KeyUsage::server_auth(),
        None,
        None,
    )
    .map_err(|error| explain(&error))?;
    let fits = names.iter().any(|name| {
        ServerName::try_from(*name).is_ok_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok())
    });
    if fits { Ok(()) } else { Err(format!("it is not for {}", names.join(" or "))) }
}

fn explain(error: &webpki::Error) -> String {
    match error {
        webpki::Error::UnknownIssuer => "no trusted authority made it".into(),
        webpki::Error::CertExpired { .. } => "it has expired".into(),
        webpki::Error::CertNotValidYet { .. } => "it is not valid yet".into(),
        error => format!("it does not verify ({error:?})"),
    }
}
