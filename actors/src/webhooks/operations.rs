//! What people do with webhooks: a slice at a time, as with the queue, and a call to see whether one works.

use super::{HookRequest, Poster, plan, request};
use crate::{Clock, Part, StoreWriter, Stretch, WriteError};
use mail::{Address, ContentId, EnhancedCode, HookId, MailboxId, MsgId, QueueId, ReversePath, Timestamp};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use store::{
    HookAction, HookFilter, HookKind, HookOperation, HookResend, RetiredHookFilter, Store, StoreError,
    records::{
        AccountRecord, EventKind, EventRecord, HookAttempt, HookRecord, HookSubject, IncomingHook,
        LoggedEvent, MessageRecord, StandardMailbox,
    },
};
use tokio::time::Instant;

/// Hooks changed in one commit.
const BATCH: usize = 500;

/// Something done with every pending hook that a filter finds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum HookDeed {
    /// Call them now.
    CallNow,
    /// See [`HookAction`].
    Schedule(Timestamp),
    /// See [`HookAction`].
    Postpone(Duration),
    /// See [`HookAction`].
    Cancel,
}

/// What was done by a part of telling again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResentPart {
    /// Retired hooks, each with the new one.
    pub made: Vec<(HookId, HookId)>,
    /// Of the ids that the filter names, those that it found.
    pub found: Vec<HookId>,
    /// Hooks of accounts that have no such webhook any more.
    pub without_webhook: usize,
    /// What is still to be done.
    pub rest: Option<Stretch<HookId>>,
}

/// A call that was made to see whether a webhook works.
pub struct TestCall {
    /// What was sent; some headers are secrets.
    pub request: HookRequest,
    /// What came of it.
    pub attempt: HookAttempt,
}

/// Why no call can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TestCallError {
    /// There is no such account.
    #[error("there is no such account")]
    NoAccount,
    /// The account has no such webhook, and no URL was given.
    #[error("the account has no such webhook; configure one, or give a URL to call")]
    NoWebhook,
}

/// Does with hooks what people want. Cheap to clone.
#[derive(Clone)]
pub struct HookOperations {
    pub(crate) store: Store,
    pub(crate) writer: StoreWriter,
    pub(crate) clock: Clock,
    pub(crate) poster: Arc<dyn Poster>,
}

impl HookOperations {
    /// Does it with some of the pending hooks in `stretch`, by default with some of all that there are now.
    ///
    /// # Errors
    /// When nothing of this part is done.
    pub async fn operate_part(
        &self,
        filter: &HookFilter,
        deed: HookDeed,
        stretch: Option<Stretch<HookId>>,
    ) -> Result<Part<HookId>, WriteError> {
        let (stretch, slice) = self.read(|view| {
            let stretch = match stretch {
                Some(stretch) => stretch,
                None => Stretch { after: None, last: view.last_hook_id()? },
            };
            Ok((stretch, view.hook_slice(filter, stretch.after, false, BATCH)?))
        })?;
        let ids: Vec<_> =
            slice.rows.into_iter().map(|(id, _)| id).take_while(|id| *id <= stretch.last).collect();
        let found = if filter.ids.is_empty() { Vec::new() } else { ids.clone() };
        let changed = match ids.is_empty() {
            true => 0,
            false => {
                let now = self.clock.now();
                let action = match deed {
                    HookDeed::CallNow => HookAction::Schedule(now),
                    HookDeed::Schedule(at) => HookAction::Schedule(at),
                    HookDeed::Postpone(by) => HookAction::Postpone(by),
                    HookDeed::Cancel => HookAction::Cancel,
                };
                // What was read holds for the change as well, but for the time, which another part may have moved.
                let filter = HookFilter { ids: Vec::new(), ..filter.clone() };
                self.writer.operate_hooks(HookOperation { ids, filter, now, action }).await?
            }
        };
        Ok(Part { changed, found, rest: stretch.behind(slice.next) })
    }

    /// Tells again what some of the retired hooks in `stretch` told, by default some of all that there are now.
    ///
    /// # Errors
    /// When nothing of this part is done.
    pub async fn resend_part(
        &self,
        filter: &RetiredHookFilter,
        stretch: Option<Stretch<HookId>>,
    ) -> Result<ResentPart, WriteError> {
        let (stretch, slice) = self.read(|view| {
            let stretch = match stretch {
                Some(stretch) => stretch,
                // Those made by telling again are not told again.
                None => Stretch { after: None, last: view.last_hook_id()? },
            };
            Ok((stretch, view.retired_hook_slice(filter, stretch.after, false, BATCH)?))
        })?;
        let ids: Vec<_> =
            slice.rows.into_iter().map(|(id, _)| id).take_while(|id| *id <= stretch.last).collect();
        let found = if filter.hook.ids.is_empty() { Vec::new() } else { ids.clone() };
        let (made, without_webhook) = match ids.is_empty() {
            true => (Vec::new(), 0),
            false => {
                let hook = HookFilter { ids: Vec::new(), ..filter.hook.clone() };
                let filter = RetiredHookFilter { hook, ..filter.clone() };
                self.writer.resend_hooks(HookResend { ids, filter, now: self.clock.now() }).await?
            }
        };
        Ok(ResentPart { made, found, without_webhook, rest: stretch.behind(slice.next) })
    }

