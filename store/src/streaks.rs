//! The latest messages to an address of which one failed, for the rule of three failures in a row.
//!
//! Most addresses have no failure, and no streak. From the moment when there is one, it has every message to the address
//! that retires, up to three. A report makes a streak later than its message retired: what retired meanwhile is looked
//! up, or counts as something that may have been delivered.

use crate::{
    StoreError,
    queue::base_key,
    records::{Final, QueueRecord, RetiredRecord, Streak},
    txn::Txn,
};
use mail::{AccountId, QueueId, Timestamp};
use std::ops::Bound;

/// How many of the server's newest messages are looked through for those to one address: a few milliseconds, for the few
/// reports that need it.
const LOOKED_THROUGH: u64 = 1_000;

impl Txn<'_> {
    /// How many of the two latest other retired messages to the recipient of `id` failed. Only those count that history
    /// still has.
    pub(crate) fn failures_in_row(
        &self,
        id: QueueId,
        record: &QueueRecord,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let streak = self.tables.streaks.get(&self.rw, &base_key(record))?.unwrap_or_default();
        let others = streak.latest.iter().rev().filter(|last| last.id != id && last.until > now);
        Ok(others.take(2).take_while(|last| last.failed).count())
    }

    /// Keeps the streak of the recipient true when a message retires.
    pub(crate) fn note_streak(
        &mut self,
        id: QueueId,
        record: &QueueRecord,
        failed: bool,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = base_key(record);
        let streak = self.tables.streaks.get(&self.rw, &key)?;
        // Coming off the list starts a new row, so there is nothing to count while it is there.
        if failed && self.tables.suppressions.contains(&self.rw, &key)? {
            return self.forget_streak(&key);
        }
        // Without history there is no row; and most addresses have no failure to remember.
        if until <= now || (streak.is_none() && !failed) {
            return Ok(());
        }
        let mut latest = streak.unwrap_or_default().latest;
        latest.push(Final { id, until, failed });
        self.put_streak(&key, latest, now)
    }

    /// A report says that a message failed that had been delivered.
    pub(crate) fn note_late_failure(
        &mut self,
        retired: &RetiredRecord,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = base_key(&retired.message);
        if self.tables.suppressions.contains(&self.rw, &key)? {
            return Ok(());
        }
        let mut latest = self.tables.streaks.get(&self.rw, &key)?.unwrap_or_default().latest;
        // Of what retired after the first one, a failure apart, something may be missing.
        let known = usize::from(latest.first().is_some_and(|first| !first.failed));
        if let Some(last) = latest.iter_mut().skip(known).find(|last| last.id == retired.id) {
            last.failed = true;
            return self.put_streak(&key, latest, now);
        }
        match self.retired_since(retired, &latest)? {
            Some(since) => self.put_streak(&key, since, now),
            None if latest.is_empty() => {
                // A beginning, after which nothing will be missing.
                let first = Final { id: retired.id, until: retired.expires, failed: false };
                self.put_streak(&key, vec![first], now)
            }
            None => Ok(()),
        }
    }

    /// The message itself, as one that failed, and those to its base address that retired after it, in that order; `None`
    /// where that would be too many to look through. A failure that the streak does not have was forgotten on purpose.
    fn retired_since(
        &self,
        first: &RetiredRecord,
        streak: &[Final],
    ) -> Result<Option<Vec<Final>>, StoreError> {
        let before = QueueId(self.counters.queue.saturating_sub(LOOKED_THROUGH));
        if first.id <= before {
            return Ok(None);
        }
        let newest = self.tables.retired.from(&self.rw, Bound::Excluded(&before), LOOKED_THROUGH as usize)?;
        let mut since: Vec<RetiredRecord> = newest.into_iter().map(|(_, retired)| retired).collect();
        for last in streak.iter().filter(|last| last.id <= before) {
            since.extend(self.tables.retired.get(&self.rw, &last.id)?);
        }
        let key = base_key(&first.message);
        let place = |retired: &RetiredRecord| (retired.retired, retired.id);
        since.retain(|retired| {
            place(retired) >= place(first)
                && retired.message.account == key.0
                && base_key(&retired.message) == key
        });
        since.sort_by_key(place);
        let failed = |id| id == first.id || streak.iter().any(|last| last.id == id && last.failed);
        let last = |retired: RetiredRecord| Final {
            id: retired.id,
            until: retired.expires,
            failed: failed(retired.id),
        };
        Ok(Some(since.into_iter().map(last).collect()))
    }

    /// Removes messages that history no longer has, when one of them is removed.
    pub(crate) fn expire_streak(&mut self, record: &QueueRecord, now: Timestamp) -> Result<(), StoreError> {
        let key = base_key(record);
        let Some(streak) = self.tables.streaks.get(&self.rw, &key)? else { return Ok(()) };
        self.put_streak(&key, streak.latest, now)
    }

    /// Without a failure among three there is nothing to remember.
    fn put_streak(
        &mut self,
        key: &(AccountId, String),
        mut latest: Vec<Final>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        latest.retain(|last| last.until > now);
        let surplus = latest.len().saturating_sub(3);
        latest.drain(..surplus);
        let counts = latest.iter().any(|last| last.failed) || (1..3).contains(&latest.len());
        match counts {
            true => self.tables.streaks.put(&mut self.rw, key, &Streak { latest }),
            false => self.forget_streak(key),
        }
    }

    pub(crate) fn forget_streak_of(&mut self, record: &QueueRecord) -> Result<(), StoreError> {
        self.forget_streak(&base_key(record))
    }

    /// A look costs far less than a write, and most addresses have no streak.
    fn forget_streak(&mut self, key: &(AccountId, String)) -> Result<(), StoreError> {
        if self.tables.streaks.contains(&self.rw, key)? {
            self.tables.streaks.delete(&mut self.rw, key)?;
        }
        Ok(())
    }
}
