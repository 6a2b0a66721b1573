//! Retention: removing what is no longer kept, a bounded piece at a time.

use crate::{
    StoreError,
    change::{Applied, Sweep},
    keys::{Expiring, ExpiryKey, Key},
    txn::{Outcome, Txn},
};
use mail::Timestamp;
use std::ops::Bound;

impl Txn<'_> {
    pub(crate) fn sweep(&mut self, sweep: &Sweep) -> Outcome<Applied> {
        let mut removed = self.sweep_retired(sweep.now, sweep.limit)?;
        removed += self.sweep_sts_policies(sweep.now, sweep.limit - removed)?;
        removed += self.sweep_repeats(sweep.now, sweep.limit - removed)?;
        removed += self.sweep_leaving(sweep.limit - removed)?;
        removed += self.sweep_events(sweep.events_before, sweep.limit - removed)?;
        Ok(Ok(Applied::Swept(removed)))
    }

    fn sweep_retired(&mut self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let expired: Vec<ExpiryKey> = self
            .tables
            .expiry
            .from(&self.rw, Bound::Unbounded, limit)?
            .into_iter()
            .map(|(key, ())| key)
            .take_while(|key| key.at <= now)
            .collect();
        for key in &expired {
            match key.what {
                Expiring::RetiredMessage(id) => {
                    if let Some(retired) = self.tables.retired.get(&self.rw, &id)? {
                        self.forget_names(id, &retired.message)?;
                        self.expire_streak(&retired.message, now)?;
                        self.tables.retired.delete(&mut self.rw, &id)?;
                    }
                }
                Expiring::RetiredHook(id) => {
                    if let Some(retired) = self.tables.retired_hooks.get(&self.rw, &id)? {
                        self.release_hook_content(&retired.hook)?;
                        self.tables.retired_hooks.delete(&mut self.rw, &id)?;
                    }
                }
            }
            self.tables.expiry.delete(&mut self.rw, key)?;
        }
        Ok(expired.len())
    }

    fn sweep_events(&mut self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let accounts = self.tables.event_heads.from(&self.rw, Bound::Unbounded, usize::MAX)?;
        let mut removed = 0;
        for (account, _) in accounts {
            let oldest = self.tables.events.within(&self.rw, &account.encode(), None, limit - removed)?;
            for (key, _) in oldest.iter().take_while(|(_, logged)| logged.event.time < before) {
                self.tables.events.delete(&mut self.rw, key)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
