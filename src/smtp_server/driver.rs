//! Moves the bytes of one session between its socket and its machine, and keeps the times.

use super::{Answer, Client, Owner, Phase, deadlines::Deadlines, transfers::Transfer};
use crate::tls::{Certificate, channel_bindings};
use bytes::BytesMut;
use smtp::{Reply, ServerSession, ServerStep};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Bytes that are read at a time.
const READ: usize = 16 * 1024;
/// How long a client may take to read an answer.
const WRITE_TIME: Duration = Duration::from_secs(60);
/// How long to wait for a client to close after our last word. Closed before it has read that, with bytes of its own
/// on the way, it would see an error instead.
const LINGER_TIME: Duration = Duration::from_millis(500);

/// How long a client may take for the handshake of TLS.
const HANDSHAKE_TIME: Duration = Duration::from_secs(30);

/// How a part of a session ended.
enum End {
    /// All was said.
    Said,
    /// The connection is of no more use.
    Lost,
    /// The client wants the rest over TLS.
    StartTls,
}

/// When the sessions of a listener are secured, and what is shown then.
#[derive(Clone)]
pub(crate) enum Secured {
    /// There is no TLS.
    Never,
    /// Once the client asks for it with STARTTLS.
    WhenAsked(Arc<Certificate>),
    /// Before anything is said.
    AtOnce(Arc<Certificate>),
}

/// A session, with all it takes to have it.
pub(super) struct Conversation<O> {
    session: ServerSession,
    owner: O,
    transfer: Transfer,
    deadlines: Deadlines,
    phase: watch::Receiver<Phase>,
    buffer: Box<[u8]>,
}

impl<O: Owner> Conversation<O> {
    pub(super) fn new(
        session: ServerSession,
        owner: O,
        transfer: Transfer,
        deadlines: Deadlines,
        phase: watch::Receiver<Phase>,
    ) -> Conversation<O> {
        Conversation { session, owner, transfer, deadlines, phase, buffer: vec![0; READ].into_boxed_slice() }
    }

    /// Has the session from greeting to close. STARTTLS is offered only where it is secured when asked.
    pub(super) async fn have<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut stream: S, secured: Secured) {
        let certificate = match secured {
            Secured::Never => None,
            Secured::WhenAsked(certificate) => Some(certificate),
            Secured::AtOnce(certificate) => {
                let Some(stream) = self.handshake(stream, &certificate).await else { return };
                return self.have_rest(stream).await;
            }
        };
        match (self.talk(&mut stream).await, certificate) {
            (End::Said, _) => close(stream, self.buffer).await,
            (End::StartTls, Some(certificate)) => {
                let Some(stream) = self.handshake(stream, &certificate).await else { return };
                self.have_rest(stream).await;
            }
            (End::Lost | End::StartTls, _) => {}
        }
    }

    /// Over TLS, which is begun once at most.
    async fn have_rest<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut stream: S) {
        if let End::Said = self.talk(&mut stream).await {
            close(stream, self.buffer).await;
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> End {
        let Conversation { session, owner, transfer, deadlines, phase, buffer } = self;
        deadlines.answered();
        loop {
            end_if_asked(session, phase);
            match session.step() {
                ServerStep::Write(bytes) => {
                    if !write(stream, &bytes).await {
                        return End::Lost;
                    }
                    deadlines.answered();
                }
                ServerStep::Read { .. } | ServerStep::Message(_) if !transfer.hold(session.held()) => {
                    refuse(stream).await;
                    return End::Said;
                }
                ServerStep::Read { awaited, timeout } => {
                    let (content, message) = (session.content_is_coming(), session.envelope().is_some());
                    let until = deadlines.next(awaited, timeout, content, message);
                    match read(stream, buffer, phase, until).await {
                        Heard::Bytes(count) => {
                            deadlines.heard(count);
                            session.received(&buffer[..count]);
                        }
                        Heard::End => session.peer_closed(),
                        Heard::Nothing => session.timed_out(),
                        Heard::Phase => {}
                        Heard::Dropped => session.shutdown(),
                    }
                }
                ServerStep::Auth(question) => session.answer_auth(owner.auth(question).await),
                ServerStep::Mail(_) if !deadlines.begin_message() => session.timed_out(),
                ServerStep::Mail(mail) => answer(session, owner.mail(&mail)),
                ServerStep::Rcpt(rcpt) => answer(session, owner.rcpt(&rcpt)),
                ServerStep::Message(message) => {
                    let client = Client { peer: session.peer(), secure: session.is_secure() };
                    let said = owner.message(client, message.content).await;
                    answer(session, said);
                }
                ServerStep::Silent { timeout } => {
                    transfer.hold(0);
                    ignore(stream, buffer, phase, timeout).await;
                    session.peer_closed();
                }
                ServerStep::StartTls => return End::StartTls,
                ServerStep::Close => return End::Said,
            }
        }
    }

    /// `None` when there is no handshake, whatever the reason: nothing can be said to the client then.
    async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: S,
        certificate: &Certificate,
    ) -> Option<TlsStream<S>> {
        let stopped = async {
            // A session of a server that stops ends as soon as it says something.
            while self.phase.changed().await.is_ok() && *self.phase.borrow() != Phase::Closing {}
        };
        // Its own until the end: what is shown from now on may be another one.
        let shown = certificate.shown()?;
        let acceptor = TlsAcceptor::from(shown.config.clone());
        let shaken = tokio::select! {
            shaken = timeout(HANDSHAKE_TIME, acceptor.accept(stream)) => shaken,
            () = stopped => return None,
        };
        match shaken {
            Ok(Ok(stream)) => {
                self.session.tls_started(channel_bindings(stream.get_ref().1, &shown));
                self.owner.forget();
                Some(stream)
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS with an SMTP client");
                None
            }
            Err(_) => None,
        }
    }
}

