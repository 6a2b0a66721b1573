//! A whole set of actors on one arbiter.

use crate::{
    dns::{Answer, LookupFuture, Mx, NoNames, Resolver, Tlsa},
    *,
};
use actix_rt::System;
use config::AddressFamily;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use mail::{AccountId, Address, Domain, QueueId, ReversePath, Timestamp};
use smtp::{Extensions, Reply, ServerOptions, ServerSession, ServerStep, ServerTimeouts};
use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use store::{
    Arrival, ArrivalRecipient, Change, NewRecipient, SentCopy, Store, StoreOptions, Submission, Writer,
    records::*,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub(super) const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(super) const ACCOUNT: AccountId = AccountId(1);
/// Only with [`Fixture::by_mx`].
pub(super) const OTHER_ACCOUNT: AccountId = AccountId(2);
pub(super) const HOOK_URL: &str = "http://hooks.example/";

/// Runs a test in an actix system whose time jumps.
pub(super) fn run(test: impl Future<Output = ()>) {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    System::with_tokio_rt(runtime).block_on(test);
}

/// What a scripted server does with the next transaction, or connection.
#[derive(Clone)]
pub(super) enum Act {
    Accept,
    /// Answers RCPT so.
    Rcpt(u16),
    /// Answers the end of the data so.
    Data(u16),
    /// The connection is refused.
    Unreachable,
    /// Connecting panics, as a bug would.
    Panic,
    /// Accepts, and closes the connection afterwards without a word.
    AcceptAndClose,
    /// Says nothing after the data.
    Hang,
    /// Refuses and closes while the content is still being sent.
    RefuseMidContent,
}

/// A scripted mail server behind a dialer.
#[derive(Clone, Default)]
pub(super) struct Peer {
    shared: Arc<Mutex<PeerState>>,
}

#[derive(Default)]
struct PeerState {
    script: VecDeque<Act>,
    connections: usize,
    received: Vec<(Timestamp, Vec<String>)>,
    clock: Option<Clock>,
    offers_dsn: bool,
}

impl Peer {
    pub(super) fn script(acts: impl IntoIterator<Item = Act>) -> Peer {
        let peer = Peer::default();
        peer.shared.lock().unwrap().script.extend(acts);
        peer
    }

    /// One that takes everything and offers DSN.
    pub(super) fn with_dsn() -> Peer {
        let peer = Peer::default();
        peer.shared.lock().unwrap().offers_dsn = true;
        peer
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.lock().unwrap().connections
    }

    /// The recipients of each message received, with the time.
    pub(super) fn received(&self) -> Vec<(Timestamp, Vec<String>)> {
        self.shared.lock().unwrap().received.clone()
    }

    fn next(&self) -> Act {
        self.shared.lock().unwrap().script.pop_front().unwrap_or(Act::Accept)
    }

    fn peek(&self) -> Act {
        self.shared.lock().unwrap().script.front().cloned().unwrap_or(Act::Accept)
    }

    async fn serve(self, mut stream: DuplexStream) {
        let offers_dsn = self.shared.lock().unwrap().offers_dsn;
        let mut session = ServerSession::new(server_options(offers_dsn));
        let mut buffer = [0; 4096];
        let mut act = Act::Accept;
        let mut sending = false;
        loop {
            match session.step() {
                ServerStep::Write(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                ServerStep::Read { .. } | ServerStep::Silent { .. } => match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) if sending && matches!(act, Act::RefuseMidContent) => {
                        let _ = stream.write_all(b"552 5.3.4 enough\r\n").await;
                        return;
                    }
                    Ok(count) => session.received(&buffer[..count]),
                },
                ServerStep::Mail(_) => {
                    act = self.next();
                    session.answer(Reply::new(250, "ok"));
                }
                ServerStep::Rcpt(_) => {
                    sending = true;
                    session.answer(match act {
                        Act::Rcpt(code) => Reply::new(code, "scripted"),
                        _ => Reply::new(250, "ok"),
                    });
                }
                ServerStep::Message(_) => match act {
                    Act::Data(code) => session.answer(Reply::new(code, "scripted")),
                    Act::Hang => session.keep_silent(),
                    _ => {
                        self.record(&session);
                        session.answer(Reply::with_enhanced(250, 0, 0, "taken"));
                        if matches!(act, Act::AcceptAndClose) {
                            let ServerStep::Write(bytes) = session.step() else {
                                panic!("the answer is due")
                            };
                            let _ = stream.write_all(&bytes).await;
                            return;
                        }
                    }
                },
                ServerStep::StartTls | ServerStep::Auth(_) => unreachable!("not offered"),
                ServerStep::Close => return,
            }
        }
    }

    fn record(&self, session: &ServerSession) {
        let envelope = session.envelope().unwrap();
        let recipients = envelope.recipients.iter().map(|rcpt| rcpt.path.clone()).collect();
        let mut shared = self.shared.lock().unwrap();
        let now = shared.clock.as_ref().unwrap().now();
        shared.received.push((now, recipients));
    }
}

