//! What a message says, whatever state it is in. The only module that uses mail-parser.
//!
//! The MIME tree is walked here, with bounds: mail-parser is asked for single fields and character sets, as it
//! follows nested messages without end, and loses parameters on folded lines.

use crate::{
    Timestamp,
    fields::{Field, fields, split, unfolded},
};
use mail_parser::{
    Addr, HeaderValue,
    decoders::{
        base64::base64_decode, charsets::map::charset_decoder, quoted_printable::quoted_printable_decode,
    },
    parsers::MessageStream,
};
use memchr::memmem;
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap};

/// Each text of a message is cut at this many octets.
pub const MAX_TEXT: usize = 1024 * 1024;
/// Parts that stand deeper are left out.
const MAX_DEPTH: usize = 20;
/// Further parts are left out.
const MAX_PARTS: usize = 1_000;
/// What is looked at of a MIME field, of any other field, and of the header as a whole.
const MAX_MIME_FIELD: usize = 4 * 1024;
const MAX_FIELD: usize = 256 * 1024;
const MAX_HEADER: usize = 4 * 1024 * 1024;

/// A message that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadMessage {
    /// Its headers and texts.
    pub message: Message,
    /// Its MIME tree.
    pub structure: Structure,
    /// What kind of message it is.
    pub facts: Facts,
}

/// Headers and texts of a message, in the form of the webapi.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Message {
    /// Authors.
    pub from: Vec<NameAddressText>,
    /// Primary recipients.
    pub to: Vec<NameAddressText>,
    /// Other recipients.
    #[serde(rename = "CC")]
    pub cc: Vec<NameAddressText>,
    /// Hidden recipients, in a sender's own copy.
    #[serde(rename = "BCC")]
    pub bcc: Vec<NameAddressText>,
    /// Where answers go.
    pub reply_to: Vec<NameAddressText>,
    /// With angle brackets; empty when there is none.
    #[serde(rename = "MessageID")]
    pub message_id: String,
    /// The message it answers, with angle brackets; empty when there is none. The webapi's Message has no such
    /// field, an incoming webhook has it beside the others.
    #[serde(skip)]
    pub in_reply_to: String,
    /// With angle brackets, oldest first.
    pub references: Vec<String>,
    /// When it was written.
    #[serde(serialize_with = "as_rfc3339")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", extend("format" = "date-time")))]
    pub date: Option<Timestamp>,
    /// The subject, decoded.
    pub subject: String,
    /// The first text/plain part that is no attachment, with `\n` lines; empty when there is none.
    pub text: String,
    /// The first text/html part that is no attachment, with `\n` lines; empty when there is none.
    #[serde(rename = "HTML")]
    pub html: String,
}

/// An address as a message has it, which may be none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct NameAddressText {
    /// The display name, decoded.
    pub name: String,
    /// What stands for the address.
    pub address: String,
}

/// A part of a message, in the form of the webapi.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "PascalCase")]
pub struct Structure {
    /// `type/subtype`, in lower case.
    pub content_type: String,
    /// Names in lower case.
    pub content_type_params: BTreeMap<String, String>,
    /// With angle brackets; empty when there is none.
    #[serde(rename = "ContentID")]
    pub content_id: String,
    /// In lower case, without parameters; empty when there is none.
    pub content_disposition: String,
    /// From Content-Disposition, else Content-Type; decoded.
    pub filename: String,
    /// Octets after decoding; with CRLF lines for texts.
    pub decoded_size: i64,
    /// Parts of a multipart. A message in a message is no part: its octets are those of its part.
    pub parts: Vec<Structure>,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// A header or the type says that no person wrote it.
    automated: bool,
    /// A `multipart/report` with a `message/delivery-status` or `message/global-delivery-status` as its second
    /// part (RFC 3464, RFC 6533).
    pub dsn: bool,
}

impl Facts {
    /// Whether no person wrote it: an empty MAIL FROM, a header of mailing lists or of robots, or a report.
    pub fn automated(self, null_mail_from: bool) -> bool {
        null_mail_from || self.automated
    }
}

