//! The writer: batches of changes, each batch one synced transaction.

use crate::{
    Change, Inner, Refusal, StoreError,
    change::Applied,
    txn::{Touched, Txn},
};
use std::sync::Arc;

/// The only way to write. There is one of it, so that nobody waits for a transaction of somebody else.
pub struct Writer {
    inner: Arc<Inner>,
}

/// A batch that is on disk.
#[derive(Debug)]
pub struct Committed {
    /// What came of each change, in their order.
    pub results: Vec<Result<Applied, Refusal>>,
    /// What the batch touched.
    pub touched: Touched,
}

impl Writer {
    pub(crate) fn new(inner: Arc<Inner>) -> Writer {
        Writer { inner }
    }

    /// Applies the changes in order and syncs once. When this returns `Ok`, everything is on disk.
    ///
    /// Where room runs out, changes that bring in new mail are refused with [`Refusal::Full`] and the others
    /// are made.
    ///
    /// # Errors
    /// Nothing of the batch was done.
    pub fn commit<'c>(
        &mut self,
        changes: impl Iterator<Item = &'c Change> + Clone,
    ) -> Result<Committed, StoreError> {
        let accepting = self.has_room()?;
        match self.try_commit(changes.clone(), accepting) {
            Err(StoreError::Full) if accepting && changes.clone().any(Change::needs_room) => {
                self.try_commit(changes, false)
            }
            result => result,
        }
    }

    fn try_commit<'c>(
        &mut self,
        changes: impl Iterator<Item = &'c Change>,
        accepting: bool,
    ) -> Result<Committed, StoreError> {
        let mut txn = Txn::new(self.inner.env.write_txn()?, &self.inner.tables)?;
        let mut results = Vec::new();
        for change in changes {
            results.push(if change.needs_room() && !accepting {
                Err(Refusal::Full)
            } else {
                txn.apply(change)?
            });
        }
        let (touched, dropped_files) = txn.commit()?;
        self.inner.files.remove(&dropped_files);
        if touched.directory {
            self.inner.reload_directory()?;
        }
        Ok(Committed { results, touched })
    }

    /// Whether map and disk have room for new mail beyond what settling needs.
    fn has_room(&self) -> Result<bool, StoreError> {
        let options = &self.inner.options;
        let used = self.inner.used_bytes(&*self.inner.env.read_txn()?)?;
        let map_left = (options.map_size as u64).saturating_sub(used);
        if map_left < options.map_reserve as u64 {
            return Ok(false);
        }
        let disk = rustix::fs::statvfs(&self.inner.path)
            .map_err(|error| StoreError::file(&self.inner.path, error.into()))?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize) >= options.disk_reserve)
    }
}
