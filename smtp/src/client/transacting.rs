//! A transaction, from MAIL to the answer that decides.

use bytes::Bytes;

use super::content::Outgoing;
use super::envelope::{mail_parameters, obstacle};
use super::{ClientSession, Exchange, Running};
use crate::data::DotStuffer;
use crate::reply::Reply;
use crate::transaction::{Failure, Phase, RecipientResult, Transaction, TransactionResult};

impl ClientSession {
    /// Whether the server takes another transaction: not when the session is closed, and not beyond its MAILMAX
    /// (RFC 9422).
    pub fn may_begin(&self) -> bool {
        let below_limit = self.extensions.limits.mail_max.is_none_or(|max| self.transactions < max);
        !self.is_closed() && below_limit
    }

    /// Starts a transaction. Only after [`super::ClientStep::Ready`]; if the session has closed since, the
    /// transaction fails as the session did.
    ///
    /// The content goes by BDAT where CHUNKING is offered, and in the same group as MAIL and RCPT if it is small
    /// and PIPELINING is offered too. When a session ends without an answer then, that is at [`Phase::EndOfData`],
    /// whatever was awaited: the server may have accepted the message. Only where it closed the connection and had not
    /// answered anything, as with a connection that was idle for too long, it is at [`Phase::Mail`].
    ///
    /// # Panics
    ///
    /// When a transaction, AUTH, STARTTLS or QUIT is under way.
    pub fn begin(&mut self, transaction: Transaction) {
        let count = transaction.recipients.len();
        if self.is_closed() {
            let result = RecipientResult::Failed(Failure::Closed { at: Phase::Idle });
            self.finished = Some(TransactionResult { recipients: vec![result; count] });
            return;
        }
        self.assert_ready();
        if let Some(obstacle) = obstacle(&transaction, &self.extensions, self.secure) {
            self.finished = Some(TransactionResult { recipients: vec![obstacle; count] });
            return;
        }
        let parameters = mail_parameters(&transaction, &self.extensions);
        let running = Running::new(transaction, self.extensions.limits.rcpt_max, parameters);
        let askable = running.askable();
        if askable.is_empty() {
            self.finished = Some(running.into_result());
            return;
        }
        self.todo.extend(self.needs_rset.then_some(Exchange::Rset));
        self.todo.push_back(Exchange::Mail);
        self.todo.extend(askable.into_iter().map(Exchange::Rcpt));
        let chunking = self.chunking && self.extensions.chunking;
        self.todo.push_back(if chunking { Exchange::Chunk } else { Exchange::Data });
        self.running = Some(running);
        self.needs_rset = false;
        self.transactions = self.transactions.saturating_add(1);
        if self.extensions.pipelining { self.say_group() } else { self.say_next() }
    }

    pub(super) fn transaction_answered(&mut self, exchange: Exchange, reply: Reply, at: Phase) {
        let running = self.running.as_mut().expect("these exchanges belong to a transaction");
        match exchange {
            Exchange::Mail => {
                self.needs_rset |= reply.is_refusal();
                running.mail_answered(reply);
            }
            Exchange::Rcpt(index) => running.rcpt_answered(index, reply, at),
            Exchange::Data if reply.code() == 354 => {
                if running.open() > 0 {
                    let content = running.transaction.content.clone();
                    self.sending = Some(Outgoing::Stuffed(Box::new(DotStuffer::new(content))));
                    self.waiting.push_back(Exchange::EndOfData);
                } else {
                    self.out.push(Bytes::from_static(b".\r\n"));
                    self.waiting.push_back(Exchange::EndOfNothing);
                }
            }
            Exchange::Chunk if chunking_refused(&reply) => {
                // Such a server has not skipped the content either: what it says next answers that.
                return self.fail(Failure::ChunkingRefused { reply });
            }
            Exchange::EndOfData | Exchange::Chunk if reply.is_positive() => {
                running.decide(RecipientResult::Accepted(reply));
            }
            Exchange::Data | Exchange::EndOfData | Exchange::Chunk => {
                running.decide(RecipientResult::Refused { reply, at });
                self.needs_rset = true;
            }
            _ => {}
        }
        let awaits_end = |exchange: &Exchange| matches!(exchange, Exchange::EndOfData | Exchange::Chunk);
        if self.sending.is_some() && !self.waiting.iter().any(awaits_end) {
            // Refused in the middle of the content, whose rest cannot be taken back: the session cannot go on.
            self.conclude();
            self.fail(Failure::Closed { at });
            return;
        }
        self.proceed();
    }

    /// Goes on with the transaction once nothing is awaited.
    pub(super) fn proceed(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        self.say_next();
        if self.waiting.is_empty() {
            self.conclude();
        }
    }

    pub(super) fn conclude(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.needs_rset |= !running.any_accepted();
        self.finished = Some(running.into_result());
    }
}

/// Whether BDAT itself is refused, by a server that offered CHUNKING nonetheless, and not the message.
fn chunking_refused(reply: &Reply) -> bool {
    let about_command = reply.enhanced().is_none_or(|code| code.subject() == 5);
    matches!(reply.code(), 500 | 502 | 555) && about_command
}
