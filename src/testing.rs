//! What the tests of all ways into the server share: a real store and actors, a clock that starts at a known
//! moment, and nowhere to deliver to.

use crate::{
    app::{App, Mode},
    limiter::LoginLimiter,
    logins::Logins,
    sending::count_submissions,
    server::open_store,
};
use actors::{dns::NoNames, *};
use config::Settings;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use mail::{Domain, Timestamp};
use prometheus::Registry;
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};
use store::{
    Store, Writer,
    records::{AccountRecord, AddressPattern, DomainRecord},
};
use tempfile::TempDir;

/// 2026-11-22T10:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

/// An [`App`] that is about to start.
pub(crate) struct Setup {
    /// [`Mode::Serve`] unless changed.
    pub(crate) mode: Mode,
    /// Those of [`actor_options`] unless changed.
    pub(crate) options: Options,
    /// What fills the store, still without actors.
    pub(crate) writer: Writer,
    store: Store,
    settings: Settings,
    hostname: Domain,
    registry: Registry,
    dir: TempDir,
}

impl Setup {
    /// With an empty store in a directory of its own.
    pub(crate) fn new(hostname: &str, change: impl FnOnce(&mut Settings)) -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults();
        settings.data_dir = dir.path().into();
        settings.store.map_size = 64 << 20;
        settings.store.reserve = 1 << 20;
        settings.store.min_free_disk = 0;
        change(&mut settings);
        let (store, writer) = open_store(&settings).unwrap();
        let registry = Registry::new();
        let options = actor_options(hostname, Metrics::register(&registry).unwrap());
        let hostname = hostname.parse().unwrap();
        Setup { mode: Mode::Serve, options, writer, store, settings, hostname, registry, dir }
    }

    /// Starts the actors on this thread. The directory must outlive the app.
    pub(crate) fn start(self) -> (Arc<App>, TempDir) {
        let Setup { mode, options, writer, store, settings, hostname, registry, dir } = self;
        let metrics = options.metrics.clone();
        let handles = actors::start(store, writer, options);
        let limiter = LoginLimiter::new(handles.clock.clone());
        let logins = Logins::new(&settings.limits, limiter, handles.writer.clone(), &registry).unwrap();
        let acme_answers = Arc::default();
        let submissions = count_submissions(&registry).unwrap();
        let app =
            App { handles, settings, hostname, mode, acme_answers, logins, submissions, registry, metrics };
        (Arc::new(app), dir)
    }
}

/// A name server that knows no names, for as long as the process runs.
pub(crate) fn no_names() -> SocketAddr {
    static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut message = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut message) {
                // The question as it came, in an answer that says NXDOMAIN (RFC 1035, section 4.1.1).
                let end = message[12..length].iter().position(|byte| *byte == 0).map_or(length, |at| at + 17);
                message[2] |= 0x80;
                message[3] = 0x83;
                message[6..12].fill(0);
                let _ = socket.send_to(&message[..end], from);
            }
        });
        address
    });
    *SERVER
}

/// A domain in use, without DKIM keys.
pub(crate) fn domain(name: &str) -> DomainRecord {
    DomainRecord {
        name: name.parse().unwrap(),
        catchall_separator: '+',
        disabled: false,
        dkim: Vec::new(),
        routes: Vec::new(),
    }
}

/// An account without a password that has its name at localhost as its address and keeps nothing; the one named
/// `disabled` is.
pub(crate) fn account(name: &str) -> AccountRecord {
    AccountRecord {
        name: name.into(),
        full_name: name.into(),
        password_hash: String::new(),
        addresses: vec![AddressPattern::Address(format!("{name}@localhost").parse().unwrap())],
        from_id_login_addresses: Vec::new(),
        keep_retired_messages: Duration::ZERO,
        keep_retired_hooks: Duration::ZERO,
        dsn_to_inbox: false,
        disabled: name == "disabled",
        max_outgoing_messages_per_day: None,
        max_first_time_recipients_per_day: None,
        mailbox_quota: None,
        outgoing_webhook: None,
        incoming_webhook: None,
        webhook_secret: vec![0; 24],
        created: NOW,
        routes: Vec::new(),
        replaced_secret: None,
        scram: None,
        deduplicate_message_id: false,
    }
}

fn actor_options(hostname: &str, metrics: Metrics) -> Options {
    let seconds = Duration::from_secs;
    Options {
        clock: Clock::following_tokio(NOW),
        router: Router::relay("nowhere.example", ([127, 0, 0, 1], 9).into()),
        dialer: Arc::new(Nowhere),
        resolver: Arc::new(NoNames),
        policies: Arc::new(Nowhere),
        authorities: Vec::new(),
        poster: Arc::new(Nowhere),
        writer: WriterLimits {
            pending_max: 100,
            pending_bytes_max: 1 << 24,
            batch_max: 100,
            batch_bytes_max: 1 << 24,
        },
        delivery: DeliveryOptions {
            ehlo_name: hostname.into(),
            own_addresses: Default::default(),
            timeouts: smtp::Timeouts::default(),
            schedule: RetrySchedule(vec![seconds(3600)]),
            concurrency_start: 1,
            concurrency_max: 1,
            connections_max: 1,
            connections_waiting_max: 1,
            content_bytes_max: 64 << 20,
            connection_messages_max: 1,
            connection_idle: seconds(1),
            connection_age_max: seconds(1),
            recipients_max: 1,
            due_batch_max: 10,
            actor_idle: seconds(60),
            destinations: Vec::new(),
        },
        webhooks: WebhookOptions {
            schedule: RetrySchedule(Vec::new()),
            calls_per_url_max: 1,
            calls_max: 1,
            calls_waiting_max: 1,
            body_bytes_max: 64 << 20,
            due_batch_max: 1,
        },
        janitor: JanitorOptions { interval: seconds(3600), batch: 1, keep_events: seconds(3600) },
        event_readers: EventReaderLimits { max: 2, per_account_max: 1 },
        metrics,
        threads: Threads::Current,
    }
}

/// Nothing leaves: no connection is made, no call arrives.
struct Nowhere;

impl Dialer for Nowhere {
    fn timeout(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn dial<'d>(&'d self, _: &'d NextHop) -> LocalBoxFuture<'d, io::Result<Box<dyn Stream>>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }
}

impl PolicyFetcher for Nowhere {
    fn fetch<'f>(&'f self, _: &'f str) -> BoxFuture<'f, Result<String, String>> {
        Box::pin(async { Err("nowhere".into()) })
    }
}

impl Poster for Nowhere {
    fn post(&self, _: HookRequest) -> LocalBoxFuture<'_, Result<HookAnswer, HookError>> {
        Box::pin(async { Err(HookError { message: "nowhere".into(), permanent: true }) })
    }
}