impl Dialer for Peer {
    fn timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn dial<'d>(&'d self, hop: &'d NextHop) -> LocalBoxFuture<'d, io::Result<Box<dyn Stream>>> {
        self.shared.lock().unwrap().connections += 1;
        Box::pin(async move {
            if hop.host.starts_with("mx.hang") {
                return std::future::pending().await;
            }
            match self.peek() {
                Act::Unreachable => {
                    self.next();
                    Err(io::ErrorKind::ConnectionRefused.into())
                }
                Act::Panic => {
                    self.next();
                    panic!("scripted")
                }
                _ => {
                    let (ours, theirs) = tokio::io::duplex(64 * 1024);
                    actix_rt::spawn(self.clone().serve(theirs));
                    Ok(Box::new(ours) as Box<dyn Stream>)
                }
            }
        })
    }
}

/// Every domain has one mail exchanger, `mx` below it.
struct Names;

impl Resolver for Names {
    fn mx<'r>(&'r self, domain: &'r str) -> LookupFuture<'r, Mx> {
        let mx = Mx { preference: 10, exchange: format!("mx.{domain}") };
        Box::pin(async { Ok(Answer::of(vec![mx])) })
    }

    fn addresses<'r>(&'r self, _: &'r str, _: AddressFamily, _: bool) -> LookupFuture<'r, IpAddr> {
        Box::pin(async { Ok(Answer::of(vec![IpAddr::from([192, 0, 2, 1])])) })
    }

    fn tlsa<'r>(&'r self, host: &'r str, port: u16) -> LookupFuture<'r, Tlsa> {
        NoNames.tlsa(host, port)
    }

    fn txt<'r>(&'r self, name: &'r str) -> LookupFuture<'r, String> {
        NoNames.txt(name)
    }
}

struct NoPolicies;

impl PolicyFetcher for NoPolicies {
    fn fetch<'f>(&'f self, _: &'f str) -> BoxFuture<'f, Result<String, String>> {
        Box::pin(async { Err("there are none".into()) })
    }
}

/// A scripted webhook receiver.
#[derive(Clone, Default)]
pub(super) struct Receiver {
    shared: Arc<Mutex<ReceiverState>>,
}

#[derive(Default)]
struct ReceiverState {
    answers: VecDeque<Result<u16, ()>>,
    always: Option<u16>,
    panics: usize,
    hangs: Option<&'static str>,
    calls: Vec<(String, serde_json::Value)>,
}

impl Receiver {
    /// Answers so, `Err` being a timeout, and 200 when the list is over.
    pub(super) fn script(answers: impl IntoIterator<Item = Result<u16, ()>>) -> Receiver {
        let receiver = Receiver::default();
        receiver.shared.lock().unwrap().answers.extend(answers);
        receiver
    }

    pub(super) fn always(status: u16) -> Receiver {
        let receiver = Receiver::default();
        receiver.shared.lock().unwrap().always = Some(status);
        receiver
    }

    /// So many calls panic, as a bug would; the others are answered with 200.
    pub(super) fn panicking(times: usize) -> Receiver {
        let receiver = Receiver::default();
        receiver.shared.lock().unwrap().panics = times;
        receiver
    }

    /// Calls to URLs that start so time out.
    pub(super) fn hanging(start: &'static str) -> Receiver {
        let receiver = Receiver::default();
        receiver.shared.lock().unwrap().hangs = Some(start);
        receiver
    }

    /// The bodies received, and the URL of each.
    pub(super) fn calls(&self) -> Vec<(String, serde_json::Value)> {
        self.shared.lock().unwrap().calls.clone()
    }
}

