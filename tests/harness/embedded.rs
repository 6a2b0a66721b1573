//! A server inside the test's own process, with the settings, domains and accounts that the test likes.

use super::{
    Api, COMMON_PORT, DnsServer, Identity, PASSWORD, SignedDns, SmtpClient, SmtpPeer, api::client,
    dns::no_names, eventually, server::disk_directory,
};
use actors::Router;
use bytes::Bytes;
use config::{Delivery, Dnssec, Network, Service, Settings, SmtpRole};
use mail::HookId;
use postrider::{
    app::{App, Mode},
    password::hash_password,
    server::{self, HttpSocket, Server, SmtpSocket, Sockets},
    tls::Certificate,
};
use rustls::version::TLS13;
use std::{
    collections::BTreeSet,
    fs, iter,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, LazyLock},
    thread::{self, JoinHandle},
    time::Duration,
};
use store::{
    Change,
    records::{
        AccountRecord, AddressPattern, DomainRecord, HookRecord, MessageRecord, OutgoingWebhook,
        RetiredHookRecord,
    },
};
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::oneshot};
use tokio_rustls::client::TlsStream;

/// A domain in use, without DKIM keys.
pub(crate) fn domain(name: &str) -> DomainRecord {
    DomainRecord {
        name: name.parse().expect("a domain"),
        catchall_separator: '+',
        disabled: false,
        dkim: Vec::new(),
        routes: Vec::new(),
    }
}

/// An account with [`PASSWORD`] that has its name at localhost as its address, keeps its history for an hour, and
/// calls nobody.
pub(crate) fn account(name: &str) -> AccountRecord {
    static HASH: LazyLock<String> = LazyLock::new(|| hash_password(PASSWORD).expect("a password"));
    AccountRecord {
        name: name.into(),
        full_name: name.into(),
        password_hash: HASH.clone(),
        addresses: vec![address(&format!("{name}@localhost"))],
        from_id_login_addresses: Vec::new(),
        keep_retired_messages: Duration::from_secs(3600),
        keep_retired_hooks: Duration::from_secs(3600),
        dsn_to_inbox: true,
        disabled: false,
        max_outgoing_messages_per_day: None,
        max_first_time_recipients_per_day: None,
        mailbox_quota: None,
        outgoing_webhook: None,
        incoming_webhook: None,
        webhook_secret: vec![0; 24],
        created: actors::Clock::system().now(),
        routes: Vec::new(),
        replaced_secret: None,
        scram: None,
        deduplicate_message_id: false,
    }
}

/// An address, or as `@example.org` a catch-all, of an account.
pub(crate) fn address(text: &str) -> AddressPattern {
    match text.strip_prefix('@') {
        Some(domain) => AddressPattern::CatchAll(domain.parse().expect("a domain")),
        None => AddressPattern::Address(text.parse().expect("an address")),
    }
}

/// How long the server waits for other servers, whatever for.
pub(crate) fn set_timeouts(delivery: &mut Delivery, timeout: Duration) {
    delivery.connect_timeout = timeout;
    delivery.greeting_timeout = timeout;
    delivery.command_timeout = timeout;
    delivery.data_start_timeout = timeout;
    delivery.data_block_timeout = timeout;
    delivery.data_end_timeout = timeout;
}

/// A server to be started. It has the domain `localhost`; records with a name that is there already replace it.
pub(crate) struct EmbeddedBuilder {
    settings: Settings,
    directory: Vec<Change>,
    route: Route,
    trusted_proxies: Vec<Network>,
    smtp: SocketAddr,
    certificate: Option<Arc<Certificate>>,
    dir: TempDir,
}

/// Where its mail goes.
enum Route {
    ToItself,
    To(SocketAddr),
    /// Where its settings say.
    BySettings,
}

impl EmbeddedBuilder {
    pub(crate) fn settings(mut self, change: impl FnOnce(&mut Settings)) -> EmbeddedBuilder {
        change(&mut self.settings);
        self
    }

    pub(crate) fn domain(mut self, domain: DomainRecord) -> EmbeddedBuilder {
        self.directory.push(Change::PutDomain(domain));
        self
    }

    pub(crate) fn account(mut self, account: AccountRecord) -> EmbeddedBuilder {
        self.directory.push(Change::PutAccount(account));
        self
    }

    /// Instead of to itself.
    pub(crate) fn deliver_to(mut self, peer: &SmtpPeer) -> EmbeddedBuilder {
        self.route = Route::To(peer.address());
        self
    }

    /// Transports and routes, as a settings file has them. Mail goes where they say.
    pub(crate) fn routing(mut self, toml: &str) -> EmbeddedBuilder {
        let file = self.dir.path().join("routing.toml");
        fs::write(&file, toml).expect("room on the disk");
        let routing = Settings::load(&file, iter::empty()).unwrap_or_else(|errors| panic!("{errors}"));
        self.settings.transports = routing.transports;
        self.settings.routes = routing.routes;
        self.route = Route::BySettings;
        self
    }

