//! Why something is refused that a client submits, and how it is told.

use crate::smtp_in::simulated::Simulated;
use mail::{Address, AddressError, Domain, submitted::SubmittedError};
use smtp::Reply;
use store::Refusal;

/// Why a client gets no for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// An address asks a developer's server for it.
    Simulated(Simulated),
    /// The account was disabled or removed since its login.
    AccountDisabled,
    /// There is no return path.
    NullPath,
    /// The return path cannot be understood.
    BadSender(AddressError),
    /// Nothing is sent from the domain at the moment.
    DomainDisabled(Domain),
    /// The address in MAIL FROM, or in a field of the message, is not one of the account.
    NotSender {
        /// Where it stands.
        place: &'static str,
        /// The address.
        address: Address,
    },
    /// There is no room for a FromID in the return path.
    LongSender,
    /// The message is to be sent later than any may.
    TooFarAhead,
    /// The recipient cannot be understood.
    BadRecipient(AddressError),
    /// A limit of the account; tomorrow there is room again.
    Limit(Refusal),
    /// The FromID in MAIL FROM cannot be that of several messages.
    ManyForFromId,
    /// The queue or its history has the FromID in MAIL FROM.
    FromIdInUse,
    /// The message went through too many hosts.
    Loop,
    /// The message is not one that can be sent.
    Message(SubmittedError),
    /// Too much to do, or no room.
    Busy,
    /// The server failed; it is in the log.
    Failed,
}

impl Refused {
    /// The answer; `None`: none, ever.
    pub(crate) fn reply(&self) -> Option<Reply> {
        let (code, subject, detail, text) = match self {
            Refused::Simulated(failure) => return failure.reply(),
            Refused::AccountDisabled => {
                (550, 7, 1, "The account is disabled, ask the operator to enable it".to_owned())
            }
            Refused::NullPath => (
                550,
                7,
                1,
                "A message that is submitted needs a return path: put an address of the account in MAIL FROM".into(),
            ),
            Refused::BadSender(error) => (501, 1, 7, format!("Bad sender address: {error}")),
            Refused::DomainDisabled(domain) => {
                (550, 7, 1, format!("Nothing can be sent from {} at the moment", domain.as_ascii()))
            }
            Refused::NotSender { place, address } => (
                550,
                7,
                1,
                format!("{place}: {} is not an address of this account, use one that is", address.to_smtp()),
            ),
            Refused::LongSender => (
                553,
                1,
                7,
                "MAIL FROM is too long to carry a FromID, use an address with a shorter part before the @".into(),
            ),
            Refused::TooFarAhead => {
                (554, 5, 4, "A message may wait for 60 days at most, choose an earlier time".into())
            }
            Refused::BadRecipient(error) => (501, 1, 3, format!("Bad recipient address: {error}")),
            Refused::Limit(limit) => (451, 7, 1, sentence(limit)),
            Refused::ManyForFromId => (
                554,
                5,
                3,
                "MAIL FROM carries a FromID, which is for one recipient: send the message to each by itself, or \
                 leave out what stands behind the separator"
                    .into(),
            ),
            Refused::FromIdInUse => (
                554,
                1,
                7,
                "Another message has the FromID in MAIL FROM, use a new one, or leave it out to get one".into(),
            ),
            Refused::Loop => (554, 4, 6, "Too many Received fields: the message runs in a circle".into()),
            Refused::Message(error) => (554, 6, 0, sentence(error)),
            Refused::Busy => (452, 3, 1, "Too much mail at the moment, try again later".into()),
            Refused::Failed => (451, 3, 0, "The message could not be stored, try again later".into()),
        };
        Some(Reply::with_enhanced(code, subject, detail, &text))
    }

    /// For the counter of submissions.
    pub(super) fn result(&self) -> &'static str {
        match self {
            Refused::Busy => "busy",
            Refused::Failed => "failed",
            Refused::Simulated(_)
            | Refused::AccountDisabled
            | Refused::NullPath
            | Refused::BadSender(_)
            | Refused::DomainDisabled(_)
            | Refused::NotSender { .. }
            | Refused::LongSender
            | Refused::TooFarAhead
            | Refused::BadRecipient(_)
            | Refused::Limit(_)
            | Refused::ManyForFromId
            | Refused::FromIdInUse
            | Refused::Loop
            | Refused::Message(_) => "refused",
        }
    }
}

/// With a capital letter at its start.
fn sentence(text: &impl ToString) -> String {
    let mut text = text.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}
