//! Suppression lists.

use mail::{Address, QueueId, SuppressionId, Timestamp};
use serde::{Deserialize, Serialize};

/// An address that gets no mail from an account. The key is its base address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuppressionRecord {
    /// Its id.
    pub id: SuppressionId,
    /// Since when.
    pub created: Timestamp,
    /// The address it was made from.
    pub original: Address,
    /// Why, for people.
    pub reason: String,
    /// Who made it.
    pub source: SuppressionSource,
}

impl SuppressionRecord {
    /// The most octets of a reason that comes from outside.
    pub const REASON_MAX: usize = 2_000;
}

/// Who put an address on the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SuppressionSource {
    /// A person, or an application on a person's behalf.
    Manual,
    /// An application that said it was not a person's decision (`Manual: false`).
    Application,
    /// A failed delivery of that message.
    Queue(QueueId),
    /// A DSN about that message.
    Dsn(QueueId),
    /// A complaint about that message.
    Complaint(QueueId),
}

impl SuppressionSource {
    /// As it is shown.
    pub fn name(&self) -> &'static str {
        match self {
            SuppressionSource::Manual => "manual",
            SuppressionSource::Application => "application",
            SuppressionSource::Queue(_) => "queue",
            SuppressionSource::Dsn(_) => "DSN",
            SuppressionSource::Complaint(_) => "complaint",
        }
    }

    /// The message that caused the entry.
    pub fn message(&self) -> Option<QueueId> {
        match self {
            SuppressionSource::Manual | SuppressionSource::Application => None,
            SuppressionSource::Queue(id) | SuppressionSource::Dsn(id) | SuppressionSource::Complaint(id) => {
                Some(*id)
            }
        }
    }
}

/// The latest retired messages to one base address since one failed, for the rule of three.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Streak {
    /// In the order in which they retired, at most three. Whatever retired after one that failed is among them.
    pub latest: Vec<Final>,
}

/// How a message to a base address ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Final {
    /// The message.
    pub id: QueueId,
    /// When its history ends.
    pub until: Timestamp,
    /// It failed, in a session or by a report, and that counts.
    pub failed: bool,
}
