//! The server's side of a session: commands in, questions to the owner, answers out.

mod auth;
mod chunk;
mod commands;
mod content;
mod options;
mod parameters;
mod step;
#[cfg(test)]
mod tests;
mod transaction;

use bytes::BytesMut;

use crate::chunks::ChunkReceiver;
use crate::command::{MailCommand, RcptCommand};
use crate::data::{DataReceiver, swallow_allowance};
use crate::extensions::SizeLimit;
use crate::lines::LineReader;
use crate::reply::Reply;
use crate::scram::ChannelBindings;
use auth::{Asked, Exchange, MAX_RESPONSE};
use chunk::Chunk;
use transaction::Transaction;

pub use auth::{AuthAnswer, AuthOffer, AuthQuestion};
pub use options::{ServerOptions, ServerTimeouts};
pub use step::{Awaited, Envelope, Peer, ReceivedMessage, ServerStep};

/// Octets of a command line, CR LF included: the 512 of RFC 5321 and what the extensions add to MAIL.
const MAX_LINE: usize = 2_048;
/// Octets of answers that are collected before they are written although more commands are at hand.
const MAX_COLLECTED: usize = 16 * 1024;

/// An SMTP server without sockets or clock (RFC 5321, RFC 2920, RFC 3030, RFC 3207, RFC 4954).
///
/// It keeps the order of commands, the envelope and all bounds. What is accepted is the owner's decision: a step
/// that asks ([`ServerStep::Mail`], [`ServerStep::Rcpt`], [`ServerStep::Message`]) is repeated until
/// [`ServerSession::answer`] or [`ServerSession::keep_silent`] is called, and [`ServerStep::Auth`] until
/// [`ServerSession::answer_auth`] is.
#[derive(Debug)]
pub struct ServerSession {
    options: ServerOptions,
    lines: LineReader,
    /// Answers not yet given out.
    out: BytesMut,
    mode: Mode,
    /// The connection is secured, and has these channel bindings.
    tls: Option<ChannelBindings>,
    closing: bool,
    peer: Option<Peer>,
    user: Option<String>,
    transaction: Transaction,
    /// Octets that may still come by BDAT for the message under way, kept or not.
    chunk_allowance: usize,
    errors: u32,
    failed_logins: u32,
    /// Accepted MAIL commands.
    messages: u32,
    idle_commands: u32,
}

#[derive(Debug)]
enum Mode {
    Command,
    /// The client is to say something within an exchange of AUTH.
    Auth(Exchange),
    Asked(Asked),
    Mail(MailCommand),
    Rcpt(RcptCommand),
    Data(DataReceiver),
    Chunk(Chunk),
    Message(ReceivedMessage),
    /// Give out what is to be written, then ask for the handshake.
    Handshake,
    Silent,
    /// Give out what is to be written, then close.
    Closing,
}

impl ServerSession {
    /// A session with a client that has just connected. It begins with the greeting.
    pub fn new(mut options: ServerOptions) -> Self {
        options.extensions.size = SizeLimit::Max(options.max_message_size as u64);
        let mut session = Self {
            lines: LineReader::new(MAX_LINE),
            out: BytesMut::new(),
            mode: Mode::Command,
            tls: None,
            closing: false,
            peer: None,
            user: None,
            transaction: Transaction::None,
            chunk_allowance: swallow_allowance(options.max_message_size),
            errors: 0,
            failed_logins: 0,
            messages: 0,
            idle_commands: 0,
            options,
        };
        session.say(&Reply::new(220, &format!("{} ESMTP", session.options.hostname)));
        session
    }

    /// A session that is refused at once, with a 421 or 554 instead of the greeting (RFC 5321 section 3.1).
    pub fn refused(options: ServerOptions, reply: &Reply) -> Self {
        let mut session = Self::new(options);
        session.out.clear();
        session.say_last(reply);
        session
    }

    /// Takes bytes that the client sent.
    pub fn received(&mut self, bytes: &[u8]) {
        match &mut self.mode {
            Mode::Handshake | Mode::Silent | Mode::Closing => {}
            Mode::Data(_) if self.lines.buffered() == 0 => self.data(bytes),
            Mode::Chunk(_) if self.lines.buffered() == 0 => self.chunk(bytes),
            Mode::Command
            | Mode::Auth(_)
            | Mode::Asked(_)
            | Mode::Mail(_)
            | Mode::Rcpt(_)
            | Mode::Data(_)
            | Mode::Chunk(_)
            | Mode::Message(_) => self.lines.push(bytes),
        }
    }

