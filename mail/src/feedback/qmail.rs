//! Bounces of qmail, which has a format of its own (QSBMF): a text for people that begins in a fixed way, a paragraph
//! for each recipient, and a copy of the message behind a fixed line.

use super::{
    OriginalMessage, RecipientStatus, StatusAction, StatusNotification, address, answer::Answer,
    original_message,
};
use memchr::memmem;

const GREETING: &[u8] = b"Hi. This is the ";
const COPY_BELOW: &[u8] = b"--- Below this line is a copy of the message.";
/// Octets of the text that are looked at.
const SAID_MAX: usize = 256 * 1024;
/// Paragraphs that are looked at.
const PARAGRAPHS_MAX: usize = 1_000;

/// Reads the body of a message; `None` when it is no such bounce.
pub(super) fn read(body: &[u8]) -> Option<StatusNotification> {
    let body = body.trim_ascii_start();
    if !body.starts_with(GREETING) {
        return None;
    }
    let (said, copy) = match memmem::find(&body[..body.len().min(SAID_MAX)], COPY_BELOW) {
        Some(at) => (&body[..at], body[at + COPY_BELOW.len()..].trim_ascii_start()),
        None => (&body[..body.len().min(SAID_MAX)], &body[..0]),
    };
    let said = String::from_utf8_lossy(said).replace('\r', "");
    let recipients: Vec<_> = said.split("\n\n").take(PARAGRAPHS_MAX).filter_map(recipient).collect();
    let original = if copy.is_empty() { OriginalMessage::default() } else { original_message(copy) };
    (!recipients.is_empty()).then_some(StatusNotification { envelope_id: None, recipients, original })
}

/// `<friend@example.org>:` and lines of text behind.
fn recipient(paragraph: &str) -> Option<RecipientStatus> {
    let (first, rest) = paragraph.trim().split_once('\n')?;
    let name = address::plain(first.strip_suffix(':')?)?;
    let told = rest.lines().filter(|line| !line.starts_with("Giving up on ")).flat_map(str::split_whitespace);
    let told = told.collect::<Vec<_>>().join(" ");
    let answer = Answer::read(&told);
    // Of qmail itself: `(#5.1.1)` at the end.
    let status = match &answer {
        Some(_) => None,
        None => told.rsplit_once("(#").and_then(|(_, code)| code.split(')').next()?.parse().ok()),
    };
    Some(RecipientStatus::judged(vec![name], StatusAction::Failed, answer, status, told))
}
