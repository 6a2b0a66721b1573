//! Reading delivery status notifications (RFC 3464, RFC 6533).

use super::{
    OriginalMessage, RecipientStatus, StatusAction, StatusNotification, address::typed, blocks, value,
};
use crate::EnhancedCode;

/// Blocks that are looked at; further ones are left out.
const BLOCKS_MAX: usize = 1_000;
/// Octets of an envelope id (RFC 3461, 4.4).
const ENVELOPE_ID_MAX: usize = 100;

/// Reads the machine-readable part. `None` when it tells of no recipient.
pub(super) fn read(part: &[u8], original: OriginalMessage) -> Option<StatusNotification> {
    let mut envelope_id = None;
    let mut recipients = Vec::new();
    for block in blocks(part).take(BLOCKS_MAX) {
        envelope_id = envelope_id.or_else(|| {
            let id = unxtext(&value(block, "Original-Envelope-Id")?);
            Some(id).filter(|id| id.len() <= ENVELOPE_ID_MAX)
        });
        recipients.extend(recipient(block));
    }
    (!recipients.is_empty()).then_some(StatusNotification { envelope_id, recipients, original })
}

fn recipient(block: &[u8]) -> Option<RecipientStatus> {
    let value = |name| value(block, name);
    let action = match value("Action")?.split([' ', '(', ';']).next()?.to_ascii_lowercase().as_str() {
        "failed" => StatusAction::Failed,
        "delayed" => StatusAction::Delayed,
        "delivered" => StatusAction::Delivered,
        "relayed" => StatusAction::Relayed,
        "expanded" => StatusAction::Expanded,
        _ => return None,
    };
    let names = ["Original-Recipient", "Final-Recipient", "X-Actual-Recipient"];
    let names = names.into_iter().filter_map(|name| typed(&value(name)?)).collect();
    let status: Option<EnhancedCode> =
        value("Status").and_then(|status| status.split([' ', '(']).next()?.parse().ok());
    let diagnostic = value("Diagnostic-Code").unwrap_or_default();
    let (kind, said) = diagnostic.split_once(';').unwrap_or(("", &diagnostic));
    let answer = kind.trim().eq_ignore_ascii_case("smtp").then(|| Answer::read(said.trim())).flatten();
    let (code, enhanced, text) = match answer {
        Some(answer) => (Some(answer.code), answer.enhanced.or(status), answer.text),
        None => (None, status, said.trim().to_owned()),
    };
    Some(RecipientStatus::judged(names, action, code, enhanced, text))
}

/// A reply as reports quote it.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) enhanced: Option<EnhancedCode>,
    pub(super) text: String,
}

impl Answer {
    /// `550 5.1.1 text`, or lines run together as `550-5.1.1 text 550 5.1.1 more`. Texts of people may stand in front
    /// of the code (`host said: 550 ...`).
    pub(super) fn read(said: &str) -> Option<Answer> {
        let words: Vec<_> = said.split(' ').filter(|word| !word.is_empty()).collect();
        let (at, code) = words.iter().enumerate().find_map(|(at, word)| Some((at, reply_code(word)?)))?;
        let mut parts = Vec::new();
        let mut enhanced: Option<EnhancedCode> = None;
        for (place, &word) in words[at..].iter().enumerate() {
            let word = match reply_code(word) {
                Some(again) if again == code => word[3..].trim_start_matches('-'),
                _ => word,
            };
            match word.trim_start_matches('#').parse() {
                Ok(found)
                    if enhanced.is_none_or(|known| known == found) && (place < 3 || enhanced.is_some()) =>
                {
                    enhanced = Some(found);
                }
                _ if word.is_empty() => {}
                _ => parts.push(word),
            }
        }
        Some(Answer { code, enhanced, text: parts.join(" ") })
    }
}

/// A word that begins a line of a reply: three digits, alone or with a hyphen behind.
fn reply_code(word: &str) -> Option<u16> {
    let digits = word.get(..3)?;
    let fits = digits.bytes().all(|b| b.is_ascii_digit())
        && !matches!(word.as_bytes().get(3), Some(b) if *b != b'-');
    fits.then(|| digits.parse().ok()).flatten().filter(|code| (200..600).contains(code))
}

/// RFC 3461, 4: `+2B` is a plus sign. What is none is left as it is.
fn unxtext(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *first == b'+').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
