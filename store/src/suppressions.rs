//! Suppression lists, and the rule of three failures in a row.

use crate::{
    Refusal, StoreError,
    change::{Applied, NewSuppression},
    queue::base_key,
    records::{MessageOutcome, QueueRecord, SmtpAnswer, Streak, SuppressionRecord},
    txn::{Outcome, Txn},
};
use mail::{AccountId, BaseAddress, QueueId, SuppressionId, Timestamp, Verdict};

impl Txn<'_> {
    pub(crate) fn suppress(&mut self, new: &NewSuppression) -> Outcome<Applied> {
        let key = (new.account, BaseAddress::of(&new.address).to_string());
        if self.tables.suppressions.contains(&self.rw, &key)? {
            return Ok(Err(Refusal::Exists));
        }
        self.counters.suppression += 1;
        let id = SuppressionId(self.counters.suppression);
        let record = SuppressionRecord {
            id,
            created: new.now,
            original: new.address.clone(),
            reason: new.reason.clone(),
            source: new.source.clone(),
        };
        self.tables.suppressions.put(&mut self.rw, &key, &record)?;
        Ok(Ok(Applied::Suppressed(id)))
    }

    pub(crate) fn unsuppress(&mut self, account: AccountId, address: &BaseAddress) -> Outcome<Applied> {
        let key = (account, address.to_string());
        if !self.tables.suppressions.delete(&mut self.rw, &key)? {
            return Ok(Err(Refusal::NotFound));
        }
        // Whoever takes an address off the list gives it a fresh start.
        self.tables.streaks.delete(&mut self.rw, &key)?;
        Ok(Ok(Applied::Unsuppressed))
    }

    /// How many of the latest other retired messages to the recipient failed in a row, up to two. Only those
    /// count that history still has.
    pub(crate) fn failures_in_row(&self, record: &QueueRecord, now: Timestamp) -> Result<usize, StoreError> {
        let streak = self.tables.streaks.get(&self.rw, &base_key(record))?.unwrap_or_default();
        Ok(streak.failures.iter().filter(|(_, until)| *until > now).count())
    }

    /// Keeps the streak of the recipient true when a message retires.
    pub(crate) fn note_streak(
        &mut self,
        id: QueueId,
        record: &QueueRecord,
        outcome: MessageOutcome,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = base_key(record);
        match outcome {
            // Coming off the list starts a new row, so there is nothing to count while it is there.
            MessageOutcome::Failed { .. } if self.tables.suppressions.contains(&self.rw, &key)? => {
                self.forget_streak(&key)
            }
            // Without history there is no row.
            MessageOutcome::Failed { .. } if expires <= now => Ok(()),
            MessageOutcome::Failed { .. } => {
                let Streak { mut failures } = self.tables.streaks.get(&self.rw, &key)?.unwrap_or_default();
                failures.retain(|(_, until)| *until > now);
                failures.push((id, expires));
                let surplus = failures.len().saturating_sub(2);
                failures.drain(..surplus);
                self.tables.streaks.put(&mut self.rw, &key, &Streak { failures })
            }
            MessageOutcome::Delivered | MessageOutcome::Suppressed | MessageOutcome::Canceled => {
                self.forget_streak(&key)
            }
        }
    }

    /// Removes failures that history no longer has, when the message of one of them is removed.
    pub(crate) fn expire_streak(&mut self, record: &QueueRecord, now: Timestamp) -> Result<(), StoreError> {
        let key = base_key(record);
        let Some(Streak { mut failures }) = self.tables.streaks.get(&self.rw, &key)? else { return Ok(()) };
        let before = failures.len();
        failures.retain(|(_, until)| *until > now);
        if failures.is_empty() {
            self.tables.streaks.delete(&mut self.rw, &key)?;
        } else if failures.len() < before {
            self.tables.streaks.put(&mut self.rw, &key, &Streak { failures })?;
        }
        Ok(())
    }

    /// A look costs far less than a write, and most addresses have no streak.
    fn forget_streak(&mut self, key: &(AccountId, String)) -> Result<(), StoreError> {
        if self.tables.streaks.contains(&self.rw, key)? {
            self.tables.streaks.delete(&mut self.rw, key)?;
        }
        Ok(())
    }
}

/// Why an entry was made by itself: `550 5.1.1 no such user (mailbox, permanent)`.
pub(crate) fn automatic_reason(
    answer: Option<&SmtpAnswer>,
    verdict: Option<Verdict>,
    third_in_row: bool,
) -> String {
    use std::fmt::Write;
    let mut reason = String::new();
    if let Some(answer) = answer {
        let _ = write!(reason, "{}", answer.code);
        if let Some(enhanced) = answer.enhanced {
            let _ = write!(reason, " {enhanced}");
        }
        let _ = write!(reason, " {}", answer.text);
    }
    if let Some(verdict) = verdict {
        let _ = write!(reason, " ({verdict})");
    }
    if third_in_row {
        reason.push_str("; third failure in a row");
    }
    reason
}
