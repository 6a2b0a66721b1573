//! What every way into the server shares.

use actors::{Handles, Metrics};
use config::Settings;
use mail::Domain;
use prometheus::Registry;

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
    /// Everything that is counted.
    pub registry: Registry,
    /// What the actors count.
    pub metrics: Metrics,
}

/// How the server behaves towards mail that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Takes mail for its accounts' addresses only.
    Serve,
    /// A developer's server: mail for any address goes into the Inbox of the account `rider`, and localparts
    /// that name a failure get it.
    Local,
}
