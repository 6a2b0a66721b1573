//! Every table, its key and its value, on one page.

use crate::{
    StoreError,
    due::DueIndex,
    keys::{ExpiryKey, Key, ReferenceKey},
    records::{
        AccountRecord, ContentRecord, DomainRecord, HoldRuleRecord, HookRecord, LoggedEvent, MailboxRecord,
        MessageRecord, QueueRecord, Recipients, RepeatRecord, RetiredHookRecord, RetiredRecord, ReturnRecord,
        Streak, StsPolicyRecord, SuppressionRecord, UsageRecord,
    },
};
use heed::{Database, Env, RoTxn, RwTxn, WithoutTls, types::Bytes};
use mail::{AccountId, ContentId, EventSeq, HoldRuleId, HookId, MailboxId, MsgId, QueueId, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use std::{marker::PhantomData, ops::Bound};

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        /// All tables.
        pub(crate) struct Tables {
            $($(#[$doc])* pub(crate) $field: $type,)*
        }

        impl Tables {
            /// How many there are.
            pub(crate) const COUNT: u32 = [$(stringify!($field)),*].len() as u32;

            /// Opens them, made new where they are missing.
            pub(crate) fn open(env: &Env<WithoutTls>) -> Result<Tables, StoreError> {
                const NAMES: [&str; Tables::COUNT as usize] = [$(stringify!($field)),*];
                let txn = env.write_txn()?;
                let databases = env
                    .create_databases_and_commit(txn, |opener, txn| {
                        let mut databases = Vec::with_capacity(NAMES.len());
                        for name in NAMES {
                            databases.push(opener.create_database::<Bytes, Bytes>(txn, Some(name))?);
                        }
                        let databases: [_; NAMES.len()] =
                            databases.try_into().unwrap_or_else(|_| unreachable!("one database a name"));
                        Ok::<_, heed::Error>(heed::CommitOrAbort::<_, ()>::Commit(databases))
                    })?
                    .unwrap_commit();
                let mut databases = databases.into_iter();
                let mut next = |name| Raw { name, db: databases.next().expect("one database a name") };
                Ok(Tables { $($field: next(stringify!($field)).into(),)* })
            }

            pub(crate) fn raw(&self) -> [Raw; Tables::COUNT as usize] {
                [$(self.$field.raw(),)*]
            }
        }
    };
}

tables! {
    /// Schema version and counters, by name.
    meta: Raw,
    /// Domains, by A-label name.
    domains: Table<String, DomainRecord>,
    accounts: Table<AccountId, AccountRecord>,
    /// Accounts that were removed, while something of theirs is still to be swept.
    leaving: Table<AccountId, ()>,
    /// Where the bytes of messages are.
    contents: Table<ContentId, ContentRecord>,
    /// How many records share a content; absent: one.
    content_shares: Table<ContentId, u32>,
    /// The names of the files among them.
    content_files: Table<String, ()>,
    queue: Table<QueueId, QueueRecord>,
    /// Messages of the queue that are not held, by destination, account and time.
    queue_due: DueIndex,
    /// All messages of the queue by the time of their next attempt.
    queue_next: Table<(Timestamp, QueueId), ()>,
    hold_rules: Table<HoldRuleId, HoldRuleRecord>,
    /// FromIDs of queued and retired messages, in lower case.
    from_ids: Table<(AccountId, String), QueueId>,
    /// Queued and retired messages by the names that reports call them by.
    references: Table<ReferenceKey, ()>,
    retired: Table<QueueId, RetiredRecord>,
    /// What came back about queued and retired messages.
    returns: Table<(QueueId, u32), ReturnRecord>,
    /// The latest failures in a row, by base address.
    streaks: Table<(AccountId, String), Streak>,
    events: Table<(AccountId, EventSeq), LoggedEvent>,
    /// The sequence number of an account's next event.
    event_heads: Table<AccountId, u64>,
    hooks: Table<HookId, HookRecord>,
    /// Pending hooks by URL, account and time.
    hooks_due: DueIndex,
    retired_hooks: Table<HookId, RetiredHookRecord>,
    /// Retired messages and hooks by the end of their retention.
    expiry: Table<ExpiryKey, ()>,
    /// By base address.
    suppressions: Table<(AccountId, String), SuppressionRecord>,
    mailboxes: Table<(AccountId, MailboxId), MailboxRecord>,
    messages: Table<MsgId, MessageRecord>,
    mailbox_messages: Table<(MailboxId, MsgId), ()>,
    usage: Table<AccountId, UsageRecord>,
    /// Requests and messages that are to be queued once, by their digests.
    repeats: Table<(AccountId, [u8; 32]), RepeatRecord>,
    /// The same by the time until which that holds.
    repeats_expiry: Table<(Timestamp, AccountId, [u8; 32]), ()>,
    /// Recipients by the second in which they were queued.
    sent: Table<(AccountId, Timestamp), Recipients>,
    /// Base addresses to which an account with a limit on new recipients has sent.
    known_recipients: Table<(AccountId, String), ()>,
    /// MTA-STS policies, by domain.
    sts_policies: Table<String, StsPolicyRecord>,
    /// Their domains by the end of the policy.
    sts_expiry: Table<(Timestamp, String), ()>,
}

/// A table of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Raw {
    pub(crate) name: &'static str,
    pub(crate) db: Database<'static, Bytes, Bytes>,
}

