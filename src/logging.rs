//! The log: structured, to standard error.

use config::{Log, LogFormat, LogLevel};
use std::io::IsTerminal;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, registry, reload, util::SubscriberInitExt,
};

/// The level of a log that runs.
pub struct LogControl(reload::Handle<EnvFilter, Registry>);

/// Starts logging. Without effect when it was started already.
pub fn start(log: &Log) -> LogControl {
    let (filter, handle) = reload::Layer::new(filter(log.level));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let _ = registry().with(filter).with(lines).try_init();
    LogControl(handle)
}

impl LogControl {
    /// Logs what is at least this important from now on.
    pub fn set_level(&self, level: LogLevel) {
        if let Err(error) = self.0.reload(filter(level)) {
            tracing::error!(%error, "the log level could not be changed");
        }
    }
}

fn filter(level: LogLevel) -> EnvFilter {
    // The libraries' debug output is of no use to an operator, and has addresses in it.
    // And what clients send wrongly is no error of this server, however often they do.
    let clients = "actix_http::h1::dispatcher=off";
    // Nor are answers of name servers that do not validate; what they mean for mail is said elsewhere.
    let names = "hickory_net=error";
    let level = level.as_str();
    EnvFilter::new(format!("warn,{clients},{names},postrider={level},actors={level}"))
}
