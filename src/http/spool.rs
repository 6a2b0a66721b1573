//! Octets that arrive, or wait to be sent: a few in memory, many in temporary files without a name.

use super::error::ApiError;
use actix_web::web;
use bytes::{Bytes, BytesMut};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::PathBuf,
    sync::Arc,
};
use store::Store;

/// Where spools lie, and from when on they lie there.
#[derive(Clone)]
pub(super) struct Spools {
    store: Store,
    dir: Arc<PathBuf>,
    memory_max: usize,
}

impl Spools {
    /// Makes their directory in that of the store, to which they leave the room that it needs; those of up to
    /// `memory_max` octets stay in memory.
    pub(super) fn new(store: Store, memory_max: usize) -> io::Result<Spools> {
        let dir = store.path().join("uploads");
        std::fs::create_dir_all(&dir)?;
        Ok(Spools { store, dir: Arc::new(dir), memory_max })
    }

    /// An empty one, perhaps for that many octets.
    pub(super) fn open(&self, size: Option<u64>) -> Spool {
        let size = usize::try_from(size.unwrap_or(0)).unwrap_or(0).min(self.memory_max).min(64 * 1024);
        Spool { spools: self.clone(), buffer: BytesMut::with_capacity(size), file: None, in_file: 0 }
    }

    /// A file with these octets, to be read from its start. Blocks.
    pub(super) fn file_of(&self, octets: &[u8]) -> Result<File, ApiError> {
        let mut file = self.write(None, octets)?;
        file.rewind()?;
        Ok(file)
    }

    /// Writes to a file, made new where there is none. Blocks.
    fn write(&self, file: Option<File>, octets: &[u8]) -> Result<File, ApiError> {
        if !self.store.has_room()? {
            return Err(ApiError::busy());
        }
        let mut file = file.map_or_else(|| tempfile::tempfile_in(&*self.dir), Ok)?;
        file.write_all(octets)?;
        Ok(file)
    }
}

/// Octets in memory, or in a temporary file when they are many.
pub(super) struct Spool {
    spools: Spools,
    buffer: BytesMut,
    file: Option<File>,
    in_file: usize,
}

impl Spool {
    /// The octets so far.
    pub(super) fn len(&self) -> usize {
        self.in_file + self.buffer.len()
    }

    pub(super) async fn push(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        self.buffer.extend_from_slice(piece);
        if self.buffer.len() > self.spools.memory_max { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), ApiError> {
        let (file, spools) = (self.file.take(), self.spools.clone());
        let buffer = std::mem::take(&mut self.buffer);
        self.in_file += buffer.len();
        let (file, mut buffer) =
            web::block(move || spools.write(file, &buffer).map(|file| (file, buffer))).await??;
        buffer.clear();
        (self.file, self.buffer) = (Some(file), buffer);
        Ok(())
    }

    /// All of it, read back.
    pub(super) async fn into_bytes(self) -> Result<Bytes, ApiError> {
        let Some(mut file) = self.file else { return Ok(self.buffer.freeze()) };
        let size = self.in_file + self.buffer.len();
        web::block(move || {
            let mut bytes = Vec::with_capacity(size);
            file.rewind()?;
            file.read_to_end(&mut bytes)?;
            bytes.extend_from_slice(&self.buffer);
            Ok(bytes.into())
        })
        .await?
    }
}
