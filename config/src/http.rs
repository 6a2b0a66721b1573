//! `[[http]]`: where HTTP is answered.

use crate::{
    Network, Tls,
    source::{Section, choice, flag, listen_address, network},
};
use std::{collections::BTreeSet, net::SocketAddr};

/// A place where HTTP is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpListener {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it serves; at least one.
    pub services: BTreeSet<Service>,
    /// Whether it speaks TLS from the start; needs [`Tls::is_on`].
    pub tls: bool,
    /// Networks whose `X-Forwarded-For` counts, at most 1000; none: there is no proxy.
    pub trusted_proxies: Vec<Network>,
}

/// Something that is served over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// `/webapi/`.
    Webapi,
    /// `/account/`: the pages of an account.
    Account,
    /// `/admin/`: the pages of the operator.
    Admin,
    /// `/metrics`.
    Metrics,
}

const SERVICES: &[(&str, Service)] = &[
    ("webapi", Service::Webapi),
    ("account", Service::Account),
    ("admin", Service::Admin),
    ("metrics", Service::Metrics),
];

impl HttpListener {
    pub(crate) fn read(mut section: Section<'_, '_>, certificate: &Tls) -> Option<HttpListener> {
        let address = section.required("address", listen_address);
        let services: BTreeSet<_> = section.list("services", 16, choice(SERVICES)).into_iter().collect();
        let tls = section.optional("tls", flag).unwrap_or(false);
        let trusted_proxies = section.list("trusted_proxies", 1000, network);
        section.check(
            "services",
            !services.is_empty(),
            "must name at least one of webapi, account, admin, metrics",
        );
        section.check("tls", !tls || certificate.is_on(), "needs a certificate: set [tls]");
        Some(HttpListener { address: address?, services, tls, trusted_proxies })
    }
}
