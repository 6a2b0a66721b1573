//! What is counted of incoming SMTP.

use prometheus::{IntCounterVec, Opts, Registry};
use store::{Arrived, records::ReturnKind};

/// The counters. Cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics {
    pub(super) sessions: IntCounterVec,
    pub(super) messages: IntCounterVec,
    returns: IntCounterVec,
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
            returns: counters(
                "postrider_returns_total",
                "What came back about sent messages, by what it was: dsn, complaint or unrecognized for a message that \
                 is known, unmatched for reports about others.",
                "kind",
            )?,
        })
    }

    /// Counts what became of a message, which is a report or is not, for each of its recipients.
    pub(super) fn count_arrived(&self, arrived: &[Arrived], is_report: bool, all: &actors::Metrics) {
        for one in arrived {
            let kind = match one.returned {
                Some(ReturnKind::Status(_)) => "dsn",
                Some(ReturnKind::Complaint) => "complaint",
                Some(ReturnKind::Unrecognized) => "unrecognized",
                None if is_report => "unmatched",
                None => continue,
            };
            self.returns.with_label_values(&[kind]).inc();
            if one.suppressing {
                all.suppressions_added.with_label_values(&[kind]).inc();
            }
        }
    }
}
