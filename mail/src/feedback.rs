//! What comes back about messages that were sent: delivery status notifications (RFC 3464, RFC 6533), the bounces of
//! programs that have a format of their own, and complaints (RFC 5965).

mod address;
mod answer;
mod blocks;
mod exim;
mod qmail;
mod status;

use crate::{
    Address, EnhancedCode, Verdict,
    fields::{fields, split},
    read::{
        self,
        entity::{Entity, cut},
    },
    without_names,
};
use answer::Answer;
use serde::{Deserialize, Serialize};

/// What a message says about one that was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Feedback {
    /// What became of it on its way.
    Status(StatusNotification),
    /// A recipient calls it abuse.
    Complaint(Complaint),
}

impl Feedback {
    /// What it tells of the message that it is about.
    pub fn original(&self) -> &OriginalMessage {
        match self {
            Feedback::Status(status) => &status.original,
            Feedback::Complaint(complaint) => &complaint.original,
        }
    }
}

/// What became of a message on its way to some of its recipients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusNotification {
    /// The sender's name for the envelope (RFC 3461, 4.4), as it stands there; at most 100 octets.
    pub envelope_id: Option<String>,
    /// A block each, as far as understood; at most 1,000.
    pub recipients: Vec<RecipientStatus>,
    /// The message.
    pub original: OriginalMessage,
}

impl StatusNotification {
    /// What the sender may have named the envelope. Reports should have that name decoded, and some have it as it came
    /// in MAIL (RFC 3461, 4.4).
    pub fn envelope_ids(&self) -> impl Iterator<Item = String> {
        let told = self.envelope_id.clone();
        let decoded = told.as_deref().map(status::unxtext).filter(|decoded| Some(decoded) != told.as_ref());
        told.into_iter().chain(decoded)
    }
}

/// What became of a message on its way to one recipient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecipientStatus {
    /// Names of the recipient: `Original-Recipient`, `Final-Recipient`, and others that programs add.
    pub names: Vec<Address>,
    /// What became of it.
    pub action: StatusAction,
    /// The reply code that decided it.
    pub code: ReportedCode,
    /// The enhanced code of that reply, or the status.
    pub enhanced: Option<EnhancedCode>,
    /// The text of that reply, on one line; at most 1,000 octets.
    pub text: String,
    /// What that means, should it be a failure.
    pub verdict: Verdict,
}

/// The reply code that a report tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportedCode {
    /// That of the reply that it quotes; 200 to 599.
    Quoted(u16),
    /// It quotes none, and the class of the status stands for it: 250, 400 or 500.
    FromStatus(u16),
    /// It tells neither.
    Untold,
}

impl ReportedCode {
    /// The code; 0 when there is none.
    pub const fn number(self) -> u16 {
        match self {
            ReportedCode::Quoted(code) | ReportedCode::FromStatus(code) => code,
            ReportedCode::Untold => 0,
        }
    }
}

impl RecipientStatus {
    /// Judges what is told: the reply like one of a session, or else the status.
    fn judged(
        names: Vec<Address>,
        action: StatusAction,
        answer: Option<Answer>,
        status: Option<EnhancedCode>,
        otherwise: String,
    ) -> RecipientStatus {
        let Some(answer) = answer else {
            let code = status.map_or(ReportedCode::Untold, |status| {
                ReportedCode::FromStatus(if status.class() == 2 {
                    250
                } else {
                    u16::from(status.class()) * 100
                })
            });
            let text = cut(otherwise, TEXT_MAX);
            let verdict = Verdict::of(code.number(), status, &without_names(&text, &names));
            return RecipientStatus { names, action, code, enhanced: status, text, verdict };
        };
        let text = cut(answer.text, TEXT_MAX);
        // Programs put 5.0.0 where the reply has no enhanced code; the rules know better what such a reply means.
        let telling = status.filter(|status| (status.subject(), status.detail()) != (0, 0));
        let reason = without_names(&text, &names);
        let verdict = Verdict::of(answer.code, answer.enhanced.or(telling), &reason);
        let (code, enhanced) = (ReportedCode::Quoted(answer.code), answer.enhanced.or(status));
        RecipientStatus { names, action, code, enhanced, text, verdict }
    }
}

/// What became of a message (RFC 3464, 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StatusAction {
    /// It reached the mailbox.
    Delivered,
    /// It went on to a system that sends no notifications.
    Relayed,
    /// It was handed on to several recipients.
    Expanded,
    /// It is late, and tried again.
    Delayed,
    /// It is given up.
    Failed,
}