impl Poster for Receiver {
    fn post(&self, request: HookRequest) -> LocalBoxFuture<'_, Result<HookAnswer, HookError>> {
        let mut shared = self.shared.lock().unwrap();
        let hangs = shared.hangs.is_some_and(|start| request.url.starts_with(start));
        shared.calls.push((request.url, serde_json::from_slice(&request.body).unwrap()));
        if shared.panics > 0 {
            shared.panics -= 1;
            drop(shared);
            panic!("scripted");
        }
        let always = if hangs { Err(()) } else { Ok(shared.always.unwrap_or(200)) };
        let answer = shared.answers.pop_front().unwrap_or(always);
        Box::pin(async move {
            match answer {
                Ok(status) => {
                    Ok(HookAnswer { status, retry_after: None, body: "seen".into(), stalled: false })
                }
                Err(()) => {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    Err(HookError { message: "timeout".into(), permanent: false })
                }
            }
        })
    }
}

/// The actors under test.
pub(super) struct Fixture {
    pub(super) handles: Handles,
    pub(super) metrics: Metrics,
    pub(super) clock: Clock,
    peer: Peer,
    receiver: Receiver,
    dir: TempDir,
}

impl Fixture {
    pub(super) fn new(peer: Peer, receiver: Receiver) -> Fixture {
        Fixture::with_clock(peer, receiver, Clock::following_tokio(START))
    }

    pub(super) fn with_clock(peer: Peer, receiver: Receiver, clock: Clock) -> Fixture {
        let dir = TempDir::new().unwrap();
        let (store, mut writer) = open(&dir);
        let changes = [Change::PutDomain(domain()), Change::PutAccount(account())];
        writer.commit(changes.iter()).unwrap();
        Fixture::start(store, writer, peer, receiver, dir, clock)
    }

    fn start(
        store: Store,
        writer: Writer,
        peer: Peer,
        receiver: Receiver,
        dir: TempDir,
        clock: Clock,
    ) -> Fixture {
        Fixture::start_with(store, writer, peer, receiver, dir, clock, |_| {})
    }

    fn start_with(
        store: Store,
        writer: Writer,
        peer: Peer,
        receiver: Receiver,
        dir: TempDir,
        clock: Clock,
        change: impl FnOnce(&mut Options),
    ) -> Fixture {
        peer.shared.lock().unwrap().clock = Some(clock.clone());
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let mut options = options(&peer, &receiver, &clock, &metrics);
        change(&mut options);
        let handles = start(store, writer, options);
        Fixture { handles, metrics, clock, peer, receiver, dir }
    }

    /// Delivers to mail exchangers, which [`Names`] knows; those of domains that begin with `hang` never answer.
    pub(super) fn by_mx(peer: Peer, settings: &str, change: impl FnOnce(&mut Options)) -> Fixture {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("settings.toml");
        std::fs::write(&file, settings).unwrap();
        let settings = config::Settings::load(&file, std::iter::empty()).unwrap();
        std::fs::remove_file(file).unwrap();
        let (store, mut writer) = open(&dir);
        let other = AccountRecord { name: "other".into(), addresses: Vec::new(), ..account() };
        let changes = [Change::PutDomain(domain()), Change::PutAccount(account()), Change::PutAccount(other)];
        writer.commit(changes.iter()).unwrap();
        let clock = Clock::following_tokio(START);
        Fixture::start_with(store, writer, peer, Receiver::default(), dir, clock, |options| {
            options.router = Router::new(&settings);
            options.resolver = Arc::new(Names);
            options.delivery.destinations = settings.destinations;
            change(options);
        })
    }

