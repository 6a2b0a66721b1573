//! What a message says, whatever state it is in. The only module that uses mail-parser.
//!
//! The MIME tree is walked here, with bounds, as mail-parser follows nested messages without end. It is asked for
//! addresses and dates, and to undo transfer encodings and charsets.

mod charset;
pub(crate) mod entity;
pub(crate) mod parameters;
mod transfer;
mod words;

use crate::{
    Address, Timestamp,
    feedback::{self, Feedback},
    fields::{Field, fields, split, unfolded},
};
pub(crate) use charset::guessed;
use entity::Entity;
use mail_parser::{Addr, HeaderValue, parsers::MessageStream};
use serde::Serialize;
use std::{borrow::Cow, collections::BTreeMap};
use words::{for_addresses, unstructured};

/// Each text of a message is cut at this many octets.
pub const MAX_TEXT: usize = 1024 * 1024;
/// Parts that stand deeper are left out.
const MAX_DEPTH: usize = 20;
/// Further parts are left out.
const MAX_PARTS: usize = 1_000;
/// What is looked at of a field.
pub(crate) const MAX_FIELD: usize = 256 * 1024;

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
    of_entity(entity(raw))
}

/// Reads a message, and what it says about one that was sent: [`read`] and [`feedback::read`] in one go.
pub fn read_with_feedback(raw: &[u8]) -> (ReadMessage, Option<Feedback>) {
    let root = entity(raw);
    let feedback = feedback::of_entity(&root);
    (of_entity(root), feedback)
}

pub(crate) fn entity(raw: &[u8]) -> Entity<'_> {
    let mut parts_left = MAX_PARTS;
    Entity::parse(raw, "text/plain").with_parts(0, &mut parts_left)
}

fn of_entity(root: Entity<'_>) -> ReadMessage {
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
    let charset = entity.parameter("charset");
    let charset = charset.filter(|text| text.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b)));
    let charset = charset.map(|charset| format!("; charset=\"{charset}\"")).unwrap_or_default();
    Some(Part { content_type: format!("{}{charset}", entity.content_type), bytes: entity.decoded() })
}

/// The first address in From: whose domain signs the message.
pub fn author(raw: &[u8]) -> Option<Address> {
    let header = split(raw).0;
    addresses(header, "From").into_iter().find_map(|from| Address::parse(&from.address).ok())
}

/// How many octets the header section has, its last line end included and the empty line behind it not.
pub fn headers_end(raw: &[u8]) -> usize {
    split(raw).0.len()
}

pub(crate) fn read_header(header: &[u8]) -> Message {
    Message {
        from: addresses(header, "From"),
        to: addresses(header, "To"),
        cc: addresses(header, "Cc"),
        bcc: addresses(header, "Bcc"),
        reply_to: addresses(header, "Reply-To"),
        message_id: ids(header, "Message-ID").into_iter().next().unwrap_or_default(),
        in_reply_to: ids(header, "In-Reply-To").into_iter().next().unwrap_or_default(),
        references: ids(header, "References"),
        date: line(header, "Date").and_then(date),
        subject: line(header, "Subject").map(|line| unstructured(&line)).unwrap_or_default(),
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
pub(crate) fn is_no(value: &[u8]) -> bool {
    let value = unfolded(value);
    let keyword = value.split(|b| matches!(b, b';' | b'(' | b' ' | b'\t')).next().unwrap_or_default();
    keyword.eq_ignore_ascii_case(b"no")
}

pub(crate) fn first<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(header).find(|field| field.is(name)).map(|field| field.value)
}

/// The value of a field on one line.
fn line(header: &[u8], name: &str) -> Option<Vec<u8>> {
    first(header, name).map(start_unfolded)
}

pub(crate) fn start_unfolded(value: &[u8]) -> Vec<u8> {
    unfolded(&value[..value.len().min(MAX_FIELD)])
}

/// The value of an unstructured field as text.
pub(crate) fn text(value: &[u8]) -> String {
    unstructured(&start_unfolded(value))
}

fn addresses(header: &[u8], name: &str) -> Vec<NameAddressText> {
    first(header, name).map(addresses_in).unwrap_or_default()
}

/// The addresses in the value of a field.
pub(crate) fn addresses_in(value: &[u8]) -> Vec<NameAddressText> {
    groups(value).into_iter().flat_map(|group| group.mailboxes).collect()
}

/// Mailboxes under a name (RFC 5322, 3.4), or without one.
pub(crate) struct Group {
    pub(crate) name: Option<String>,
    pub(crate) mailboxes: Vec<NameAddressText>,
}

/// The mailboxes in the value of a field.
pub(crate) fn groups(value: &[u8]) -> Vec<Group> {
    let line = for_addresses(&start_unfolded(value));
    let HeaderValue::Address(addresses) = MessageStream::new(&line).parse_address() else {
        return Vec::new();
    };
    let mailboxes = |list: &[Addr<'_>]| {
        list.iter().map(name_address).filter(|addr| *addr != NameAddressText::default()).collect()
    };
    match &addresses {
        mail_parser::Address::List(list) => vec![Group { name: None, mailboxes: mailboxes(list) }],
        mail_parser::Address::Group(groups) => groups
            .iter()
            .map(|group| Group {
                name: group.name.as_deref().map(str::to_owned),
                mailboxes: mailboxes(&group.addresses),
            })
            .collect(),
    }
}

fn name_address(addr: &Addr<'_>) -> NameAddressText {
    let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().trim().to_owned();
    let (name, address) = (text(&addr.name), text(&addr.address));
    if address.starts_with('@') && !name.is_empty() {
        // mail-parser takes a quoted localpart without angle brackets for a name.
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        return NameAddressText { name: String::new(), address: format!("\"{quoted}\"{address}") };
    }
    NameAddressText { name, address }
}

/// Message identifiers with their angle brackets. A value without any is taken as one, as some programs
/// forget them.
pub(crate) fn ids(header: &[u8], name: &str) -> Vec<String> {
    let Some(line) = line(header, name) else { return Vec::new() };
    let text = guessed(&line);
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

fn date(mut line: Vec<u8>) -> Option<Timestamp> {
    // mail-parser wants the end of a line.
    line.push(b'\n');
    let HeaderValue::DateTime(date) = MessageStream::new(&line).parse_date() else { return None };
    // A leap second is allowed (RFC 5322, 3.3), and is the next second.
    let mut regular = date;
    regular.second = date.second.min(59);
    let seconds = regular.to_timestamp() + i64::from(date.second == 60);
    (regular.is_valid() && date.second <= 60).then(|| Timestamp::from_millis(seconds * 1000))
}

fn as_rfc3339<S: serde::Serializer>(date: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match date {
        Some(date) => serializer.collect_str(date),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
