//! Octets that arrive, or wait to be sent: a few in memory, many in temporary files without a name.

use super::error::ApiError;
use actix_web::web;
use bytes::{Bytes, BytesMut};
use mail::{Octets, Source};
use std::{
    fs::File,
    io::{self, Seek, Write},
    ops::Range,
    os::unix::fs::FileExt,
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

    /// What has come, complete.
    pub(super) async fn finish(mut self) -> Result<Spooled, ApiError> {
        if self.file.is_some() && !self.buffer.is_empty() {
            self.flush().await?;
        }
        Ok(match self.file {
            None => Spooled::Held(self.buffer.freeze()),
            Some(file) => Spooled::OnDisk(Arc::new(file)),
        })
    }
}

/// Octets that have come and stay where they are.
pub(super) enum Spooled {
    Held(Bytes),
    OnDisk(Arc<File>),
}

impl Spooled {
    /// Those of a range.
    pub(super) fn octets(&self, range: Range<usize>) -> Octets {
        match self {
            Spooled::Held(bytes) => bytes.slice(range).into(),
            Spooled::OnDisk(file) => Octets::Elsewhere(Arc::new(FilePiece { file: file.clone(), range })),
        }
    }

    /// Those of a range, read into memory.
    pub(super) async fn read(&self, range: Range<usize>) -> Result<Bytes, ApiError> {
        match self {
            Spooled::Held(bytes) => Ok(bytes.slice(range)),
            Spooled::OnDisk(file) => {
                let piece = FilePiece { file: file.clone(), range };
                web::block(move || {
                    let mut bytes = vec![0; piece.size()];
                    piece.read_at(0, &mut bytes)?;
                    Ok(bytes.into())
                })
                .await?
            }
        }
    }
}

/// A piece of a file.
#[derive(Debug)]
struct FilePiece {
    file: Arc<File>,
    range: Range<usize>,
}

impl Source for FilePiece {
    fn size(&self) -> usize {
        self.range.len()
    }

    fn read_at(&self, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
        // What stands behind it in the file is another piece.
        if offset + buffer.len() > self.range.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buffer, (self.range.start + offset) as u64)
    }
}
