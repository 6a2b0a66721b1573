//! How the world gets in: listeners, command line, start and stop.

pub mod app;
pub mod cli;
pub mod control;
pub mod directory;
pub mod dns;
pub mod http;
pub mod limiter;
pub mod listen;
pub mod localserve;
pub mod logging;
pub mod logins;
pub mod open_files;
pub mod password;
mod received_field;
mod scram_text;
mod sending;
pub mod serve;
pub mod server;
pub mod signals;
mod slow_work;
pub mod smtp_in;
pub mod smtp_server;
mod submission;
pub mod systemd;
#[cfg(test)]
mod testing;
pub mod tls;
