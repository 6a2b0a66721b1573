//! What is counted below the HTTP and SMTP edges. Names are those of the contract; label values are fixed.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    exponential_buckets,
};
use std::sync::Arc;

/// The counters, registered once a process or test server. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Counters>);

impl std::ops::Deref for Metrics {
    type Target = Counters;

    fn deref(&self) -> &Counters {
        &self.0
    }
}

/// The counters themselves; each is described where it is registered, for operators as for readers.
pub struct Counters {
    pub commit_seconds: Histogram,
    pub commit_changes: Histogram,
    pub commit_failures: IntCounter,
    pub attempts: IntCounterVec,
    pub attempt_seconds: Histogram,
    pub dns_lookups: IntCounterVec,
    pub connections_opened: IntCounter,
    pub connections_reused: IntCounter,
    pub connections_open: IntGauge,
    pub messages_in_flight: IntGauge,
    pub retired: IntCounterVec,
    pub suppressions_added: IntCounterVec,
    pub hooks: IntCounterVec,
    pub hook_seconds: Histogram,
    pub hooks_in_flight: IntGauge,
    pub actors_alive: IntGaugeVec,
    pub actors_restarted: IntCounterVec,
    pub destinations_parked: IntGauge,
    pub swept: IntCounter,
    pub event_readers_waiting: IntGauge,
}

impl Metrics {
    /// Registers the counters.
    ///
    /// # Errors
    /// When a registry has them already.
    pub fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        let counters = |name: &str, help: &str, label: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            prometheus::Result::Ok(counters)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(histogram.clone()))?;
            prometheus::Result::Ok(histogram)
        };
        let alive = IntGaugeVec::new(
            Opts::new("postrider_actors_alive", "Actors that run now, by kind."),
            &["actor"],
        )?;
        registry.register(Box::new(alive.clone()))?;
        let attempts = IntCounterVec::new(
            Opts::new(
                "postrider_delivery_attempts_total",
                "Delivery attempts, by result and by how the connection was secured.",
            ),
            &["result", "tls"],
        )?;
        registry.register(Box::new(attempts.clone()))?;
        let seconds = || exponential_buckets(0.0005, 2.0, 20);
        Ok(Metrics(Arc::new(Counters {
            commit_seconds: histogram(
                "postrider_store_commit_duration_seconds",
                "How long a synced commit took.",
                seconds()?,
            )?,
            commit_changes: histogram(
                "postrider_store_commit_changes",
                "Changes in one commit.",
                exponential_buckets(1.0, 2.0, 12)?,
            )?,
            commit_failures: counter(
                "postrider_store_commit_failures_total",
                "Commits that failed as a whole.",
            )?,
            attempts,
            attempt_seconds: histogram(
                "postrider_delivery_attempt_duration_seconds",
                "How long a delivery attempt took.",
                seconds()?,
            )?,
            dns_lookups: counters("postrider_dns_lookups_total", "Lookups of names, by result.", "result")?,
            connections_opened: counter(
                "postrider_smtp_connections_opened_total",
                "Outgoing connections opened.",
            )?,
            connections_reused: counter(
                "postrider_smtp_connections_reused_total",
                "Transactions on a connection that had served one before.",
            )?,
            connections_open: gauge("postrider_smtp_connections_open", "Outgoing connections open now.")?,
            // Shown as a state of postrider_queue_messages.
            messages_in_flight: IntGauge::new("in_flight", "Messages being delivered or settled now.")?,
            retired: counters(
                "postrider_messages_retired_total",
                "Messages that left the queue.",
                "outcome",
            )?,
            suppressions_added: counters(
                "postrider_suppressions_added_total",
                "Addresses put on suppression lists, by source.",
                "source",
            )?,
            hooks: counters("postrider_webhook_calls_total", "Webhook calls, by result.", "result")?,
            hook_seconds: histogram(
                "postrider_webhook_call_duration_seconds",
                "How long a webhook call took.",
                seconds()?,
            )?,
            hooks_in_flight: gauge("postrider_webhook_calls_in_flight", "Webhook calls being made now.")?,
            actors_alive: alive,
            actors_restarted: counters(
                "postrider_actors_restarted_total",
                "Actors made again after they broke down, by kind.",
                "actor",
            )?,
            destinations_parked: gauge(
                "postrider_destinations_parked",
                "Destinations whose actor broke down too often; nothing is delivered there until a restart.",
            )?,
            swept: counter("postrider_retention_removed_total", "Records removed by retention.")?,
            event_readers_waiting: gauge(
                "postrider_event_readers_waiting",
                "Readers of the event log that wait for events now.",
            )?,
        })))
    }
}