    /// Takes mail there, instead of at a port of its own on 127.0.0.1.
    pub(crate) fn smtp(mut self, address: impl Into<SocketAddr>) -> EmbeddedBuilder {
        self.smtp = address.into();
        self
    }

    /// Offers TLS to those who bring mail.
    pub(crate) fn certificate(mut self, certificate: Arc<Certificate>) -> EmbeddedBuilder {
        self.certificate = Some(certificate);
        self
    }

    /// Data of a server that was stopped.
    pub(crate) fn data(mut self, dir: TempDir) -> EmbeddedBuilder {
        self.dir = dir;
        self
    }

    /// Its HTTP listener stands behind these.
    pub(crate) fn trusted_proxies(mut self, networks: &[&str]) -> EmbeddedBuilder {
        self.trusted_proxies = networks.iter().map(|text| text.parse().expect("a network")).collect();
        self
    }

    pub(crate) async fn start(mut self) -> Embedded {
        let client = client(None);
        let dir = std::mem::replace(&mut self.dir, disk_directory());
        self.settings.data_dir = dir.path().join("data");
        let (started, addresses) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let (server, addresses) = self.serve().expect("the server starts");
                let _ = started.send((server.app().clone(), addresses));
                // The other end is dropped together with the test's server.
                let _ = stopped.await;
                server.stop().await;
            });
        });
        let (app, addresses) = addresses.await.expect("the server starts");
        Embedded {
            api: Api::new(client, addresses.http),
            addresses,
            app: Some(app),
            stop: Some(stop),
            thread: Some(thread),
            dir: Some(dir),
        }
    }

    /// The server, and where it listens.
    fn serve(self) -> anyhow::Result<(Server, Addresses)> {
        let (store, mut writer) = server::open_store(&self.settings)?;
        writer.commit(self.directory.iter())?;
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (http, smtp) = (TcpListener::bind(any_port)?, TcpListener::bind(self.smtp)?);
        let [submission, submissions] = [TcpListener::bind(any_port)?, TcpListener::bind(any_port)?];
        let addresses = Addresses {
            http: http.local_addr()?,
            smtp: smtp.local_addr()?,
            submission: submission.local_addr()?,
            submissions: submissions.local_addr()?,
        };
        let router = match self.route {
            Route::ToItself => Router::relay("localhost", addresses.smtp),
            Route::To(address) => Router::relay("localhost", address),
            Route::BySettings => Router::new(&self.settings),
        };
        let services = BTreeSet::from([Service::Webapi, Service::Metrics]);
        let server = Server::start(
            (store, writer),
            self.settings,
            "mail.example".parse()?,
            Mode::Serve,
            router,
            Sockets {
                http: vec![HttpSocket {
                    listener: http,
                    services,
                    trusted_proxies: self.trusted_proxies,
                    tls: None,
                }],
                smtp: [
                    (smtp, SmtpRole::Incoming),
                    (submission, SmtpRole::Submission { auth_without_tls: false }),
                    (submissions, SmtpRole::Submissions),
                ]
                .into_iter()
                .filter(|(_, role)| *role != SmtpRole::Submissions || self.certificate.is_some())
                .map(|(listener, role)| SmtpSocket { listener, role, certificate: self.certificate.clone() })
                .collect(),
                ..Sockets::default()
            },
        )?;
        Ok((server, addresses))
    }
}

/// Where a server listens.
#[derive(Clone, Copy)]
struct Addresses {
    http: SocketAddr,
    smtp: SocketAddr,
    submission: SocketAddr,
    submissions: SocketAddr,
}

/// A server that runs on a thread of its own, and takes mail for its accounts' addresses only. Dropped, it is stopped
/// without grace.
pub(crate) struct Embedded {
    api: Api,
    addresses: Addresses,
    /// None once it is being stopped.
    app: Option<Arc<App>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// None once it is somebody else's.
    dir: Option<TempDir>,
}

impl Embedded {
    pub(crate) fn builder() -> EmbeddedBuilder {
        let mut settings = Settings::defaults();
        // Many of these may run in one process, which has only so much address space.
        settings.store.map_size = 1 << 30;
        settings.webhooks.allow_networks = vec!["127.0.0.0/8".parse().expect("a network")];
        settings.limits.shutdown_grace = Duration::ZERO;
        settings.dns.nameservers = vec![no_names()];
        EmbeddedBuilder {
            settings,
            directory: vec![Change::PutDomain(domain("localhost"))],
            route: Route::ToItself,
            trusted_proxies: Vec::new(),
            smtp: (Ipv4Addr::LOCALHOST, 0).into(),
            certificate: None,
            dir: disk_directory(),
        }
    }

    /// One that delivers to mail exchangers at [`COMMON_PORT`], as this name server says, on behalf of the rider. It
    /// waits two seconds for anybody, which is enough for those who mean well.
    pub(crate) fn direct(dns: &DnsServer) -> EmbeddedBuilder {
        let nameserver = dns.address();
        Embedded::to_exchangers().settings(|settings| {
            settings.dns.nameservers = vec![nameserver];
            settings.dns.dnssec = Dnssec::Off;
        })
    }

