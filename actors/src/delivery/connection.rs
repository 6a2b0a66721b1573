//! One SMTP connection: the thin driver under the sans-I/O session.

use super::{
    Dialer, NextHop, Stream,
    lanes::Permit,
    login,
    tls::{Requirement, Secured, TlsClient, TlsError},
    tls_policy::{Demand, HostPolicy},
};
use crate::Metrics;
use bytes::{Buf, Bytes, BytesMut};
use mail::Timestamp;
use smtp::{ClientSession, ClientStep, Extensions, Failure, Phase, Timeouts, Transaction, TransactionResult};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    time::Duration,
};
use store::records::{TlsFacts, TlsPolicyKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

/// How long taking leave may take; nothing depends on it.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to listen to a host that has stopped listening, and how much.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(2);
const LAST_WORDS_MAX: usize = 64 * 1024;

/// A connection that is ready for a transaction.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    session: ClientSession,
    input: BytesMut,
    write_timeout: Duration,
    opened: Instant,
    /// When the last transaction ended.
    pub(crate) idle_since: Instant,
    /// Where it leads.
    pub(crate) hop: NextHop,
    /// TLS, where it is secured.
    pub(crate) tls: Option<TlsFacts>,
    /// What holds for its TLS.
    pub(crate) policy: HostPolicy,
    /// For which messages it was opened.
    pub(crate) demand: Demand,
    permit: Permit,
    open: OpenGuard,
}

/// Keeps the count of open connections true.
struct OpenGuard(Metrics);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.connections_open.dec();
    }
}

/// How a connection is to be opened.
pub(crate) struct Opening<'o> {
    pub(crate) hop: NextHop,
    pub(crate) ehlo_name: &'o str,
    pub(crate) timeouts: Timeouts,
    pub(crate) policy: &'o HostPolicy,
    pub(crate) demand: Demand,
    /// TLS before the greeting.
    pub(crate) implicit_tls: bool,
    pub(crate) login: Option<&'o smtp::Login>,
    /// Contents may go by BDAT.
    pub(crate) chunking: bool,
    pub(crate) now: Timestamp,
}

/// Why there is no connection.
pub(crate) enum OpenError {
    /// The host was not reached.
    Unreachable(io::Error),
    /// The host was reached, and did not get as far as taking mail.
    Session(Failure),
    /// TLS is needed and there is none that will do.
    Tls(TlsError),
    /// TLS is needed and not offered.
    NoTls,
    /// The host is this server.
    Loop,
}

