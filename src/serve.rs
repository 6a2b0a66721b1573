//! `postrider serve`: the server.

use crate::{
    app::Mode,
    control::ControlSocket,
    listen::Binder,
    logging::{self, LogControl},
    open_files,
    server::{self, HttpSocket, Server, SmtpSocket, Sockets},
    signals::StopSignals,
    systemd,
    tls::{
        Certificate,
        acme::{AcmeAnswers, AcmeKeeper},
        read_certificate,
    },
};
use actors::Router;
use anyhow::{Context, ensure};
use config::{HttpListener, Service, Settings, SmtpRole, Tls};
use mail::Domain;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
};
use tokio::signal::unix::{SignalKind, signal};

/// Runs with the settings in `file` until a signal says stop.
///
/// # Errors
/// When the settings are wrong, or the data directory or an address is in use, among others.
pub async fn run(file: PathBuf) -> anyhow::Result<()> {
    let settings = Settings::load(&file, config::environment())?;
    let log = logging::start(&settings.log);
    let hostname = fit_to_serve(&settings, &file)?;
    open_files::raise(open_files::needed(&settings));
    let certificate = certificate(&settings.tls)?;
    let data = server::open_store(&settings)?;
    let answers = Arc::new(acme_answers(&settings));
    let keeper = match &settings.tls {
        Tls::Acme(acme) => {
            let (answers, certificate) = (answers.clone(), certificate.clone());
            Some(AcmeKeeper::new(acme, &hostname, &settings.data_dir, answers, certificate)?)
        }
        Tls::Off | Tls::Files { .. } => None,
    };
    let sockets = sockets(&settings, &certificate, answers)?;
    let router = Router::new(&settings);
    let server = Server::start(data, settings, hostname, Mode::Serve, router, sockets)?;
    let keeping = async {
        match keeper {
            Some(keeper) => keeper.keep().await,
            None => std::future::pending().await,
        }
    };
    let reload = || reload(&file, &log, &certificate);
    let stopped = tokio::select! {
        stopped = until_stopped(&server, reload) => stopped,
        () = keeping => Ok(()),
    };
    systemd::stopping();
    stopped?;
    server.stop().await;
    Ok(())
}

/// Says that the server is ready, and returns when it is asked to stop. Until then, feeds the watchdog, and calls
/// `reload` when asked to.
async fn until_stopped(server: &Server, reload: impl Fn()) -> anyhow::Result<()> {
    let mut stop = pin!(StopSignals::listen()?.stop_requested(server));
    let mut hangup = signal(SignalKind::hangup())?;
    let mut watchdog = pin!(systemd::feed_watchdog(server));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), hostname = server.app().hostname.as_ascii(), "ready");
    systemd::ready();
    loop {
        tokio::select! {
            stopped = &mut stop => return stopped,
            () = &mut watchdog => {}
            Some(()) = hangup.recv() => reload(),
        }
    }
}

/// Settings that are right by themselves may still not be enough to serve, or more than is there. Returns the hostname.
fn fit_to_serve(settings: &Settings, file: &Path) -> anyhow::Result<Domain> {
    let at = file.display();
    let hostname = settings.hostname.clone().with_context(|| {
        format!("{at}: hostname is missing: set it to the name of this machine, as hostname = \"mail.example.com\"")
    })?;
    ensure!(
        !settings.http.is_empty() || !settings.smtp.is_empty(),
        "{at}: there are no listeners: add an [[http]] section, as address = \"127.0.0.1:8080\", services = [\"webapi\"]"
    );
    for listener in &settings.http {
        if listener.services.iter().any(|service| matches!(service, Service::Account | Service::Admin)) {
            tracing::warn!(address = %listener.address, "the services account and admin are not there yet");
        }
    }
    ensure!(
        !matches!(settings.tls, Tls::Acme(_)) || !settings.http.is_empty(),
        "{at}: tls.acme needs an [[http]] listener that the authority can reach: one with tls = true on port 443, or \
         one on port 80"
    );
    Ok(hostname)
}

