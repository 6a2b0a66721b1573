//! Messages as operators see them.

use crate::control::selection::account_name;
use actors::{Gate, SupervisorSnapshot};
use mail::{HoldRuleId, QueueId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::{
    Directory,
    records::{
        Attempt, AttemptResult, EventKind, Hold, HoldRuleRecord, MessageOutcome, QueueRecord, RetiredRecord,
        ReturnKind, ReturnRecord, TlsFacts, TlsPolicyKind,
    },
};

/// A message of the queue, or as it was there. Times are RFC 3339 in UTC, sizes in octets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownMessage {
    /// Its id.
    pub id: QueueId,
    /// The name of its account.
    pub account: String,
    /// MAIL FROM; empty for the null path.
    pub mail_from: String,
    /// RCPT TO.
    pub recipient: String,
    /// The FromID.
    pub from_id: Option<String>,
    /// The Message-ID header.
    pub message_id: String,
    /// Its subject.
    pub subject: String,
    /// Octets of its content.
    pub size: u64,
    /// When it was accepted.
    pub queued: Timestamp,
    /// Attempts made.
    pub attempts: usize,
    /// The earliest time of the next attempt.
    pub next_attempt: Timestamp,
    /// Who holds it.
    pub hold: Option<Hold>,
    /// The rule that holds it, where there is still one.
    pub hold_rule: Option<ShownRule>,
    /// The group that it is delivered with.
    pub destination: String,
    /// The transport asked for by name.
    pub transport: Option<String>,
    /// RFC 8689.
    pub require_tls: Option<bool>,
    /// RFC 4865.
    pub future_release: Option<Timestamp>,
    /// What the application attached.
    pub extra: BTreeMap<String, String>,
    /// The content has octets above 127.
    pub eight_bit: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// Every attempt, oldest first.
    pub results: Vec<ShownAttempt>,
    /// What came back about it, oldest first; empty in lists.
    pub returns: Vec<ShownReturn>,
    /// What it waits for; `None` once it left the queue.
    pub waits_for: Option<Gate>,
}

/// A message that left the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownRetired {
    /// The message.
    #[serde(flatten)]
    pub message: ShownMessage,
    /// `delivered`, `failed`, `suppressed` or `canceled`.
    pub outcome: String,
    /// It was delivered.
    pub success: bool,
    /// What the deciding answer meant.
    pub verdict: Option<String>,
    /// The failure put the address on the suppression list.
    pub suppressing: bool,
    /// When it left.
    pub retired: Timestamp,
    /// When its history is removed.
    pub expires: Timestamp,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownAttempt {
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// Of these, until the session was ready.
    pub connect_ms: u32,
    /// The next hop took it.
    pub success: bool,
    /// The reply code; 0 without an answer.
    pub code: u16,
    /// The enhanced code; empty when unknown.
    pub enhanced_code: String,
    /// The text of the answer, or the error.
    pub text: String,
    /// The host spoken to; empty when none was reached.
    pub host: String,
    /// Its address.
    pub address: Option<std::net::IpAddr>,
    /// TLS of the session.
    pub tls: Option<TlsFacts>,
    /// The TLS policy that held.
    pub tls_policy: Option<TlsPolicyKind>,
}

/// Something that came back about a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownReturn {
    /// When it came.
    pub received: Timestamp,
    /// The event that it made.
    pub event: String,
    /// It was a DSN.
    pub dsn: bool,
    /// The reply code that it tells; 0 for none.
    pub code: u16,
    /// The enhanced code; empty when unknown.
    pub enhanced_code: String,
    /// The answer that it tells.
    pub text: String,
    /// It put the address on the suppression list.
    pub suppressing: bool,
}

impl From<&ReturnRecord> for ShownReturn {
    fn from(returned: &ReturnRecord) -> ShownReturn {
        ShownReturn {
            received: returned.received,
            event: returned.kind.event().name().to_owned(),
            dsn: matches!(returned.kind, ReturnKind::Status(_)),
            code: returned.code,
            enhanced_code: returned.enhanced.map(|code| code.to_string()).unwrap_or_default(),
            text: returned.text.clone(),
            suppressing: returned.suppressing,
        }
    }
}