/// A part taken out of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// `type/subtype` in lower case, with the parameter `charset` if it has one: safe to put in a header.
    pub content_type: String,
    /// The content after decoding.
    pub bytes: Cow<'a, [u8]>,
}

/// Reads a message. What cannot be understood is left empty.
pub fn read(raw: &[u8]) -> ReadMessage {
    let mut parts_left = MAX_PARTS;
    let root = Entity::parse(raw, "text/plain").with_parts(0, &mut parts_left);
    let mut message = read_header(root.header);
    let (text, html) = (root.first_text("text/plain"), root.first_text("text/html"));
    message.text = text.map(Entity::text).unwrap_or_default();
    message.html = html.map(Entity::text).unwrap_or_default();
    ReadMessage { message, facts: facts(&root), structure: root.structure() }
}

/// Takes out the part that lies at `path`, which has the index of a part in its multipart at each level; the
/// whole body for an empty path. None when there is no such part.
pub fn part<'a>(raw: &'a [u8], path: &[usize]) -> Option<Part<'a>> {
    if path.len() > MAX_DEPTH {
        return None;
    }
    let mut entity = Entity::parse(raw, "text/plain");
    for &index in path {
        let default = entity.default_of_parts();
        let raw = entity.raw_parts().take(MAX_PARTS).nth(index)?;
        entity = Entity::parse(raw, default);
    }
    let charset =
        entity.parameter("charset").filter(|text| text.bytes().all(|b| b.is_ascii_graphic() && b != b'"'));
    let charset = charset.map(|charset| format!("; charset=\"{charset}\"")).unwrap_or_default();
    Some(Part { content_type: format!("{}{charset}", entity.content_type), bytes: entity.decoded() })
}

/// How many octets the header section has, its last line end included and the empty line behind it not.
pub fn headers_end(raw: &[u8]) -> usize {
    split(raw).0.len()
}

/// A message or MIME part, not decoded.
struct Entity<'a> {
    header: &'a [u8],
    body: &'a [u8],
    content_type: String,
    parameters: BTreeMap<String, String>,
    disposition: String,
    filename: String,
    parts: Vec<Entity<'a>>,
}

impl<'a> Entity<'a> {
    fn parse(raw: &'a [u8], default_type: &str) -> Entity<'a> {
        let (header, body) = split(raw);
        let header = &header[..header.len().min(MAX_HEADER)];
        let mut declared = parameterised(header, "Content-Type");
        if !is_media_type(&declared.value) {
            declared = Parameterised { value: default_type.to_owned(), parameters: BTreeMap::new() };
        }
        let disposition = parameterised(header, "Content-Disposition");
        let filename = disposition.parameters.get("filename").or_else(|| declared.parameters.get("name"));
        Entity {
            header,
            body,
            filename: filename.map(|name| decoded_words(name)).unwrap_or_default(),
            content_type: declared.value,
            parameters: declared.parameters,
            disposition: disposition.value,
            parts: Vec::new(),
        }
    }

    fn with_parts(mut self, depth: usize, parts_left: &mut usize) -> Entity<'a> {
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

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// RFC 2046, 5.1.5.
    fn default_of_parts(&self) -> &'static str {
        if self.content_type == "multipart/digest" { "message/rfc822" } else { "text/plain" }
    }

