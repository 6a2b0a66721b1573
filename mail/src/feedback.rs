//! What comes back about messages that were sent: delivery status notifications (RFC 3464, RFC 6533), the bounces of
//! programs that have a format of their own, and complaints (RFC 5965).

use crate::{Address, EnhancedCode, Verdict};
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
    /// The sender's name for the envelope (RFC 3461, 4.4), decoded; at most 100 octets.
    pub envelope_id: Option<String>,
    /// A block each, as far as understood; at most 1,000.
    pub recipients: Vec<RecipientStatus>,
    /// The message.
    pub original: OriginalMessage,
}

/// What became of a message on its way to one recipient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecipientStatus {
    /// Names of the recipient: `Original-Recipient`, `Final-Recipient`, and others that programs add.
    pub names: Vec<Address>,
    /// What became of it.
    pub action: StatusAction,
    /// The reply code that decided it, 200 to 599; made from the status (`5.1.1` is 500) where no reply is told.
    pub code: u16,
    /// The enhanced code of that reply, or the status.
    pub enhanced: Option<EnhancedCode>,
    /// The text of that reply, on one line; at most 1,000 octets.
    pub text: String,
    /// What that means, should it be a failure.
    pub verdict: Verdict,
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
    /// Whom the message was sent to, as far as told: `Original-Rcpt-To`; at most 100.
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
