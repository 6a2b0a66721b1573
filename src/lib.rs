//! How the world gets in: listeners, command line, start and stop.

pub mod app;
pub mod cli;
pub mod control;
pub mod http;
pub mod limiter;
pub mod localserve;
pub mod logging;
pub mod password;
pub mod server;
pub mod signals;
pub mod smtp_in;
#[cfg(test)]
mod testing;
