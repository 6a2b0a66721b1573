//! Suppression lists, and what puts addresses there by itself.

use crate::{
    Refusal, StoreError,
    change::{Applied, NewSuppression, Suppress},
    records::{QueueRecord, SmtpAnswer, SuppressionRecord, SuppressionSource},
    txn::{Outcome, Txn},
};
use mail::{AccountId, BaseAddress, QueueId, SuppressionId, Timestamp, Verdict};

/// A failure, as the automatic rule looks at it.
pub(crate) struct Failure<'a> {
    pub(crate) answer: Option<&'a SmtpAnswer>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) suppress: Suppress,
    pub(crate) source: SuppressionSource,
}

impl Txn<'_> {
    /// What is swept of an account that was removed does not come again.
    pub(crate) fn suppress(&mut self, new: &NewSuppression) -> Outcome<Applied> {
        if self.account(new.account)?.is_none() {
            return Ok(Err(Refusal::NotFound));
        }
        let key = (new.account, BaseAddress::of(&new.address).to_string());
        if self.tables.suppressions.contains(&self.rw, &key)? {
            return Ok(Err(Refusal::Exists));
        }
        self.counters.suppression += 1;
        let id = SuppressionId(self.counters.suppression);
        let record = SuppressionRecord {
            id,
            created: new.now,
            original: new.address.clone(),
            reason: new.reason.clone(),
            source: new.source.clone(),
        };
        self.tables.suppressions.put(&mut self.rw, &key, &record)?;
        Ok(Ok(Applied::Suppressed(id)))
    }

    pub(crate) fn suppress_many(&mut self, new: &[NewSuppression]) -> Outcome<Applied> {
        for new in new {
            // Before anything is written, since a refused change leaves no trace.
            if self.account(new.account)?.is_none() {
                return Ok(Err(Refusal::NotFound));
            }
        }
        let mut added = 0;
        for new in new {
            added += usize::from(self.suppress(new)?.is_ok());
        }
        Ok(Ok(Applied::SuppressedMany { added, present: new.len() - added }))
    }

    pub(crate) fn unsuppress(&mut self, account: AccountId, address: &BaseAddress) -> Outcome<Applied> {
        let key = (account, address.to_string());
        if !self.tables.suppressions.delete(&mut self.rw, &key)? {
            return Ok(Err(Refusal::NotFound));
        }
        // Whoever takes an address off the list gives it a fresh start.
        self.tables.streaks.delete(&mut self.rw, &key)?;
        Ok(Ok(Applied::Unsuppressed))
    }

    /// The automatic rule: whether this failure of the message put its recipient on the list.
    pub(crate) fn suppress_after_failure(
        &mut self,
        id: QueueId,
        record: &QueueRecord,
        failure: Failure<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Failure { answer, verdict, suppress, source } = failure;
        let third = match suppress {
            Suppress::No => return Ok(false),
            Suppress::Now => false,
            Suppress::IfThirdInRow if self.failures_in_row(id, record, now)? < 2 => return Ok(false),
            Suppress::IfThirdInRow => true,
        };
        let reason = automatic_reason(answer, verdict, third, &source);
        self.suppress_recipient(record, reason, source, now)
    }

    /// Whether the recipient was not on the list before.
    pub(crate) fn suppress_recipient(
        &mut self,
        record: &QueueRecord,
        reason: String,
        source: SuppressionSource,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (account, address) = (record.account, record.recipient.clone());
        Ok(self.suppress(&NewSuppression { account, address, now, reason, source })?.is_ok())
    }
}

/// The most octets of an answer's text in a reason, which people read in a list.
const TEXT_MAX: usize = 1_000;

/// Why an entry was made by itself: `550 5.1.1 no such user (mailbox, permanent); queue message 17`.
pub(crate) fn automatic_reason(
    answer: Option<&SmtpAnswer>,
    verdict: Option<Verdict>,
    third_in_row: bool,
    source: &SuppressionSource,
) -> String {
    let mut parts = Vec::new();
    if let Some(answer) = answer {
        let text = without_code(answer);
        let text = &text[..text.floor_char_boundary(TEXT_MAX)];
        let enhanced = answer.enhanced.map(|enhanced| format!(" {enhanced}")).unwrap_or_default();
        let verdict = verdict.map(|verdict| format!(" ({verdict})")).unwrap_or_default();
        parts.push(format!("{}{enhanced} {text}{verdict}", answer.code));
    }
    if third_in_row {
        parts.push("third failure in a row".to_owned());
    }
    match source {
        SuppressionSource::Queue(id) => parts.push(format!("queue message {id}")),
        SuppressionSource::Dsn(id) => parts.push(format!("DSN about queue message {id}")),
        SuppressionSource::Complaint(id) => parts.push(format!("complaint about queue message {id}")),
        SuppressionSource::Manual | SuppressionSource::Application => {}
    }
    parts.join("; ")
}

/// The text of an answer, which often begins with the enhanced code once more.
fn without_code(answer: &SmtpAnswer) -> &str {
    let code = answer.enhanced.map(|code| code.to_string());
    let text = code.and_then(|code| answer.text.strip_prefix(code.as_str())?.strip_prefix(' '));
    text.unwrap_or(&answer.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_the_answer_the_verdict_and_the_message() {
        let id = QueueId(17);
        let answer = |code, enhanced: &str, text: &str| SmtpAnswer {
            code,
            enhanced: enhanced.parse().ok(),
            text: text.into(),
        };
        let gone = answer(550, "5.1.1", "no such user");
        let verdict = Some(Verdict::of(550, gone.enhanced, "no such user"));
        for (answer, verdict, third, source, expected) in [
            (
                Some(gone.clone()),
                verdict,
                false,
                SuppressionSource::Queue(id),
                "550 5.1.1 no such user (mailbox, permanent); queue message 17",
            ),
            (
                Some(answer(550, "5.1.1", "5.1.1 no such user")),
                verdict,
                false,
                SuppressionSource::Dsn(id),
                "550 5.1.1 no such user (mailbox, permanent); DSN about queue message 17",
            ),
            (
                Some(answer(554, "", "5.1.1 no")),
                None,
                true,
                SuppressionSource::Queue(id),
                "554 5.1.1 no; third failure in a row; queue message 17",
            ),
        ] {
            assert_eq!(automatic_reason(answer.as_ref(), verdict, third, &source), expected);
        }
        let complaint = automatic_reason(None, None, false, &SuppressionSource::Complaint(id));
        assert_eq!(complaint, "complaint about queue message 17");
        let long = answer(550, "5.1.1", &"ü".repeat(5_000));
        let reason = automatic_reason(Some(&long), verdict, true, &SuppressionSource::Dsn(id));
        assert!(reason.ends_with("(mailbox, permanent); third failure in a row; DSN about queue message 17"));
        assert!(reason.len() < 1_200, "{}", reason.len());
    }
}
