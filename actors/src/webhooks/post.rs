//! Making the calls over HTTP.

use super::{AddressGuard, HookRequest};
use crate::dns;
use futures_util::future::LocalBoxFuture;
use hickory_resolver::{TokioResolver, config::ResolverConfig};
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    header::{DATE, HeaderMap, RETRY_AFTER},
};
use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// Makes webhook calls. Tests bring one of their own.
pub trait Poster: Send + Sync {
    /// Makes one call.
    ///
    /// # Errors
    /// When there is no answer.
    fn post(&self, request: HookRequest) -> LocalBoxFuture<'_, Result<HookAnswer, HookError>>;
}

/// An answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookAnswer {
    /// The HTTP status.
    pub status: u16,
    /// How long the other side asks to wait before the next call.
    pub retry_after: Option<Duration>,
    /// The start of the body.
    pub body: String,
}

impl HookAnswer {
    /// Any 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookError {
    /// For people; never has a secret in it.
    pub message: String,
    /// Another call would end the same.
    pub permanent: bool,
}

impl HookError {
    pub(super) fn permanent(message: String) -> HookError {
        HookError { message, permanent: true }
    }

    pub(super) fn temporary(message: String) -> HookError {
        HookError { message, permanent: false }
    }
}

/// Calls over HTTP and HTTPS, only to addresses that the guard allows, without following redirects.
pub struct HttpPoster {
    client: reqwest::Client,
    guard: AddressGuard,
    answer_max: usize,
}

impl HttpPoster {
    /// Names are looked up at `nameservers`, or at those of the system where there are none. `timeout` is for a whole
    /// call; of an answer `answer_max` bytes are kept.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up, as without readable certificates.
    pub fn new(
        guard: AddressGuard,
        nameservers: &[SocketAddr],
        timeout: Duration,
        answer_max: usize,
    ) -> Result<HttpPoster, Box<dyn Error>> {
        let resolver = GuardedResolver { resolver: resolver(nameservers)?, guard: guard.clone() };
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(resolver))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(HttpPoster { client, guard, answer_max })
    }

    async fn call(&self, request: HookRequest) -> Result<HookAnswer, HookError> {
        let url = reqwest::Url::parse(&request.url)
            .map_err(|error| HookError::permanent(format!("the URL cannot be read: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(HookError::permanent("only http and https URLs can be called".into()));
        }
        // Addresses in the URL never get to the resolver.
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if let Some(address) = literal
            && !self.guard.allows(address)
        {
            return Err(HookError::temporary(refusal(address)));
        }
        let mut builder = self.client.post(url).body(request.body);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let mut response = builder.send().await.map_err(|error| HookError::temporary(explain(&error)))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let mut body = Vec::new();
        while body.len() < self.answer_max
            && let Ok(Some(chunk)) = response.chunk().await
        {
            let room = self.answer_max - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        Ok(HookAnswer { status, retry_after, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Poster for HttpPoster {
    fn post(&self, request: HookRequest) -> LocalBoxFuture<'_, Result<HookAnswer, HookError>> {
        Box::pin(self.call(request))
    }
}

/// RFC 9110 section 10.2.3: seconds, or a date. A date is taken against the answer's own `Date`, so that a clock
/// that is off at either side does no harm; without one it says nothing.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let value = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let answered = httpdate::parse_http_date(text(DATE)?).ok()?;
    until.duration_since(answered).ok()
}

/// The given name servers, or the system's; on a machine without any, the hosts file alone.
fn resolver(nameservers: &[SocketAddr]) -> Result<TokioResolver, Box<dyn Error>> {
    let of = |servers| {
        let config = ResolverConfig::from_name_servers(servers);
        TokioResolver::builder_with_config(config, Default::default())
    };
    if !nameservers.is_empty() {
        return Ok(of(nameservers.iter().map(dns::server).collect()).build()?);
    }
    let builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
        tracing::warn!(%error, "no name server is known; only names in the hosts file can be called by webhooks");
        of(Vec::new())
    });
    Ok(builder.build()?)
}

/// Resolves names and leaves out addresses that may not be called, so that what is checked is what is dialled.
struct GuardedResolver {
    resolver: TokioResolver,
    guard: AddressGuard,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, guard) = (self.resolver.clone(), self.guard.clone());
        Box::pin(async move {
            let found = resolver.lookup_ip(name.as_str()).await?;
            let mut addresses: Vec<IpAddr> = found.iter().collect();
            let refused = addresses.iter().copied().find(|address| !guard.allows(*address));
            addresses.retain(|address| guard.allows(*address));
            match (addresses.is_empty(), refused) {
                (true, Some(address)) => Err(refusal(address).into()),
                _ => Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs),
            }
        })
    }
}

fn refusal(address: IpAddr) -> String {
    format!(
        "{address} is not a public address; an operator can allow its network with webhooks.allow_networks"
    )
}

/// The error with its causes, without the URL, which may carry a secret.
fn explain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timeout: no answer in time".into();
    }
    let mut text = String::new();
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    if text.is_empty() { "the call failed".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (value, date, expected) in [
            ("120", None, Some(120)),
            (" 5 ", Some(date), Some(5)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(date), Some(120)),
            ("Sunday, 06-Nov-94 08:51:37 GMT", Some(date), Some(120)),
            ("Sun Nov  6 08:51:37 1994", Some(date), Some(120)),
            (date, Some(date), Some(0)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(date), None),
            ("Sun, 06 Nov 1994 08:51:37 GMT", None, None),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some("yesterday"), None),
            ("soon", Some(date), None),
            ("-5", Some(date), None),
            ("", Some(date), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{value} {date:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
