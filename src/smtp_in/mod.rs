//! SMTP for incoming mail: the listeners, and the sessions on them.

mod admission;
mod authentication;
mod deadlines;
mod driver;
mod incoming;
mod metrics;
mod prepare;
pub(crate) mod simulated;
#[cfg(test)]
mod tests;
mod trace;
mod transfers;

pub(crate) use prepare::RECEIVED_MAX;

use crate::app::{App, Mode};
use admission::Admission;
use authentication::Authenticator;
use bytes::BytesMut;
use deadlines::Deadlines;
use incoming::Incoming;
use metrics::Metrics;
use rustls::ServerConfig;
use smtp::{Extensions, Limits, Reply, ServerOptions, ServerSession, ServerTimeouts};
use std::{
    io::{self, Write as _},
    net::{self, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinError, JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;
use transfers::Transfers;

/// Commands that bring no message further, after which a session is ended. Twice the recipients that a message may
/// have are allowed on top, since each may be refused.
const IDLE_COMMANDS: u32 = 100;
/// Bytes of messages that may be held in the middle of their transfer, all sessions together; three of the largest
/// message where that is more.
const TRANSFERS_MAX: usize = 512 * 1024 * 1024;
/// Wait after an error of accept: most often there are no file descriptors left, which takes a moment to change.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What sessions have to say goodbye in once the grace period is over.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Answers SMTP on `listener`, on the current arbiter, until [`SmtpServer::stop`] is called or the server dropped.
///
/// # Errors
/// As [`serve_all`].
pub fn serve(app: Arc<App>, listener: net::TcpListener) -> io::Result<SmtpServer> {
    serve_all(app, vec![listener], None)
}

/// Answers SMTP on several listeners that share their limits, with STARTTLS where `tls` is given. Once for an [`App`].
///
/// # Errors
/// When a listener is of no use to the runtime, the app's registry has the counters already, or no name servers are
/// known.
pub fn serve_all(
    app: Arc<App>,
    listeners: Vec<net::TcpListener>,
    tls: Option<Arc<ServerConfig>>,
) -> io::Result<SmtpServer> {
    let listeners = listeners.into_iter().map(to_tokio).collect::<io::Result<Vec<_>>>()?;
    let shared = Rc::new(Shared::new(app, tls)?);
    let (phase, watched) = watch::channel(Phase::Open);
    let running = listeners
        .into_iter()
        .map(|listener| actix_rt::spawn(accept(listener, Rc::clone(&shared), watched.clone())))
        .collect();
    Ok(SmtpServer { phase, running })
}

/// Listeners that are being served. Dropping it closes them and ends their sessions.
#[must_use = "dropping it stops it"]
pub struct SmtpServer {
    phase: watch::Sender<Phase>,
    running: Vec<JoinHandle<()>>,
}

/// How far the server is on its way down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// No new sessions; those there are end after the message under way.
    Draining,
    /// Sessions end now.
    Closing,
}

impl SmtpServer {
    /// Takes no new sessions, ends those without a message under way with 421, and gives the others `grace` to
    /// finish it. Returns when all are gone.
    pub async fn stop(mut self, grace: Duration) {
        for (phase, time) in [(Phase::Draining, grace), (Phase::Closing, LAST_WORDS)] {
            self.phase.send_replace(phase);
            let ended = futures_util::future::join_all(self.running.iter_mut());
            if tokio::time::timeout(time, ended).await.is_ok() {
                return;
            }
            self.running.retain(|listener| !listener.is_finished());
        }
        // What they wait for now is a commit; it is made or not without them.
        self.running.iter().for_each(JoinHandle::abort);
    }
}

/// What all sessions share.
struct Shared {
    app: Arc<App>,
    metrics: Metrics,
    authenticator: Rc<Authenticator>,
    options: ServerOptions,
    admission: Rc<Admission>,
    transfers: Rc<Transfers>,
    tls: Option<TlsAcceptor>,
}

impl Shared {
    fn new(app: Arc<App>, tls: Option<Arc<ServerConfig>>) -> io::Result<Shared> {
        let limits = &app.settings.limits;
        let per_client_max = match app.mode {
            Mode::Serve => limits.smtp_sessions_per_client_max,
            // All clients of a developer's server, its own queue among them, have one address.
            Mode::Local => limits.smtp_sessions_max,
        };
        let message_size_max = usize::try_from(limits.message_size_max).unwrap_or(usize::MAX);
        Ok(Shared {
            metrics: Metrics::register(&app.registry).map_err(io::Error::other)?,
            authenticator: Rc::new(
                Authenticator::new(app.mode, &app.settings.dns).map_err(io::Error::other)?,
            ),
            options: options(&app, message_size_max, tls.is_some()),
            admission: Rc::new(Admission::new(limits.smtp_sessions_max, per_client_max)),
            transfers: Rc::new(Transfers::new(TRANSFERS_MAX.max(message_size_max.saturating_mul(3)))),
            tls: tls.map(TlsAcceptor::from),
            app,
        })
    }
}

fn options(app: &App, max_message_size: usize, starttls: bool) -> ServerOptions {
    let limits = &app.settings.limits;
    let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    ServerOptions {
        hostname: app.hostname.as_ascii().to_owned(),
        max_message_size,
        max_recipients: limits.recipients_max,
        max_errors: bounded(limits.smtp_errors_max),
        max_idle_commands: IDLE_COMMANDS.saturating_add(bounded(limits.recipients_max).saturating_mul(2)),
        auth: None,
        // No DSN: whoever offers it has to report successful delivery on demand (RFC 3461 section 5.2.2).
        extensions: Extensions {
            pipelining: true,
            starttls,
            eight_bit_mime: true,
            smtputf8: true,
            chunking: true,
            enhanced_status_codes: true,
            limits: Limits { mail_max: None, rcpt_max: Some(bounded(limits.recipients_max)) },
            ..Extensions::default()
        },
        timeouts: ServerTimeouts::default(),
    }
}

fn to_tokio(listener: net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn accept(listener: TcpListener, shared: Rc<Shared>, mut phase: watch::Receiver<Phase>) {
    let mut sessions = JoinSet::new();
    let sessions_phase = phase.clone();
    while *phase.borrow() == Phase::Open {
        tokio::select! {
            changed = phase.changed() => if changed.is_err() { break },
            Some(ended) = sessions.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, client)) => begin(&shared, &mut sessions, stream, client, &sessions_phase),
                Err(error) => {
                    tracing::warn!(%error, "an SMTP connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = sessions.join_next().await {
        report(ended);
    }
}

fn begin(
    shared: &Shared,
    sessions: &mut JoinSet<()>,
    stream: TcpStream,
    client: SocketAddr,
    phase: &watch::Receiver<Phase>,
) {
    let remote = client.ip().to_canonical();
    shared.metrics.sessions.with_label_values(&["incoming"]).inc();
    let pass = match shared.admission.admit(remote) {
        Ok(pass) => pass,
        Err(reply) => {
            tracing::debug!(%remote, smtp.code = reply.code(), "an SMTP session was refused");
            return turn_away(stream, &reply);
        }
    };
    let session = ServerSession::new(shared.options.clone());
    let deadlines = Deadlines::new(shared.app.settings.limits.smtp_session_time);
    let authenticator = Rc::clone(&shared.authenticator);
    let incoming = Incoming::new(Arc::clone(&shared.app), shared.metrics.clone(), authenticator, remote);
    let (transfer, phase, tls) = (shared.transfers.begin(), phase.clone(), shared.tls.clone());
    sessions.spawn_local(async move {
        // A session is a few small writes, each waited for. Without it they are only slower.
        let _ = stream.set_nodelay(true);
        driver::drive(stream, session, incoming, transfer, deadlines, phase, tls).await;
        drop(pass);
    });
}

/// Says no without a task: what does not fit in the empty send buffer of a fresh connection is not said.
fn turn_away(stream: TcpStream, reply: &Reply) {
    let mut bytes = BytesMut::new();
    reply.write(&mut bytes);
    // The client may be gone; there is nothing to be done about it.
    let _ = stream.into_std().and_then(|mut stream| stream.write_all(&bytes));
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "an SMTP session broke down");
    }
}
