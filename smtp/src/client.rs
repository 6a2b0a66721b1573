//! The client's side of a session: what to write, what to wait for, and what the answers mean.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::data::{DotStuffer, check_newlines};
use crate::extensions::{Extensions, SizeLimit};
use crate::params::MAX_ENVID;
use crate::path::is_mailbox;
use crate::reply::{ProtocolError, Reply, ReplyParser};
use crate::transaction::{Failure, Phase, Recipient, RecipientResult, Transaction, TransactionResult};
use crate::xtext::encode_xtext;

/// Slices of content in one [`ClientStep::Write`].
const WRITE_SLICES: usize = 64;
/// Octets of content after which a [`ClientStep::Write`] ends.
const WRITE_OCTETS: usize = 1024 * 1024;

/// An SMTP client without sockets or clock (RFC 5321, RFC 2920).
///
/// The driver asks [`ClientSession::step`] what to do and tells what happened. One session carries any number of
/// transactions after one another.
#[derive(Debug)]
pub struct ClientSession {
    ehlo_name: String,
    timeouts: Timeouts,
    parser: ReplyParser,
    extensions: Extensions,
    greeting: Option<Reply>,
    secure: bool,
    state: State,
    /// Commands to write before anything else happens.
    out: Vec<Bytes>,
    /// Content that follows `out`.
    sending: Option<DotStuffer>,
    /// What to say next, when it may not be said at once.
    todo: VecDeque<Exchange>,
    /// What was said and not yet answered, in order.
    waiting: VecDeque<Exchange>,
    running: Option<Running>,
    finished: Option<TransactionResult>,
    needs_rset: bool,
    transactions: u32,
}

/// What the driver must do now.
#[derive(Debug)]
pub enum ClientStep {
    /// Write all of it, flush, and ask again. Allow [`Timeouts::data_block`] for it. Slices are in order and share
    /// the content's memory. When writing fails: what was still received, then `peer_closed`.
    Write(Vec<Bytes>),
    /// Read some bytes and give them to `received`, or call `peer_closed` or `timed_out`.
    Read {
        /// How long to wait for it (RFC 5321 section 4.5.3.2).
        timeout: Duration,
        /// What is awaited.
        waiting_for: Phase,
    },
    /// Do the TLS handshake, then call `tls_started`; when it fails, drop the session.
    StartTls,
    /// Nothing to do: `begin`, `starttls` or `quit`. Between transactions a driver may watch for the end of the
    /// connection and call `received` or `peer_closed` at any time.
    Ready,
    /// The transaction is over. Ask again: the session is then ready or closed.
    Finished(TransactionResult),
    /// The session is of no more use: close the connection. The reason if that was not asked for.
    Closed(Option<Failure>),
}

/// How long to wait for answers (RFC 5321 section 4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The greeting; 5 minutes.
    pub greeting: Duration,
    /// Answers to EHLO, HELO, STARTTLS and RSET; 5 minutes.
    pub command: Duration,
    /// The answer to MAIL; 5 minutes.
    pub mail: Duration,
    /// The answer to RCPT; 5 minutes.
    pub rcpt: Duration,
    /// The answer to DATA; 2 minutes.
    pub data: Duration,
    /// One write of commands or content; 3 minutes.
    pub data_block: Duration,
    /// The answer to the end of the data; 10 minutes, since giving up earlier makes duplicates.
    pub end_of_data: Duration,
    /// The answer to QUIT, on which nothing depends; 10 seconds.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            greeting: minutes(5),
            command: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data: minutes(2),
            data_block: minutes(3),
            end_of_data: minutes(10),
            quit: Duration::from_secs(10),
        }
    }
}

#[derive(Debug)]
enum State {
    /// Exchanging commands and replies; ready when nothing is outstanding.
    Open,
    /// The server agreed to TLS; the handshake is the driver's.
    Handshake,
    Closed(Option<Failure>),
}

