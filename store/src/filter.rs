//! Which messages are meant: pure.

use crate::records::{EventKind, MessageOutcome, QueueRecord, RetiredRecord};
use mail::{AccountId, Address, Domain, Localpart, QueueId, ReversePath, Timestamp};
use serde::{Deserialize, Serialize};

/// Messages of the queue. All that is given must hold; without anything, every message is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueFilter {
    /// These only, at most [`QueueFilter::IDS_MAX`]; none: any.
    pub ids: Vec<QueueId>,
    /// Whose they are.
    pub account: Option<AccountId>,
    /// MAIL FROM, with or without its FromID, in whatever case.
    pub sender: Option<ReversePath>,
    /// The domain of MAIL FROM.
    pub sender_domain: Option<Domain>,
    /// RCPT TO, in whatever case.
    pub recipient: Option<Address>,
    /// Its domain.
    pub recipient_domain: Option<Domain>,
    /// Whether they are held.
    pub hold: Option<bool>,
    /// When they were queued.
    pub submitted: TimeRange,
    /// When they are tried next.
    pub next_attempt: TimeRange,
    /// The transport asked for by name; empty: none was.
    pub transport: Option<String>,
}

/// Messages that left the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredFilter {
    /// What must hold of the message as it was.
    pub message: QueueFilter,
    /// Whether they were delivered.
    pub success: Option<bool>,
    /// How they left: delivered, failed, suppressed or canceled.
    pub event: Option<EventKind>,
}

/// Times between two others, neither included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// Later than this.
    pub after: Option<Timestamp>,
    /// Earlier than this.
    pub before: Option<Timestamp>,
}

impl TimeRange {
    /// Whether a time lies within.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.after.is_none_or(|after| time > after) && self.before.is_none_or(|before| time < before)
    }
}

impl QueueFilter {
    /// The most ids in one filter.
    pub const IDS_MAX: usize = 1000;

    /// Whether a message is meant.
    pub fn matches(&self, id: QueueId, message: &QueueRecord) -> bool {
        (self.ids.is_empty() || self.ids.contains(&id))
            && self.account.is_none_or(|account| account == message.account)
            && self.sender.as_ref().is_none_or(|sender| is_sender(sender, message))
            && self.sender_domain.as_ref().is_none_or(|domain| {
                message.mail_from.address().is_some_and(|address| address.domain() == domain)
            })
            && self
                .recipient
                .as_ref()
                .is_none_or(|recipient| recipient.is_same_in_any_case(&message.recipient))
            && self.recipient_domain.as_ref().is_none_or(|domain| message.recipient.domain() == domain)
            && self.hold.is_none_or(|hold| hold == message.hold.is_some())
            && self.submitted.contains(message.queued)
            && self.next_attempt.contains(message.next_attempt)
            && self.transport.as_ref().is_none_or(|name| name == message.transport.as_deref().unwrap_or(""))
    }
}

impl RetiredFilter {
    /// Whether a message is meant.
    pub fn matches(&self, retired: &RetiredRecord) -> bool {
        let delivered = retired.outcome == MessageOutcome::Delivered;
        self.success.is_none_or(|success| success == delivered)
            && self.event.is_none_or(|event| event == retired.outcome.event())
            && self.message.matches(retired.id, &retired.message)
    }
}

fn is_sender(sender: &ReversePath, message: &QueueRecord) -> bool {
    match (sender, &message.mail_from) {
        (ReversePath::Null, ReversePath::Null) => true,
        (ReversePath::Address(sender), ReversePath::Address(address)) => {
            sender.is_same_in_any_case(address)
                || without_from_id(address, message).is_some_and(|base| sender.is_same_in_any_case(&base))
        }
        (ReversePath::Null, ReversePath::Address(_)) | (ReversePath::Address(_), ReversePath::Null) => false,
    }
}

/// The return path as it was before the separator and the FromID were put in.
fn without_from_id(address: &Address, message: &QueueRecord) -> Option<Address> {
    let from_id = message.from_id.as_ref()?;
    let mut localpart = address.localpart().as_str().strip_suffix(from_id.as_str())?.chars();
    localpart.next_back()?;
    let localpart = Localpart::from_decoded(localpart.as_str()).ok()?;
    Address::new(localpart, address.domain().clone()).ok()
}