    /// Stops everything and starts it again on the same data.
    pub(super) async fn restart(self) -> Fixture {
        let Fixture { handles, clock, peer, receiver, dir, .. } = self;
        handles.shutdown(Duration::from_secs(5)).await;
        drop(handles);
        // The data directory is free once the last actor has let go of it.
        let mut tries = 0;
        let (store, writer) = loop {
            match Store::open(dir.path(), store_options()) {
                Ok(opened) => break opened,
                Err(error) => assert!(tries < 1000, "{error}"),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        Fixture::start(store, writer, peer, receiver, dir, clock)
    }

    pub(super) async fn send(&self, recipients: &[&str]) -> u64 {
        self.handles.writer.accept(self.submission(recipients)).await.unwrap().ids.start
    }

    /// Has the account's outgoing hooks, made from now on, called at this URL.
    pub(super) async fn call_hooks_at(&self, url: &str) {
        let mut account = account();
        account.outgoing_webhook.as_mut().unwrap().url = url.into();
        self.handles.writer.put_account(account).await.unwrap();
    }

    /// Has arrivals told to [`HOOK_URL`].
    pub(super) async fn tell_arrivals(&self) {
        let incoming_webhook = Some(IncomingWebhook { url: HOOK_URL.into(), authorization: None });
        self.handles.writer.put_account(AccountRecord { incoming_webhook, ..account() }).await.unwrap();
    }

    /// Has DSNs put into the Inbox.
    pub(super) async fn want_reports(&self) {
        self.handles.writer.put_account(AccountRecord { dsn_to_inbox: true, ..account() }).await.unwrap();
    }

    /// What is in the Inbox, oldest first.
    pub(super) fn inbox(&self) -> Vec<(MessageRecord, String)> {
        let messages = self.handles.store.read(|view| {
            let mailboxes = view.mailboxes(ACCOUNT)?;
            let (inbox, _) = mailboxes.iter().find(|(_, mailbox)| mailbox.name == "Inbox").unwrap();
            let ids = view.mailbox_messages(*inbox, None, usize::MAX)?;
            ids.into_iter()
                .map(|id| {
                    let record = view.mailbox_message(id)?.unwrap();
                    let content = view.content(record.content)?.unwrap();
                    Ok((record, String::from_utf8(content.into()).unwrap()))
                })
                .collect()
        });
        messages.unwrap()
    }

    pub(super) async fn arrive(&self, content: ContentRecord, size: u64) {
        let arrival = Arrival {
            now: self.clock.now(),
            content,
            size,
            recipients: vec![ArrivalRecipient {
                account: ACCOUNT,
                rcpt_to: Address::parse("app@example.com").unwrap(),
                from_id: None,
            }],
            mail_from: ReversePath::Null,
            mail_from_validated: false,
            msg_from: None,
            msg_from_validated: false,
            dkim_verified_domains: Vec::new(),
            remote_ip: None,
            dsn: false,
            automated: false,
            feedback: None,
            returned_from_id: None,
            named: Default::default(),
        };
        self.handles.writer.arrive(arrival).await.unwrap();
    }

    pub(super) fn data_dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    pub(super) fn submission(&self, recipients: &[&str]) -> Submission {
        let content: &[u8] = b"Subject: hi\r\n\r\nhi\r\n";
        Submission {
            account: ACCOUNT,
            now: self.clock.now(),
            content: ContentRecord::Inline(content.into()),
            size: content.len() as u64,
            recipients: recipients
                .iter()
                .map(|recipient| {
                    let address = Address::parse(recipient).unwrap();
                    NewRecipient {
                        destination: self.destination(&address),
                        mail_from: sender(),
                        from_id: None,
                        notify: None,
                        original_recipient: None,
                        once: None,
                        address,
                    }
                })
                .collect(),
            message_id: "<1@example.com>".into(),
            subject: "hi".into(),
            transport: None,
            require_tls: None,
            future_release: None,
            extra: Default::default(),
            eight_bit: false,
            smtputf8: false,
            sent_copy: SentCopy::Unwanted,
            msg_from: Address::parse("app@example.com").unwrap(),
            envid: None,
            ret: None,
            repeatable: None,
        }
    }

    fn destination(&self, recipient: &Address) -> String {
        let directory = self.handles.store.directory();
        self.handles.router.destination(&Journey::new(&directory, ACCOUNT, &sender(), recipient))
    }

    /// The message once it has left the queue; time goes on meanwhile.
    pub(super) async fn retired(&self, id: u64) -> RetiredRecord {
        let mut pause = Duration::from_millis(1);
        let give_up = self.clock.now().after(Duration::from_secs(100 * 3600));
        loop {
            if let Some(retired) = self.handles.store.read(|view| view.retired_message(QueueId(id))).unwrap()
            {
                return retired;
            }
            assert!(self.clock.now() < give_up, "message {id} is still queued: {:?}", self.queued(id));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(60));
        }
    }

    pub(super) fn queued(&self, id: u64) -> Option<QueueRecord> {
        self.handles.store.read(|view| view.message(QueueId(id))).unwrap()
    }

    pub(super) async fn wait(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn sender() -> ReversePath {
    ReversePath::Address(Address::parse("app@example.com").unwrap())
}

fn options(peer: &Peer, receiver: &Receiver, clock: &Clock, metrics: &Metrics) -> Options {
    let defaults = config::Settings::defaults();
    Options {
        clock: clock.clone(),
        router: Router::relay("peer.example", "127.0.0.1:25".parse().unwrap()),
        dialer: Arc::new(peer.clone()),
        resolver: Arc::new(NoNames),
        policies: Arc::new(NoPolicies),
        authorities: Vec::new(),
        poster: Arc::new(receiver.clone()),
        writer: WriterLimits {
            pending_max: 2000,
            pending_bytes_max: 64 << 20,
            batch_max: 1024,
            batch_bytes_max: 32 << 20,
        },
        delivery: DeliveryOptions {
            ehlo_name: "us.example".into(),
            own_addresses: Default::default(),
            timeouts: smtp::Timeouts::default(),
            schedule: RetrySchedule(defaults.delivery.retry),
            concurrency_start: 2,
            concurrency_max: 20,
            connections_max: 100,
            connections_waiting_max: 1000,
            content_bytes_max: 4 << 20,
            connection_messages_max: 1000,
            connection_idle: Duration::from_secs(5),
            connection_age_max: Duration::from_secs(600),
            recipients_max: 100,
            due_batch_max: 1000,
            actor_idle: Duration::from_secs(60),
            destinations: Vec::new(),
        },
        webhooks: WebhookOptions {
            schedule: RetrySchedule(defaults.webhooks.retry),
            calls_per_url_max: 20,
            calls_max: 200,
            calls_waiting_max: 5000,
            body_bytes_max: 64 << 20,
            due_batch_max: 1000,
        },
        janitor: JanitorOptions {
            interval: Duration::from_secs(60),
            batch: 1000,
            keep_events: Duration::from_secs(30 * 24 * 3600),
        },
        event_readers: crate::EventReaderLimits { max: 10, per_account_max: 10 },
        metrics: metrics.clone(),
        threads: Threads::Current,
    }
}

fn open(dir: &TempDir) -> (Store, Writer) {
    Store::open(dir.path(), store_options()).unwrap()
}

fn store_options() -> StoreOptions {
    StoreOptions { map_size: 1 << 30, map_reserve: 1 << 20, disk_reserve: 0, inline_max: 1 << 18 }
}

fn server_options(dsn: bool) -> ServerOptions {
    ServerOptions {
        hostname: "peer.example".into(),
        max_message_size: 1 << 20,
        max_content_line: 1 << 20,
        max_recipients: 100,
        max_errors: 10,
        max_idle_commands: 100,
        auth: None,
        extensions: Extensions { pipelining: true, dsn, ..Extensions::default() },
        timeouts: ServerTimeouts::default(),
    }
}

fn domain() -> DomainRecord {
    DomainRecord {
        name: Domain::parse("example.com").unwrap(),
        catchall_separator: '+',
        disabled: false,
        dkim: Vec::new(),
        routes: Vec::new(),
    }
}

fn account() -> AccountRecord {
    AccountRecord {
        name: "app".into(),
        full_name: String::new(),
        password_hash: String::new(),
        addresses: vec![AddressPattern::Address(Address::parse("app@example.com").unwrap())],
        from_id_login_addresses: Vec::new(),
        keep_retired_messages: Duration::from_secs(72 * 3600),
        keep_retired_hooks: Duration::from_secs(72 * 3600),
        dsn_to_inbox: false,
        disabled: false,
        max_outgoing_messages_per_day: None,
        max_first_time_recipients_per_day: None,
        mailbox_quota: None,
        outgoing_webhook: Some(OutgoingWebhook {
            url: HOOK_URL.into(),
            authorization: None,
            events: Vec::new(),
            every_event: false,
        }),
        incoming_webhook: None,
        webhook_secret: vec![0; 24],
        created: START,
        routes: Vec::new(),
        replaced_secret: None,
        scram: None,
        deduplicate_message_id: false,
    }
}
