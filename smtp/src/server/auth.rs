//! AUTH: who the client is (RFC 4954).

mod exchange;
mod offer;
mod question;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Mode, ServerSession};
use crate::lines::LineError;
use crate::reply::Reply;
use crate::scram::ChannelBindings;
use exchange::Next;
use offer::Mechanism;

pub(super) use exchange::{Asked, Exchange};
pub use offer::AuthOffer;
pub use question::{AuthAnswer, AuthQuestion};

/// Octets of a client's response, CR LF included (RFC 4954 section 4).
pub(super) const MAX_RESPONSE: usize = 12_288;

impl ServerSession {
    /// The owner's answer to [`super::ServerStep::Auth`]. Without that question, which is so after the client left, it
    /// is dropped.
    pub fn answer_auth(&mut self, answer: AuthAnswer) {
        let asked = match std::mem::replace(&mut self.mode, Mode::Command) {
            Mode::Asked(asked) => asked,
            other => return self.mode = other,
        };
        match (asked, answer) {
            (Asked::Password { username, .. }, AuthAnswer::Accept) => self.logged_in(username),
            (Asked::Proven { username, server_final }, AuthAnswer::Accept) => {
                self.challenge(Exchange::ScramEnd { username }, &server_final);
            }
            (Asked::Keys(first), AuthAnswer::Keys { keys, nonce }) => {
                let challenged = first.challenge(keys, &nonce);
                let server_first = challenged.server_first().to_owned();
                self.challenge(Exchange::ScramFinal(Box::new(challenged)), &server_first);
            }
            (_, AuthAnswer::Refuse(reply)) => self.login_failed(&reply),
            // Nobody is let in by an answer to another question.
            (_, AuthAnswer::Accept | AuthAnswer::Keys { .. }) => {
                self.login_failed(&Reply::with_enhanced(454, 7, 0, "Temporary authentication failure"));
            }
        }
        if !matches!(self.mode, Mode::Closing) {
            self.close_if_asked();
        }
    }

    /// Who the client proved to be, once the owner accepted that.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    pub(super) fn auth_command(&mut self, name: &str, initial: Option<&str>) {
        if self.options.auth.is_none() {
            return self.refuse(&Reply::with_enhanced(502, 5, 1, "AUTH is not offered"));
        }
        if !self.peer.as_ref().is_some_and(|peer| peer.extended) {
            return self.refuse_sequence("EHLO first");
        }
        if self.user.is_some() {
            return self.refuse_sequence("You are logged in already");
        }
        let exchange = match self.exchange(name) {
            Ok(exchange) => exchange,
            Err(reply) => return self.refuse(&reply),
        };
        match initial {
            None => {
                let challenge = exchange.prompt();
                self.challenge(exchange, challenge);
            }
            // An empty message, which could not be told from none (RFC 4954 section 4).
            Some("=") => self.respond(exchange, b""),
            Some(encoded) => self.respond(exchange, encoded.as_bytes()),
        }
    }

    /// A line that a client says within an exchange.
    pub(super) fn auth_line(&mut self, line: Result<Bytes, LineError>) {
        let Mode::Auth(exchange) = std::mem::replace(&mut self.mode, Mode::Command) else { return };
        match line {
            Ok(line) if &line[..] == b"*" => {
                self.refuse(&Reply::with_enhanced(501, 7, 0, "Authentication cancelled"));
            }
            Ok(line) => self.respond(exchange, &line),
            Err(LineError::TooLong) => {
                self.refuse(&Reply::with_enhanced(500, 5, 6, "Authentication exchange line is too long"));
            }
            Err(error) => self.line(Err(error)),
        }
    }

    /// Refuses what only those may do who are logged in.
    pub(super) fn refuse_unknown(&mut self) {
        // Where only TLS makes a login possible, it is what to say (RFC 3207 section 4).
        let text = match self.mechanisms().is_empty() {
            true => "Must issue a STARTTLS command first",
            false => "Authentication required",
        };
        self.refuse(&Reply::with_enhanced(530, 7, 0, text));
    }

    /// Which mechanisms are offered as the connection is.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        self.options.auth.as_ref().map(|offer| offer.mechanisms(self.tls.as_ref())).unwrap_or_default()
    }

    fn exchange(&self, name: &str) -> Result<Exchange, Reply> {
        let scram = self.options.auth.as_ref().and_then(|offer| offer.scram);
        let mechanism = Mechanism::named(name);
        let offered = mechanism.filter(|mechanism| self.mechanisms().contains(mechanism));
        match (offered, scram) {
            (Some(Mechanism::Plain), _) => Ok(Exchange::Plain),
            (Some(Mechanism::Login), _) => Ok(Exchange::Username),
            (Some(Mechanism::Scram), Some(sha256)) => Ok(Exchange::ScramFirst { sha256, plus: false }),
            (Some(Mechanism::ScramPlus), Some(sha256)) => Ok(Exchange::ScramFirst { sha256, plus: true }),
            _ if mechanism.is_some_and(Mechanism::is_clear_text) => {
                Err(Reply::with_enhanced(538, 7, 11, "Encryption required: STARTTLS first"))
            }
            _ => Err(Reply::with_enhanced(504, 5, 4, "This mechanism is not offered")),
        }
    }

    fn respond(&mut self, exchange: Exchange, encoded: &[u8]) {
        let Ok(message) = STANDARD.decode(encoded) else {
            return self.refuse(&Reply::with_enhanced(501, 5, 2, "That is not base64"));
        };
        let no_tls = ChannelBindings::default();
        match exchange.respond(&message, self.tls.as_ref().unwrap_or(&no_tls)) {
            Next::Challenge(exchange, text) => self.challenge(exchange, &text),
            Next::Ask(asked) => self.mode = Mode::Asked(asked),
            Next::Finish(username) => self.logged_in(username),
            Next::Refuse(reply) => self.refuse(&reply),
        }
    }

    fn challenge(&mut self, exchange: Exchange, text: &str) {
        self.out.extend_from_slice(format!("334 {}\r\n", STANDARD.encode(text)).as_bytes());
        self.mode = Mode::Auth(exchange);
    }

    fn logged_in(&mut self, username: String) {
        self.user = Some(username);
        self.say(&Reply::with_enhanced(235, 7, 0, "Authentication succeeded"));
    }

    fn login_failed(&mut self, reply: &Reply) {
        let Some(offer) = &self.options.auth else { return };
        self.failed_logins += 1;
        if reply.code() == 421 {
            self.say_last(reply);
        } else if self.failed_logins > offer.max_failures {
            self.say_last(&Reply::with_enhanced(421, 7, 0, "Too many failed logins"));
        } else {
            self.refuse(reply);
        }
    }
}
