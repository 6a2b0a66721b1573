//! The octets of a file: held in memory, or read piece by piece from where they lie.

use bytes::Bytes;
use std::{borrow::Cow, fmt, io, sync::Arc};

/// Where the octets of a large file lie. The only way in which this crate meets I/O, which it leaves to others.
pub trait Source: fmt::Debug + Send + Sync {
    /// How many there are.
    fn size(&self) -> usize;

    /// Fills `buffer` with those from `offset` on.
    ///
    /// # Errors
    /// When they cannot be read, or are fewer.
    fn read_at(&self, offset: usize, buffer: &mut [u8]) -> io::Result<()>;
}

/// The octets of a file.
#[derive(Clone, Debug)]
pub enum Octets {
    /// In memory.
    Held(Bytes),
    /// Somewhere else.
    Elsewhere(Arc<dyn Source>),
}

impl Octets {
    /// Pieces that are read from elsewhere are so long: whole lines of base64.
    const PIECE: usize = 57 * 1024;

    /// How many there are.
    pub fn size(&self) -> usize {
        match self {
            Octets::Held(bytes) => bytes.len(),
            Octets::Elsewhere(source) => source.size(),
        }
    }

    /// The first octets, at most so many.
    pub(crate) fn start(&self, max: usize) -> io::Result<Cow<'_, [u8]>> {
        let size = self.size().min(max);
        match self {
            Octets::Held(bytes) => Ok(Cow::Borrowed(&bytes[..size])),
            Octets::Elsewhere(source) => {
                let mut buffer = vec![0; size];
                source.read_at(0, &mut buffer)?;
                Ok(Cow::Owned(buffer))
            }
        }
    }

    /// Gives all of them to `each`, in order, in pieces of which all but the last are whole lines of base64.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn in_pieces(&self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let source = match self {
            Octets::Held(bytes) => {
                each(bytes);
                return Ok(());
            }
            Octets::Elsewhere(source) => source,
        };
        let size = source.size();
        let mut buffer = vec![0; size.min(Octets::PIECE)];
        for offset in (0..size).step_by(Octets::PIECE) {
            let piece = &mut buffer[..(size - offset).min(Octets::PIECE)];
            source.read_at(offset, piece)?;
            each(piece);
        }
        Ok(())
    }
}

impl From<Bytes> for Octets {
    fn from(bytes: Bytes) -> Octets {
        Octets::Held(bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Octets that have to be read, of which those behind `readable` cannot be.
    #[derive(Debug)]
    pub(crate) struct Shelf {
        pub(crate) octets: Vec<u8>,
        pub(crate) readable: usize,
    }

    impl Source for Shelf {
        fn size(&self) -> usize {
            self.octets.len()
        }

        fn read_at(&self, offset: usize, buffer: &mut [u8]) -> io::Result<()> {
            let end = offset + buffer.len();
            let octets = self.octets[..self.readable].get(offset..end).ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(octets);
            Ok(())
        }
    }

    pub(crate) fn elsewhere(octets: Vec<u8>) -> Octets {
        let readable = octets.len();
        Octets::Elsewhere(Arc::new(Shelf { octets, readable }))
    }

    #[test]
    fn what_lies_elsewhere_comes_whole_and_in_order() {
        for size in [0, 1, Octets::PIECE - 1, Octets::PIECE, Octets::PIECE + 1, 3 * Octets::PIECE + 5] {
            let octets: Vec<u8> = (0..size).map(|at| (at / 7).to_le_bytes()[0]).collect();
            for from in [Octets::from(Bytes::from(octets.clone())), elsewhere(octets.clone())] {
                let mut read = Vec::new();
                from.in_pieces(|piece| read.extend_from_slice(piece)).unwrap();
                assert!(read == octets, "{size}");
                assert_eq!(from.size(), size);
                assert_eq!(*from.start(10).unwrap(), octets[..size.min(10)]);
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let shelf = Octets::Elsewhere(Arc::new(Shelf { octets: vec![1; 100_000], readable: 90_000 }));
        assert!(shelf.in_pieces(|_| {}).is_err());
        assert!(shelf.start(100).is_ok());
    }
}
