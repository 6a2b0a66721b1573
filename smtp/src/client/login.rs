//! AUTH within a client session (RFC 4954).

use std::collections::VecDeque;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{ClientSession, Exchange, State};
use crate::reply::Reply;
use crate::sasl::{Login, LoginError, Mechanism};
use crate::transaction::{Failure, Phase};

/// Octets of a command line without its end (RFC 5321 section 4.5.3.1.4); what is longer waits for a challenge.
const MAX_LINE: usize = 510;

/// A login under way.
pub(super) struct Authentication {
    mechanism: Mechanism,
    /// An initial response that did not fit in the line of AUTH.
    unsaid: Option<String>,
    /// What else could be tried.
    others: VecDeque<Mechanism>,
}

/// What is in it is secret.
impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mechanism.name())
    }
}

impl ClientSession {
    /// Logs in, by the best mechanism of those offered. Only after [`super::ClientStep::Ready`]; afterwards the
    /// session is ready, or closed: by [`Failure::Refused`] at [`Phase::Auth`] or by [`Failure::Login`].
    ///
    /// # Panics
    ///
    /// When a transaction, STARTTLS or QUIT is under way.
    pub fn authenticate(&mut self, login: &Login) {
        if self.is_closed() {
            return;
        }
        self.assert_ready();
        if !self.secure {
            return self.fail(Failure::Login(LoginError::NotSecured));
        }
        let mechanisms = login.mechanisms(&self.extensions.auth);
        self.try_next(mechanisms, Failure::Login(LoginError::NotOffered));
    }

    pub(super) fn auth_answered(&mut self, reply: Reply) {
        let Some(mut auth) = self.authentication.take() else {
            return self.fail(Failure::Login(LoginError::Challenge));
        };
        // The mechanism is not known after all, or too weak for this account (RFC 4954 section 6).
        if matches!(reply.code(), 504 | 534) {
            return self.try_next(auth.others, Failure::Refused { reply, at: Phase::Auth });
        }
        if reply.is_refusal() {
            return self.fail(Failure::Refused { reply, at: Phase::Auth });
        }
        if reply.is_positive() {
            if let Err(error) = auth.mechanism.conclude() {
                self.fail(Failure::Login(error));
            }
            return;
        }
        let challenge = STANDARD.decode(reply.text()).map_err(|_| LoginError::Challenge);
        let response = match auth.unsaid.take() {
            Some(unsaid) => Ok(unsaid),
            None => challenge.and_then(|challenge| auth.mechanism.respond(&challenge)),
        };
        match response {
            Ok(response) => {
                self.authentication = Some(auth);
                self.say_secret(STANDARD.encode(response));
            }
            Err(error) => self.fail(Failure::Login(error)),
        }
    }

    fn try_next(&mut self, mut mechanisms: VecDeque<Mechanism>, otherwise: Failure) {
        let Some(mechanism) = mechanisms.pop_front() else { return self.fail(otherwise) };
        let name = mechanism.name();
        let with_initial = mechanism.initial().map(|text| format!("AUTH {name} {}", STANDARD.encode(text)));
        let (line, unsaid) = match with_initial {
            Some(line) if line.len() <= MAX_LINE => (line, None),
            _ => (format!("AUTH {name}"), mechanism.initial()),
        };
        self.authentication = Some(Authentication { mechanism, unsaid, others: mechanisms });
        self.say_secret(line);
    }

    fn say_secret(&mut self, line: String) {
        debug_assert!(matches!(self.state, State::Open));
        self.out.push(Bytes::from(line + "\r\n"));
        self.waiting.push_back(Exchange::Auth);
    }
}
