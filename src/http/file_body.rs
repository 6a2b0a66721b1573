//! Answers that are read from a file while they are sent: however slow a client is, it holds no more than a piece.

use actix_web::{body::SizedStream, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use std::{
    fs::File,
    io::{self, Read},
};

/// Octets that are read at a time.
const PIECE: u64 = 128 * 1024;

/// The next `size` octets of a file.
pub(super) fn file_body(
    file: File,
    size: u64,
) -> SizedStream<impl Stream<Item = Result<Bytes, actix_web::Error>> + use<>> {
    let pieces = stream::try_unfold((file, size), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let (piece, file) = web::block(move || {
            let mut piece = vec![0; usize::try_from(left.min(PIECE)).expect("a piece is small")];
            file.read_exact(&mut piece)?;
            Ok::<_, io::Error>((piece, file))
        })
        .await??;
        let left = left - piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, left))))
    });
    SizedStream::new(size, Box::pin(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body;
    use std::io::{Seek, Write};

    #[actix_web::test]
    async fn a_file_is_sent_whole_and_one_that_is_too_short_is_an_error() {
        let octets: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&octets).unwrap();
        for size in [0, 1, PIECE, PIECE + 1, 300_000] {
            file.rewind().unwrap();
            let sent = body::to_bytes(file_body(file.try_clone().unwrap(), size)).await.unwrap();
            assert_eq!(sent, octets[..usize::try_from(size).unwrap()]);
        }
        file.rewind().unwrap();
        assert!(body::to_bytes(file_body(file, 300_001)).await.is_err());
    }
}
