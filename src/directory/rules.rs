//! What has to hold between domains and accounts.

use super::written;
use mail::{Address, Domain};
use std::collections::BTreeMap;
use store::records::{AccountRecord, AddressPattern, DomainRecord};

/// A rule that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The account that is wrong.
    pub account: String,
    /// Which of its options.
    pub option: &'static str,
    /// The address that is wrong, as people write it.
    pub address: String,
    /// What is wrong, and what to do.
    pub text: String,
}

/// Everything that is wrong with domains and accounts together.
pub fn problems<'r>(
    domains: impl Iterator<Item = &'r DomainRecord>,
    accounts: impl Iterator<Item = &'r AccountRecord>,
) -> Vec<Problem> {
    let domains: BTreeMap<_, _> = domains.map(|domain| (&domain.name, domain.catchall_separator)).collect();
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for account in accounts {
        let mut problem = |option, address: String, text: String| {
            problems.push(Problem { account: account.name.clone(), option, address, text });
        };
        for pattern in &account.addresses {
            let domain = match pattern {
                AddressPattern::Address(address) => address.domain(),
                AddressPattern::CatchAll(domain) => domain,
            };
            if !domains.contains_key(domain) {
                let text = format!(
                    "{}: the domain {domain} is not there; add it first: postrider domain add {domain}",
                    written(pattern)
                );
                problem("addresses", written(pattern), text);
            }
            if let Some(separator) = separator_in(pattern, &domains) {
                let text = format!(
                    "{} has the separator \"{separator}\" of its domain in it, so that what is sent from it would come \
                    back to another address; take one without it, or give the domain another catchall_separator with \
                    postrider directory apply",
                    written(pattern)
                );
                problem("addresses", written(pattern), text);
            }
            match owners.insert(identity(pattern), &account.name) {
                Some(other) if other == account.name => {
                    problem("addresses", written(pattern), format!("{} is there twice", written(pattern)));
                }
                Some(other) => {
                    let text = format!("{} belongs to the account \"{other}\" already", written(pattern));
                    problem("addresses", written(pattern), text);
                }
                None => {}
            }
        }
        for address in &account.from_id_login_addresses {
            if !owns(account, address) {
                let text = format!("{address} is not one of the account's addresses");
                problem("from_id_login_addresses", address.to_string(), text);
            }
        }
    }
    problems
}

/// The separator of the domain, if the address has it: what stands behind it is no part of the account's address.
fn separator_in(pattern: &AddressPattern, domains: &BTreeMap<&Domain, char>) -> Option<char> {
    let AddressPattern::Address(address) = pattern else { return None };
    let separator = *domains.get(address.domain())?;
    address.localpart().as_str().contains(separator).then_some(separator)
}

/// Two addresses with the same one reach the same account: the case of letters does not count.
fn identity(pattern: &AddressPattern) -> String {
    match pattern {
        AddressPattern::Address(address) => lower(address),
        AddressPattern::CatchAll(domain) => format!("@{}", domain.as_ascii()),
    }
}

fn lower(address: &Address) -> String {
    format!("{}@{}", address.localpart().as_str().to_lowercase(), address.domain().as_ascii())
}

fn owns(account: &AccountRecord, address: &Address) -> bool {
    account.addresses.iter().any(|pattern| match pattern {
        AddressPattern::Address(own) => lower(own) == lower(address),
        AddressPattern::CatchAll(domain) => domain == address.domain(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{account, domain};

    fn with(name: &str, addresses: &[&str], logins: &[&str]) -> AccountRecord {
        let mut record = account(name);
        let pattern = |text: &&str| match text.strip_prefix('@') {
            Some(domain) => AddressPattern::CatchAll(domain.parse().unwrap()),
            None => AddressPattern::Address(text.parse().unwrap()),
        };
        record.addresses = addresses.iter().map(pattern).collect();
        record.from_id_login_addresses = logins.iter().map(|text| text.parse().unwrap()).collect();
        record
    }

    #[test]
    fn an_address_belongs_to_one_account_in_a_domain_that_is_there() {
        let domains = [domain("a.example"), domain("b.example")];
        for (name, one, logins, two, expected) in [
            ("all is well", &["x@a.example", "@a.example"][..], &["y@a.example"][..], "y@a.example", None),
            ("no domain", &["x@c.example"], &[], "y@a.example", Some("the domain c.example is not there")),
            ("no domain of a catch-all", &["@c.example"], &[], "y@a.example", Some("domain add c.example")),
            (
                "two accounts",
                &["x@a.example"],
                &[],
                "X@A.example",
                Some("belongs to the account \"one\" already"),
            ),
            ("two catch-alls", &["@a.example"], &[], "@a.example", Some("belongs to the account \"one\"")),
            (
                "a separator",
                &["no+reply@a.example"],
                &[],
                "y@a.example",
                Some("has the separator \"+\" of its domain"),
            ),
            ("twice", &["x@a.example", "X@a.example"], &[], "y@a.example", Some("is there twice")),
            (
                "a foreign login",
                &["x@a.example"],
                &["z@a.example"],
                "y@a.example",
                Some("is not one of the account's"),
            ),
        ] {
            let accounts = [with("one", one, logins), with("two", &[two], &[])];
            let found = problems(domains.iter(), accounts.iter());
            match expected {
                None => assert_eq!(found, [], "{name}"),
                Some(text) => {
                    assert_eq!(found.len(), 1, "{name}: {found:?}");
                    assert!(found[0].text.contains(text), "{name}: {found:?}");
                }
            }
        }
    }
}
