//! Reports about messages that are late, failed or relayed (RFC 3464), as they are put in the sender's mailbox.

mod status;
mod text;

use crate::{
    Address, Domain, EnhancedCode, MessageId, NameAddress, Timestamp,
    compose::header::{write_addresses, write_text},
};
use mail_builder::{
    headers::{Header, content_type::ContentType, message_id::MessageId as MessageIds, raw::Raw},
    mime::MimePart,
};

/// A report about one message, for recipients of whom the same is told.
#[derive(Clone, Debug)]
pub struct DsnReport<'a> {
    /// Of the report.
    pub message_id: &'a MessageId,
    /// Whom it is from, a mailbox of the reporting server.
    pub from: &'a Address,
    /// The return path of the message.
    pub to: &'a Address,
    /// When it is made.
    pub date: Timestamp,
    /// The server that reports.
    pub reporting_mta: &'a Domain,
    /// When that server took the message.
    pub arrival: Timestamp,
    /// The sender's name for the envelope (RFC 3461, 4.4), decoded.
    pub envid: Option<&'a str>,
    /// The Subject of the message, decoded.
    pub subject: &'a str,
    /// Its Message-ID, with angle brackets.
    pub original_id: &'a str,
    /// What became of it.
    pub action: DsnAction,
    /// Of whom it tells; at least one.
    pub recipients: Vec<DsnRecipient<'a>>,
    /// What is returned of the message.
    pub returned: Returned<'a>,
}

/// What became of a message (RFC 3464, 2.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DsnAction {
    /// It is given up.
    Failed,
    /// It is tried again.
    Delayed {
        /// About when next.
        next_attempt: Timestamp,
        /// About when after that, should it fail; after the last one it is given up.
        later_attempts: Vec<Timestamp>,
    },
    /// It went to a host that tells nothing of what becomes of it (RFC 3461, 5.2.2).
    Relayed,
}

impl DsnAction {
    /// The class of the status that goes with it (RFC 3463, 2).
    pub fn class(&self) -> u8 {
        match self {
            DsnAction::Failed => 5,
            DsnAction::Delayed { .. } => 4,
            DsnAction::Relayed => 2,
        }
    }
}

/// One recipient of a report.
#[derive(Clone, Debug)]
pub struct DsnRecipient<'a> {
    /// The recipient as the sender of the message wrote it: the type of address, a semicolon and the address
    /// (RFC 3461, 4.2), decoded.
    pub original: Option<&'a str>,
    /// The recipient that was tried.
    pub address: &'a Address,
    /// The code that fits best.
    pub status: EnhancedCode,
    /// The host that was spoken to.
    pub remote_mta: Option<&'a str>,
    /// What was heard of it last.
    pub reason: DsnReason<'a>,
    /// How often it was tried.
    pub attempts: usize,
    /// When it was tried last.
    pub last_attempt: Option<Timestamp>,
}

/// What was heard of a message last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnReason<'a> {
    /// What the host answered.
    Answer {
        /// The reply code.
        code: u16,
        /// The enhanced code in it.
        enhanced: Option<EnhancedCode>,
        /// The text behind the codes.
        text: &'a str,
    },
    /// There was no answer; what happened instead.
    Error(&'a str),
    /// Whoever runs the server gave it up.
    Operator,
}

