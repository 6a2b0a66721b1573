//! A running server: the actors, and the listeners in front of them.

use crate::{
    app::{App, Mode},
    control::{self, ControlSocket},
    http,
    limiter::LoginLimiter,
    logins::Logins,
    sending::count_submissions,
    smtp_in::IncomingMail,
    smtp_server::{Secured, SmtpServer},
    submission::SubmissionService,
    tls::{Certificate, acme::AcmeAnswers, read_authorities},
};
use actix_web::dev::ServerHandle;
use actors::{
    AddressGuard, Clock, DeliveryOptions, EventReaderLimits, HttpPoster, HttpsFetcher, JanitorOptions,
    Metrics, RetrySchedule, Router, TcpDialer, Threads, WebhookOptions, WriterLimits,
    dns::{DnsResolver, NoNames, Resolver},
};
use anyhow::Context;
use config::{Network, Service, Settings, SmtpRole};
use mail::Domain;
use prometheus::Registry;
use rustls::ServerConfig;
use std::{
    collections::{BTreeSet, HashSet},
    net::{SocketAddr, TcpListener},
    num::NonZero,
    rc::Rc,
    sync::Arc,
    thread::available_parallelism,
};
use store::{Change, Store, StoreOptions, Writer};

/// A socket that is bound already, so that its address is known, and what it is for.
pub struct HttpSocket {
    /// The socket.
    pub listener: TcpListener,
    /// What is served there.
    pub services: BTreeSet<Service>,
    /// Whose `X-Forwarded-For` names the client; none: there is no proxy.
    pub trusted_proxies: Vec<Network>,
    /// How it speaks TLS; none: in the clear.
    pub tls: Option<Arc<ServerConfig>>,
}

/// The same for SMTP.
pub struct SmtpSocket {
    /// The socket.
    pub listener: TcpListener,
    /// What it is for.
    pub role: SmtpRole,
    /// What it shows who uses TLS, by STARTTLS or from the start as the role has it; none: there is no TLS.
    pub certificate: Option<Arc<Certificate>>,
}

/// Where a server is reached: sockets that are bound already.
#[derive(Default)]
pub struct Sockets {
    /// For HTTP.
    pub http: Vec<HttpSocket>,
    /// For SMTP.
    pub smtp: Vec<SmtpSocket>,
    /// For the operator's commands.
    pub control: Option<ControlSocket>,
    /// What an ACME authority is shown over HTTP.
    pub acme_answers: Arc<AcmeAnswers>,
}

/// A server that runs.
pub struct Server {
    app: Arc<App>,
    /// HTTP and the control socket.
    http: Vec<ServerHandle>,
    smtp: SmtpServer,
    /// Its file goes when the server is gone.
    _control: Option<ControlSocket>,
}

impl Server {
    /// Starts the actors and serves the sockets, on the current actix system.
    ///
    /// # Errors
    /// When webhooks cannot be set up or a listener cannot be served.
    pub fn start(
        (store, writer): (Store, Writer),
        settings: Settings,
        hostname: Domain,
        mode: Mode,
        router: Router,
        sockets: Sockets,
    ) -> anyhow::Result<Server> {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry)?;
        let incoming = sockets.smtp.iter().filter(|socket| socket.role == SmtpRole::Incoming);
        let own_addresses = incoming.filter_map(|socket| socket.listener.local_addr().ok()).collect();
        let options = actor_options(&settings, &hostname, mode, router, own_addresses, metrics.clone())?;
        let handles = actors::start(store, writer, options);
        let clock = handles.clock.clone();
        let limiter = match mode {
            Mode::Serve => LoginLimiter::new(clock),
            Mode::Local => LoginLimiter::lenient(clock),
        };
        let logins = Logins::new(&settings.limits, limiter, handles.writer.clone(), &registry)?;
        let Sockets { http, smtp, control, acme_answers } = sockets;
        let submissions = count_submissions(&registry)?;
        let app =
            App { handles, settings, hostname, mode, acme_answers, logins, submissions, registry, metrics };
        let app = Arc::new(app);
        let edge = http::Http::new(app.clone()).context("serving HTTP")?;
        let workers = http_workers();
        let mut http = http
            .into_iter()
            .map(|socket| Ok(spawn(http::serve(&edge, socket, workers)?)))
            .collect::<std::io::Result<Vec<_>>>()
            .context("serving HTTP")?;
        if let Some(socket) = &control {
            http.push(spawn(control::serve(app.clone(), socket).context("serving the control socket")?));
        }
        let smtp = serve_smtp(&app, smtp).context("serving SMTP")?;
        Ok(Server { app, http, smtp, _control: control })
    }

    /// What the listeners share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Returns when the server can no longer do its work.
    pub async fn failed(&self) {
        self.app.handles.writer.died().await;
    }

    /// Stops: no more calls and no new attempts, then what runs, then SMTP, to which a localserve delivers
    /// itself, then the last commit.
    pub async fn stop(self) {
        let grace = self.app.settings.limits.shutdown_grace;
        let http = futures_util::future::join_all(self.http.iter().map(|server| server.stop(true)));
        futures_util::join!(http, self.app.handles.shutdown(grace));
        self.smtp.stop(grace).await;
    }
}

/// Opens the data directory as the settings say.
///
/// # Errors
/// See [`Store::open`].
pub fn open_store(settings: &Settings) -> anyhow::Result<(Store, Writer)> {
    let options = StoreOptions {
        map_size: size(settings.store.map_size),
        map_reserve: size(settings.store.reserve),
        disk_reserve: settings.store.min_free_disk,
        inline_max: size(settings.store.inline_content_max),
    };
    let (store, mut writer) = Store::open(&settings.data_dir, options)?;
    if store.directory().login_secret().is_none() {
        writer.commit([Change::KeepLoginSecret(rand::random())].iter())?;
    }
    Ok((store, writer))
}

