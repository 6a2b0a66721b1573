//! Making the calls over HTTP.

use super::{AddressGuard, HookRequest};
use crate::dns;
use futures_util::future::LocalBoxFuture;
use hickory_resolver::{TokioResolver, config::ResolverConfig};
use mail::Timestamp;
use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    header::{DATE, HeaderMap, RETRY_AFTER},
};
use rustls_pki_types::CertificateDer;
use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
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
    /// When the other side asks to be called next, at the earliest.
    pub retry_after: Option<RetryAfter>,
    /// The start of the body.
    pub body: String,
    /// The body did not come to its end in time.
    pub stalled: bool,
}

/// What an answer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// To wait for so long.
    Wait(Duration),
    /// To wait until then, by our clock.
    Until(Timestamp),
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

/// How long the body of an answer may take when its status is known, to be kept in the history.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls over HTTP and HTTPS, only to addresses that the guard allows, without following redirects.
pub struct HttpPoster {
    client: reqwest::Client,
    guard: AddressGuard,
    answer_max: usize,
}

impl HttpPoster {
    /// Names are looked up at `nameservers`, or at those of the system where there are none. `authorities` are trusted
    /// besides the system's. `timeout` is for a whole call; of an answer `answer_max` bytes are kept.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up, as without readable certificates.
    pub fn new(
        guard: AddressGuard,
        nameservers: &[SocketAddr],
        authorities: &[CertificateDer<'static>],
        timeout: Duration,
        answer_max: usize,
    ) -> Result<HttpPoster, Box<dyn Error>> {
        let resolver = GuardedResolver { resolver: resolver(nameservers)?, guard: guard.clone() };
        let authorities: Vec<_> =
            authorities.iter().map(|der| reqwest::Certificate::from_der(der)).collect::<Result<_, _>>()?;
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(resolver))
            .tls_certs_merge(authorities)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .build()?;
        Ok(HttpPoster { client, guard, answer_max })
    }

    async fn call(&self, request: HookRequest) -> Result<HookAnswer, HookError> {
        let mut url = reqwest::Url::parse(&request.url)
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
        // URLs of earlier builds may have a user in them, who is another `Authorization`.
        if request.headers.iter().any(|(name, _)| *name == "Authorization") {
            let _ = url.set_password(None);
            let _ = url.set_username("");
        }
        let mut builder = self.client.post(url).body(request.body);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let response = builder.send().await.map_err(|error| HookError::temporary(explain(&error)))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let (body, stalled) = start_of_body(response, self.answer_max).await;
        Ok(HookAnswer { status, retry_after, body: text(&body, self.answer_max), stalled })
    }
}

/// At most the first `max` bytes, and whether more of them did not come in time. The status decides what happens next,
/// whatever becomes of the body.
async fn start_of_body(mut response: reqwest::Response, max: usize) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    let read = async {
        while body.len() < max {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let room = max - body.len();
                    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                }
                Ok(None) => return false,
                Err(error) => return error.is_timeout(),
            }
        }
        false
    };
    let stalled = tokio::time::timeout(BODY_TIMEOUT, read).await.unwrap_or(true);
    (body, stalled)
}

/// At most `max` bytes of text: what is no UTF-8 becomes longer.
fn text(body: &[u8], max: usize) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    text.truncate(text.floor_char_boundary(max));
    text
}

impl Poster for HttpPoster {
    fn post(&self, request: HookRequest) -> LocalBoxFuture<'_, Result<HookAnswer, HookError>> {
        Box::pin(self.call(request))
    }
}

/// RFC 9110 section 10.2.3: seconds, or a date. A date is taken against the answer's own `Date`, so that a clock
/// that is off at either side does no harm; without one, our clock has to do.
fn retry_after(headers: &HeaderMap) -> Option<RetryAfter> {
    let text = |name| headers.get(name)?.to_str().ok();
    let value = text(RETRY_AFTER)?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(RetryAfter::Wait(Duration::from_secs(value.parse().unwrap_or(u64::MAX))));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    match text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()) {
        Some(answered) => until.duration_since(answered).ok().map(RetryAfter::Wait),
        None => {
            let since_1970 = until.duration_since(UNIX_EPOCH).ok()?;
            Some(RetryAfter::Until(Timestamp::from_millis(0).after(since_1970)))
        }
    }
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
    // The authority of a network of one's own.
    if text.contains("UnknownIssuer") {
        text.push_str("; an operator can trust its authority with webhooks.trusted_ca_file");
    }
    if text.is_empty() { "the call failed".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let wait = |seconds| Some(RetryAfter::Wait(Duration::from_secs(seconds)));
        let until = Some(RetryAfter::Until(Timestamp::parse_rfc3339("1994-11-06T08:51:37Z").unwrap()));
        for (value, date, expected) in [
            ("120", None, wait(120)),
            (" 5 ", Some(date), wait(5)),
            ("99999999999999999999", None, wait(u64::MAX)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(date), wait(120)),
            ("Sunday, 06-Nov-94 08:51:37 GMT", Some(date), wait(120)),
            ("Sun Nov  6 08:51:37 1994", Some(date), wait(120)),
            (date, Some(date), wait(0)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(date), None),
            ("Sun, 06 Nov 1994 08:51:37 GMT", None, until),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some("yesterday"), until),
            ("soon", Some(date), None),
            ("-5", Some(date), None),
            ("", Some(date), None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            assert_eq!(retry_after(&headers), expected, "{value} {date:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn no_more_of_an_answer_is_kept_than_may_be() {
        for (body, max, expected) in [
            (&b"thanks"[..], 512, "thanks"),
            (b"thanks", 5, "thank"),
            ("café".as_bytes(), 5, "café"),
            ("café".as_bytes(), 4, "caf"),
            (b"caf\xc3", 4, "caf"),
            (b"\xff\xff\xff", 3, "\u{fffd}"),
            (b"", 0, ""),
        ] {
            assert_eq!(text(body, max), expected, "{body:?} {max}");
        }
    }
}