    /// The same with name servers whose signatures are checked.
    pub(crate) fn direct_signed(dns: &SignedDns) -> EmbeddedBuilder {
        let (nameserver, anchor) = (dns.address(), dns.trust_anchor());
        Embedded::to_exchangers().settings(|settings| {
            settings.dns.nameservers = vec![nameserver];
            settings.dns.dnssec = Dnssec::Validate;
            settings.dns.trust_anchor_file = Some(anchor);
        })
    }

    fn to_exchangers() -> EmbeddedBuilder {
        let builder = Embedded::builder().account(account("rider")).settings(|settings| {
            let delivery = &mut settings.delivery;
            delivery.port = COMMON_PORT;
            set_timeouts(delivery, Duration::from_secs(2));
        });
        EmbeddedBuilder { route: Route::BySettings, ..builder }
    }

    /// One whose rider has an outgoing webhook, and that gives up after three calls, a moment apart.
    pub(crate) fn calling(url: String) -> EmbeddedBuilder {
        let outgoing_webhook =
            Some(OutgoingWebhook { url, authorization: None, events: Vec::new(), every_event: false });
        Embedded::builder()
            .account(AccountRecord { outgoing_webhook, ..account("rider") })
            .settings(|settings| settings.webhooks.retry = vec![Duration::from_millis(1); 2])
    }

    /// A hook, once it was called so often and is to be called again.
    pub(crate) async fn called_hook(&self, id: u64, calls: usize) -> HookRecord {
        eventually("the hook to have been called", async || {
            let hook = self.app().handles.store.read(|view| view.hook(HookId(id)));
            let hook = hook.expect("the store is read").ok_or_else(|| "there is no hook".to_owned())?;
            if hook.attempts.len() == calls { Ok(hook) } else { Err(format!("{hook:?}")) }
        })
        .await
    }

    /// A hook, once it is done with.
    pub(crate) async fn retired_hook(&self, id: u64) -> RetiredHookRecord {
        eventually("the hook to be done with", async || {
            let hook = self.app().handles.store.read(|view| view.retired_hook(HookId(id)));
            hook.expect("the store is read").ok_or_else(|| "it is not".to_owned())
        })
        .await
    }

    /// Stops it. Its data are for another one.
    pub(crate) fn stop(mut self) -> TempDir {
        self.dir.take().expect("it is taken only here")
    }

    /// The way to its webapi, as the rider.
    pub(crate) fn api(&self) -> Api {
        self.api.clone()
    }

    /// Where it takes mail.
    pub(crate) fn smtp(&self) -> SocketAddr {
        self.addresses.smtp
    }

    /// Where it takes messages of its accounts, with STARTTLS if it has a certificate.
    pub(crate) fn submission(&self) -> SocketAddr {
        self.addresses.submission
    }

    /// The same with TLS from the start, if it has a certificate.
    pub(crate) fn submissions(&self) -> SocketAddr {
        self.addresses.submissions
    }

    /// A session at the port with TLS from the start, with a client that trusts the server's certificate and logged in
    /// with [`PASSWORD`].
    pub(crate) async fn session(&self, identity: &Identity, user: &str) -> SmtpClient<TlsStream<TcpStream>> {
        let client = SmtpClient::open(Ipv4Addr::LOCALHOST, self.submissions()).await;
        let mut client = client.secure("mail.example", identity.trusting(&[&TLS13])).await.expect("TLS");
        assert!(client.reply().await.starts_with("220 "));
        client.expect("EHLO client.example", "250").await;
        client.log_in(user, PASSWORD).await;
        client
    }

    /// How many messages were ever queued.
    pub(crate) fn queued(&self) -> u64 {
        self.app().handles.store.read(|view| view.last_queue_id()).expect("the store is read").0
    }

    /// The first hundred messages in an account's Inbox with their bytes.
    pub(crate) fn inbox(&self, account: &str) -> Vec<(MessageRecord, Bytes)> {
        let store = &self.app().handles.store;
        let directory = store.directory();
        let account = directory.accounts().find(|found| found.record.name == account).expect("an account");
        let read = store.read(|view| {
            let mailboxes = view.mailboxes(account.id)?;
            let (inbox, _) = mailboxes.iter().find(|(_, mailbox)| mailbox.name == "Inbox").expect("an Inbox");
            let ids = view.mailbox_messages(*inbox, None, 100)?;
            ids.into_iter()
                .map(|id| {
                    let record = view.mailbox_message(id)?.expect("a record");
                    let content = view.content(record.content)?.expect("a content");
                    Ok((record, content))
                })
                .collect()
        });
        read.expect("the store is fine")
    }

    /// What is inside: its store, to look, and its writer, to change records while it runs.
    pub(crate) fn app(&self) -> &App {
        self.app.as_ref().expect("it runs")
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.app = None;
        self.stop = None;
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(matches!(ended, Some(Ok(()))), "the server broke down");
        }
    }
}
