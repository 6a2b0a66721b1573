//! What can go wrong in the store, sorted by what the caller does next.

use std::path::PathBuf;

/// The store could not do its work. None of these is about one change alone: see [`Refusal`] for those.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory open.
    #[error("{0} is in use by another postrider process; stop it first, or choose another directory")]
    InUse(PathBuf),
    /// The directory holds files, and not those of a store.
    #[error(
        "{0} holds files that are not Postrider's; choose an empty directory, or one that does not exist yet"
    )]
    NotOurs(PathBuf),
    /// The counters are not of the shape that the layout says: a build between releases wrote them.
    #[error("{0} holds data of a shape that this version does not know; use the version that wrote it")]
    Shape(PathBuf),
    /// The data was written by a version of Postrider that this one does not understand.
    #[error(
        "{path} holds data of layout {found}, and this version reads layouts up to {known}; use a newer version"
    )]
    Layout {
        /// The data directory.
        path: PathBuf,
        /// The layout found.
        found: u32,
        /// The newest layout this version knows.
        known: u32,
    },
    /// The map or the disk has no room left. Reading and settling still work once there is room again.
    #[error("no room left in the data directory; free some disk space, or raise store.map_size")]
    Full,
    /// A record cannot be decoded.
    #[error("a record of table {table} cannot be read; the data directory is damaged, restore a backup")]
    Damaged {
        /// The table it stands in.
        table: &'static str,
    },
    /// A file operation in the data directory failed.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// LMDB failed.
    #[error("database: {0}")]
    Database(heed::Error),
}

impl From<heed::Error> for StoreError {
    fn from(error: heed::Error) -> Self {
        match error {
            heed::Error::Mdb(heed::MdbError::MapFull) => StoreError::Full,
            heed::Error::Io(error) if is_disk_full(&error) => StoreError::Full,
            error => StoreError::Database(error),
        }
    }
}

impl StoreError {
    /// The database can no longer be written by this process, or is damaged: a restart is due.
    pub fn is_fatal(&self) -> bool {
        use heed::MdbError::{Corrupted, Invalid, PageNotFound, Panic, VersionMismatch};
        matches!(
            self,
            StoreError::Database(heed::Error::Mdb(
                Corrupted | Invalid | PageNotFound | Panic | VersionMismatch
            ))
        )
    }

    pub(crate) fn file(path: impl Into<PathBuf>, source: std::io::Error) -> StoreError {
        if is_disk_full(&source) { StoreError::Full } else { StoreError::File { path: path.into(), source } }
    }
}

fn is_disk_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Why one change was not made. A refused change leaves no trace; others in the same commit are unharmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing has that id, or it belongs to another account.
    #[error("not found")]
    NotFound,
    /// There is one already.
    #[error("present already")]
    Exists,
    /// A message with that FromID is in the queue or its history already.
    #[error("the FromID is in use already")]
    FromIdInUse,
    /// The key of a request came with another request before.
    #[error("this idempotency key came with another request; use a new key for a new message")]
    OtherRequest,
    /// The account would have queued messages to more recipients in 24 hours than this.
    #[error(
        "the account may send to {0} recipients in 24 hours, and this message has more than are left; send it later, or ask the operator for a higher limit"
    )]
    MessageLimit(u64),
    /// The account would have sent to more new recipients in 24 hours than this.
    #[error(
        "the account may send to {0} recipients in 24 hours that it never sent to before, and this message has more than are left; send it later, or ask the operator for a higher limit"
    )]
    RecipientLimit(u64),
    /// The account's mailboxes hold as much as they may.
    #[error("the mailboxes of the account are full")]
    OverQuota,
    /// The account has no mailbox of that name.
    #[error("there is no such mailbox")]
    NoMailbox,
    /// The message lies in that mailbox already.
    #[error("the message is in that mailbox already")]
    SameMailbox,
    /// The message would have too many custom keywords.
    #[error("a message has at most {} custom keywords", mail::Flag::CUSTOM_MAX)]
    TooManyFlags,
    /// There are as many hold rules as there may be.
    #[error("there are {} hold rules already; remove some", crate::hold_rules::RULES_MAX)]
    TooManyHoldRules,
    /// Domains or accounts were changed after the one who wants this change had looked at them.
    #[error("domains or accounts were changed meanwhile; look at them again, and repeat the command")]
    DirectoryChanged,
    /// A domain or account cannot be removed yet.
    #[error(
        "there is queued mail of it, or there are webhook calls pending; disable it and wait for them to end, or drop them with `postrider queue drop` and `postrider hooks cancel`"
    )]
    StillInUse,
    /// There is no room for new messages; what is queued is still delivered.
    #[error("no room left for new messages")]
    Full,
}
