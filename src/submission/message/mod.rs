//! What becomes of a submitted message, from MAIL to the answer at its end.

mod content;
mod envelope;
mod refused;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use envelope::Envelope;
pub(crate) use refused::Refused;

use crate::{app::App, received_field::ReceivedField, sending::kept_subject, smtp_in::RECEIVED_MAX};
use actors::WriteError;
use bytes::Bytes;
use content::{HeaderForm, Prepared, Read, Unready, prepare, read};
use envelope::{enabled, sender};
use mail::Timestamp;
use smtp::{Peer, Reply};
use std::{net::IpAddr, ops::Range};
use store::{Refusal, SentCopy, StoreError, Submission};

/// Who brings a message.
pub(crate) struct Bringer<'a> {
    /// Who it says it is.
    pub(crate) peer: Option<&'a Peer>,
    /// Where it is.
    pub(crate) remote: IpAddr,
    /// Whether the connection is secured.
    pub(crate) secure: bool,
}

/// Puts a message that was received for the envelope in the queue. It answers when that is on stable storage.
pub(crate) async fn submit(
    app: &App,
    envelope: Envelope,
    bringer: Bringer<'_>,
    content: Bytes,
) -> Result<Reply, Refused> {
    let size = content.len();
    let queued = queue(app, envelope, bringer, content).await;
    let result = queued.as_ref().map_or_else(Refused::result, |_| "accepted");
    app.submissions.with_label_values(&["submission", result]).inc();
    tracing::debug!(size, result, "a message was submitted over SMTP");
    Ok(queued?.reply())
}

/// The messages that a submission became.
struct Queued {
    ids: Range<u64>,
    /// Some may have been queued before, under other ids.
    may_be_repeats: bool,
}

impl Queued {
    fn reply(&self) -> Reply {
        let first = self.ids.start;
        let text = match self.ids.end.saturating_sub(first) {
            ..=1 => format!("Queued as {first}"),
            _ if self.may_be_repeats => "Queued".to_owned(),
            _ => format!("Queued as {first} to {}", self.ids.end - 1),
        };
        Reply::with_enhanced(250, 6, 0, &text)
    }
}

async fn queue(
    app: &App,
    envelope: Envelope,
    bringer: Bringer<'_>,
    content: Bytes,
) -> Result<Queued, Refused> {
    envelope.check()?;
    let handles = &app.handles;
    // Signing what has no room would only cost time.
    if handles.writer.room() == 0 {
        return Err(Refused::Busy);
    }
    let (now, directory) = (handles.clock.now(), handles.store.directory());
    let account = enabled(&directory, envelope.account)?.clone();
    let form = if envelope.smtputf8 { HeaderForm::AsItIs } else { HeaderForm::Ascii };
    let Read { mut message, digest } =
        read(content, account.record.deduplicate_message_id, form).await?.map_err(Refused::Message)?;
    if message.received > RECEIVED_MAX {
        return Err(Refused::Loop);
    }
    let fields = [("From", Some(&message.from)), ("Sender", message.sender.as_ref())];
    for (field, address) in fields {
        if let Some(address) = address {
            sender(field, address.clone(), account.id, &directory)?;
        }
    }
    let own_id = message.message_id.clone();
    let message_id = message.complete(now, rand::random());
    let name = rand::random();
    let trace = trace(app, &envelope, &bringer, name, now);
    let domain = directory.domain(message.from.domain()).cloned();
    let (extra, msg_from) = (std::mem::take(&mut message.extra), message.from.clone());
    let subject = kept_subject(&message.subject).to_owned();
    let smtputf8 = message.smtputf8() || envelope.needs_smtputf8();
    // RFC 8689, section 4.1: what the envelope asks for comes before what the message does.
    let require_tls = match (envelope.require_tls, message.tls_not_required) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    let (future_release, envid, ret) = (envelope.future_release, envelope.envid.clone(), envelope.ret);
    let mut recipients = envelope.recipients(app, &directory, now)?;
    if let (Some(digest), Some(id)) = (digest, &own_id) {
        for recipient in &mut recipients {
            recipient.once = Some(digest.to(id, &recipient.address));
        }
    }
    let may_be_repeats = recipients.iter().any(|recipient| recipient.once.is_some());
    let Prepared { content, size, eight_bit } = prepare(&handles.store, name, trace, message, domain).await?;
    let submission = Submission {
        account: account.id,
        now,
        content,
        size,
        recipients,
        message_id: message_id.as_str().to_owned(),
        subject,
        transport: None,
        require_tls,
        future_release,
        extra,
        eight_bit,
        smtputf8,
        sent_copy: SentCopy::Unwanted,
        msg_from,
        envid,
        ret,
        repeatable: None,
    };
    let accepted = handles.writer.accept(submission).await?;
    Ok(Queued { ids: accepted.ids, may_be_repeats })
}

fn trace(app: &App, envelope: &Envelope, bringer: &Bringer<'_>, name: [u8; 16], now: Timestamp) -> String {
    let id = name[..8].iter().fold(0u64, |id, byte| id << 8 | u64::from(*byte));
    let mut trace = String::with_capacity(256);
    let field = ReceivedField {
        recipient: envelope.single(),
        peer: bringer.peer,
        remote: bringer.remote,
        secure: bringer.secure,
        authenticated: true,
        smtputf8: envelope.smtputf8,
        hostname: &app.hostname,
        id: &format!("{id:016x}"),
        now,
    };
    field.write(&mut trace);
    trace
}

impl From<Unready> for Refused {
    fn from(unready: Unready) -> Refused {
        match unready {
            Unready::Store(StoreError::Full) => return Refused::Busy,
            Unready::Store(error) => tracing::error!(%error, "a submitted message could not be stored"),
            Unready::Sign(error) => tracing::error!(%error, "a submitted message could not be signed"),
            Unready::Broken => tracing::error!("a submitted message could not be worked on"),
        }
        Refused::Failed
    }
}

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Refused {
        match error {
            error if error.is_temporary() => Refused::Busy,
            WriteError::Refused(limit @ (Refusal::MessageLimit(_) | Refusal::RecipientLimit(_))) => {
                Refused::Limit(limit)
            }
            WriteError::Refused(Refusal::FromIdInUse) => Refused::FromIdInUse,
            // The account was removed meanwhile.
            WriteError::Refused(Refusal::NotFound) => Refused::AccountDisabled,
            WriteError::Refused(refusal) => {
                tracing::warn!(%refusal, "a submitted message could not be queued");
                Refused::Failed
            }
            // It is in the log already, once for all that waited.
            WriteError::Failed(_) | WriteError::Busy | WriteError::Stopped => Refused::Failed,
        }
    }
}