/// A command and its answer, or an answer alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exchange {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Rset,
    Mail,
    /// The recipient with this index.
    Rcpt(usize),
    Data,
    EndOfData,
    /// The end of data that has no recipients and no content.
    EndOfNothing,
    Quit,
}

#[derive(Debug)]
struct Running {
    transaction: Transaction,
    /// What is decided; an open recipient whose RCPT was answered is accepted so far.
    results: Vec<Option<RecipientResult>>,
    mail_refused: Option<Reply>,
    mail_parameters: String,
}

impl ClientSession {
    /// A session that waits for the greeting and then says EHLO with this name (a domain or address literal), or
    /// HELO where EHLO is refused for good. Octets that cannot stand in a name are left out.
    pub fn new(ehlo_name: &str, timeouts: Timeouts) -> Self {
        Self {
            ehlo_name: ehlo_name.chars().filter(char::is_ascii_graphic).collect(),
            timeouts,
            parser: ReplyParser::new(),
            extensions: Extensions::default(),
            greeting: None,
            secure: false,
            state: State::Open,
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
                ClientStep::Read { timeout: self.timeout(*exchange), waiting_for: self.phase() }
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
            let at = self.phase();
            match self.parser.next_reply() {
                Ok(Some(reply)) => self.answered(reply),
                Ok(None) => return,
                Err(error) => self.protocol_error(error, at),
            }
        }
    }

    /// The connection ended, or writing to it failed.
    pub fn peer_closed(&mut self) {
        self.fail(Failure::Closed { at: self.phase() });
    }

    /// The time of the last step has passed.
    pub fn timed_out(&mut self) {
        self.fail(Failure::TimedOut { at: self.phase() });
    }

    /// Starts a transaction. Only after [`ClientStep::Ready`]; if the session has closed since, the transaction
    /// fails as the session did.
    ///
    /// # Panics
    ///
    /// When a transaction, STARTTLS or QUIT is under way.
    pub fn begin(&mut self, transaction: Transaction) {
        let count = transaction.recipients.len();
        if self.is_closed() {
            let result = RecipientResult::Failed(Failure::Closed { at: Phase::Idle });
            self.finished = Some(TransactionResult { recipients: vec![result; count] });
            return;
        }
        self.assert_ready();
        if let Some(obstacle) = self.obstacle(&transaction) {
            self.finished = Some(TransactionResult { recipients: vec![obstacle; count] });
            return;
        }
        let results: Vec<_> = transaction
            .recipients
            .iter()
            .map(|r| (!is_mailbox(&r.path)).then_some(RecipientResult::Failed(Failure::MalformedPath)))
            .collect();
        self.todo.extend(self.needs_rset.then_some(Exchange::Rset));
        self.todo.push_back(Exchange::Mail);
        self.todo.extend((0..count).filter(|index| results[*index].is_none()).map(Exchange::Rcpt));
        self.todo.push_back(Exchange::Data);
        let running = Running {
            mail_parameters: self.mail_parameters(&transaction),
            transaction,
            results,
            mail_refused: None,
        };
        if running.open() == 0 {
            self.todo.clear();
            self.finished = Some(running.into_result());
            return;
        }
        self.running = Some(running);
        self.needs_rset = false;
        self.transactions = self.transactions.saturating_add(1);
        if self.extensions.pipelining { self.say_all() } else { self.say_next() }
    }

    /// Says QUIT. Only after [`ClientStep::Ready`].
    ///
    /// # Panics
    ///
    /// When a transaction or STARTTLS is under way.
    pub fn quit(&mut self) {
        self.say_alone(Exchange::Quit);
    }

