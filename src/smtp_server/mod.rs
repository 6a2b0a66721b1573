//! SMTP servers, whatever they are for: the listeners, and the sessions on them, in which an `Owner` decides.

mod admission;
mod deadlines;
mod driver;
mod owner;
mod pace;
mod transfers;

pub(crate) use driver::Secured;
pub(crate) use owner::{Answer, Client, Owner, Service, usual_options};

#[cfg(test)]
pub(crate) use testing::converse;

use crate::app::{App, Mode};
use admission::{Admission, Pass};
use bytes::BytesMut;
use deadlines::Deadlines;
use prometheus::{IntCounterVec, Opts};
use smtp::{Reply, ServerSession};
use std::{
    io::{self, Write as _},
    net::{self, SocketAddr},
    rc::Rc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinError, JoinHandle, JoinSet},
};
use transfers::{Transfer, Transfers};

/// Bytes of messages that may be held in the middle of their transfer, all sessions together; three of the largest
/// message where that is more, so that a client alone, which may hold half of it, can bring one. Small messages do not
/// count (see [`Transfers`]).
const TRANSFERS_MAX: usize = 512 * 1024 * 1024;
/// Wait after an error of accept: most often there are no file descriptors left, which takes a moment to change.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What sessions have to say goodbye in once the grace period is over.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The listeners that are being served, on the current arbiter. They share their limits. Dropping it closes them and
/// ends their sessions.
#[must_use = "dropping it stops it"]
pub struct SmtpServer {
    shared: Rc<Shared>,
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
    /// Serves nothing yet. Once for an [`App`].
    ///
    /// # Errors
    /// When the app's registry has the counter already.
    pub fn new(app: &App) -> io::Result<SmtpServer> {
        SmtpServer::with_room(app, TRANSFERS_MAX)
    }

    /// The same, with room for so many bytes of messages in the middle of their transfer instead of [`TRANSFERS_MAX`].
    pub(crate) fn with_room(app: &App, transfers_max: usize) -> io::Result<SmtpServer> {
        let shared = Rc::new(Shared::new(app, transfers_max).map_err(io::Error::other)?);
        let (phase, _) = watch::channel(Phase::Open);
        Ok(SmtpServer { shared, phase, running: Vec::new() })
    }

    /// Serves a listener until [`SmtpServer::stop`] is called.
    ///
    /// # Errors
    /// When the listener is of no use to the runtime.
    pub(crate) fn serve<S: Service>(
        &mut self,
        listener: net::TcpListener,
        service: &Rc<S>,
        secured: Secured,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let listening = Listening { shared: self.shared.clone(), service: service.clone(), secured };
        self.running.push(actix_rt::spawn(listening.accept(listener, self.phase.subscribe())));
        Ok(())
    }

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
    sessions: IntCounterVec,
    session_time: Duration,
    admission: Rc<Admission>,
    transfers: Rc<Transfers>,
    mode: Mode,
}

impl Shared {
    fn new(app: &App, transfers_max: usize) -> prometheus::Result<Shared> {
        let limits = &app.settings.limits;
        let per_client_max = match app.mode {
            Mode::Serve => limits.smtp_sessions_per_client_max,
            // All clients of a developer's server, its own queue among them, have one address.
            Mode::Local => limits.smtp_sessions_max,
        };
        let message_size_max = usize::try_from(limits.message_size_max).unwrap_or(usize::MAX);
        let sessions = Opts::new(
            "postrider_smtp_sessions_total",
            "SMTP connections that clients opened, by role of the listener.",
        );
        let sessions = IntCounterVec::new(sessions, &["role"])?;
        app.registry.register(Box::new(sessions.clone()))?;
        Ok(Shared {
            sessions,
            session_time: limits.smtp_session_time,
            admission: Rc::new(Admission::new(limits.smtp_sessions_max, per_client_max)),
            transfers: Rc::new(Transfers::new(transfers_max.max(message_size_max.saturating_mul(3)))),
            mode: app.mode,
        })
    }

    fn transfer_for(&self, pass: &Pass) -> Transfer {
        self.transfers.begin(match self.mode {
            Mode::Serve => Some(pass.client()),
            // As many places, so as much room: they have one address.
            Mode::Local => None,
        })
    }
}

/// A listener.
struct Listening<S> {
    shared: Rc<Shared>,
    service: Rc<S>,
    secured: Secured,
}

impl<S: Service> Listening<S> {
    async fn accept(self, listener: TcpListener, mut phase: watch::Receiver<Phase>) {
        let mut sessions = JoinSet::new();
        let sessions_phase = phase.clone();
        while *phase.borrow() == Phase::Open {
            tokio::select! {
                changed = phase.changed() => if changed.is_err() { break },
                Some(ended) = sessions.join_next() => report(ended),
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => self.begin(&mut sessions, stream, client, &sessions_phase),
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
        &self,
        sessions: &mut JoinSet<()>,
        stream: TcpStream,
        client: SocketAddr,
        phase: &watch::Receiver<Phase>,
    ) {
        let remote = client.ip().to_canonical();
        self.shared.sessions.with_label_values(&[S::ROLE]).inc();
        let pass = match self.shared.admission.admit(S::ROLE, remote) {
            Ok(pass) => pass,
            Err(reply) => {
                tracing::debug!(%remote, smtp.code = reply.code(), "an SMTP session was refused");
                return self.turn_away(stream, &reply);
            }
        };
        let mut options = self.service.options();
        options.extensions.starttls = matches!(self.secured, Secured::WhenAsked(_));
        let conversation = driver::Conversation::new(
            ServerSession::new(options),
            self.service.owner(remote),
            self.shared.transfer_for(&pass),
            Deadlines::new(self.shared.session_time),
            phase.clone(),
        );
        let secured = self.secured.clone();
        sessions.spawn_local(async move {
            // A session is a few small writes, each waited for. Without it they are only slower.
            let _ = stream.set_nodelay(true);
            conversation.have(stream, secured).await;
            drop(pass);
        });
    }

    /// Says no without a task: what does not fit in the empty send buffer of a fresh connection is not said. Over TLS
    /// nothing is.
    fn turn_away(&self, stream: TcpStream, reply: &Reply) {
        if matches!(self.secured, Secured::AtOnce(_)) {
            return;
        }
        let mut bytes = BytesMut::new();
        reply.write(&mut bytes);
        // The client may be gone; there is nothing to be done about it.
        let _ = stream.into_std().and_then(|mut stream| stream.write_all(&bytes));
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "an SMTP session broke down");
    }
}

#[cfg(test)]
mod testing {
    use super::*;
    use tokio::io::DuplexStream;

    /// What comes of a client in a session without sockets, so that the clock may stand still, when transfers may hold
    /// `transfer_max` bytes.
    pub(crate) async fn converse<T, S: Service>(
        app: &App,
        service: &S,
        transfer_max: usize,
        client: impl AsyncFnOnce(DuplexStream) -> T,
    ) -> T {
        let transfer = Rc::new(Transfers::new(transfer_max)).begin(None);
        let (_phase, watched) = watch::channel(Phase::Open);
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let session = ServerSession::new(service.options());
        let deadlines = Deadlines::new(app.settings.limits.smtp_session_time);
        let owner = service.owner([127, 0, 0, 1].into());
        let conversation = driver::Conversation::new(session, owner, transfer, deadlines, watched);
        tokio::join!(client(ours), conversation.have(theirs, Secured::Never)).0
    }
}
