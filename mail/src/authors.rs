//! Whose policy a message is judged by: the domains in its From field, where all readers find the same there.

use crate::{
    Domain,
    fields::{fields, split, unfolded},
    mailbox::{BadMailbox, addresses},
    read::{MAX_FIELD, NameAddressText, addresses_in},
};
use memchr::memrchr;

/// More are not asked for their policy.
const MAX_DOMAINS: usize = 5;
/// The most octets of a name in DNS.
const MAX_NAME: usize = 253;

/// Readers may see different authors in a From field, or such as have no domain that could be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnclearAuthors;

/// The values of the From fields of a message, as they stand.
pub fn from_fields(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    fields(split(raw).0).filter(|field| field.is("From")).map(|field| field.value)
}

/// The domains of the authors in the value of a From field, each once, at most 5, as lower-case A-labels. They may be
/// names that no host has, such as those with `_`: these have policies too. None for authors who claim no domain.
///
/// # Errors
/// When what we show of the field, read leniently, and what its grammar (RFC 5322, 3.4 and 4.4) says are different
/// domains; when there are more than 5; and when something looks like an address and its domain is no name.
pub fn author_domains(from: &[u8]) -> Result<Vec<String>, UnclearAuthors> {
    if from.len() > MAX_FIELD {
        return Err(UnclearAuthors);
    }
    let shown = addresses_in(from);
    let (written, shown) = match addresses(from) {
        Ok(written) => (
            each_once(written.iter().map(|address| domain_of(address)))?,
            each_once(shown.iter().map(domain_of_shown))?,
        ),
        Err(BadMailbox) => {
            let only = each_once([domain_of(&only_at_end(from).ok_or(UnclearAuthors)?)].into_iter())?;
            let shown = each_once(shown.iter().map(|shown| domain_of(&shown.address)))?;
            // Of a broken name, what is shown may lack the address.
            (only.clone(), if shown.is_empty() { only } else { shown })
        }
    };
    match written == shown {
        true => Ok(written),
        false => Err(UnclearAuthors),
    }
}

/// The address in angle brackets that the value ends with, if it has no other `@` and the address is of plain letters:
/// whatever is wrong with the name before it, nobody reads another address there.
fn only_at_end(from: &[u8]) -> Option<String> {
    let line = unfolded(from);
    let (name, address) = line.trim_ascii().strip_suffix(b">").and_then(|rest| {
        let at = memrchr(b'<', rest)?;
        Some((&rest[..at], &rest[at + 1..]))
    })?;
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"@.-_+=".contains(b);
    let is_only = !name.contains(&b'@') && address.iter().filter(|b| **b == b'@').count() == 1;
    (is_only && address.iter().all(is_plain)).then(|| String::from_utf8_lossy(address).into_owned())
}

type MayHaveDomain = Result<Option<String>, UnclearAuthors>;

fn each_once(domains: impl Iterator<Item = MayHaveDomain>) -> Result<Vec<String>, UnclearAuthors> {
    let mut once = Vec::new();
    for domain in domains {
        once.extend(domain?.filter(|domain| !once.contains(domain)));
        if once.len() > MAX_DOMAINS {
            return Err(UnclearAuthors);
        }
    }
    Ok(once)
}

fn domain_of_shown(shown: &NameAddressText) -> MayHaveDomain {
    match domain_of(&shown.address)? {
        // A name is shown in the place of an address.
        None if shown.name.contains('@') && !shown.address.contains('@') => Err(UnclearAuthors),
        domain => Ok(domain),
    }
}

/// What follows the only `@` outside of quotes.
fn domain_of(address: &str) -> MayHaveDomain {
    let (mut quoted, mut escaped) = (false, false);
    let mut domain = None;
    for (at, c) in address.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '@' if !quoted && domain.is_some() => return Err(UnclearAuthors),
            '@' if !quoted => domain = Some(&address[at + 1..]),
            _ => {}
        }
    }
    match domain {
        _ if quoted => Err(UnclearAuthors),
        Some(domain) => name(domain),
        None if address.contains('@') => Err(UnclearAuthors),
        None => Ok(None),
    }
}

