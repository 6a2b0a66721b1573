//! A message as a client submits it (RFC 6409): what its header says, and what that becomes.

mod ascii;
mod extra;
#[cfg(test)]
mod tests;

use crate::{
    Address, MessageId, Timestamp,
    fields::{Field, split, whole_fields},
    mailbox::one_mailbox,
    read::{ids, is_no, text},
};
use bytes::Bytes;
use extra::{Extra, extra_key};
use memchr::memchr;
use std::collections::BTreeMap;

/// The most octets of keys and values of Extra together: every recipient's message and every webhook has them.
pub const MAX_EXTRA: usize = 32 * 1024;

/// The most keys of Extra.
pub const MAX_EXTRA_KEYS: usize = 1_000;

/// The most octets of a header section that is read; larger ones are no mail.
const MAX_HEADER: usize = 1024 * 1024;

/// Never in what recipients get: hidden recipients, and what only the last host on the way writes (RFC 5321, 4.4).
const LEFT_OUT: [&str; 3] = ["Bcc", "Resent-Bcc", "Return-Path"];

/// A submitted message, looked through. What is left out of it is gone from `header`.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The header section as it goes out, in whole lines, without the empty line behind it.
    pub header: Vec<u8>,
    /// All behind the header section, from the empty line on.
    pub rest: Bytes,
    /// The only address in From.
    pub from: Address,
    /// The only address in Sender, if there is such a field.
    pub sender: Option<Address>,
    /// Its own Message-ID. A field that has none is left out.
    pub message_id: Option<MessageId>,
    /// Whether it says when it was written.
    pub has_date: bool,
    /// The subject, decoded; empty when there is none.
    pub subject: String,
    /// What the application attached in fields of their own, which are left out: at most [`MAX_EXTRA`] octets with at
    /// most [`MAX_EXTRA_KEYS`] keys.
    pub extra: BTreeMap<String, String>,
    /// `TLS-Required: No` (RFC 8689, 5): it matters more that the message arrives than how.
    pub tls_not_required: bool,
    /// How many hosts it came through.
    pub received: usize,
}

/// What is wrong with a submitted message. Its text is for the user who sends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmittedError {
    /// Nobody wrote it.
    #[error(
        "the message has no From field before its first empty line; add one with the address of its author"
    )]
    NoFrom,
    /// A field that may be there once.
    #[error("the message has more than one {0} field; send it with one")]
    Repeated(&'static str),
    /// A field that must name one mailbox.
    #[error("{0} must be one address, such as Name <user@example.org>")]
    NotOne(&'static str),
    /// A line among the fields that is none, with its start. What follows it would be body, fields that nobody is to
    /// see among it.
    #[error(
        "the header of the message has a line that is no field, \"{0}\": write it as a name, a colon and a value, begin it \
         with a space if it goes on with the line before, or put an empty line before the text of the message"
    )]
    Broken(String),
    /// More header than any message needs.
    #[error("the header section of the message has more than {MAX_HEADER} octets; shorten it")]
    LongHeader,
    /// A field for Extra without a key.
    #[error("a header field for Extra has no key behind its prefix; name it as X-Postrider-Extra-Key")]
    NoKey,
    /// Two fields for the same key.
    #[error("the message has Extra {0} more than once; send each key once")]
    RepeatedKey(String),
    /// More Extra than a message may have.
    #[error("the header fields for Extra have more than {MAX_EXTRA} octets; shorten them")]
    LongExtra,
    /// More keys of Extra than a message may have.
    #[error("the message has more than {MAX_EXTRA_KEYS} header fields for Extra; send fewer")]
    ManyExtra,
}

/// Reads a message with CRLF lines.
///
/// Its header section ends at the first empty line, or before the first line from which on there are no fields: an empty
/// line is put between. Lines in front of it that a mailbox file has there (`From rider Mon Nov 23 ...`), and white
/// space before a colon (RFC 5322, 4.5), are taken out.
///
/// # Errors
/// When it has not one author, too long or broken a header, or its Extra is not what it should be.
pub fn read(raw: &Bytes) -> Result<Submitted, SubmittedError> {
    let mut header = Header::default();
    let mut end = 0;
    let mut lines_and_fields = whole_fields(split(raw).0);
    while let Some((lines, field)) = lines_and_fields.next() {
        let Some(field) = field else {
            if header.fields == 0 && is_of_mailbox_file(lines) {
                end += lines.len();
                continue;
            }
            if lines_and_fields.any(|(_, field)| field.is_some()) {
                return Err(SubmittedError::Broken(start_of(lines)));
            }
            break;
        };
        header.fields += 1;
        end += lines.len();
        if end > MAX_HEADER {
            return Err(SubmittedError::LongHeader);
        }
        header.take(lines, field)?;
    }
    Ok(Submitted {
        rest: rest(raw, end),
        from: header.from.ok_or(SubmittedError::NoFrom)?,
        sender: header.sender,
        header: header.kept,
        message_id: header.message_id,
        has_date: header.has_date,
        subject: header.subject.unwrap_or_default(),
        extra: header.extra.into_values(),
        tls_not_required: header.tls_not_required,
        received: header.received,
    })
}

