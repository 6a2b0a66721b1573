//! What people do with hooks, a bounded number in one change.

use crate::{
    StoreError,
    change::{Applied, HookAction, HookOperation, HookResend},
    records::{AccountRecord, HookOutcome, HookRecord, HookSubject, RetiredHookRecord},
    txn::{Outcome, Txn},
};
use mail::{HookId, Timestamp};

impl Txn<'_> {
    /// Acts on the pending hooks that the filter still fits; the others are done with since they were read.
    pub(crate) fn operate_hooks(&mut self, operation: &HookOperation) -> Outcome<Applied> {
        let mut changed = 0;
        for id in &operation.ids {
            let Some(hook) = self.tables.hooks.get(&self.rw, id)? else { continue };
            if !operation.filter.matches(*id, &hook) {
                continue;
            }
            changed += 1;
            match operation.action {
                HookAction::Schedule(at) => self.reschedule_hook(*id, hook, at)?,
                HookAction::Postpone(by) => {
                    let at = hook.next_attempt.after(by);
                    self.reschedule_hook(*id, hook, at)?;
                }
                HookAction::Cancel => {
                    self.retire_hook(*id, hook, HookOutcome::Canceled, operation.now)?;
                }
            }
        }
        Ok(Ok(Applied::Operated { changed }))
    }

    /// Makes new hooks that tell what retired ones told, to the URLs that the accounts have now.
    pub(crate) fn resend_hooks(&mut self, resend: &HookResend) -> Outcome<Applied> {
        let (mut made, mut without_webhook) = (Vec::new(), 0);
        for id in &resend.ids {
            let Some(retired) = self.tables.retired_hooks.get(&self.rw, id)? else { continue };
            if !resend.filter.matches(*id, &retired) {
                continue;
            }
            match self.resend_hook(*id, retired, resend.now)? {
                Some(new) => made.push((*id, new)),
                None => without_webhook += 1,
            }
        }
        Ok(Ok(Applied::HooksResent { made, without_webhook }))
    }

    fn resend_hook(
        &mut self,
        id: HookId,
        retired: RetiredHookRecord,
        now: Timestamp,
    ) -> Result<Option<HookId>, StoreError> {
        let HookRecord { account, subject, resent_of, .. } = retired.hook;
        let Some(record) = self.account(account)? else { return Ok(None) };
        let Some((url, authorization)) = webhook_for(&record, &subject) else { return Ok(None) };
        if let HookSubject::Incoming(incoming) = &subject {
            self.share_content(incoming.content)?;
        }
        let mut hook = HookRecord::new(account, url, authorization, subject, now);
        hook.resent_of = Some(resent_of.unwrap_or(id));
        let new = self.next_hook_id();
        self.put_new_hook(new, &hook)?;
        Ok(Some(new))
    }
}

/// Where the account wants to be told of it now.
fn webhook_for(account: &AccountRecord, subject: &HookSubject) -> Option<(String, Option<String>)> {
    match subject {
        HookSubject::Outgoing(_) => {
            let webhook = account.outgoing_webhook.as_ref()?;
            Some((webhook.url.clone(), webhook.authorization.clone()))
        }
        HookSubject::Incoming(_) => {
            let webhook = account.incoming_webhook.as_ref()?;
            Some((webhook.url.clone(), webhook.authorization.clone()))
        }
    }
}
