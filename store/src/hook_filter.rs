//! Which hooks are meant: pure.

use crate::filter::TimeRange;
use crate::records::{EventKind, HookOutcome, HookRecord, HookSubject, RetiredHookRecord};
use mail::{AccountId, Address, HookId};
use serde::{Deserialize, Serialize};

/// Which of the two webhooks of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookKind {
    /// It tells what happened to messages that were sent.
    Outgoing,
    /// It tells of messages that arrived.
    Incoming,
}

/// Pending hooks. All that is given must hold; without anything, every hook is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFilter {
    /// These only, at most [`crate::QueueFilter::IDS_MAX`]; none: any.
    pub ids: Vec<HookId>,
    /// Whose they are.
    pub account: Option<AccountId>,
    /// Of which webhook.
    pub kind: Option<HookKind>,
    /// What they tell; incoming hooks tell no event.
    pub event: Option<EventKind>,
    /// The recipient of the message, in whatever case.
    pub recipient: Option<Address>,
    /// Where they go, or how that begins.
    pub url: Option<String>,
    /// When they were made.
    pub submitted: TimeRange,
    /// When they are called next.
    pub next_attempt: TimeRange,
}

/// How a hook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookEnd {
    /// See [`HookOutcome`].
    Succeeded,
    /// See [`HookOutcome`].
    Failed,
    /// See [`HookOutcome`].
    Superseded,
    /// See [`HookOutcome`].
    Canceled,
}

/// Hooks that are done with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredHookFilter {
    /// What must hold of the hook as it was.
    pub hook: HookFilter,
    /// How they ended.
    pub outcome: Option<HookEnd>,
    /// Whether they succeeded.
    pub success: Option<bool>,
}

impl From<HookOutcome> for HookEnd {
    fn from(outcome: HookOutcome) -> HookEnd {
        match outcome {
            HookOutcome::Succeeded => HookEnd::Succeeded,
            HookOutcome::Failed => HookEnd::Failed,
            HookOutcome::Superseded(_) => HookEnd::Superseded,
            HookOutcome::Canceled => HookEnd::Canceled,
        }
    }
}

impl HookFilter {
    /// Whether a hook is meant.
    pub fn matches(&self, id: HookId, hook: &HookRecord) -> bool {
        let (kind, event, recipient) = match &hook.subject {
            HookSubject::Outgoing(told) => (HookKind::Outgoing, Some(told.event.kind), &told.event.recipient),
            HookSubject::Incoming(told) => (HookKind::Incoming, None, &told.rcpt_to),
        };
        (self.ids.is_empty() || self.ids.contains(&id))
            && self.account.is_none_or(|account| account == hook.account)
            && self.kind.is_none_or(|wanted| wanted == kind)
            && self.event.is_none_or(|wanted| Some(wanted) == event)
            && self.recipient.as_ref().is_none_or(|wanted| wanted.is_same_in_any_case(recipient))
            && self.url.as_ref().is_none_or(|url| hook.url.starts_with(url))
            && self.submitted.contains(hook.queued)
            && self.next_attempt.contains(hook.next_attempt)
    }
}

impl RetiredHookFilter {
    /// Whether a hook is meant.
    pub fn matches(&self, id: HookId, retired: &RetiredHookRecord) -> bool {
        let end = HookEnd::from(retired.outcome);
        self.outcome.is_none_or(|wanted| wanted == end)
            && self.success.is_none_or(|success| success == (end == HookEnd::Succeeded))
            && self.hook.matches(id, &retired.hook)
    }
}
