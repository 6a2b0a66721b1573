//! MTA-STS policies, kept until they end.

use crate::{
    StoreError, View,
    change::Applied,
    records::StsPolicyRecord,
    txn::{Outcome, Txn},
};
use mail::{Domain, Timestamp};
use std::ops::Bound;

impl Txn<'_> {
    pub(crate) fn put_sts_policy(
        &mut self,
        domain: &Domain,
        policy: Option<&StsPolicyRecord>,
    ) -> Outcome<Applied> {
        let name = domain.as_ascii().to_owned();
        if let Some(before) = self.tables.sts_policies.get(&self.rw, &name)? {
            self.tables.sts_expiry.delete(&mut self.rw, &(before.expires, name.clone()))?;
        }
        match policy {
            Some(policy) => {
                self.tables.sts_policies.put(&mut self.rw, &name, policy)?;
                self.tables.sts_expiry.put(&mut self.rw, &(policy.expires, name), &())?;
            }
            None => {
                self.tables.sts_policies.delete(&mut self.rw, &name)?;
            }
        }
        Ok(Ok(Applied::StsPolicyPut))
    }

    /// Removes policies that ended, at most `limit`; returns how many.
    pub(crate) fn sweep_sts_policies(&mut self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let ended = self.tables.sts_expiry.from(&self.rw, Bound::Unbounded, limit)?;
        let mut removed = 0;
        for (key, ()) in ended.into_iter().take_while(|((expires, _), ())| *expires <= now) {
            self.tables.sts_policies.delete(&mut self.rw, &key.1)?;
            self.tables.sts_expiry.delete(&mut self.rw, &key)?;
            removed += 1;
        }
        Ok(removed)
    }
}

impl View<'_> {
    /// The MTA-STS policy of a domain. One that has ended may still be there: see its `expires`.
    pub fn sts_policy(&self, domain: &Domain) -> Result<Option<StsPolicyRecord>, StoreError> {
        self.tables.sts_policies.get(&self.txn, &domain.as_ascii().to_owned())
    }

    /// Whether a policy has ended.
    pub(crate) fn has_ended_sts_policy(&self, now: Timestamp) -> Result<bool, StoreError> {
        let first = self.tables.sts_expiry.from(&self.txn, Bound::Unbounded, 1)?;
        Ok(first.first().is_some_and(|((expires, _), ())| *expires <= now))
    }
}
