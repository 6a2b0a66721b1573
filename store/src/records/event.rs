//! The event log: what happened to an account's messages, in order.

use mail::{Address, EnhancedCode, FromId, QueueId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of an account's event log: all that a webhook tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// What happened.
    pub event: EventRecord,
    /// The message's subject.
    pub subject: String,
    /// What the application attached to the message.
    pub extra: BTreeMap<String, String>,
}

/// Something that happened to a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// The queue message it is about.
    pub queue_id: QueueId,
    /// Its FromID.
    pub from_id: Option<FromId>,
    /// Its Message-ID header.
    pub message_id: String,
    /// Its recipient.
    pub recipient: Address,
    /// The delivery attempt it is about, from 1; 0 for none.
    pub attempt: u32,
    /// The reply code that decided it; 0 for none.
    pub code: u16,
    /// The enhanced code that came with it.
    pub enhanced: Option<EnhancedCode>,
    /// The answer or error, for people.
    pub error: String,
    /// This failure put the address on the suppression list.
    pub suppressing: bool,
    /// It was told by a DSN rather than seen in a session.
    pub dsn: bool,
}

/// The kinds of events. All but the first two can be sent as a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// Accepted into the queue.
    Queued,
    /// An attempt was made; its outcome follows as an event of its own.
    Attempted,
    /// The next hop accepted it, or a DSN says delivered.
    Delivered,
    /// Will be tried again.
    Delayed,
    /// Given up, or a DSN says failed.
    Failed,
    /// Not sent: the recipient is on the suppression list.
    Suppressed,
    /// Removed by a person.
    Canceled,
    /// A DSN says it went on to a system that sends no DSNs.
    Relayed,
    /// A DSN says it was handed on to several recipients.
    Expanded,
    /// Something that is no understood DSN came back.
    Unrecognized,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 10] = [
        EventKind::Queued,
        EventKind::Attempted,
        EventKind::Delivered,
        EventKind::Delayed,
        EventKind::Failed,
        EventKind::Suppressed,
        EventKind::Canceled,
        EventKind::Relayed,
        EventKind::Expanded,
        EventKind::Unrecognized,
    ];

    /// The name in webhooks, the event log and metrics.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Queued => "queued",
            EventKind::Attempted => "attempted",
            EventKind::Delivered => "delivered",
            EventKind::Delayed => "delayed",
            EventKind::Failed => "failed",
            EventKind::Suppressed => "suppressed",
            EventKind::Canceled => "canceled",
            EventKind::Relayed => "relayed",
            EventKind::Expanded => "expanded",
            EventKind::Unrecognized => "unrecognized",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<EventKind> {
        EventKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether a webhook tells about it.
    pub fn makes_hook(self) -> bool {
        !matches!(self, EventKind::Queued | EventKind::Attempted)
    }
}
