//! The log: structured, to standard error.

use config::{Log, LogFormat};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging. Does nothing when it was started already.
pub fn start(log: &Log) {
    // The libraries' debug output is of no use to an operator, and has addresses in it.
    // And what clients send wrongly is no error of this server, however often they do.
    let clients = "actix_http::h1::dispatcher=off";
    let filter = EnvFilter::new(format!(
        "warn,{clients},postrider={level},actors={level}",
        level = log.level.as_str()
    ));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let _ = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
