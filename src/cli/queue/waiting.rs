//! What a message waits for, in words.

use super::shown::rule_fields;
use crate::{
    cli::text::{away, count, cut, local},
    control::queue::ShownMessage,
};
use actors::Gate;
use mail::Timestamp;
use store::records::Hold;

/// In a few words, for a column.
pub(super) fn gate_in_short(message: &ShownMessage, now: Timestamp) -> String {
    match message.waits_for.as_ref() {
        None => String::new(),
        Some(Gate::Hold { by: Hold::Operator }) => "hold: operator".to_owned(),
        Some(Gate::Hold { by: Hold::Rule(id) }) => match &message.hold_rule {
            Some(rule) => format!("hold: rule {id} ({})", rule_fields(rule)),
            None => format!("hold: rule {id}, removed"),
        },
        Some(Gate::FutureRelease { .. }) => "FutureRelease".to_owned(),
        Some(Gate::BackOff { error, .. }) => format!("back-off: {}", cut(error, 40)),
        Some(Gate::Scheduled { .. }) => "scheduled".to_owned(),
        Some(Gate::Paused { until, .. }) => format!("pace: paused for {}", away(until.since(now))),
        Some(Gate::Busy { running, concurrency, .. }) => {
            format!("pace: {running} of {concurrency} connections at work")
        }
        Some(Gate::Parked { .. }) => "parked".to_owned(),
        Some(Gate::Due) => "due".to_owned(),
    }
}

/// In a sentence.
pub(super) fn gate_in_full(message: &ShownMessage, now: Timestamp) -> String {
    let until = |time: &Timestamp| format!("{} (in {})", local(*time), away(time.since(now)));
    match message.waits_for.as_ref() {
        None => "nothing: it left the queue".to_owned(),
        Some(Gate::Hold { by: Hold::Operator }) => {
            format!("an operator holds it; `postrider queue release {}` releases it", message.id)
        }
        Some(Gate::Hold { by: Hold::Rule(id) }) => {
            let which = match &message.hold_rule {
                Some(rule) => format!("hold rule {id} ({}) holds it", rule_fields(rule)),
                None => format!("hold rule {id}, which was removed since, holds it"),
            };
            format!("{which}; `postrider queue release {}` releases it", message.id)
        }
        Some(Gate::FutureRelease { until: time }) => {
            format!("its sender wants it sent at {}", until(time))
        }
        Some(Gate::BackOff { until: time, attempts, error }) => {
            let failed = count(*attempts, "attempt");
            format!("it is tried again at {}, after {failed} failed; the last said: {error}", until(time))
        }
        Some(Gate::Scheduled { until: time }) => format!("it is scheduled for {}", until(time)),
        Some(Gate::Paused { destination, until: time }) => {
            format!("{destination} could not be reached and is left alone until {}", until(time))
        }
        Some(Gate::Busy { destination, running, concurrency }) => format!(
            "{destination} gets {} at a time now, and {running} are at work",
            count(*concurrency, "connection")
        ),
        Some(Gate::Parked { destination }) => format!(
            "what delivers to {destination} broke down too often; see the server's log, and restart the server"
        ),
        Some(Gate::Due) => "nothing: it is due".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::queue::ShownRule;
    use mail::{HoldRuleId, QueueId};
    use std::{collections::BTreeMap, time::Duration};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn waiting(gate: Gate, hold_rule: Option<ShownRule>) -> ShownMessage {
        ShownMessage {
            id: QueueId(7),
            account: "app".into(),
            mail_from: String::new(),
            recipient: "friend@remote.example".into(),
            from_id: None,
            message_id: String::new(),
            subject: String::new(),
            size: 1,
            queued: NOW,
            attempts: 0,
            next_attempt: NOW,
            hold: None,
            hold_rule,
            destination: "remote.example".into(),
            transport: None,
            require_tls: None,
            future_release: None,
            extra: BTreeMap::new(),
            eight_bit: false,
            smtputf8: false,
            results: Vec::new(),
            returns: Vec::new(),
            waits_for: Some(gate),
        }
    }

    #[test]
    fn every_gate_is_named() {
        let until = NOW.after(Duration::from_secs(450));
        let destination = || "remote.example".to_owned();
        let rule = |recipient_domain: Option<&str>| ShownRule {
            id: HoldRuleId(3),
            account: recipient_domain.map(|_| "app".into()),
            sender_domain: None,
            recipient_domain: recipient_domain.map(Into::into),
            created: NOW,
        };
        let held = Gate::Hold { by: Hold::Rule(HoldRuleId(3)) };
        let back_off = Gate::BackOff {
            until,
            attempts: 2,
            error: "451 greylisted, come again later, and then later".into(),
        };
        for (gate, rule, short, full) in [
            (Gate::Due, None, "due", "it is due"),
            (Gate::Hold { by: Hold::Operator }, None, "hold: operator", "queue release 7"),
            (
                held.clone(),
                Some(rule(Some("remote.example"))),
                "hold: rule 3 (account app, to remote.example)",
                "hold rule 3 (account app, to remote.example) holds it",
            ),
            (held.clone(), Some(rule(None)), "hold: rule 3 (everything)", "(everything) holds it"),
            (held, None, "hold: rule 3, removed", "removed since"),
            (Gate::FutureRelease { until }, None, "FutureRelease", "(in 7m30s)"),
            (
                back_off,
                None,
                "back-off: 451 greylisted, come again later, and th...",
                "after 2 attempts failed",
            ),
            (Gate::Scheduled { until }, None, "scheduled", "(in 7m30s)"),
            (
                Gate::Paused { destination: destination(), until },
                None,
                "pace: paused for 7m30s",
                "remote.example could not be reached",
            ),
            (
                Gate::Busy { destination: destination(), running: 1, concurrency: 1 },
                None,
                "pace: 1 of 1 connections at work",
                "remote.example gets 1 connection at a time now",
            ),
            (Gate::Parked { destination: destination() }, None, "parked", "restart the server"),
        ] {
            let message = waiting(gate, rule);
            assert_eq!(gate_in_short(&message, NOW), short);
            let sentence = gate_in_full(&message, NOW);
            assert!(sentence.contains(full), "{sentence}");
        }
    }
}
