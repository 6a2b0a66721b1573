//! From layout 5 to 6: secrets of webhooks can be replaced, hooks wait for others and tell others again, and accounts
//! have keys for SCRAM, and the event log has subject and Extra.

use super::operations::convert;
use crate::{
    StoreError,
    records::{
        AccountRecord, AddressPattern, EventRecord, HookAttempt, HookOutcome, HookRecord, HookSubject,
        IncomingWebhook, LoggedEvent, OutgoingWebhook, RetiredHookRecord,
    },
    tables::Tables,
};
use heed::RwTxn;
use mail::{AccountId, Address, Route, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// An account of layouts 3 to 5.
#[derive(Serialize, Deserialize)]
pub(super) struct RoutedAccount {
    pub(super) name: String,
    pub(super) full_name: String,
    pub(super) password_hash: String,
    pub(super) addresses: Vec<AddressPattern>,
    pub(super) from_id_login_addresses: Vec<Address>,
    pub(super) keep_retired_messages: Duration,
    pub(super) keep_retired_hooks: Duration,
    pub(super) dsn_to_inbox: bool,
    pub(super) disabled: bool,
    pub(super) max_outgoing_messages_per_day: Option<u64>,
    pub(super) max_first_time_recipients_per_day: Option<u64>,
    pub(super) mailbox_quota: Option<u64>,
    pub(super) outgoing_webhook: Option<OutgoingWebhook>,
    pub(super) incoming_webhook: Option<IncomingWebhook>,
    pub(super) webhook_secret: Vec<u8>,
    pub(super) created: Timestamp,
    pub(super) routes: Vec<Route>,
}

/// A hook of layouts 1 to 5.
#[derive(Serialize, Deserialize)]
pub(super) struct OldHook {
    pub(super) account: AccountId,
    pub(super) url: String,
    pub(super) authorization: Option<String>,
    pub(super) subject: HookSubject,
    pub(super) queued: Timestamp,
    pub(super) next_attempt: Timestamp,
    pub(super) attempts: Vec<HookAttempt>,
}

/// A hook of layouts 1 to 5 that is done with.
#[derive(Serialize, Deserialize)]
struct OldRetiredHook {
    hook: OldHook,
    outcome: HookOutcome,
    retired: Timestamp,
    expires: Timestamp,
}

pub(super) fn step(txn: &mut RwTxn<'_>, tables: &Tables) -> Result<(), StoreError> {
    convert(txn, tables.accounts.raw(), account)?;
    convert(txn, tables.hooks.raw(), hook)?;
    convert(txn, tables.retired_hooks.raw(), retired)?;
    convert(txn, tables.events.raw(), logged)
}

/// Subject and Extra were not logged.
fn logged(event: EventRecord) -> LoggedEvent {
    LoggedEvent { event, subject: String::new(), extra: BTreeMap::new() }
}

fn account(old: RoutedAccount) -> AccountRecord {
    AccountRecord {
        name: old.name,
        full_name: old.full_name,
        password_hash: old.password_hash,
        addresses: old.addresses,
        from_id_login_addresses: old.from_id_login_addresses,
        keep_retired_messages: old.keep_retired_messages,
        keep_retired_hooks: old.keep_retired_hooks,
        dsn_to_inbox: old.dsn_to_inbox,
        disabled: old.disabled,
        max_outgoing_messages_per_day: old.max_outgoing_messages_per_day,
        max_first_time_recipients_per_day: old.max_first_time_recipients_per_day,
        mailbox_quota: old.mailbox_quota,
        outgoing_webhook: old.outgoing_webhook,
        incoming_webhook: old.incoming_webhook,
        webhook_secret: old.webhook_secret,
        created: old.created,
        routes: old.routes,
        replaced_secret: None,
        scram: None,
        deduplicate_message_id: false,
    }
}

fn hook(old: OldHook) -> HookRecord {
    HookRecord {
        account: old.account,
        url: old.url,
        authorization: old.authorization,
        subject: old.subject,
        queued: old.queued,
        next_attempt: old.next_attempt,
        attempts: old.attempts,
        waits_for: None,
        followed_by: None,
        resent_of: None,
    }
}

fn retired(old: OldRetiredHook) -> RetiredHookRecord {
    RetiredHookRecord {
        hook: hook(old.hook),
        outcome: old.outcome,
        retired: old.retired,
        expires: old.expires,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Store,
        keys::Key,
        layout::{LAYOUT, tests::options},
        records::EventKind,
    };
    use mail::{EventSeq, HookId, QueueId};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn event() -> EventRecord {
        EventRecord {
            kind: EventKind::Delivered,
            time: NOW,
            queue_id: QueueId(7),
            from_id: None,
            message_id: "<a@example.com>".into(),
            recipient: "friend@example.org".parse().unwrap(),
            attempt: 1,
            code: 250,
            enhanced: None,
            error: String::new(),
            suppressing: false,
            dsn: false,
        }
    }

    fn old_hook() -> OldHook {
        let told = LoggedEvent { event: event(), subject: "Hello".into(), extra: BTreeMap::new() };
        OldHook {
            account: AccountId(1),
            url: "https://hooks.example/".into(),
            authorization: Some("Bearer a".into()),
            subject: HookSubject::Outgoing(told),
            queued: NOW,
            next_attempt: NOW,
            attempts: Vec::new(),
        }
    }

    #[test]
    fn hooks_and_accounts_are_kept() {
        let dir = tempfile::TempDir::new().unwrap();
        let account = RoutedAccount {
            name: "app".into(),
            full_name: "The App".into(),
            password_hash: "hash".into(),
            addresses: Vec::new(),
            from_id_login_addresses: Vec::new(),
            keep_retired_messages: Duration::from_secs(1),
            keep_retired_hooks: Duration::from_secs(2),
            dsn_to_inbox: true,
            disabled: false,
            max_outgoing_messages_per_day: Some(3),
            max_first_time_recipients_per_day: None,
            mailbox_quota: None,
            outgoing_webhook: None,
            incoming_webhook: None,
            webhook_secret: vec![7; 24],
            created: NOW,
            routes: Vec::new(),
        };
        let retired =
            OldRetiredHook { hook: old_hook(), outcome: HookOutcome::Failed, retired: NOW, expires: NOW };
        {
            let (store, _writer) = Store::open(dir.path(), options()).unwrap();
            let tables = &store.inner.tables;
            let mut txn = store.inner.env.write_txn().unwrap();
            let mut put = |table: crate::tables::Raw, key: Vec<u8>, value: Vec<u8>| {
                table.db.put(&mut txn, &key, &value).unwrap();
            };
            put(tables.accounts.raw(), AccountId(1).encode(), postcard::to_stdvec(&account).unwrap());
            let key = (AccountId(1), EventSeq(1)).encode();
            put(tables.events.raw(), key, postcard::to_stdvec(&event()).unwrap());
            put(tables.hooks.raw(), HookId(1).encode(), postcard::to_stdvec(&old_hook()).unwrap());
            put(tables.retired_hooks.raw(), HookId(2).encode(), postcard::to_stdvec(&retired).unwrap());
            tables.meta.put(&mut txn, LAYOUT, &5_u32.to_be_bytes()).unwrap();
            txn.commit().unwrap();
        }
        let (store, _writer) = Store::open(dir.path(), options()).unwrap();
        let directory = store.directory();
        let found = &directory.account(AccountId(1)).unwrap().record;
        assert_eq!((&*found.full_name, found.max_outgoing_messages_per_day), ("The App", Some(3)));
        assert_eq!((&*found.webhook_secret, &found.replaced_secret), (&[7; 24][..], &None));
        let events = store.read(|view| view.events(AccountId(1), EventSeq(0), 9)).unwrap();
        assert_eq!(events, [(EventSeq(1), logged(event()))]);
        let pending = store.read(|view| view.hook(HookId(1))).unwrap().unwrap();
        assert_eq!(pending, hook(old_hook()));
        let retired = store.read(|view| view.retired_hook(HookId(2))).unwrap().unwrap();
        assert_eq!((retired.hook, retired.outcome), (hook(old_hook()), HookOutcome::Failed));
    }
}
