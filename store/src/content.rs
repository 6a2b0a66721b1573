//! The bytes of messages: small ones in the database, large ones in files of their own.
//!
//! A large content is written and synced by whoever brings it, before the change that refers to it, so that
//! the writer never waits for it and many are written side by side. A file that no committed change refers
//! to is removed at the next start.

use crate::{StoreError, data_dir, keys::Key, records::ContentRecord, tables::Tables, txn::Txn};
use bytes::Bytes;
use mail::ContentId;
use std::{
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
        data_dir::make_private(&dir)?;
        Ok(ContentFiles { dir, inline_max })
    }

    /// Makes a content ready to be referred to by a change: `bytes` with `front` before them. A large one is on
    /// disk when this returns. `name` is random.
    pub(crate) fn stage(
        &self,
        name: [u8; 16],
        front: &[u8],
        bytes: Bytes,
    ) -> Result<ContentRecord, StoreError> {
        let size = front.len() + bytes.len();
        if size <= self.inline_max {
            let whole = if front.is_empty() { bytes } else { [front, &bytes].concat().into() };
            return Ok(ContentRecord::Inline(whole));
        }
        let path = self.path(name);
        self.write(&path, [front, &bytes]).map_err(|error| {
            // What was written is of no use; when it cannot be removed either, the next start does it.
            let _ = fs::remove_file(&path);
            StoreError::file(&path, error)
        })?;
        Ok(ContentRecord::File { name, size: size as u64 })
    }

    fn write(&self, path: &Path, pieces: [&[u8]; 2]) -> io::Result<()> {
        let mut file = File::create_new(path)?;
        for piece in pieces {
            file.write_all(piece)?;
        }
        file.sync_data()?;
        File::open(&self.dir)?.sync_all()
    }

    /// `None` when it is gone: a commit after the caller's snapshot may have let go of it.
    pub(crate) fn read(&self, name: [u8; 16]) -> Result<Option<Bytes>, StoreError> {
        self.found(name, fs::read).map(|bytes| bytes.map(Bytes::from))
    }

    /// As [`ContentFiles::read`], but only opens it.
    pub(crate) fn open_file(&self, name: [u8; 16]) -> Result<Option<File>, StoreError> {
        self.found(name, File::open)
    }

    fn found<T>(
        &self,
        name: [u8; 16],
        get: impl FnOnce(PathBuf) -> io::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let path = self.path(name);
        match get(path.clone()) {
            Ok(found) => Ok(Some(found)),
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

    /// Removes every content file that is not wanted. What else people put there is left alone.
    pub(crate) fn remove_others(
        &self,
        is_wanted: impl Fn(&String) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::file(&self.dir, error);
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().ok().filter(|name| is_file_name(name));
            if let Some(name) = name
                && !is_wanted(&name)?
            {
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

fn is_file_name(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The file that an encoded record refers to. Most are inline: only their tag is looked at.
pub(crate) fn file_of(tables: &Tables, record: &[u8]) -> Result<Option<[u8; 16]>, StoreError> {
    const INLINE: u8 = 0;
    if record.first() == Some(&INLINE) {
        return Ok(None);
    }
    match tables.contents.decode(record)? {
        ContentRecord::File { name, .. } => Ok(Some(name)),
        ContentRecord::Inline(_) => Ok(None),
    }
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
        if let ContentRecord::File { name, .. } = content {
            self.tables.content_files.put(&mut self.rw, &file_name(*name), &())?;
        }
        if shares != 1 {
            self.tables.content_shares.put(&mut self.rw, &id, &u32::try_from(shares).unwrap_or(u32::MAX))?;
        }
        Ok(id)
    }

    /// One more record refers to a content.
    pub(crate) fn share_content(&mut self, id: ContentId) -> Result<(), StoreError> {
        let shares = self.tables.content_shares.get(&self.rw, &id)?.unwrap_or(1);
        self.tables.content_shares.put(&mut self.rw, &id, &shares.saturating_add(1))
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
                if let Some(record) = self.tables.contents.raw().db.get(&self.rw, &id.encode())? {
                    let file = file_of(self.tables, record)?;
                    if let Some(name) = file {
                        self.tables.content_files.delete(&mut self.rw, &file_name(name))?;
                        self.dropped_files.push(name);
                    }
                }
                self.tables.contents.delete(&mut self.rw, &id)?;
                self.tables.content_shares.delete(&mut self.rw, &id)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_an_inline_content_is_zero() {
        let inline = postcard::to_stdvec(&ContentRecord::Inline(Bytes::from_static(b"x"))).unwrap();
        let file = postcard::to_stdvec(&ContentRecord::File { name: [0; 16], size: 1 }).unwrap();
        assert_eq!((inline[0], file[0]), (0, 1));
    }

    #[test]
    fn only_names_of_our_making_are_removed() {
        let dir = tempfile::TempDir::new().unwrap();
        let files = ContentFiles::open(dir.path(), 0).unwrap();
        let (wanted, orphan) = (file_name([1; 16]), file_name([0xab; 16]));
        let upper = orphan.to_uppercase();
        let others = ["notes.txt", "abababab", &upper, &format!("{orphan}0"), &"g".repeat(32)];
        for name in others.into_iter().chain([wanted.as_str(), &orphan]) {
            fs::write(files.dir.join(name), "").unwrap();
        }
        files.remove_others(|name| Ok(*name == wanted)).unwrap();
        for name in others.into_iter().chain([wanted.as_str()]) {
            assert!(files.dir.join(name).exists(), "{name}");
        }
        assert!(!files.dir.join(orphan).exists());
    }
}