/// A recipient's complaint of type `abuse` (RFC 5965, 3.1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Complaint {
    /// Whom the message was sent to, as far as told: `Original-Rcpt-To`, `Removal-Recipient`; at most 100.
    pub recipients: Vec<Address>,
    /// The message.
    pub original: OriginalMessage,
}

/// What is told of the message that feedback is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OriginalMessage {
    /// The Message-ID of the returned header section, with angle brackets; at most 998 octets.
    pub message_id: Option<String>,
    /// The return path under which it was sent: `Original-Mail-From` or the returned `Return-Path`.
    pub return_path: Option<Address>,
    /// The recipients in its `To` and `Cc`, for complaints that do not say whose they are; at most 100.
    pub recipients: Vec<Address>,
}

/// Octets of one field's value that are looked at.
const FIELD_MAX: usize = 4 * 1024;
/// Parts of a report that are looked at.
const PARTS_MAX: usize = 10;
/// Octets of the machine-readable part that are looked at.
const PART_MAX: usize = 1024 * 1024;
/// Octets of an answer's text.
const TEXT_MAX: usize = 1_000;
/// Addresses that are taken of a list.
const ADDRESSES_MAX: usize = 100;
/// Octets of a Message-ID: those of a line (RFC 5322, 2.1.1).
const MESSAGE_ID_MAX: usize = 998;

/// What a message says about one that was sent; `None` when it says nothing of the kind. Its work is in proportion to
/// the size of the message.
pub fn read(raw: &[u8]) -> Option<Feedback> {
    of_entity(&read::entity(raw))
}

/// The same of a message whose parts are known.
pub(crate) fn of_entity(root: &Entity<'_>) -> Option<Feedback> {
    if root.content_type == "text/plain" {
        let failed = exim::failed_recipients(root.header);
        let body = root.decoded_start(PART_MAX);
        let read = if failed.is_empty() { qmail::read(&body) } else { exim::read(failed, &body) };
        return read.map(Feedback::Status);
    }
    if root.content_type != "multipart/report" {
        return None;
    }
    let parts = &root.parts[..root.parts.len().min(PARTS_MAX)];
    let of_type = |types: &[&str]| parts.iter().find(|part| types.contains(&&*part.content_type));
    let original =
        of_type(&["message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"]);
    let original = original.map(|part| original_message(&part.decoded())).unwrap_or_default();
    if let Some(status) = of_type(&["message/delivery-status", "message/global-delivery-status"]) {
        let decoded = status.decoded();
        return status::read(&decoded[..decoded.len().min(PART_MAX)], original).map(Feedback::Status);
    }
    let report = of_type(&["message/feedback-report"])?.decoded();
    complaint(&report[..report.len().min(PART_MAX)], original).map(Feedback::Complaint)
}

fn complaint(report: &[u8], mut original: OriginalMessage) -> Option<Complaint> {
    let values = |name: &'static str| {
        fields(report).filter(move |field| field.is(name)).map(|field| text(field.value)).take(ADDRESSES_MAX)
    };
    if !values("Feedback-Type").next()?.eq_ignore_ascii_case("abuse") {
        return None;
    }
    let return_path = values("Original-Mail-From").find_map(|value| address::plain(&value));
    original.return_path = return_path.or(original.return_path);
    let recipients = values("Original-Rcpt-To").chain(values("Removal-Recipient"));
    let recipients = recipients.filter_map(|value| address::plain(&value)).take(ADDRESSES_MAX).collect();
    Some(Complaint { recipients, original })
}

/// What the returned header section, or message, tells.
fn original_message(returned: &[u8]) -> OriginalMessage {
    let (header, _) = split(returned);
    let message = read::read_header(&header[..header.len().min(PART_MAX)]);
    let listed = message.to.iter().chain(&message.cc).take(ADDRESSES_MAX);
    let listed = listed.filter_map(|to| Address::parse(&to.address).ok());
    // Outlook's complaints say no other way whose they are.
    let only = value(header, "X-HmXmrOriginalRecipient").and_then(|only| address::plain(&only));
    OriginalMessage {
        message_id: Some(message.message_id).filter(|id| !id.is_empty() && id.len() <= MESSAGE_ID_MAX),
        return_path: value(header, "Return-Path").and_then(|path| address::plain(&path)),
        recipients: only.map_or_else(|| listed.collect(), |only| vec![only]),
    }
}

/// The value of the first field of that name.
fn value(block: &[u8], name: &str) -> Option<String> {
    read::first(block, name).map(text)
}

/// A value as text on one line, with single blanks.
fn text(value: &[u8]) -> String {
    let value = String::from_utf8_lossy(&value[..value.len().min(FIELD_MAX)]);
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
