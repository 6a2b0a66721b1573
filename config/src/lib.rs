//! What the operator chose: settings, defaults, validation.
//!
//! `postrider.toml` of this crate holds every option with its default and is compiled in; a settings file and the
//! environment are laid over it. All errors are reported together, each with its line or variable. Pure, but for
//! [`Settings::load`] and [`environment`].

mod delivery;
mod destinations;
mod directory;
mod dns;
mod duration;
mod error;
mod host;
mod http;
mod http_url;
mod limits;
mod log;
mod network;
mod retention;
mod routes;
mod secret;
mod settings;
mod size;
mod smtp;
mod source;
mod store;
mod tls;
mod transports;
mod user_dirs;
mod webhook_secret;
mod webhooks;

pub use delivery::Delivery;
pub use destinations::DestinationLimits;
pub use directory::{
    AccountEntry, AddressEntry, DirectoryFile, DkimEntry, DomainEntry, Located, PasswordEntry, WebhookEntry,
};
pub use dns::{Dns, Dnssec};
pub use duration::{InvalidPeriod, Period};
pub use error::{ConfigError, ConfigErrors, Origin};
pub use host::Host;
pub use http::{HttpListener, Service};
pub use http_url::{InvalidUrl, http_url, shown_url};
pub use limits::Limits;
pub use log::{Log, LogFormat, LogLevel};
pub use network::{InvalidNetwork, Network};
pub use retention::Retention;
pub use secret::Secret;
pub use settings::{Settings, describe, environment};
pub use size::{InvalidSize, Size};
pub use smtp::{SmtpListener, SmtpRole};
pub use store::Store;
pub use tls::{Acme, Tls};
pub use transports::{AddressFamily, Direct, Fail, Login, Relay, RelayTls, Socks, Transport, Way};
pub use user_dirs::user_data_dir;
pub use webhook_secret::{InvalidWebhookSecret, read_webhook_secret, write_webhook_secret};
pub use webhooks::Webhooks;
