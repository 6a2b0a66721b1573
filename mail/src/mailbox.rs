//! The value of a field that names mailboxes (RFC 5322, 3.4), read strictly: who may send a message depends on it, so
//! that nobody must be able to read another address in it.

use crate::{Address, fields::unfolded, read::guessed};
use std::str::Chars;

/// The value is not what is looked for: it is no mailbox, or a list or a group where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadMailbox;

/// The address of the only mailbox in the value: bare, or in angle brackets behind a name; with comments anywhere else.
pub(crate) fn one_mailbox(value: &[u8]) -> Result<Address, BadMailbox> {
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
            '<' | '>' | ',' | ';' | ':' => return Err(BadMailbox),
            c => outside.push(c),
        }
    }
    let address = match &inside {
        None => outside.trim(),
        Some(address) if outside.trim().is_empty() => address.trim(),
        Some(_) => return Err(BadMailbox),
    };
    Address::parse(address).map_err(|_| BadMailbox)
}

/// The addresses of all mailboxes in the value, in groups or not, as they are written, without comments outside of
/// angle brackets. Those of which only a name stands there count as well.
pub(crate) fn addresses(value: &[u8]) -> Result<Vec<String>, BadMailbox> {
    let line = unfolded(value);
    let text = guessed(&line);
    let chars = &mut text.chars();
    let mut addresses = Vec::new();
    let mut outside = String::new();
    let mut inside = None;
    while let Some(c) = chars.next() {
        match c {
            '(' => skip_comment(chars)?,
            '"' => copy_until('"', chars, &mut outside)?,
            '[' if outside.trim_end().ends_with('@') => copy_until(']', chars, &mut outside)?,
            '<' if inside.is_none() => {
                inside = Some(in_brackets(chars)?);
                outside.clear();
            }
            // What stood there is the name of a group.
            ':' if inside.is_none() => outside.clear(),
            ',' | ';' => addresses.push(address(inside.take(), std::mem::take(&mut outside))?),
            // In a name it is a sign like others.
            '>' if inside.is_none() => outside.push('>'),
            '<' | '>' | ':' => return Err(BadMailbox),
            c => outside.push(c),
        }
    }
    addresses.push(address(inside, outside)?);
    Ok(addresses)
}

/// In angle brackets, or bare. What stands behind the brackets must not look like another one.
fn address(inside: Option<String>, outside: String) -> Result<String, BadMailbox> {
    match inside {
        Some(_) if outside.contains('@') => Err(BadMailbox),
        Some(inside) => Ok(inside),
        None => Ok(outside),
    }
}

fn in_brackets(chars: &mut Chars<'_>) -> Result<String, BadMailbox> {
    let mut inside = String::new();
    loop {
        match chars.next().ok_or(BadMailbox)? {
            '>' => return Ok(inside),
            '"' => copy_until('"', chars, &mut inside)?,
            c => inside.push(c),
        }
    }
}

/// Copies a quoted string or a literal whose first character was taken, with that and with its escapes.
fn copy_until(end: char, chars: &mut Chars<'_>, out: &mut String) -> Result<(), BadMailbox> {
    out.push(if end == ']' { '[' } else { end });
    loop {
        let c = chars.next().ok_or(BadMailbox)?;
        out.push(c);
        match c {
            '\\' => out.push(chars.next().ok_or(BadMailbox)?),
            c if c == end => return Ok(()),
            _ => {}
        }
    }
}

/// Passes over a comment whose first parenthesis was taken. They nest.
fn skip_comment(chars: &mut Chars<'_>) -> Result<(), BadMailbox> {
    let mut depth = 1_usize;
    while depth > 0 {
        match chars.next().ok_or(BadMailbox)? {
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
    fn all_addresses_are_found_as_they_are_written() {
        for (value, expected) in [
            ("", &[""][..]),
            (" a@b.example (x)", &["a@b.example"]),
            ("A <a@b.example>, \"c,d\"@e.example", &["a@b.example", "\"c,d\"@e.example"]),
            ("G (x): a@b.example, R <c@d.example>;", &["a@b.example", "c@d.example", ""]),
            ("a@[IPv6:::1], Jane [x:y] <c@d.example>", &["a@[IPv6:::1]", "c@d.example"]),
            ("Doe, Jane <a@b.example> Doe", &["Doe", "a@b.example"]),
            ("Doe > Jane <a@b.example>", &["a@b.example"]),
            ("a@b.example>", &["a@b.example>"]),
        ] {
            let found = addresses(value.as_bytes()).unwrap();
            let found: Vec<_> = found.iter().map(|address| address.trim()).collect();
            assert_eq!(found, expected, "{value}");
        }
        for value in [
            "<a@b.example",
            "<a@b.example>>",
            "<a@b.example> <c@d.example>",
            "<a@b.example> c@d.example",
            "\"a",
            "(a",
            "<a@b.example>: x",
            "a@[x",
        ] {
            assert_eq!(addresses(value.as_bytes()), Err(BadMailbox), "{value}");
        }
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
            assert_eq!(one_mailbox(value.as_bytes()), Err(BadMailbox), "{value}");
        }
    }
}
