//! What octets are, looked at piece by piece.

/// Whether octets are UTF-8.
#[derive(Default)]
pub(super) struct Utf8 {
    /// The start of a character that the next piece may end.
    started: Vec<u8>,
    broken: bool,
}

impl Utf8 {
    pub(super) fn add(&mut self, piece: &[u8]) {
        if self.broken {
            return;
        }
        let joined = [&self.started, piece].concat();
        let piece = if self.started.is_empty() { piece } else { &joined };
        let started = match std::str::from_utf8(piece) {
            Ok(_) => &[],
            Err(error) if error.error_len().is_none() => &piece[error.valid_up_to()..],
            Err(_) => {
                self.broken = true;
                &[]
            }
        };
        self.started = started.to_vec();
    }

    pub(super) fn is_utf8(&self) -> bool {
        !self.broken && self.started.is_empty()
    }
}

/// Whether octets can go as the lines that they are, without an encoding (RFC 2045, 2.7 and 2.8).
#[derive(Default)]
pub(super) struct Lines {
    column: usize,
    after_cr: bool,
    broken: bool,
    eight_bit: bool,
}

/// RFC 5322, 2.1.1, without the line end.
pub(super) const MAX_LINE: usize = 998;

impl Lines {
    pub(super) fn add(&mut self, piece: &[u8]) {
        for &b in piece {
            self.broken |= b == 0 || (self.after_cr && b != b'\n');
            self.eight_bit |= !b.is_ascii();
            self.after_cr = b == b'\r';
            self.column += 1;
            if b == b'\n' {
                self.broken |= self.column > MAX_LINE + 2;
                self.column = 0;
            }
        }
    }

    /// Whether every octet belongs to a line that is short enough, and no line end is torn.
    pub(super) fn are_lines(&self) -> bool {
        !self.broken && !self.after_cr && self.column <= MAX_LINE
    }

    pub(super) fn are_eight_bit(&self) -> bool {
        self.eight_bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_short_and_end_as_lines_do() {
        let long = "x".repeat(MAX_LINE);
        for (text, expected) in [
            ("", true),
            ("a\r\nb\n", true),
            ("a\r\n\r\n", true),
            ("a\rb", false),
            ("a\r\r\n", false),
            ("a\r", false),
            ("a\0b", false),
            (&format!("{long}\r\n{long}"), true),
            (&format!("{long}xx\r\n"), false),
            (&format!("{long}x"), false),
            ("ä\r\n", true),
        ] {
            let mut lines = Lines::default();
            lines.add(text.as_bytes());
            assert_eq!(lines.are_lines(), expected, "{text:?}");
            assert_eq!(lines.are_eight_bit(), !text.is_ascii(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            octets in prop_oneof![
                "[a\r\nä☺\0]{0,12}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..12),
            ],
            cut in 0usize..12,
            other in 0usize..12,
        ) {
            let (cut, other) = (cut.min(other).min(octets.len()), cut.max(other).min(octets.len()));
            let pieces = [&octets[..cut], &octets[cut..other], &octets[other..]];
            let (mut utf8, mut whole, mut cut) = (Utf8::default(), Lines::default(), Lines::default());
            whole.add(&octets);
            for piece in pieces {
                utf8.add(piece);
                cut.add(piece);
            }
            prop_assert_eq!(utf8.is_utf8(), std::str::from_utf8(&octets).is_ok());
            prop_assert_eq!(cut.are_lines(), whole.are_lines());
            prop_assert_eq!(cut.are_eight_bit(), whole.are_eight_bit());
        }
    }
}
