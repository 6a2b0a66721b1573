//! The client's side of a session: what to write, what to wait for, and what the answers mean.

mod content;
mod envelope;
mod exchange;
mod login;
mod running;
mod say;
mod step;
mod timeouts;
mod transacting;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::extensions::Extensions;
use crate::reply::{ProtocolError, Reply, ReplyParser};
use crate::transaction::{Failure, Phase, RecipientResult, TransactionResult};
use content::Outgoing;
use exchange::Exchange;
use login::Authentication;
use running::Running;

pub use step::ClientStep;
pub use timeouts::Timeouts;

/// Slices of content in one [`ClientStep::Write`].
const WRITE_SLICES: usize = 64;
/// Octets of content after which a [`ClientStep::Write`] ends.
const WRITE_OCTETS: usize = 1024 * 1024;

/// An SMTP client without sockets or clock (RFC 5321, RFC 2920, RFC 3030, RFC 4954).
///
/// The driver asks [`ClientSession::step`] what to do and tells what happened. One session carries any number of
/// transactions after one another.
pub struct ClientSession {
    ehlo_name: String,
    timeouts: Timeouts,
    chunking: bool,
    parser: ReplyParser,
    extensions: Extensions,
    greeting: Option<Reply>,
    server_name: Option<String>,
    secure: bool,
    state: State,
    authentication: Option<Authentication>,
    /// What to write before anything else happens.
    out: Vec<Bytes>,
    /// Content that follows `out`.
    sending: Option<Outgoing>,
    /// What to say next, when it may not be said at once.
    todo: VecDeque<Exchange>,
    /// What was said and not yet answered, in order.
    waiting: VecDeque<Exchange>,
    running: Option<Running>,
    finished: Option<TransactionResult>,
    needs_rset: bool,
    transactions: u32,
}

#[derive(Debug)]
enum State {
    /// Exchanging commands and replies; ready when nothing is outstanding.
    Open,
    /// The server agreed to TLS; the handshake is the driver's.
    Handshake,
    Closed(Option<Failure>),
}

impl ClientSession {
    /// A session that waits for the greeting and then says EHLO with this name (a domain or address literal), or
    /// HELO where EHLO is refused for good. Octets that cannot stand in a name are left out.
    pub fn new(ehlo_name: &str, timeouts: Timeouts) -> Self {
        Self {
            ehlo_name: ehlo_name.chars().filter(char::is_ascii_graphic).collect(),
            timeouts,
            chunking: true,
            parser: ReplyParser::new(),
            extensions: Extensions::default(),
            greeting: None,
            server_name: None,
            secure: false,
            state: State::Open,
            authentication: None,
            out: Vec::new(),
            sending: None,
            todo: VecDeque::new(),
            waiting: VecDeque::from([Exchange::Greeting]),
            running: None,
            finished: None,
            needs_rset: false,
            transactions: 0,
        }
    }

    /// Lets it send content by DATA even where CHUNKING is offered: for another try after
    /// [`Failure::ChunkingRefused`].
    pub fn without_chunking(self) -> Self {
        Self { chunking: false, ..self }
    }

    /// What the driver must do now.
    pub fn step(&mut self) -> ClientStep {
        if let State::Closed(failure) = &self.state {
            return match self.finished.take() {
                Some(result) => ClientStep::Finished(result),
                None => ClientStep::Closed(failure.clone()),
            };
        }
        if !self.out.is_empty() || self.sending.is_some() {
            return ClientStep::Write(self.next_write());
        }
        if let Some(result) = self.finished.take() {
            return ClientStep::Finished(result);
        }
        match (&self.state, self.waiting.front()) {
            (State::Handshake, _) => ClientStep::StartTls,
            (_, None) => ClientStep::Ready,
            (_, Some(exchange)) => {
                ClientStep::Read { timeout: self.patience(*exchange), waiting_for: self.phase() }
            }
        }
    }

