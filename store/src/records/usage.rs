//! What accounts have used of their limits.

use serde::{Deserialize, Serialize};

/// What an account has used of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// Recipients of messages queued in the last 24 hours. Some that are older may not be taken off yet.
    pub sent: Recipients,
    /// Messages in its mailboxes.
    pub mailbox_messages: u64,
    /// Their octets.
    pub mailbox_bytes: u64,
}

/// Recipients of queued messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipients {
    /// All of them.
    pub all: u64,
    /// Those to whom the account never sent before. Counted only for accounts that limit them.
    pub first_time: u64,
}
