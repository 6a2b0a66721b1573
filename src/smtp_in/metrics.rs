//! What is counted of incoming SMTP.

use prometheus::{IntCounterVec, Opts, Registry};

/// The counters. Cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics {
    pub(super) sessions: IntCounterVec,
    pub(super) messages: IntCounterVec,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let counters = |name: &str, help: &str, label: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            prometheus::Result::Ok(counters)
        };
        Ok(Metrics {
            sessions: counters(
                "postrider_smtp_sessions_total",
                "SMTP connections that clients opened, by role of the listener.",
                "role",
            )?,
            messages: counters(
                "postrider_smtp_messages_received_total",
                "Messages received to their end over SMTP, by what became of them: stored, refused or deferred.",
                "result",
            )?,
        })
    }
}
