//! Headers of a composed message.

use super::{body::Transfer, scan::Utf8};
use crate::{
    Octets,
    draft::{File, NameAddress},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use mail_builder::headers::{
    Header, address::EmailAddress, content_type::ContentType as Parameterised, raw::Raw, text::Text,
};
use std::io;

/// Lines should be no longer (RFC 5322, 2.1.1).
const MAX_COLUMN: usize = 78;
/// A word this long is encoded, so that a line cannot pass 998 octets (RFC 5322, 2.1.1).
const MAX_WORD: usize = 800;
/// Longer names are encoded even where they need not be, for the same reason.
const MAX_RAW_NAME: usize = 200;

/// Writes an unstructured header. Text that would not be read back the same is written as encoded words; in a
/// message with UTF-8 headers (`utf8`) non-ASCII text stays as it is.
pub(crate) fn write_text(out: &mut Vec<u8>, name: &str, text: &str, utf8: bool) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let column = name.len() + 2;
    if needs_encoded_words(text) {
        write_encoded_words(out, text);
        out.extend_from_slice(b"\r\n");
    } else if utf8 || text.is_ascii() {
        Raw::new(text).write_header(out, column);
    } else {
        Text::new(text).write_header(out, column);
    }
}

/// Writes an address header, one mailbox a line; nothing when there are none.
pub(crate) fn write_addresses(out: &mut Vec<u8>, name: &str, mailboxes: &[NameAddress], utf8: bool) {
    let mailboxes = mailboxes.iter().map(|mailbox| {
        let address = mailbox.address();
        (mailbox.name(), if utf8 { address.to_string() } else { address.to_smtp() })
    });
    write_mailboxes(out, name, mailboxes, utf8);
}

/// Writes an address header of names, which may be empty, and addresses, as they are to be written.
pub(crate) fn write_mailboxes<'a>(
    out: &mut Vec<u8>,
    name: &str,
    mut mailboxes: impl Iterator<Item = (&'a str, String)>,
    utf8: bool,
) {
    let Some(first) = mailboxes.next() else { return };
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    write_mailbox(out, name.len() + 2, first, utf8);
    for mailbox in mailboxes {
        out.extend_from_slice(b",\r\n ");
        write_mailbox(out, 1, mailbox, utf8);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_mailbox(out: &mut Vec<u8>, column: usize, (name, address): (&str, String), utf8: bool) {
    let start = out.len();
    if needs_encoded_words(name) {
        write_encoded_words(out, name);
        out.extend_from_slice(b"\r\n ");
    } else if (utf8 || name.is_ascii()) && name.len() <= MAX_RAW_NAME {
        if !name.is_empty() {
            write_quoted(out, name);
            let fits = column + out.len() - start + address.len() + 3 <= MAX_COLUMN;
            out.extend_from_slice(if fits { &b" "[..] } else { b"\r\n " });
        }
    } else {
        EmailAddress { name: Some(name.into()), email: address.into() }.write_header(out, column);
        out.truncate(out.len() - 2);
        return;
    }
    out.push(b'<');
    out.extend_from_slice(address.as_bytes());
    out.push(b'>');
}

/// Writes Content-Type with parameters.
pub(super) fn write_content_type(out: &mut Vec<u8>, essence: &str, parameters: &[(&str, &str)]) {
    write_parameterised(out, "Content-Type", essence, parameters.iter().copied());
}

/// Writes a header with parameters (RFC 2045, 5.1; RFC 2231).
pub(crate) fn write_parameterised<'a>(
    out: &mut Vec<u8>,
    name: &str,
    value: &str,
    parameters: impl Iterator<Item = (&'a str, &'a str)>,
) {
    let attributes = parameters.map(|(name, value)| (name.into(), value.into())).collect();
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    Parameterised { c_type: value.into(), attributes }.write_header(out, name.len() + 2);
}

/// Writes Content-Type, Content-Disposition and Content-ID of a file.
pub(super) fn write_file_header(
    out: &mut Vec<u8>,
    file: &File,
    disposition: &str,
    transfer: Transfer,
) -> io::Result<()> {
    let given = &file.content_type;
    let essence = transfer.essence(given);
    let mut parameters: Vec<(&str, &str)> = Vec::new();
    // Parameters belong to their type, and so go when the type has to.
    if essence == given.essence() {
        parameters.extend(given.parameters().filter(|(name, _)| *name != "name" || file.name.is_empty()));
        let has_charset = given.parameter("charset").is_some();
        if given.kind() == "text" && !has_charset && is_utf8(&file.data)? {
            parameters.push(("charset", "utf-8"));
        }
    }
    let fallback = fallback_name(&file.name);
    if !fallback.is_empty() {
        parameters.push(("name", &fallback));
    }
    write_content_type(out, essence, &parameters);

    out.extend_from_slice(b"Content-Disposition: ");
    let mut header = Parameterised::new(disposition);
    if !file.name.is_empty() {
        header = header.attribute("filename", &*file.name);
    }
    header.write_header(out, 21);
    if !file.content_id.is_empty() {
        out.extend_from_slice(b"Content-ID: <");
        out.extend_from_slice(file.content_id.as_bytes());
        out.extend_from_slice(b">\r\n");
    }
    Ok(())
}

fn is_utf8(octets: &Octets) -> io::Result<bool> {
    let mut utf8 = Utf8::default();
    octets.in_pieces(|piece| utf8.add(piece))?;
    Ok(utf8.is_utf8())
}

/// The name for clients that know neither Content-Disposition nor RFC 2231: they expect encoded words in the
/// `name` parameter, though RFC 2047, 5 (3) has none there.
fn fallback_name(name: &str) -> String {
    if name.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return name.to_owned();
    }
    let words: Vec<_> = encoded_words(name).collect();
    words.join(" ")
}

/// Whether mail-builder would write the text in a form that is not read back as the text: what looks like an
/// encoded word already, control characters, white space at the ends, words that do not fit in a line.
fn needs_encoded_words(text: &str) -> bool {
    text.contains("=?")
        || text.contains(|c: char| c.is_control() && c != '\t')
        || text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace)
        || (text.len() > MAX_WORD && has_long_run(text))
}

fn has_long_run(text: &str) -> bool {
    let is_space = |b: &u8| *b == b' ';
    text.as_bytes().chunk_by(|a, b| is_space(a) == is_space(b)).any(|run| run.len() > MAX_WORD)
}

fn write_encoded_words(out: &mut Vec<u8>, text: &str) {
    for (at, word) in encoded_words(text).enumerate() {
        if at > 0 {
            out.extend_from_slice(b"\r\n ");
        }
        out.extend_from_slice(word.as_bytes());
    }
}

/// "B" encoded words of at most 75 octets, each of whole characters (RFC 2047, 2 and 5).
fn encoded_words(text: &str) -> impl Iterator<Item = String> + '_ {
    const MAX_OCTETS: usize = 45;
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (word, after) = rest.split_at(rest.floor_char_boundary(MAX_OCTETS));
        rest = after;
        Some(format!("=?utf-8?B?{}?=", STANDARD.encode(word)))
    })
}

fn write_quoted(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for b in text.bytes() {
        if matches!(b, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(b);
    }
    out.push(b'"');
}