impl Raw {
    pub(crate) fn raw(&self) -> Raw {
        *self
    }

    pub(crate) fn get<'t>(&self, txn: &'t RoTxn<'_>, key: &str) -> Result<Option<&'t [u8]>, StoreError> {
        Ok(self.db.get(txn, key.as_bytes())?)
    }

    pub(crate) fn put(&self, txn: &mut RwTxn<'_>, key: &str, value: &[u8]) -> Result<(), StoreError> {
        Ok(self.db.put(txn, key.as_bytes(), value)?)
    }
}

/// A table with typed keys and postcard-encoded values.
pub(crate) struct Table<K, V> {
    raw: Raw,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> From<Raw> for Table<K, V> {
    fn from(raw: Raw) -> Self {
        Table { raw, types: PhantomData }
    }
}

impl<K: Key, V: Serialize + DeserializeOwned> Table<K, V> {
    pub(crate) fn raw(&self) -> Raw {
        self.raw
    }

    pub(crate) fn get(&self, txn: &RoTxn<'_>, key: &K) -> Result<Option<V>, StoreError> {
        self.raw.db.get(txn, &key.encode())?.map(|bytes| self.decode(bytes)).transpose()
    }

    pub(crate) fn contains(&self, txn: &RoTxn<'_>, key: &K) -> Result<bool, StoreError> {
        Ok(self.raw.db.get(txn, &key.encode())?.is_some())
    }

    pub(crate) fn put(&self, txn: &mut RwTxn<'_>, key: &K, value: &V) -> Result<(), StoreError> {
        let bytes = postcard::to_stdvec(value).expect("records are made of types that postcard encodes");
        Ok(self.raw.db.put(txn, &key.encode(), &bytes)?)
    }

    /// Whether there was one.
    pub(crate) fn delete(&self, txn: &mut RwTxn<'_>, key: &K) -> Result<bool, StoreError> {
        Ok(self.raw.db.delete(txn, &key.encode())?)
    }

    pub(crate) fn len(&self, txn: &RoTxn<'_>) -> Result<u64, StoreError> {
        Ok(self.raw.db.len(txn)?)
    }

    /// The entries from `start` on, in key order, at most `limit`.
    pub(crate) fn from(
        &self,
        txn: &RoTxn<'_>,
        start: Bound<&K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let start = start.map(Key::encode);
        let range = (start.as_ref().map(Vec::as_slice), Bound::Unbounded);
        self.raw.db.range(txn, &range)?.take(limit).map(|entry| self.entry(entry?)).collect()
    }

    /// The entries whose key starts with `prefix`, after `after`, in key order, at most `limit`.
    pub(crate) fn within(
        &self,
        txn: &RoTxn<'_>,
        prefix: &[u8],
        after: Option<&K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, StoreError> {
        let start = after.map(Key::encode);
        let start = match &start {
            Some(key) => Bound::Excluded(key.as_slice()),
            None => Bound::Included(prefix),
        };
        self.raw
            .db
            .range(txn, &(start, Bound::Unbounded))?
            .take_while(|entry| entry.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
            .take(limit)
            .map(|entry| self.entry(entry?))
            .collect()
    }

    /// The keys behind `after`, in key order or against it.
    pub(crate) fn keys<'t>(
        &self,
        txn: &'t RoTxn<'_>,
        after: Option<&K>,
        descending: bool,
    ) -> Result<Box<dyn Iterator<Item = Result<K, StoreError>> + 't>, StoreError>
    where
        K: 't,
    {
        let name = self.raw.name;
        let after = after.map(Key::encode);
        let edge = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let decode = move |entry: Result<(&[u8], &[u8]), heed::Error>| {
            K::decode(entry?.0).ok_or(StoreError::Damaged { table: name })
        };
        Ok(match descending {
            false => Box::new(self.raw.db.range(txn, &(edge, Bound::Unbounded))?.map(decode)),
            true => Box::new(self.raw.db.rev_range(txn, &(Bound::Unbounded, edge))?.map(decode)),
        })
    }

    fn entry(&self, (key, value): (&[u8], &[u8])) -> Result<(K, V), StoreError> {
        let key = K::decode(key).ok_or(StoreError::Damaged { table: self.raw.name })?;
        Ok((key, self.decode(value)?))
    }

    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<V, StoreError> {
        postcard::from_bytes(bytes).map_err(|_| StoreError::Damaged { table: self.raw.name })
    }
}
