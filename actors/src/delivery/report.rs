//! DSNs about late, failed and relayed messages, for the Inbox of the account that sent them.

use super::{RetrySchedule, plan::attempts_ahead};
use bytes::Bytes;
use mail::{
    Address, Domain, DsnAction, DsnNotify, DsnReason, DsnRecipient, DsnReport, DsnReturn, EnhancedCode,
    MessageId, Returned, Timestamp,
};
use std::io::{self, Read};
use store::{
    Content, Decision, Report, Settlement, Store, StoreError,
    records::{Attempt, AttemptResult, QueueRecord},
};

/// A message up to this size is returned as a whole where the sender asked for that; of a larger one, its header.
const FULL_MAX: u64 = 1024 * 1024;
/// What is read of a larger one.
const HEADER_MAX: u64 = 64 * 1024;

/// Composes the reports that are due. Cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    store: Store,
    hostname: Domain,
    from: Address,
    schedule: RetrySchedule,
}

impl Reporter {
    pub(crate) fn new(store: Store, ehlo_name: &str, schedule: RetrySchedule) -> Reporter {
        let localhost = || Domain::parse("localhost").expect("a domain");
        let address = |domain: &Domain| Address::parse(&format!("mailer-daemon@{}", domain.as_ascii()));
        let named = Domain::parse(ehlo_name).ok().and_then(|domain| Some((address(&domain).ok()?, domain)));
        let (from, hostname) =
            named.unwrap_or_else(|| (address(&localhost()).expect("an address"), localhost()));
        Reporter { store, hostname, from, schedule }
    }

    /// The report about a message that a person fails, to go with that settlement; none where its sender wants none.
    pub(crate) async fn failed_by_operator(&self, message: QueueRecord, now: Timestamp) -> Option<Report> {
        self.report(message, None, DsnAction::Failed, now).await
    }

    /// What a report says that may be due with a settlement, after the `made`th attempt of its message. `success`: the
    /// sender wants to know of success, and nobody else will tell.
    pub(crate) fn due(&self, settlement: &Settlement, made: usize, success: bool) -> Option<DsnAction> {
        action(&settlement.decision, made, &self.schedule, success)
    }

    /// The report that is due with a settlement, and says this.
    pub(crate) async fn after_attempt(&self, settlement: &Settlement, action: DsnAction) -> Option<Report> {
        let attempt = settlement.attempt.clone()?;
        let message = self.store.read(|view| view.message(settlement.id));
        let unreadable = |error: &StoreError| {
            tracing::error!(message.id = %settlement.id, %error, "a message to report about cannot be read");
        };
        let message = message.inspect_err(unreadable).ok()??;
        self.report(message, Some(attempt), action, settlement.now).await
    }

    async fn report(
        &self,
        message: QueueRecord,
        attempt: Option<Attempt>,
        action: DsnAction,
        now: Timestamp,
    ) -> Option<Report> {
        let account = self.store.directory().account(message.account).cloned()?;
        let to = message.mail_from.address().cloned()?;
        if !account.record.dsn_to_inbox || !is_wanted(&action, message.dsn.notify) {
            return None;
        }
        let is_large = self.store.is_large(usize::try_from(message.size).unwrap_or(usize::MAX));
        let reporter = self.clone();
        let compose = move || reporter.compose(&message, &to, attempt.as_ref(), action, now);
        if !is_large {
            return compose();
        }
        tokio::task::spawn_blocking(compose).await.ok()?
    }

