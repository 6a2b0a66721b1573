//! The due index: what is to be done, in which group, from when on. Queue and hooks share it.

use crate::{
    StoreError,
    keys::{DueKey, Key, cut, time_bytes},
    tables::Raw,
};
use heed::{RoTxn, RwTxn};
use mail::Timestamp;
use std::ops::Bound;

pub(crate) struct DueIndex(Raw);

impl From<Raw> for DueIndex {
    fn from(raw: Raw) -> Self {
        DueIndex(raw)
    }
}

impl DueIndex {
    pub(crate) fn raw(&self) -> Raw {
        self.0
    }

    pub(crate) fn insert(&self, txn: &mut RwTxn<'_>, key: &DueKey) -> Result<(), StoreError> {
        Ok(self.0.db.put(txn, &key.encode(), &[])?)
    }

    pub(crate) fn remove(&self, txn: &mut RwTxn<'_>, key: &DueKey) -> Result<bool, StoreError> {
        Ok(self.0.db.delete(txn, &key.encode())?)
    }

    pub(crate) fn len(&self, txn: &RoTxn<'_>) -> Result<u64, StoreError> {
        Ok(self.0.db.len(txn)?)
    }

    /// Ids of a group that are due at `now`, oldest first, without those for which `skip` says so, at most
    /// `limit`. Costs what is returned and skipped, never the length of the index.
    pub(crate) fn due(
        &self,
        txn: &RoTxn<'_>,
        group: &str,
        now: Timestamp,
        limit: usize,
        skip: impl Fn(u64) -> bool,
    ) -> Result<Vec<u64>, StoreError> {
        let mut ids = Vec::new();
        for entry in self.in_group(txn, group, None)? {
            let key = self.decode(entry?.0)?;
            if key.at > now || ids.len() >= limit {
                break;
            }
            if !skip(key.id) {
                ids.push(key.id);
            }
        }
        Ok(ids)
    }

    /// The time of the group's earliest entry after `after`.
    pub(crate) fn next(
        &self,
        txn: &RoTxn<'_>,
        group: &str,
        after: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let after = after.map(|time| Timestamp::from_millis(time.as_millis().saturating_add(1)));
        let first = self.in_group(txn, group, after)?.next().transpose()?;
        Ok(first.map(|(key, _)| self.decode(key)).transpose()?.map(|key| key.at))
    }

    /// Groups that sort after `after`, each with the time of its earliest entry, at most `limit`. One seek
    /// a group, however many entries it has.
    pub(crate) fn groups(
        &self,
        txn: &RoTxn<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let mut groups = Vec::new();
        let mut start = after.map(past_group);
        while groups.len() < limit {
            let first = start.as_deref().map_or(Bound::Unbounded, Bound::Included);
            let range = (first, Bound::Unbounded);
            let Some(entry) = self.0.db.range(txn, &range)?.next() else { break };
            let key = self.decode(entry?.0)?;
            start = Some(past_group(&key.group));
            groups.push((key.group, key.at));
        }
        Ok(groups)
    }

    fn in_group<'t>(
        &self,
        txn: &'t RoTxn<'_>,
        group: &str,
        from: Option<Timestamp>,
    ) -> Result<heed::RoRange<'t, heed::types::Bytes, heed::types::Bytes>, StoreError> {
        let mut start = [cut(group).as_bytes(), &[0]].concat();
        if let Some(from) = from {
            start.extend_from_slice(&time_bytes(from));
        }
        let end = past_group(group);
        Ok(self.0.db.range(txn, &(Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice())))?)
    }

    fn decode(&self, key: &[u8]) -> Result<DueKey, StoreError> {
        DueKey::decode(key).ok_or(StoreError::Damaged { table: self.0.name })
    }
}

/// The first key behind all of a group's. Groups have no zero byte, so byte 1 closes them.
fn past_group(group: &str) -> Vec<u8> {
    [cut(group).as_bytes(), &[1]].concat()
}
