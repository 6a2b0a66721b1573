//! What came back about a message that was sent, as its history shows it.

use super::EventKind;
use mail::{EnhancedCode, Timestamp, feedback::StatusAction};
use serde::{Deserialize, Serialize};

/// One thing that came back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReturnRecord {
    /// When it came.
    pub received: Timestamp,
    /// What it was.
    pub kind: ReturnKind,
    /// The reply code that it tells; 0 for none.
    pub code: u16,
    /// The enhanced code that it tells.
    pub enhanced: Option<EnhancedCode>,
    /// The answer that it tells, for people.
    pub text: String,
    /// It put the address on the suppression list.
    pub suppressing: bool,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReturnKind {
    /// A delivery status notification.
    Status(StatusAction),
    /// A complaint.
    Complaint,
    /// Something else.
    Unrecognized,
}

impl ReturnKind {
    /// The event that tells of it.
    pub fn event(self) -> EventKind {
        match self {
            ReturnKind::Status(StatusAction::Delivered) => EventKind::Delivered,
            ReturnKind::Status(StatusAction::Relayed) => EventKind::Relayed,
            ReturnKind::Status(StatusAction::Expanded) => EventKind::Expanded,
            ReturnKind::Status(StatusAction::Delayed) => EventKind::Delayed,
            ReturnKind::Status(StatusAction::Failed) | ReturnKind::Complaint => EventKind::Failed,
            ReturnKind::Unrecognized => EventKind::Unrecognized,
        }
    }
}