/// White space may stand around its dots (RFC 5322, 4.4). A literal has no policy.
fn name(text: &str) -> MayHaveDomain {
    const SPACE: [char; 2] = [' ', '\t'];
    let text = text.trim_matches(SPACE);
    let text = text.strip_suffix('.').unwrap_or(text);
    let labels: Vec<_> = text.split('.').map(|label| label.trim_matches(SPACE)).collect();
    let name = labels.join(".");
    match Domain::parse(&name) {
        Ok(domain) if domain.is_literal() => Ok(None),
        Ok(domain) => Ok(Some(domain.as_ascii().to_owned())),
        Err(_) if name.len() <= MAX_NAME && labels.iter().copied().all(is_label) => {
            Ok(Some(name.to_ascii_lowercase()))
        }
        Err(_) => Err(UnclearAuthors),
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    #[test]
    fn the_domains_of_authors_are_found_however_they_are_written() {
        for (value, domains) in [
            (" ceo@bank.test", &["bank.test"][..]),
            ("CEO <ceo@BANK.Test>", &["bank.test"]),
            ("ceo @ bank.test", &["bank.test"]),
            ("<ceo @\r\n\tbank . test>", &["bank.test"]),
            ("ceo@bank.test.", &["bank.test"]),
            ("ceo@bank.test (a@good.test)", &["bank.test"]),
            ("a@good.test <ceo@bank.test>", &["bank.test"]),
            ("\"a@good.test\" <ceo@bank.test>", &["bank.test"]),
            ("=?utf-8?q?a=40good.test?= <ceo@bank.test>", &["bank.test"]),
            ("\"a@good.test\"@bank.test", &["bank.test"]),
            ("\"a\\\"@good.test\"@bank.test", &["bank.test"]),
            ("Doe, Jane <ceo@bank.test>", &["bank.test"]),
            ("support@good.test via Bank <ceo@bank.test>", &["bank.test"]),
            ("Jane @ Bank <ceo@bank.test>", &["bank.test"]),
            ("Jane (a@good.test) <ceo@bank.test> (\")", &["bank.test"]),
            ("\"Jane (x\" <ceo@bank.test>,", &["bank.test"]),
            ("Bank; Jane <ceo@bank.test>", &["bank.test"]),
            ("All: ceo@bank.test;", &["bank.test"]),
            ("Re: Offer <ceo@bank.test>", &["bank.test"]),
            ("[Acme] Jane <ceo@bank.test>", &["bank.test"]),
            ("Foo > Bar <ceo@bank.test>", &["bank.test"]),
            ("12\" vinyl <ceo@bank.test>", &["bank.test"]),
            ("Smiley :-( <ceo@bank.test>", &["bank.test"]),
            ("=?utf-8?Q?5\"_Display?= <ceo@bank.test>", &["bank.test"]),
            ("=?utf-8?Q?Foo_(Bar?= <ceo@bank.test>", &["bank.test"]),
            ("\u{1b}$B%F\u{1b}(B <ceo@bank.test>", &["bank.test"]),
            ("ceo@under_score.bank.test", &["under_score.bank.test"]),
            ("ceo@-bank.test", &["-bank.test"]),
            ("ceo@bücher.test, b@XN--bcher-kva.test", &["xn--bcher-kva.test"]),
            ("ceo@bank\u{ad}.test", &["bank.test"]),
            ("ceo@bank。test", &["bank.test"]),
            ("a@good.test, B <b@bank.test>, c@good.test", &["good.test", "bank.test"]),
            ("x: a@good.test;, ceo@bank.test", &["good.test", "bank.test"]),
            (
                "a@1.test,a@2.test,a@3.test,a@4.test,a@5.test",
                &["1.test", "2.test", "3.test", "4.test", "5.test"],
            ),
            ("ceo@[192.0.2.1]", &[]),
            ("ceo@[IPv6:2001:db8::1]", &[]),
            ("MAILER-DAEMON (Mail Delivery System)", &[]),
            ("Mail Delivery Subsystem <MAILER-DAEMON>", &[]),
            ("undisclosed:;", &[]),
            ("<>", &[]),
            ("", &[]),
        ] {
            let expected: Vec<_> = domains.iter().map(|&domain| domain.to_owned()).collect();
            assert_eq!(author_domains(value.as_bytes()), Ok(expected), "{value}");
        }
        assert_eq!(author_domains(b"ceo@b\xfccher.test"), Ok(vec!["xn--bcher-kva.test".to_owned()]));
    }

    #[test]
    fn where_readers_may_see_different_authors_it_is_not_clear_who_they_are() {
        for value in [
            "ceo@(c)bank.test",
            "ceo@bank(c).test",
            "ceo(a@good.test)@bank.test (",
            "ceo@bank.test@good.test",
            "a@good.test ceo@bank.test",
            "ceo@bank.test x",
            "<a@good.test> <ceo@bank.test>",
            "<a@good.test> ceo@bank.test",
            "<a@good.test,ceo@bank.test>",
            "<@good.test:ceo@bank.test>",
            "<<ceo@bank.test>>",
            "<ceo@bank.test",
            "a@good.test \" <ceo@bank.test>",
            "a \" <ceo@bank.test> x",
            "a ( <ceo@bank\".test>",
            "ceo@bank.test>",
            "\"ceo@bank.test",
            "\"ceo@bank.test\"",
            "\"ceo@bank.test\" <root>",
            "<\"ceo@bank.test\">",
            "(ceo@bank.test)",
            "=?utf-8?q?ceo=40bank.test?=",
            "<=?utf-8?q?ceo=40bank.test?=>",
            "ceo@=?utf-8?q?bank.test?=",
            "ceo@\"bank.test\"",
            "<ceo@\"bank\".test>",
            "ceo@",
            "ceo@bank..test",
            "ceo@bank.test..",
            "ceo@bank\0.test",
            "ceo@bank.test\u{3}",
            "ceo@bank\u{a0}.test",
            "ceo@[bank.test]",
            "a@1.test,a@2.test,a@3.test,a@4.test,a@5.test,a@6.test",
            &format!("ceo@{}test", "bank.".repeat(60)),
            &format!("{} ceo@bank.test", "x".repeat(MAX_FIELD)),
            &format!("{} <ceo@bank.test>", "=? ".repeat(100)),
        ] {
            assert_eq!(author_domains(value.as_bytes()), Err(UnclearAuthors), "{value}");
        }
    }

    #[test]
    fn from_fields_are_those_of_the_header_that_is_shown() {
        for (raw, expected) in [
            ("From: a\r\n b\r\nfrOM : c\r\n\r\nFrom: d\r\n", &[" a\r\n b", " c"][..]),
            ("junk\r\nFrom: a\r\n\r\n", &[" a"]),
            (" From: a\r\n\r\n", &[]),
            ("F rom: a\r\nFrom\0: a\r\nSender: a\r\n\r\n", &[]),
        ] {
            let found: Vec<_> = from_fields(raw.as_bytes()).collect();
            assert_eq!(found, expected.iter().map(|value| value.as_bytes()).collect::<Vec<_>>(), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn any_octets_have_domains_that_can_be_asked_or_are_not_clear(
            octets in vec(any::<u8>(), 0..40),
            domain in vec(prop::sample::select(&b"@.<>,;:()\"\\[] \r\n\xfcab-_"[..]), 0..12),
        ) {
            let from = [octets.as_slice(), b"@", &domain].concat();
            for domain in author_domains(&from).unwrap_or_default() {
                prop_assert!(!domain.is_empty() && domain.len() <= MAX_NAME, "{:?}", domain);
                prop_assert!(domain.split('.').all(is_label), "{:?}", domain);
            }
        }
    }
}
