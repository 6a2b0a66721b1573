//! The index of the names by which what comes back refers to messages: Message-IDs, and envelope ids that differ.

use crate::{StoreError, keys::ReferenceKey, records::QueueRecord, txn::Txn};
use mail::QueueId;

impl Txn<'_> {
    pub(crate) fn refer(&mut self, id: QueueId, record: &QueueRecord) -> Result<(), StoreError> {
        for key in keys(id, record) {
            self.tables.references.put(&mut self.rw, &key, &())?;
        }
        Ok(())
    }

    pub(crate) fn forget_references(&mut self, id: QueueId, record: &QueueRecord) -> Result<(), StoreError> {
        for key in keys(id, record) {
            self.tables.references.delete(&mut self.rw, &key)?;
        }
        Ok(())
    }
}

fn keys(id: QueueId, record: &QueueRecord) -> impl Iterator<Item = ReferenceKey> + use<> {
    let message_id = without_brackets(&record.message_id).to_owned();
    let envid = record.dsn.envid.clone().filter(|envid| *envid != message_id);
    let account = record.account;
    [Some(message_id), envid].into_iter().flatten().map(move |name| ReferenceKey::new(account, &name, id))
}

/// A Message-ID as an envelope id has it.
pub(crate) fn without_brackets(message_id: &str) -> &str {
    message_id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(message_id)
}