    /// What the driver or owner must do now.
    pub fn step(&mut self) -> ServerStep {
        loop {
            if self.out.len() >= MAX_COLLECTED {
                return self.write();
            }
            match &self.mode {
                Mode::Mail(mail) => return ServerStep::Mail(mail.clone()),
                Mode::Rcpt(rcpt) => return ServerStep::Rcpt(rcpt.clone()),
                // What was answered before does not wait for these, which take time.
                Mode::Asked(asked) if self.out.is_empty() => return ServerStep::Auth(asked.question()),
                Mode::Message(message) if self.out.is_empty() => {
                    return ServerStep::Message(message.clone());
                }
                Mode::Command => {
                    if let Some(line) = self.lines.next_line() {
                        self.line(line);
                        continue;
                    }
                }
                Mode::Auth(_) => {
                    if let Some(line) = self.lines.next_line_within(MAX_RESPONSE) {
                        self.auth_line(line);
                        continue;
                    }
                }
                Mode::Data(_) if self.lines.buffered() > 0 => {
                    let rest = self.lines.take_rest();
                    self.data(&rest);
                    continue;
                }
                Mode::Chunk(chunk) if self.lines.buffered() > 0 => {
                    let octets = self.lines.take(chunk.rest());
                    self.chunk(&octets);
                    continue;
                }
                Mode::Data(_)
                | Mode::Chunk(_)
                | Mode::Message(_)
                | Mode::Asked(_)
                | Mode::Handshake
                | Mode::Silent
                | Mode::Closing => {}
            }
            // Answers to pipelined commands go out together (RFC 2920 section 3.2).
            if !self.out.is_empty() {
                return self.write();
            }
            let timeouts = &self.options.timeouts;
            return match &self.mode {
                Mode::Data(_) | Mode::Chunk(_) => {
                    ServerStep::Read { awaited: Awaited::Content, timeout: timeouts.data }
                }
                Mode::Handshake => ServerStep::StartTls,
                Mode::Silent => ServerStep::Silent { timeout: timeouts.silence },
                Mode::Closing => ServerStep::Close,
                Mode::Command
                | Mode::Auth(_)
                | Mode::Asked(_)
                | Mode::Mail(_)
                | Mode::Rcpt(_)
                | Mode::Message(_) => {
                    ServerStep::Read { awaited: Awaited::Command, timeout: timeouts.command }
                }
            };
        }
    }

    /// The owner's answer to the step that asked. 2xx accepts; 421 ends the session. Without a question, which is
    /// so after the client left, it is dropped.
    pub fn answer(&mut self, reply: Reply) {
        let accepted = reply.is_positive();
        match std::mem::replace(&mut self.mode, Mode::Command) {
            Mode::Mail(mail) if accepted => {
                self.messages = self.messages.saturating_add(1);
                self.transaction = Transaction::new(Envelope { mail, recipients: Vec::new() });
                self.chunk_allowance = swallow_allowance(self.options.max_message_size);
            }
            Mode::Rcpt(rcpt) if accepted => {
                let open = self.transaction.open_mut().expect("RCPT is asked only within an envelope");
                open.envelope.recipients.push(rcpt);
            }
            Mode::Mail(_) | Mode::Rcpt(_) => self.idle_commands += 1,
            Mode::Message(_) => {
                self.transaction = Transaction::None;
                if accepted {
                    self.errors = 0;
                    self.idle_commands = 0;
                }
            }
            other @ (Mode::Command
            | Mode::Auth(_)
            | Mode::Asked(_)
            | Mode::Data(_)
            | Mode::Chunk(_)
            | Mode::Handshake
            | Mode::Silent
            | Mode::Closing) => {
                self.mode = other;
                return;
            }
        }
        if reply.code() == 421 {
            self.say_last(&reply);
        } else if self.idle_commands > self.options.max_idle_commands {
            self.say_last(&Reply::with_enhanced(421, 7, 0, "Too many refused commands"));
        } else {
            self.say(&reply);
            self.close_if_asked();
        }
    }

