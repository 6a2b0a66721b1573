//! A message or MIME part, its parts, and its content decoded (RFC 2045, RFC 2046).

use super::{
    MAX_DEPTH, MAX_TEXT, Structure, charset::Charset, first, ids, parameters::Parameterised,
    transfer::Transfer,
};
use crate::fields::{split, unfolded};
use memchr::memmem;
use std::{borrow::Cow, collections::BTreeMap, ops::Range};

/// What is looked at of a MIME field, and of the header as a whole.
pub(crate) const MAX_MIME_FIELD: usize = 4 * 1024;
const MAX_HEADER: usize = 1024 * 1024;

/// A message or MIME part, not decoded.
pub(crate) struct Entity<'a> {
    pub(crate) header: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) content_type: String,
    parameters: BTreeMap<String, String>,
    disposition: String,
    filename: String,
    pub(crate) parts: Vec<Entity<'a>>,
}

impl<'a> Entity<'a> {
    pub(crate) fn parse(raw: &'a [u8], default_type: &str) -> Entity<'a> {
        let (header, body) = split(raw);
        let header = &header[..header.len().min(MAX_HEADER)];
        let declared = parameterised(header, "Content-Type");
        let declared = declared
            .filter(|declared| is_media_type(&declared.value))
            .unwrap_or_else(|| Parameterised { value: default_type.to_owned(), ..Parameterised::default() });
        let disposition = parameterised(header, "Content-Disposition").unwrap_or_default();
        let filename = disposition.name("filename").or_else(|| declared.name("name"));
        Entity {
            header,
            body,
            filename: filename.unwrap_or_default(),
            content_type: declared.value,
            parameters: declared.parameters,
            disposition: disposition.value,
            parts: Vec::new(),
        }
    }

    pub(super) fn with_parts(mut self, depth: usize, parts_left: &mut usize) -> Entity<'a> {
        if depth == MAX_DEPTH {
            return self;
        }
        let mut parts = Vec::new();
        for raw in self.raw_parts() {
            let Some(left) = parts_left.checked_sub(1) else { break };
            *parts_left = left;
            parts.push(Entity::parse(raw, self.default_of_parts()).with_parts(depth + 1, parts_left));
        }
        self.parts = parts;
        self
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// RFC 2046, 5.1.5.
    pub(crate) fn default_of_parts(&self) -> &'static str {
        if self.content_type == "multipart/digest" { "message/rfc822" } else { "text/plain" }
    }

    /// The parts of a multipart, not decoded; none of anything else.
    pub(crate) fn raw_parts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let body = self.body;
        self.part_ranges().map(move |range| &body[range])
    }

    /// Where in the body those parts are.
    pub(crate) fn part_ranges(&self) -> PartRanges<'a> {
        match self.parameter("boundary") {
            Some(boundary) if self.content_type.starts_with("multipart/") && !boundary.is_empty() => {
                PartRanges::of(self.body, boundary)
            }
            _ => PartRanges::none(),
        }
    }

    pub(super) fn first_text(&self, content_type: &str) -> Option<&Entity<'a>> {
        if self.disposition == "attachment" {
            return None;
        }
        if self.content_type == content_type {
            return Some(self);
        }
        self.parts.iter().find_map(|part| part.first_text(content_type))
    }

    fn transfer(&self) -> Transfer {
        // RFC 2045, 6.4: a multipart has no encoding, whatever it says.
        if self.content_type.starts_with("multipart/") {
            return Transfer::Identity;
        }
        first(self.header, "Content-Transfer-Encoding").map_or(Transfer::Identity, Transfer::named)
    }

    pub(crate) fn decoded(&self) -> Cow<'a, [u8]> {
        self.transfer().decode(self.body)
    }

    /// The start of the content, of what at most `max` octets encode.
    pub(crate) fn decoded_start(&self, max: usize) -> Cow<'a, [u8]> {
        let transfer = self.transfer();
        transfer.decode(transfer.start(self.body, max))
    }

    /// The content as text with `\n` lines, cut. No more is decoded than that needs, as a body may be a hundred
    /// times as long.
    pub(super) fn text(&self) -> String {
        /// At the end of a start may be what is no character.
        const MARGIN: usize = 64;
        let transfer = self.transfer();
        let charset = Charset::named(self.parameter("charset").unwrap_or_default());
        // Enough for all but strange encodings.
        let mut take = 4 * MAX_TEXT;
        loop {
            let encoded = transfer.start(self.body, take);
            let octets = transfer.decode(encoded);
            if encoded.len() == self.body.len() {
                return cut(newline_lines(&charset.decode(&octets)), MAX_TEXT);
            }
            let text = newline_lines(&charset.decode_start(&octets));
            if text.len() >= MAX_TEXT + MARGIN {
                return cut(text, MAX_TEXT);
            }
            take *= 8;
        }
    }

    pub(super) fn structure(self) -> Structure {
        Structure {
            decoded_size: i64::try_from(self.transfer().decoded_len(self.body)).unwrap_or(i64::MAX),
            content_id: ids(self.header, "Content-ID").into_iter().next().unwrap_or_default(),
            content_type: self.content_type,
            content_type_params: self.parameters,
            content_disposition: self.disposition,
            filename: self.filename,
            parts: self.parts.into_iter().map(Entity::structure).collect(),
        }
    }
}

