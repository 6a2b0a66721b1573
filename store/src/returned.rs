//! Matching what comes back to the messages that were sent, and what that means for them.

use crate::{
    StoreError,
    change::{Arrival, ArrivalRecipient, Suppress},
    keys::ReferenceKey,
    queue::{Sent, event},
    records::{QueueRecord, ReturnKind, ReturnRecord, SmtpAnswer, SuppressionSource},
    references::without_brackets,
    suppressions::{Failure, automatic_reason},
    txn::Txn,
};
use mail::{
    AccountId, Address, BaseAddress, FromId, QueueId, Timestamp,
    feedback::{Feedback, RecipientStatus, StatusAction},
};

/// What comes back about one message beyond this changes nothing more, so that who knows its FromID cannot fill the
/// disk with it.
const RETURNS_MAX: usize = 100;
/// Messages of one Message-ID among which the recipient is looked for.
const NAMESAKES_MAX: usize = 10_000;

/// A message that was sent, and what has come back about it.
pub(crate) struct Matched {
    id: QueueId,
    sent: Sent,
    what: What,
}

enum What {
    Status(RecipientStatus),
    Complaint,
    Unrecognized,
}

impl Matched {
    pub(crate) fn id(&self) -> QueueId {
        self.id
    }

    /// It says no more than the event that tells it.
    pub(crate) fn is_report(&self) -> bool {
        !matches!(self.what, What::Unrecognized)
    }

    pub(crate) fn kind(&self) -> ReturnKind {
        match &self.what {
            What::Status(status) => ReturnKind::Status(status.action),
            What::Complaint => ReturnKind::Complaint,
            What::Unrecognized => ReturnKind::Unrecognized,
        }
    }
}

