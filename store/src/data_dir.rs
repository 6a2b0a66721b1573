//! The data directory: made, recognised, locked.

use crate::StoreError;
use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

/// Everything that a server puts in its data directory.
const ENTRIES: [&str; 7] = [LOCK, DATABASE, "lock.mdb", "content", "uploads", "control.sock", "acme"];
const LOCK: &str = "lock";
const DATABASE: &str = "data.mdb";
/// Every file system of the ext family has one at its root.
const LOST_AND_FOUND: &str = "lost+found";

/// Others on the machine have no business with other people's mail.
const PRIVATE: u32 = 0o700;

/// A directory that is ours, as long as this lives.
pub(crate) struct DataDir {
    _lock: File,
    made: bool,
}

impl DataDir {
    /// Makes the directory, or makes sure that an existing one is ours, and locks it.
    pub(crate) fn claim(path: &Path) -> Result<DataDir, StoreError> {
        let failed = |error| StoreError::file(path, error);
        let made = make(path, PRIVATE).map_err(failed)?;
        if !made && !is_ours(path).map_err(failed)? {
            return Err(StoreError::NotOurs(path.into()));
        }
        Ok(DataDir { _lock: lock(path)?, made })
    }

    /// Puts on disk that the directory and what is in it are there, for the case that they are new.
    pub(crate) fn sync(&self, path: &Path) -> Result<(), StoreError> {
        sync_dir(path).map_err(|error| StoreError::file(path, error))?;
        match sync_dir(parent(path)) {
            Err(error) if self.made => Err(StoreError::file(parent(path), error)),
            // A directory made by somebody else may stand in one that we may not read. It is synced all the
            // same: this may be the second start, and the first was killed before it came to it.
            _ => Ok(()),
        }
    }
}

/// Makes a directory that nobody else may read, when it is missing.
pub(crate) fn make_private(path: &Path) -> Result<(), StoreError> {
    make(path, PRIVATE).map(drop).map_err(|error| StoreError::file(path, error))
}

/// Whether it was made: an existing one is left as it is.
fn make(path: &Path, mode: u32) -> io::Result<bool> {
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(true),
        Err(_) if path.is_dir() => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent(path) != path => {
            if make(parent(path), 0o777)? {
                sync_dir(parent(parent(path)))?;
            }
            DirBuilder::new().mode(mode).create(path).map(|()| true)
        }
        Err(error) => Err(error),
    }
}

/// An empty directory may be used. Any other has our database or at least our lock, and else nothing that we
/// do not know; one that has both was used before, and people may have put more there since.
fn is_ours(path: &Path) -> io::Result<bool> {
    let (mut empty, mut database, mut lock, mut foreign) = (true, false, false, false);
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name();
        let is = |known: &str| name == OsStr::new(known);
        if is(LOST_AND_FOUND) {
            continue;
        }
        empty = false;
        database |= is(DATABASE);
        lock |= is(LOCK);
        foreign |= !ENTRIES.into_iter().any(is);
    }
    Ok(empty || (database && lock) || ((database || lock) && !foreign))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file = path.join(LOCK);
    let failed = |error| StoreError::file(&file, error);
    let lock = File::options().create(true).truncate(false).write(true).open(&file).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.into())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::PermissionsExt, path::PathBuf};
    use tempfile::TempDir;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn dir_with(names: &[&str]) -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("data");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        for name in names {
            fs::write(path.join(name), "").unwrap();
        }
        (dir, path)
    }

    #[test]
    fn a_directory_is_used_only_when_it_is_empty_or_ours() {
        let cases: [(&[&str], bool); 9] = [
            (&[], true),
            (&["lost+found"], true),
            (&["lock"], true),
            (&["data.mdb", "content"], true),
            (&["lock", "data.mdb", "lock.mdb", "content", "uploads", "control.sock"], true),
            (&["lock", "data.mdb", "notes.txt"], true),
            (&["notes.txt"], false),
            (&["content"], false),
            (&["lock", "notes.txt"], false),
        ];
        for (names, ours) in cases {
            let (_dir, path) = dir_with(names);
            let claimed = DataDir::claim(&path);
            assert_eq!(claimed.is_ok(), ours, "{names:?}");
            assert_eq!(mode(&path), 0o750, "{names:?}: somebody else made it");
            if let Err(error) = claimed {
                assert!(matches!(error, StoreError::NotOurs(_)), "{error}");
                assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
                assert_eq!(fs::read_dir(&path).unwrap().count(), names.len(), "nothing is added");
            }
        }
    }

    #[test]
    fn a_new_directory_is_private_and_its_parents_are_made() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a/b/data");
        let claimed = DataDir::claim(&path).unwrap();
        claimed.sync(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }
}
