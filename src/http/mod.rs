//! HTTP: the webapi, metrics and health, on listeners that serve any part of them.

mod acme;
mod body;
mod client;
mod error;
mod events;
mod file_body;
mod fingerprint;
mod form;
mod health;
mod login;
mod memory;
mod metrics;
mod origin;
mod spool;
#[cfg(test)]
mod testing;
mod unread;
mod webapi;

pub use metrics::{EdgeMetrics, count_panics};

use crate::{app::App, server::HttpSocket};
use actix_web::{
    HttpServer,
    dev::Server,
    http::KeepAlive,
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use config::{Network, Service};
use form::FormReader;
use memory::Memory;
use spool::Spools;
use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

/// What all HTTP listeners of a server share: made once.
pub struct Http {
    app: Arc<App>,
    forms: FormReader,
    /// What large requests and messages may hold together.
    memory: Memory,
    spools: Spools,
    metrics: EdgeMetrics,
}

impl Http {
    /// Registers the counters, and makes the directory of uploads in the data directory.
    ///
    /// # Errors
    /// When that directory cannot be made, or the app has another [`Http`] already.
    pub fn new(app: Arc<App>) -> io::Result<Arc<Http>> {
        let limits = &app.settings.limits;
        let memory_max = usize::try_from(limits.upload_memory_max).unwrap_or(usize::MAX);
        let spools = Spools::new(app.handles.store.clone(), memory_max)?;
        let memory = Memory::new(limits.request_size_max);
        let metrics = EdgeMetrics::register(&app.registry).map_err(io::Error::other)?;
        Ok(Arc::new(Http {
            forms: FormReader::new(limits, spools.clone(), memory.clone()),
            memory,
            spools,
            metrics,
            app,
        }))
    }

    /// What is counted at the edges.
    pub fn metrics(&self) -> &EdgeMetrics {
        &self.metrics
    }
}

/// How long an unused connection stays open; longer than clients and proxies commonly keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long the headers of a request may take.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the handshake of TLS may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves HTTP on a listener, on threads of its own; where there are trusted proxies, to them only. The server runs
/// when it is awaited, and is stopped by its handle: it handles no signals.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve(http: &Arc<Http>, socket: HttpSocket, workers: usize) -> io::Result<Server> {
    let HttpSocket { listener, services, trusted_proxies, tls } = socket;
    let limits = &http.app.settings.limits;
    let workers = workers.max(1);
    let shared = http.clone();
    let proxies: Arc<[Network]> = trusted_proxies.into();
    let server =
        HttpServer::new(move || actix_web::App::new().configure(routes(&shared, &services, &proxies)))
            .workers(workers)
            // actix counts connections a worker.
            .max_connections(limits.http_connections_max.div_ceil(workers))
            .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
            .client_request_timeout(HEADERS_TIMEOUT)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .shutdown_timeout(limits.shutdown_grace.as_secs())
            .disable_signals();
    let server = match tls {
        Some(tls) => {
            server.tls_handshake_timeout(HANDSHAKE_TIMEOUT).listen_rustls_0_23(listener, (*tls).clone())?
        }
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

/// Every route of a listener with those services, behind those proxies.
fn routes(
    http: &Arc<Http>,
    services: &BTreeSet<Service>,
    proxies: &Arc<[Network]>,
) -> impl FnOnce(&mut ServiceConfig) {
    let http = web::Data::from(http.clone());
    let services = services.clone();
    let proxies = proxies.clone();
    move |config| {
        let identify = from_fn(move |request, next| {
            let proxies = proxies.clone();
            async move { client::identify(&proxies, request, next).await }
        });
        let identified = web::scope("").wrap(identify).configure(|config| add_services(config, services));
        config.app_data(http);
        config.service(
            web::scope("")
                .wrap(from_fn(unread::close))
                // Whoever looks after the server asks it directly.
                .route("/healthz", web::get().to(health::healthz))
                .route("/readyz", web::get().to(health::readyz))
                .route("/.well-known/acme-challenge/{token}", web::get().to(acme::answer))
                .service(identified),
        );
    }
}

fn add_services(config: &mut ServiceConfig, services: BTreeSet<Service>) {
    for service in services {
        match service {
            Service::Webapi => {
                webapi::routes(config);
                events::routes(config);
            }
            Service::Metrics => {
                config.route("/metrics", web::get().to(metrics::page));
            }
            Service::Account | Service::Admin => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::TestServer, *};

    #[actix_web::test]
    async fn every_listener_says_how_the_server_is() {
        let server = TestServer::start().await;
        for path in ["/healthz", "/readyz"] {
            assert_eq!(server.get(path, &[]).await.status, 200, "{path}");
        }
    }

    #[actix_web::test]
    async fn a_listener_serves_nothing_but_its_services() {
        let server = TestServer::start().await;
        assert_eq!(server.get("/metrics", &[Service::Webapi]).await.status, 404);
        assert_eq!(server.get("/webapi/v0/Send", &[Service::Metrics]).await.status, 404);
        assert_eq!(server.get("/api/v1/events", &[Service::Metrics]).await.status, 404);
        assert_eq!(server.get("/api/v1/events", &[Service::Webapi]).await.status, 401);
        let metrics = server.get("/metrics", &[Service::Metrics]).await;
        assert_eq!(metrics.status, 200);
        for name in [
            "postrider_build_info{",
            "postrider_store_map_bytes{part=\"used\"}",
            "postrider_queue_messages{state=\"in_flight\"} 0",
        ] {
            assert!(metrics.body.contains(name), "{name}");
        }
    }

    #[actix_web::test]
    async fn a_server_answers_on_its_listener_until_it_is_stopped() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let test = TestServer::start().await;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let services = BTreeSet::new();
        let socket = HttpSocket { listener, services, trusted_proxies: Vec::new(), tls: None };
        let server = serve(&test.http, socket, 1).unwrap();
        let handle = server.handle();
        let running = actix_web::rt::spawn(server);
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        handle.stop(true).await;
        running.await.unwrap().unwrap();
    }
}
