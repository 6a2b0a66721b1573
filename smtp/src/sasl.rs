//! How a client logs in: SCRAM-SHA-256, PLAIN and LOGIN (RFC 4954, RFC 4616).

use std::collections::VecDeque;
use std::fmt;

use crate::scram::{Scram, Sha256};

/// Whom a client logs in as.
#[derive(Clone)]
pub struct Login {
    username: String,
    password: String,
    scram: Option<(&'static dyn Sha256, String)>,
}

/// The username or the password is empty or has control characters, which no server could be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a username and a password need at least one character and no control characters")]
pub struct MalformedLogin;

/// Why a login cannot be done, or cannot be believed. Nothing of the password is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Without TLS everybody on the way could read along. Nothing was sent.
    #[error("the connection is not secured, so the password was not sent")]
    NotSecured,
    /// The server offers no mechanism that we have. Nothing was sent.
    #[error("the server offers none of SCRAM-SHA-256, PLAIN and LOGIN")]
    NotOffered,
    /// A challenge is not base64, or not what the mechanism has at this point.
    #[error("the server sent a challenge that does not fit the mechanism")]
    Challenge,
    /// SCRAM with fewer iterations than RFC 7677 asks for, or more than we would compute.
    #[error("the server asks for a number of SCRAM iterations outside 4096 to 100000")]
    Iterations,
    /// The server accepted the login without showing that it knows the password (RFC 5802 section 5).
    #[error("the server did not prove that it knows the password")]
    ServerUnproven,
}

impl Login {
    /// A login by PLAIN or LOGIN. The password is sent as it is: prepare one that is not ASCII as the server
    /// expects it (SASLprep, RFC 4013).
    ///
    /// # Errors
    ///
    /// When either is empty or has control characters.
    pub fn new(username: &str, password: &str) -> Result<Self, MalformedLogin> {
        let fits = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        match fits(username) && fits(password) {
            true => Ok(Self { username: username.into(), password: password.into(), scram: None }),
            false => Err(MalformedLogin),
        }
    }

    /// Allows SCRAM-SHA-256, which is then preferred. `nonce` must be new for each session: at least 18 random
    /// octets, in base64.
    pub fn with_scram(self, sha256: &'static dyn Sha256, nonce: String) -> Self {
        Self { scram: Some((sha256, nonce)), ..self }
    }

    /// The mechanisms that are offered, the best first.
    pub(crate) fn mechanisms(&self, offered: &[String]) -> VecDeque<Mechanism> {
        let scram = self.scram.as_ref().map(|(sha256, nonce)| {
            Mechanism::Scram(Scram::new(&self.username, &self.password, nonce, *sha256))
        });
        let plain = Mechanism::Plain(format!("\0{}\0{}", self.username, self.password));
        let login = Mechanism::Login(VecDeque::from([self.username.clone(), self.password.clone()]));
        let all = scram.into_iter().chain([plain, login]);
        all.filter(|mechanism| offered.iter().any(|name| name == mechanism.name())).collect()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// One exchange of a mechanism, without its base64.
pub(crate) enum Mechanism {
    /// The message.
    Plain(String),
    /// The answers that are left.
    Login(VecDeque<String>),
    Scram(Scram),
}

impl Mechanism {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Plain(_) => "PLAIN",
            Self::Login(_) => "LOGIN",
            Self::Scram(_) => "SCRAM-SHA-256",
        }
    }

    /// What goes with AUTH. LOGIN has nothing: not all servers take its username so early.
    pub(crate) fn initial(&self) -> Option<String> {
        match self {
            Self::Plain(message) => Some(message.clone()),
            Self::Login(_) => None,
            Self::Scram(scram) => Some(scram.client_first()),
        }
    }

    /// What to answer to a challenge.
    pub(crate) fn respond(&mut self, challenge: &[u8]) -> Result<String, LoginError> {
        match self {
            Self::Plain(_) => Err(LoginError::Challenge),
            Self::Login(answers) => answers.pop_front().ok_or(LoginError::Challenge),
            Self::Scram(scram) => scram.respond(challenge),
        }
    }

    /// Whether the server's yes can be believed.
    pub(crate) fn conclude(&self) -> Result<(), LoginError> {
        match self {
            Self::Scram(scram) if !scram.is_proven() => Err(LoginError::ServerUnproven),
            Self::Plain(_) | Self::Login(_) | Self::Scram(_) => Ok(()),
        }
    }
}
