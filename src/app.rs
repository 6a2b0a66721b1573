//! What every way into the server shares.

use crate::{logins::Logins, tls::acme::AcmeAnswers};
use actors::{Handles, Metrics};
use config::Settings;
use mail::Domain;
use prometheus::{IntCounterVec, Registry};
use std::sync::Arc;

/// The running server, as listeners see it.
pub struct App {
    /// The ways to store and actors.
    pub handles: Handles,
    /// What the operator chose.
    pub settings: Settings,
    /// The name it goes by in SMTP and in Received headers.
    pub hostname: Domain,
    /// How it behaves.
    pub mode: Mode,
    /// What an ACME authority is shown over HTTP.
    pub acme_answers: Arc<AcmeAnswers>,
    /// Checks who logs in, however it tries.
    pub logins: Logins,
    /// Messages brought in to be sent, by `way` (`webapi`, `submission`) and `result` (`accepted`, `refused`, `busy`,
    /// `failed`).
    pub submissions: IntCounterVec,
    /// Everything that is counted.
    pub registry: Registry,
    /// What the actors count.
    pub metrics: Metrics,
}

/// How the server behaves towards the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Takes mail for its accounts' addresses only.
    Serve,
    /// A developer's server: mail for any address goes into the Inbox of the account `rider`, localparts that name
    /// a failure get it, and failed logins are limited by the minute only.
    Local,
}

/// The account of a developer's server.
pub(crate) const LOCAL_ACCOUNT: &str = "rider";
/// Its address and login.
pub(crate) const LOCAL_ADDRESS: &str = "rider@localhost";
/// Its password, which everybody knows who can reach such a server.
pub(crate) const LOCAL_PASSWORD: &str = "postrider";