/// A line that programs put before a message in a file of them, and send with it.
fn is_of_mailbox_file(line: &[u8]) -> bool {
    line.strip_prefix(b">").unwrap_or(line).starts_with(b"From ")
}

/// Enough of a line to find it by.
fn start_of(line: &[u8]) -> String {
    const MAX: usize = 60;
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    line.iter().take(MAX).copied().flat_map(std::ascii::escape_default).map(char::from).collect()
}

/// From the empty line on. Where that is missing, the end of the line before stands for it.
fn rest(raw: &Bytes, header_end: usize) -> Bytes {
    if raw[header_end..].starts_with(b"\r\n") {
        return raw.slice(header_end..);
    }
    if raw[..header_end].ends_with(b"\r\n") {
        return raw.slice(header_end - 2..);
    }
    // Lines of other ends, which no session lets through.
    let behind = &raw[header_end..];
    [b"\r\n", behind.strip_prefix(b"\n").unwrap_or(behind)].concat().into()
}

impl Submitted {
    /// Adds the fields that a message must have and this one has not: the time `now`, and a Message-ID that `random`
    /// makes unique. Returns the Message-ID.
    pub fn complete(&mut self, now: Timestamp, random: [u8; 12]) -> MessageId {
        if !self.has_date {
            self.add(&format!("Date: {}\r\n", now.to_rfc5322()));
            self.has_date = true;
        }
        if let Some(id) = &self.message_id {
            return id.clone();
        }
        let id = MessageId::new(now, random, self.from.domain());
        self.add(&format!("Message-ID: {id}\r\n"));
        self.message_id = Some(id.clone());
        id
    }

    fn add(&mut self, field: &str) {
        self.header.extend_from_slice(field.as_bytes());
    }

    /// For a client that did not say that it sends UTF-8 in headers (RFC 6531, 3.4), though many do all the same: writes
    /// what the header says in ASCII, so that every host takes it. Octets that are no UTF-8 are read as windows-1252, as
    /// in a message that arrives. A header with an address that needs SMTPUTF8 stays as it is, and so does one that cannot
    /// be encoded without a loss, such as a Message-ID with such octets.
    pub fn encode_header(&mut self) {
        if !self.header.is_ascii()
            && let Some(header) = ascii::in_ascii(&self.header)
        {
            self.header = header;
        }
    }

    /// Whether octets above 127 are in it, so that only a server with 8BITMIME takes it as it is.
    pub fn eight_bit(&self) -> bool {
        !self.header.is_ascii() || !self.rest.is_ascii()
    }

    /// Whether the header has UTF-8, so that only a server with SMTPUTF8 takes it (RFC 6532). Other octets above 127 in
    /// it are nowhere allowed, and go as people who send them expect: unseen.
    pub fn smtputf8(&self) -> bool {
        !self.header.is_ascii() && std::str::from_utf8(&self.header).is_ok()
    }
}

#[derive(Default)]
struct Header {
    /// How many came, kept or not.
    fields: usize,
    kept: Vec<u8>,
    from: Option<Address>,
    sender: Option<Address>,
    message_id: Option<MessageId>,
    has_date: bool,
    subject: Option<String>,
    extra: Extra,
    tls_not_required: bool,
    received: usize,
}

impl Header {
    fn take(&mut self, lines: &[u8], field: Field<'_>) -> Result<(), SubmittedError> {
        if LEFT_OUT.iter().any(|name| field.is(name)) {
            return Ok(());
        }
        if let Some(key) = extra_key(field.name) {
            return self.extra.insert(key, text(field.value));
        }
        if field.is("From") {
            only(&mut self.from, "From", field.value)?;
        } else if field.is("Sender") {
            only(&mut self.sender, "Sender", field.value)?;
        } else if field.is("Date") {
            if field.value.trim_ascii().is_empty() {
                return Ok(());
            }
            self.has_date = true;
        } else if field.is("Message-ID") {
            // RFC 6409, 8.3: one that is none is replaced.
            let Some(id) = message_id(lines) else { return Ok(()) };
            self.message_id.get_or_insert(id);
        } else if field.is("Subject") {
            self.subject.get_or_insert_with(|| text(field.value));
        } else if field.is("TLS-Required") {
            self.tls_not_required |= is_no(field.value);
        } else if field.is("Received") {
            self.received += 1;
        }
        self.keep(lines, field);
        Ok(())
    }

    fn keep(&mut self, lines: &[u8], field: Field<'_>) {
        let behind_name = memchr(b':', lines).unwrap_or_default();
        self.kept.extend_from_slice(field.name);
        let value = &lines[behind_name..];
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        self.kept.extend_from_slice(value.strip_suffix(b"\r").unwrap_or(value));
        self.kept.extend_from_slice(b"\r\n");
    }
}

fn only(slot: &mut Option<Address>, name: &'static str, value: &[u8]) -> Result<(), SubmittedError> {
    let address = one_mailbox(value).map_err(|_| SubmittedError::NotOne(name))?;
    match slot.replace(address) {
        None => Ok(()),
        Some(_) => Err(SubmittedError::Repeated(name)),
    }
}

fn message_id(field: &[u8]) -> Option<MessageId> {
    MessageId::parse(ids(field, "Message-ID").first()?).ok()
}