fn serve_smtp(app: &Arc<App>, sockets: Vec<SmtpSocket>) -> std::io::Result<SmtpServer> {
    let mut server = SmtpServer::new(app)?;
    let incoming = Rc::new(IncomingMail::new(app)?);
    for SmtpSocket { listener, role, certificate } in sockets {
        let starttls = certificate.clone().map_or(Secured::Never, Secured::WhenAsked);
        match role {
            SmtpRole::Incoming => server.serve(listener, &incoming, starttls)?,
            SmtpRole::Submission { auth_without_tls } => {
                let submission = Rc::new(SubmissionService::new(app, auth_without_tls));
                server.serve(listener, &submission, starttls)?;
            }
            SmtpRole::Submissions => {
                let certificate =
                    certificate.ok_or_else(|| std::io::Error::other("there is no certificate"))?;
                let submission = Rc::new(SubmissionService::new(app, false));
                server.serve(listener, &submission, Secured::AtOnce(certificate))?;
            }
        }
    }
    Ok(server)
}

fn spawn(server: actix_web::dev::Server) -> ServerHandle {
    let handle = server.handle();
    actix_rt::spawn(server);
    handle
}

fn actor_options(
    settings: &Settings,
    hostname: &Domain,
    mode: Mode,
    router: Router,
    own_addresses: HashSet<SocketAddr>,
    metrics: Metrics,
) -> anyhow::Result<actors::Options> {
    let config::Settings { delivery, webhooks, store, retention, limits, .. } = settings;
    let resolver: Arc<dyn Resolver> = match mode {
        // It delivers to one address, and its machine may know no name server.
        Mode::Local => Arc::new(NoNames),
        Mode::Serve => Arc::new(DnsResolver::new(&settings.dns, metrics.clone())?),
    };
    let authorities = read_authorities("[delivery]", delivery.trusted_ca_file.as_deref())?;
    let policies = HttpsFetcher::new(resolver.clone(), &authorities, delivery.mta_sts_port)
        .map_err(|error| anyhow::anyhow!("MTA-STS policies cannot be fetched: {error}"))?;
    let guard = AddressGuard::new(webhooks.allow_networks.clone());
    let for_webhooks = read_authorities("[webhooks]", webhooks.trusted_ca_file.as_deref())?;
    let poster = HttpPoster::new(
        guard,
        &settings.dns.nameservers,
        &for_webhooks,
        webhooks.timeout,
        webhooks.answer_max,
    )
    .map_err(|error| anyhow::anyhow!("webhooks cannot be set up: {error}"))?;
    Ok(actors::Options {
        clock: Clock::system(),
        router,
        dialer: Arc::new(TcpDialer { timeout: delivery.connect_timeout }),
        resolver,
        policies: Arc::new(policies),
        authorities,
        poster: Arc::new(poster),
        writer: WriterLimits {
            pending_max: store.pending_writes_max,
            pending_bytes_max: size(store.pending_bytes_max),
            batch_max: store.batch_max,
            batch_bytes_max: size(store.batch_bytes_max),
        },
        delivery: DeliveryOptions {
            ehlo_name: hostname.as_ascii().to_owned(),
            own_addresses,
            timeouts: smtp::Timeouts {
                greeting: delivery.greeting_timeout,
                command: delivery.command_timeout,
                mail: delivery.command_timeout,
                rcpt: delivery.command_timeout,
                data: delivery.data_start_timeout,
                data_block: delivery.data_block_timeout,
                end_of_data: delivery.data_end_timeout,
                ..smtp::Timeouts::default()
            },
            schedule: RetrySchedule(delivery.retry.clone()),
            concurrency_start: delivery.concurrency_start,
            concurrency_max: delivery.connections_per_destination_max,
            connections_max: delivery.connections_max,
            connections_waiting_max: delivery.connections_waiting_max,
            content_bytes_max: size(delivery.content_bytes_max),
            connection_messages_max: u32::try_from(delivery.connection_messages_max).unwrap_or(u32::MAX),
            connection_idle: delivery.connection_idle,
            connection_age_max: delivery.connection_age_max,
            recipients_max: delivery.recipients_per_transaction_max,
            due_batch_max: delivery.due_batch_max,
            actor_idle: delivery.actor_idle,
            destinations: settings.destinations.clone(),
        },
        webhooks: WebhookOptions {
            schedule: RetrySchedule(webhooks.retry.clone()),
            calls_per_url_max: webhooks.calls_per_url_max,
            calls_max: webhooks.calls_max,
            calls_waiting_max: webhooks.calls_waiting_max,
            body_bytes_max: size(webhooks.body_bytes_max),
            due_batch_max: webhooks.due_batch_max,
        },
        janitor: JanitorOptions {
            interval: retention.sweep_interval,
            batch: retention.sweep_batch,
            keep_events: retention.events,
        },
        event_readers: EventReaderLimits {
            max: limits.event_readers_max,
            per_account_max: limits.event_readers_per_account_max,
        },
        metrics,
        threads: Threads::Own(delivery_threads()),
    })
}

/// Half of the cores compose and sign, half deliver; both wait for the disk and the network most of the time.
fn delivery_threads() -> NonZero<usize> {
    available_parallelism()
        .ok()
        .and_then(|cores| NonZero::new(cores.get() / 2))
        .unwrap_or(NonZero::<usize>::MIN)
}

fn http_workers() -> usize {
    available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
