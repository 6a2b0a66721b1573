//! What the owner is asked about a client that logs in, and what it answers.

use std::fmt;

use crate::reply::Reply;
use crate::scram::ScramServerKeys;

/// What a client says to prove who it is. The owner answers with [`super::super::ServerSession::answer_auth`].
///
/// Usernames are as given: UTF-8 without NUL, perhaps empty, at most some 9,000 octets.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthQuestion {
    /// PLAIN or LOGIN: do they belong together? To be answered with `Accept` or `Refuse`.
    Password {
        /// The username.
        username: String,
        /// The password: UTF-8 without NUL, perhaps empty, as long as the username may be. A secret.
        password: String,
    },
    /// SCRAM: whose keys, and a server nonce, are wanted. To be answered with `Keys` or `Refuse`; who is not known gets
    /// keys too, which nothing fits, or everybody could ask who is.
    Keys {
        /// The username.
        username: String,
    },
    /// SCRAM: the client proved that it knows the password, and was not told yet that it did. To be answered with
    /// `Accept` or `Refuse`. Once accepted it is in by its next message, unless it gives up:
    /// [`super::super::ServerSession::user`] says so.
    Proven {
        /// The username.
        username: String,
    },
    /// SCRAM: the proof or the channel binding was wrong. The failure is to be counted and answered with `Refuse`.
    Disproved {
        /// The username.
        username: String,
    },
}

/// The answer to an [`AuthQuestion`]. One that does not belong to the question is taken for a temporary failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthAnswer {
    /// The client is who it says it is: 235, for SCRAM after the server's own proof.
    Accept,
    /// The login failed: 535 5.7.8 for what is wrong, 454 4.7.0 for what is temporary; 421 ends the session.
    Refuse(Reply),
    /// What SCRAM is to go on with.
    Keys {
        /// What is kept of the password.
        keys: ScramServerKeys,
        /// New for each login: at least 18 random octets, in base64.
        nonce: String,
    },
}

impl fmt::Debug for AuthQuestion {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, username) = match self {
            Self::Password { username, .. } => ("Password", username),
            Self::Keys { username } => ("Keys", username),
            Self::Proven { username } => ("Proven", username),
            Self::Disproved { username } => ("Disproved", username),
        };
        f.debug_struct(name).field("username", username).finish_non_exhaustive()
    }
}
