//! Webhook calls, pending and retired.

use super::LoggedEvent;
use mail::{AccountId, Address, ContentId, HookId, MsgId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A webhook call that is to be made.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct HookRecord {
    /// Whose hook it is.
    pub account: AccountId,
    /// Where it goes: the account's URL when the hook was made.
    pub url: String,
    /// The `Authorization` header; a secret, dropped when the hook retires.
    pub authorization: Option<String>,
    /// What it tells.
    pub subject: HookSubject,
    /// When it was made.
    pub queued: Timestamp,
    /// The earliest time of the next call.
    pub next_attempt: Timestamp,
    /// Every call so far, oldest first.
    pub attempts: Vec<HookAttempt>,
    /// A hook about an earlier event of the same message, which is to be done with before this one is called.
    pub waits_for: Option<HookId>,
    /// The hook that waits for this one.
    pub followed_by: Option<HookId>,
    /// The hook that this one tells again: it has the same `webhook-id`, so that a receiver knows it again.
    pub resent_of: Option<HookId>,
}

impl HookRecord {
    /// A hook that was not called yet.
    pub fn new(
        account: AccountId,
        url: String,
        authorization: Option<String>,
        subject: HookSubject,
        now: Timestamp,
    ) -> HookRecord {
        HookRecord {
            account,
            url,
            authorization,
            subject,
            queued: now,
            next_attempt: now,
            attempts: Vec::new(),
            waits_for: None,
            followed_by: None,
            resent_of: None,
        }
    }
}

impl fmt::Debug for HookRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookRecord")
            .field("account", &self.account)
            .field("url", &self.url)
            .field("authorization", &self.authorization.as_ref().map(|_| "***"))
            .field("subject", &self.subject)
            .field("queued", &self.queued)
            .field("next_attempt", &self.next_attempt)
            .field("attempts", &self.attempts)
            .field("waits_for", &self.waits_for)
            .field("followed_by", &self.followed_by)
            .field("resent_of", &self.resent_of)
            .finish()
    }
}

/// What a hook tells about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HookSubject {
    /// What happened to a queued message.
    Outgoing(LoggedEvent),
    /// A message arrived.
    Incoming(IncomingHook),
}

/// A message that arrived. The hook shares the message's content, so that it can be told, and told again,
/// after the message was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncomingHook {
    /// The message's id in its mailbox.
    pub msg: MsgId,
    /// Its bytes.
    pub content: ContentId,
    /// The facts of its arrival.
    pub arrival: super::MessageRecord,
    /// The mailbox it was put in.
    pub mailbox_name: String,
    /// The recipient as given in RCPT TO.
    pub rcpt_to: Address,
}

/// One webhook call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookAttempt {
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// The URL called.
    pub url: String,
    /// A 2xx answer came.
    pub success: bool,
    /// The HTTP status; 0 when no answer came.
    pub status: u16,
    /// What went wrong; empty after success.
    pub error: String,
    /// The start of the answer.
    pub response: String,
}

/// How a hook left the queue of hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HookOutcome {
    /// A call was answered with 2xx.
    Succeeded,
    /// Given up.
    Failed,
    /// A newer event of the same message took its place.
    Superseded(HookId),
    /// A person removed it.
    Canceled,
}

/// A hook that is done with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetiredHookRecord {
    /// The hook with all its calls, without its authorization.
    pub hook: HookRecord,
    /// How it ended.
    pub outcome: HookOutcome,
    /// When it ended.
    pub retired: Timestamp,
    /// When retention removes it.
    pub expires: Timestamp,
}
