//! Lists of hooks, a bounded slice at a time, in the order in which they were made.

use crate::{
    QueueFilter, StoreError, View,
    hook_filter::{HookFilter, RetiredHookFilter},
    list::{Slice, slice},
    records::{HookRecord, RetiredHookRecord},
    txn::Counters,
};
use mail::HookId;

/// Part of a list of hooks; it goes on behind a hook.
pub type HookSlice<R> = Slice<R, HookId, HookId>;

type Keys<'k> = Box<dyn Iterator<Item = Result<HookId, StoreError>> + 'k>;

impl View<'_> {
    /// The id of the hook that was made last.
    pub fn last_hook_id(&self) -> Result<HookId, StoreError> {
        Ok(HookId(Counters::read(&self.txn, self.tables)?.hook))
    }

    /// Pending hooks behind `after`, at most `limit`.
    pub fn hook_slice(
        &self,
        filter: &HookFilter,
        after: Option<HookId>,
        descending: bool,
        limit: usize,
    ) -> Result<HookSlice<HookRecord>, StoreError> {
        let keys: Keys<'_> = match filter.ids.is_empty() {
            true => self.tables.hooks.keys(&self.txn, after.as_ref(), descending)?,
            false => Box::new(given(&filter.ids, after, descending)),
        };
        let get = |id| self.tables.hooks.get(&self.txn, &id);
        slice(keys.map(twice), limit, get, |id, hook| filter.matches(id, hook))
    }

    /// Hooks that are done with behind `after`, at most `limit`.
    pub fn retired_hook_slice(
        &self,
        filter: &RetiredHookFilter,
        after: Option<HookId>,
        descending: bool,
        limit: usize,
    ) -> Result<HookSlice<RetiredHookRecord>, StoreError> {
        let keys: Keys<'_> = match filter.hook.ids.is_empty() {
            true => self.tables.retired_hooks.keys(&self.txn, after.as_ref(), descending)?,
            false => Box::new(given(&filter.hook.ids, after, descending)),
        };
        let get = |id| self.tables.retired_hooks.get(&self.txn, &id);
        slice(keys.map(twice), limit, get, |id, retired| filter.matches(id, retired))
    }
}

fn twice(id: Result<HookId, StoreError>) -> Result<(HookId, HookId), StoreError> {
    id.map(|id| (id, id))
}

/// The ids of a filter, as a table would have them.
fn given(
    ids: &[HookId],
    after: Option<HookId>,
    descending: bool,
) -> impl Iterator<Item = Result<HookId, StoreError>> + use<> {
    let mut ids: Vec<_> = ids.iter().copied().take(QueueFilter::IDS_MAX).collect();
    ids.sort_unstable();
    ids.dedup();
    if descending {
        ids.reverse();
    }
    let behind = move |id: &HookId| match after {
        None => true,
        Some(after) if descending => *id < after,
        Some(after) => *id > after,
    };
    ids.into_iter().filter(behind).map(Ok)
}
