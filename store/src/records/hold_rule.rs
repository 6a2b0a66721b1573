//! Rules that hold messages.

use super::QueueRecord;
use mail::{AccountId, Domain, ReversePath, Timestamp};
use serde::{Deserialize, Serialize};

/// Holds the messages that fit all that it names; one that names nothing holds every message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRuleRecord {
    /// Whose messages.
    pub account: Option<AccountId>,
    /// The domain of MAIL FROM.
    pub sender_domain: Option<Domain>,
    /// The domain of RCPT TO.
    pub recipient_domain: Option<Domain>,
    /// When it was made.
    pub created: Timestamp,
}

impl HoldRuleRecord {
    /// Whether it holds a message.
    pub fn holds(&self, message: &QueueRecord) -> bool {
        let sender = match &message.mail_from {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address.domain()),
        };
        self.account.is_none_or(|account| account == message.account)
            && self.sender_domain.as_ref().is_none_or(|domain| sender == Some(domain))
            && self.recipient_domain.as_ref().is_none_or(|domain| domain == message.recipient.domain())
    }
}