/// The parts of a multipart body (RFC 2046, 5.1.1).
pub(crate) struct PartRanges<'a> {
    body: &'a [u8],
    delimiter: Vec<u8>,
    /// Where the next part begins; none when the closing delimiter has been read.
    next: Option<usize>,
}

impl<'a> PartRanges<'a> {
    fn none() -> PartRanges<'a> {
        PartRanges { body: &[], delimiter: Vec::new(), next: None }
    }

    fn of(body: &'a [u8], boundary: &str) -> PartRanges<'a> {
        let mut parts = PartRanges { body, delimiter: format!("--{boundary}").into_bytes(), next: None };
        parts.next = parts.delimiter_after(0).and_then(|found| found.next);
        parts
    }

    fn delimiter_after(&self, from: usize) -> Option<Delimiter> {
        memmem::find_iter(&self.body[from..], &self.delimiter).find_map(|at| {
            let start = from + at;
            if start > from && self.body[start - 1] != b'\n' {
                return None;
            }
            let rest = &self.body[start + self.delimiter.len()..];
            let line_len = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest[..line_len].trim_ascii_end();
            let closes = line.starts_with(b"--");
            // A line that only begins like the delimiter is that of another multipart.
            (closes || line.is_empty()).then(|| Delimiter {
                start,
                next: (!closes).then(|| start + self.delimiter.len() + line_len),
            })
        })
    }
}

struct Delimiter {
    start: usize,
    next: Option<usize>,
}

impl Iterator for PartRanges<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.next.take()?;
        let Some(found) = self.delimiter_after(start) else {
            // Cut off on the way: what is there counts.
            return (start < self.body.len()).then_some(start..self.body.len());
        };
        self.next = found.next;
        // The line end before a delimiter belongs to it.
        let part = &self.body[start..found.start];
        let part = part.strip_suffix(b"\n").unwrap_or(part);
        let part = part.strip_suffix(b"\r").unwrap_or(part);
        Some(start..start + part.len())
    }
}

/// A header with parameters.
fn parameterised(header: &[u8], name: &str) -> Option<Parameterised> {
    let value = first(header, name)?;
    Some(Parameterised::parse(&unfolded(&value[..value.len().min(MAX_MIME_FIELD)])))
}

fn is_media_type(text: &str) -> bool {
    let is_token = |token: &str| {
        !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
    };
    text.len() <= 255
        && text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// Lines end in CRLF, or LF where a message was not sent by SMTP, or CR where a text was encoded as it was.
fn newline_lines(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() }
}

/// The start of a text, at most so many octets.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}
