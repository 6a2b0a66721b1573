//! What accounts use of their limits: recipients of the last 24 hours, and room in mailboxes.
//!
//! Recipients are counted by the second in which they were queued, and each second counts until 24 hours after its
//! end. A commit touches one record an account and second, however many messages it queues.

use crate::{
    Refusal, StoreError, View,
    change::Submission,
    keys::Key,
    records::{AccountRecord, Recipients, UsageRecord},
    tables::Tables,
    txn::{Outcome, Txn},
};
use heed::RoTxn;
use mail::{AccountId, Address, BaseAddress, Timestamp};
use std::{
    collections::{BTreeSet, hash_map::Entry},
    ops::{AddAssign, SubAssign},
    time::Duration,
};

/// How long a recipient counts.
const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Seconds that are taken off when an account is touched. More than one, so that what is kept never grows; and few,
/// so that the first message after a quiet day costs no more than others.
const EXPIRED_AT_ONCE: usize = 100;
/// Seconds that are read at a time.
const PAGE: usize = 16;

/// The usage of an account within a transaction, written when that is committed.
#[derive(Default)]
pub(crate) struct OpenUsage {
    record: UsageRecord,
    /// The second that is counted, and its recipients.
    second: Option<(Timestamp, Recipients)>,
}

impl Txn<'_> {
    /// Counts the recipients of a submission, unless they are more than its account may send to.
    pub(crate) fn count_recipients(
        &mut self,
        submission: &Submission,
        account: &AccountRecord,
    ) -> Outcome<()> {
        let Submission { account: id, now, .. } = *submission;
        let recipients = submission.recipients.iter().map(|recipient| &recipient.address);
        let new = NewRecipients::of(account, id, recipients, self.tables, &self.rw)?;
        self.count_from(id, now)?;
        let mut allowed = check(account, self.usage(id)?.record.sent, new.count);
        if allowed.is_err() {
            self.take_off_expired(id, now, usize::MAX)?;
            allowed = check(account, self.usage(id)?.record.sent, new.count);
        }
        if let Err(refusal) = allowed {
            return Ok(Err(refusal));
        }
        let usage = self.usage(id)?;
        usage.record.sent += new.count;
        if let Some((_, in_second)) = &mut usage.second {
            *in_second += new.count;
        }
        for base in new.first_time {
            self.tables.known_recipients.put(&mut self.rw, &(id, base), &())?;
        }
        Ok(Ok(()))
    }

    /// Whether so many octets more fit in the account's mailboxes.
    pub(crate) fn fits_quota(&mut self, id: AccountId, bytes: u64) -> Result<bool, StoreError> {
        let quota = self.account(id)?.and_then(|account| account.mailbox_quota);
        let Some(quota) = quota else { return Ok(true) };
        Ok(self.usage(id)?.record.mailbox_bytes.saturating_add(bytes) <= quota)
    }

    pub(crate) fn count_stored(&mut self, id: AccountId, bytes: u64) -> Result<(), StoreError> {
        let record = &mut self.usage(id)?.record;
        record.mailbox_messages += 1;
        record.mailbox_bytes += bytes;
        Ok(())
    }

    pub(crate) fn count_removed(&mut self, id: AccountId, bytes: u64) -> Result<(), StoreError> {
        let record = &mut self.usage(id)?.record;
        record.mailbox_messages = record.mailbox_messages.saturating_sub(1);
        record.mailbox_bytes = record.mailbox_bytes.saturating_sub(bytes);
        Ok(())
    }

    /// Writes what was counted.
    pub(crate) fn write_usages(&mut self) -> Result<(), StoreError> {
        for (id, usage) in std::mem::take(&mut self.usages) {
            self.tables.usage.put(&mut self.rw, &id, &usage.record)?;
            self.write_second(id, usage.second)?;
        }
        Ok(())
    }

    fn usage(&mut self, id: AccountId) -> Result<&mut OpenUsage, StoreError> {
        match self.usages.entry(id) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let record = self.tables.usage.get(&self.rw, &id)?.unwrap_or_default();
                Ok(entry.insert(OpenUsage { record, second: None }))
            }
        }
    }

    /// Counts in the second of `now` from here on.
    fn count_from(&mut self, id: AccountId, now: Timestamp) -> Result<(), StoreError> {
        let second = second_of(now);
        let before = self.usage(id)?.second;
        if before.is_some_and(|(counted, _)| counted == second) {
            return Ok(());
        }
        self.write_second(id, before)?;
        self.take_off_expired(id, now, EXPIRED_AT_ONCE)?;
        let in_second = self.tables.sent.get(&self.rw, &(id, second))?.unwrap_or_default();
        self.usage(id)?.second = Some((second, in_second));
        Ok(())
    }

    fn write_second(
        &mut self,
        id: AccountId,
        second: Option<(Timestamp, Recipients)>,
    ) -> Result<(), StoreError> {
        match second {
            Some((second, recipients)) if recipients.all > 0 => {
                self.tables.sent.put(&mut self.rw, &(id, second), &recipients)
            }
            _ => Ok(()),
        }
    }

    fn take_off_expired(&mut self, id: AccountId, now: Timestamp, limit: usize) -> Result<(), StoreError> {
        for (key, recipients) in expired(self.tables, &self.rw, id, now, limit)? {
            self.tables.sent.delete(&mut self.rw, &key)?;
            self.usage(id)?.record.sent -= recipients;
        }
        Ok(())
    }
}

