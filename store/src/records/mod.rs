//! What the tables hold. Every record is encoded with postcard; a change of shape is a new layout (layout.rs).

mod directory;
mod event;
mod hold_rule;
mod hook;
mod mailbox;
mod message;
mod repeat;
mod returned;
mod sts_policy;
mod suppression;
mod usage;

pub use directory::{
    AccountRecord, AddressPattern, DkimKeyRecord, DomainRecord, IncomingWebhook, OutgoingWebhook,
    ReplacedSecret, ScramKeys,
};
pub use event::{EventKind, EventRecord, LoggedEvent};
pub use hold_rule::HoldRuleRecord;
pub use hook::{HookAttempt, HookOutcome, HookRecord, HookSubject, IncomingHook, RetiredHookRecord};
pub use mailbox::{ContentRecord, MailboxRecord, MessageRecord, STANDARD_MAILBOXES, StandardMailbox};
pub use message::{
    Attempt, AttemptResult, Hold, MessageOutcome, QueueRecord, RetiredRecord, SmtpAnswer, TlsFacts,
    TlsPolicyKind, TlsVerified,
};
pub use repeat::{CopyOutcome, FirstAnswer, RepeatRecord, Repeated};
pub use returned::{ReturnKind, ReturnRecord};
pub use sts_policy::{StsMode, StsPolicyRecord};
pub use suppression::{Final, Streak, SuppressionRecord, SuppressionSource};
pub use usage::{Recipients, UsageRecord};
