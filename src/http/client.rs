//! From where a request comes: from its peer, or from whom the reverse proxy in front of the listener names.

use super::{
    body,
    error::{ApiError, Code},
};
use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, X_FORWARDED_FOR, X_FORWARDED_PROTO},
    middleware::Next,
    web::Payload,
};
use config::Network;
use std::net::{IpAddr, SocketAddr};

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// An IPv4 address is never mapped to IPv6.
    pub(super) address: IpAddr,
    /// Whether it speaks TLS.
    pub(super) tls: bool,
}

/// Why it is not known who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoClient {
    /// There is a proxy, and the request did not come through it.
    Elsewhere,
    /// The proxy did not say.
    Unnamed,
}

impl Client {
    /// The client of a request that [`identify`] let through.
    pub(super) fn of(request: &HttpRequest) -> Client {
        *request.extensions().get().expect("every service stands behind `identify`")
    }

    /// Whom `peer` stands for. Without proxies that is itself. A proxy adds the address that it was called from to the
    /// end of X-Forwarded-For: what stands before is only believed where that address is a proxy too.
    fn find(peer: Option<Client>, headers: &HeaderMap, proxies: &[Network]) -> Result<Client, NoClient> {
        let peer = peer.ok_or(NoClient::Unnamed)?;
        if proxies.is_empty() {
            return Ok(peer);
        }
        let is_proxy = |address| proxies.iter().any(|network| network.contains(address));
        if !is_proxy(peer.address) {
            return Err(NoClient::Elsewhere);
        }
        let tls = match elements(headers, X_FORWARDED_PROTO).last() {
            Some(proto) => proto.eq_ignore_ascii_case("https"),
            None => peer.tls,
        };
        let mut client = Err(NoClient::Unnamed);
        for entry in elements(headers, X_FORWARDED_FOR).rev() {
            let address = address(entry).ok_or(NoClient::Unnamed)?;
            client = Ok(Client { address, tls });
            if !is_proxy(address) {
                break;
            }
        }
        client
    }
}

/// The elements of a list header over all its lines; empty ones do not count (RFC 9110, 5.6.1).
fn elements(
    headers: &HeaderMap,
    name: impl actix_web::http::header::AsHeaderName,
) -> std::vec::IntoIter<&str> {
    let lines = headers.get_all(name).flat_map(|line| match line.to_str() {
        Ok(line) => line.split(','),
        // No address, nor anything else.
        Err(_) => "?".split(','),
    });
    lines.map(str::trim).filter(|element| !element.is_empty()).collect::<Vec<_>>().into_iter()
}

/// An address, maybe in brackets, maybe with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(v6) => IpAddr::V6(v6.parse().ok()?),
        None => text.parse().or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip())).ok()?,
    };
    Some(address.to_canonical())
}

/// Finds out who sent a request before anything else is done with it.
pub(super) async fn identify(
    proxies: &[Network],
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let tls = request.app_config().secure();
    let peer = request.peer_addr().map(|peer| Client { address: peer.ip().to_canonical(), tls });
    match Client::find(peer, request.headers(), proxies) {
        Ok(client) => {
            request.extensions_mut().insert(client);
            next.call(request).await.map(ServiceResponse::map_into_boxed_body)
        }
        Err(reason) => {
            let (request, mut payload) = request.into_parts();
            body::drain(Payload::from_request(&request, &mut payload).await?).await;
            Ok(ServiceResponse::new(request, reason.response()))
        }
    }
}

