//! `[[domains]]`: the domains that mail is sent from.

use crate::{
    Origin, routes,
    source::{Section, Value, choice_of, domain, flag, pem, text},
};
use mail::{DkimKey, Domain, Route};
use std::fmt;

/// A domain.
#[derive(Clone, Debug)]
pub struct DomainEntry {
    /// Where it stands.
    pub origin: Origin,
    /// Its name.
    pub name: Domain,
    /// What stands between an address and a FromID or tag.
    pub catchall_separator: char,
    /// Nothing may be sent from it. Mail to it is taken all the same, so that reports about what was sent come back.
    pub disabled: bool,
    /// Its keys, at most 16; `None`: they stay as they are.
    pub dkim: Option<Vec<DkimEntry>>,
    /// For mail from it, at most 1,000. Whether the transports exist is not known here.
    pub routes: Vec<Route>,
}

/// A DKIM key.
#[derive(Clone, PartialEq, Eq)]
pub struct DkimEntry {
    /// Where its record is in DNS; no other key of the domain has it.
    pub selector: String,
    /// The private key as PKCS#8 DER; a secret.
    pub pkcs8: Vec<u8>,
}

impl fmt::Debug for DkimEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DkimEntry").field("selector", &self.selector).finish_non_exhaustive()
    }
}

/// Punctuation that may stand in a localpart without quotes (RFC 5322, 3.2.3).
const SEPARATORS: &str = "+-_=~!#$%&'*/?^`{|}";

impl DomainEntry {
    pub(super) fn read(mut section: Section<'_, '_>) -> Option<DomainEntry> {
        let origin = section.origin();
        let name = section.required("name", domain);
        let catchall_separator = section.optional("catchall_separator", separator).unwrap_or('+');
        let disabled = section.optional("disabled", flag).unwrap_or(false);
        let has_dkim = section.has("dkim");
        let dkim = section.sections("dkim", 16, DkimEntry::read);
        let mut selectors: Vec<_> = dkim.iter().map(|key| key.selector.to_ascii_lowercase()).collect();
        selectors.sort_unstable();
        section.check(
            "dkim",
            selectors.windows(2).all(|two| two[0] != two[1]),
            "two keys have the same selector",
        );
        let routes = section.sections("routes", 1_000, routes::read_unchecked);
        Some(DomainEntry {
            origin,
            name: name?,
            catchall_separator,
            disabled,
            dkim: has_dkim.then_some(dkim),
            routes,
        })
    }
}

impl DkimEntry {
    fn read(mut section: Section<'_, '_>) -> Option<DkimEntry> {
        let selector = section.required("selector", selector);
        let key = section.secret_as("key", "private_key_file", pem);
        let pkcs8 = match &key {
            Some(pem) => match DkimKey::pkcs8_from_pem(pem.expose()) {
                Ok(pkcs8) => Some(pkcs8),
                Err(error) => {
                    let key = if section.place("key").is_some() { "key" } else { "private_key_file" };
                    section.fail(key, &error.to_string());
                    None
                }
            },
            None => {
                section.check("key", false, "is missing: give `key` or `private_key_file`");
                None
            }
        };
        Some(DkimEntry { selector: selector?, pkcs8: pkcs8? })
    }
}

fn selector(value: &Value) -> Result<String, String> {
    let given = text(value)?;
    mail::is_dkim_selector(given)
        .then(|| given.to_owned())
        .ok_or_else(|| "must be 1 to 63 letters, digits, hyphens and underscores between dots".to_owned())
}

fn separator(value: &Value) -> Result<char, String> {
    choice_of(value, SEPARATORS)
}
