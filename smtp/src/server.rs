//! The server's side of a session: commands in, questions to the owner, answers out.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::command::{Command, MailCommand, RcptCommand};
use crate::data::{DataProblem, DataProgress, DataReceiver};
use crate::extensions::{Extensions, SizeLimit};
use crate::lines::{LineError, LineReader};
use crate::params::Body;
use crate::reply::Reply;

/// Octets of a command line, CR LF included: the 512 of RFC 5321 and what the extensions add to MAIL.
const MAX_LINE: usize = 2_048;
/// Octets of answers that are collected before they are written although more commands are at hand.
const MAX_COLLECTED: usize = 16 * 1024;

/// An SMTP server without sockets or clock (RFC 5321, RFC 2920, RFC 3207).
///
/// It keeps the order of commands, the envelope and all bounds. What is accepted is the owner's decision: a step
/// that asks ([`ServerStep::Mail`], [`ServerStep::Rcpt`], [`ServerStep::Message`]) is repeated until
/// [`ServerSession::answer`] or [`ServerSession::keep_silent`] is called. AUTH and BDAT are answered with 502.
#[derive(Debug)]
pub struct ServerSession {
    options: ServerOptions,
    lines: LineReader,
    /// Answers not yet given out.
    out: BytesMut,
    mode: Mode,
    secure: bool,
    closing: bool,
    peer: Option<Peer>,
    envelope: Option<Envelope>,
    errors: u32,
    idle_commands: u32,
}

/// What a server is told about itself.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Its name, for the greeting and EHLO.
    pub hostname: String,
    /// Octets of one message at most; announced as SIZE.
    pub max_message_size: usize,
    /// Recipients of one message at most; one more gets 452 4.5.3.
    pub max_recipients: usize,
    /// Errors after which the session is ended with 421. An accepted message sets the count back.
    pub max_errors: u32,
    /// Commands that bring no message further (all but accepted MAIL, RCPT and DATA), after which the session is
    /// ended with 421. An accepted message sets the count back.
    pub max_idle_commands: u32,
    /// What to offer. SIZE is set from `max_message_size`; STARTTLS is offered without TLS only, REQUIRETLS with TLS
    /// only.
    pub extensions: Extensions,
    /// How long to wait for a client.
    pub timeouts: ServerTimeouts,
}

/// How long to wait for a client (RFC 5321 section 4.5.3.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// The next command; 5 minutes.
    pub command: Duration,
    /// More of the data; 3 minutes.
    pub data: Duration,
    /// How long a client that gets no answer is kept; 10 minutes.
    pub silence: Duration,
}

/// What the driver or owner must do now.
#[derive(Debug, PartialEq, Eq)]
pub enum ServerStep {
    /// Write it, flush, and ask again.
    Write(Bytes),
    /// Read some bytes and give them to `received`, or call `peer_closed` or `timed_out`.
    Read {
        /// How long to wait for them.
        timeout: Duration,
    },
    /// Is this return path welcome? 2xx accepts.
    Mail(MailCommand),
    /// Is this recipient? 2xx accepts; the envelope so far is in [`ServerSession::envelope`].
    Rcpt(RcptCommand),
    /// A message for the envelope. Answer once it is kept, or refused.
    Message(ReceivedMessage),
    /// Do the TLS handshake, dropping what was read in the clear, then call `tls_started`.
    StartTls,
    /// The owner keeps silent: read and drop until the client leaves or this time has passed, then tell.
    Silent {
        /// How long to wait.
        timeout: Duration,
    },
    /// Close the connection.
    Close,
}

/// Who a client says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The name in EHLO or HELO: any word.
    pub name: String,
    /// Whether it said EHLO.
    pub extended: bool,
}

/// Return path and recipients that the owner accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The accepted MAIL.
    pub mail: MailCommand,
    /// Each accepted RCPT, in order.
    pub recipients: Vec<RcptCommand>,
}

/// The content of a message, received whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Lines that end in CR LF, stuffed dots removed.
    pub content: Bytes,
}