    /// Asks for TLS. Only after [`ClientStep::Ready`], and where it is offered. A refusal closes the session, as
    /// [`Failure::Refused`] at [`Phase::StartTls`]: whoever wants to go on in the clear connects anew.
    ///
    /// # Panics
    ///
    /// When a transaction or QUIT is under way.
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
            self.say_alone(Exchange::Ehlo);
        }
    }

    /// What the server offers; nothing before EHLO was answered.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
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
        let at = self.phase();
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
        let fitting = match exchange {
            Exchange::Data => reply.code() == 354 || reply.is_refusal(),
            Exchange::EndOfData | Exchange::EndOfNothing => {
                reply.is_refusal() || (reply.is_positive() && self.sending.is_none())
            }
            _ => reply.is_positive() || reply.is_refusal(),
        };
        if !fitting {
            self.protocol_error(ProtocolError::Unfitting(reply.code()), at);
            return;
        }
        match exchange {
            Exchange::Greeting => self.greeted(reply, at),
            Exchange::Ehlo if reply.is_permanent() => self.say_alone(Exchange::Helo),
            Exchange::Ehlo if reply.is_positive() => self.extensions = Extensions::parse(&reply),
            Exchange::Helo if reply.is_positive() => {}
            Exchange::StartTls if reply.is_positive() => self.state = State::Handshake,
            Exchange::Ehlo | Exchange::Helo | Exchange::StartTls => self.fail(Failure::Refused { reply, at }),
            Exchange::Quit => self.close(None),
            // A server that refuses RSET will refuse MAIL too, and that answer decides.
            Exchange::Rset => self.proceed(),
            Exchange::Mail
            | Exchange::Rcpt(_)
            | Exchange::Data
            | Exchange::EndOfData
            | Exchange::EndOfNothing => {
                self.transaction_answered(exchange, reply, at);
            }
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

    fn transaction_answered(&mut self, exchange: Exchange, reply: Reply, at: Phase) {
        let running = self.running.as_mut().expect("these exchanges belong to a transaction");
        match exchange {
            Exchange::Mail if reply.is_refusal() => {
                running.mail_refused = Some(reply);
                self.needs_rset = true;
            }
            Exchange::Rcpt(index) if reply.is_refusal() && running.mail_refused.is_none() => {
                running.results[index] = Some(RecipientResult::Refused { reply, at });
            }
            Exchange::Data if reply.code() == 354 => {
                if running.open() > 0 {
                    self.sending = Some(DotStuffer::new(running.transaction.content.clone()));
                    self.waiting.push_back(Exchange::EndOfData);
                } else {
                    self.out.push(Bytes::from_static(b".\r\n"));
                    self.waiting.push_back(Exchange::EndOfNothing);
                }
            }
            Exchange::Data => {
                running.decide(RecipientResult::Refused { reply, at });
                self.needs_rset = true;
            }
            Exchange::EndOfData if reply.is_positive() => running.decide(RecipientResult::Accepted(reply)),
            Exchange::EndOfData => {
                running.decide(RecipientResult::Refused { reply, at });
                self.needs_rset = true;
            }
            _ => {}
        }
        if self.sending.is_some() && !self.waiting.contains(&Exchange::EndOfData) {
            // Refused in the middle of the content, whose rest cannot be taken back: the session cannot go on.
            self.conclude();
            self.fail(Failure::Closed { at });
            return;
        }
        self.proceed();
    }

    /// Goes on with the transaction once nothing is awaited.
    fn proceed(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        self.say_next();
        if self.waiting.is_empty() {
            self.conclude();
        }
    }

    fn conclude(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.needs_rset |= !running.any_accepted();
        self.finished = Some(running.into_result());
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

    /// Says everything there is to say, in one group (RFC 2920 section 3.1).
    fn say_all(&mut self) {
        let mut group = BytesMut::with_capacity(64 * (self.todo.len() + 1));
        while let Some(exchange) = self.todo.pop_front() {
            self.write(exchange, &mut group);
            self.waiting.push_back(exchange);
        }
        self.out.push(group.freeze());
    }

    /// Says the next thing that still makes sense, if there is one.
    fn say_next(&mut self) {
        let doomed = self.running.as_ref().is_none_or(|running| running.mail_refused.is_some());
        let nobody = self.running.as_ref().is_none_or(|running| running.open() == 0);
        while let Some(exchange) = self.todo.pop_front() {
            let pointless = doomed || (nobody && exchange == Exchange::Data);
            if !pointless {
                self.say(exchange);
                return;
            }
        }
    }

    fn say_alone(&mut self, exchange: Exchange) {
        if !self.is_closed() {
            self.assert_ready();
            self.say(exchange);
        }
    }

    fn say(&mut self, exchange: Exchange) {
        let mut line = BytesMut::with_capacity(128);
        self.write(exchange, &mut line);
        self.out.push(line.freeze());
        self.waiting.push_back(exchange);
    }

    fn write(&self, exchange: Exchange, out: &mut BytesMut) {
        let mut put = |parts: &[&str]| {
            parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
            out.extend_from_slice(b"\r\n");
        };
        match (exchange, &self.running) {
            (Exchange::Ehlo, _) => put(&["EHLO ", &self.ehlo_name]),
            (Exchange::Helo, _) => put(&["HELO ", &self.ehlo_name]),
            (Exchange::StartTls, _) => put(&["STARTTLS"]),
            (Exchange::Rset, _) => put(&["RSET"]),
            (Exchange::Data, _) => put(&["DATA"]),
            (Exchange::Quit, _) => put(&["QUIT"]),
            (Exchange::Mail, Some(running)) => {
                put(&["MAIL FROM:<", &running.transaction.mail_from, ">", &running.mail_parameters]);
            }
            (Exchange::Rcpt(index), Some(running)) => {
                let recipient = &running.transaction.recipients[index];
                put(&["RCPT TO:<", &recipient.path, ">", &self.rcpt_parameters(recipient)]);
            }
            (Exchange::Mail | Exchange::Rcpt(_), None)
            | (Exchange::Greeting | Exchange::EndOfData | Exchange::EndOfNothing, _) => {}
        }
    }

    fn mail_parameters(&self, transaction: &Transaction) -> String {
        let mut parameters = String::new();
        let mut add = |parameter: &str| {
            parameters.push(' ');
            parameters.push_str(parameter);
        };
        if self.extensions.size != SizeLimit::NotOffered {
            add(&format!("SIZE={}", sent_size(&transaction.content)));
        }
        if transaction.eight_bit {
            add("BODY=8BITMIME");
        }
        if needs_smtputf8(transaction) {
            add("SMTPUTF8");
        }
        if transaction.require_tls {
            add("REQUIRETLS");
        }
        if self.extensions.dsn {
            if let Some(ret) = transaction.ret {
                add(&format!("RET={ret}"));
            }
            let envid = transaction.envid.as_deref().map(encode_xtext);
            if let Some(envid) = envid.filter(|envid| (1..=MAX_ENVID).contains(&envid.len())) {
                add(&format!("ENVID={envid}"));
            }
        }
        parameters
    }

    fn rcpt_parameters(&self, recipient: &Recipient) -> String {
        if !self.extensions.dsn {
            return String::new();
        }
        let notify = recipient.notify.map(|notify| format!(" NOTIFY={notify}"));
        let orcpt = recipient.orcpt.as_ref().and_then(|orcpt| orcpt.encode());
        notify.unwrap_or_default() + &orcpt.map(|orcpt| format!(" ORCPT={orcpt}")).unwrap_or_default()
    }

    /// Why the server need not even be asked.
    fn obstacle(&self, transaction: &Transaction) -> Option<RecipientResult> {
        let offers = &self.extensions;
        let failure = if !(transaction.mail_from.is_empty() || is_mailbox(&transaction.mail_from)) {
            Failure::MalformedPath
        } else if transaction.require_tls && !(self.secure && offers.require_tls) {
            Failure::RequireTlsNotOffered
        } else if needs_smtputf8(transaction) && !offers.smtputf8 {
            Failure::Smtputf8NotOffered
        } else if transaction.eight_bit && !offers.eight_bit_mime {
            Failure::EightBitNotOffered
        } else if check_newlines(&transaction.content).is_err() {
            Failure::BareNewline
        } else {
            return self.too_large(&transaction.content);
        };
        Some(RecipientResult::Failed(failure))
    }

    fn too_large(&self, content: &[u8]) -> Option<RecipientResult> {
        let SizeLimit::Max(max) = self.extensions.size else { return None };
        let size = sent_size(content);
        (size > max).then(|| {
            let text = format!("The message has {size} octets, the server announced that it takes {max}");
            RecipientResult::Refused { reply: Reply::with_enhanced(552, 3, 4, &text), at: Phase::Mail }
        })
    }

    fn phase(&self) -> Phase {
        if matches!(self.state, State::Handshake) {
            return Phase::StartTls;
        }
        match self.waiting.front() {
            None => Phase::Idle,
            Some(Exchange::Greeting) => Phase::Greeting,
            Some(Exchange::Ehlo | Exchange::Helo) => Phase::Ehlo,
            Some(Exchange::StartTls) => Phase::StartTls,
            Some(Exchange::Rset) => Phase::Rset,
            Some(Exchange::Mail) => Phase::Mail,
            Some(Exchange::Rcpt(_)) => Phase::Rcpt,
            Some(Exchange::Data) => Phase::Data,
            Some(Exchange::EndOfData | Exchange::EndOfNothing) if self.sending.is_some() => Phase::Content,
            Some(Exchange::EndOfData | Exchange::EndOfNothing) => Phase::EndOfData,
            Some(Exchange::Quit) => Phase::Quit,
        }
    }

    fn timeout(&self, exchange: Exchange) -> Duration {
        match exchange {
            Exchange::Greeting => self.timeouts.greeting,
            Exchange::Ehlo | Exchange::Helo | Exchange::StartTls | Exchange::Rset => self.timeouts.command,
            Exchange::Mail => self.timeouts.mail,
            Exchange::Rcpt(_) => self.timeouts.rcpt,
            Exchange::Data => self.timeouts.data,
            Exchange::EndOfData | Exchange::EndOfNothing => self.timeouts.end_of_data,
            Exchange::Quit => self.timeouts.quit,
        }
    }
}

impl Running {
    /// Recipients that were not refused so far; none after MAIL was refused.
    fn open(&self) -> usize {
        match self.mail_refused {
            Some(_) => 0,
            None => self.results.iter().filter(|result| result.is_none()).count(),
        }
    }

    fn any_accepted(&self) -> bool {
        self.results.iter().any(|result| matches!(result, Some(RecipientResult::Accepted(_))))
    }

    /// This is what became of all recipients that are open; the refusal of MAIL goes before it.
    fn decide(&mut self, result: RecipientResult) {
        let result = match &self.mail_refused {
            Some(reply) => RecipientResult::Refused { reply: reply.clone(), at: Phase::Mail },
            None => result,
        };
        for open in self.results.iter_mut().filter(|result| result.is_none()) {
            *open = Some(result.clone());
        }
    }

    fn into_result(mut self) -> TransactionResult {
        // All are decided unless MAIL was refused.
        self.decide(RecipientResult::Failed(Failure::Closed { at: Phase::Mail }));
        TransactionResult { recipients: self.results.into_iter().flatten().collect() }
    }
}

/// Octets as SIZE counts them: before dots are doubled, with the CR LF that is added (RFC 1870 section 5).
fn sent_size(content: &[u8]) -> u64 {
    let added = if content.is_empty() || content.ends_with(b"\r\n") { 0 } else { 2 };
    (content.len() + added) as u64
}

fn needs_smtputf8(transaction: &Transaction) -> bool {
    let mut recipients = transaction.recipients.iter();
    transaction.smtputf8 || !transaction.mail_from.is_ascii() || recipients.any(|r| !r.path.is_ascii())
}

#[cfg(test)]
mod tests;
