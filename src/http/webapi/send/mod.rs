//! `Send`: a message goes into the queue, once for each recipient.

mod content;
mod draft;
mod repeat;
mod request;

use super::{Call, Result};
use crate::{
    http::{
        Http,
        error::{ApiError, Code, json},
    },
    sending::{kept_subject, new_recipient},
};
use actix_web::web;
use content::{Preparation, Prepared, prepare};
use draft::Addressed;
use mail::{Draft, FromId, Timestamp};
pub(super) use repeat::IDEMPOTENCY_KEY;
pub(super) use request::Request;
use schemars::JsonSchema;
use serde::Serialize;
use store::{
    NewRecipient, SentCopy, Submission as NewSubmission,
    records::{CopyOutcome, FirstAnswer},
};

/// A message that was accepted: it is on stable storage for every recipient.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendResult<'a> {
    /// With angle brackets.
    #[serde(rename = "MessageID")]
    message_id: &'a str,
    /// One for each recipient, in the order To, CC, BCC.
    submissions: Vec<Submission>,
}

/// The message to one recipient.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
struct Submission {
    /// The recipient.
    address: String,
    /// The id in the queue, its history and webhooks. Those of one call are consecutive.
    #[serde(rename = "QueueMsgID")]
    #[schemars(with = "i64")]
    queue_msg_id: u64,
    /// What the return path carries, so that answers and bounces are recognised; empty when the login asks for
    /// none.
    #[serde(rename = "FromID")]
    from_id: String,
}

/// A message that is on stable storage.
struct Queued {
    message_id: String,
    submissions: Vec<Submission>,
    /// Why the copy that was wanted is not in Sent.
    copy_error: Option<ApiError>,
}

impl Queued {
    /// By the same request, when it came first.
    fn before(answer: FirstAnswer) -> Queued {
        let submissions =
            (answer.first.0..).zip(answer.recipients).map(|(id, (address, from_id))| Submission {
                address,
                queue_msg_id: id,
                from_id: from_id.as_ref().map(FromId::to_string).unwrap_or_default(),
            });
        Queued {
            message_id: answer.message_id,
            submissions: submissions.collect(),
            copy_error: match answer.copy {
                CopyOutcome::Fine => None,
                CopyOutcome::OverQuota => Some(over_quota()),
                CopyOutcome::Failed => Some(without_copy()),
            },
        }
    }
}

/// `Send`. It answers when everything is on stable storage.
pub(super) async fn send(call: Call) -> Result {
    let http = call.http.clone();
    let queued = submit(call).await;
    let result = match &queued {
        Ok(_) => "accepted",
        Err(ApiError { code: Code::Busy, .. }) => "busy",
        Err(ApiError { code: Code::Server, .. }) => "failed",
        Err(_) => "refused",
    };
    http.app.submissions.with_label_values(&["webapi", result]).inc();
    let Queued { message_id, submissions, copy_error } = queued?;
    match copy_error {
        None => Ok(json(&SendResult { message_id: &message_id, submissions })),
        Some(error) => Err(error),
    }
}

