//! Bodies of parts and their transfer encodings (RFC 2045, 6).

use super::scan::{Lines, MAX_LINE};
use crate::{ContentType, Octets, draft::File};
use base64::{Engine, engine::general_purpose::STANDARD};
use memchr::{memchr_iter, memchr2};
use std::io;

/// How the octets of a part go over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transfer {
    SevenBit,
    EightBit,
    QuotedPrintable,
    Base64,
}

/// Octets in a line of base64 (RFC 2045, 6.8), before and after encoding.
const BASE64_LINE: (usize, usize) = (57, 76);
/// RFC 2045, 6.7 (5).
const MAX_QUOTED_LINE: usize = 76;

impl Transfer {
    /// For text whose lines end in CRLF: as it is when that is allowed, else what makes it shorter.
    pub(super) fn of_text(text: &str) -> Transfer {
        let octets = text.as_bytes();
        let controls = octets.iter().filter(|b| needs_quoting(**b)).count();
        if controls == 0 && has_short_lines(octets) {
            return Transfer::SevenBit;
        }
        // Quoted-printable makes three octets of one, base64 four of three.
        let quoted = controls + octets.iter().filter(|b| **b == b'=').count();
        if quoted * 6 <= octets.len() { Transfer::QuotedPrintable } else { Transfer::Base64 }
    }

    /// Files are base64, so that they arrive octet for octet; but messages may not be (RFC 2046, 5.2.1).
    pub(super) fn of_file(file: &File) -> io::Result<Transfer> {
        if !is_message(&file.content_type) {
            return Ok(Transfer::Base64);
        }
        let mut lines = Lines::default();
        file.data.in_pieces(|piece| lines.add(piece))?;
        Ok(match (lines.are_lines(), lines.are_eight_bit()) {
            (false, _) => Transfer::Base64,
            (true, false) => Transfer::SevenBit,
            (true, true) => Transfer::EightBit,
        })
    }

    /// The least octets that a file takes, known without a look at it.
    pub(super) fn min_size(file: &File) -> usize {
        let size = file.data.size();
        if is_message(&file.content_type) { size } else { size.div_ceil(3) * 4 }
    }

    /// The type to declare for a file of type `given` that goes so. A type that must not be encoded, but has
    /// to be, goes as octets.
    pub(super) fn essence(self, given: &ContentType) -> &str {
        if given.kind() == "multipart" || (self == Transfer::Base64 && is_message(given)) {
            ContentType::OCTET_STREAM_ESSENCE
        } else {
            given.essence()
        }
    }

    /// Writes Content-Transfer-Encoding, the empty line and the body.
    pub(super) fn write(self, body: &[u8], out: &mut Vec<u8>) {
        self.write_header(out);
        self.write_piece(body, out);
    }

    /// The same for octets that may lie elsewhere.
    pub(super) fn write_file(self, octets: &Octets, out: &mut Vec<u8>) -> io::Result<()> {
        self.write_header(out);
        octets.in_pieces(|piece| self.write_piece(piece, out))
    }

    fn write_header(self, out: &mut Vec<u8>) {
        let name: &[u8] = match self {
            Transfer::SevenBit => b"7bit",
            Transfer::EightBit => b"8bit",
            Transfer::QuotedPrintable => b"quoted-printable",
            Transfer::Base64 => b"base64",
        };
        out.extend_from_slice(b"Content-Transfer-Encoding: ");
        out.extend_from_slice(name);
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Writes the next piece of a body. Of text it is the only one; of base64, all but the last are whole lines.
    fn write_piece(self, body: &[u8], out: &mut Vec<u8>) {
        match self {
            Transfer::SevenBit | Transfer::EightBit => write_lines(body, out),
            Transfer::QuotedPrintable => write_quoted_printable(body, out),
            Transfer::Base64 => write_base64(body, out),
        }
    }
}

/// The text with every line ended by CRLF, also the last, whether it came with CRLF, LF or CR.
pub(super) fn crlf_lines(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 16 + 2);
    let mut rest = text;
    while let Some(at) = memchr2(b'\r', b'\n', rest.as_bytes()) {
        lines.push_str(&rest[..at]);
        lines.push_str("\r\n");
        rest = rest[at..].strip_prefix("\r\n").unwrap_or(&rest[at + 1..]);
    }
    if !rest.is_empty() {
        lines.push_str(rest);
        lines.push_str("\r\n");
    }
    lines
}

/// All `message` types but `message/global` and its kin, which RFC 6532, 3.7 made encodable.
fn is_message(content_type: &ContentType) -> bool {
    content_type.kind() == "message" && !content_type.essence().starts_with("message/global")
}

fn has_short_lines(data: &[u8]) -> bool {
    let mut start = 0;
    for at in memchr_iter(b'\n', data) {
        if at - start > MAX_LINE + 1 {
            return false;
        }
        start = at + 1;
    }
    data.len() - start <= MAX_LINE
}

/// Octets that 7bit text cannot have, or should not.
pub(crate) fn needs_quoting(b: u8) -> bool {
    b >= 0x7f || (b < b' ' && !matches!(b, b'\t' | b'\r' | b'\n'))
}

