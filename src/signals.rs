//! What ends the process.

use crate::server::Server;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a server to stop. From when this is made, they do not end the process by themselves.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens for them.
    ///
    /// # Errors
    /// When the system has no room for the handlers.
    pub fn listen() -> io::Result<StopSignals> {
        Ok(StopSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Returns when the process is asked to stop.
    ///
    /// # Errors
    /// When the server can no longer do its work, so that the process ends with a failure.
    pub async fn stop_requested(mut self, server: &Server) -> anyhow::Result<()> {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("asked to stop"),
            _ = self.interrupt.recv() => tracing::info!("interrupted"),
            () = server.failed() => anyhow::bail!("the store writer broke down; nothing more can be accepted"),
        }
        Ok(())
    }
}