    /// The parts of a multipart, not decoded; none of anything else.
    fn raw_parts(&self) -> RawParts<'a> {
        match self.parameter("boundary") {
            Some(boundary) if self.content_type.starts_with("multipart/") && !boundary.is_empty() => {
                RawParts::of(self.body, boundary)
            }
            _ => RawParts::none(),
        }
    }

    fn first_text(&self, content_type: &str) -> Option<&Entity<'a>> {
        if self.disposition == "attachment" {
            return None;
        }
        if self.content_type == content_type {
            return Some(self);
        }
        self.parts.iter().find_map(|part| part.first_text(content_type))
    }

    fn decoded(&self) -> Cow<'a, [u8]> {
        // RFC 2045, 6.4: a multipart has no encoding, whatever it says.
        if self.content_type.starts_with("multipart/") {
            return Cow::Borrowed(self.body);
        }
        let encoding = first(self.header, "Content-Transfer-Encoding").map(unfolded).unwrap_or_default();
        let decoded = match encoding.to_ascii_lowercase().as_slice() {
            b"base64" => decoded_base64(self.body),
            b"quoted-printable" => quoted_printable_decode(self.body),
            _ => None,
        };
        decoded.map_or(Cow::Borrowed(self.body), Cow::Owned)
    }

    fn text(&self) -> String {
        let octets = self.decoded();
        let decoder = match self.parameter("charset") {
            // Many call UTF-8 ASCII.
            None | Some("utf-8" | "UTF-8" | "us-ascii" | "US-ASCII") => None,
            Some(charset) => charset_decoder(charset.as_bytes()),
        };
        let text = match decoder {
            Some(decoder) => Cow::Owned(decoder(&octets)),
            None => String::from_utf8_lossy(&octets),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
        cut(text, MAX_TEXT)
    }

    fn structure(self) -> Structure {
        Structure {
            decoded_size: i64::try_from(self.decoded().len()).unwrap_or(i64::MAX),
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
struct RawParts<'a> {
    body: &'a [u8],
    delimiter: Vec<u8>,
    /// Where the next part begins; none when the closing delimiter has been read.
    next: Option<usize>,
}

impl<'a> RawParts<'a> {
    fn none() -> RawParts<'a> {
        RawParts { body: &[], delimiter: Vec::new(), next: None }
    }

    fn of(body: &'a [u8], boundary: &str) -> RawParts<'a> {
        let mut parts = RawParts { body, delimiter: format!("--{boundary}").into_bytes(), next: None };
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

impl<'a> Iterator for RawParts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.next.take()?;
        let Some(found) = self.delimiter_after(start) else {
            // Cut off on the way: what is there counts.
            return (start < self.body.len()).then(|| &self.body[start..]);
        };
        self.next = found.next;
        // The line end before a delimiter belongs to it.
        let part = &self.body[start..found.start];
        let part = part.strip_suffix(b"\n").unwrap_or(part);
        Some(part.strip_suffix(b"\r").unwrap_or(part))
    }
}

fn read_header(header: &[u8]) -> Message {
    Message {
        from: addresses(header, "From"),
        to: addresses(header, "To"),
        cc: addresses(header, "Cc"),
        bcc: addresses(header, "Bcc"),
        reply_to: addresses(header, "Reply-To"),
        message_id: ids(header, "Message-ID").into_iter().next().unwrap_or_default(),
        in_reply_to: ids(header, "In-Reply-To").into_iter().next().unwrap_or_default(),
        references: ids(header, "References"),
        date: line(header, "Date", MAX_FIELD).and_then(|line| date(&line)),
        subject: line(header, "Subject", MAX_FIELD).map(|line| words(&line)).unwrap_or_default(),
        text: String::new(),
        html: String::new(),
    }
}

fn facts(root: &Entity<'_>) -> Facts {
    const LISTS: [&str; 4] = ["List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Precedence"];
    let report = root.content_type == "multipart/report";
    let status = root.parts.get(1).map(|part| part.content_type.as_str());
    let speaks_of_robots = |field: Field<'_>| {
        LISTS.iter().any(|name| field.is(name)) || (field.is("Auto-Submitted") && !is_no(field.value))
    };
    Facts {
        automated: report || fields(root.header).any(speaks_of_robots),
        dsn: report && matches!(status, Some("message/delivery-status" | "message/global-delivery-status")),
    }
}

/// RFC 3834, 5: a keyword, perhaps with parameters and comments.
fn is_no(value: &[u8]) -> bool {
    let value = unfolded(value);
    let keyword = value.split(|b| matches!(b, b';' | b'(' | b' ' | b'\t')).next().unwrap_or_default();
    keyword.eq_ignore_ascii_case(b"no")
}

fn first<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(header).find(|field| field.is(name)).map(|field| field.value)
}

