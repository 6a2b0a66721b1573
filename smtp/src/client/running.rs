//! The transaction under way, and what is decided of its recipients.

use crate::path::is_mailbox;
use crate::reply::Reply;
use crate::transaction::{Failure, Phase, RecipientResult, Transaction, TransactionResult};

#[derive(Debug)]
pub(super) struct Running {
    pub(super) transaction: Transaction,
    pub(super) mail_parameters: String,
    /// What is decided; an open recipient whose RCPT was answered is accepted so far.
    results: Vec<Option<RecipientResult>>,
    mail_refused: Option<Reply>,
    /// Whether the server took a recipient.
    rcpt_accepted: bool,
}

impl Running {
    /// Recipients that cannot be said, and those beyond the first `rcpt_max` that can, are decided already.
    pub(super) fn new(transaction: Transaction, rcpt_max: Option<u32>, mail_parameters: String) -> Self {
        let mut room = rcpt_max.unwrap_or(u32::MAX);
        let before_asking = |path: &str| {
            if !is_mailbox(path) {
                return Some(RecipientResult::Failed(Failure::MalformedPath));
            }
            match room.checked_sub(1) {
                Some(rest) => room = rest,
                None => return Some(RecipientResult::TooMany { reply: None }),
            }
            None
        };
        let results =
            transaction.recipients.iter().map(|recipient| recipient.path.as_str()).map(before_asking);
        let results = results.collect();
        Self { transaction, mail_parameters, results, mail_refused: None, rcpt_accepted: false }
    }

    /// Whom to ask the server about, as indices.
    pub(super) fn askable(&self) -> Vec<usize> {
        (0..self.results.len()).filter(|index| self.results[*index].is_none()).collect()
    }

    /// Recipients that were not refused so far; none after MAIL was refused.
    pub(super) fn open(&self) -> usize {
        match self.mail_refused {
            Some(_) => 0,
            None => self.results.iter().filter(|result| result.is_none()).count(),
        }
    }

    pub(super) fn is_mail_refused(&self) -> bool {
        self.mail_refused.is_some()
    }

    pub(super) fn any_accepted(&self) -> bool {
        self.results.iter().any(|result| matches!(result, Some(RecipientResult::Accepted(_))))
    }

    pub(super) fn mail_answered(&mut self, reply: Reply) {
        if reply.is_refusal() {
            self.mail_refused = Some(reply);
        }
    }

    pub(super) fn rcpt_answered(&mut self, index: usize, reply: Reply, at: Phase) {
        if self.mail_refused.is_some() {
            return;
        }
        if reply.is_positive() {
            self.rcpt_accepted = true;
        } else if self.rcpt_accepted && means_too_many(&reply) {
            self.results[index] = Some(RecipientResult::TooMany { reply: Some(reply) });
        } else {
            self.results[index] = Some(RecipientResult::Refused { reply, at });
        }
    }

    /// This is what became of all recipients that are open; the refusal of MAIL goes before it.
    pub(super) fn decide(&mut self, result: RecipientResult) {
        let result = match &self.mail_refused {
            Some(reply) => RecipientResult::Refused { reply: reply.clone(), at: Phase::Mail },
            None => result,
        };
        for open in self.results.iter_mut().filter(|result| result.is_none()) {
            *open = Some(result.clone());
        }
    }

    pub(super) fn into_result(mut self) -> TransactionResult {
        // All are decided unless MAIL was refused.
        self.decide(RecipientResult::Failed(Failure::Closed { at: Phase::Mail }));
        TransactionResult { recipients: self.results.into_iter().flatten().collect() }
    }
}

/// Whether a refusal of RCPT after accepted ones can mean that there were too many of them (RFC 5321 section
/// 4.5.3.1.10, where 552 counts as 452). It can mean a full mailbox too: offered again as the first of another
/// transaction, the recipient gets an answer of its own.
fn means_too_many(reply: &Reply) -> bool {
    let about_number = reply.enhanced().is_none_or(|code| (code.subject(), code.detail()) == (5, 3));
    reply.code() == 552 || (reply.code() == 452 && about_number)
}
