//! What is queued once, however often it comes: requests that an application repeats, and messages that a client sends
//! again because it heard no answer.

use crate::{
    Refusal, StoreError, View,
    change::{RepeatableRequest, Submission},
    records::{CopyOutcome, FirstAnswer, RepeatRecord, Repeated},
    txn::{Outcome, Txn},
};
use mail::{AccountId, QueueId, Timestamp};
use std::{borrow::Cow, ops::Bound, time::Duration};

/// How long it is known that something came before.
const KNOWN: Duration = Duration::from_secs(24 * 3600);

impl View<'_> {
    /// What a request was answered first, where it came within the day before `now`. Refused is a key that came with
    /// another request.
    pub fn first_answer(
        &self,
        account: AccountId,
        request: &RepeatableRequest,
        now: Timestamp,
    ) -> Outcome<Option<FirstAnswer>> {
        let record = self.tables.repeats.get(&self.txn, &(account, request.key))?;
        Ok(answer_in(record, request, now))
    }
}

impl Txn<'_> {
    /// See [`View::first_answer`].
    pub(crate) fn first_answer(
        &mut self,
        account: AccountId,
        request: &RepeatableRequest,
        now: Timestamp,
    ) -> Outcome<Option<FirstAnswer>> {
        let record = self.tables.repeats.get(&self.rw, &(account, request.key))?;
        Ok(answer_in(record, request, now))
    }

    /// The submission without those recipients for whom the same was queued before; with none left, the id that the
    /// first of them has.
    pub(crate) fn without_repeats<'s>(
        &mut self,
        submission: &'s Submission,
    ) -> Result<(Cow<'s, Submission>, Option<QueueId>), StoreError> {
        if submission.recipients.iter().all(|recipient| recipient.once.is_none()) {
            return Ok((Cow::Borrowed(submission), None));
        }
        let (mut fresh, mut before) = (Vec::new(), None);
        for recipient in &submission.recipients {
            match recipient.once {
                Some(digest) => match self.queued_as(submission.account, digest, submission.now)? {
                    Some(id) => before = before.or(Some(id)),
                    None => fresh.push(recipient),
                },
                None => fresh.push(recipient),
            }
        }
        if before.is_none() {
            return Ok((Cow::Borrowed(submission), None));
        }
        let recipients = fresh.into_iter().cloned().collect();
        Ok((Cow::Owned(Submission { recipients, ..submission.clone() }), before))
    }

    fn queued_as(
        &mut self,
        account: AccountId,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<QueueId>, StoreError> {
        let record = self.tables.repeats.get(&self.rw, &(account, digest))?;
        Ok(record.filter(|record| now < record.until).and_then(|record| match record.what {
            Repeated::Message(id) => Some(id),
            Repeated::Request(_) => None,
        }))
    }

    /// Remembers what was queued, from `first` on.
    pub(crate) fn remember_repeats(
        &mut self,
        submission: &Submission,
        first: QueueId,
        copy: CopyOutcome,
    ) -> Result<(), StoreError> {
        for (id, recipient) in (first.0..).zip(&submission.recipients) {
            if let Some(digest) = recipient.once {
                self.remember(submission, digest, Repeated::Message(QueueId(id)))?;
            }
        }
        let Some(request) = &submission.repeatable else { return Ok(()) };
        let recipients = submission.recipients.iter();
        let answer = FirstAnswer {
            fingerprint: request.fingerprint,
            first,
            message_id: submission.message_id.clone(),
            recipients: recipients.map(|one| (one.address.to_string(), one.from_id.clone())).collect(),
            copy,
        };
        self.remember(submission, request.key, Repeated::Request(answer))
    }

    fn remember(
        &mut self,
        submission: &Submission,
        digest: [u8; 32],
        what: Repeated,
    ) -> Result<(), StoreError> {
        let (account, until) = (submission.account, submission.now.after(KNOWN));
        let record = RepeatRecord { until, what };
        self.tables.repeats.put(&mut self.rw, &(account, digest), &record)?;
        self.tables.repeats_expiry.put(&mut self.rw, &(until, account, digest), &())
    }

    /// Forgets what came too long ago, at most `limit`; returns how many.
    pub(crate) fn sweep_repeats(&mut self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let oldest = self.tables.repeats_expiry.from(&self.rw, Bound::Unbounded, limit)?;
        let over: Vec<_> = oldest.into_iter().map(|(key, ())| key).take_while(|key| key.0 <= now).collect();
        for key in &over {
            let (until, account, digest) = *key;
            // It may have come again since.
            let record = self.tables.repeats.get(&self.rw, &(account, digest))?;
            if record.is_some_and(|record| record.until == until) {
                self.tables.repeats.delete(&mut self.rw, &(account, digest))?;
            }
            self.tables.repeats_expiry.delete(&mut self.rw, key)?;
        }
        Ok(over.len())
    }
}

fn answer_in(
    record: Option<RepeatRecord>,
    request: &RepeatableRequest,
    now: Timestamp,
) -> Result<Option<FirstAnswer>, Refusal> {
    match record.filter(|record| now < record.until).map(|record| record.what) {
        Some(Repeated::Request(answer)) if answer.fingerprint == request.fingerprint => Ok(Some(answer)),
        Some(Repeated::Request(_) | Repeated::Message(_)) => Err(Refusal::OtherRequest),
        None => Ok(None),
    }
}
