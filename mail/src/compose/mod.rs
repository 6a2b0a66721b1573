//! From a [`Draft`] to the octets of a message (RFC 5322, RFC 2045).

pub(crate) mod body;
pub(crate) mod header;
mod scan;

use crate::draft::{Draft, DraftError, File, MAX_REFERENCES, MessageId, NameAddress};
use body::{Transfer, crlf_lines};
use bytes::Bytes;
use header::{write_addresses, write_text};
use mail_builder::headers::{Header, date::Date, message_id::MessageId as MessageIds};
use std::io;

/// A composed message: CRLF lines of at most 998 octets, ready for SMTP.
#[derive(Clone)]
pub struct Composed {
    /// Behind [`ROOM`] unused octets.
    octets: Vec<u8>,
    /// Whether octets above 127 are in it, so that only a server with 8BITMIME takes it as it is.
    pub eight_bit: bool,
    /// Whether the header has UTF-8, so that only a server with SMTPUTF8 takes it.
    pub smtputf8: bool,
}

impl std::fmt::Debug for Composed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Composed")
            .field("octets", &self.content().len())
            .field("eight_bit", &self.eight_bit)
            .field("smtputf8", &self.smtputf8)
            .finish()
    }
}

/// Kept free in front of a message, so that what is put there later needs no second copy of the whole: a trace and
/// two signatures.
const ROOM: usize = 2_048;

impl Composed {
    /// Header, empty line, body.
    pub fn content(&self) -> &[u8] {
        &self.octets[ROOM..]
    }

    /// The message with `fields` in front of it.
    pub fn behind(self, fields: &[u8]) -> Bytes {
        let mut octets = self.octets;
        match ROOM.checked_sub(fields.len()) {
            Some(start) => {
                octets[start..ROOM].copy_from_slice(fields);
                Bytes::from(octets).slice(start..)
            }
            None => [fields, &octets[ROOM..]].concat().into(),
        }
    }
}

impl Draft {
    /// Composes the message. Bcc is left out.
    ///
    /// # Errors
    /// When there is neither text nor HTML, there are more references than a header can bear, or a file cannot be read.
    pub fn compose(&self) -> Result<Composed, DraftError> {
        if self.references.len() > MAX_REFERENCES {
            return Err(DraftError::References);
        }
        let root = self.parts().ok_or(DraftError::MissingBody)?;
        let smtputf8 = self.needs_smtputf8();
        let mut out = Vec::with_capacity(ROOM + self.estimated_size());
        out.resize(ROOM, 0);
        self.write_header(&mut out, smtputf8);
        let eight_bit = root.write(&mut out)?;
        Ok(Composed { octets: out, eight_bit: eight_bit || smtputf8, smtputf8 })
    }

    fn needs_smtputf8(&self) -> bool {
        let lists = [&self.to, &self.cc, &self.reply_to];
        let all = lists.into_iter().flatten().chain([&self.from]);
        all.into_iter().any(|mailbox| mailbox.address().needs_smtputf8())
    }

    /// The message has no less octets than this, which is known before it is composed.
    pub fn min_size(&self) -> usize {
        let texts = [&self.text, &self.html].into_iter().flatten().map(String::len);
        let files = self.files().map(Transfer::min_size);
        texts.sum::<usize>() + files.sum::<usize>()
    }

    fn files(&self) -> impl Iterator<Item = &File> {
        [&self.alternative_files, &self.inline_files, &self.attached_files].into_iter().flatten()
    }

    fn estimated_size(&self) -> usize {
        let texts = [&self.text, &self.html].into_iter().flatten().map(|text| text.len() + text.len() / 8);
        let files = self.files().map(|file| file.data.size() / 57 * 78 + 600);
        let mailboxes = 1 + self.to.len() + self.cc.len() + self.reply_to.len();
        2_048 + texts.sum::<usize>() + files.sum::<usize>() + mailboxes * 100
    }

