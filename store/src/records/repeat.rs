//! What is queued once, however often it comes.

use mail::{FromId, QueueId, Timestamp};
use serde::{Deserialize, Serialize};

/// What a request that may be repeated was answered first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstAnswer {
    /// A digest of what it asked.
    pub fingerprint: [u8; 32],
    /// The first of the queue ids; the recipients have consecutive ids in their order.
    pub first: QueueId,
    /// The Message-ID header.
    pub message_id: String,
    /// Address and FromID of each recipient.
    pub recipients: Vec<(String, Option<FromId>)>,
    /// What became of the sender's copy.
    pub copy: CopyOutcome,
}

/// What became of the copy of a message that its sender wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyOutcome {
    /// It is in the mailbox Sent, or none was wanted.
    Fine,
    /// It did not fit in the account's mailboxes.
    OverQuota,
    /// It could not be made ready to be stored.
    Failed,
}

/// Something that came, and is not to be queued again for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatRecord {
    /// Until then.
    pub until: Timestamp,
    /// What it was.
    pub what: Repeated,
}

/// What may come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Repeated {
    /// A request.
    Request(FirstAnswer),
    /// A message to one recipient, with its id in the queue.
    Message(QueueId),
}