/// A hold rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRule {
    /// Its id.
    pub id: HoldRuleId,
    /// The name of the account whose messages it holds.
    pub account: Option<String>,
    /// The domain of MAIL FROM.
    pub sender_domain: Option<String>,
    /// The domain of RCPT TO.
    pub recipient_domain: Option<String>,
    /// When it was made.
    pub created: Timestamp,
}

/// What is needed to show messages.
pub(super) struct Context<'c> {
    pub(super) directory: &'c Directory,
    pub(super) rules: &'c [(HoldRuleId, HoldRuleRecord)],
    pub(super) snapshot: Option<&'c SupervisorSnapshot>,
    pub(super) now: Timestamp,
}

impl Context<'_> {
    pub(super) fn message(&self, id: QueueId, record: &QueueRecord) -> ShownMessage {
        let waits_for = Some(Gate::of(record, self.now, self.snapshot));
        ShownMessage { waits_for, ..self.left(id, record) }
    }

    pub(super) fn retired(&self, record: &RetiredRecord) -> ShownRetired {
        let (verdict, suppressing) = match record.outcome {
            MessageOutcome::Failed { verdict, suppressing } => {
                (verdict.map(|verdict| verdict.to_string()), suppressing)
            }
            MessageOutcome::Delivered | MessageOutcome::Suppressed | MessageOutcome::Canceled => {
                (None, false)
            }
        };
        let event = record.outcome.event();
        ShownRetired {
            message: self.left(record.id, &record.message),
            outcome: event.name().to_owned(),
            success: event == EventKind::Delivered,
            verdict,
            suppressing,
            retired: record.retired,
            expires: record.expires,
        }
    }

    fn left(&self, id: QueueId, record: &QueueRecord) -> ShownMessage {
        ShownMessage {
            id,
            account: account_name(self.directory, record.account),
            mail_from: record.mail_from.to_string(),
            recipient: record.recipient.to_string(),
            from_id: record.from_id.as_ref().map(ToString::to_string),
            message_id: record.message_id.clone(),
            subject: record.subject.clone(),
            size: record.size,
            queued: record.queued,
            attempts: record.attempts.len(),
            next_attempt: record.next_attempt,
            hold: record.hold,
            hold_rule: self.holding_rule(record),
            destination: record.destination.clone(),
            transport: record.transport.clone(),
            require_tls: record.require_tls,
            future_release: record.future_release,
            extra: record.extra.clone(),
            eight_bit: record.eight_bit,
            smtputf8: record.smtputf8,
            results: record.attempts.iter().map(ShownAttempt::from).collect(),
            returns: Vec::new(),
            waits_for: None,
        }
    }

    fn holding_rule(&self, record: &QueueRecord) -> Option<ShownRule> {
        let Some(Hold::Rule(id)) = record.hold else { return None };
        let (id, rule) = self.rules.iter().find(|(present, _)| *present == id)?;
        Some(ShownRule::of(*id, rule, self.directory))
    }
}

impl ShownRule {
    pub(super) fn of(id: HoldRuleId, rule: &HoldRuleRecord, directory: &Directory) -> ShownRule {
        let name = |domain: &mail::Domain| domain.to_string();
        ShownRule {
            id,
            account: rule.account.map(|account| account_name(directory, account)),
            sender_domain: rule.sender_domain.as_ref().map(name),
            recipient_domain: rule.recipient_domain.as_ref().map(name),
            created: rule.created,
        }
    }
}

impl From<&Attempt> for ShownAttempt {
    fn from(attempt: &Attempt) -> ShownAttempt {
        let answer = attempt.result.answer();
        ShownAttempt {
            started: attempt.started,
            duration_ms: attempt.duration_ms,
            connect_ms: attempt.connect_ms,
            success: attempt.result.is_delivered(),
            code: answer.map_or(0, |answer| answer.code),
            enhanced_code: attempt.result.enhanced().map(|code| code.to_string()).unwrap_or_default(),
            text: match &attempt.result {
                AttemptResult::Delivered(answer) | AttemptResult::Refused(answer) => answer.text.clone(),
                AttemptResult::Failed { error, .. } => error.clone(),
            },
            host: attempt.host.clone(),
            address: attempt.address,
            tls: attempt.tls.clone(),
            tls_policy: attempt.policy,
        }
    }
}