fn certificate(tls: &Tls) -> anyhow::Result<Arc<Certificate>> {
    let certificate = Arc::<Certificate>::default();
    match tls {
        Tls::Files { cert, key } => certificate.set(read_certificate(cert, key)?),
        Tls::Off | Tls::Acme(_) => {}
    }
    Ok(certificate)
}

/// The authority looks over TLS where a listener speaks it, else over HTTP, and only comes to one port for each.
fn acme_answers(settings: &Settings) -> AcmeAnswers {
    let over_tls = settings.http.iter().any(|listener| listener.tls);
    let (answers, port) = if over_tls { (AcmeAnswers::for_tls(), 443) } else { (AcmeAnswers::default(), 80) };
    let listens = |listener: &HttpListener| listener.tls == over_tls && listener.address.port() == port;
    if matches!(settings.tls, Tls::Acme(_)) && !settings.http.iter().any(listens) {
        tracing::warn!(
            port,
            "the ACME authority comes to this port, where nothing listens; have it forwarded"
        );
    }
    answers
}

/// Binds everything. The data directory's lock is held, so that its control socket is nobody else's.
fn sockets(
    settings: &Settings,
    certificate: &Arc<Certificate>,
    answers: Arc<AcmeAnswers>,
) -> anyhow::Result<Sockets> {
    let https = settings.tls.is_on().then(|| certificate.server_config_with_answers(answers.clone()));
    let control = Some(ControlSocket::bind(&settings.data_dir)?);
    let http = settings.http.iter().map(|listener| listener.address);
    let all: Vec<SocketAddr> = http.chain(settings.smtp.iter().map(|listener| listener.address)).collect();
    let binder = Binder { all: &all, remedy: "choose another address in the settings" };
    let bind = |address, what: &'static str| {
        let listener = binder.bind(address, what)?;
        tracing::info!(address = %listener.local_addr()?, "{what} listens");
        anyhow::Ok(listener)
    };
    let http = settings.http.iter().map(|listener| {
        Ok(HttpSocket {
            listener: bind(listener.address, if listener.tls { "HTTPS" } else { "HTTP" })?,
            services: listener.services.clone(),
            trusted_proxies: listener.trusted_proxies.clone(),
            tls: https.clone().filter(|_| listener.tls),
        })
    });
    let http = http.collect::<anyhow::Result<_>>()?;
    let shown = settings.tls.is_on().then(|| certificate.clone());
    let smtp = settings.smtp.iter().map(|listener| {
        let what = match listener.role {
            SmtpRole::Incoming => "SMTP",
            SmtpRole::Submission { .. } => "submission",
            SmtpRole::Submissions => "submissions",
        };
        let certificate = shown.clone();
        Ok(SmtpSocket { listener: bind(listener.address, what)?, role: listener.role, certificate })
    });
    let smtp = smtp.collect::<anyhow::Result<_>>()?;
    Ok(Sockets { http, smtp, control, acme_answers: answers })
}

/// Reads certificate files and log level again. What is wrong is logged, and then all stays as it was.
fn reload(file: &Path, log: &LogControl, certificate: &Certificate) {
    systemd::reloading();
    match reloaded(file, certificate) {
        Ok(settings) => {
            log.set_level(settings.log.level);
            tracing::info!("certificate files and log level were read again");
        }
        Err(error) => tracing::error!("nothing was reloaded: {error:#}"),
    }
    systemd::ready();
}

fn reloaded(file: &Path, certificate: &Certificate) -> anyhow::Result<Settings> {
    let settings = Settings::load(file, config::environment())?;
    match &settings.tls {
        Tls::Files { cert, key } => certificate.set(read_certificate(cert, key)?),
        Tls::Off | Tls::Acme(_) => {}
    }
    Ok(settings)
}
