//! Reading delivery status notifications (RFC 3464, RFC 6533).

use super::{
    MESSAGE_ID_MAX, OriginalMessage, RecipientStatus, StatusAction, StatusNotification,
    address::{hexadecimal, typed},
    answer::Answer,
    blocks::blocks,
    value,
};
use crate::EnhancedCode;

/// Blocks that are looked at; further ones are left out.
const BLOCKS_MAX: usize = 1_000;
/// Octets of an envelope id (RFC 3461, 4.4).
const ENVELOPE_ID_MAX: usize = 100;

/// Reads the machine-readable part. `None` when it tells of no recipient.
pub(super) fn read(part: &[u8], mut original: OriginalMessage) -> Option<StatusNotification> {
    let mut envelope_id = None;
    let mut recipients = Vec::new();
    for block in blocks(part).take(BLOCKS_MAX) {
        envelope_id = envelope_id
            .or_else(|| value(block, "Original-Envelope-Id").filter(|id| id.len() <= ENVELOPE_ID_MAX));
        // Gmail and Postfix tell what else may be returned with the header, or not at all.
        let message_id = || value(block, "X-Original-Message-ID").filter(|id| id.len() <= MESSAGE_ID_MAX);
        original.message_id = original.message_id.or_else(message_id);
        let sender = || typed(&value(block, "X-Postfix-Sender")?);
        original.return_path = original.return_path.or_else(sender);
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
    let (is_smtp, said) = match diagnostic.split_once(';') {
        Some((kind, said)) if is_type(kind) => (kind.trim().eq_ignore_ascii_case("smtp"), said.trim()),
        // Some programs forget the type.
        _ => (true, diagnostic.trim()),
    };
    let quoted = match is_smtp {
        true => Some(said),
        // Old versions of Postfix: `X-Postfix; host mx.example said: 550 ...`.
        false => said.split_once(" said: ").map(|(_, quoted)| quoted),
    };
    let answer = quoted.and_then(Answer::read);
    Some(RecipientStatus::judged(names, action, answer, status, said.to_owned()))
}

/// RFC 3464, 2.1.2.
fn is_type(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && !text.contains(' ')
}

/// RFC 3461, 4: `+2B` is a plus sign. What is none is left as it is.
pub(super) fn unxtext(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'+').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(hexadecimal).and_then(|byte| u8::try_from(byte).ok()) {
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
