//! Headers in UTF-8 or another charset from clients that do not speak of SMTPUTF8: the same in ASCII, which every host
//! takes (RFC 2047, RFC 2231, and domains in their ASCII form).

use crate::{
    Address,
    compose::header::{write_mailboxes, write_parameterised, write_text},
    fields::{Field, whole_fields},
    mailbox::one_mailbox,
    read::{
        Group, MAX_FIELD, NameAddressText, entity::MAX_MIME_FIELD, groups, parameters::Parameterised,
        start_unfolded, text,
    },
};
use mail_builder::headers::{
    Header,
    address::{Address as Built, EmailAddress, GroupedAddresses},
};

const ONE_MAILBOX: [&str; 2] = ["From", "Sender"];

const ADDRESSES: [&str; 13] = [
    "To",
    "Cc",
    "Reply-To",
    "Mail-Reply-To",
    "Mail-Followup-To",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Reply-To",
    "Disposition-Notification-To",
    "Return-Receipt-To",
    "Errors-To",
];

const PARAMETERISED: [&str; 2] = ["Content-Type", "Content-Disposition"];

const DATES: [&str; 2] = ["Date", "Resent-Date"];

/// Neither text nor of a kind above: an encoded word would say something else in these (RFC 2047, 5).
const OTHERS: [&str; 23] = [
    "Message-ID",
    "Resent-Message-ID",
    "In-Reply-To",
    "References",
    "Received",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Content-ID",
    "DKIM-Signature",
    "ARC-Seal",
    "ARC-Message-Signature",
    "ARC-Authentication-Results",
    "Authentication-Results",
    "Auto-Submitted",
    "TLS-Required",
    "List-Id",
    "List-Owner",
    "List-Help",
    "List-Post",
    "List-Archive",
    "List-Subscribe",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// The header in ASCII. None where that would take something away from it: with an address that needs SMTPUTF8, or
/// octets above 127 where there is no way to encode them.
pub(super) fn in_ascii(header: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(header.len() * 2);
    for (lines, field) in whole_fields(header) {
        if lines.is_ascii() {
            out.extend_from_slice(lines);
        } else {
            write_field(&mut out, field?)?;
        }
    }
    out.is_ascii().then_some(out)
}

fn write_field(out: &mut Vec<u8>, field: Field<'_>) -> Option<()> {
    let (name, value) = (std::str::from_utf8(field.name).ok()?, field.value);
    let is_one_of = |names: &[&str]| names.iter().any(|name| field.is(name));
    if value.len() > MAX_FIELD || is_one_of(&OTHERS) {
        return None;
    }
    if is_one_of(&ONE_MAILBOX) {
        write_one_mailbox(out, name, value)
    } else if is_one_of(&ADDRESSES) {
        write_groups(out, name, value)
    } else if is_one_of(&PARAMETERISED) {
        write_parameters(out, name, value)
    } else if is_one_of(&DATES) {
        write_date(out, name, value)
    } else {
        write_text(out, name, &text(value), false);
        Some(())
    }
}

/// With the address that was checked, and a name only if that belongs to it.
fn write_one_mailbox(out: &mut Vec<u8>, name: &str, value: &[u8]) -> Option<()> {
    let address = one_mailbox(value).ok()?;
    let groups = groups(value);
    let owner = match &groups[..] {
        [Group { name: None, mailboxes }] => match &mailboxes[..] {
            [only] if Address::parse(&only.address).as_ref() == Ok(&address) => &*only.name,
            _ => "",
        },
        _ => "",
    };
    write_mailboxes(out, name, [(owner, ascii(&address)?)].into_iter(), false);
    Some(())
}

fn write_groups(out: &mut Vec<u8>, name: &str, value: &[u8]) -> Option<()> {
    let groups = groups(value);
    let mailboxes = || groups.iter().flat_map(|group| &group.mailboxes);
    let is_broken = mailboxes().any(|mailbox| Address::parse(&mailbox.address).is_err());
    let says_nothing = groups.iter().all(|group| group.name.is_none() && group.mailboxes.is_empty());
    if is_broken || says_nothing {
        if mailboxes().any(|mailbox| !mailbox.address.is_ascii() || mailbox.address.contains('@')) {
            return None;
        }
        // It names nobody to answer to, and people read it all the same.
        write_text(out, name, &text(value), false);
        return Some(());
    }
    let listed = |group: &Group| -> Option<Vec<(String, String)>> {
        let one = |mailbox: &NameAddressText| {
            Some((mailbox.name.clone(), ascii(&Address::parse(&mailbox.address).ok()?)?))
        };
        group.mailboxes.iter().map(one).collect()
    };
    if let [group @ Group { name: None, .. }] = &groups[..] {
        let mailboxes = listed(group)?;
        let mailboxes = mailboxes.iter().map(|(name, address)| (&**name, address.clone()));
        write_mailboxes(out, name, mailboxes, false);
        return Some(());
    }
    let mut list = Vec::with_capacity(groups.len());
    for group in &groups {
        let built = listed(group)?.into_iter().map(|(name, email)| {
            let name = Some(name).filter(|name| !name.is_empty()).map(Into::into);
            Built::Address(EmailAddress { name, email: email.into() })
        });
        let name = group.name.as_deref().map(Into::into);
        list.push(Built::Group(GroupedAddresses { name, addresses: built.collect() }));
    }
    out.extend_from_slice(&[name.as_bytes(), b": "].concat());
    Built::List(list).write_header(out, name.len() + 2);
    Some(())
}

fn write_parameters(out: &mut Vec<u8>, name: &str, value: &[u8]) -> Option<()> {
    if value.len() > MAX_MIME_FIELD {
        return None;
    }
    let Parameterised { value, parameters } = Parameterised::parse(&start_unfolded(value));
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !is_word(&value) || !parameters.keys().all(|name| is_word(name)) {
        return None;
    }
    let parameters = parameters.iter().map(|(name, value)| (&**name, &**value));
    write_parameterised(out, name, &value, parameters);
    Some(())
}

/// What stands behind the time is a comment, such as the name of a zone.
fn write_date(out: &mut Vec<u8>, name: &str, value: &[u8]) -> Option<()> {
    let time = value.split(|byte| *byte == b'(').next().unwrap_or_default().trim_ascii_end();
    if time.is_empty() {
        return None;
    }
    out.extend_from_slice(&[name.as_bytes(), b":", time, b"\r\n"].concat());
    Some(())
}

/// None when it needs SMTPUTF8.
fn ascii(address: &Address) -> Option<String> {
    (!address.needs_smtputf8()).then(|| address.to_smtp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::read;

    #[test]
    fn what_a_header_says_is_said_in_ascii() {
        for (header, expected) in [
            ("Subject: plain\r\n\tand folded\r\n", "Subject: plain\r\n\tand folded\r\n"),
            ("Subject: grün\r\n", "Subject: =?utf-8?B?Z3LDvG4=?=\r\n"),
            ("subject: grün \r\n\tund =?utf-8?q?blau?=\r\n", "subject: =?utf-8?B?Z3LDvG4gCXVuZCBibGF1?=\r\n"),
            ("X-Note: =?utf-8?q?=0D=0ABcc:_x?= ü\r\n", "X-Note: =?utf-8?B?DQpCY2M6IHggw7w=?=\r\n"),
            ("From: Jörg <j@x.example>\r\n", "From: =?utf-8?B?SsO2cmc=?= <j@x.example>\r\n"),
            ("From: j@grün.example\r\n", "From: <j@xn--grn-ioa.example>\r\n"),
            ("From: j@x.example (Jörg)\r\n", "From: =?utf-8?B?SsO2cmc=?= <j@x.example>\r\n"),
            (
                "To: \"Müller, Jörg\" <j@x.example>, k@x.example,\r\n L <l@grün.example>\r\n",
                "To: =?utf-8?B?TcO8bGxlciwgSsO2cmc=?= <j@x.example>,\r\n <k@x.example>,\r\n \"L\" <l@xn--grn-ioa.example>\r\n",
            ),
            (
                "Mail-Followup-To: Jörg <j@x.example>, l@x.example\r\n",
                "Mail-Followup-To: =?utf-8?B?SsO2cmc=?= <j@x.example>,\r\n <l@x.example>\r\n",
            ),
            ("To: Empfänger:;\r\n", "To: =?utf-8?Q?Empf=C3=A4nger?=:;\r\n"),
            (
                "Cc: Grüße: a@x.example, Jörg <j@x.example>;, z@x.example\r\n",
                "Cc: =?utf-8?B?R3LDvMOfZQ==?=: <a@x.example>, =?utf-8?B?SsO2cmc=?=\r\n <j@x.example>;, <z@x.example>\r\n",
            ),
            ("To: Kunden in Köln\r\n", "To: =?utf-8?Q?Kunden_in_K=C3=B6ln?=\r\n"),
            (
                "Date: Mon, 23 Nov 2026 09:59:00 +0100 (Mitteleuropäisch)\r\n",
                "Date: Mon, 23 Nov 2026 09:59:00 +0100\r\n",
            ),
            (
                "Content-Type: Application/PDF; name=\"grün.pdf\"\r\n",
                "Content-Type: application/pdf; name*=UTF-8''gr%C3%BCn.pdf\r\n",
            ),
        ] {
            let ascii = in_ascii(header.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(ascii.clone()).unwrap(), expected, "{header}");
            assert!(in_ascii(&ascii).unwrap() == ascii, "{header}");
        }
    }

    #[test]
    fn octets_that_are_no_utf8_are_read_as_in_a_message_that_arrives() {
        let raw = b"Subject: gr\xfcn\r\nX-Note: gr\xc3\xbcn\r\nFrom: J\xf6rg <j@x.example>\r\n\r\n";
        let header = in_ascii(&raw[..raw.len() - 2]).unwrap();
        let (before, after) = (read(raw).message, read(&header).message);
        assert_eq!((&*after.subject, &*after.from[0].name), ("grün", "Jörg"));
        assert_eq!((after.subject, after.from), (before.subject, before.from));
    }

    #[test]
    fn what_cannot_be_said_in_ascii_stays() {
        let long = format!("Subject: ü{}\r\n", "x".repeat(MAX_FIELD));
        for header in [
            "From: grün@x.example\r\n",
            "To: a@x.example, Jörg <grün@x.example>\r\n",
            "To: grün@x..example\r\n",
            "Reply-To: ACME GmbH, Köln <info@x.example>\r\n",
            "To: \"Jörg\" <j@x.example>, root\r\n",
            "List-Owner: <mailto:x@x.example> (Jörg)\r\n",
            "References: <grün@x.example>\r\n",
            "List-Id: Grün <x.example>\r\n",
            "Content-Type: text/grün\r\n",
            "Date: märz\r\n",
            "Date: (märz)\r\n",
            &long,
        ] {
            let header = format!("Subject: ü\r\n{header}");
            assert_eq!(in_ascii(header.as_bytes()), None, "{header:.60}");
        }
    }
}
