//! The blocks of fields of a delivery status.

use crate::fields::{fields, split, whole_fields};

/// The blocks of a report part. Empty lines divide them; where those are missing, a recipient's name that follows what
/// became of another.
pub(super) fn blocks(part: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = part;
    let paragraphs = std::iter::from_fn(move || {
        while let Some(after) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
            rest = after;
        }
        if rest.is_empty() {
            return None;
        }
        let (paragraph, after) = split(rest);
        rest = after;
        Some(paragraph)
    });
    paragraphs.flat_map(|paragraph| {
        let several =
            NAMES.iter().any(|name| fields(paragraph).filter(|field| field.is(name)).nth(1).is_some());
        let mut rest = paragraph;
        std::iter::from_fn(move || {
            let end = if several { recipient_end(rest) } else { rest.len() };
            let (block, after) = rest.split_at(end);
            rest = after;
            (!block.is_empty()).then_some(block)
        })
    })
}

/// Names of recipients that a block has once (RFC 3464, 2.3).
const NAMES: [&str; 2] = ["Original-Recipient", "Final-Recipient"];

/// Where the block of another recipient begins.
fn recipient_end(fields: &[u8]) -> usize {
    let mut end = 0;
    let mut seen = [false; NAMES.len()];
    let mut decided = false;
    for (line, field) in whole_fields(fields) {
        let name = field.and_then(|field| NAMES.iter().position(|name| field.is(name)));
        if let Some(name) = name {
            if decided || seen[name] {
                return end;
            }
            seen[name] = true;
        }
        decided |= field.is_some_and(|field| field.is("Action"));
        end += line.len();
    }
    end
}