#[derive(Debug)]
enum Mode {
    Command,
    Mail(MailCommand),
    Rcpt(RcptCommand),
    Data(DataReceiver),
    Message(ReceivedMessage),
    /// Give out what is to be written, then ask for the handshake.
    Handshake,
    Silent,
    /// Give out what is to be written, then close.
    Closing,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self { command: minutes(5), data: minutes(3), silence: minutes(10) }
    }
}

impl ServerSession {
    /// A session with a client that has just connected. It begins with the greeting.
    pub fn new(mut options: ServerOptions) -> Self {
        options.extensions.size = SizeLimit::Max(options.max_message_size as u64);
        let mut session = Self {
            lines: LineReader::new(MAX_LINE),
            out: BytesMut::new(),
            mode: Mode::Command,
            secure: false,
            closing: false,
            peer: None,
            envelope: None,
            errors: 0,
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
            Mode::Command | Mode::Mail(_) | Mode::Rcpt(_) | Mode::Data(_) | Mode::Message(_) => {
                self.lines.push(bytes);
            }
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
                // Keeping a message takes time: what was answered before does not wait for it.
                Mode::Message(message) if self.out.is_empty() => {
                    return ServerStep::Message(message.clone());
                }
                Mode::Command => {
                    if let Some(line) = self.lines.next_line() {
                        self.line(line);
                        continue;
                    }
                }
                Mode::Data(_) if self.lines.buffered() > 0 => {
                    let rest = self.lines.take_rest();
                    self.data(&rest);
                    continue;
                }
                Mode::Data(_) | Mode::Message(_) | Mode::Handshake | Mode::Silent | Mode::Closing => {}
            }
            // Answers to pipelined commands go out together (RFC 2920 section 3.2).
            if !self.out.is_empty() {
                return self.write();
            }
            let timeouts = &self.options.timeouts;
            return match &self.mode {
                Mode::Data(_) => ServerStep::Read { timeout: timeouts.data },
                Mode::Handshake => ServerStep::StartTls,
                Mode::Silent => ServerStep::Silent { timeout: timeouts.silence },
                Mode::Closing => ServerStep::Close,
                Mode::Command | Mode::Mail(_) | Mode::Rcpt(_) | Mode::Message(_) => {
                    ServerStep::Read { timeout: timeouts.command }
                }
            };
        }
    }

    /// The owner's answer to the step that asked. 2xx accepts; 421 ends the session. Without a question, which is
    /// so after the client left, it is dropped.
    pub fn answer(&mut self, reply: Reply) {
        let accepted = reply.is_positive();
        match std::mem::replace(&mut self.mode, Mode::Command) {
            Mode::Mail(mail) if accepted => self.envelope = Some(Envelope { mail, recipients: Vec::new() }),
            Mode::Rcpt(rcpt) if accepted => {
                let envelope = self.envelope.as_mut().expect("RCPT is asked only within an envelope");
                envelope.recipients.push(rcpt);
            }
            Mode::Mail(_) | Mode::Rcpt(_) => self.idle_commands += 1,
            Mode::Message(_) => {
                self.envelope = None;
                if accepted {
                    self.errors = 0;
                    self.idle_commands = 0;
                }
            }
            other @ (Mode::Command | Mode::Data(_) | Mode::Handshake | Mode::Silent | Mode::Closing) => {
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
            Mode::Command | Mode::Data(_) => self.close_if_asked(),
            Mode::Silent | Mode::Handshake => self.peer_closed(),
            Mode::Mail(_) | Mode::Rcpt(_) | Mode::Message(_) | Mode::Closing => {}
        }
    }

    /// The connection is secured, by STARTTLS or from the beginning. What was said before counts no more
    /// (RFC 3207 section 4.2).
    pub fn tls_started(&mut self) {
        self.secure = true;
        if matches!(self.mode, Mode::Handshake) {
            self.mode = Mode::Command;
            self.lines.clear();
            self.peer = None;
            self.envelope = None;
        }
    }

    /// Whether the connection is secured.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Who the client says it is, once it did.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// What was accepted of the message under way, until the answer to [`ServerStep::Message`].
    pub fn envelope(&self) -> Option<&Envelope> {
        self.envelope.as_ref()
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
        self.envelope = None;
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

    fn line(&mut self, line: Result<Bytes, LineError>) {
        let line = match line {
            Ok(line) => line,
            Err(LineError::Endless) => {
                return self.say_last(&Reply::with_enhanced(500, 5, 2, "Line too long, closing connection"));
            }
            Err(LineError::TooLong) => return self.refuse(&Reply::with_enhanced(500, 5, 2, "Line too long")),
            Err(LineError::BareCr | LineError::BareLf) => {
                return self.refuse(&Reply::with_enhanced(500, 5, 2, "A line must end in CR LF"));
            }
        };
        match Command::parse(&line) {
            Ok(command) => self.command(command),
            Err(error) => self.refuse(&error.reply()),
        }
    }

    fn command(&mut self, command: Command) {
        if !matches!(command, Command::Mail(_) | Command::Rcpt(_) | Command::Data | Command::Quit) {
            self.idle_commands += 1;
            if self.idle_commands > self.options.max_idle_commands {
                return self.say_last(&Reply::with_enhanced(
                    421,
                    7,
                    0,
                    "Too many commands without a message",
                ));
            }
        }
        match command {
            Command::Ehlo(name) => self.hello(Peer { name, extended: true }),
            Command::Helo(name) => self.hello(Peer { name, extended: false }),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data_command(),
            Command::Rset => {
                self.envelope = None;
                self.say(&Reply::with_enhanced(250, 0, 0, "OK"));
            }
            Command::Noop => self.say(&Reply::with_enhanced(250, 0, 0, "OK")),
            Command::Quit => self.say_last(&Reply::with_enhanced(221, 0, 0, "Bye")),
            Command::Vrfy(_) => {
                self.say(&Reply::with_enhanced(252, 0, 0, "Cannot verify, but will take messages and try"));
            }
            Command::Help => self.say(&Reply::with_enhanced(214, 0, 0, "See RFC 5321")),
            Command::StartTls => self.starttls(),
            Command::Expn(_) | Command::Auth { .. } => {
                self.refuse(&Reply::with_enhanced(502, 5, 1, "Command not implemented"));
            }
            // Its octets may follow at once and would be taken for commands: end the session.
            Command::Bdat { .. } => self.say_last(&Reply::with_enhanced(502, 5, 1, "BDAT is not offered")),
        }
    }

    fn hello(&mut self, peer: Peer) {
        self.envelope = None;
        if peer.extended {
            let mut offered = self.options.extensions.clone();
            offered.starttls &= !self.secure;
            offered.require_tls &= self.secure;
            offered.write(&self.options.hostname, &mut self.out);
        } else {
            let hostname = Reply::new(250, &self.options.hostname);
            self.say(&hostname);
        }
        self.peer = Some(peer);
    }

    fn mail(&mut self, mail: MailCommand) {
        if self.peer.is_none() {
            return self.refuse_sequence("EHLO first");
        }
        if self.envelope.is_some() {
            return self.refuse_sequence("A message is under way already");
        }
        if let Some(parameter) = self.parameter_not_offered(&mail) {
            let text = format!("Parameter {parameter} is not offered");
            return self.refuse(&Reply::with_enhanced(555, 5, 4, &text));
        }
        if !mail.smtputf8 && !mail.from.is_ascii() {
            return self.refuse(&not_ascii());
        }
        if mail.size.is_some_and(|size| size > self.options.max_message_size as u64) {
            self.idle_commands += 1;
            return self.refuse(&too_large());
        }
        self.mode = Mode::Mail(mail);
    }

    fn parameter_not_offered(&self, mail: &MailCommand) -> Option<&'static str> {
        let offers = &self.options.extensions;
        let body_offered = match mail.body {
            None => true,
            Some(Body::SevenBit | Body::EightBitMime) => offers.eight_bit_mime,
            // It needs BDAT, which is not here yet.
            Some(Body::BinaryMime) => false,
        };
        let table = [
            (body_offered, "BODY"),
            (offers.smtputf8 || !mail.smtputf8, "SMTPUTF8"),
            ((offers.require_tls && self.secure) || !mail.require_tls, "REQUIRETLS"),
            (offers.dsn || mail.ret.is_none(), "RET"),
            (offers.dsn || mail.envid.is_none(), "ENVID"),
            (!offers.auth.is_empty() || mail.auth.is_none(), "AUTH"),
            (offers.future_release.is_some() || mail.hold.is_none(), "HOLDFOR and HOLDUNTIL"),
        ];
        table.iter().find(|(fine, _)| !fine).map(|(_, name)| *name)
    }

    fn rcpt(&mut self, rcpt: RcptCommand) {
        let Some(envelope) = &self.envelope else {
            return self.refuse_sequence("MAIL first");
        };
        if !self.options.extensions.dsn && (rcpt.notify.is_some() || rcpt.orcpt.is_some()) {
            return self.refuse(&Reply::with_enhanced(
                555,
                5,
                4,
                "Parameters NOTIFY and ORCPT are not offered",
            ));
        }
        if !envelope.mail.smtputf8 && !rcpt.path.is_ascii() {
            return self.refuse(&not_ascii());
        }
        if envelope.recipients.len() >= self.options.max_recipients {
            self.idle_commands += 1;
            if self.idle_commands > self.options.max_idle_commands {
                return self.say_last(&Reply::with_enhanced(421, 5, 3, "Too many recipients"));
            }
            return self.say(&Reply::with_enhanced(452, 5, 3, "Too many recipients"));
        }
        self.mode = Mode::Rcpt(rcpt);
    }

    fn data_command(&mut self) {
        let Some(envelope) = &self.envelope else {
            return self.refuse_sequence("MAIL first");
        };
        if envelope.recipients.is_empty() {
            return self.refuse(&Reply::with_enhanced(554, 5, 1, "No valid recipients"));
        }
        let expected = envelope.mail.size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
        self.mode = Mode::Data(DataReceiver::new(self.options.max_message_size, expected));
        self.say(&Reply::new(354, "Send the message, end with a dot on a line of its own"));
    }

    fn data(&mut self, bytes: &[u8]) {
        let Mode::Data(receiver) = &mut self.mode else { return };
        match receiver.push(bytes) {
            DataProgress::More => {}
            DataProgress::Abandon => self.say_last(&too_large()),
            DataProgress::End(at) => {
                self.lines.push(&bytes[at..]);
                let Mode::Data(receiver) = std::mem::replace(&mut self.mode, Mode::Command) else { return };
                self.data_ended(receiver);
            }
        }
    }

    fn data_ended(&mut self, receiver: DataReceiver) {
        let problem = match receiver.finish() {
            Ok(content) => {
                self.mode = Mode::Message(ReceivedMessage { content });
                return;
            }
            Err(DataProblem::TooLarge) => too_large(),
            Err(DataProblem::BareNewline) => {
                Reply::with_enhanced(554, 6, 0, "Lines of a message must end in CR LF, without bare CR or LF")
            }
        };
        self.envelope = None;
        self.refuse(&problem);
    }

    fn starttls(&mut self) {
        if self.secure {
            return self.refuse_sequence("TLS is active already");
        }
        if !self.options.extensions.starttls {
            return self.refuse(&Reply::with_enhanced(502, 5, 1, "STARTTLS is not offered"));
        }
        self.say(&Reply::with_enhanced(220, 0, 0, "Ready to start TLS"));
        self.mode = Mode::Handshake;
    }
}

fn too_large() -> Reply {
    Reply::with_enhanced(552, 3, 4, "Message exceeds the size limit")
}

fn not_ascii() -> Reply {
    Reply::with_enhanced(553, 6, 7, "Such an address needs the parameter SMTPUTF8")
}

#[cfg(test)]
mod tests;
