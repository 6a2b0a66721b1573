//! How many files the process may have open: connections count as well.

use config::Settings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The store, logs, listeners, content files being read, connections of this server's own.
const OTHERS: u64 = 200;

/// What the settings allow to be open at a time.
pub fn needed(settings: &Settings) -> u64 {
    let Settings { delivery, webhooks, limits, http, smtp, .. } = settings;
    let http = limits.http_connections_max.saturating_mul(http.len());
    let smtp = if smtp.is_empty() { 0 } else { limits.smtp_sessions_max };
    let delivery = delivery.connections_max.saturating_add(delivery.connections_waiting_max);
    let webhooks = webhooks.calls_max.saturating_add(webhooks.calls_waiting_max);
    let connections = [http, smtp, delivery, webhooks];
    connections.into_iter().fold(OTHERS, |sum, each| sum.saturating_add(each as u64))
}

/// Raises the limit to the most that the system gives, and warns where that is less than `needed`.
pub fn raise(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit on open files could not be raised");
    }
    // None: any number.
    if let Some(open_files) = getrlimit(Resource::Nofile).current
        && open_files < needed
    {
        tracing::warn!(
            open_files,
            needed,
            "the settings allow more connections than this process may have open; raise its limit (in a systemd unit: \
             LimitNOFILE={needed}), or lower the bounds in [limits], [delivery] and [webhooks]"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_connection_counts() {
        let mut settings = Settings::defaults();
        let without_listeners = needed(&settings);
        let delivery = settings.delivery.connections_max + settings.delivery.connections_waiting_max;
        let webhooks = settings.webhooks.calls_max + settings.webhooks.calls_waiting_max;
        let own = delivery + webhooks;
        assert_eq!(without_listeners, OTHERS + own as u64);
        settings.delivery.connections_max = usize::MAX;
        assert_eq!(needed(&settings), u64::MAX, "nothing overflows");
    }
}