impl NoClient {
    fn response(self) -> HttpResponse {
        match self {
            NoClient::Elsewhere => HttpResponse::Forbidden()
                .content_type("text/plain; charset=utf-8")
                .body("requests have to come through the proxy of this server\n"),
            NoClient::Unnamed => {
                tracing::warn!("a trusted proxy names no client; make it add the address to X-Forwarded-For");
                let message = "the server cannot tell where the request comes from; \
                               its operator has to set up the reverse proxy in front of it";
                ApiError::new(Code::Server, message).response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::TestServer;
    use actix_web::{http::header::HeaderValue, test::TestRequest};
    use config::Service;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn headers(fields: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_client_is_whom_the_trusted_proxies_name() {
        let unnamed = Err(NoClient::Unnamed);
        for (peer, lines, expected) in [
            ("10.0.0.1", &["192.0.2.1"][..], Ok("192.0.2.1")),
            ("::ffff:10.0.0.1", &["192.0.2.1"], Ok("192.0.2.1")),
            ("2001:db8:ff::1", &["192.0.2.1"], Ok("192.0.2.1")),
            ("10.0.0.1", &["198.51.100.1, 192.0.2.1"], Ok("192.0.2.1")),
            ("10.0.0.1", &["garbage,192.0.2.1"], Ok("192.0.2.1")),
            ("10.0.0.1", &["192.0.2.1, 10.0.0.2"], Ok("192.0.2.1")),
            ("10.0.0.1", &["198.51.100.1, 192.0.2.1, 10.0.0.2, 2001:db8:ff::2"], Ok("192.0.2.1")),
            ("10.0.0.1", &["198.51.100.1", "192.0.2.1"], Ok("192.0.2.1")),
            ("10.0.0.1", &["198.51.100.1", "192.0.2.1", "10.0.0.2"], Ok("192.0.2.1")),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], Ok("10.0.0.3")),
            ("10.0.0.1", &["  192.0.2.1\t,, "], Ok("192.0.2.1")),
            ("10.0.0.1", &["192.0.2.1:1234"], Ok("192.0.2.1")),
            ("10.0.0.1", &["::ffff:192.0.2.1"], Ok("192.0.2.1")),
            ("10.0.0.1", &["2001:db8::1"], Ok("2001:db8::1")),
            ("10.0.0.1", &["[2001:db8::1]"], Ok("2001:db8::1")),
            ("10.0.0.1", &["[2001:db8::1]:1234"], Ok("2001:db8::1")),
            ("10.0.0.1", &[], unnamed),
            ("10.0.0.1", &[""], unnamed),
            ("10.0.0.1", &[" , "], unnamed),
            ("10.0.0.1", &["unknown"], unnamed),
            ("10.0.0.1", &["192.0.2.1, unknown"], unnamed),
            ("10.0.0.1", &["192.0.2.1", "unknown"], unnamed),
            ("10.0.0.1", &["192.0.2.1, unknown, 10.0.0.2"], unnamed),
            ("10.0.0.1", &["192.0.2.1, é"], unnamed),
            ("10.0.0.1", &["192.0.2.1:"], unnamed),
            ("10.0.0.1", &["192.0.2.1:65536"], unnamed),
            ("10.0.0.1", &["[192.0.2.1]"], unnamed),
            ("10.0.0.1", &["192.0.2.1 10.0.0.2"], unnamed),
            ("10.0.0.1", &["192.0.2.300"], unnamed),
            ("192.0.2.1", &["198.51.100.1"], Err(NoClient::Elsewhere)),
            ("192.0.2.1", &[], Err(NoClient::Elsewhere)),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", line.as_bytes())).collect();
            let peer = Some(Client { address: peer.parse().unwrap(), tls: false });
            let found =
                Client::find(peer, &headers(&fields), &networks(&["10.0.0.0/24", "2001:db8:ff::/48"]));
            let expected = expected.map(|text: &str| text.parse().unwrap());
            assert_eq!(found.map(|client| client.address), expected, "{peer:?} {lines:?}");
        }
    }

    #[test]
    fn without_proxies_nobody_is_believed() {
        let fields = headers(&[("x-forwarded-for", b"198.51.100.1"), ("x-forwarded-proto", b"https")]);
        let peer = Client { address: [192, 0, 2, 1].into(), tls: false };
        assert_eq!(Client::find(Some(peer), &fields, &[]), Ok(peer));
        assert_eq!(Client::find(None, &fields, &[]), Err(NoClient::Unnamed));
    }

    #[test]
    fn the_proxy_says_whether_the_client_speaks_tls() {
        for (protos, of_peer, expected) in [
            (&[][..], false, false),
            (&[], true, true),
            (&["https"], false, true),
            (&["HTTPS"], false, true),
            (&["http"], true, false),
            (&["http, https"], false, true),
            (&["https", "http"], false, false),
            (&["x"], true, false),
        ] {
            let mut fields = vec![("x-forwarded-for", &b"192.0.2.1"[..])];
            fields.extend(protos.iter().map(|proto: &&str| ("x-forwarded-proto", proto.as_bytes())));
            let peer = Client { address: [10, 0, 0, 1].into(), tls: of_peer };
            let found = Client::find(Some(peer), &headers(&fields), &networks(&["10.0.0.0/8"]));
            assert_eq!(found, Ok(Client { address: [192, 0, 2, 1].into(), tls: expected }), "{protos:?}");
        }
    }

    #[actix_web::test]
    async fn a_listener_behind_a_proxy_serves_nobody_else() {
        let server = TestServer::start().await;
        // The peer is 192.0.2.1.
        let (proxy, other) = (networks(&["192.0.2.0/24"]), networks(&["198.51.100.0/24"]));
        let services = [Service::Webapi, Service::Metrics];
        for (path, named, of_other, unnamed) in [
            ("/webapi/v0/Send", 200, 403, 500),
            ("/webapi/v0/Nothing", 404, 403, 500),
            ("/api/v1/events", 401, 403, 500),
            ("/metrics", 200, 403, 500),
            ("/", 404, 403, 500),
            ("/healthz", 200, 200, 200),
            ("/readyz", 200, 200, 200),
        ] {
            let get = || TestRequest::get().uri(path);
            let by_proxy = || get().insert_header(("x-forwarded-for", "203.0.113.1"));
            for (request, proxies, expected) in
                [(by_proxy(), &proxy, named), (by_proxy(), &other, of_other), (get(), &proxy, unnamed)]
            {
                let answer = server.request_behind(proxies, request, &services).await;
                assert_eq!(answer.status, expected, "{path}: {}", answer.body);
                if expected == 500 {
                    assert_eq!(answer.error(), (500, "server".into()));
                }
            }
        }
    }
}