impl Txn<'_> {
    /// The message that an arrival is about. By the FromID that it was sent to, whatever it says; else by what it
    /// says itself, when it fits that message's recipient.
    pub(crate) fn match_sent(
        &mut self,
        arrival: &Arrival,
        recipient: &ArrivalRecipient,
    ) -> Result<Option<Matched>, StoreError> {
        if let Some(from_id) = &recipient.from_id
            && let Some((id, sent)) = self.sent_as(recipient.account, from_id)?
        {
            let what = arrival.feedback.as_ref().and_then(|feedback| about(feedback, sent.record(), true));
            return Ok(Some(Matched { id, sent, what: what.unwrap_or(What::Unrecognized) }));
        }
        let Some(feedback) = &arrival.feedback else { return Ok(None) };
        if let Some((account, from_id)) = &arrival.returned_from_id
            && let Some((id, sent)) = self.sent_as(*account, from_id)?
        {
            let what = about(feedback, sent.record(), true);
            return Ok(what.map(|what| Matched { id, sent, what }));
        }
        self.match_by_name(recipient.account, feedback)
    }

    fn match_by_name(
        &mut self,
        account: AccountId,
        feedback: &Feedback,
    ) -> Result<Option<Matched>, StoreError> {
        let envelope_ids: Vec<String> = match feedback {
            Feedback::Status(status) => status.envelope_ids().collect(),
            Feedback::Complaint(_) => Vec::new(),
        };
        let message_id = feedback.original().message_id.as_deref().map(without_brackets);
        for name in envelope_ids.iter().map(String::as_str).chain(message_id) {
            let prefix = ReferenceKey::prefix(account, name);
            for (key, ()) in self.tables.references.within(&self.rw, &prefix, None, NAMESAKES_MAX)? {
                let Some(sent) = self.sent(key.id)? else { continue };
                if let Some(what) = about(feedback, sent.record(), false) {
                    return Ok(Some(Matched { id: key.id, sent, what }));
                }
            }
        }
        Ok(None)
    }

    fn sent_as(
        &mut self,
        account: AccountId,
        from_id: &FromId,
    ) -> Result<Option<(QueueId, Sent)>, StoreError> {
        let key = (account, from_id.key().into());
        let Some(id) = self.tables.from_ids.get(&self.rw, &key)? else { return Ok(None) };
        Ok(self.sent(id)?.map(|sent| (id, sent)))
    }

    /// Adds what came back to the message's history, and tells it. Whether it put the recipient on the suppression list.
    pub(crate) fn note_return(&mut self, matched: Matched, now: Timestamp) -> Result<bool, StoreError> {
        let kind = matched.kind();
        let Matched { id, mut sent, what } = matched;
        let before = self.tables.returns.within(&self.rw, &id.0.to_be_bytes(), None, RETURNS_MAX)?;
        if before.len() >= RETURNS_MAX {
            return Ok(false);
        }
        let suppressing = self.suppress_after_return(id, &sent, &what, now)?;
        let (code, enhanced, text) = match what {
            What::Status(status) => (status.code.number(), status.enhanced, status.text),
            What::Complaint => (0, None, "complaint: the recipient reported the message as abuse".into()),
            What::Unrecognized => (0, None, "something other than an understood report came back".into()),
        };
        let returned = ReturnRecord { received: now, kind, code, enhanced, text, suppressing };
        let mut told = event(sent.record(), id, kind.event(), now);
        told.attempt = 0;
        told.code = code;
        told.enhanced = enhanced;
        told.error.clone_from(&returned.text);
        told.suppressing = suppressing;
        told.dsn = matches!(kind, ReturnKind::Status(_));
        self.tell(sent.record_mut(), told)?;
        self.put_sent(id, &sent)?;
        let place = before.last().map_or(0, |((_, place), _)| place + 1);
        self.tables.returns.put(&mut self.rw, &(id, place), &returned)?;
        Ok(suppressing)
    }

    /// Whether a report said that the message failed.
    pub(crate) fn was_returned(&self, id: QueueId) -> Result<bool, StoreError> {
        let returns = self.tables.returns.within(&self.rw, &id.0.to_be_bytes(), None, RETURNS_MAX)?;
        Ok(returns.iter().any(|(_, returned)| returned.kind == ReturnKind::Status(StatusAction::Failed)))
    }

    pub(crate) fn forget_returns(&mut self, id: QueueId) -> Result<(), StoreError> {
        for (key, _) in self.tables.returns.within(&self.rw, &id.0.to_be_bytes(), None, RETURNS_MAX)? {
            self.tables.returns.delete(&mut self.rw, &key)?;
        }
        Ok(())
    }

    fn suppress_after_return(
        &mut self,
        id: QueueId,
        sent: &Sent,
        what: &What,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let record = sent.record();
        let suppressing = match what {
            What::Complaint => {
                let source = SuppressionSource::Complaint(id);
                self.suppress_recipient(record, automatic_reason(None, None, false, &source), source, now)?
            }
            What::Status(status) if status.action == StatusAction::Failed => {
                let suppress = Suppress::after_report(status.code, status.verdict);
                // On the list there is no row to count.
                if let Sent::Retired(retired) = sent
                    && suppress != Suppress::Now
                {
                    self.note_late_failure(retired, now)?;
                }
                let code = status.code.number();
                let answer = SmtpAnswer { code, enhanced: status.enhanced, text: status.text.clone() };
                let failure = Failure {
                    answer: Some(&answer),
                    verdict: Some(status.verdict),
                    suppress,
                    source: SuppressionSource::Dsn(id),
                };
                self.suppress_after_failure(id, record, failure, now)?
            }
            What::Status(_) | What::Unrecognized => false,
        };
        if suppressing {
            self.forget_streak_of(record)?;
        }
        Ok(suppressing)
    }
}

/// What feedback says about a message; `None` when it speaks of other recipients. `certain`: it carries the FromID of
/// the message, so that a complaint need not name the recipient.
fn about(feedback: &Feedback, message: &QueueRecord, certain: bool) -> Option<What> {
    match feedback {
        Feedback::Status(status) => {
            let of = |fits: fn(&Address, &Address) -> bool| {
                let mut blocks = status.recipients.iter();
                blocks.find(|block| block.names.iter().any(|name| fits(name, &message.recipient)))
            };
            of(|a, b| a == b).or_else(|| of(same_mailbox)).cloned().map(What::Status)
        }
        Feedback::Complaint(complaint) => {
            let named = match (complaint.recipients.as_slice(), complaint.original.recipients.as_slice()) {
                // Of several, nobody could tell who complains.
                ([], [only]) => std::slice::from_ref(only),
                (recipients, _) => recipients,
            };
            let fits = certain || named.iter().any(|name| same_mailbox(name, &message.recipient));
            fits.then_some(What::Complaint)
        }
    }
}

fn same_mailbox(a: &Address, b: &Address) -> bool {
    BaseAddress::of(a) == BaseAddress::of(b)
}