    /// Calls a webhook of an account with news that are made up, and keeps nothing of it. `url`: there rather than at
    /// the webhook's own, and then without its authorization, which is not for others.
    ///
    /// # Errors
    /// When it is not known whom to call.
    pub async fn test_call(
        &self,
        account: &str,
        kind: HookKind,
        url: Option<&str>,
    ) -> Result<TestCall, TestCallError> {
        let now = self.clock.now();
        let request = {
            let directory = self.store.directory();
            let account = directory.accounts().find(|found| found.record.name == account);
            test_request(&account.ok_or(TestCallError::NoAccount)?.record, kind, url, now)?
        };
        let began = Instant::now();
        let answer = self.poster.post(request.clone()).await;
        let attempt = plan::attempt(&request.url, now, began.elapsed(), answer);
        Ok(TestCall { request, attempt })
    }

    fn read<T>(&self, read: impl FnOnce(&store::View<'_>) -> Result<T, StoreError>) -> Result<T, WriteError> {
        self.store.read(read).map_err(|error| WriteError::Failed(Arc::new(error)))
    }
}

fn test_request(
    account: &AccountRecord,
    kind: HookKind,
    url: Option<&str>,
    now: Timestamp,
) -> Result<HookRequest, TestCallError> {
    let webhook = match kind {
        HookKind::Outgoing => {
            account.outgoing_webhook.as_ref().map(|webhook| (&webhook.url, &webhook.authorization))
        }
        HookKind::Incoming => {
            account.incoming_webhook.as_ref().map(|webhook| (&webhook.url, &webhook.authorization))
        }
    };
    let (url, authorization) = match (url, webhook) {
        (Some(url), Some((own, authorization))) if url == own => (url.to_owned(), authorization.clone()),
        (Some(url), _) => (url.to_owned(), None),
        (None, Some((url, authorization))) => (url.clone(), authorization.clone()),
        (None, None) => return Err(TestCallError::NoWebhook),
    };
    let raw = b"From: Sender <sender@example.org>\r\nTo: recipient@example.com\r\nSubject: A test\r\n\
        Message-ID: <test@example.org>\r\n\r\nThis is a test call; nothing arrived.\r\n";
    let subject = match kind {
        HookKind::Outgoing => HookSubject::Outgoing(test_event(now)),
        HookKind::Incoming => HookSubject::Incoming(test_arrival(raw.len() as u64, now)),
    };
    let hook = HookRecord::new(mail::AccountId(0), url, authorization, subject, now);
    let webhook_id = format!("test_{}", now.as_millis());
    Ok(request::build_test(&webhook_id, &hook, account, raw, now))
}

fn test_event(now: Timestamp) -> LoggedEvent {
    LoggedEvent {
        event: EventRecord {
            time: now,
            kind: EventKind::Delivered,
            queue_id: QueueId(0),
            from_id: None,
            message_id: "<test@example.com>".into(),
            recipient: example("recipient@example.org"),
            attempt: 1,
            code: 250,
            enhanced: EnhancedCode::new(2, 0, 0),
            error: String::new(),
            suppressing: false,
            dsn: false,
        },
        subject: "A test".into(),
        extra: [("test".to_owned(), "true".to_owned())].into(),
    }
}

fn test_arrival(size: u64, now: Timestamp) -> IncomingHook {
    let (sender, recipient) = (example("sender@example.org"), example("recipient@example.com"));
    IncomingHook {
        msg: MsgId(0),
        content: ContentId(0),
        arrival: MessageRecord {
            account: mail::AccountId(0),
            mailbox: MailboxId(0),
            content: ContentId(0),
            size,
            received: now,
            flags: Vec::new(),
            mail_from: ReversePath::Address(sender.clone()),
            mail_from_validated: false,
            rcpt_to: Some(recipient.clone()),
            msg_from: Some(sender),
            msg_from_validated: false,
            dkim_verified_domains: Vec::new(),
            remote_ip: None,
            dsn: false,
            automated: false,
        },
        mailbox_name: StandardMailbox::Inbox.name().into(),
        rcpt_to: recipient,
    }
}

fn example(address: &str) -> Address {
    Address::parse(address).expect("an address of an example domain")
}