    /// Answers nothing to the step that asked, nor ever again.
    pub fn keep_silent(&mut self) {
        if matches!(self.mode, Mode::Mail(_) | Mode::Rcpt(_) | Mode::Message(_)) {
            self.mode = Mode::Silent;
            self.lines.clear();
        }
    }

    /// The connection ended.
    pub fn peer_closed(&mut self) {
        self.out.clear();
        self.mode = Mode::Closing;
    }

    /// The time of the last step has passed: 421, and the end.
    pub fn timed_out(&mut self) {
        match self.mode {
            Mode::Closing => {}
            // The stream is no longer the session's to write to in the clear.
            Mode::Silent | Mode::Handshake => self.peer_closed(),
            _ => self.say_last(&Reply::with_enhanced(421, 4, 2, "Timeout, closing connection")),
        }
    }

    /// The server stops: 421 4.3.2, and the end. A question that is open is still to be answered first.
    pub fn shutdown(&mut self) {
        self.closing = true;
        match self.mode {
            Mode::Command | Mode::Auth(_) | Mode::Data(_) | Mode::Chunk(_) => self.close_if_asked(),
            Mode::Silent | Mode::Handshake => self.peer_closed(),
            Mode::Asked(_) | Mode::Mail(_) | Mode::Rcpt(_) | Mode::Message(_) | Mode::Closing => {}
        }
    }

    /// The connection is secured, by STARTTLS or from the beginning. What was said before counts no more
    /// (RFC 3207 section 4.2). To the `bindings` a login can be tied.
    pub fn tls_started(&mut self, bindings: ChannelBindings) {
        self.tls = Some(bindings);
        if matches!(self.mode, Mode::Handshake) {
            self.mode = Mode::Command;
            self.lines.clear();
            self.peer = None;
            self.user = None;
            self.transaction = Transaction::None;
        }
    }

    /// Whether the connection is secured.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Who the client says it is, once it did.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// What was accepted of the message under way, until the answer to [`ServerStep::Message`].
    pub fn envelope(&self) -> Option<&Envelope> {
        self.transaction.open().map(|open| &open.envelope)
    }

    /// Whether content of a message is on its way: from the answer to DATA or the first BDAT to its end, between its
    /// chunks too.
    pub fn content_is_coming(&self) -> bool {
        matches!(self.mode, Mode::Data(_) | Mode::Chunk(_))
            || self.transaction.open().is_some_and(|open| open.chunks.is_some())
    }

    /// Octets of content that the session holds of the message under way, until the answer to
    /// [`ServerStep::Message`]. In memory they take that and up to 1 MiB.
    pub fn held(&self) -> usize {
        match &self.mode {
            Mode::Data(receiver) => receiver.kept(),
            Mode::Message(message) => message.content.len(),
            Mode::Command
            | Mode::Auth(_)
            | Mode::Asked(_)
            | Mode::Mail(_)
            | Mode::Rcpt(_)
            | Mode::Chunk(_)
            | Mode::Handshake
            | Mode::Silent
            | Mode::Closing => {
                self.transaction.open().and_then(|open| open.chunks.as_ref()).map_or(0, ChunkReceiver::kept)
            }
        }
    }

    fn write(&mut self) -> ServerStep {
        ServerStep::Write(self.out.split().freeze())
    }

    fn say(&mut self, reply: &Reply) {
        reply.write(&mut self.out);
    }

    fn say_last(&mut self, reply: &Reply) {
        self.say(reply);
        self.mode = Mode::Closing;
        self.lines.clear();
        self.transaction = Transaction::None;
    }

    fn close_if_asked(&mut self) {
        if self.closing {
            self.say_last(&Reply::with_enhanced(421, 3, 2, "Server is shutting down"));
        }
    }

    /// Answers with an error, which counts.
    fn refuse(&mut self, reply: &Reply) {
        self.errors += 1;
        if self.errors > self.options.max_errors {
            self.say_last(&Reply::with_enhanced(421, 7, 0, "Too many errors"));
        } else {
            self.say(reply);
        }
    }

    fn refuse_sequence(&mut self, text: &str) {
        self.refuse(&Reply::with_enhanced(503, 5, 1, text));
    }
}

fn too_large() -> Reply {
    Reply::with_enhanced(552, 3, 4, "Message exceeds the size limit")
}
