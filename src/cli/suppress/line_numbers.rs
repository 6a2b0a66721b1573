//! On which line of a file a record begins. The CSV reader does not say: to it, blank lines belong to the record behind
//! them, and of CR LF the second half too.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, Read},
    rc::Rc,
};

/// The most octets of a record. Longer is only what a quote that is never closed makes of a file.
const RECORD_MAX: u64 = 1 << 20;

/// The lines of a file that is being read.
#[derive(Clone, Default)]
pub(super) struct LineNumbers(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    /// Lines that are not blank, from that of the latest record on: where they begin, and their numbers.
    starts: VecDeque<(u64, u64)>,
    /// Where the latest record was looked for.
    record: u64,
}

impl LineNumbers {
    /// The line of the record that was read behind that octet: the first that is not blank. Those before are forgotten.
    pub(super) fn at(&self, octet: u64) -> u64 {
        let mut state = self.0.borrow_mut();
        state.record = octet;
        while state.starts.front().is_some_and(|(start, _)| *start < octet) {
            state.starts.pop_front();
        }
        state.line()
    }
}

impl State {
    fn line(&self) -> u64 {
        self.starts.front().map_or(0, |(_, line)| *line)
    }
}

/// A file whose lines are counted as they are read.
pub(super) struct Counted<R> {
    source: R,
    numbers: LineNumbers,
    octets: u64,
    line: u64,
    before: u8,
}

impl<R: Read> Counted<R> {
    /// Counts into `numbers`.
    pub(super) fn new(source: R, numbers: LineNumbers) -> Counted<R> {
        Counted { source, numbers, octets: 0, line: 1, before: b'\n' }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.numbers.0.borrow_mut();
        if self.octets - state.record > RECORD_MAX {
            return Err(io::Error::other(format!(
                "what begins behind line {} does not end within {RECORD_MAX} octets; is there a quote that is never \
                 closed?",
                state.line()
            )));
        }
        let read = self.source.read(buffer)?;
        for byte in &buffer[..read] {
            match (self.before, byte) {
                (b'\r', b'\n') => {}
                (_, b'\r' | b'\n') => self.line += 1,
                (b'\r' | b'\n', _) => state.starts.push_back((self.octets, self.line)),
                (_, _) => {}
            }
            self.before = *byte;
            self.octets += 1;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use csv::{ByteRecord, ReaderBuilder};

    #[test]
    fn a_record_begins_where_people_see_it() {
        for (file, lines) in [
            ("", &[][..]),
            ("a", &[1]),
            ("a\nb\nc\n", &[1, 2, 3]),
            ("a\r\nb\r\nc", &[1, 2, 3]),
            ("a\rb\r\rc\r", &[1, 2, 4]),
            ("\n\na\n\n\r\nb\n", &[3, 6]),
            ("\u{feff}a\n\"b\nb\"\nc\n", &[1, 2, 4]),
            ("a\r\n\"b\r\n\r\nb\"\r\nc\r\n", &[1, 2, 5]),
            ("a\n\"never closed\nb\nc\n", &[1, 2]),
            ("a\n \nb", &[1, 2, 3]),
        ] {
            let numbers = LineNumbers::default();
            let source = Counted::new(file.as_bytes(), numbers.clone());
            let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source);
            let (mut record, mut found) = (ByteRecord::new(), Vec::new());
            while reader.read_byte_record(&mut record).unwrap() {
                found.push(numbers.at(record.position().unwrap().byte()));
            }
            assert_eq!(found, lines, "{file:?}");
        }
    }

    #[test]
    fn a_long_file_is_counted_and_forgotten() {
        let file: String = (0..100_000).map(|n| if n % 10 == 0 { "\r\n" } else { "x,y\r\n" }).collect();
        let numbers = LineNumbers::default();
        let source = Counted::new(file.as_bytes(), numbers.clone());
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(source);
        let (mut record, mut last) = (ByteRecord::new(), 0);
        while reader.read_byte_record(&mut record).unwrap() {
            last = numbers.at(record.position().unwrap().byte());
            assert!(numbers.0.borrow().starts.len() < 10_000);
        }
        assert_eq!(last, 100_000);
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_the_reading() {
        let file = format!("a\nb\n\"c\n{}", "d\n".repeat(3 << 20));
        let numbers = LineNumbers::default();
        let source = Counted::new(file.as_bytes(), numbers.clone());
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(source);
        let mut record = ByteRecord::new();
        for line in [1, 2] {
            assert!(reader.read_byte_record(&mut record).unwrap());
            assert_eq!(numbers.at(record.position().unwrap().byte()), line);
        }
        let error = reader.read_byte_record(&mut record).unwrap_err().to_string();
        assert!(error.contains("behind line 2"), "{error}");
    }
}