    fn compose(
        &self,
        message: &QueueRecord,
        to: &Address,
        attempt: Option<&Attempt>,
        action: DsnAction,
        now: Timestamp,
    ) -> Option<Report> {
        let is_whole = action == DsnAction::Failed
            && message.dsn.ret == Some(DsnReturn::Full)
            && message.size <= FULL_MAX;
        let original = self.original(message, if is_whole { FULL_MAX } else { HEADER_MAX });
        let returned = match &original {
            None => Returned::Nothing,
            Some(octets) if is_whole => Returned::Message(octets),
            Some(octets) => Returned::Header(&octets[..mail::read::headers_end(octets)]),
        };
        let content = DsnReport {
            message_id: &MessageId::new(now, rand::random(), &self.hostname),
            from: &self.from,
            to,
            date: now,
            reporting_mta: &self.hostname,
            arrival: message.queued,
            envid: message.dsn.envid.as_deref(),
            subject: &message.subject,
            original_id: &message.message_id,
            recipients: vec![recipient(message, attempt, &action)],
            action,
            returned,
        }
        .compose();
        let size = content.len() as u64;
        match self.store.stage(rand::random(), content.into()) {
            Ok(content) => Some(Report { content, size, msg_from: self.from.clone() }),
            Err(error) => {
                tracing::error!(%error, "a report for an account cannot be stored; it is left out");
                None
            }
        }
    }

    /// The message, or its start; none when it is gone or cannot be read, which the report must not wait for.
    fn original(&self, message: &QueueRecord, max: u64) -> Option<Bytes> {
        let unreadable = |error: &dyn std::error::Error| {
            tracing::error!(content.id = %message.content, %error, "a message to report about cannot be read");
        };
        let content = self.store.read(|view| view.open_content(message.content));
        let content = content.inspect_err(|error| unreadable(error)).ok()??;
        start_of(content, max).inspect_err(|error| unreadable(error)).ok()
    }
}

fn start_of(content: Content, max: u64) -> io::Result<Bytes> {
    match content {
        Content::Bytes(bytes) => Ok(bytes),
        Content::File { file, size } => {
            let mut start = Vec::with_capacity(usize::try_from(size.min(max)).unwrap_or_default());
            file.take(max).read_to_end(&mut start)?;
            Ok(start.into())
        }
    }
}

/// What a report says that is due after the `made`th attempt, if one is.
fn action(decision: &Decision, made: usize, schedule: &RetrySchedule, success: bool) -> Option<DsnAction> {
    match decision {
        Decision::Failed { .. } => Some(DsnAction::Failed),
        Decision::Retry(at) if schedule.late_after() == Some(made) => Some(DsnAction::Delayed {
            next_attempt: *at,
            later_attempts: attempts_ahead(schedule, made, *at),
        }),
        Decision::Delivered if success => Some(DsnAction::Relayed),
        Decision::Retry(_)
        | Decision::Delivered
        | Decision::Suppressed
        | Decision::Cancel
        | Decision::Move { .. } => None,
    }
}

fn is_wanted(action: &DsnAction, asked: Option<DsnNotify>) -> bool {
    match action {
        DsnAction::Failed => DsnNotify::wants_failure(asked),
        DsnAction::Delayed { .. } => DsnNotify::wants_delay(asked),
        DsnAction::Relayed => DsnNotify::wants_success(asked),
    }
}

/// Without an attempt that decided, a person did.
fn recipient<'a>(
    message: &'a QueueRecord,
    attempt: Option<&'a Attempt>,
    action: &DsnAction,
) -> DsnRecipient<'a> {
    let last = attempt.or(message.attempts.last());
    DsnRecipient {
        original: message.dsn.original_recipient.as_deref(),
        address: &message.recipient,
        status: attempt
            .and_then(|attempt| attempt.result.enhanced())
            .or(EnhancedCode::new(action.class(), 0, 0))
            .expect("a code of class 2, 4 or 5"),
        remote_mta: attempt.map(|attempt| attempt.host.as_str()).filter(|host| !host.is_empty()),
        reason: attempt.map_or(DsnReason::Operator, |attempt| reason(&attempt.result)),
        attempts: message.attempts.len() + usize::from(attempt.is_some()),
        last_attempt: last.map(|attempt| attempt.started),
    }
}

fn reason(result: &AttemptResult) -> DsnReason<'_> {
    match result {
        AttemptResult::Delivered(answer) | AttemptResult::Refused(answer) => {
            DsnReason::Answer { code: answer.code, enhanced: answer.enhanced, text: &answer.text }
        }
        AttemptResult::Failed { error, .. } => DsnReason::Error(error),
    }
}
