//! The writer: batches of changes, each batch one synced transaction.

use crate::{
    Change, Directory, Inner, Refusal, StoreError,
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
        let accepting = self.inner.has_room()?;
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
        // Nothing may fail after the commit: the caller would be told that it did not happen.
        let directory =
            if txn.touched.directory { Some(Directory::load(&txn.rw, &self.inner.tables)?) } else { None };
        let (touched, dropped_files) = txn.commit()?;
        if let Some(directory) = directory {
            self.inner.set_directory(directory);
        }
        self.inner.files.remove(&dropped_files);
        Ok(Committed { results, touched })
    }
}
