//! What is counted at the HTTP edge, and the page that shows all counters.

use crate::app::App;
use actix_web::{HttpResponse, web};
use mail::Timestamp;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector, exponential_buckets,
};
use std::sync::{LazyLock, Once};
use store::StoreError;

/// What is counted at the edges.
pub struct EdgeMetrics {
    /// Calls by method and result.
    pub(super) calls: IntCounterVec,
    /// How long calls took, by method.
    pub(super) call_seconds: HistogramVec,
    gauges: Gauges,
}

/// Brought up to date when somebody looks.
struct Gauges {
    queue: IntGaugeVec,
    oldest_due: IntGauge,
    hooks: IntGauge,
    oldest_hook: IntGauge,
    suppressions: IntGauge,
    map: IntGaugeVec,
}

impl EdgeMetrics {
    /// Registers the counters.
    ///
    /// # Errors
    /// When a registry has them already.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<EdgeMetrics> {
        let build = IntGaugeVec::new(Opts::new("postrider_build_info", "What runs here."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registered(registry, build)?;
        registered(registry, PANICS.clone())?;
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help)?);
        let gauges = |name: &str, help: &str, label: &str| {
            registered(registry, IntGaugeVec::new(Opts::new(name, help), &[label])?)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let seconds = HistogramOpts::new(
            "postrider_webapi_call_duration_seconds",
            "How long a webapi call took, from its headers to its answer.",
        );
        let seconds = seconds.buckets(exponential_buckets(0.0005, 2.0, 18)?);
        Ok(EdgeMetrics {
            calls: counters(
                "postrider_webapi_calls_total",
                "Webapi calls, by method and result.",
                &["method", "result"],
            )?,
            call_seconds: registered(registry, HistogramVec::new(seconds, &["method"])?)?,
            gauges: Gauges {
                queue: gauges("postrider_queue_messages", "Messages in the queue, by state.", "state")?,
                oldest_due: gauge(
                    "postrider_queue_oldest_due_age_seconds",
                    "How long the message that is due the longest has been due.",
                )?,
                hooks: gauge(
                    "postrider_webhooks_pending",
                    "Webhook calls to be made, with those that wait for an earlier one of the same message.",
                )?,
                oldest_hook: gauge(
                    "postrider_webhooks_oldest_due_age_seconds",
                    "How long the webhook call that is due the longest has been due; those that wait for an earlier one of the same message do not count.",
                )?,
                suppressions: gauge("postrider_suppressions", "Addresses on all suppression lists.")?,
                map: gauges("postrider_store_map_bytes", "The store's map, used and in all.", "part")?,
            },
        })
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

static PANICS: LazyLock<IntCounter> = LazyLock::new(|| {
    IntCounter::new("postrider_panics_total", "Panics of this process.").expect("the name is valid")
});

/// Counts panics from now on, and tells of them as before.
pub fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.inc();
            before(panic);
        }));
    });
}

/// `GET /metrics`.
pub(super) async fn page(http: web::Data<super::Http>) -> HttpResponse {
    let text = web::block(move || {
        refresh(&http.app, &http.metrics.gauges)?;
        Ok(TextEncoder::new().encode_to_string(&http.app.registry.gather()).unwrap_or_default())
    });
    let text: Result<Result<String, StoreError>, _> = text.await;
    match text {
        Ok(Ok(text)) => {
            HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text)
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "metrics could not be read from the store");
            HttpResponse::InternalServerError().body("the store cannot be read\n")
        }
        Err(_) => HttpResponse::ServiceUnavailable().body("the server is stopping\n"),
    }
}

fn refresh(app: &App, gauges: &Gauges) -> Result<(), StoreError> {
    let store = &app.handles.store;
    let now = app.handles.clock.now();
    let (totals, due, hook) = store.read(|view| {
        Ok((
            view.totals()?,
            oldest(now, view.destinations(None, GROUPS_MAX)?),
            oldest(now, view.hook_urls(None, GROUPS_MAX)?),
        ))
    })?;
    let (used, size) = store.map_usage()?;
    let set = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    // In flight come first: a message counts once.
    let in_flight = u64::try_from(app.metrics.messages_in_flight.get()).unwrap_or(0).min(totals.queued);
    let waiting = totals.queued - in_flight;
    let held = totals.held.min(waiting);
    let deferred = totals.deferred.min(waiting - held);
    for (state, count) in
        [("in_flight", in_flight), ("held", held), ("deferred", deferred), ("due", waiting - held - deferred)]
    {
        set(&gauges.queue.with_label_values(&[state]), count);
    }
    set(&gauges.oldest_due, due);
    set(&gauges.hooks, totals.hooks);
    set(&gauges.oldest_hook, hook);
    set(&gauges.suppressions, totals.suppressions);
    set(&gauges.map.with_label_values(&["used"]), used);
    set(&gauges.map.with_label_values(&["size"]), size);
    Ok(())
}

/// At so many groups of what is due is looked for the oldest.
const GROUPS_MAX: usize = 10_000;

/// For how many seconds the earliest of all groups has been due.
fn oldest(now: Timestamp, groups: Vec<(String, Timestamp)>) -> u64 {
    groups.into_iter().map(|(_, due)| now.since(due).as_secs()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted() {
        count_panics();
        let before = PANICS.get();
        let _ = std::thread::spawn(|| panic!("on purpose")).join();
        assert!(PANICS.get() > before);
    }

    #[test]
    fn the_age_is_that_of_what_is_due_the_longest() {
        let at = |secs: i64| Timestamp::from_millis(secs * 1000);
        for (due, expected) in [(&[][..], 0), (&[150], 0), (&[90, 40, 150], 60)] {
            let groups = due.iter().map(|secs| ("x".to_owned(), at(*secs))).collect();
            assert_eq!(oldest(at(100), groups), expected);
        }
    }
}
