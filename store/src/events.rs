//! The event log.

use crate::{StoreError, records::EventRecord, txn::Txn};
use mail::{AccountId, EventSeq};

impl Txn<'_> {
    pub(crate) fn log_event(&mut self, account: AccountId, event: &EventRecord) -> Result<(), StoreError> {
        let seq = EventSeq(self.next_event(account)?);
        self.tables.events.put(&mut self.rw, &(account, seq), event)
    }
}