fn write_lines(body: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    for at in memchr_iter(b'\n', body) {
        // What stands before the body ends in LF, and a piece may end within CRLF.
        let before = if at == 0 { out.last() } else { body.get(at - 1) };
        if before != Some(&b'\r') {
            out.extend_from_slice(&body[start..at]);
            out.extend_from_slice(b"\r\n");
            start = at + 1;
        }
    }
    out.extend_from_slice(&body[start..]);
}

pub(crate) fn write_base64(body: &[u8], out: &mut Vec<u8>) {
    out.reserve(body.len() / BASE64_LINE.0 * (BASE64_LINE.1 + 2) + BASE64_LINE.1 + 2);
    let mut line = [0; BASE64_LINE.1];
    for octets in body.chunks(BASE64_LINE.0) {
        let len = STANDARD.encode_slice(octets, &mut line).expect("57 octets make 76 characters");
        out.extend_from_slice(&line[..len]);
        out.extend_from_slice(b"\r\n");
    }
}

/// For text whose lines all end in CRLF.
pub(crate) fn write_quoted_printable(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut column = 0;
    for (at, &b) in text.iter().enumerate() {
        if matches!(b, b'\r' | b'\n') {
            out.push(b);
            column = 0;
            continue;
        }
        let at_line_end = text.get(at + 1).is_none_or(|next| *next == b'\r');
        let quoted = b == b'=' || needs_quoting(b) || (at_line_end && matches!(b, b' ' | b'\t'));
        let width = if quoted { 3 } else { 1 };
        // The last column is for the `=` of a soft line break.
        if column + width > MAX_QUOTED_LINE - usize::from(!at_line_end) {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        column += width;
        if quoted {
            out.extend_from_slice(&[b'=', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        } else {
            out.push(b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_line_ends_become_crlf() {
        let rows = [
            ("", ""),
            ("a", "a\r\n"),
            ("a\n", "a\r\n"),
            ("a\r\n\nb\rc", "a\r\n\r\nb\r\nc\r\n"),
            ("\r\r\n\n\r", "\r\n\r\n\r\n\r\n"),
            (".\n..", ".\r\n..\r\n"),
        ];
        for (text, lines) in rows {
            assert_eq!(crlf_lines(text), lines, "{text:?}");
        }
    }

    #[test]
    fn text_goes_with_the_least_surprising_encoding() {
        let rows = [
            ("", Transfer::SevenBit),
            ("plain\r\n", Transfer::SevenBit),
            (&*format!("{}\r\n", "x".repeat(998)), Transfer::SevenBit),
            (&*format!("{}\r\n", "x".repeat(999)), Transfer::QuotedPrintable),
            ("grüne Soße aus Frankfurt\r\n", Transfer::QuotedPrintable),
            ("зелёный соус\r\n", Transfer::Base64),
            ("a form feed \x0c in the midst of text\r\n", Transfer::QuotedPrintable),
        ];
        for (text, transfer) in rows {
            assert_eq!(Transfer::of_text(text), transfer, "{text:?}");
        }
    }

    #[test]
    fn quoted_printable_lines_are_short_and_end_in_no_white_space() {
        let rows = [
            ("a=b\tc \r\n", "a=3Db\tc=20\r\n"),
            ("ä\t\r\nx\r\n", "=C3=A4=09\r\nx\r\n"),
            (&*format!("{}\r\n", "x".repeat(76)), &*format!("{}\r\n", "x".repeat(76))),
            (&*format!("{}\r\n", "x".repeat(77)), &*format!("{}=\r\nxx\r\n", "x".repeat(75))),
            (&*format!("{}=\r\n", "x".repeat(74)), &*format!("{}=\r\n=3D\r\n", "x".repeat(74))),
        ];
        for (text, encoded) in rows {
            let mut out = Vec::new();
            write_quoted_printable(text.as_bytes(), &mut out);
            assert_eq!(std::str::from_utf8(&out).unwrap(), encoded);
        }
    }

    #[test]
    fn messages_are_not_encoded_where_that_can_be() {
        let rows: [(&str, &[u8], Transfer, &str); 7] = [
            ("message/rfc822", b"A: 1\n\nb", Transfer::SevenBit, "message/rfc822"),
            ("message/rfc822", "A: 1\r\n\r\nä".as_bytes(), Transfer::EightBit, "message/rfc822"),
            ("message/rfc822", b"A: 1\r\rb", Transfer::Base64, "application/octet-stream"),
            ("message/rfc822", b"A: \0", Transfer::Base64, "application/octet-stream"),
            ("message/global", b"A: 1", Transfer::Base64, "message/global"),
            ("multipart/mixed", b"--x", Transfer::Base64, "application/octet-stream"),
            ("text/plain", b"a", Transfer::Base64, "text/plain"),
        ];
        for (given, data, transfer, essence) in rows {
            let file = File::new("x", given, "", bytes::Bytes::from_static(data)).unwrap();
            assert_eq!(Transfer::of_file(&file).unwrap(), transfer, "{given}");
            assert_eq!(transfer.essence(&file.content_type), essence, "{given}");
        }
        let mut out = Vec::new();
        Transfer::SevenBit.write(b"A: 1\n\r\nb\n", &mut out);
        assert_eq!(out, b"Content-Transfer-Encoding: 7bit\r\n\r\nA: 1\r\n\r\nb\r\n");
    }
}