/// What a report returns of the message (RFC 3461, 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned<'a> {
    /// Nothing, as it is not to be had.
    Nothing,
    /// Its header section, or the start of it; at most 64 KiB are returned.
    Header(&'a [u8]),
    /// All of it.
    Message(&'a [u8]),
}

/// Octets of a header section that are returned.
const MAX_HEADER: usize = 64 * 1024;

impl DsnReport<'_> {
    /// The report as a message with CRLF lines: `multipart/report` (RFC 3462) with a text for people, the status for
    /// programs, and what is returned. Where an address is not ASCII it is UTF-8 throughout (RFC 6533).
    ///
    /// Texts from elsewhere are shown on one line, without control characters, and cut where they are long.
    pub fn compose(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4_096 + self.returned.octets().len());
        self.write_header(&mut out);
        let mut parts = vec![MimePart::new("text/plain", text::for_people(self))];
        let status = status::for_programs(self);
        let eight_bit = !status.is_ascii() || !self.returned.octets().is_ascii();
        parts.push(untouched(if status.is_ascii() { STATUS } else { GLOBAL_STATUS }, status));
        parts.extend(self.returned.content_type().map(|kind| untouched(kind, self.returned.octets().into())));
        let kind = ContentType::new("multipart/report").attribute("report-type", "delivery-status");
        let mut report = MimePart::new(kind, parts);
        if eight_bit {
            report = report.transfer_encoding("8bit");
        }
        report.write_part(&mut out);
        out
    }

    fn write_header(&self, out: &mut Vec<u8>) {
        let utf8 = self.to.needs_smtputf8();
        let mailbox = |name, address: &Address| {
            [NameAddress::new(name, address.clone()).expect("a fixed name is a proper one")]
        };
        // Final delivery (RFC 5321, 4.4); reports have no return path (RFC 3461, 6.1).
        out.extend_from_slice(b"Return-Path: <>\r\n");
        write_addresses(out, "From", &mailbox("Mail Delivery System", self.from), utf8);
        write_addresses(out, "To", &mailbox("", self.to), utf8);
        write_text(out, "Subject", &text::subject(self), utf8);
        write_text(out, "Date", &self.date.to_rfc5322(), utf8);
        write_id(out, "Message-ID", self.message_id);
        if let Ok(original) = MessageId::parse(self.original_id) {
            write_id(out, "In-Reply-To", &original);
            write_id(out, "References", &original);
        }
        out.extend_from_slice(b"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
    }
}

/// RFC 6533, 6.1 and 6.2: these are for what is not ASCII.
const STATUS: &str = "message/delivery-status";
const GLOBAL_STATUS: &str = "message/global-delivery-status";

impl<'a> Returned<'a> {
    fn octets(self) -> &'a [u8] {
        match self {
            Returned::Nothing => &[],
            Returned::Header(header) => whole_lines(header),
            Returned::Message(message) => message,
        }
    }

    /// None for nothing.
    fn content_type(self) -> Option<&'static str> {
        let header = match self {
            Returned::Nothing => return None,
            Returned::Header(header) => header,
            Returned::Message(message) => crate::fields::split(message).0,
        };
        Some(match (self, header.is_ascii()) {
            (Returned::Message(_), true) => "message/rfc822",
            (Returned::Message(_), false) => "message/global",
            (_, true) => "text/rfc822-headers",
            (_, false) => "message/global-headers",
        })
    }
}

/// As many whole lines as fit.
fn whole_lines(header: &[u8]) -> &[u8] {
    if header.len() <= MAX_HEADER {
        return header;
    }
    let end = memchr::memrchr(b'\n', &header[..MAX_HEADER]).map_or(0, |at| at + 1);
    &header[..end]
}

/// A part whose octets stand as they are.
fn untouched(content_type: &'static str, octets: Vec<u8>) -> MimePart<'static> {
    let encoding = if octets.is_ascii() { "7bit" } else { "8bit" };
    MimePart::new(content_type, octets).transfer_encoding(encoding)
}

fn write_id(out: &mut Vec<u8>, name: &str, id: &MessageId) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    MessageIds::new(id.inner()).write_header(out, name.len() + 2);
}

/// Appends a field, folded.
fn write_folded(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    Raw::new(value).write_header(out, name.len() + 2);
}

/// The text on one line of at most 500 octets, without control characters.
fn one_line(text: &str) -> String {
    const MAX: usize = 500;
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut line = words.collect::<Vec<_>>().join(" ");
    line.truncate(line.floor_char_boundary(MAX));
    line
}

#[cfg(test)]
mod tests;