    /// Takes bytes that the server sent.
    pub fn received(&mut self, bytes: &[u8]) {
        if self.is_closed() {
            return;
        }
        self.parser.push(bytes);
        while !self.is_closed() {
            if matches!(self.state, State::Handshake) {
                // Whatever was said in the clear behind the go-ahead could be an attacker's (RFC 3207 section 6).
                if !self.parser.is_empty() {
                    self.protocol_error(ProtocolError::Unsolicited, Phase::StartTls);
                }
                return;
            }
            let at = self.open_phase();
            match self.parser.next_reply() {
                Ok(Some(reply)) => self.answered(reply),
                Ok(None) => return,
                Err(error) => self.protocol_error(error, at),
            }
        }
    }

    /// The connection ended, or writing to it failed.
    pub fn peer_closed(&mut self) {
        // A server that closed an idle connection has not even heard what was said since.
        let unheard = matches!(self.waiting.front(), Some(Exchange::Rset | Exchange::Mail));
        let at = if unheard { self.phase() } else { self.open_phase() };
        self.fail(Failure::Closed { at });
    }

    /// The time of the last step has passed.
    pub fn timed_out(&mut self) {
        self.fail(Failure::TimedOut { at: self.open_phase() });
    }

    /// Says QUIT. Only after [`ClientStep::Ready`].
    ///
    /// # Panics
    ///
    /// When a transaction, AUTH or STARTTLS is under way.
    pub fn quit(&mut self) {
        self.say_alone(Exchange::Quit);
    }

    /// Asks for TLS. Only after [`ClientStep::Ready`], and where it is offered. A refusal closes the session, as
    /// [`Failure::Refused`] at [`Phase::StartTls`]: whoever wants to go on in the clear connects anew.
    ///
    /// # Panics
    ///
    /// When a transaction, AUTH or QUIT is under way.
    pub fn starttls(&mut self) {
        self.say_alone(Exchange::StartTls);
    }

    /// The connection is secured. After [`ClientStep::StartTls`] the session forgets what it knew and says EHLO
    /// again (RFC 3207 section 4.2); before the greeting it says that TLS came first (RFC 8314 section 3.3).
    pub fn tls_started(&mut self) {
        self.secure = true;
        if matches!(self.state, State::Handshake) {
            self.state = State::Open;
            self.extensions = Extensions::default();
            self.server_name = None;
            self.say_alone(Exchange::Ehlo);
        }
    }

    /// What the server offers; nothing before EHLO was answered.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What the server calls itself: the first word of its answer to EHLO or HELO, as it spelled it. A client that
    /// finds its own name here speaks to itself.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The server's first reply.
    pub fn greeting(&self) -> Option<&Reply> {
        self.greeting.as_ref()
    }

    /// Whether the connection is secured.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// How many transactions were begun with the server.
    pub fn transactions(&self) -> u32 {
        self.transactions
    }

