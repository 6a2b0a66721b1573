//! What is counted of incoming SMTP.

use super::authentication::Results;
use prometheus::{IntCounterVec, Opts, Registry};
use store::{Arrived, records::ReturnKind};

/// The counters. Cheap to clone.
#[derive(Clone)]
pub(super) struct Metrics {
    pub(super) messages: IntCounterVec,
    returns: IntCounterVec,
    authentication: IntCounterVec,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Metrics> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            prometheus::Result::Ok(counters)
        };
        Ok(Metrics {
            messages: counters(
                "postrider_smtp_messages_received_total",
                "Messages received to their end over SMTP, by what became of them: stored, refused or deferred.",
                &["result"],
            )?,
            returns: counters(
                "postrider_returns_total",
                "What came back about sent messages, by what it was: dsn, complaint or unrecognized for a message that \
                 is known, unmatched for reports about others.",
                &["kind"],
            )?,
            authentication: counters(
                "postrider_authentication_results_total",
                "What was found out about who messages are from, by method (spf, dkim, dmarc, arc) and result, as in \
                 Authentication-Results.",
                &["method", "result"],
            )?,
        })
    }

    /// Counts the results for a message, of DKIM those of each signature.
    pub(super) fn count_results(&self, results: &Results) {
        for (method, result) in results.verdicts() {
            self.authentication.with_label_values(&[method, result]).inc();
        }
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
