//! From layout 4 to 5: messages can be found by their Message-ID, and streaks remember what did not fail.

use crate::{
    StoreError,
    keys::{Key, ReferenceKey},
    records::{Final, Streak},
    references::without_brackets,
    tables::{Raw, Tables},
};
use heed::RwTxn;
use mail::{AccountId, Address, ContentId, FromId, QueueId, ReversePath, Timestamp};
use serde::{Deserialize, Serialize};

/// The start of a message of the queue, and of one of history.
#[derive(Serialize, Deserialize)]
struct OldMessage {
    account: AccountId,
    content: ContentId,
    size: u64,
    mail_from: ReversePath,
    recipient: Address,
    from_id: Option<FromId>,
    message_id: String,
}

#[derive(Serialize, Deserialize)]
struct OldStreak {
    failures: Vec<(QueueId, Timestamp)>,
}

pub(super) fn step(txn: &mut RwTxn<'_>, tables: &Tables) -> Result<(), StoreError> {
    for table in [tables.queue.raw(), tables.retired.raw()] {
        for key in references(txn, table)? {
            tables.references.put(txn, &key, &())?;
        }
    }
    let streaks = tables.streaks.raw();
    let mut renewed = Vec::new();
    for entry in streaks.db.iter(txn)? {
        let (key, bytes) = entry?;
        let old: OldStreak = read(streaks, bytes)?;
        let latest = old.failures.into_iter().map(|(id, until)| Final { id, until, failed: true }).collect();
        let key = Key::decode(key).ok_or(StoreError::Damaged { table: streaks.name })?;
        renewed.push((key, Streak { latest }));
    }
    for (key, streak) in renewed {
        tables.streaks.put(txn, &key, &streak)?;
    }
    Ok(())
}

/// Envelope ids are no other than Message-IDs by then.
fn references(txn: &RwTxn<'_>, table: Raw) -> Result<Vec<ReferenceKey>, StoreError> {
    let mut keys = Vec::new();
    for entry in table.db.iter(txn)? {
        let (key, bytes) = entry?;
        let id = QueueId::decode(key).ok_or(StoreError::Damaged { table: table.name })?;
        let message: OldMessage = read(table, bytes)?;
        keys.push(ReferenceKey::new(message.account, without_brackets(&message.message_id), id));
    }
    Ok(keys)
}

fn read<'b, T: Deserialize<'b>>(table: Raw, bytes: &'b [u8]) -> Result<T, StoreError> {
    let read = postcard::take_from_bytes(bytes);
    read.map(|(record, _)| record).map_err(|_| StoreError::Damaged { table: table.name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Store,
        layout::{LAYOUT, tests::options},
    };

    #[test]
    fn messages_are_found_by_name_and_failures_are_kept() {
        let dir = tempfile::TempDir::new().unwrap();
        let message = OldMessage {
            account: AccountId(1),
            content: ContentId(1),
            size: 1,
            mail_from: ReversePath::Null,
            recipient: "friend@example.org".parse().unwrap(),
            from_id: None,
            message_id: "<a@example.com>".into(),
        };
        let streak = OldStreak { failures: vec![(QueueId(5), Timestamp::from_millis(9))] };
        {
            let (store, _writer) = Store::open(dir.path(), options()).unwrap();
            let tables = &store.inner.tables;
            let mut txn = store.inner.env.write_txn().unwrap();
            let bytes = postcard::to_stdvec(&message).unwrap();
            tables.queue.raw().db.put(&mut txn, &QueueId(7).encode(), &bytes).unwrap();
            tables.retired.raw().db.put(&mut txn, &QueueId(8).encode(), &bytes).unwrap();
            let key = (AccountId(1), "friend@example.org".to_owned()).encode();
            tables.streaks.raw().db.put(&mut txn, &key, &postcard::to_stdvec(&streak).unwrap()).unwrap();
            tables.meta.put(&mut txn, LAYOUT, &4_u32.to_be_bytes()).unwrap();
            txn.commit().unwrap();
        }
        let (store, _writer) = Store::open(dir.path(), options()).unwrap();
        store
            .read(|view| {
                let prefix = ReferenceKey::prefix(AccountId(1), "a@example.com");
                let found = view.tables.references.within(&view.txn, &prefix, None, 9)?;
                let ids: Vec<_> = found.iter().map(|(key, ())| key.id.0).collect();
                assert_eq!(ids, [7, 8]);
                let key = (AccountId(1), "friend@example.org".to_owned());
                let latest = view.tables.streaks.get(&view.txn, &key)?.unwrap().latest;
                let kept = Final { id: QueueId(5), until: Timestamp::from_millis(9), failed: true };
                assert_eq!(latest, [kept]);
                Ok(())
            })
            .unwrap();
    }
}
