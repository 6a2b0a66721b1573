//! The layout of the data: which shapes the records have. A newer layout comes with a step from the one
//! before it; the steps run in order when the store is opened.

mod content_files;
mod limits;
mod operations;
mod references;
mod webhooks;

use crate::{StoreError, tables::Tables, txn::Counters};
use heed::{CommitOrAbort, Env, RwTxn, WithoutTls, types::Bytes};
use std::path::Path;

type Step = fn(&mut RwTxn<'_>, &Tables) -> Result<(), StoreError>;

/// Each leads from the layout of its place, counted from 1, to the next.
const STEPS: [Step; 5] =
    [limits::step, operations::step, content_files::step, references::step, webhooks::step];

/// The layout that this version writes.
pub(crate) const CURRENT: u32 = STEPS.len() as u32 + 1;

const LAYOUT: &str = "layout";

/// Tells a database of ours, or a new one, from that of another program, and touches neither.
pub(crate) fn recognise(env: &Env<WithoutTls>, path: &Path) -> Result<(), StoreError> {
    // The names of all tables are the keys of the one without a name.
    let names = env
        .open_databases_and_commit(env.read_txn()?, |opener, txn| {
            opener.open_database::<Bytes, Bytes>(txn, None).map(CommitOrAbort::<_, ()>::Commit)
        })?
        .unwrap_commit();
    let Some(names) = names else { return Ok(()) };
    let txn = env.read_txn()?;
    if names.is_empty(&txn)? || names.get(&txn, b"meta")?.is_some() {
        return Ok(());
    }
    Err(StoreError::NotOurs(path.into()))
}

/// Brings the data to the current layout.
pub(crate) fn bring_up(env: &Env<WithoutTls>, tables: &Tables, path: &Path) -> Result<(), StoreError> {
    let mut txn = env.write_txn()?;
    let found = match tables.meta.get(&txn, LAYOUT)? {
        Some(bytes) => {
            let bytes = bytes.try_into().map_err(|_| StoreError::Damaged { table: "meta" })?;
            u32::from_be_bytes(bytes)
        }
        None => CURRENT,
    };
    if found > CURRENT {
        return Err(StoreError::Layout { path: path.into(), found, known: CURRENT });
    }
    let shape = |error| match error {
        StoreError::Damaged { table: "meta" } => StoreError::Shape(path.into()),
        error => error,
    };
    for step in STEPS.iter().skip(found.saturating_sub(1) as usize) {
        step(&mut txn, tables).map_err(shape)?;
    }
    Counters::read(&txn, tables).map_err(shape)?;
    tables.meta.put(&mut txn, LAYOUT, &CURRENT.to_be_bytes())?;
    Ok(txn.commit()?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        Store, StoreOptions,
        records::{AddressPattern, MessageRecord, UsageRecord},
        txn::COUNTERS,
    };
    use mail::{AccountId, Address, ContentId, MailboxId, MsgId, ReversePath, Timestamp};
    use std::time::Duration;

    pub(super) fn options() -> StoreOptions {
        StoreOptions { map_size: 1 << 30, map_reserve: 0, disk_reserve: 0, inline_max: 1000 }
    }

    #[test]
    fn data_of_layout_1_is_brought_up_and_nothing_of_it_lost() {
        let dir = tempfile::TempDir::new().unwrap();
        let address: Address = "app@example.com".parse().unwrap();
        let account = limits::OldAccount {
            name: "app".into(),
            full_name: "The App".into(),
            password_hash: "hash".into(),
            addresses: vec![AddressPattern::Address(address.clone())],
            from_id_login_addresses: vec![address.clone()],
            keep_retired_messages: Duration::from_secs(1),
            keep_retired_hooks: Duration::from_secs(2),
            dsn_to_inbox: true,
            disabled: false,
            outgoing_webhook: None,
            incoming_webhook: None,
            webhook_secret: vec![7; 24],
            created: Timestamp::from_millis(3),
        };
        let message = MessageRecord {
            account: AccountId(1),
            mailbox: MailboxId(1),
            content: ContentId(1),
            size: 21,
            received: Timestamp::default(),
            flags: Vec::new(),
            mail_from: ReversePath::Null,
            mail_from_validated: false,
            rcpt_to: None,
            msg_from: None,
            msg_from_validated: false,
            dkim_verified_domains: Vec::new(),
            remote_ip: None,
            dsn: false,
            automated: false,
        };
        {
            let (store, _writer) = Store::open(dir.path(), options()).unwrap();
            let tables = &store.inner.tables;
            let mut txn = store.inner.env.write_txn().unwrap();
            let bytes = postcard::to_stdvec(&account).unwrap();
            tables.accounts.raw().db.put(&mut txn, &1_u32.to_be_bytes(), &bytes).unwrap();
            for id in [1, 2] {
                tables.messages.put(&mut txn, &MsgId(id), &message).unwrap();
            }
            let counters = postcard::to_stdvec(&operations::tests::counters()).unwrap();
            tables.meta.put(&mut txn, COUNTERS, &counters).unwrap();
            tables.meta.put(&mut txn, LAYOUT, &1_u32.to_be_bytes()).unwrap();
            txn.commit().unwrap();
        }
        for _ in 0..2 {
            let (store, _writer) = Store::open(dir.path(), options()).unwrap();
            let directory = store.directory();
            let found = &directory.owner(&address).unwrap().record;
            assert_eq!((&*found.full_name, &*found.webhook_secret), ("The App", &[7; 24][..]));
            assert_eq!((found.created, found.mailbox_quota), (Timestamp::from_millis(3), None));
            let usage = store.read(|view| view.usage(AccountId(1), Timestamp::default())).unwrap();
            let expected = UsageRecord { mailbox_messages: 2, mailbox_bytes: 42, ..UsageRecord::default() };
            assert_eq!(usage, expected);
        }
    }
}
