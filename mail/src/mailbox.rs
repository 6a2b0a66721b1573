//! The value of a field that names one mailbox (RFC 5322, 3.4), read strictly: who may send a message depends on it,
//! so that nobody must be able to read another address in it.

use crate::{Address, fields::unfolded};
use std::str::Chars;

/// The value is not one mailbox: it is empty, a list, a group, or none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOneMailbox;

/// The address of the only mailbox in the value: bare, or in angle brackets behind a name; with comments anywhere else.
pub(crate) fn one_mailbox(value: &[u8]) -> Result<Address, NotOneMailbox> {
    let line = unfolded(value);
    let text = String::from_utf8_lossy(&line);
    let mut chars = text.chars();
    // What stands outside of angle brackets, from the last of them on.
    let mut outside = String::new();
    let mut inside = None;
    while let Some(c) = chars.next() {
        match c {
            '(' => skip_comment(&mut chars)?,
            '"' => copy_until('"', &mut chars, &mut outside)?,
            '[' => copy_until(']', &mut chars, &mut outside)?,
            '<' if inside.is_none() => {
                inside = Some(in_brackets(&mut chars)?);
                outside.clear();
            }
            '<' | '>' | ',' | ';' | ':' => return Err(NotOneMailbox),
            c => outside.push(c),
        }
    }
    let address = match &inside {
        None => outside.trim(),
        Some(address) if outside.trim().is_empty() => address.trim(),
        Some(_) => return Err(NotOneMailbox),
    };
    Address::parse(address).map_err(|_| NotOneMailbox)
}

fn in_brackets(chars: &mut Chars<'_>) -> Result<String, NotOneMailbox> {
    let mut inside = String::new();
    loop {
        match chars.next().ok_or(NotOneMailbox)? {
            '>' => return Ok(inside),
            '"' => copy_until('"', chars, &mut inside)?,
            c => inside.push(c),
        }
    }
}

/// Copies a quoted string or a literal whose first character was taken, with that and with its escapes.
fn copy_until(end: char, chars: &mut Chars<'_>, out: &mut String) -> Result<(), NotOneMailbox> {
    out.push(if end == ']' { '[' } else { end });
    loop {
        let c = chars.next().ok_or(NotOneMailbox)?;
        out.push(c);
        match c {
            '\\' => out.push(chars.next().ok_or(NotOneMailbox)?),
            c if c == end => return Ok(()),
            _ => {}
        }
    }
}

/// Passes over a comment whose first parenthesis was taken. They nest.
fn skip_comment(chars: &mut Chars<'_>) -> Result<(), NotOneMailbox> {
    let mut depth = 1_usize;
    while depth > 0 {
        match chars.next().ok_or(NotOneMailbox)? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_is_found_however_it_is_written() {
        for (value, address) in [
            (" rider@example.org", "rider@example.org"),
            ("<rider@example.org>", "rider@example.org"),
            (" The Rider <rider@example.org>", "rider@example.org"),
            ("\"Rider, The <x@y>\" <rider@example.org>", "rider@example.org"),
            ("other@example.org <rider@example.org>", "rider@example.org"),
            ("=?utf-8?q?R=C3=AFder?=\r\n\t<rider@example.org>", "rider@example.org"),
            ("rider@example.org (other@example.org, (really) \\))", "rider@example.org"),
            ("(x) Rider (y) < rider@example.org > (z)", "rider@example.org"),
            ("\"a b\"@example.org", "\"a b\"@example.org"),
            ("R <\"a>b\"@example.org>", "\"a>b\"@example.org"),
            ("\"\\\"q\\\"\" <rider@example.org>", "rider@example.org"),
            ("rider@[IPv6:2001:db8::1]", "rider@[IPv6:2001:db8::1]"),
            ("Grün <grün@bücher.example>", "grün@bücher.example"),
        ] {
            assert_eq!(one_mailbox(value.as_bytes()).unwrap().to_string(), address, "{value}");
        }
        assert_eq!(one_mailbox(b"Gr\xfcn <a@b.example>").unwrap().to_string(), "a@b.example");
    }

    #[test]
    fn what_somebody_could_read_another_address_in_is_refused() {
        for value in [
            "",
            " ",
            "rider",
            "a@b.example, c@d.example",
            "a@b.example,",
            "a@b.example; c@d.example",
            "Group: a@b.example;",
            "<a@b.example> <c@d.example>",
            "<a@b.example> c@d.example",
            "a@b.example> <c@d.example>",
            "<c@d.example",
            "A <@relay.example:a@b.example>",
            "a@b.example c@d.example",
            "a@b@c.example",
            "\"a <b@c.example>",
            "(a <b@c.example>",
            "<>",
            "Doe, Jane <a@b.example>",
        ] {
            assert_eq!(one_mailbox(value.as_bytes()), Err(NotOneMailbox), "{value}");
        }
    }
}
