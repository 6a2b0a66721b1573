//! Any octets as a command line, and as lines that come in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postrider_fuzz::pieces;
use smtp::{Command, LineReader};

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = Command::parse(bytes) {
        assert!(error.reply().is_permanent());
    }
    let Some((seed, bytes)) = bytes.split_first() else { return };
    let mut reader = LineReader::new(2048);
    for piece in pieces(*seed, bytes) {
        reader.push(piece);
        while let Some(line) = reader.next_line() {
            let Ok(line) = line else { return };
            assert!(line.len() <= 2048);
            let _ = Command::parse(&line);
        }
    }
});
