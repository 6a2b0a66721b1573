//! What ends the process.

use crate::server::Server;
use tokio::signal::unix::{SignalKind, signal};

/// Returns when the process is asked to stop.
///
/// # Errors
/// When the server can no longer do its work, so that the process ends with a failure.
pub async fn stop_requested(server: &Server) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("asked to stop"),
        _ = interrupt.recv() => tracing::info!("interrupted"),
        () = server.failed() => anyhow::bail!("the store writer broke down; nothing more can be accepted"),
    }
    Ok(())
}
