//! Bounces of Exim before it wrote reports: the header names whom it failed to reach, and a text for people says why.

use super::{
    ADDRESSES_MAX, OriginalMessage, RecipientStatus, StatusAction, StatusNotification, address,
    answer::Answer, original_message, text,
};
use crate::{
    Address,
    fields::{fields, split},
};
use memchr::memmem;

const COPY_BELOW: &[u8] = b"\n------ This is a copy of ";
/// Octets of the text that are looked at.
const SAID_MAX: usize = 256 * 1024;
/// Paragraphs that are looked at.
const PARAGRAPHS_MAX: usize = 1_000;
/// Addresses that one stands for.
const NAMES_MAX: usize = 10;

/// Whom the header of a message calls failed; none when it is no such bounce.
pub(super) fn failed_recipients(header: &[u8]) -> Vec<Address> {
    let lists = fields(header).filter(|field| field.is("X-Failed-Recipients")).map(|field| text(field.value));
    let mut failed = Vec::new();
    for list in lists.take(ADDRESSES_MAX) {
        for address in list.split(',').filter_map(address::plain) {
            if failed.len() < ADDRESSES_MAX && !failed.contains(&address) {
                failed.push(address);
            }
        }
    }
    failed
}

/// Reads the body of such a message.
pub(super) fn read(failed: Vec<Address>, body: &[u8]) -> Option<StatusNotification> {
    let looked_at = &body[..body.len().min(SAID_MAX)];
    let (said, copy) = match memmem::find(looked_at, COPY_BELOW) {
        Some(at) => (&body[..at], below(&body[at + 1..])),
        None => (looked_at, &body[..0]),
    };
    let said = String::from_utf8_lossy(said).replace('\r', "");
    let paragraphs: Vec<_> = paragraphs(&said).take(PARAGRAPHS_MAX).collect();
    let recipients: Vec<_> = failed.into_iter().map(|failed| recipient(failed, &paragraphs)).collect();
    let original = if copy.is_empty() { OriginalMessage::default() } else { original_message(copy) };
    (!recipients.is_empty()).then_some(StatusNotification { envelope_id: None, recipients, original })
}

/// What stands behind the lines that announce the copy, and an empty one.
fn below(announced: &[u8]) -> &[u8] {
    split(announced).1
}

/// What is said of one address.
struct Paragraph {
    names: Vec<Address>,
    said: String,
}

/// An address with two spaces before it, and lines with four:
///
/// ```text
///   box7@inside.example
///     (generated from friend@example.org)
///     host mail.inside.example [192.0.2.25]: 550 no such user
/// ```
fn paragraphs(said: &str) -> impl Iterator<Item = Paragraph> {
    let mut lines = said.lines().peekable();
    std::iter::from_fn(move || {
        let name = lines.find_map(|line| {
            let line = line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?;
            address::plain(line.trim_end_matches(':'))
        })?;
        let mut paragraph = Paragraph { names: vec![name], said: String::new() };
        while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
            let line = line.trim();
            let from = line.strip_prefix("(generated from ").and_then(|from| from.strip_suffix(')'));
            match from.and_then(address::plain) {
                Some(from) if paragraph.names.len() < NAMES_MAX => paragraph.names.push(from),
                Some(_) => {}
                None => {
                    paragraph.said.push_str(line);
                    paragraph.said.push(' ');
                }
            }
        }
        Some(paragraph)
    })
}

fn recipient(failed: Address, paragraphs: &[Paragraph]) -> RecipientStatus {
    let about = paragraphs.iter().find(|paragraph| paragraph.names.contains(&failed));
    let said = about.map(|about| text(about.said.as_bytes())).unwrap_or_default();
    let others = about.map(|about| about.names.as_slice()).unwrap_or_default();
    let mut names = vec![failed];
    for other in others {
        if !names.contains(other) {
            names.push(other.clone());
        }
    }
    RecipientStatus::judged(names, StatusAction::Failed, Answer::read(&said), None, said)
}
