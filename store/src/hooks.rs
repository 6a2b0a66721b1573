//! Webhook calls: made with the event they tell about, settled after each call.

use crate::{
    StoreError,
    change::{Applied, HookDecision, HookSettlement},
    keys::{DueKey, Expiring, ExpiryKey},
    records::{
        HookAttempt, HookOutcome, HookRecord, HookSubject, IncomingHook, LoggedEvent, QueueRecord,
        RetiredHookRecord,
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
        told: LoggedEvent,
    ) -> Result<Option<HookId>, StoreError> {
        let Some(account) = self.account(record.account)? else { return Ok(None) };
        let Some(webhook) = &account.outgoing_webhook else { return Ok(None) };
        let wanted = webhook.events.is_empty() || webhook.events.contains(&told.event.kind);
        if !(told.event.kind.makes_hook() && wanted) {
            return Ok(None);
        }
        let (now, account_id) = (told.event.time, record.account);
        let mut hook = HookRecord::new(
            account_id,
            webhook.url.clone(),
            webhook.authorization.clone(),
            HookSubject::Outgoing(told),
            now,
        );
        let id = self.next_hook_id();
        match webhook.every_event {
            true => hook.waits_for = self.follow(record.last_hook, id)?,
            false => self.supersede(record.last_hook, id, now)?,
        }
        self.put_new_hook(id, &hook)?;
        Ok(Some(id))
    }

    /// Lets a hook wait for the one before it, where that is still pending.
    fn follow(&mut self, before: Option<HookId>, id: HookId) -> Result<Option<HookId>, StoreError> {
        let Some(before) = before else { return Ok(None) };
        let Some(mut pending) = self.tables.hooks.get(&self.rw, &before)? else { return Ok(None) };
        pending.followed_by = Some(id);
        self.tables.hooks.put(&mut self.rw, &before, &pending)?;
        Ok(Some(before))
    }

    /// Retires the pending hook before a newer one, and those that it waits for: of them there are several only where
    /// the account wanted every event until now.
    fn supersede(&mut self, before: Option<HookId>, by: HookId, now: Timestamp) -> Result<(), StoreError> {
        let mut older = before;
        while let Some(id) = older
            && let Some(pending) = self.tables.hooks.get(&self.rw, &id)?
        {
            older = pending.waits_for;
            self.retire_hook(id, pending, HookOutcome::Superseded(by), now)?;
        }
        Ok(())
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
        let hook = HookRecord::new(
            account,
            webhook.url.clone(),
            webhook.authorization.clone(),
            HookSubject::Incoming(hook),
            now,
        );
        let id = self.next_hook_id();
        self.put_new_hook(id, &hook)
    }

    pub(crate) fn next_hook_id(&mut self) -> HookId {
        self.counters.hook += 1;
        HookId(self.counters.hook)
    }

    pub(crate) fn put_new_hook(&mut self, id: HookId, hook: &HookRecord) -> Result<(), StoreError> {
        self.tables.hooks.put(&mut self.rw, &id, hook)?;
        match hook.waits_for {
            Some(_) => Ok(()),
            None => self.make_due(id, hook),
        }
    }

    fn make_due(&mut self, id: HookId, hook: &HookRecord) -> Result<(), StoreError> {
        self.tables.hooks_due.insert(&mut self.rw, &due_key(hook, id))?;
        self.touched.urls.insert(hook.url.clone());
        Ok(())
    }

    /// Calls it at another time; one that waits for another goes on waiting, and is called then at the earliest.
    pub(crate) fn reschedule_hook(
        &mut self,
        id: HookId,
        mut hook: HookRecord,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let due = hook.waits_for.is_none();
        if due {
            self.tables.hooks_due.remove(&mut self.rw, &due_key(&hook, id))?;
        }
        hook.next_attempt = at;
        self.tables.hooks.put(&mut self.rw, &id, &hook)?;
        match due {
            true => self.make_due(id, &hook),
            false => Ok(()),
        }
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
                // Somebody chose another time while it was called.
                let rescheduled = hook.next_attempt > settlement.attempt.started;
                let at = if rescheduled { hook.next_attempt } else { at };
                self.reschedule_hook(id, hook, at)
            }
        }
    }

    /// A call that was in flight when its hook was superseded or cancelled.
    fn add_late_call(&mut self, id: HookId, attempt: &HookAttempt) -> Result<(), StoreError> {
        let Some(mut retired) = self.tables.retired_hooks.get(&self.rw, &id)? else { return Ok(()) };
        retired.hook.attempts.push(attempt.clone());
        self.tables.retired_hooks.put(&mut self.rw, &id, &retired)
    }

    pub(crate) fn retire_hook(
        &mut self,
        id: HookId,
        mut hook: HookRecord,
        outcome: HookOutcome,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.tables.hooks.delete(&mut self.rw, &id)?;
        if hook.waits_for.is_none() {
            self.tables.hooks_due.remove(&mut self.rw, &due_key(&hook, id))?;
        }
        self.close_gap(id, &mut hook)?;
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

    /// Joins those before and behind a hook that leaves its line; the next in line is called now.
    fn close_gap(&mut self, id: HookId, hook: &mut HookRecord) -> Result<(), StoreError> {
        let (before, behind) = (hook.waits_for.take(), hook.followed_by.take());
        if behind.is_none() && before.is_some() {
            self.end_line(hook, id, before)?;
        }
        if let Some(id) = before
            && let Some(mut before) = self.tables.hooks.get(&self.rw, &id)?
        {
            before.followed_by = behind;
            self.tables.hooks.put(&mut self.rw, &id, &before)?;
        }
        if let Some(id) = behind
            && let Some(mut behind) = self.tables.hooks.get(&self.rw, &id)?
        {
            behind.waits_for = before;
            self.put_new_hook(id, &behind)?;
        }
        Ok(())
    }

    /// Has the line of a message end before its `last` hook, so that the next one waits for those still in it.
    fn end_line(
        &mut self,
        hook: &HookRecord,
        last: HookId,
        before: Option<HookId>,
    ) -> Result<(), StoreError> {
        let HookSubject::Outgoing(told) = &hook.subject else { return Ok(()) };
        let id = told.event.queue_id;
        match self.sent(id)? {
            Some(mut sent) if sent.record().last_hook == Some(last) => {
                sent.record_mut().last_hook = before;
                self.put_sent(id, &sent)
            }
            Some(_) | None => Ok(()),
        }
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
