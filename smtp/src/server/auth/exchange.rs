//! The exchange of messages that a mechanism consists of, without its base64.

use std::fmt;

use super::question::AuthQuestion;
use crate::reply::Reply;
use crate::scram::{Challenged, ChannelBindings, ClientFirst, FirstError, Sha256, Verdict};

/// A login under way: what the client's next message is taken for.
pub(crate) enum Exchange {
    /// The message of PLAIN (RFC 4616).
    Plain,
    /// The username of LOGIN.
    Username,
    /// The password of LOGIN.
    Password {
        username: String,
    },
    ScramFirst {
        sha256: &'static dyn Sha256,
        plus: bool,
    },
    ScramFinal(Box<Challenged>),
    /// The empty message by which a client of SCRAM takes the server's proof.
    ScramEnd {
        username: String,
    },
}

/// What follows from a message.
pub(crate) enum Next {
    /// The server says this, and the client the next message.
    Challenge(Exchange, String),
    /// The owner is asked.
    Ask(Asked),
    /// The client is in, with this name.
    Finish(String),
    /// The exchange is over.
    Refuse(Reply),
}

/// A question to the owner, and what is to be done with its answer.
pub(crate) enum Asked {
    Password { username: String, password: String },
    Keys(ClientFirst),
    Proven { username: String, server_final: String },
    Disproved { username: String },
}

impl Exchange {
    /// How the server asks for the message, where it has nothing to say of its own.
    pub(crate) fn prompt(&self) -> &'static str {
        match self {
            // What clients of LOGIN wait for, though no standard says it.
            Self::Username => "Username:",
            Self::Password { .. } => "Password:",
            Self::Plain | Self::ScramFirst { .. } | Self::ScramFinal(_) | Self::ScramEnd { .. } => "",
        }
    }

    /// Takes a message of the client.
    pub(crate) fn respond(self, message: &[u8], bindings: &ChannelBindings) -> Next {
        match self {
            Self::Plain => plain(message),
            Self::Username => match text(message) {
                Some(username) => {
                    let password = Self::Password { username };
                    let challenge = password.prompt().to_owned();
                    Next::Challenge(password, challenge)
                }
                None => Next::Refuse(malformed()),
            },
            Self::Password { username } => match text(message) {
                Some(password) => Next::Ask(Asked::Password { username, password }),
                None => Next::Refuse(malformed()),
            },
            Self::ScramFirst { sha256, plus } => match ClientFirst::parse(message, plus, bindings, sha256) {
                Ok(first) => Next::Ask(Asked::Keys(first)),
                Err(FirstError::Malformed) => Next::Refuse(malformed()),
                Err(error) => Next::Refuse(Reply::with_enhanced(535, 7, 8, &error.to_string())),
            },
            Self::ScramFinal(challenged) => {
                let username = challenged.username().to_owned();
                match challenged.judge(message) {
                    // Asked first: the server's own proof says that the client's was right.
                    Some(Verdict::Proven { server_final }) => {
                        Next::Ask(Asked::Proven { username, server_final })
                    }
                    Some(Verdict::Disproved) => Next::Ask(Asked::Disproved { username }),
                    None => Next::Refuse(malformed()),
                }
            }
            Self::ScramEnd { username } if message.is_empty() => Next::Finish(username),
            Self::ScramEnd { .. } => Next::Refuse(malformed()),
        }
    }
}

impl Asked {
    pub(crate) fn question(&self) -> AuthQuestion {
        match self {
            Self::Password { username, password } => {
                AuthQuestion::Password { username: username.clone(), password: password.clone() }
            }
            Self::Keys(first) => AuthQuestion::Keys { username: first.username().to_owned() },
            Self::Proven { username, .. } => AuthQuestion::Proven { username: username.clone() },
            Self::Disproved { username } => AuthQuestion::Disproved { username: username.clone() },
        }
    }
}

/// What is in it is secret.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Username => "Username",
            Self::Password { .. } => "Password",
            Self::ScramFirst { .. } => "ScramFirst",
            Self::ScramFinal(_) => "ScramFinal",
            Self::ScramEnd { .. } => "ScramEnd",
        })
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.question().fmt(f)
    }
}

/// Reads `[authorization identity] NUL username NUL password`.
fn plain(message: &[u8]) -> Next {
    let mut parts = message.split(|octet| *octet == 0).map(text);
    let (Some(Some(identity)), Some(Some(username)), Some(Some(password)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Next::Refuse(malformed());
    };
    if identity.is_empty() || identity == username {
        Next::Ask(Asked::Password { username, password })
    } else {
        Next::Refuse(Reply::with_enhanced(535, 7, 8, &FirstError::Identity.to_string()))
    }
}

fn text(message: &[u8]) -> Option<String> {
    std::str::from_utf8(message).ok().filter(|text| !text.contains('\0')).map(str::to_owned)
}

fn malformed() -> Reply {
    Reply::with_enhanced(501, 5, 2, "Malformed authentication message")
}
