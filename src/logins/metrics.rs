//! What is counted of logins.

use super::{LoginError, Way};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// The counters.
pub(super) struct Metrics {
    pub(super) failures: IntCounterVec,
    refusals: IntCounterVec,
    pub(super) comparisons: IntCounter,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let counters = |name: &str, help: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &["way"])?;
            registry.register(Box::new(counters.clone()))?;
            prometheus::Result::Ok(counters)
        };
        let comparisons = IntCounter::new(
            "postrider_password_comparisons_total",
            "Passwords compared with their hash; logins that are remembered need none.",
        )?;
        registry.register(Box::new(comparisons.clone()))?;
        Ok(Metrics {
            failures: counters(
                "postrider_authentication_failures_total",
                "Logins with wrong credentials, by way.",
            )?,
            refusals: counters(
                "postrider_authentication_refusals_total",
                "Logins refused unseen after too many failures from near by, by way.",
            )?,
            comparisons,
        })
    }

    pub(super) fn count(&self, error: LoginError, way: Way) {
        let counter = match error {
            LoginError::Wrong => &self.failures,
            LoginError::TooMany(_) => &self.refusals,
            LoginError::Busy | LoginError::Failed => return,
        };
        counter.with_label_values(&[way.name()]).inc();
    }
}
