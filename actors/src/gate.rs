//! Why a message waits: a pure rule over the message, the time, and what its destination's actor is doing.

use crate::{DeliverySnapshot, SupervisorSnapshot};
use mail::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::records::{AttemptResult, Hold, QueueRecord};

/// What a message of the queue waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "gate")]
pub enum Gate {
    /// Somebody releases it.
    Hold {
        /// Who holds it.
        by: Hold,
    },
    /// The time that its sender chose (RFC 4865).
    FutureRelease {
        /// That time.
        until: Timestamp,
    },
    /// The time after an attempt that failed.
    BackOff {
        /// That time.
        until: Timestamp,
        /// Attempts made.
        attempts: usize,
        /// What came of the last one, with the codes of the answer.
        error: String,
    },
    /// The time that an operator chose.
    Scheduled {
        /// That time.
        until: Timestamp,
    },
    /// Its destination is left alone: it could not be reached.
    Paused {
        /// Which one.
        destination: String,
        /// Until when.
        until: Timestamp,
    },
    /// As many connections to its destination are at work as it gets now.
    Busy {
        /// Which one.
        destination: String,
        /// So many.
        running: usize,
        /// Of so many.
        concurrency: usize,
    },
    /// The actor of its destination broke down too often; a restart makes it anew.
    Parked {
        /// Which one.
        destination: String,
    },
    /// Nothing: it is due.
    Due,
}

impl Gate {
    /// The gate of a message at `now`. `snapshot` is what the delivery actors are doing, when somebody could say.
    pub fn of(message: &QueueRecord, now: Timestamp, snapshot: Option<&SupervisorSnapshot>) -> Gate {
        if let Some(by) = message.hold {
            return Gate::Hold { by };
        }
        if message.next_attempt > now {
            return time_gate(message);
        }
        let destination = message.destination.clone();
        let group = store::due_group(&message.destination);
        let is_its = |delivery: &&DeliverySnapshot| store::due_group(&delivery.destination) == group;
        let Some(snapshot) = snapshot else { return Gate::Due };
        if snapshot.parked.iter().any(|parked| store::due_group(parked) == group) {
            return Gate::Parked { destination };
        }
        match snapshot.deliveries.iter().find(is_its) {
            Some(delivery) if delivery.paused_ms > 0 => {
                let until = now.after(Duration::from_millis(delivery.paused_ms));
                Gate::Paused { destination, until }
            }
            Some(DeliverySnapshot { running, concurrency, .. }) if running >= concurrency => {
                Gate::Busy { destination, running: *running, concurrency: *concurrency }
            }
            Some(_) | None => Gate::Due,
        }
    }
}

fn time_gate(message: &QueueRecord) -> Gate {
    let until = message.next_attempt;
    match message.attempts.last() {
        Some(last) => {
            Gate::BackOff { until, attempts: message.attempts.len(), error: in_words(&last.result) }
        }
        None if message.future_release == Some(until) => Gate::FutureRelease { until },
        None => Gate::Scheduled { until },
    }
}

/// `451 4.7.1 greylisted`.
fn in_words(result: &AttemptResult) -> String {
    let code = result.answer().map(|answer| answer.code.to_string());
    let enhanced = result.enhanced().map(|code| code.to_string());
    let text = Some(result.error().to_owned());
    [code, enhanced, text].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail::{AccountId, ContentId, DsnRequest, HoldRuleId, ReversePath};
    use std::collections::BTreeMap;
    use store::records::{Attempt, SmtpAnswer};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn at(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    fn message() -> QueueRecord {
        QueueRecord {
            account: AccountId(1),
            content: ContentId(1),
            size: 1,
            mail_from: ReversePath::Null,
            recipient: "friend@remote.example".parse().unwrap(),
            from_id: None,
            message_id: String::new(),
            subject: String::new(),
            destination: "remote.example".into(),
            queued: NOW,
            next_attempt: NOW,
            attempts: Vec::new(),
            hold: None,
            transport: None,
            require_tls: None,
            future_release: None,
            extra: BTreeMap::new(),
            eight_bit: false,
            smtputf8: false,
            last_hook: None,
            dsn: DsnRequest::default(),
        }
    }

    fn tried() -> QueueRecord {
        let answer =
            SmtpAnswer { code: 451, enhanced: mail::EnhancedCode::new(4, 7, 1), text: "greylisted".into() };
        let attempt =
            Attempt { result: AttemptResult::Refused(answer), ..Attempt::given_up(NOW, "replaced") };
        QueueRecord { attempts: vec![attempt], next_attempt: at(450), ..message() }
    }

    fn doing(destination: &str, running: usize, concurrency: usize, paused_ms: u64) -> SupervisorSnapshot {
        let delivery = DeliverySnapshot {
            destination: destination.into(),
            running,
            idle_connections: 0,
            concurrency,
            paused_ms,
            claimed: 0,
        };
        SupervisorSnapshot { deliveries: vec![delivery], scheduled: 0, parked: Vec::new() }
    }

    #[test]
    fn a_message_says_what_it_waits_for() {
        let destination = || "remote.example".to_owned();
        let held = |by| QueueRecord { hold: Some(by), next_attempt: at(9), ..message() };
        let rule = Hold::Rule(HoldRuleId(3));
        let released =
            |release| QueueRecord { next_attempt: at(60), future_release: Some(at(release)), ..message() };
        let mut parked = doing("other.example", 1, 1, 0);
        parked.parked.push("remote.example".into());
        let back_off = Gate::BackOff { until: at(450), attempts: 1, error: "451 4.7.1 greylisted".into() };
        for (message, snapshot, expected) in [
            (message(), None, Gate::Due),
            (held(Hold::Operator), None, Gate::Hold { by: Hold::Operator }),
            (held(rule), Some(doing("remote.example", 0, 1, 500)), Gate::Hold { by: rule }),
            (released(60), None, Gate::FutureRelease { until: at(60) }),
            (released(30), None, Gate::Scheduled { until: at(60) }),
            (tried(), Some(doing("remote.example", 0, 1, 500)), back_off),
            (QueueRecord { next_attempt: NOW, ..tried() }, None, Gate::Due),
            (message(), Some(doing("remote.example", 1, 2, 0)), Gate::Due),
            (message(), Some(doing("other.example", 2, 2, 500)), Gate::Due),
            (
                message(),
                Some(doing("remote.example", 2, 2, 0)),
                Gate::Busy { destination: destination(), running: 2, concurrency: 2 },
            ),
            (
                message(),
                Some(doing("remote.example", 0, 1, 5000)),
                Gate::Paused { destination: destination(), until: at(5) },
            ),
            (message(), Some(parked), Gate::Parked { destination: destination() }),
        ] {
            assert_eq!(Gate::of(&message, NOW, snapshot.as_ref()), expected, "{message:?}");
        }
    }
}
