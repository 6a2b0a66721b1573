//! One SMTP connection: the thin driver under the sans-I/O session.

use super::{Dialer, NextHop, Stream};
use crate::Metrics;
use bytes::{Buf, Bytes, BytesMut};
use smtp::{ClientSession, ClientStep, Failure, Phase, Timeouts, Transaction, TransactionResult};
use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::OwnedSemaphorePermit,
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
    open: OpenGuard,
}

/// Keeps the count of open connections true, and one of the permitted number taken.
struct OpenGuard {
    metrics: Metrics,
    _permit: OwnedSemaphorePermit,
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.metrics.connections_open.dec();
    }
}

/// Why there is no connection.
pub(crate) enum OpenError {
    /// The host was not reached.
    Unreachable(io::Error),
    /// The host was reached, and did not get as far as taking mail.
    Session(Failure),
}

impl Connection {
    /// Connects and waits until the host is ready for mail.
    pub(crate) async fn open(
        dialer: &dyn Dialer,
        hop: &NextHop,
        ehlo_name: &str,
        timeouts: Timeouts,
        permit: OwnedSemaphorePermit,
        metrics: &Metrics,
    ) -> Result<Connection, OpenError> {
        let stream = dialer.dial(hop).await.map_err(OpenError::Unreachable)?;
        metrics.connections_opened.inc();
        metrics.connections_open.inc();
        let now = Instant::now();
        let mut connection = Connection {
            stream,
            write_timeout: timeouts.data_block,
            session: ClientSession::new(ehlo_name, timeouts),
            input: BytesMut::with_capacity(4096),
            opened: now,
            idle_since: now,
            open: OpenGuard { metrics: metrics.clone(), _permit: permit },
        };
        match connection.run().await {
            Pause::Ready => Ok(connection),
            Pause::Closed(failure) => Err(OpenError::Session(failure)),
            Pause::Finished(_) => unreachable!("no transaction was begun"),
        }
    }

    /// Sends one message. Afterwards the connection is of further use when [`Connection::is_usable`] says so.
    pub(crate) async fn send(&mut self, transaction: Transaction) -> TransactionResult {
        if self.session.transactions() > 0 {
            self.open.metrics.connections_reused.inc();
        }
        self.session.begin(transaction);
        let result = match self.run().await {
            Pause::Finished(result) => result,
            Pause::Ready | Pause::Closed(_) => {
                unreachable!("a session that was ready ends its transaction before anything else")
            }
        };
        self.idle_since = Instant::now();
        result
    }

    /// Whether another transaction can begin; lets the session take what steps it has left to get there.
    pub(crate) async fn is_usable(&mut self) -> bool {
        matches!(self.run().await, Pause::Ready)
    }

    /// Takes leave.
    pub(crate) async fn quit(mut self) {
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
                    let written = timeout(self.write_timeout, write_all(&mut self.stream, chunks)).await;
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
                    match timeout(limit, self.stream.read_buf(&mut self.input)).await {
                        Ok(Ok(0)) | Ok(Err(_)) => self.session.peer_closed(),
                        Ok(Ok(_)) => self.session.received(&self.input),
                        Err(_) => self.session.timed_out(),
                    }
                }
                ClientStep::StartTls => unreachable!("STARTTLS was not asked for"),
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
