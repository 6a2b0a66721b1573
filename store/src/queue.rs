//! The queue: accepting, settling, retiring.

use crate::{
    Refusal, StoreError,
    change::{Applied, Decision, NewRecipient, SentCopy, Settlement, Submission},
    keys::{DueKey, Expiring, ExpiryKey},
    records::{
        AccountRecord, AttemptResult, CopyOutcome, EventKind, EventRecord, Hold, LoggedEvent, MessageOutcome,
        QueueRecord, RetiredRecord, SuppressionSource,
    },
    suppressions::Failure,
    txn::{Outcome, Txn},
};
use mail::{BaseAddress, DsnRequest, QueueId, Timestamp};
use std::time::Duration;

impl Txn<'_> {
    pub(crate) fn accept(&mut self, submission: &Submission) -> Outcome<Applied> {
        let Some(account) = self.account(submission.account)? else { return Ok(Err(Refusal::NotFound)) };
        if let Some(request) = &submission.repeatable {
            match self.first_answer(submission.account, request, submission.now)? {
                Ok(None) => {}
                Ok(Some(answer)) => {
                    self.drop_contents(submission);
                    return Ok(Ok(Applied::AcceptedBefore(answer)));
                }
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        let (submission, before) = self.without_repeats(submission)?;
        if let (Some(before), []) = (before, &submission.recipients[..]) {
            self.drop_contents(&submission);
            return Ok(Ok(Applied::Accepted(before)));
        }
        self.accept_new(&submission, &account)
    }

    fn accept_new(&mut self, submission: &Submission, account: &AccountRecord) -> Outcome<Applied> {
        for recipient in &submission.recipients {
            if let Some(from_id) = &recipient.from_id
                && self.tables.from_ids.contains(&self.rw, &(submission.account, from_id.key().into()))?
            {
                return Ok(Err(Refusal::FromIdInUse));
            }
        }
        if let Err(refusal) = self.count_recipients(submission, account)? {
            return Ok(Err(refusal));
        }
        let content = self.put_content(&submission.content, submission.recipients.len())?;
        let first = QueueId(self.counters.queue + 1);
        for recipient in &submission.recipients {
            let record = queue_record(submission, recipient, content);
            self.enqueue(record)?;
        }
        let copy = match &submission.sent_copy {
            SentCopy::Staged(copy) if !self.store_sent_copy(submission, copy)? => CopyOutcome::OverQuota,
            SentCopy::Staged(_) | SentCopy::Unwanted => CopyOutcome::Fine,
            SentCopy::Failed => CopyOutcome::Failed,
        };
        self.remember_repeats(submission, first, copy)?;
        Ok(Ok(match copy {
            CopyOutcome::OverQuota => Applied::AcceptedWithoutCopy(first),
            // Who could not make it ready knows.
            CopyOutcome::Fine | CopyOutcome::Failed => Applied::Accepted(first),
        }))
    }

    /// Lets go of the contents of a submission that is not queued.
    fn drop_contents(&mut self, submission: &Submission) {
        self.drop_unused(&submission.content);
        if let Some(copy) = submission.sent_copy.content() {
            self.drop_unused(copy);
        }
    }

    fn enqueue(&mut self, mut record: QueueRecord) -> Result<(), StoreError> {
        self.counters.queue += 1;
        let id = QueueId(self.counters.queue);
        record.hold = self.holding_rule(&record)?.map(Hold::Rule);
        self.tables.queue.put(&mut self.rw, &id, &record)?;
        if let Some(from_id) = &record.from_id {
            self.tables.from_ids.put(&mut self.rw, &(record.account, from_id.key().into()), &id)?;
        }
        self.refer(id, &record)?;
        let queued = event(&record, id, EventKind::Queued, record.queued);
        self.log_event(record.account, &logged(&record, queued))?;
        self.index(id, &record)?;
        if record.hold.is_none() {
            self.touched.destinations.insert(record.destination);
        }
        Ok(())
    }

    fn index(&mut self, id: QueueId, record: &QueueRecord) -> Result<(), StoreError> {
        self.counters.deferred += u64::from(is_deferred(record));
        self.tables.queue_next.put(&mut self.rw, &(record.next_attempt, id), &())?;
        if record.hold.is_none() {
            self.tables.queue_due.insert(&mut self.rw, &due_key(record, id))?;
        }
        Ok(())
    }

    fn unindex(&mut self, id: QueueId, record: &QueueRecord) -> Result<(), StoreError> {
        self.counters.deferred = self.counters.deferred.saturating_sub(u64::from(is_deferred(record)));
        self.tables.queue_next.delete(&mut self.rw, &(record.next_attempt, id))?;
        if record.hold.is_none() {
            self.tables.queue_due.remove(&mut self.rw, &due_key(record, id))?;
        }
        Ok(())
    }

    /// Stores a queued message in place of what it was `before`.
    pub(crate) fn replace(
        &mut self,
        id: QueueId,
        before: &QueueRecord,
        record: &QueueRecord,
    ) -> Result<(), StoreError> {
        self.unindex(id, before)?;
        self.index(id, record)?;
        self.tables.queue.put(&mut self.rw, &id, record)
    }

    pub(crate) fn settle(&mut self, settlements: &[Settlement]) -> Outcome<Applied> {
        let before = self.counters.suppression;
        for settlement in settlements {
            match self.tables.queue.get(&self.rw, &settlement.id)? {
                Some(record) => self.settle_one(settlement, record)?,
                // Cancelled meanwhile, or settled before a crash of the actor.
                None => self.settle_late(settlement)?,
            }
        }
        Ok(Ok(Applied::Settled { suppressed: (self.counters.suppression - before) as usize }))
    }

    pub(crate) fn settle_one(
        &mut self,
        settlement: &Settlement,
        before: QueueRecord,
    ) -> Result<(), StoreError> {
        let Settlement { id, now, .. } = *settlement;
        let mut record = before.clone();
        if let Some(attempt) = &settlement.attempt {
            record.attempts.push(attempt.clone());
            let mut attempted = event(&record, id, EventKind::Attempted, now);
            describe(&mut attempted, Some(&attempt.result));
            self.log_event(record.account, &logged(&record, attempted))?;
        }
        if let Some(report) = &settlement.report {
            self.store_report(report, &record, now)?;
        }
        let result = settlement.attempt.as_ref().map(|attempt| &attempt.result);
        match &settlement.decision {
            Decision::Retry(at) => {
                if !was_rescheduled(&before, settlement) {
                    // Later than its acceptance, whatever the clock did: is_deferred must be true.
                    record.next_attempt = (*at).max(record.queued.after(Duration::from_millis(1)));
                }
                let mut delayed = event(&record, id, EventKind::Delayed, now);
                describe(&mut delayed, result);
                self.tell(&mut record, delayed)?;
                self.replace(id, &before, &record)
            }
            Decision::Move { destination } => {
                record.destination.clone_from(destination);
                if record.hold.is_none() {
                    self.touched.destinations.insert(destination.clone());
                }
                self.replace(id, &before, &record)
            }
            Decision::Delivered => {
                let mut delivered = event(&record, id, EventKind::Delivered, now);
                describe(&mut delivered, result);
                self.retire(id, record, MessageOutcome::Delivered, delivered)
            }
            Decision::Suppressed => {
                let mut suppressed = event(&record, id, EventKind::Suppressed, now);
                suppressed.error = "the recipient is on the suppression list".into();
                self.retire(id, record, MessageOutcome::Suppressed, suppressed)
            }
            Decision::Cancel => {
                let canceled = event(&record, id, EventKind::Canceled, now);
                self.retire(id, record, MessageOutcome::Canceled, canceled)
            }
            Decision::Failed { verdict, suppress } => {
                let failure = Failure {
                    answer: record.attempts.last().and_then(|attempt| attempt.result.answer()),
                    verdict: *verdict,
                    suppress: *suppress,
                    source: SuppressionSource::Queue(id),
                };
                let suppressing = self.suppress_after_failure(id, &record, failure, now)?;
                let mut failed = event(&record, id, EventKind::Failed, now);
                describe(&mut failed, result);
                failed.suppressing = suppressing;
                let outcome = MessageOutcome::Failed { verdict: *verdict, suppressing };
                self.retire(id, record, outcome, failed)
            }
        }
    }

    /// An attempt that was under way when its message left the queue is added to the history.
    fn settle_late(&mut self, settlement: &Settlement) -> Result<(), StoreError> {
        if let Some(report) = &settlement.report {
            self.drop_unused(&report.content);
        }
        let Some(attempt) = &settlement.attempt else { return Ok(()) };
        let Some(mut retired) = self.tables.retired.get(&self.rw, &settlement.id)? else { return Ok(()) };
        if retired.message.attempts.last() == Some(attempt) {
            return Ok(());
        }
        retired.message.attempts.push(attempt.clone());
        self.tables.retired.put(&mut self.rw, &settlement.id, &retired)
    }

    /// Takes a message out of the queue into history.
    fn retire(
        &mut self,
        id: QueueId,
        mut record: QueueRecord,
        outcome: MessageOutcome,
        event: EventRecord,
    ) -> Result<(), StoreError> {
        let now = event.time;
        // A report can overtake the end of the session that caused it. Its news is the newer one all the same.
        let returned = matches!(outcome, MessageOutcome::Delivered) && self.was_returned(id)?;
        match returned {
            true => self.tell_overtaken(&mut record, event)?,
            false => self.tell(&mut record, event)?,
        }
        self.tables.queue.delete(&mut self.rw, &id)?;
        self.unindex(id, &record)?;
        self.release_content(record.content)?;
        let keep =
            self.account(record.account)?.map(|account| account.keep_retired_messages).unwrap_or_default();
        let expires = now.after(keep);
        let failed = matches!(outcome, MessageOutcome::Failed { .. }) || returned;
        self.note_streak(id, &record, failed, expires, now)?;
        if keep.is_zero() {
            return self.forget_names(id, &record);
        }
        self.tables.expiry.put(
            &mut self.rw,
            &ExpiryKey { at: expires, what: Expiring::RetiredMessage(id) },
            &(),
        )?;
        let retired = RetiredRecord { message: record, id, outcome, retired: now, expires };
        self.tables.retired.put(&mut self.rw, &id, &retired)
    }

    /// Forgets by what names a message can be found, and what came back about it.
    pub(crate) fn forget_names(&mut self, id: QueueId, record: &QueueRecord) -> Result<(), StoreError> {
        self.forget_references(id, record)?;
        self.forget_returns(id)?;
        if let Some(from_id) = &record.from_id {
            self.tables.from_ids.delete(&mut self.rw, &(record.account, from_id.key().into()))?;
        }
        Ok(())
    }

    /// Logs an event, and makes a hook of it where the account wants one.
    pub(crate) fn tell(&mut self, record: &mut QueueRecord, event: EventRecord) -> Result<(), StoreError> {
        let told = logged(record, event);
        self.log_event(record.account, &told)?;
        if let Some(hook) = self.make_outgoing_hook(record, told)? {
            record.last_hook = Some(hook);
        }
        Ok(())
    }

    /// Logs an event that a later one has overtaken: who wants only the newest is not told.
    fn tell_overtaken(&mut self, record: &mut QueueRecord, event: EventRecord) -> Result<(), StoreError> {
        let account = self.account(record.account)?;
        let webhook = account.as_ref().and_then(|account| account.outgoing_webhook.as_ref());
        match webhook.is_some_and(|webhook| webhook.every_event) {
            true => self.tell(record, event),
            false => self.log_event(record.account, &logged(record, event)),
        }
    }

    /// A message of the queue or of history.
    pub(crate) fn sent(&self, id: QueueId) -> Result<Option<Sent>, StoreError> {
        if let Some(queued) = self.tables.queue.get(&self.rw, &id)? {
            return Ok(Some(Sent::Queued(queued)));
        }
        Ok(self.tables.retired.get(&self.rw, &id)?.map(Sent::Retired))
    }

    /// Puts it back, without a change to what the indexes are made of.
    pub(crate) fn put_sent(&mut self, id: QueueId, sent: &Sent) -> Result<(), StoreError> {
        match sent {
            Sent::Queued(record) => self.tables.queue.put(&mut self.rw, &id, record),
            Sent::Retired(retired) => self.tables.retired.put(&mut self.rw, &id, retired),
        }
    }
}

fn logged(record: &QueueRecord, event: EventRecord) -> LoggedEvent {
    LoggedEvent { event, subject: record.subject.clone(), extra: record.extra.clone() }
}

fn queue_record(submission: &Submission, recipient: &NewRecipient, content: mail::ContentId) -> QueueRecord {
    let next_attempt =
        submission.future_release.map_or(submission.now, |release| release.max(submission.now));
    QueueRecord {
        account: submission.account,
        content,
        size: submission.size,
        mail_from: recipient.mail_from.clone(),
        recipient: recipient.address.clone(),
        from_id: recipient.from_id.clone(),
        message_id: submission.message_id.clone(),
        subject: submission.subject.clone(),
        destination: recipient.destination.clone(),
        queued: submission.now,
        next_attempt,
        attempts: Vec::new(),
        hold: None,
        transport: submission.transport.clone(),
        require_tls: submission.require_tls,
        future_release: submission.future_release,
        extra: submission.extra.clone(),
        eight_bit: submission.eight_bit,
        smtputf8: submission.smtputf8,
        last_hook: None,
        dsn: DsnRequest {
            envid: submission.envid.clone(),
            ret: submission.ret,
            notify: recipient.notify,
            original_recipient: recipient.original_recipient.clone(),
        },
    }
}

/// Whether somebody chose another time for a message while it was attempted. Without that, it was due when the
/// attempt began.
fn was_rescheduled(record: &QueueRecord, settlement: &Settlement) -> bool {
    settlement.attempt.as_ref().is_some_and(|attempt| record.next_attempt > attempt.started)
}

/// Whether it waits, or waited, for another time than that of its acceptance.
fn is_deferred(record: &QueueRecord) -> bool {
    record.next_attempt > record.queued
}

pub(crate) fn due_key(record: &QueueRecord, id: QueueId) -> DueKey {
    DueKey { group: record.destination.clone(), account: record.account, at: record.next_attempt, id: id.0 }
}

/// A message that was accepted, wherever it is by now.
pub(crate) enum Sent {
    /// On its way.
    Queued(QueueRecord),
    /// In history.
    Retired(RetiredRecord),
}

impl Sent {
    pub(crate) fn record(&self) -> &QueueRecord {
        match self {
            Sent::Queued(record) => record,
            Sent::Retired(retired) => &retired.message,
        }
    }

    pub(crate) fn record_mut(&mut self) -> &mut QueueRecord {
        match self {
            Sent::Queued(record) => record,
            Sent::Retired(retired) => &mut retired.message,
        }
    }
}

pub(crate) fn event(record: &QueueRecord, id: QueueId, kind: EventKind, time: Timestamp) -> EventRecord {
    EventRecord {
        time,
        kind,
        queue_id: id,
        from_id: record.from_id.clone(),
        message_id: record.message_id.clone(),
        recipient: record.recipient.clone(),
        attempt: 0,
        code: 0,
        enhanced: None,
        error: String::new(),
        suppressing: false,
        dsn: false,
    }
    .of_attempt(record, kind)
}

impl EventRecord {
    fn of_attempt(mut self, record: &QueueRecord, kind: EventKind) -> EventRecord {
        let about_attempt = matches!(
            kind,
            EventKind::Attempted | EventKind::Delivered | EventKind::Delayed | EventKind::Failed
        );
        if about_attempt {
            self.attempt = u32::try_from(record.attempts.len()).unwrap_or(u32::MAX);
        }
        self
    }
}

/// Copies the answer of the attempt that decided the event.
fn describe(event: &mut EventRecord, result: Option<&AttemptResult>) {
    let Some(result) = result else { return };
    if let Some(answer) = result.answer() {
        event.code = answer.code;
        event.enhanced = answer.enhanced;
    }
    event.error = result.error().to_owned();
}

/// The key of a streak or a suppression of a message's recipient.
pub(crate) fn base_key(record: &QueueRecord) -> (mail::AccountId, String) {
    (record.account, BaseAddress::of(&record.recipient).to_string())
}
