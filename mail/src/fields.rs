//! The header fields of a message or MIME part, as they stand.

use memchr::{memchr, memchr_iter};

/// One header field (RFC 5322, 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// The name without white space around it.
    pub(crate) name: &'a [u8],
    /// What follows the colon, folding included, without the final line end.
    pub(crate) value: &'a [u8],
}

impl Field<'_> {
    /// Whether the name is `name`, in whatever case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The header section with the end of its last line, and the body behind the empty line. A message without an
/// empty line is all header. Lines may end in CRLF or in LF alone, as messages from the wild do.
pub(crate) fn split(raw: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = raw.strip_prefix(b"\r\n").or_else(|| raw.strip_prefix(b"\n")) {
        return (&[], body);
    }
    let mut from = 0;
    while let Some(at) = memchr(b'\n', &raw[from..]) {
        let next = from + at + 1;
        let rest = &raw[next..];
        if let Some(body) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
            return (&raw[..next], body);
        }
        from = next;
    }
    (raw, &[])
}

/// The fields of a header section, in order. Lines that are no part of a field are passed over.
pub(crate) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    whole_fields(header).filter_map(|(_, field)| field)
}

/// The header section in pieces that make it up: each a field with its folded lines and their ends, or a line that
/// is none.
pub(crate) fn whole_fields(header: &[u8]) -> impl Iterator<Item = (&[u8], Option<Field<'_>>)> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let (line, after) = rest.split_at_checked(field_end(rest)).filter(|(line, _)| !line.is_empty())?;
        rest = after;
        Some((line, field(line)))
    })
}

/// The value on one line: line ends taken out, white space kept (RFC 5322, 2.2.3).
pub(crate) fn unfolded(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    let mut line = Vec::with_capacity(value.len() + 1);
    line.extend(value.iter().filter(|b| !matches!(b, b'\r' | b'\n')));
    line
}

fn field(line: &[u8]) -> Option<Field<'_>> {
    let colon = memchr(b':', line)?;
    let name = line[..colon].trim_ascii_end();
    if name.is_empty() || !name.iter().all(|b| (33..=126).contains(b)) {
        return None;
    }
    let value = &line[colon + 1..];
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    Some(Field { name, value: value.strip_suffix(b"\r").unwrap_or(value) })
}

fn field_end(header: &[u8]) -> usize {
    for at in memchr_iter(b'\n', header) {
        if !matches!(header.get(at + 1), Some(b' ' | b'\t')) {
            return at + 1;
        }
    }
    header.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_splits_at_its_first_empty_line() {
        let rows: [(&str, &str, &str); 6] = [
            ("A: 1\r\nB: 2\r\n\r\nbody\r\n\r\n", "A: 1\r\nB: 2\r\n", "body\r\n\r\n"),
            ("A: 1\n\nbody", "A: 1\n", "body"),
            ("\r\nbody", "", "body"),
            ("A: 1\r\n", "A: 1\r\n", ""),
            ("A: 1", "A: 1", ""),
            ("", "", ""),
        ];
        for (raw, header, body) in rows {
            assert_eq!(split(raw.as_bytes()), (header.as_bytes(), body.as_bytes()), "{raw:?}");
        }
    }

    #[test]
    fn fields_keep_their_folding_and_junk_is_passed_over() {
        let header = b"From x\r\nA : 1\r\n\t2\r\nnothing\r\n bad name: 3\r\nB:\r\nC: 4";
        let found: Vec<_> = fields(header).map(|f| (f.name, f.value)).collect();
        let expected: [(&[u8], &[u8]); 3] = [(b"A", b" 1\r\n\t2"), (b"B", b""), (b"C", b" 4")];
        assert_eq!(found, expected);
        assert_eq!(unfolded(b" 1\r\n\t2"), b"1\t2");
    }
}
