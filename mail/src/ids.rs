//! Identifiers. Each is a newtype, so that one kind cannot be passed for another.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// An account of the directory.
    AccountId(u32)
}
id! {
    /// A queue message: one recipient of one accepted content. Never used twice.
    QueueId(u64)
}
id! {
    /// The bytes of a message as they go out or came in, shared by all its recipients.
    ContentId(u64)
}
id! {
    /// A webhook call, the same on every attempt.
    HookId(u64)
}
id! {
    /// A message in a mailbox.
    MsgId(u64)
}
id! {
    /// A mailbox of an account.
    MailboxId(u32)
}
id! {
    /// An entry of a suppression list.
    SuppressionId(u64)
}
id! {
    /// The place of an event in its account's event log; rises by one.
    EventSeq(u64)
}
id! {
    /// A rule that holds messages. Never used twice.
    HoldRuleId(u64)
}
