//! Which hosts take mail for a domain, in which order (RFC 5321 5.1): pure rules.

use crate::dns::{Answer, Mx};
use mail::Domain;

/// Exchangers that are considered; a domain with more has others to choose from.
const EXCHANGES_MAX: usize = 16;

/// Why no host takes mail for a domain. Asking again at once would not change it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoExchange {
    #[error("the domain {0} does not exist")]
    NoSuchDomain(String),
    #[error("the domain {0} takes no mail (null MX)")]
    NullMx(String),
    #[error(
        "mail for {0} loops back to this server: it is the domain's mail exchanger, and knows no account there"
    )]
    Loop(String),
    #[error("none of the mail exchangers of {0} has a valid name")]
    Malformed(String),
}

/// The hosts to try for `domain`, in this order. `own_name` is this server's; `shuffle` puts hosts of equal
/// preference in any order.
pub(crate) fn exchanges(
    domain: &str,
    answer: &Answer<Mx>,
    own_name: &str,
    mut shuffle: impl FnMut(&mut [String]),
) -> Result<Vec<String>, NoExchange> {
    if !answer.exists {
        return Err(NoExchange::NoSuchDomain(domain.to_owned()));
    }
    if answer.records.is_empty() {
        // The domain itself, which CNAMEs may have led to.
        let host = answer.canonical.as_deref().unwrap_or(domain);
        return match host == own_name {
            true => Err(NoExchange::Loop(domain.to_owned())),
            false => Ok(vec![host.to_owned()]),
        };
    }
    if answer.records.iter().all(|mx| mx.exchange.is_empty()) {
        return Err(NoExchange::NullMx(domain.to_owned()));
    }
    // Only hosts that are preferred to this server get mail from it; others would give it back.
    let own = answer.records.iter().filter(|mx| mx.exchange == own_name).map(|mx| mx.preference).min();
    let mut usable: Vec<&Mx> = answer
        .records
        .iter()
        .filter(|mx| own.is_none_or(|own| mx.preference < own))
        .filter(|mx| Domain::parse(&mx.exchange).is_ok_and(|name| !name.is_literal()))
        .collect();
    usable.sort_by_key(|mx| mx.preference);
    if usable.is_empty() {
        return Err(match own {
            Some(_) => NoExchange::Loop(domain.to_owned()),
            None => NoExchange::Malformed(domain.to_owned()),
        });
    }
    let mut hosts = Vec::new();
    for equals in usable.chunk_by(|a, b| a.preference == b.preference) {
        let mut names: Vec<String> = equals.iter().map(|mx| mx.exchange.clone()).collect();
        shuffle(&mut names);
        hosts.extend(names);
    }
    let mut seen = std::collections::HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts.truncate(EXCHANGES_MAX);
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(records: &[(u16, &str)]) -> Answer<Mx> {
        let mx = |(preference, exchange): &(u16, &str)| Mx {
            preference: *preference,
            exchange: (*exchange).to_owned(),
        };
        Answer::of(records.iter().map(mx).collect())
    }

    fn hosts(answer: &Answer<Mx>) -> Result<Vec<String>, NoExchange> {
        exchanges("remote.example", answer, "us.example", |names| names.sort())
    }

    #[test]
    fn hosts_come_by_preference_and_only_those_that_are_better_than_ourselves() {
        for (records, expected) in [
            (&[(20, "b.example"), (10, "a.example")][..], &["a.example", "b.example"][..]),
            (
                &[(10, "b.example"), (10, "a.example"), (5, "c.example")],
                &["c.example", "a.example", "b.example"],
            ),
            (&[], &["remote.example"]),
            (&[(10, "a.example"), (20, "us.example"), (20, "b.example"), (30, "c.example")], &["a.example"]),
            (&[(10, "a.example"), (20, "a.example")], &["a.example"]),
            (&[(0, ""), (10, "a.example")], &["a.example"]),
            (&[(10, "-bad-.example"), (20, "192.0.2.1"), (30, "a.example")], &["a.example"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|host| (*host).to_owned()).collect();
            assert_eq!(hosts(&answer(records)), Ok(expected), "{records:?}");
        }
    }

    #[test]
    fn a_domain_without_a_way_in_says_why() {
        let domain = || "remote.example".to_owned();
        let missing = Answer { exists: false, ..answer(&[]) };
        assert_eq!(hosts(&missing), Err(NoExchange::NoSuchDomain(domain())));
        assert_eq!(hosts(&answer(&[(0, "")])), Err(NoExchange::NullMx(domain())));
        assert_eq!(hosts(&answer(&[(10, "us.example")])), Err(NoExchange::Loop(domain())));
        assert_eq!(hosts(&answer(&[(10, "us.example"), (10, "a.example")])), Err(NoExchange::Loop(domain())));
        assert_eq!(hosts(&answer(&[(10, "..")])), Err(NoExchange::Malformed(domain())));
        let own = Answer { canonical: Some("us.example".into()), ..answer(&[]) };
        assert_eq!(hosts(&own), Err(NoExchange::Loop(domain())));
    }

    #[test]
    fn a_domain_that_is_a_cname_without_mx_is_reached_at_its_target() {
        let cname = Answer { canonical: Some("target.example".into()), ..answer(&[]) };
        assert_eq!(hosts(&cname), Ok(vec!["target.example".to_owned()]));
    }

    #[test]
    fn only_hosts_of_equal_preference_are_shuffled() {
        let records = answer(&[(10, "a.example"), (20, "b.example"), (20, "c.example"), (30, "d.example")]);
        let reversed = exchanges("x.example", &records, "us.example", |names| names.reverse());
        assert_eq!(reversed.unwrap(), ["a.example", "c.example", "b.example", "d.example"]);
    }
}
