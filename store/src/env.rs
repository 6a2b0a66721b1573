//! The LMDB environment: the memory map and its file. The only unsafe code of the project.

use crate::{StoreError, StoreOptions};
use heed::{Env, EnvOpenOptions, WithoutTls};
use std::path::Path;

/// Readers at one time. Reads are short closures, so this is far more than there are threads.
const READERS_MAX: u32 = 512;

pub(crate) fn open(path: &Path, options: &StoreOptions, tables: u32) -> Result<Env<WithoutTls>, StoreError> {
    let mut open = EnvOpenOptions::new().read_txn_without_tls();
    open.map_size(options.map_size).max_dbs(tables).max_readers(READERS_MAX);
    #[expect(unsafe_code, reason = "a memory map is sound only while nobody else changes the file")]
    // SAFETY: the caller holds the lock file of the directory, so no other postrider process has the map
    // open, and this process opens it once.
    let env = unsafe { open.open(path) }?;
    env.clear_stale_readers()?;
    Ok(env)
}
