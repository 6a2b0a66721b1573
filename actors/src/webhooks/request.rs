//! The webhook call as bytes: body, headers, signature.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use mail::{
    HookId, Timestamp,
    read::{NameAddressText, ReadMessage, Structure},
};
use serde::Serialize;
use std::collections::BTreeMap;
use store::{
    Store, StoreError,
    records::{AccountRecord, HookRecord, HookSubject, IncomingHook, LoggedEvent},
};

/// A webhook call to be made.
#[derive(Clone)]
pub struct HookRequest {
    /// Where to.
    pub url: String,
    /// Name and value; some are secrets.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// A message of more bytes takes long enough to be read, parsed and written as JSON to hold up others.
const LARGE: u64 = 256 << 10;

/// Whether [`build`] takes long, and so wants a thread of its own.
pub(super) fn is_large(hook: &HookRecord) -> bool {
    matches!(&hook.subject, HookSubject::Incoming(incoming) if incoming.arrival.size > LARGE)
}

/// The call for a hook.
///
/// # Errors
/// [`StoreError::Damaged`] when the message it tells is gone for good; others may pass.
pub(super) fn build(
    store: &Store,
    id: HookId,
    hook: &HookRecord,
    attempt: usize,
    now: Timestamp,
) -> Result<HookRequest, StoreError> {
    let directory = store.directory();
    let account = directory.account(hook.account).map(|account| &account.record);
    let raw = match &hook.subject {
        HookSubject::Outgoing(_) => None,
        HookSubject::Incoming(incoming) => {
            let raw = store.read(|view| view.content(incoming.content))?;
            Some(raw.ok_or(StoreError::Damaged { table: "contents" })?)
        }
    };
    let webhook_id = format!("hook_{}", hook.resent_of.unwrap_or(id));
    Ok(assemble(id, &webhook_id, hook, account, raw.as_deref().unwrap_or_default(), attempt, now))
}

/// The call for a hook that is not in the store: `raw` is the message that it tells, where it tells one.
pub(super) fn build_test(
    webhook_id: &str,
    hook: &HookRecord,
    account: &AccountRecord,
    raw: &[u8],
    now: Timestamp,
) -> HookRequest {
    assemble(HookId(0), webhook_id, hook, Some(account), raw, 1, now)
}

fn assemble(
    id: HookId,
    webhook_id: &str,
    hook: &HookRecord,
    account: Option<&AccountRecord>,
    raw: &[u8],
    attempt: usize,
    now: Timestamp,
) -> HookRequest {
    let body = match &hook.subject {
        HookSubject::Outgoing(outgoing) => {
            outgoing_body(outgoing, hook.queued, account.map_or("", |account| &account.name))
        }
        HookSubject::Incoming(incoming) => incoming_body(incoming, raw),
    };
    let mut headers = vec![
        ("Content-Type", "application/json; charset=utf-8".to_owned()),
        ("User-Agent", concat!("postrider/", env!("CARGO_PKG_VERSION"), " (webhook)").to_owned()),
        ("X-Mox-Webhook-ID", id.to_string()),
        ("X-Mox-Webhook-Attempt", attempt.to_string()),
        ("webhook-id", webhook_id.to_owned()),
        ("webhook-timestamp", now.as_secs().to_string()),
    ];
    if let Some(account) = account {
        let signatures: Vec<_> =
            account.webhook_secrets(now).map(|secret| signature(secret, webhook_id, now, &body)).collect();
        headers.push(("webhook-signature", signatures.join(" ")));
    }
    if let Some(authorization) = &hook.authorization {
        headers.push(("Authorization", authorization.clone()));
    }
    HookRequest { url: hook.url.clone(), headers, body }
}

/// A signature of the Standard Webhooks specification; `webhook-signature` has one for each secret.
pub fn signature(secret: &[u8], id: &str, now: Timestamp, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(format!("{id}.{}.", now.as_secs()).as_bytes());
    context.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Outgoing<'a> {
    version: u8,
    event: &'static str,
    #[serde(rename = "DSN")]
    dsn: bool,
    suppressing: bool,
    #[serde(rename = "QueueMsgID")]
    queue_msg_id: u64,
    #[serde(rename = "FromID")]
    from_id: &'a str,
    #[serde(rename = "MessageID")]
    message_id: &'a str,
    subject: &'a str,
    webhook_queued: String,
    #[serde(rename = "SMTPCode")]
    smtp_code: u16,
    #[serde(rename = "SMTPEnhancedCode")]
    smtp_enhanced_code: String,
    error: &'a str,
    extra: &'a BTreeMap<String, String>,
    recipient: String,
    account: &'a str,
    attempt: u32,
}

fn outgoing_body(hook: &LoggedEvent, queued: Timestamp, account: &str) -> Vec<u8> {
    let event = &hook.event;
    json(&Outgoing {
        version: 0,
        event: event.kind.name(),
        dsn: event.dsn,
        suppressing: event.suppressing,
        queue_msg_id: event.queue_id.0,
        from_id: event.from_id.as_ref().map_or("", |id| id.as_str()),
        message_id: &event.message_id,
        subject: &hook.subject,
        webhook_queued: queued.to_string(),
        smtp_code: event.code,
        smtp_enhanced_code: event.enhanced.map(|code| code.to_string()).unwrap_or_default(),
        error: &event.error,
        extra: &hook.extra,
        recipient: event.recipient.to_string(),
        account,
        attempt: event.attempt,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Incoming {
    version: u8,
    from: Vec<NameAddressText>,
    to: Vec<NameAddressText>,
    #[serde(rename = "CC")]
    cc: Vec<NameAddressText>,
    #[serde(rename = "BCC")]
    bcc: Vec<NameAddressText>,
    reply_to: Vec<NameAddressText>,
    subject: String,
    #[serde(rename = "MessageID")]
    message_id: String,
    in_reply_to: String,
    references: Vec<String>,
    date: Option<String>,
    text: String,
    #[serde(rename = "HTML")]
    html: String,
    structure: Structure,
    meta: IncomingMeta,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct IncomingMeta {
    #[serde(rename = "MsgID")]
    msg_id: u64,
    mail_from: String,
    mail_from_validated: bool,
    msg_from_validated: bool,
    rcpt_to: String,
    #[serde(rename = "DKIMVerifiedDomains")]
    dkim_verified_domains: Vec<String>,
    #[serde(rename = "RemoteIP")]
    remote_ip: String,
    received: String,
    mailbox_name: String,
    automated: bool,
}

fn incoming_body(hook: &IncomingHook, raw: &[u8]) -> Vec<u8> {
    let ReadMessage { message, structure, .. } = mail::read::read(raw);
    let arrival = &hook.arrival;
    json(&Incoming {
        version: 0,
        from: message.from,
        to: message.to,
        cc: message.cc,
        bcc: message.bcc,
        reply_to: message.reply_to,
        subject: message.subject,
        message_id: message.message_id,
        in_reply_to: message.in_reply_to,
        references: message.references,
        date: message.date.map(|date| date.to_string()),
        text: message.text,
        html: message.html,
        structure,
        meta: IncomingMeta {
            msg_id: hook.msg.0,
            mail_from: arrival.mail_from.to_string(),
            mail_from_validated: arrival.mail_from_validated,
            msg_from_validated: arrival.msg_from_validated,
            rcpt_to: hook.rcpt_to.to_string(),
            dkim_verified_domains: arrival.dkim_verified_domains.clone(),
            remote_ip: arrival.remote_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            received: arrival.received.to_string(),
            mailbox_name: hook.mailbox_name.clone(),
            automated: arrival.automated,
        },
    })
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("bodies are made of strings, numbers, lists and maps with string keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // The example of the Standard Webhooks specification.
        let secret = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let now = Timestamp::from_millis(1_614_265_330_000);
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", now, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
