//! Hooks as operators see them.

use crate::control::selection::account_name;
use actors::{HookGate, WebhookSnapshot};
use config::shown_url;
use mail::{HookId, MsgId, QueueId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{
    Directory, HookEnd,
    records::{HookAttempt, HookOutcome, HookRecord, HookSubject, RetiredHookRecord},
};

/// A webhook call, pending or as it was. Times are RFC 3339 in UTC. Its `Authorization` is not shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownHook {
    /// Its id.
    pub id: HookId,
    /// The name of its account.
    pub account: String,
    /// Where it goes.
    pub url: String,
    /// The recipient of the message that it is about.
    pub recipient: String,
    /// What it tells.
    #[serde(flatten)]
    pub news: News,
    /// When it was made.
    pub queued: Timestamp,
    /// Calls made.
    pub attempts: usize,
    /// The earliest time of the next call.
    pub next_attempt: Timestamp,
    /// What it waits for; `None` once it is done with.
    pub waits_for: Option<HookGate>,
    /// The hook that waits for this one.
    pub followed_by: Option<HookId>,
    /// The hook that it tells again, with the same `webhook-id`.
    pub resent_of: Option<HookId>,
    /// Every call, oldest first.
    pub results: Vec<HookAttempt>,
}

/// What a hook tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum News {
    /// What happened to a message that was sent.
    Outgoing {
        /// The event.
        event: String,
        /// The message of the queue.
        queue_id: QueueId,
        /// Its Message-ID header.
        message_id: String,
        /// Its subject.
        subject: String,
        /// The reply code that decided the event; 0 for none.
        code: u16,
        /// The enhanced code; empty when unknown.
        enhanced_code: String,
        /// The answer or error.
        error: String,
    },
    /// A message arrived.
    Incoming {
        /// Its id in the mailbox.
        msg_id: MsgId,
        /// The mailbox that it was put in.
        mailbox: String,
        /// MAIL FROM; empty for the null path.
        mail_from: String,
        /// Octets of its content.
        size: u64,
    },
}

/// A hook that is done with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownRetiredHook {
    /// The hook.
    #[serde(flatten)]
    pub hook: ShownHook,
    /// How it ended.
    pub outcome: HookEnd,
    /// It succeeded.
    pub success: bool,
    /// The hook about a newer event of the message that took its place.
    pub superseded_by: Option<HookId>,
    /// When it was done with.
    pub retired: Timestamp,
    /// When its history is removed.
    pub expires: Timestamp,
}

/// What is needed to show pending hooks.
pub(super) struct Context<'c> {
    pub(super) directory: &'c Directory,
    pub(super) snapshot: Option<&'c WebhookSnapshot>,
    pub(super) now: Timestamp,
}

impl Context<'_> {
    pub(super) fn hook(&self, id: HookId, hook: HookRecord) -> ShownHook {
        let waits_for = Some(HookGate::of(id, &hook, self.now, self.snapshot));
        ShownHook { waits_for, ..ShownHook::done(id, hook, self.directory) }
    }
}

impl ShownHook {
    /// As it is when it waits for nothing any more.
    fn done(id: HookId, hook: HookRecord, directory: &Directory) -> ShownHook {
        let (recipient, news) = match hook.subject {
            HookSubject::Outgoing(told) => {
                let event = told.event;
                let news = News::Outgoing {
                    event: event.kind.name().to_owned(),
                    queue_id: event.queue_id,
                    message_id: event.message_id,
                    subject: told.subject,
                    code: event.code,
                    enhanced_code: event.enhanced.map(|code| code.to_string()).unwrap_or_default(),
                    error: event.error,
                };
                (event.recipient, news)
            }
            HookSubject::Incoming(told) => {
                let news = News::Incoming {
                    msg_id: told.msg,
                    mailbox: told.mailbox_name,
                    mail_from: told.arrival.mail_from.to_string(),
                    size: told.arrival.size,
                };
                (told.rcpt_to, news)
            }
        };
        ShownHook {
            id,
            account: account_name(directory, hook.account),
            url: shown_url(&hook.url).into_owned(),
            recipient: recipient.to_string(),
            news,
            queued: hook.queued,
            attempts: hook.attempts.len(),
            next_attempt: hook.next_attempt,
            waits_for: None,
            followed_by: hook.followed_by,
            resent_of: hook.resent_of,
            results: hook.attempts.into_iter().map(shown_attempt).collect(),
        }
    }
}

fn shown_attempt(attempt: HookAttempt) -> HookAttempt {
    HookAttempt { url: shown_url(&attempt.url).into_owned(), ..attempt }
}

impl ShownRetiredHook {
    pub(super) fn of(id: HookId, retired: RetiredHookRecord, directory: &Directory) -> ShownRetiredHook {
        let superseded_by = match retired.outcome {
            HookOutcome::Superseded(by) => Some(by),
            HookOutcome::Succeeded | HookOutcome::Failed | HookOutcome::Canceled => None,
        };
        ShownRetiredHook {
            hook: ShownHook::done(id, retired.hook, directory),
            outcome: retired.outcome.into(),
            success: retired.outcome == HookOutcome::Succeeded,
            superseded_by,
            retired: retired.retired,
            expires: retired.expires,
        }
    }
}
