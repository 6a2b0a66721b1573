//! The event log.

use crate::{
    StoreError,
    records::{EventKind, LoggedEvent},
    txn::Txn,
    view::View,
};
use mail::{AccountId, EventSeq};

/// A stretch of an account's event log.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSlice {
    /// The events that were wanted, in order.
    pub events: Vec<(EventSeq, LoggedEvent)>,
    /// The last event that was looked at; what comes next is behind it.
    pub last: EventSeq,
    /// The log goes on behind that.
    pub more: bool,
}

/// Events that are read at a time.
const PAGE: usize = 100;

impl Txn<'_> {
    pub(crate) fn log_event(&mut self, account: AccountId, event: &LoggedEvent) -> Result<(), StoreError> {
        let seq = EventSeq(self.next_event(account)?);
        self.touched.event_logs.insert(account);
        self.tables.events.put(&mut self.rw, &(account, seq), event)
    }
}

impl View<'_> {
    /// What an account's event log has behind `after` of the kinds that are `wanted`: at most `limit` events, and not
    /// many more than `looks` are looked at. A place behind the end of the log counts as its end.
    pub fn event_slice(
        &self,
        account: AccountId,
        after: EventSeq,
        wanted: impl Fn(EventKind) -> bool,
        limit: usize,
        looks: usize,
    ) -> Result<EventSlice, StoreError> {
        let next = self.tables.event_heads.get(&self.txn, &account)?.unwrap_or(1);
        let end = EventSeq(next - 1);
        let mut slice = EventSlice { events: Vec::new(), last: after.min(end), more: true };
        let mut looked_at = 0;
        while slice.events.len() < limit && looked_at < looks {
            let page = self.events(account, slice.last, PAGE)?;
            if page.is_empty() {
                // Retention may have removed even the newest.
                slice.last = end;
                break;
            }
            for (seq, event) in page {
                if slice.events.len() == limit {
                    break;
                }
                slice.last = seq;
                looked_at += 1;
                if wanted(event.event.kind) {
                    slice.events.push((seq, event));
                }
            }
        }
        slice.more = slice.last < end;
        Ok(slice)
    }
}
