//! The bytes of messages: small ones in the database, large ones in files of their own.
//!
//! A large content is written and synced by whoever brings it, before the change that refers to it, so that
//! the writer never waits for it and many are written side by side. A file that no committed change refers
//! to is removed at the next start.

use crate::{StoreError, records::ContentRecord, txn::Txn};
use bytes::Bytes;
use mail::ContentId;
use std::{
    collections::HashSet,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// The directory of content files.
#[derive(Clone, Debug)]
pub(crate) struct ContentFiles {
    dir: PathBuf,
    inline_max: usize,
}

impl ContentFiles {
    pub(crate) fn open(data_dir: &Path, inline_max: usize) -> Result<ContentFiles, StoreError> {
        let dir = data_dir.join("content");
        fs::create_dir_all(&dir).map_err(|error| StoreError::file(&dir, error))?;
        Ok(ContentFiles { dir, inline_max })
    }

    /// Makes a content ready to be referred to by a change; a large one is on disk when this returns. `name`
    /// is random.
    pub(crate) fn stage(&self, name: [u8; 16], bytes: Bytes) -> Result<ContentRecord, StoreError> {
        if bytes.len() <= self.inline_max {
            return Ok(ContentRecord::Inline(bytes));
        }
        let path = self.path(name);
        self.write(&path, &bytes).map_err(|error| {
            // What was written is of no use; when it cannot be removed either, the next start does it.
            let _ = fs::remove_file(&path);
            StoreError::file(&path, error)
        })?;
        Ok(ContentRecord::File { name, size: bytes.len() as u64 })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::create_new(path)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        File::open(&self.dir)?.sync_all()
    }

    /// `None` when it is gone: a commit after the caller's snapshot may have let go of it.
    pub(crate) fn read(&self, name: [u8; 16]) -> Result<Option<Bytes>, StoreError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::file(path, error)),
        }
    }

    /// Removes files that nothing refers to any more. Failing is harmless: the next start tries again.
    pub(crate) fn remove(&self, names: &[[u8; 16]]) {
        for name in names {
            let _ = fs::remove_file(self.path(*name));
        }
    }

    /// Removes every file not named in `wanted`.
    pub(crate) fn remove_others(&self, wanted: &HashSet<String>) -> Result<(), StoreError> {
        let failed = |error| StoreError::file(&self.dir, error);
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_str().is_none_or(|name| !wanted.contains(name)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    fn path(&self, name: [u8; 16]) -> PathBuf {
        self.dir.join(file_name(name))
    }
}

pub(crate) fn file_name(name: [u8; 16]) -> String {
    name.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Txn<'_> {
    /// Stores a content that `shares` records refer to.
    pub(crate) fn put_content(
        &mut self,
        content: &ContentRecord,
        shares: usize,
    ) -> Result<ContentId, StoreError> {
        self.counters.content += 1;
        let id = ContentId(self.counters.content);
        self.tables.contents.put(&mut self.rw, &id, content)?;
        if shares != 1 {
            self.tables.content_shares.put(&mut self.rw, &id, &u32::try_from(shares).unwrap_or(u32::MAX))?;
        }
        Ok(id)
    }

    /// Lets go of one reference; the last one removes the content.
    pub(crate) fn release_content(&mut self, id: ContentId) -> Result<(), StoreError> {
        match self.tables.content_shares.get(&self.rw, &id)? {
            Some(shares) if shares > 2 => {
                self.tables.content_shares.put(&mut self.rw, &id, &(shares - 1))?;
            }
            Some(2) => {
                self.tables.content_shares.delete(&mut self.rw, &id)?;
            }
            _ => {
                if let Some(ContentRecord::File { name, .. }) = self.tables.contents.get(&self.rw, &id)? {
                    self.dropped_files.push(name);
                }
                self.tables.contents.delete(&mut self.rw, &id)?;
                self.tables.content_shares.delete(&mut self.rw, &id)?;
            }
        }
        Ok(())
    }
}
