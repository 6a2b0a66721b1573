//! What feedback says about a message, however many recipients it names and messages it is asked about.

use mail::{
    Address, BaseAddress,
    feedback::{Complaint, Feedback, RecipientStatus},
};
use std::collections::{HashMap, HashSet};

/// What came back about one message.
pub(super) enum What {
    Status(RecipientStatus),
    Complaint,
    Unrecognized,
}

/// Feedback, by the recipients that it speaks of.
pub(crate) enum Told<'f> {
    Status {
        blocks: &'f [RecipientStatus],
        addresses: HashMap<&'f Address, &'f RecipientStatus>,
        mailboxes: HashMap<BaseAddress, &'f RecipientStatus>,
    },
    Complaint {
        mailboxes: HashSet<BaseAddress>,
    },
}

impl<'f> Told<'f> {
    pub(crate) fn new(feedback: &'f Feedback) -> Told<'f> {
        match feedback {
            Feedback::Status(status) => Told::of_blocks(&status.recipients),
            Feedback::Complaint(complaint) => {
                Told::Complaint { mailboxes: complainants(complaint).iter().map(BaseAddress::of).collect() }
            }
        }
    }

    fn of_blocks(blocks: &'f [RecipientStatus]) -> Told<'f> {
        let (mut addresses, mut mailboxes) = (HashMap::new(), HashMap::new());
        for block in blocks {
            for name in &block.names {
                addresses.entry(name).or_insert(block);
                mailboxes.entry(BaseAddress::of(name)).or_insert(block);
            }
        }
        Told::Status { blocks, addresses, mailboxes }
    }

    /// What it says about a message to `recipient`; `None` when it speaks of others. `certain`: it carries the FromID of
    /// the message. Then a complaint need not name the recipient, and of one recipient alone a report can only be right,
    /// whatever the hosts behind the recipient's call it.
    pub(super) fn about(&self, recipient: &Address, certain: bool) -> Option<What> {
        match self {
            Told::Status { blocks, addresses, mailboxes } => {
                let named = addresses.get(recipient).or_else(|| mailboxes.get(&BaseAddress::of(recipient)));
                let only = || match blocks {
                    [only] if certain => Some(only),
                    _ => None,
                };
                named.copied().or_else(only).cloned().map(What::Status)
            }
            Told::Complaint { mailboxes } => {
                (certain || mailboxes.contains(&BaseAddress::of(recipient))).then_some(What::Complaint)
            }
        }
    }
}

fn complainants(complaint: &Complaint) -> &[Address] {
    match (complaint.recipients.as_slice(), complaint.original.recipients.as_slice()) {
        // Of several, nobody could tell who complains.
        ([], [only]) => std::slice::from_ref(only),
        (recipients, _) => recipients,
    }
}
