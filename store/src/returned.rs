//! Matching what comes back to the messages that were sent, and what that means for them.

mod told;

pub(crate) use told::Told;

use crate::{
    StoreError,
    change::{Arrival, ArrivalRecipient, Suppress},
    keys::ReferenceKey,
    queue::{Sent, event},
    records::{QueueRecord, ReturnKind, ReturnRecord, SmtpAnswer, SuppressionSource},
    references::without_brackets,
    suppressions::{Failure, automatic_reason},
    txn::Txn,
    view::View,
};
use mail::{
    AccountId, FromId, QueueId, Timestamp,
    feedback::{Feedback, RecipientStatus, ReportedCode, StatusAction},
};
use std::collections::BTreeMap;
use told::What;

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
    /// It carries the FromID of the message, which only those know through whose hands that went.
    certain: bool,
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
    /// says itself, when it fits that message's recipient. `told` is what it says.
    pub(crate) fn match_sent(
        &mut self,
        arrival: &Arrival,
        told: Option<&Told<'_>>,
        recipient: &ArrivalRecipient,
    ) -> Result<Option<Matched>, StoreError> {
        if let Some(from_id) = &recipient.from_id
            && let Some((id, sent)) = self.sent_as(recipient.account, from_id)?
        {
            let what = told.and_then(|told| told.about(&sent.record().recipient, true));
            return Ok(Some(Matched { id, sent, what: what.unwrap_or(What::Unrecognized), certain: true }));
        }
        let Some(told) = told else { return Ok(None) };
        if let Some((account, from_id)) = &arrival.returned_from_id
            && let Some((id, sent)) = self.sent_as(*account, from_id)?
        {
            let what = told.about(&sent.record().recipient, true);
            return Ok(what.map(|what| Matched { id, sent, what, certain: true }));
        }
        let Some(id) = arrival.named.get(&recipient.account) else { return Ok(None) };
        let Some(sent) = self.sent(*id)? else { return Ok(None) };
        let what = told.about(&sent.record().recipient, false);
        Ok(what.map(|what| Matched { id: *id, sent, what, certain: false }))
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
        let Matched { id, mut sent, what, certain } = matched;
        let before = self.tables.returns.within(&self.rw, &id.0.to_be_bytes(), None, RETURNS_MAX)?;
        if before.len() >= RETURNS_MAX {
            return Ok(false);
        }
        let suppressing = match certain || self.is_known_to_its_recipient_alone(sent.record())? {
            true => self.suppress_after_return(id, &sent, &what, now)?,
            false => false,
        };
        let (code, enhanced, text) = match what {
            What::Status(status) => (number(&status), status.enhanced, status.text),
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

    /// Whether nobody else can have made up a report that names it. Whoever got another message of that Message-ID could,
    /// where a FromID does not tell the two apart.
    fn is_known_to_its_recipient_alone(&self, record: &QueueRecord) -> Result<bool, StoreError> {
        let prefix = ReferenceKey::prefix(record.account, without_brackets(&record.message_id));
        let others = || self.tables.references.within(&self.rw, &prefix, None, 2);
        Ok(record.from_id.is_none() || others()?.len() < 2)
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

/// The code that tells it, which a report of a delivery need not have.
fn number(status: &RecipientStatus) -> u16 {
    match status.code {
        ReportedCode::Untold if status.action == StatusAction::Delivered => 250,
        code => code.number(),
    }
}

impl View<'_> {
    /// The message of each account that feedback names: by the envelope id or the Message-ID, and the recipient. Looks
    /// at up to 10,000 messages of a name.
    pub fn named(
        &self,
        accounts: impl IntoIterator<Item = AccountId>,
        feedback: &Feedback,
    ) -> Result<BTreeMap<AccountId, QueueId>, StoreError> {
        let told = Told::new(feedback);
        let mut names: Vec<String> = match feedback {
            Feedback::Status(status) => status.envelope_ids().collect(),
            Feedback::Complaint(_) => Vec::new(),
        };
        names.extend(feedback.original().message_id.as_deref().map(|id| without_brackets(id).to_owned()));
        let mut named = BTreeMap::new();
        for account in accounts {
            if let Some(id) = self.named_in(account, &names, &told)? {
                named.insert(account, id);
            }
        }
        Ok(named)
    }

    fn named_in(
        &self,
        account: AccountId,
        names: &[String],
        told: &Told<'_>,
    ) -> Result<Option<QueueId>, StoreError> {
        for name in names {
            let prefix = ReferenceKey::prefix(account, name);
            for (key, ()) in self.tables.references.within(&self.txn, &prefix, None, NAMESAKES_MAX)? {
                let recipient = match self.message(key.id)? {
                    Some(queued) => Some(queued.recipient),
                    None => self.retired_message(key.id)?.map(|retired| retired.message.recipient),
                };
                if recipient.is_some_and(|recipient| told.about(&recipient, false).is_some()) {
                    return Ok(Some(key.id));
                }
            }
        }
        Ok(None)
    }
}
