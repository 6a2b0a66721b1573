//! Fetching policies over HTTPS.

use crate::dns::Resolver;
use config::AddressFamily;
use futures_util::future::BoxFuture;
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    header::CONTENT_TYPE,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::CertificateDer;
use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

/// For all of it (RFC 8461 3.3 suggests one minute).
const TIMEOUT: Duration = Duration::from_secs(60);
/// The largest policy that is read (RFC 8461 3.3 suggests 64 kilobytes).
const SIZE_MAX: usize = 64 * 1024;

/// Fetches policies. Tests bring one of their own.
pub trait PolicyFetcher: Send + Sync {
    /// The policy file of a domain.
    ///
    /// # Errors
    /// Why it cannot be had, for the log.
    fn fetch<'f>(&'f self, domain: &'f str) -> BoxFuture<'f, Result<String, String>>;
}

/// Fetches policies over HTTPS from `mta-sts.<domain>`, whose certificate a trusted authority must have made.
pub struct HttpsFetcher {
    client: reqwest::Client,
    port: u16,
}

impl HttpsFetcher {
    /// `authorities` are trusted besides the system's; `port` is 443 but for tests.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn new(
        resolver: Arc<dyn Resolver>,
        authorities: &[CertificateDer<'static>],
        port: u16,
    ) -> Result<HttpsFetcher, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(authorities.iter().cloned());
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(ByResolver(resolver)))
            // RFC 8461 3.3: redirects must not be followed.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .https_only(true)
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(HttpsFetcher { client, port })
    }
}

impl PolicyFetcher for HttpsFetcher {
    fn fetch<'f>(&'f self, domain: &'f str) -> BoxFuture<'f, Result<String, String>> {
        Box::pin(async move {
            let url = format!("https://mta-sts.{domain}:{}/.well-known/mta-sts.txt", self.port);
            let mut response = self.client.get(url).send().await.map_err(|error| explain(&error))?;
            if response.status() != reqwest::StatusCode::OK {
                return Err(format!("the server answers {}", response.status().as_u16()));
            }
            let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            if !kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/plain")) {
                return Err("it is not text/plain".into());
            }
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| explain(&error))? {
                if body.len() + chunk.len() > SIZE_MAX {
                    return Err("it is too large".into());
                }
                body.extend_from_slice(&chunk);
            }
            String::from_utf8(body).map_err(|_| "it is no text".into())
        })
    }
}

/// The innermost cause says most.
fn explain(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

struct ByResolver(Arc<dyn Resolver>);

impl Resolve for ByResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let answer = resolver.addresses(name.as_str(), AddressFamily::Any, false).await?;
            let addresses: Addrs = Box::new(answer.records.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}
