//! Webhook calls: made with the event they tell about, settled after each call.

use crate::{
    StoreError,
    change::{Applied, HookDecision, HookSettlement},
    keys::{DueKey, Expiring, ExpiryKey},
    records::{
        EventRecord, HookAttempt, HookOutcome, HookRecord, HookSubject, IncomingHook, OutgoingHook,
        QueueRecord, RetiredHookRecord,
    },
    txn::{Outcome, Txn},
};
use mail::{AccountId, HookId, Timestamp};

impl Txn<'_> {
    /// Makes the hook that tells an event, where the account wants it. Unless the account wants every event, a
    /// hook about an earlier event of the message that is still pending is superseded.
    pub(crate) fn make_outgoing_hook(
        &mut self,
        record: &QueueRecord,
        event: EventRecord,
    ) -> Result<Option<HookId>, StoreError> {
        let Some(account) = self.account(record.account)? else { return Ok(None) };
        let Some(webhook) = &account.outgoing_webhook else { return Ok(None) };
        let wanted = webhook.events.is_empty() || webhook.events.contains(&event.kind);
        if !(event.kind.makes_hook() && wanted) {
            return Ok(None);
        }
        let now = event.time;
        let hook = HookRecord {
            account: record.account,
            url: webhook.url.clone(),
            authorization: webhook.authorization.clone(),
            subject: HookSubject::Outgoing(OutgoingHook {
                event,
                subject: record.subject.clone(),
                extra: record.extra.clone(),
            }),
            queued: now,
            next_attempt: now,
            attempts: Vec::new(),
        };
        let id = self.queue_hook(&hook)?;
        if !webhook.every_event
            && let Some(older) = record.last_hook
            && let Some(pending) = self.tables.hooks.get(&self.rw, &older)?
        {
            self.retire_hook(older, pending, HookOutcome::Superseded(id), now)?;
        }
        Ok(Some(id))
    }

    /// Makes the hook that tells of an arrival, where the account has an incoming webhook. The caller shares
    /// the content with it.
    pub(crate) fn make_incoming_hook(
        &mut self,
        account: AccountId,
        hook: IncomingHook,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(record) = self.account(account)? else { return Ok(()) };
        let Some(webhook) = &record.incoming_webhook else { return Ok(()) };
        self.queue_hook(&HookRecord {
            account,
            url: webhook.url.clone(),
            authorization: webhook.authorization.clone(),
            subject: HookSubject::Incoming(hook),
            queued: now,
            next_attempt: now,
            attempts: Vec::new(),
        })?;
        Ok(())
    }

    fn queue_hook(&mut self, hook: &HookRecord) -> Result<HookId, StoreError> {
        self.counters.hook += 1;
        let id = HookId(self.counters.hook);
        self.tables.hooks.put(&mut self.rw, &id, hook)?;
        self.tables.hooks_due.insert(&mut self.rw, &due_key(hook, id))?;
        self.touched.urls.insert(hook.url.clone());
        Ok(id)
    }

    pub(crate) fn settle_hooks(&mut self, settlements: &[HookSettlement]) -> Outcome<Applied> {
        for settlement in settlements {
            match self.tables.hooks.get(&self.rw, &settlement.id)? {
                Some(hook) => self.settle_hook(settlement, hook)?,
                None => self.add_late_call(settlement.id, &settlement.attempt)?,
            }
        }
        Ok(Ok(Applied::HooksSettled))
    }

    fn settle_hook(&mut self, settlement: &HookSettlement, mut hook: HookRecord) -> Result<(), StoreError> {
        let HookSettlement { id, now, .. } = *settlement;
        hook.attempts.push(settlement.attempt.clone());
        match settlement.decision {
            HookDecision::Succeeded => self.retire_hook(id, hook, HookOutcome::Succeeded, now),
            HookDecision::Failed => self.retire_hook(id, hook, HookOutcome::Failed, now),
            HookDecision::Retry(at) => {
                self.tables.hooks_due.remove(&mut self.rw, &due_key(&hook, id))?;
                hook.next_attempt = at;
                self.tables.hooks_due.insert(&mut self.rw, &due_key(&hook, id))?;
                self.tables.hooks.put(&mut self.rw, &id, &hook)
            }
        }
    }

    /// A call that was in flight when its hook was superseded or cancelled.
    fn add_late_call(&mut self, id: HookId, attempt: &HookAttempt) -> Result<(), StoreError> {
        let Some(mut retired) = self.tables.retired_hooks.get(&self.rw, &id)? else { return Ok(()) };
        retired.hook.attempts.push(attempt.clone());
        self.tables.retired_hooks.put(&mut self.rw, &id, &retired)
    }

    fn retire_hook(
        &mut self,
        id: HookId,
        mut hook: HookRecord,
        outcome: HookOutcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.tables.hooks.delete(&mut self.rw, &id)?;
        self.tables.hooks_due.remove(&mut self.rw, &due_key(&hook, id))?;
        let keep = self.account(hook.account)?.map(|account| account.keep_retired_hooks).unwrap_or_default();
        if keep.is_zero() {
            return self.release_hook_content(&hook);
        }
        hook.authorization = None;
        let expires = now.after(keep);
        self.tables.expiry.put(
            &mut self.rw,
            &ExpiryKey { at: expires, what: Expiring::RetiredHook(id) },
            &(),
        )?;
        self.tables.retired_hooks.put(
            &mut self.rw,
            &id,
            &RetiredHookRecord { hook, outcome, retired: now, expires },
        )
    }

    /// Lets go of the content that an incoming hook shares.
    pub(crate) fn release_hook_content(&mut self, hook: &HookRecord) -> Result<(), StoreError> {
        match &hook.subject {
            HookSubject::Incoming(incoming) => self.release_content(incoming.content),
            HookSubject::Outgoing(_) => Ok(()),
        }
    }
}

pub(crate) fn due_key(hook: &HookRecord, id: HookId) -> DueKey {
    DueKey { group: hook.url.clone(), account: hook.account, at: hook.next_attempt, id: id.0 }
}
