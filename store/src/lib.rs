//! What is remembered. LMDB underneath; synchronous; the only code that touches the data directory.
//!
//! Reading: [`Store::read`] runs a closure on a snapshot. Writing: a [`Writer`], of which there is one, applies
//! batches of [`Change`]s, each batch in one synced transaction.

mod change;
mod content;
mod data_dir;
mod directory;
mod due;
mod dump;
mod env;
mod error;
mod events;
mod expiry;
mod filter;
mod hold_rules;
mod hook_filter;
mod hook_list;
mod hook_operations;
mod hooks;
mod keys;
mod layout;
mod list;
mod mailboxes;
mod operations;
mod queue;
pub mod records;
mod references;
mod removal;
mod repeats;
mod report;
mod returned;
mod streaks;
mod sts;
mod suppressions;
mod tables;
#[cfg(test)]
mod tests;
mod txn;
mod usage;
mod view;
mod writer;

pub use change::*;
pub use directory::{Directory, DirectoryAccount, DirectoryDomain};
pub use error::{Refusal, StoreError};
pub use events::EventSlice;
pub use filter::{QueueFilter, RetiredFilter, TimeRange};
pub use hook_filter::{HookEnd, HookFilter, HookKind, RetiredHookFilter};
pub use hook_list::HookSlice;
pub use list::{Place, PlaceError, Slice, SortBy};
pub use txn::Touched;
pub use view::{Content, Totals, View};
pub use writer::{Committed, Writer};

use bytes::Bytes;
use content::ContentFiles;
use data_dir::DataDir;
use heed::{Env, WithoutTls};
use records::ContentRecord;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use tables::Tables;

/// How the store is opened. Sizes in bytes.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The most that the database may grow to. Address space only: the file grows as it fills. A multiple of
    /// the page size.
    pub map_size: usize,
    /// What stays free of the map for settling what is queued, when new mail is refused already.
    pub map_reserve: usize,
    /// New mail is refused when the disk has less left than this.
    pub disk_reserve: u64,
    /// Contents up to this size live in the database, larger ones in files.
    pub inline_max: usize,
}

/// The state on disk. Cheap to clone; reads from any thread.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) options: StoreOptions,
    pub(crate) env: Env<WithoutTls>,
    pub(crate) tables: Tables,
    pub(crate) files: ContentFiles,
    directory: RwLock<Arc<Directory>>,
    _dir: DataDir,
}

impl Store {
    /// Opens the data directory, made new when it is missing. There is one writer.
    ///
    /// # Errors
    /// [`StoreError::NotOurs`] when the directory is somebody else's, [`StoreError::InUse`] when another process
    /// has it open, [`StoreError::Layout`] and [`StoreError::Shape`] when another version wrote it.
    pub fn open(path: &Path, options: StoreOptions) -> Result<(Store, Writer), StoreError> {
        let dir = DataDir::claim(path)?;
        let env = env::open(path, &options, Tables::COUNT)?;
        layout::recognise(&env, path)?;
        let tables = Tables::open(&env)?;
        layout::bring_up(&env, &tables, path)?;
        let files = ContentFiles::open(path, options.inline_max)?;
        let txn = env.read_txn()?;
        files.remove_others(|name| tables.content_files.contains(&txn, name))?;
        drop(txn);
        let directory = Directory::load(&*env.read_txn()?, &tables)?;
        dir.sync(path)?;
        let inner = Arc::new(Inner {
            path: path.into(),
            options,
            env,
            tables,
            files,
            directory: RwLock::new(Arc::new(directory)),
            _dir: dir,
        });
        Ok((Store { inner: inner.clone() }, Writer::new(inner)))
    }

    /// Asks questions of one snapshot. The closure is short and returns bounded results.
    ///
    /// # Errors
    /// Those of the closure, and a database that cannot be read.
    pub fn read<T>(&self, ask: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        ask(&View { txn: self.inner.env.read_txn()?, tables: &self.inner.tables, files: &self.inner.files })
    }

    /// All domains and accounts, as of the latest commit that changed them.
    pub fn directory(&self) -> Arc<Directory> {
        self.inner.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes the bytes of a message ready to be referred to by a change. A large content is on disk when this
    /// returns, and this blocks meanwhile: see [`Store::is_large`]. `name` is random.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is no room.
    pub fn stage(&self, name: [u8; 16], bytes: Bytes) -> Result<ContentRecord, StoreError> {
        self.inner.files.stage(name, &[], bytes)
    }

    /// [`Store::stage`] for `bytes` with `front` before them, without a copy of the whole when it is large.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is no room.
    pub fn stage_behind(
        &self,
        name: [u8; 16],
        front: &[u8],
        bytes: Bytes,
    ) -> Result<ContentRecord, StoreError> {
        self.inner.files.stage(name, front, bytes)
    }

    /// Removes what was staged for a change that was not made.
    pub fn discard(&self, staged: &[ContentRecord]) {
        for content in staged {
            if let ContentRecord::File { name, .. } = content {
                self.inner.files.remove(&[*name]);
            }
        }
    }

    /// Whether a content of that size is written to a file.
    pub fn is_large(&self, size: usize) -> bool {
        size > self.inner.options.inline_max
    }

    /// Bytes of the map that are in use, and its size.
    pub fn map_usage(&self) -> Result<(u64, u64), StoreError> {
        let txn = self.inner.env.read_txn()?;
        Ok((self.inner.used_bytes(&txn)?, self.inner.options.map_size as u64))
    }

    /// Whether map and disk have room for new mail beyond what settling needs. While they have not, the writer
    /// refuses new mail.
    ///
    /// # Errors
    /// When the database cannot be read or the file system does not answer.
    pub fn has_room(&self) -> Result<bool, StoreError> {
        self.inner.has_room()
    }

    /// The whole state as text, one record a line, for tests and for people in need. Secrets are left out.
    pub fn dump(&self) -> Result<String, StoreError> {
        self.read(dump::dump)
    }

    /// The data directory.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }
}

impl Inner {
    pub(crate) fn set_directory(&self, directory: Directory) {
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    pub(crate) fn has_room(&self) -> Result<bool, StoreError> {
        let used = self.used_bytes(&*self.env.read_txn()?)?;
        let map_left = (self.options.map_size as u64).saturating_sub(used);
        if map_left < self.options.map_reserve as u64 {
            return Ok(false);
        }
        let disk =
            rustix::fs::statvfs(&self.path).map_err(|error| StoreError::file(&self.path, error.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize) >= self.options.disk_reserve)
    }

    /// Bytes in pages that hold data; free pages can be used again and do not count.
    pub(crate) fn used_bytes(&self, txn: &heed::RoTxn<'_>) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for table in self.tables.raw() {
            let stat = table.db.stat(txn)?;
            let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
            bytes += (pages * stat.page_size as usize) as u64;
        }
        Ok(bytes)
    }
}

/// The group of work that is due, a destination or a URL, as the store knows it: very long names are cut to
/// what fits a key. Whoever keeps state by group compares this.
pub fn due_group(name: &str) -> &str {
    keys::cut(name)
}
