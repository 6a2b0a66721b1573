//! The due index: what is to be done, in which group, for which account, from when on. Queue and hooks share it.

use crate::{
    StoreError,
    keys::{DueKey, Key, cut, time_bytes},
    tables::Raw,
};
use heed::{RoRange, RoTxn, RwTxn, types::Bytes};
use mail::{AccountId, Timestamp};
use std::ops::Bound;

pub(crate) struct DueIndex(Raw);

/// What one account has in a group, in order.
type Queue<'t> = RoRange<'t, Bytes, Bytes>;

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

    /// Ids of a group that are due at `now`, without those for which `skip` says so, at most `limit`. Accounts take
    /// turns, each with its oldest first. Costs a seek an account of the group, and what is returned and skipped,
    /// never the length of the index.
    pub(crate) fn due(
        &self,
        txn: &RoTxn<'_>,
        group: &str,
        now: Timestamp,
        limit: usize,
        skip: impl Fn(u64) -> bool,
    ) -> Result<Vec<u64>, StoreError> {
        let mut accounts = Vec::new();
        self.for_each_account(txn, group, |first| {
            if first.at <= now {
                accounts.push(first.account);
            }
        })?;
        // Where not even one of each fits, the clock says who is first, so that nobody is always last.
        if accounts.len() > limit {
            let first = now.as_millis().rem_euclid(accounts.len() as i64);
            accounts.rotate_left(first as usize);
        }
        let mut ids = Vec::new();
        let opened = accounts.into_iter().map(|account| self.of_account(txn, group, account, None));
        let mut queues = self.take_turns(opened, now, limit, &skip, &mut ids)?;
        while !queues.is_empty() {
            queues = self.take_turns(queues.into_iter().map(Ok), now, limit, &skip, &mut ids)?;
        }
        Ok(ids)
    }

    /// Takes one id of each queue, until there are `limit`; returns the queues that had one.
    fn take_turns<'t>(
        &self,
        queues: impl Iterator<Item = Result<Queue<'t>, StoreError>>,
        now: Timestamp,
        limit: usize,
        skip: impl Fn(u64) -> bool,
        ids: &mut Vec<u64>,
    ) -> Result<Vec<Queue<'t>>, StoreError> {
        let mut with_more = Vec::new();
        for queue in queues {
            if ids.len() >= limit {
                return Ok(Vec::new());
            }
            let mut queue = queue?;
            if let Some(id) = self.next_due(&mut queue, now, &skip)? {
                ids.push(id);
                with_more.push(queue);
            }
        }
        Ok(with_more)
    }

    /// The time of the group's earliest entry after `after`. Costs a seek an account.
    pub(crate) fn next(
        &self,
        txn: &RoTxn<'_>,
        group: &str,
        after: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let after = after.map(|time| Timestamp::from_millis(time.as_millis().saturating_add(1)));
        let mut firsts = Vec::new();
        self.for_each_account(txn, group, |first| firsts.push(first))?;
        let mut earliest = None;
        for first in firsts {
            let at = match after {
                Some(after) if first.at < after => {
                    match self.of_account(txn, group, first.account, Some(after))?.next() {
                        Some(entry) => self.decode(entry?.0)?.at,
                        None => continue,
                    }
                }
                _ => first.at,
            };
            earliest = Some(earliest.map_or(at, |earliest: Timestamp| earliest.min(at)));
        }
        Ok(earliest)
    }

    /// Groups that sort after `after`, each with the time of its earliest entry, at most `limit`. A seek for each
    /// account of a group, however many entries it has.
    pub(crate) fn groups(
        &self,
        txn: &RoTxn<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let mut groups: Vec<(String, Timestamp)> = Vec::new();
        let mut start = after.map(past_group);
        while let Some(first) = self.first_from(txn, start.as_deref())? {
            start = Some(past_account(&first.group, first.account));
            let full = groups.len() >= limit;
            match groups.last_mut() {
                Some((group, at)) if *group == first.group => *at = (*at).min(first.at),
                _ if full => break,
                _ => groups.push((first.group, first.at)),
            }
        }
        Ok(groups)
    }

    /// Tells the earliest entry of each account of a group.
    fn for_each_account(
        &self,
        txn: &RoTxn<'_>,
        group: &str,
        mut tell: impl FnMut(DueKey),
    ) -> Result<(), StoreError> {
        let mut start = [cut(group).as_bytes(), &[0]].concat();
        while let Some(first) = self.first_from(txn, Some(&start))?
            && first.group == cut(group)
        {
            start = past_account(group, first.account);
            tell(first);
        }
        Ok(())
    }

    fn first_from(&self, txn: &RoTxn<'_>, start: Option<&[u8]>) -> Result<Option<DueKey>, StoreError> {
        let range = (start.map_or(Bound::Unbounded, Bound::Included), Bound::Unbounded);
        self.0.db.range(txn, &range)?.next().map(|entry| self.decode(entry?.0)).transpose()
    }

    fn of_account<'t>(
        &self,
        txn: &'t RoTxn<'_>,
        group: &str,
        account: AccountId,
        from: Option<Timestamp>,
    ) -> Result<Queue<'t>, StoreError> {
        let mut start = [cut(group).as_bytes(), &[0], &account.0.to_be_bytes()].concat();
        if let Some(from) = from {
            start.extend_from_slice(&time_bytes(from));
        }
        let end = past_account(group, account);
        Ok(self.0.db.range(txn, &(Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice())))?)
    }

    /// The next id of one account that is due and not skipped.
    fn next_due(
        &self,
        queue: &mut Queue<'_>,
        now: Timestamp,
        skip: impl Fn(u64) -> bool,
    ) -> Result<Option<u64>, StoreError> {
        for entry in queue {
            let key = self.decode(entry?.0)?;
            if key.at > now {
                break;
            }
            if !skip(key.id) {
                return Ok(Some(key.id));
            }
        }
        Ok(None)
    }

    fn decode(&self, key: &[u8]) -> Result<DueKey, StoreError> {
        DueKey::decode(key).ok_or(StoreError::Damaged { table: self.0.name })
    }
}

/// The first key behind all of a group's. Groups have no zero byte, so byte 1 closes them.
fn past_group(group: &str) -> Vec<u8> {
    [cut(group).as_bytes(), &[1]].concat()
}

/// The first key behind all of an account's in a group.
fn past_account(group: &str, account: AccountId) -> Vec<u8> {
    match account.0.checked_add(1) {
        Some(next) => [cut(group).as_bytes(), &[0], &next.to_be_bytes()].concat(),
        None => past_group(group),
    }
}
