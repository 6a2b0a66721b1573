//! What a report tells programs (RFC 3464, 2).

use super::{DsnAction, DsnReason, DsnRecipient, DsnReport, one_line, write_folded};
use crate::{Address, Timestamp};

/// The fields of the message, and those of each recipient, with empty lines between them. ASCII, unless an address
/// is not.
pub(super) fn for_programs(report: &DsnReport<'_>) -> Vec<u8> {
    let utf8 = report.recipients.iter().any(|recipient| {
        recipient.address.needs_smtputf8() || recipient.original.is_some_and(|address| !address.is_ascii())
    });
    let mut fields = Fields { out: Vec::with_capacity(1_024), utf8 };
    if let Some(envid) = report.envid {
        fields.add("Original-Envelope-Id", envid);
    }
    fields.add("Reporting-MTA", &format!("dns; {}", report.reporting_mta.as_ascii()));
    fields.add_time("Arrival-Date", report.arrival);
    for recipient in &report.recipients {
        fields.out.extend_from_slice(b"\r\n");
        fields.add_recipient(recipient, &report.action);
    }
    fields.out
}

struct Fields {
    out: Vec<u8>,
    utf8: bool,
}

impl Fields {
    fn add_recipient(&mut self, recipient: &DsnRecipient<'_>, action: &DsnAction) {
        if let Some((kind, address)) = recipient.original.and_then(|original| original.split_once(';')) {
            self.add("Original-Recipient", &format!("{kind}; {address}"));
        }
        self.add("Final-Recipient", &typed(recipient.address));
        self.add(
            "Action",
            match action {
                DsnAction::Failed => "failed",
                DsnAction::Delayed { .. } => "delayed",
                DsnAction::Relayed => "relayed",
            },
        );
        self.add("Status", &recipient.status.to_string());
        if let Some(host) = recipient.remote_mta {
            self.add("Remote-MTA", &format!("dns; {host}"));
        }
        self.add_reason(recipient.reason);
        if let Some(at) = recipient.last_attempt {
            self.add_time("Last-Attempt-Date", at);
        }
        if let DsnAction::Delayed { next_attempt, later_attempts } = action {
            self.add_time("Will-Retry-Until", *later_attempts.last().unwrap_or(next_attempt));
        }
    }

    fn add_reason(&mut self, reason: DsnReason<'_>) {
        match reason {
            DsnReason::Answer { code, enhanced, text } => {
                let enhanced = enhanced.map(|code| format!(" {code}")).unwrap_or_default();
                self.add("Diagnostic-Code", &format!("smtp; {code}{enhanced} {text}"));
            }
            DsnReason::Error(error) => self.add("Diagnostic-Code", &format!("x-postrider; {error}")),
            DsnReason::Operator => {
                self.add("Diagnostic-Code", "x-postrider; given up by the operator of the server");
            }
        }
    }

    fn add_time(&mut self, name: &str, at: Timestamp) {
        self.add(name, &at.to_rfc5322());
    }

    fn add(&mut self, name: &str, value: &str) {
        let value: String =
            one_line(value).chars().map(|c| if c.is_ascii() || self.utf8 { c } else { '?' }).collect();
        write_folded(&mut self.out, name, &value);
    }
}

/// RFC 3464, 2.3.2; RFC 6533, 3.
fn typed(address: &Address) -> String {
    let kind = if address.needs_smtputf8() { "utf-8" } else { "rfc822" };
    format!("{kind}; {}", address.to_smtp())
}
