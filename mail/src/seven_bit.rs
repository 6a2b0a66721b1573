//! Messages for servers without 8BITMIME: parts with octets above 127 are encoded (RFC 6152, 3; RFC 2045, 6).

use crate::{
    EnhancedCode,
    compose::body::{needs_quoting, write_base64, write_quoted_printable},
    fields::{Field, fields, split, whole_fields},
    read::entity::Entity,
};
use memchr::memchr2_iter;

/// Parts and messages within each other that are converted.
const MAX_DEPTH: usize = 20;

/// A message without octets above 127.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SevenBit {
    /// The message.
    pub content: Vec<u8>,
    /// Whether it bears a DKIM signature, none of which holds any more: they all cover header fields and the body
    /// that have changed.
    pub breaks_signatures: bool,
}

/// Why a message cannot be sent to a server without 8BITMIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unconvertible {
    /// Such a header needs SMTPUTF8 (RFC 6532).
    #[error("a header field has octets above 127, which only a server with SMTPUTF8 takes")]
    Header,
    /// RFC 1847, 2.1: converting breaks what was signed.
    #[error("a signed part has octets above 127, and encoding them would break its signature")]
    Signed,
    /// A multipart without parts, or a message of a kind that may not be encoded (RFC 2045, 6.4).
    #[error("a part that must not be encoded has octets above 127")]
    Composite,
    /// The octets have an encoding that is not known (RFC 2045, 6.3).
    #[error("a part with octets above 127 has an unknown Content-Transfer-Encoding")]
    Encoding,
    /// Parts within parts, more than 20 deep.
    #[error("parts with octets above 127 are nested too deeply")]
    TooDeep,
}

impl Unconvertible {
    /// The enhanced code for it: conversion is prohibited (5.6.2), or is not supported (5.6.3).
    pub fn enhanced(self) -> EnhancedCode {
        let detail = if self == Unconvertible::Signed { 2 } else { 3 };
        EnhancedCode::new(5, 6, detail).expect("a code of class 5")
    }
}

/// Converts a message with CRLF lines. None when there is nothing to convert.
///
/// What parts say after decoding stays the same, octet for octet; so do parts without octets above 127. Octets
/// above 127 outside of parts, where nobody reads them, become question marks. A text that says nothing of its
/// charset is declared as UTF-8 if it is, else as unknown (RFC 1428).
///
/// # Errors
/// When that cannot be done; the message can then be sent only to a server that takes it as it is.
pub fn seven_bit(raw: &[u8]) -> Result<Option<SevenBit>, Unconvertible> {
    if raw.is_ascii() {
        return Ok(None);
    }
    let mut content = Vec::with_capacity(raw.len() + raw.len() / 2);
    write_entity(&Nested { raw, default_type: "text/plain", is_message: true, depth: 0 }, &mut content)?;
    let breaks_signatures = fields(split(raw).0).any(|field| field.is("DKIM-Signature"));
    Ok(Some(SevenBit { content, breaks_signatures }))
}

/// A message or part, and where it stands.
struct Nested<'a> {
    raw: &'a [u8],
    default_type: &'a str,
    is_message: bool,
    depth: usize,
}

/// What Content-Transfer-Encoding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    /// `7bit`, or nothing.
    SevenBit,
    /// `8bit` and `binary`.
    EightBit,
    /// `quoted-printable` and `base64`.
    Encoded,
    Unknown,
}

fn write_entity(nested: &Nested<'_>, out: &mut Vec<u8>) -> Result<(), Unconvertible> {
    let (header, body) = split(nested.raw);
    if !header.is_ascii() {
        return Err(Unconvertible::Header);
    }
    let entity = Entity::parse(nested.raw, nested.default_type);
    let is_signed = entity.content_type == "multipart/signed";
    let is_deep = nested.depth > MAX_DEPTH;
    if is_signed || is_deep {
        if !body.is_ascii() {
            return Err(if is_signed { Unconvertible::Signed } else { Unconvertible::TooDeep });
        }
        out.extend_from_slice(nested.raw);
        return Ok(());
    }
    let part = Part { nested, header, body, label: label(header), entity };
    match &*part.entity.content_type {
        "message/rfc822" => part.write_message(out),
        kind if kind.starts_with("multipart/") => part.write_multipart(out),
        _ => part.write_leaf(out),
    }
}

struct Part<'a> {
    nested: &'a Nested<'a>,
    header: &'a [u8],
    body: &'a [u8],
    label: Label,
    entity: Entity<'a>,
}

