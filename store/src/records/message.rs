//! A message in the queue, its attempts, and what remains of it afterwards.

use super::EventKind;
use mail::{
    AccountId, Address, ContentId, DsnRequest, EnhancedCode, FromId, HoldRuleId, HookId, QueueId,
    ReversePath, Timestamp, Verdict,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// One recipient of one accepted content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueRecord {
    /// Whose message it is.
    pub account: AccountId,
    /// The bytes to send.
    pub content: ContentId,
    /// Their number.
    pub size: u64,
    /// MAIL FROM, with the FromID where there is one.
    pub mail_from: ReversePath,
    /// RCPT TO.
    pub recipient: Address,
    /// The FromID of this recipient.
    pub from_id: Option<FromId>,
    /// The Message-ID header, with its angle brackets.
    pub message_id: String,
    /// The subject, cut to a bounded length.
    pub subject: String,
    /// The delivery actor that sends it: the group in the due index.
    pub destination: String,
    /// When it was accepted.
    pub queued: Timestamp,
    /// The earliest time of the next attempt.
    pub next_attempt: Timestamp,
    /// Every attempt so far, oldest first.
    pub attempts: Vec<Attempt>,
    /// Held back, and by whom: not in the due index.
    pub hold: Option<Hold>,
    /// The transport asked for by name; `None`: by the routes.
    pub transport: Option<String>,
    /// RFC 8689: `Some(true)` REQUIRETLS, `Some(false)` TLS-Required: no.
    pub require_tls: Option<bool>,
    /// RFC 4865: not sent before.
    pub future_release: Option<Timestamp>,
    /// What the application attached; goes into every webhook.
    pub extra: BTreeMap<String, String>,
    /// The content has bytes above 127.
    pub eight_bit: bool,
    /// RFC 6531: needs a next hop with SMTPUTF8.
    pub smtputf8: bool,
    /// The newest outgoing hook about this message, perhaps still pending.
    pub last_hook: Option<HookId>,
    /// RFC 3461: what the sender asked of reports.
    pub dsn: DsnRequest,
}

/// Who holds a message back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// A person.
    Operator,
    /// That rule; it may be gone by now.
    Rule(HoldRuleId),
}

/// One try to deliver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// Of these, until the session was ready for MAIL; 0 on a connection that was open already.
    pub connect_ms: u32,
    /// The name of the host spoken to; empty when none was reached.
    pub host: String,
    /// Its address.
    pub address: Option<IpAddr>,
    /// TLS of the session; `None`: plain text.
    pub tls: Option<TlsFacts>,
    /// The TLS policy that held; `None` when it was not got so far as to know.
    pub policy: Option<TlsPolicyKind>,
    /// What came of it.
    pub result: AttemptResult,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AttemptResult {
    /// The next hop took the message.
    Delivered(SmtpAnswer),
    /// The next hop refused, for now (4xx) or for good (5xx).
    Refused(SmtpAnswer),
    /// There was no answer: resolving, connecting, timeouts, broken sessions, our own policy.
    Failed {
        /// What happened, for people.
        error: String,
        /// Our own code for it (RFC 3463).
        enhanced: Option<EnhancedCode>,
        /// Trying again cannot help.
        permanent: bool,
    },
}

/// A reply as history and webhooks show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmtpAnswer {
    /// The reply code, 200 to 599.
    pub code: u16,
    /// RFC 3463.
    pub enhanced: Option<EnhancedCode>,
    /// The text, lines joined by a blank, bounded.
    pub text: String,
}

impl AttemptResult {
    /// Whether the message was delivered.
    pub fn is_delivered(&self) -> bool {
        matches!(self, AttemptResult::Delivered(_))
    }

    /// The reply, where there was one.
    pub fn answer(&self) -> Option<&SmtpAnswer> {
        match self {
            AttemptResult::Delivered(answer) | AttemptResult::Refused(answer) => Some(answer),
            AttemptResult::Failed { .. } => None,
        }
    }

    /// The enhanced code of the reply, or our own.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        match self {
            AttemptResult::Delivered(answer) | AttemptResult::Refused(answer) => answer.enhanced,
            AttemptResult::Failed { enhanced, .. } => *enhanced,
        }
    }

    /// The error for people; empty after delivery.
    pub fn error(&self) -> &str {
        match self {
            AttemptResult::Delivered(_) => "",
            AttemptResult::Refused(answer) => &answer.text,
            AttemptResult::Failed { error, .. } => error,
        }
    }
}

/// What was negotiated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// The protocol, as `TLSv1.3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// What vouched for the host's certificate.
    pub verified: TlsVerified,
}

/// What vouched for a host's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsVerified {
    /// Nothing.
    No,
    /// A TLSA record (RFC 7672).
    Dane,
    /// A certificate authority.
    WebPki,
}

/// Which policy ruled the TLS of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsPolicyKind {
    /// TLS where it is offered, whoever the host is (RFC 7435).
    Opportunistic,
    /// RFC 7672.
    Dane,
    /// RFC 8461.
    MtaSts,
    /// RFC 8689: REQUIRETLS.
    RequireTls,
    /// RFC 8689: TLS-Required: no.
    TlsNotRequired,
    /// What the transport says.
    Relay,
}

impl TlsPolicyKind {
    /// The name in history and metrics.
    pub fn name(self) -> &'static str {
        match self {
            TlsPolicyKind::Opportunistic => "opportunistic",
            TlsPolicyKind::Dane => "dane",
            TlsPolicyKind::MtaSts => "mta-sts",
            TlsPolicyKind::RequireTls => "require-tls",
            TlsPolicyKind::TlsNotRequired => "tls-not-required",
            TlsPolicyKind::Relay => "relay",
        }
    }
}

/// How a message left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessageOutcome {
    /// The next hop accepted it.
    Delivered,
    /// Given up.
    Failed {
        /// What the deciding answer meant; `None` without an SMTP answer.
        verdict: Option<Verdict>,
        /// This failure put the address on the suppression list.
        suppressing: bool,
    },
    /// The recipient was on the suppression list.
    Suppressed,
    /// A person removed it.
    Canceled,
}

impl MessageOutcome {
    /// The event that tells of it.
    pub fn event(self) -> EventKind {
        match self {
            MessageOutcome::Delivered => EventKind::Delivered,
            MessageOutcome::Failed { .. } => EventKind::Failed,
            MessageOutcome::Suppressed => EventKind::Suppressed,
            MessageOutcome::Canceled => EventKind::Canceled,
        }
    }
}

/// A message that left the queue. Its content is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetiredRecord {
    /// The message as it was, with every attempt; `content` refers to nothing.
    pub message: QueueRecord,
    /// Its id.
    pub id: QueueId,
    /// How it left.
    pub outcome: MessageOutcome,
    /// When it left.
    pub retired: Timestamp,
    /// When retention removes it.
    pub expires: Timestamp,
}
