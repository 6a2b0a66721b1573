//! What systemd is told (sd_notify(3)). Without systemd, nothing is.

use crate::server::Server;
use futures_util::FutureExt;
use sd_notify::NotifyState;
use std::time::Duration;

/// Everything listens.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The settings are being read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => {
            tracing::warn!(%error, "systemd is not told of the reload: there is no monotonic clock")
        }
    }
}

/// The server stops.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells the watchdog, where there is one, that all is well: as long as this runs and what writes the store lives.
/// Never returns.
pub async fn feed_watchdog(server: &Server) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut times = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        times.tick().await;
        if server.failed().now_or_never().is_none() {
            // Where nobody reads what is told, telling blocks; signals must still be heard then.
            let _ = tokio::task::spawn_blocking(|| tell(&[NotifyState::Watchdog])).await;
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told how the server is");
    }
}