    fn write_header(&self, out: &mut Vec<u8>, utf8: bool) {
        write_addresses(out, "From", std::slice::from_ref(&self.from), utf8);
        write_addresses(out, "To", &self.to, utf8);
        write_addresses(out, "Cc", &self.cc, utf8);
        write_addresses(out, "Reply-To", &self.reply_to, utf8);
        if !self.subject.as_str().is_empty() {
            write_text(out, "Subject", self.subject.as_str(), utf8);
        }
        out.extend_from_slice(b"Date: ");
        Date::new(self.date.as_secs()).write_header(out, 6);
        write_ids(out, "Message-ID", std::slice::from_ref(&self.message_id));
        if let Some(last) = self.references.last() {
            write_ids(out, "In-Reply-To", std::slice::from_ref(last));
            write_ids(out, "References", &self.references);
        }
        if !self.headers.iter().any(|(name, _)| name.is("User-Agent") || name.is("X-Mailer")) {
            write_text(out, "User-Agent", self.user_agent.as_str(), utf8);
        }
        for (name, value) in &self.headers {
            write_text(out, name.as_str(), value.as_str(), utf8);
        }
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }

    fn parts(&self) -> Option<Part<'_>> {
        let text = self.text.as_deref().map(|text| Part::Text("text/plain", text));
        let html = self.html.as_deref().map(|html| Part::Text("text/html", html));
        let mut full: Vec<_> = text.into_iter().chain(html).collect();
        if full.is_empty() {
            return None;
        }
        full.extend(self.alternative_files.iter().map(|file| Part::File(file, "inline")));
        let mut root =
            if full.len() == 1 { full.pop()? } else { Part::Multipart("multipart/alternative", full) };
        if !self.inline_files.is_empty() {
            root = root.with("multipart/related", &self.inline_files, "inline");
        }
        if !self.attached_files.is_empty() {
            root = root.with("multipart/mixed", &self.attached_files, "attachment");
        }
        Some(root)
    }
}

/// The `Bcc` header with its line end, to put in front of the sender's own copy; nothing when there are none.
pub fn bcc_header(bcc: &[NameAddress]) -> Vec<u8> {
    let mut out = Vec::new();
    write_addresses(&mut out, "Bcc", bcc, bcc.iter().any(|mailbox| mailbox.address().needs_smtputf8()));
    out
}

fn write_ids(out: &mut Vec<u8>, name: &str, ids: &[MessageId]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    MessageIds::new_list(ids.iter().map(MessageId::inner)).write_header(out, name.len() + 2);
}

/// The structure of the body. At most three multiparts stand in each other.
enum Part<'a> {
    Text(&'static str, &'a str),
    File(&'a File, &'static str),
    Multipart(&'static str, Vec<Part<'a>>),
}

impl<'a> Part<'a> {
    fn with(self, essence: &'static str, files: &'a [File], disposition: &'static str) -> Part<'a> {
        let files = files.iter().map(|file| Part::File(file, disposition));
        Part::Multipart(essence, std::iter::once(self).chain(files).collect())
    }

    fn essence(&self) -> &'static str {
        match self {
            Part::Text(essence, _) | Part::Multipart(essence, _) => essence,
            Part::File(..) => crate::ContentType::OCTET_STREAM_ESSENCE,
        }
    }

    /// Writes header and body of the part; true when octets above 127 are in it.
    fn write(&self, out: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Part::Text(essence, text) => {
                header::write_content_type(out, essence, &[("charset", "utf-8")]);
                let text = crlf_lines(text);
                let transfer = Transfer::of_text(&text);
                transfer.write(text.as_bytes(), out);
                Ok(false)
            }
            Part::File(file, disposition) => {
                let transfer = Transfer::of_file(file)?;
                header::write_file_header(out, file, disposition, transfer)?;
                transfer.write_file(&file.data, out)?;
                Ok(transfer == Transfer::EightBit)
            }
            Part::Multipart(essence, children) => {
                let boundary = boundary();
                // RFC 2387, 3.1: related parts name the type of their root.
                let root = (*essence == "multipart/related").then(|| ("type", children[0].essence()));
                let parameters: Vec<_> = root.into_iter().chain([("boundary", &*boundary)]).collect();
                header::write_content_type(out, essence, &parameters);
                let mut eight_bit = false;
                for child in children {
                    out.extend_from_slice(b"\r\n--");
                    out.extend_from_slice(boundary.as_bytes());
                    out.extend_from_slice(b"\r\n");
                    eight_bit |= child.write(out)?;
                }
                out.extend_from_slice(b"\r\n--");
                out.extend_from_slice(boundary.as_bytes());
                out.extend_from_slice(b"--\r\n");
                Ok(eight_bit)
            }
        }
    }
}

/// No text that was written before can hold it, as 128 random bits are in it; `=_` cannot stand in
/// quoted-printable or base64 (RFC 2045, 6.7).
fn boundary() -> String {
    format!("=_{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests;