impl View<'_> {
    /// Whether the account may send to these recipients now. Others may queue messages before the answer is used: the
    /// change that queues the message is checked again.
    ///
    /// # Errors
    /// When the database cannot be read; the inner one is why it may not.
    pub fn may_send<'a>(
        &self,
        id: AccountId,
        account: &AccountRecord,
        recipients: impl Iterator<Item = &'a Address>,
        now: Timestamp,
    ) -> Outcome<()> {
        if account.max_outgoing_messages_per_day.is_none()
            && account.max_first_time_recipients_per_day.is_none()
        {
            return Ok(Ok(()));
        }
        let new = NewRecipients::of(account, id, recipients, self.tables, &self.txn)?;
        let sent = self.tables.usage.get(&self.txn, &id)?.unwrap_or_default().sent;
        match check(account, sent, new.count) {
            Ok(()) => Ok(Ok(())),
            Err(_) => Ok(check(account, self.usage(id, now)?.sent, new.count)),
        }
    }

    /// What an account uses of its limits at `now`.
    pub fn usage(&self, id: AccountId, now: Timestamp) -> Result<UsageRecord, StoreError> {
        let mut usage = self.tables.usage.get(&self.txn, &id)?.unwrap_or_default();
        for (_, recipients) in expired(self.tables, &self.txn, id, now, usize::MAX)? {
            usage.sent -= recipients;
        }
        Ok(usage)
    }

    /// Whether nothing more is taken into the account's mailboxes.
    pub fn is_over_quota(&self, id: AccountId, account: &AccountRecord) -> Result<bool, StoreError> {
        let Some(quota) = account.mailbox_quota else { return Ok(false) };
        Ok(self.tables.usage.get(&self.txn, &id)?.unwrap_or_default().mailbox_bytes >= quota)
    }
}

/// What a message adds to the recipients of its account.
struct NewRecipients {
    count: Recipients,
    /// Base addresses to which the account never sent.
    first_time: BTreeSet<String>,
}

impl NewRecipients {
    fn of<'a>(
        account: &AccountRecord,
        id: AccountId,
        recipients: impl Iterator<Item = &'a Address>,
        tables: &Tables,
        txn: &RoTxn<'_>,
    ) -> Result<NewRecipients, StoreError> {
        let mut new = NewRecipients { count: Recipients::default(), first_time: BTreeSet::new() };
        for address in recipients {
            new.count.all += 1;
            if account.max_first_time_recipients_per_day.is_some() {
                let key = (id, BaseAddress::of(address).to_string());
                if !tables.known_recipients.contains(txn, &key)? {
                    new.first_time.insert(key.1);
                }
            }
        }
        new.count.first_time = new.first_time.len() as u64;
        Ok(new)
    }
}

/// Whether an account that sent to `sent` may send to `new` as well.
fn check(account: &AccountRecord, sent: Recipients, new: Recipients) -> Result<(), Refusal> {
    let exceeded = |max: Option<u64>, sent: u64, new: u64| max.filter(|max| new > 0 && sent + new > *max);
    if let Some(max) = exceeded(account.max_outgoing_messages_per_day, sent.all, new.all) {
        return Err(Refusal::MessageLimit(max));
    }
    if let Some(max) = exceeded(account.max_first_time_recipients_per_day, sent.first_time, new.first_time) {
        return Err(Refusal::RecipientLimit(max));
    }
    Ok(())
}

/// An entry of the table of recipients by second.
type CountedSecond = ((AccountId, Timestamp), Recipients);

/// Seconds that count no longer at `now`, oldest first.
fn expired(
    tables: &Tables,
    txn: &RoTxn<'_>,
    id: AccountId,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<CountedSecond>, StoreError> {
    let mut found: Vec<CountedSecond> = Vec::new();
    loop {
        // In small pages: most often, not even the first is expired.
        let page_size = PAGE.min(limit - found.len());
        let page = tables.sent.within(txn, &id.encode(), found.last().map(|(key, _)| key), page_size)?;
        let expired = page.iter().take_while(|((_, second), _)| is_expired(*second, now)).count();
        found.extend(page.into_iter().take(expired));
        if expired < PAGE || found.len() == limit {
            return Ok(found);
        }
    }
}

fn is_expired(second: Timestamp, now: Timestamp) -> bool {
    second.after(WINDOW + Duration::from_secs(1)) <= now
}

fn second_of(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_secs() * 1000)
}

impl AddAssign for Recipients {
    fn add_assign(&mut self, other: Recipients) {
        self.all += other.all;
        self.first_time += other.first_time;
    }
}

impl SubAssign for Recipients {
    fn sub_assign(&mut self, other: Recipients) {
        self.all = self.all.saturating_sub(other.all);
        self.first_time = self.first_time.saturating_sub(other.first_time);
    }
}
