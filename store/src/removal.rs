//! What goes with an account.

use crate::{StoreError, keys::Key, tables::Table, txn::Txn};
use mail::{AccountId, Domain, MailboxId};
use serde::{Serialize, de::DeserializeOwned};
use std::ops::Bound;

/// Records that are read at a time.
const PAGE: usize = 1_000;

impl Txn<'_> {
    /// Whether mail of these accounts or from these domains is queued, or calls to webhooks of the accounts are
    /// pending. Reads all of the queue where there is none: removals are rare.
    pub(crate) fn has_work(&self, accounts: &[AccountId], domains: &[Domain]) -> Result<bool, StoreError> {
        if accounts.is_empty() && domains.is_empty() {
            return Ok(false);
        }
        let queued = any(self, &self.tables.queue, |message| {
            let domain = message.mail_from.address().map(|address| address.domain());
            accounts.contains(&message.account) || domain.is_some_and(|domain| domains.contains(domain))
        })?;
        Ok(queued || any(self, &self.tables.hooks, |hook| accounts.contains(&hook.account))?)
    }

    /// Removes an account. What was its own can be a lot, and is swept in pieces later: nobody finds it any more, since
    /// no other account gets its id. Its history expires as it would have.
    pub(crate) fn remove_account(&mut self, id: AccountId) -> Result<(), StoreError> {
        let tables = self.tables;
        for (key, rule) in tables.hold_rules.from(&self.rw, Bound::Unbounded, usize::MAX)? {
            if rule.account == Some(id) {
                tables.hold_rules.delete(&mut self.rw, &key)?;
            }
        }
        self.hold_rules = None;
        self.remove_usage(id)?;
        tables.accounts.delete(&mut self.rw, &id)?;
        tables.leaving.put(&mut self.rw, &id, &())
    }

    /// Removes at most `limit` records of accounts that were removed; returns how many.
    pub(crate) fn sweep_leaving(&mut self, limit: usize) -> Result<usize, StoreError> {
        let mut removed = 0;
        for (id, ()) in self.tables.leaving.from(&self.rw, Bound::Unbounded, limit)? {
            removed += self.sweep_account(id, limit - removed)?;
            if removed == limit {
                break;
            }
            self.tables.leaving.delete(&mut self.rw, &id)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Removes mailboxes, suppression list, events and counts of an account, the whole of them where that is less than
    /// `limit` records.
    fn sweep_account(&mut self, id: AccountId, limit: usize) -> Result<usize, StoreError> {
        let tables = self.tables;
        let mailboxes = tables.mailboxes.within(&self.rw, &id.encode(), None, usize::MAX)?;
        let mut removed = 0;
        for ((_, mailbox), _) in &mailboxes {
            removed += self.remove_mailbox_messages(*mailbox, limit - removed)?;
        }
        removed += self.remove_of(&tables.suppressions, id, limit - removed)?;
        removed += self.remove_of(&tables.streaks, id, limit - removed)?;
        removed += self.remove_of(&tables.events, id, limit - removed)?;
        removed += self.remove_of(&tables.sent, id, limit - removed)?;
        removed += self.remove_of(&tables.known_recipients, id, limit - removed)?;
        self.remove_usage(id)?;
        if removed < limit {
            for (key, _) in &mailboxes {
                tables.mailboxes.delete(&mut self.rw, key)?;
            }
            self.event_heads.remove(&id);
            tables.event_heads.delete(&mut self.rw, &id)?;
        }
        Ok(removed)
    }

    fn remove_usage(&mut self, id: AccountId) -> Result<(), StoreError> {
        // Counts of this transaction are not to be written again at its end.
        self.usages.remove(&id);
        self.tables.usage.delete(&mut self.rw, &id)?;
        Ok(())
    }

    fn remove_mailbox_messages(&mut self, mailbox: MailboxId, limit: usize) -> Result<usize, StoreError> {
        let prefix = mailbox.0.to_be_bytes();
        let page = self.tables.mailbox_messages.within(&self.rw, &prefix, None, limit)?;
        for ((_, msg), ()) in &page {
            match self.tables.messages.get(&self.rw, msg)? {
                Some(record) => self.remove_message(*msg, &record)?,
                None => return Err(StoreError::Damaged { table: "mailbox_messages" }),
            }
        }
        Ok(page.len())
    }

    fn remove_of<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        account: AccountId,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let page = table.within(&self.rw, &account.encode(), None, limit)?;
        for (key, _) in &page {
            table.delete(&mut self.rw, key)?;
        }
        Ok(page.len())
    }
}

fn any<K: Key, V: Serialize + DeserializeOwned>(
    txn: &Txn<'_>,
    table: &Table<K, V>,
    holds: impl Fn(&V) -> bool,
) -> Result<bool, StoreError> {
    let mut page = table.from(&txn.rw, Bound::Unbounded, PAGE)?;
    loop {
        if page.iter().any(|(_, record)| holds(record)) {
            return Ok(true);
        }
        match page.last() {
            Some((last, _)) => page = table.from(&txn.rw, Bound::Excluded(last), PAGE)?,
            None => return Ok(false),
        }
    }
}