    /// The timeouts it was made with.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    fn next_write(&mut self) -> Vec<Bytes> {
        let mut slices = std::mem::take(&mut self.out);
        let Some(stuffer) = &mut self.sending else { return slices };
        let mut octets = 0;
        while slices.len() < WRITE_SLICES && octets < WRITE_OCTETS {
            let Some(slice) = stuffer.next() else {
                self.sending = None;
                break;
            };
            octets += slice.len();
            slices.push(slice);
        }
        slices
    }

    fn answered(&mut self, reply: Reply) {
        let (at, open_at) = (self.phase(), self.open_phase());
        let Some(exchange) = self.waiting.pop_front() else {
            return match reply.is_refusal() {
                true => self.fail(Failure::Refused { reply, at }),
                false => self.protocol_error(ProtocolError::Unsolicited, at),
            };
        };
        if exchange == Exchange::Quit {
            self.close(None);
            return;
        }
        if reply.code() == 421 {
            self.refuse_session(reply, at);
            return;
        }
        if !self.out.is_empty() {
            // It came before the command was even handed out: whatever it answers, it is not this.
            self.protocol_error(ProtocolError::Unsolicited, at);
            return;
        }
        if !exchange.fits(&reply, self.sending.is_some()) {
            self.protocol_error(ProtocolError::Unfitting(reply.code()), open_at);
            return;
        }
        match exchange {
            Exchange::Greeting => self.greeted(reply, at),
            Exchange::Ehlo if reply.is_permanent() => self.say_alone(Exchange::Helo),
            Exchange::Ehlo if reply.is_positive() => {
                self.server_name = first_word(&reply);
                self.extensions = Extensions::parse(&reply);
            }
            Exchange::Helo if reply.is_positive() => self.server_name = first_word(&reply),
            Exchange::StartTls if reply.is_positive() => self.state = State::Handshake,
            Exchange::Ehlo | Exchange::Helo | Exchange::StartTls => self.fail(Failure::Refused { reply, at }),
            Exchange::Auth => self.auth_answered(reply),
            Exchange::Quit => self.close(None),
            // A server that refuses RSET will refuse MAIL too, and that answer decides.
            Exchange::Rset => self.proceed(),
            Exchange::Mail
            | Exchange::Rcpt(_)
            | Exchange::Data
            | Exchange::EndOfData
            | Exchange::EndOfNothing
            | Exchange::Chunk => self.transaction_answered(exchange, reply, at),
        }
    }

    fn greeted(&mut self, reply: Reply, at: Phase) {
        self.greeting = Some(reply.clone());
        if reply.is_positive() {
            self.say_alone(Exchange::Ehlo)
        } else {
            self.fail(Failure::Refused { reply, at })
        }
    }

    /// A 421 answers everything outstanding, and ends the session (RFC 5321 section 3.8).
    fn refuse_session(&mut self, reply: Reply, at: Phase) {
        if let Some(running) = &mut self.running {
            running.decide(RecipientResult::Refused { reply: reply.clone(), at });
        }
        self.fail(Failure::Refused { reply, at });
    }

    fn protocol_error(&mut self, error: ProtocolError, at: Phase) {
        self.fail(Failure::Protocol { error, at });
    }

    fn fail(&mut self, failure: Failure) {
        if self.is_closed() {
            return;
        }
        if let Some(running) = &mut self.running {
            running.decide(RecipientResult::Failed(failure.clone()));
        }
        self.conclude();
        let asked_for = self.waiting.front() == Some(&Exchange::Quit);
        self.close((!asked_for).then_some(failure));
    }

    fn close(&mut self, failure: Option<Failure>) {
        self.state = State::Closed(failure);
        self.authentication = None;
        self.out.clear();
        self.sending = None;
        self.todo.clear();
        self.waiting.clear();
    }

    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    fn assert_ready(&self) {
        let idle = self.waiting.is_empty() && self.todo.is_empty() && self.running.is_none();
        assert!(idle && matches!(self.state, State::Open), "only a ready session starts something");
    }

    /// What is awaited.
    fn phase(&self) -> Phase {
        if matches!(self.state, State::Handshake) {
            return Phase::StartTls;
        }
        self.waiting.front().map_or(Phase::Idle, |exchange| exchange.phase(self.sending.is_some()))
    }

    /// The same, for when the session ends without an answer: with all of the content in the server's hands, what
    /// it thinks of the envelope may be unsaid and the message accepted.
    fn open_phase(&self) -> Phase {
        if self.has_handed_out_chunk() { Phase::EndOfData } else { self.phase() }
    }

    /// How long to wait. A server that has the content may keep its answers to the envelope until it has dealt
    /// with all of the group.
    fn patience(&self, exchange: Exchange) -> Duration {
        let usual = exchange.timeout(&self.timeouts);
        if self.has_handed_out_chunk() { usual.max(self.timeouts.end_of_data) } else { usual }
    }

    fn has_handed_out_chunk(&self) -> bool {
        self.waiting.contains(&Exchange::Chunk) && self.sending.is_none() && self.out.is_empty()
    }
}

fn first_word(reply: &Reply) -> Option<String> {
    reply.text().split_whitespace().next().map(str::to_owned)
}

/// What waits to be written can be a password or somebody's mail.
impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("server_name", &self.server_name)
            .field("secure", &self.secure)
            .field("state", &self.state)
            .field("waiting", &self.waiting)
            .field("transactions", &self.transactions)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