async fn submit(mut call: Call) -> std::result::Result<Queued, ApiError> {
    let handles = &call.http.app.handles;
    let repeatable = repeat::repeatable(call.idempotency_key.as_ref(), &call.form).await?;
    if let Some(request) = &repeatable {
        let (account, now) = (call.login.account.id, handles.clock.now());
        if let Some(answer) = handles.store.read(|view| view.first_answer(account, request, now))?? {
            return Ok(Queued::before(answer));
        }
    }
    // Composing and signing what has no room would only cost time.
    if handles.writer.room() == 0 {
        return Err(ApiError::busy());
    }
    let mut request: Request = call.form.parse().await?;
    call.form.forget_request();
    let (now, directory) = (handles.clock.now(), handles.store.directory());
    let limits = &call.http.app.settings.limits;
    let addressed = Addressed::check(&request, &call.login, &directory, limits.recipients_max)?;
    let account = &call.login.account;
    handles.store.read(|view| view.may_send(account.id, &account.record, addressed.recipients(), now))??;
    let recipients = new_recipients(&addressed, &call, now)?;

    let options = request.take_options(now)?;
    let files = std::mem::take(&mut call.form.files);
    let draft = draft::draft(request, addressed, &call.login, files, now, rand::random())?;
    let domain = directory.domain(draft.from.address().domain()).cloned();
    let message_id = draft.message_id.clone();
    let subject = kept_subject(draft.subject.as_str()).to_owned();
    let msg_from = draft.from.address().clone();
    let needs_smtputf8 =
        msg_from.needs_smtputf8() || recipients.iter().any(|recipient| recipient.address.needs_smtputf8());

    let preparation = Preparation {
        hostname: call.http.app.hostname.clone(),
        client: call.client,
        recipient: single(&recipients),
        domain,
        now,
        save_sent: options.save_sent,
        size_max: limits.message_size_max,
        names: rand::random(),
    };
    let prepared = prepare_where_it_hurts_least(&call.http, call.form.size, draft, preparation).await?;
    call.form.give_memory_back();
    let sent_copy = match prepared.sent_copy {
        None => SentCopy::Unwanted,
        Some(Ok(copy)) => SentCopy::Staged(copy),
        Some(Err(error)) => {
            tracing::error!(%error, "a Sent copy could not be stored");
            SentCopy::Failed
        }
    };
    let copy_failed = sent_copy == SentCopy::Failed;
    let answers: Vec<_> = recipients.iter().map(answer_of).collect();
    let submission = NewSubmission {
        account: call.login.account.id,
        now,
        size: prepared.size,
        content: prepared.content,
        recipients,
        message_id: message_id.as_str().to_owned(),
        subject,
        transport: None,
        require_tls: options.require_tls,
        future_release: options.future_release,
        extra: options.extra,
        eight_bit: prepared.eight_bit,
        smtputf8: prepared.smtputf8 || needs_smtputf8,
        sent_copy,
        msg_from,
        envid: None,
        ret: None,
        repeatable,
    };
    let accepted = handles.writer.accept(submission).await?;
    if let Some(answer) = accepted.before {
        return Ok(Queued::before(answer));
    }
    let submissions =
        accepted.ids.zip(answers).map(|(id, answer)| Submission { queue_msg_id: id, ..answer }).collect();
    let copy_error = match (copy_failed, accepted.copy_left_out) {
        (true, _) => Some(without_copy()),
        (false, true) => Some(over_quota()),
        (false, false) => None,
    };
    Ok(Queued { message_id: message_id.as_str().to_owned(), submissions, copy_error })
}

fn without_copy() -> ApiError {
    ApiError::new(
        Code::Server,
        "the message is queued, but no copy could be stored in the mailbox Sent; do not send it again",
    )
}

fn over_quota() -> ApiError {
    ApiError::new(
        Code::SentOverQuota,
        "the message is queued, but its copy does not fit in the account's mailboxes; delete messages there, and do not send it again",
    )
}

fn answer_of(recipient: &NewRecipient) -> Submission {
    Submission {
        address: recipient.address.to_string(),
        queue_msg_id: 0,
        from_id: recipient.from_id.as_ref().map(FromId::to_string).unwrap_or_default(),
    }
}

/// The recipients in the order To, CC, BCC, each with its return path.
fn new_recipients(
    addressed: &Addressed,
    call: &Call,
    now: Timestamp,
) -> std::result::Result<Vec<NewRecipient>, ApiError> {
    let wants_from_ids = call.login.wants_from_ids();
    let app = &call.http.app;
    let directory = app.handles.store.directory();
    let new = |address: &mail::Address| {
        let from_id = wants_from_ids.then(|| FromId::new(now, rand::random()));
        let account = call.login.account.id;
        new_recipient(app, &directory, account, &addressed.sender, from_id, address.clone()).map_err(|_| {
            ApiError::user(
                "the From address is too long to carry a FromID; use one with a shorter part before the @",
            )
        })
    };
    addressed.recipients().map(new).collect()
}

/// Composes and signs here when that is quick, and otherwise where it holds up nobody.
async fn prepare_where_it_hurts_least(
    http: &web::Data<Http>,
    form_size: usize,
    draft: Draft,
    preparation: Preparation,
) -> std::result::Result<Prepared, ApiError> {
    // Encoding makes at most three octets of one.
    let size = 3 * form_size + 16 * 1024;
    let store = &http.app.handles.store;
    if size <= 256 * 1024 && !store.is_large(size) && !preparation.signs_slowly() {
        return prepare(store, draft, preparation);
    }
    let store = store.clone();
    web::block(move || prepare(&store, draft, preparation)).await?
}

fn single(recipients: &[NewRecipient]) -> Option<mail::Address> {
    match recipients {
        [only] => Some(only.address.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
