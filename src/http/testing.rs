//! A server for the tests of this module: a real store and actors, a clock that stands where it is put, and
//! nowhere to deliver to.

use super::{Http, routes};
use crate::{
    app::{App, Mode},
    password::hash_password,
};
use actix_web::{
    http::{
        Method,
        header::{self, HeaderValue},
    },
    test::{TestRequest, call_service, init_service, read_body},
};
use actors::*;
use base64::{Engine, prelude::BASE64_STANDARD};
use config::{Service, Settings};
use futures_util::future::LocalBoxFuture;
use mail::{DkimKey, Timestamp};
use prometheus::Registry;
use std::{io, sync::Arc, time::Duration};
use store::{
    Store, StoreOptions,
    records::{AccountRecord, AddressPattern, DkimKeyRecord, DomainRecord},
};

pub(super) struct TestServer {
    pub(super) app: Arc<App>,
    pub(super) http: Arc<Http>,
    _dir: tempfile::TempDir,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: header::HeaderMap,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    /// The status and the code of an error object.
    pub(super) fn error(&self) -> (u16, String) {
        (self.status, self.json()["Code"].as_str().unwrap_or_default().to_owned())
    }
}

impl TestServer {
    /// Accounts `rider`, `other` and `disabled`, each with an address at localhost and the password `tést`; the
    /// rider also has the catch-all of `all.example`, and FromIDs.
    pub(super) async fn start() -> TestServer {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> TestServer {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.data_dir = dir.path().into();
        settings.store.map_size = 64 << 20;
        settings.store.reserve = 1 << 20;
        change(&mut settings);
        let options = StoreOptions {
            map_size: 64 << 20,
            map_reserve: 1 << 20,
            disk_reserve: 0,
            inline_max: usize::try_from(settings.store.inline_content_max).unwrap(),
        };
        let (store, writer) = Store::open(dir.path(), options).unwrap();
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let handles = actors::start(store, writer, actor_options(metrics.clone()));
        fill(&handles.writer).await;
        let hostname = "mail.example".parse().unwrap();
        let app = Arc::new(App { handles, settings, hostname, mode: Mode::Serve, registry, metrics });
        TestServer { http: Http::new(app.clone()).unwrap(), app, _dir: dir }
    }

    pub(super) async fn get(&self, path: &str, services: &[Service]) -> Answer {
        self.request(TestRequest::get().uri(path), services).await
    }

    /// A call of the rider, urlencoded.
    pub(super) async fn call(&self, method: &str, request: serde_json::Value) -> Answer {
        self.call_as("rider@localhost", method, request).await
    }

    pub(super) async fn call_as(&self, user: &str, method: &str, request: serde_json::Value) -> Answer {
        let encoded: String = request.to_string().bytes().map(|b| format!("%{b:02x}")).collect();
        let request = TestRequest::with_uri(&format!("/webapi/v0/{method}"))
            .method(Method::POST)
            .insert_header((header::AUTHORIZATION, basic(user, "tést")))
            .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
            .set_payload(format!("request={encoded}"));
        self.request(request, &[Service::Webapi]).await
    }

    pub(super) async fn request(&self, request: TestRequest, services: &[Service]) -> Answer {
        let services = services.iter().copied().collect();
        let app = init_service(actix_web::App::new().configure(routes(&self.http, &services))).await;
        let request = request.peer_addr(([192, 0, 2, 1], 1234).into()).to_request();
        let response = call_service(&app, request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = String::from_utf8(read_body(response).await.to_vec()).unwrap();
        Answer { status, headers, body }
    }
}

/// The header of basic authentication.
pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    HeaderValue::from_str(&format!("Basic {encoded}")).unwrap()
}

/// 2026-11-22T10:00:00Z.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn actor_options(metrics: Metrics) -> Options {
    let seconds = Duration::from_secs;
    Options {
        clock: Clock::following_tokio(NOW),
        router: Router::relay("nowhere.example", ([127, 0, 0, 1], 9).into()),
        dialer: Arc::new(Nowhere),
        poster: Arc::new(Nowhere),
        writer: WriterLimits {
            pending_max: 100,
            pending_bytes_max: 1 << 24,
            batch_max: 100,
            batch_bytes_max: 1 << 24,
        },
        delivery: DeliveryOptions {
            ehlo_name: "mail.example".into(),
            timeouts: smtp::Timeouts::default(),
            schedule: RetrySchedule(vec![seconds(3600)]),
            concurrency_start: 1,
            concurrency_max: 1,
            connections_max: 1,
            content_bytes_max: 64 << 20,
            connection_messages_max: 1,
            connection_idle: seconds(1),
            connection_age_max: seconds(1),
            recipients_max: 1,
            due_batch_max: 10,
            actor_idle: seconds(60),
        },
        webhooks: WebhookOptions {
            schedule: RetrySchedule(Vec::new()),
            calls_per_url_max: 1,
            calls_max: 1,
            due_batch_max: 1,
        },
        janitor: JanitorOptions { interval: seconds(3600), batch: 1, keep_events: seconds(3600) },
        metrics,
        threads: Threads::Current,
    }
}

struct Nowhere;

impl Dialer for Nowhere {
    fn dial<'d>(&'d self, _: &'d NextHop) -> LocalBoxFuture<'d, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

impl Poster for Nowhere {
    fn post(&self, _: HookRequest) -> LocalBoxFuture<'_, Result<HookAnswer, HookError>> {
        Box::pin(async { Err(HookError { message: "nowhere".into(), permanent: true }) })
    }
}

async fn fill(writer: &StoreWriter) {
    let key = DkimKeyRecord { selector: "s1".into(), pkcs8: DkimKey::generate_ed25519().unwrap() };
    for (name, disabled) in [("localhost", false), ("all.example", false), ("disabled.example", true)] {
        let name = name.parse().unwrap();
        let dkim = vec![key.clone()];
        writer.put_domain(DomainRecord { name, catchall_separator: '+', disabled, dkim }).await.unwrap();
    }
    let hash = hash_password("tést").unwrap();
    for name in ["rider", "other", "disabled"] {
        let address: mail::Address = format!("{name}@localhost").parse().unwrap();
        let mut addresses = vec![AddressPattern::Address(address.clone())];
        if name == "rider" {
            addresses.push(AddressPattern::CatchAll("all.example".parse().unwrap()));
            addresses.push(AddressPattern::CatchAll("disabled.example".parse().unwrap()));
        }
        let account = AccountRecord {
            name: name.into(),
            full_name: format!("The {name}"),
            password_hash: hash.clone(),
            addresses,
            from_id_login_addresses: if name == "rider" { vec![address] } else { Vec::new() },
            keep_retired_messages: Duration::from_secs(3600),
            keep_retired_hooks: Duration::ZERO,
            dsn_to_inbox: false,
            disabled: name == "disabled",
            outgoing_webhook: None,
            incoming_webhook: None,
            webhook_secret: vec![0; 24],
            created: NOW,
        };
        writer.put_account(account).await.unwrap();
    }
}
