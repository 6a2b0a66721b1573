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

    /// Removes an account, its mailboxes, suppression list, events and counts. Its history expires as it would have.
    pub(crate) fn remove_account(&mut self, id: AccountId) -> Result<(), StoreError> {
        let tables = self.tables;
        let mailboxes = tables.mailboxes.within(&self.rw, &id.encode(), None, usize::MAX)?;
        for (key, _) in mailboxes {
            self.remove_mailbox_messages(key.1)?;
            tables.mailboxes.delete(&mut self.rw, &key)?;
        }
        self.remove_of(&tables.suppressions, id)?;
        self.remove_of(&tables.streaks, id)?;
        self.remove_of(&tables.events, id)?;
        self.remove_of(&tables.sent, id)?;
        self.remove_of(&tables.known_recipients, id)?;
        for (key, rule) in tables.hold_rules.from(&self.rw, Bound::Unbounded, usize::MAX)? {
            if rule.account == Some(id) {
                tables.hold_rules.delete(&mut self.rw, &key)?;
            }
        }
        self.hold_rules = None;
        // Counts of this transaction are not to be written again at its end.
        self.usages.remove(&id);
        tables.usage.delete(&mut self.rw, &id)?;
        self.event_heads.remove(&id);
        tables.event_heads.delete(&mut self.rw, &id)?;
        tables.accounts.delete(&mut self.rw, &id)?;
        Ok(())
    }

    fn remove_mailbox_messages(&mut self, mailbox: MailboxId) -> Result<(), StoreError> {
        loop {
            let prefix = mailbox.0.to_be_bytes();
            let page = self.tables.mailbox_messages.within(&self.rw, &prefix, None, PAGE)?;
            if page.is_empty() {
                return Ok(());
            }
            for ((_, msg), ()) in page {
                match self.tables.messages.get(&self.rw, &msg)? {
                    Some(record) => self.remove_message(msg, &record)?,
                    None => return Err(StoreError::Damaged { table: "mailbox_messages" }),
                }
            }
        }
    }

    fn remove_of<K: Key, V: Serialize + DeserializeOwned>(
        &mut self,
        table: &Table<K, V>,
        account: AccountId,
    ) -> Result<(), StoreError> {
        loop {
            let page = table.within(&self.rw, &account.encode(), None, PAGE)?;
            if page.is_empty() {
                return Ok(());
            }
            for (key, _) in page {
                table.delete(&mut self.rw, &key)?;
            }
        }
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