/// The value on one line with a line end, as mail-parser wants it.
fn line(header: &[u8], name: &str, max: usize) -> Option<Vec<u8>> {
    let value = first(header, name)?;
    let mut line = unfolded(&value[..value.len().min(max)]);
    line.push(b'\n');
    Some(line)
}

fn addresses(header: &[u8], name: &str) -> Vec<NameAddressText> {
    let Some(line) = line(header, name, MAX_FIELD) else { return Vec::new() };
    let HeaderValue::Address(addresses) = MessageStream::new(&line).parse_address() else {
        return Vec::new();
    };
    let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().trim().to_owned();
    let one = |addr: &Addr<'_>| NameAddressText { name: text(&addr.name), address: text(&addr.address) };
    addresses.iter().map(one).filter(|addr| *addr != NameAddressText::default()).collect()
}

/// Message identifiers with their angle brackets. A value without any is taken as one, as some programs
/// forget them.
fn ids(header: &[u8], name: &str) -> Vec<String> {
    let Some(value) = first(header, name) else { return Vec::new() };
    let line = unfolded(&value[..value.len().min(MAX_FIELD)]);
    let text = String::from_utf8_lossy(&line);
    let mut ids = Vec::new();
    let mut rest = &*text;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((id, after)) = after.split_once('>') else { break };
        let id: String = id.chars().filter(|c| !c.is_whitespace()).collect();
        ids.push(format!("<{id}>"));
        rest = after;
    }
    if ids.is_empty() && !text.contains(char::is_whitespace) && !text.is_empty() {
        ids.push(format!("<{}>", text.trim_matches(['<', '>'])));
    }
    ids
}

fn date(line: &[u8]) -> Option<Timestamp> {
    let HeaderValue::DateTime(date) = MessageStream::new(line).parse_date() else { return None };
    // A leap second is allowed (RFC 5322, 3.3), and is the next second.
    let mut regular = date;
    regular.second = date.second.min(59);
    let seconds = regular.to_timestamp() + i64::from(date.second == 60);
    (regular.is_valid() && date.second <= 60).then(|| Timestamp::from_millis(seconds * 1000))
}

/// Unstructured text on a line, encoded words decoded.
fn words(line: &[u8]) -> String {
    match MessageStream::new(line).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        _ => String::new(),
    }
}

/// Many write encoded words in parameters, though RFC 2047, 5 (3) has none there.
fn decoded_words(text: &str) -> String {
    if text.starts_with("=?") && text.ends_with("?=") {
        words(format!("{text}\n").as_bytes())
    } else {
        text.to_owned()
    }
}

/// A header such as Content-Type: its value in lower case, and parameters with names in lower case.
#[derive(Default)]
struct Parameterised {
    value: String,
    parameters: BTreeMap<String, String>,
}

fn parameterised(header: &[u8], name: &str) -> Parameterised {
    let Some(line) = line(header, name, MAX_MIME_FIELD) else { return Parameterised::default() };
    let HeaderValue::ContentType(parsed) = MessageStream::new(&line).parse_content_type() else {
        return Parameterised::default();
    };
    let mut value = parsed.c_type.to_ascii_lowercase();
    if let Some(subtype) = &parsed.c_subtype {
        value.push('/');
        value.push_str(&subtype.to_ascii_lowercase());
    }
    let mut parameters = BTreeMap::new();
    for attribute in parsed.attributes.unwrap_or_default() {
        parameters.entry(attribute.name.to_ascii_lowercase()).or_insert_with(|| attribute.value.into_owned());
    }
    Parameterised { value, parameters }
}

fn is_media_type(text: &str) -> bool {
    let is_token = |token: &str| {
        !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
    };
    text.len() <= 255
        && text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// Characters that are not of base64 are passed over (RFC 2045, 6.8).
fn decoded_base64(body: &[u8]) -> Option<Vec<u8>> {
    base64_decode(body).or_else(|| {
        let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        base64_decode(&body.iter().copied().filter(is_base64).collect::<Vec<_>>())
    })
}

fn cut(mut text: String, max: usize) -> String {
    text.truncate(text.floor_char_boundary(max));
    text
}

fn as_rfc3339<S: serde::Serializer>(date: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => serializer.collect_str(date),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
