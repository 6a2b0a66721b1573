//! Reading: a snapshot, and the questions it answers. Every answer is bounded.

use crate::{
    StoreError,
    content::ContentFiles,
    keys::Key,
    records::{
        ContentRecord, HookRecord, LoggedEvent, MailboxRecord, MessageRecord, QueueRecord, RetiredHookRecord,
        RetiredRecord, ReturnRecord, SuppressionRecord,
    },
    tables::Tables,
    txn::Counters,
};
use bytes::Bytes;
use heed::RoTxn;
use mail::{
    AccountId, Address, BaseAddress, ContentId, EventSeq, FromId, HookId, MailboxId, MsgId, QueueId,
    Timestamp,
};
use std::{fs::File, ops::Bound};

/// The state as of one commit. Held briefly: an old snapshot keeps the database from reusing its pages.
pub struct View<'t> {
    pub(crate) txn: RoTxn<'t, heed::WithoutTls>,
    pub(crate) tables: &'t Tables,
    pub(crate) files: &'t ContentFiles,
}

impl View<'_> {
    /// Messages of a destination that are due at `now`, at most `limit`, without those for which `skip` says so.
    /// Accounts take turns, each with its oldest first; so one with many delays no other.
    pub fn due_messages(
        &self,
        destination: &str,
        now: Timestamp,
        limit: usize,
        skip: impl Fn(QueueId) -> bool,
    ) -> Result<Vec<QueueId>, StoreError> {
        let ids = self.tables.queue_due.due(&self.txn, destination, now, limit, |id| skip(QueueId(id)))?;
        Ok(ids.into_iter().map(QueueId).collect())
    }

    /// When the destination's first message after `after` becomes due; without `after`, its earliest.
    pub fn next_message_due(
        &self,
        destination: &str,
        after: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.tables.queue_due.next(&self.txn, destination, after)
    }

    /// Destinations with messages, by name after `after`, each with the time of its earliest.
    pub fn destinations(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.tables.queue_due.groups(&self.txn, after, limit)
    }

    /// A queued message.
    pub fn message(&self, id: QueueId) -> Result<Option<QueueRecord>, StoreError> {
        self.tables.queue.get(&self.txn, &id)
    }

    /// A message that left the queue.
    pub fn retired_message(&self, id: QueueId) -> Result<Option<RetiredRecord>, StoreError> {
        self.tables.retired.get(&self.txn, &id)
    }

    /// What came back about a message, oldest first.
    pub fn returns(&self, id: QueueId) -> Result<Vec<ReturnRecord>, StoreError> {
        let returns = self.tables.returns.within(&self.txn, &id.0.to_be_bytes(), None, usize::MAX)?;
        Ok(returns.into_iter().map(|(_, returned)| returned).collect())
    }

    /// The queued or retired message with that FromID.
    pub fn by_from_id(&self, account: AccountId, from_id: &FromId) -> Result<Option<QueueId>, StoreError> {
        self.tables.from_ids.get(&self.txn, &(account, from_id.key().into()))
    }

    /// The bytes of a content; `None` when it is gone. A large one is read from its file as a whole.
    pub fn content(&self, id: ContentId) -> Result<Option<Bytes>, StoreError> {
        match self.tables.contents.get(&self.txn, &id)? {
            Some(ContentRecord::Inline(bytes)) => Ok(Some(bytes)),
            Some(ContentRecord::File { name, .. }) => self.files.read(name),
            None => Ok(None),
        }
    }

    /// A content, of which a large one is only opened; `None` when it is gone.
    pub fn open_content(&self, id: ContentId) -> Result<Option<Content>, StoreError> {
        match self.tables.contents.get(&self.txn, &id)? {
            Some(ContentRecord::Inline(bytes)) => Ok(Some(Content::Bytes(bytes))),
            Some(ContentRecord::File { name, size }) => {
                Ok(self.files.open_file(name)?.map(|file| Content::File { file, size }))
            }
            None => Ok(None),
        }
    }

    /// Hooks to a URL that are due at `now`, at most `limit`, without those for which `skip` says so. Accounts take
    /// turns, each with its oldest first.
    pub fn due_hooks(
        &self,
        url: &str,
        now: Timestamp,
        limit: usize,
        skip: impl Fn(HookId) -> bool,
    ) -> Result<Vec<HookId>, StoreError> {
        let ids = self.tables.hooks_due.due(&self.txn, url, now, limit, |id| skip(HookId(id)))?;
        Ok(ids.into_iter().map(HookId).collect())
    }

    /// When the URL's first hook after `after` becomes due; without `after`, its earliest.
    pub fn next_hook_due(
        &self,
        url: &str,
        after: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.tables.hooks_due.next(&self.txn, url, after)
    }

    /// URLs with hooks, by name after `after`, each with the time of its earliest.
    pub fn hook_urls(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        self.tables.hooks_due.groups(&self.txn, after, limit)
    }

    /// A pending hook.
    pub fn hook(&self, id: HookId) -> Result<Option<HookRecord>, StoreError> {
        self.tables.hooks.get(&self.txn, &id)
    }

    /// A hook that is done with.
    pub fn retired_hook(&self, id: HookId) -> Result<Option<RetiredHookRecord>, StoreError> {
        self.tables.retired_hooks.get(&self.txn, &id)
    }

    /// An account's events after `after`, in order.
    pub fn events(
        &self,
        account: AccountId,
        after: EventSeq,
        limit: usize,
    ) -> Result<Vec<(EventSeq, LoggedEvent)>, StoreError> {
        let after = (account, after);
        let events = self.tables.events.within(&self.txn, &account.encode(), Some(&after), limit)?;
        Ok(events.into_iter().map(|((_, seq), event)| (seq, event)).collect())
    }

    /// The suppression list's entry for an address, by its base address.
    pub fn suppression(
        &self,
        account: AccountId,
        address: &Address,
    ) -> Result<Option<SuppressionRecord>, StoreError> {
        self.tables.suppressions.get(&self.txn, &(account, BaseAddress::of(address).to_string()))
    }

    /// An account's suppression list, each entry with its base address: those behind the base address `after`,
    /// in the order of the base addresses.
    pub fn suppressions(
        &self,
        account: AccountId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, SuppressionRecord)>, StoreError> {
        let after = after.map(|base| (account, base.to_owned()));
        let entries = self.tables.suppressions.within(&self.txn, &account.encode(), after.as_ref(), limit)?;
        Ok(entries.into_iter().map(|((_, base), record)| (base, record)).collect())
    }

    /// A message in a mailbox.
    pub fn mailbox_message(&self, id: MsgId) -> Result<Option<MessageRecord>, StoreError> {
        self.tables.messages.get(&self.txn, &id)
    }

    /// A mailbox.
    pub fn mailbox(
        &self,
        account: AccountId,
        mailbox: MailboxId,
    ) -> Result<Option<MailboxRecord>, StoreError> {
        self.tables.mailboxes.get(&self.txn, &(account, mailbox))
    }

    /// The mailboxes of an account.
    pub fn mailboxes(&self, account: AccountId) -> Result<Vec<(MailboxId, MailboxRecord)>, StoreError> {
        let mailboxes = self.tables.mailboxes.within(&self.txn, &account.encode(), None, usize::MAX)?;
        Ok(mailboxes.into_iter().map(|((_, id), mailbox)| (id, mailbox)).collect())
    }

    /// The messages of a mailbox with ids after `after`, oldest first.
    pub fn mailbox_messages(
        &self,
        mailbox: MailboxId,
        after: Option<MsgId>,
        limit: usize,
    ) -> Result<Vec<MsgId>, StoreError> {
        let after = after.map(|msg| (mailbox, msg));
        let keys = self.tables.mailbox_messages.within(
            &self.txn,
            &mailbox.0.to_be_bytes(),
            after.as_ref(),
            limit,
        )?;
        Ok(keys.into_iter().map(|((_, msg), ())| msg).collect())
    }

    /// Whether a sweep with these times would remove anything.
    pub fn has_expired(&self, now: Timestamp, events_before: Timestamp) -> Result<bool, StoreError> {
        let retired = self.tables.expiry.from(&self.txn, Bound::Unbounded, 1)?;
        if retired.first().is_some_and(|(key, ())| key.at <= now) {
            return Ok(true);
        }
        if self.has_ended_sts_policy(now)? {
            return Ok(true);
        }
        if !self.tables.leaving.from(&self.txn, Bound::Unbounded, 1)?.is_empty() {
            return Ok(true);
        }
        for (account, _) in self.tables.event_heads.from(&self.txn, Bound::Unbounded, usize::MAX)? {
            let oldest = self.tables.events.within(&self.txn, &account.encode(), None, 1)?;
            if oldest.first().is_some_and(|(_, logged)| logged.event.time < events_before) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How much of everything there is; costs the same whatever the numbers.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        let queued = self.tables.queue.len(&self.txn)?;
        Ok(Totals {
            queued,
            deferred: Counters::read(&self.txn, self.tables)?.deferred,
            held: queued.saturating_sub(self.tables.queue_due.len(&self.txn)?),
            retired: self.tables.retired.len(&self.txn)?,
            hooks: self.tables.hooks.len(&self.txn)?,
            retired_hooks: self.tables.retired_hooks.len(&self.txn)?,
            events: self.tables.events.len(&self.txn)?,
            suppressions: self.tables.suppressions.len(&self.txn)?,
            mailbox_messages: self.tables.messages.len(&self.txn)?,
        })
    }
}

/// The bytes of a message, or where to read them.
#[derive(Debug)]
pub enum Content {
    /// Here.
    Bytes(Bytes),
    /// In a file, which can be read even when the content is removed meanwhile.
    File {
        /// At its start.
        file: File,
        /// Its length.
        size: u64,
    },
}

/// How many records of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages in the queue.
    pub queued: u64,
    /// Of these, held.
    pub held: u64,
    /// Of these, put off: by a deferral, or by a FutureRelease.
    pub deferred: u64,
    /// Messages in history.
    pub retired: u64,
    /// Pending hooks.
    pub hooks: u64,
    /// Hooks in history.
    pub retired_hooks: u64,
    /// Lines of all event logs.
    pub events: u64,
    /// Entries of all suppression lists.
    pub suppressions: u64,
    /// Messages in all mailboxes.
    pub mailbox_messages: u64,
}
