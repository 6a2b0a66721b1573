//! Mailboxes, their messages, and contents.

use mail::{AccountId, Address, ContentId, Flag, MailboxId, ReversePath, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A mailbox of an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MailboxRecord {
    /// Its name.
    pub name: String,
}

/// The mailboxes that every account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StandardMailbox {
    /// Where mail arrives.
    Inbox,
    /// Copies of what was sent.
    Sent,
    /// Kept mail.
    Archive,
    /// Thrown away.
    Trash,
    /// Not sent yet.
    Drafts,
    /// Unwanted.
    Junk,
}

/// All of them, in the order in which they are made.
pub const STANDARD_MAILBOXES: [StandardMailbox; 6] = [
    StandardMailbox::Inbox,
    StandardMailbox::Sent,
    StandardMailbox::Archive,
    StandardMailbox::Trash,
    StandardMailbox::Drafts,
    StandardMailbox::Junk,
];

impl StandardMailbox {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            StandardMailbox::Inbox => "Inbox",
            StandardMailbox::Sent => "Sent",
            StandardMailbox::Archive => "Archive",
            StandardMailbox::Trash => "Trash",
            StandardMailbox::Drafts => "Drafts",
            StandardMailbox::Junk => "Junk",
        }
    }
}

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageRecord {
    /// Whose it is.
    pub account: AccountId,
    /// Where it lies.
    pub mailbox: MailboxId,
    /// Its bytes.
    pub content: ContentId,
    /// Their number.
    pub size: u64,
    /// When it was stored.
    pub received: Timestamp,
    /// Its flags, sorted, each once.
    pub flags: Vec<Flag>,
    /// MAIL FROM.
    pub mail_from: ReversePath,
    /// SPF says that the client may use MAIL FROM.
    pub mail_from_validated: bool,
    /// RCPT TO; `None` for a copy that was never received.
    pub rcpt_to: Option<Address>,
    /// The address in the From header, where there is just one that parses.
    pub msg_from: Option<Address>,
    /// The From domain is aligned with a passing SPF or DKIM domain.
    pub msg_from_validated: bool,
    /// Domains with a valid DKIM signature.
    pub dkim_verified_domains: Vec<String>,
    /// The client that brought it.
    pub remote_ip: Option<IpAddr>,
    /// It is a delivery status notification.
    pub dsn: bool,
    /// No person wrote it; see webhooks.md.
    pub automated: bool,
}

/// Where the bytes of a content are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ContentRecord {
    /// Here.
    Inline(bytes::Bytes),
    /// In a file of its own.
    File {
        /// The file's name in the content directory: 16 bytes, in hex.
        name: [u8; 16],
        /// Its length.
        size: u64,
    },
}

impl ContentRecord {
    /// The number of its bytes.
    pub fn size(&self) -> u64 {
        match self {
            ContentRecord::Inline(bytes) => bytes.len() as u64,
            ContentRecord::File { size, .. } => *size,
        }
    }
}