impl Part<'_> {
    fn write_multipart(&self, out: &mut Vec<u8>) -> Result<(), Unconvertible> {
        let parts: Vec<_> = self.entity.part_ranges().collect();
        let is_sound = !parts.is_empty() && self.entity.parameter("boundary").is_some_and(str::is_ascii);
        if !is_sound && !self.body.is_ascii() {
            return Err(Unconvertible::Composite);
        }
        self.write_header_as_is(out);
        let mut at = 0;
        for range in parts {
            write_unread(&self.body[at..range.start], out);
            at = range.end;
            let part = Nested {
                raw: &self.body[range],
                default_type: self.entity.default_of_parts(),
                is_message: false,
                depth: self.nested.depth + 1,
            };
            write_entity(&part, out)?;
        }
        write_unread(&self.body[at..], out);
        Ok(())
    }

    /// The message within is converted, as it may not be encoded itself (RFC 2046, 5.2.1).
    fn write_message(&self, out: &mut Vec<u8>) -> Result<(), Unconvertible> {
        self.write_header_as_is(out);
        if self.body.is_ascii() {
            out.extend_from_slice(self.body);
            return Ok(());
        }
        if matches!(self.label, Label::Encoded | Label::Unknown) {
            return Err(Unconvertible::Encoding);
        }
        let message = Nested {
            raw: self.body,
            default_type: "text/plain",
            is_message: true,
            depth: self.nested.depth + 1,
        };
        write_entity(&message, out)
    }

    fn write_leaf(&self, out: &mut Vec<u8>) -> Result<(), Unconvertible> {
        if self.body.is_ascii() {
            self.write_header_as_is(out);
            out.extend_from_slice(self.body);
            return Ok(());
        }
        if self.label == Label::Unknown {
            return Err(Unconvertible::Encoding);
        }
        let kind = &*self.entity.content_type;
        // RFC 6532, 3.7 made message/global and its kin encodable.
        if kind.starts_with("message/") && !kind.starts_with("message/global") {
            return Err(Unconvertible::Composite);
        }
        let octets = self.entity.decoded();
        if is_better_quoted(&octets) {
            self.write_header("quoted-printable", out);
            write_quoted_printable(&octets, out);
        } else {
            self.write_header("base64", out);
            write_base64(&octets, out);
        }
        Ok(())
    }

    /// For a body that has no octets above 127, or will have none.
    fn write_header_as_is(&self, out: &mut Vec<u8>) {
        match self.label {
            Label::EightBit => self.write_header("7bit", out),
            Label::SevenBit | Label::Encoded | Label::Unknown => {
                out.extend_from_slice(&self.nested.raw[..self.nested.raw.len() - self.body.len()]);
            }
        }
    }

    /// The header with another Content-Transfer-Encoding, and the empty line.
    fn write_header(&self, encoding: &str, out: &mut Vec<u8>) {
        let is_encoding = |field: &Field<'_>| field.is("Content-Transfer-Encoding");
        for (line, field) in whole_fields(self.header) {
            if !field.as_ref().is_some_and(is_encoding) {
                out.extend_from_slice(line);
            }
        }
        let has = |name: &str| fields(self.header).any(|field| field.is(name));
        if self.nested.is_message && !has("MIME-Version") {
            // Without it nobody has to heed the encoding.
            out.extend_from_slice(b"MIME-Version: 1.0\r\n");
            if !has("Content-Type") {
                let charset = if std::str::from_utf8(self.body).is_ok() { "utf-8" } else { "unknown-8bit" };
                out.extend_from_slice(format!("Content-Type: text/plain; charset={charset}\r\n").as_bytes());
            }
        }
        out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes());
    }
}

fn label(header: &[u8]) -> Label {
    let Some(field) = fields(header).find(|field| field.is("Content-Transfer-Encoding")) else {
        return Label::SevenBit;
    };
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    let token = field.value.trim_ascii_start().split(|b| !is_token(b)).next().unwrap_or_default();
    match token.to_ascii_lowercase().as_slice() {
        b"" | b"7bit" => Label::SevenBit,
        b"8bit" | b"binary" => Label::EightBit,
        b"quoted-printable" | b"base64" => Label::Encoded,
        _ => Label::Unknown,
    }
}

/// Whether the octets are text in CRLF lines that quoted-printable makes shorter than base64 does.
fn is_better_quoted(octets: &[u8]) -> bool {
    let are_lines = memchr2_iter(b'\r', b'\n', octets).all(|at| match octets[at] {
        b'\r' => octets.get(at + 1) == Some(&b'\n'),
        _ => at > 0 && octets[at - 1] == b'\r',
    });
    let quoted = octets.iter().filter(|b| **b == b'=' || needs_quoting(**b)).count();
    are_lines && quoted * 6 <= octets.len()
}

/// Preamble, delimiters and epilogue of a multipart.
fn write_unread(octets: &[u8], out: &mut Vec<u8>) {
    out.extend(octets.iter().map(|b| if b.is_ascii() { *b } else { b'?' }));
}

#[cfg(test)]
mod tests;