/// What came while reading.
enum Heard {
    Bytes(usize),
    /// The client closed, or the connection broke.
    End,
    /// The time has passed.
    Nothing,
    /// The server's phase changed.
    Phase,
    /// The server is gone.
    Dropped,
}

fn end_if_asked(session: &mut ServerSession, phase: &watch::Receiver<Phase>) {
    match *phase.borrow() {
        Phase::Open => {}
        // The message under way may still arrive.
        Phase::Draining if session.envelope().is_some() => {}
        Phase::Draining | Phase::Closing => session.shutdown(),
    }
}

fn answer(session: &mut ServerSession, answer: Answer) {
    match answer {
        Answer::Say(reply) => session.answer(reply),
        Answer::Silence => session.keep_silent(),
    }
}

async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut [u8],
    phase: &mut watch::Receiver<Phase>,
    until: Instant,
) -> Heard {
    if until <= Instant::now() {
        // Whoever always has something to say would never be late.
        return Heard::Nothing;
    }
    tokio::select! {
        read = timeout_at(until, stream.read(buffer)) => match read {
            Ok(Ok(0) | Err(_)) => Heard::End,
            Ok(Ok(count)) => Heard::Bytes(count),
            Err(_) => Heard::Nothing,
        },
        changed = phase.changed() => if changed.is_ok() { Heard::Phase } else { Heard::Dropped },
    }
}

/// False when the connection is of no more use.
async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> bool {
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    matches!(timeout(WRITE_TIME, written).await, Ok(Ok(())))
}

/// Reads and drops until the client leaves, the server stops or `time` has passed.
async fn ignore<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut [u8],
    phase: &mut watch::Receiver<Phase>,
    time: Duration,
) {
    let until = Instant::now() + time;
    while let Heard::Bytes(_) = read(stream, buffer, phase, until).await {}
}

/// Gives up on a message in its middle, which no answer of the session's could tell.
async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S) {
    let mut bytes = BytesMut::new();
    Reply::with_enhanced(421, 3, 1, "Too much mail at the moment, try again later").write(&mut bytes);
    write(stream, &bytes).await;
}

async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, mut buffer: Box<[u8]>) {
    let farewell = async {
        // Errors mean that the client was faster.
        let _ = stream.shutdown().await;
        while let Ok(1..) = stream.read(&mut buffer).await {}
    };
    let _ = timeout(LINGER_TIME, farewell).await;
}
