//! Which mechanisms a client may log in by.

use std::fmt;

use crate::scram::{ChannelBindings, Sha256};

/// How clients log in, which they must before MAIL.
#[derive(Clone)]
pub struct AuthOffer {
    /// Whether PLAIN and LOGIN, which show the password to everybody on the way, are offered without TLS too.
    pub passwords_without_tls: bool,
    /// What SCRAM-SHA-256 computes with; it is offered where there is something, with TLS and without. Where TLS has
    /// channel bindings, SCRAM-SHA-256-PLUS is too.
    pub scram: Option<&'static dyn Sha256>,
    /// Failed logins after which the session is ended with 421.
    pub max_failures: u32,
}

/// A mechanism of SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    ScramPlus,
    Scram,
    Plain,
    Login,
}

impl Mechanism {
    /// The best first.
    const ALL: [Self; 4] = [Self::ScramPlus, Self::Scram, Self::Plain, Self::Login];

    /// The one with this name, which is in capital letters.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ScramPlus => "SCRAM-SHA-256-PLUS",
            Self::Scram => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Whether it shows the password to everybody on the way.
    pub(crate) fn is_clear_text(self) -> bool {
        match self {
            Self::Plain | Self::Login => true,
            Self::ScramPlus | Self::Scram => false,
        }
    }
}

impl AuthOffer {
    /// What is offered over TLS with these bindings, or without TLS; the best first.
    pub(crate) fn mechanisms(&self, tls: Option<&ChannelBindings>) -> Vec<Mechanism> {
        let offered = |mechanism: &Mechanism| match mechanism {
            Mechanism::ScramPlus => self.scram.is_some() && tls.is_some_and(ChannelBindings::any),
            Mechanism::Scram => self.scram.is_some(),
            Mechanism::Plain | Mechanism::Login => self.passwords_without_tls || tls.is_some(),
        };
        Mechanism::ALL.into_iter().filter(offered).collect()
    }
}

impl fmt::Debug for AuthOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthOffer")
            .field("passwords_without_tls", &self.passwords_without_tls)
            .field("scram", &self.scram.is_some())
            .field("max_failures", &self.max_failures)
            .finish()
    }
}