impl Connection {
    /// Connects and waits until the host is ready for mail.
    pub(crate) async fn open(
        opening: Opening<'_>,
        dialer: &dyn Dialer,
        tls: &TlsClient,
        mut permit: Permit,
        metrics: &Metrics,
    ) -> Result<Box<Connection>, OpenError> {
        let Opening { hop, ehlo_name, timeouts, policy, demand, implicit_tls, login, chunking, now } =
            opening;
        let dialed = permit.wait(dialer.timeout(), dialer.dial(&hop)).await;
        let stream = dialed
            .unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection request"))
            })
            .map_err(OpenError::Unreachable)?;
        metrics.connections_opened.inc();
        metrics.connections_open.inc();
        let opened = Instant::now();
        let session = ClientSession::new(ehlo_name, timeouts);
        let mut connection = Box::new(Connection {
            stream,
            write_timeout: timeouts.data_block,
            session: if chunking { session } else { session.without_chunking() },
            input: BytesMut::with_capacity(4096),
            opened,
            idle_since: opened,
            hop,
            tls: None,
            policy: policy.clone(),
            demand,
            permit,
            open: OpenGuard(metrics.clone()),
        });
        if implicit_tls {
            connection.secure(tls, &policy.requirement, now).await?;
        }
        connection.greet().await?;
        let is_self = |name: &str| name.eq_ignore_ascii_case(ehlo_name);
        // A relay may well be another part of the same host.
        if policy.kind != TlsPolicyKind::Relay && connection.session.server_name().is_some_and(is_self) {
            return Err(OpenError::Loop);
        }
        if policy.requirement != Requirement::Forbidden && connection.tls.is_none() {
            connection.start_tls(tls, &policy.requirement, now).await?;
        }
        if let Some(login) = login {
            connection.session.authenticate(&login::for_session(login.clone()));
            connection.greet().await?;
        }
        Ok(connection)
    }

    async fn greet(&mut self) -> Result<(), OpenError> {
        match self.run().await {
            Pause::Ready => Ok(()),
            Pause::Closed(failure) => Err(OpenError::Session(failure)),
            Pause::Handshake | Pause::Finished(_) => unreachable!("neither TLS nor a transaction was begun"),
        }
    }

    async fn start_tls(
        &mut self,
        tls: &TlsClient,
        requirement: &Requirement,
        now: Timestamp,
    ) -> Result<(), OpenError> {
        if !self.session.extensions().starttls {
            return if requirement.allows_plain() { Ok(()) } else { Err(OpenError::NoTls) };
        }
        self.session.starttls();
        match self.run().await {
            Pause::Handshake => self.secure(tls, requirement, now).await?,
            Pause::Closed(failure) => return Err(OpenError::Session(failure)),
            Pause::Ready | Pause::Finished(_) => unreachable!("STARTTLS leads to the handshake or the end"),
        }
        self.greet().await
    }

    async fn secure(
        &mut self,
        tls: &TlsClient,
        requirement: &Requirement,
        now: Timestamp,
    ) -> Result<(), OpenError> {
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let limit = self.session.timeouts().command;
        let handshake = tls.secure(stream, &self.hop.host, requirement, now);
        let secured = self.permit.wait(limit, handshake).await.unwrap_or_else(|_| {
            Err(TlsError::Handshake(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))
        });
        let Secured { stream, facts } = secured.map_err(OpenError::Tls)?;
        self.stream = stream;
        self.tls = Some(facts);
        self.session.tls_started();
        Ok(())
    }

    /// Sends one message. Afterwards the connection is of further use when [`Connection::is_usable`] says so.
    pub(crate) async fn send(&mut self, transaction: Transaction) -> TransactionResult {
        if self.session.transactions() > 0 {
            self.open.0.connections_reused.inc();
        }
        self.session.begin(transaction);
        let result = match self.run().await {
            Pause::Finished(result) => result,
            Pause::Ready | Pause::Handshake | Pause::Closed(_) => {
                unreachable!("a session that was ready ends its transaction before anything else")
            }
        };
        self.idle_since = Instant::now();
        result
    }

    /// Whether another transaction can begin; lets the session take what steps it has left to get there.
    pub(crate) async fn is_usable(&mut self) -> bool {
        matches!(self.run().await, Pause::Ready) && self.session.may_begin()
    }

    /// What the host offers.
    pub(crate) fn extensions(&self) -> &Extensions {
        self.session.extensions()
    }

    /// Takes leave.
    pub(crate) async fn quit(mut self: Box<Self>) {
        self.session.quit();
        let _ = timeout(QUIT_TIMEOUT, self.run()).await;
    }

    /// How many transactions it has served.
    pub(crate) fn transactions(&self) -> u32 {
        self.session.transactions()
    }

    /// How long it has been open.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    async fn run(&mut self) -> Pause {
        loop {
            match self.session.step() {
                ClientStep::Write(chunks) => {
                    let written =
                        self.permit.wait(self.write_timeout, write_all(&mut self.stream, chunks)).await;
                    match written {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => {
                            // A host that refuses in the middle of the content says why before it closes.
                            let _ = timeout(LAST_WORDS_TIMEOUT, self.hear_last_words()).await;
                            self.session.peer_closed();
                        }
                        Err(_) => self.session.timed_out(),
                    }
                }
                ClientStep::Read { timeout: limit, .. } => {
                    self.input.clear();
                    match self.permit.wait(limit, self.stream.read_buf(&mut self.input)).await {
                        Ok(Ok(0)) | Ok(Err(_)) => self.session.peer_closed(),
                        Ok(Ok(_)) => self.session.received(&self.input),
                        Err(_) => self.session.timed_out(),
                    }
                }
                ClientStep::StartTls => return Pause::Handshake,
                ClientStep::Ready => return Pause::Ready,
                ClientStep::Finished(result) => return Pause::Finished(result),
                ClientStep::Closed(failure) => {
                    return Pause::Closed(failure.unwrap_or(Failure::Closed { at: Phase::Quit }));
                }
            }
        }
    }

    /// Gives the session what the host had still sent.
    async fn hear_last_words(&mut self) {
        let mut heard = 0;
        while heard < LAST_WORDS_MAX {
            self.input.clear();
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return,
                Ok(count) => heard += count,
            }
            self.session.received(&self.input);
        }
    }
}

/// Where the session needs somebody else to decide.
enum Pause {
    Ready,
    Handshake,
    Finished(TransactionResult),
    Closed(Failure),
}

/// Writes all chunks with as few system calls as the system allows.
async fn write_all(stream: &mut Box<dyn Stream>, chunks: Vec<Bytes>) -> io::Result<()> {
    const SLICES: usize = 16;
    let mut chunks = VecDeque::from(chunks);
    while !chunks.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        for (slice, chunk) in slices.iter_mut().zip(&chunks) {
            *slice = IoSlice::new(chunk);
        }
        let count = chunks.len().min(SLICES);
        let mut written = stream.write_vectored(&slices[..count]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(chunk) = chunks.front_mut() {
            if written < chunk.len() {
                chunk.advance(written);
                break;
            }
            written -= chunk.len();
            chunks.pop_front();
        }
    }
    stream.flush().await
}
