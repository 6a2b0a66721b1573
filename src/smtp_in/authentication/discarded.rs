//! Records of DMARC that do not count since there are several at one name (RFC 9989, section 4.10). mail-auth takes the
//! first of them.

use futures_util::future::join_all;
use hickory_resolver::proto::rr::{Name, RData};
use mail_auth::{
    DnsError, Error, MessageAuthenticator, ResolverCache, Txt, common::parse::TxtRecordParser, dmarc::Dmarc,
};
use std::{borrow::Borrow, collections::HashSet, hash::Hash, time::Instant};

/// The most labels of a name that is asked after that of the author.
const LABELS_MAX: usize = 7;

/// The names with several records, which mail-auth then finds none at. For one message only.
#[derive(Debug)]
pub(super) struct Discarded(HashSet<Box<str>>);

impl Discarded {
    /// Of the names where a record for the domain may be. Their answers are remembered for mail-auth, which meets again
    /// whatever goes wrong here.
    pub(super) async fn find(by: &MessageAuthenticator, domain: &str) -> Discarded {
        let names = names(domain);
        let several = join_all(names.iter().map(|name| Box::pin(has_several(by, name)))).await;
        Discarded(
            names.into_iter().zip(several).filter_map(|(name, several)| several.then_some(name)).collect(),
        )
    }
}

/// As the tree walk has them: the domain itself, and those above it.
fn names(domain: &str) -> Vec<Box<str>> {
    let labels: Vec<_> = domain.split('.').collect();
    let above = 1..labels.len().min(LABELS_MAX + 1);
    let lengths = [labels.len()].into_iter().chain(above.rev());
    lengths.map(|length| format!("_dmarc.{}.", labels[labels.len() - length..].join(".")).into()).collect()
}

async fn has_several(by: &MessageAuthenticator, name: &str) -> bool {
    let Ok(name) = Name::from_str_relaxed(name) else { return false };
    let Ok(found) = by.resolver().txt_lookup(name).await else { return false };
    let records = found.answers().iter().filter(|record| match &record.data {
        RData::TXT(txt) => Dmarc::parse(&txt.txt_data.concat()).is_ok(),
        _ => false,
    });
    records.count() > 1
}

impl ResolverCache<Box<str>, Txt> for Discarded {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // Whereupon it goes on to the next name.
        self.0.contains(name).then(|| Txt::Error(Error::Dns(DnsError::InvalidRecordType)))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_tree_walk() {
        for (domain, expected) in [
            ("test", &["_dmarc.test."][..]),
            ("a.test", &["_dmarc.a.test.", "_dmarc.test."]),
            (
                "1.2.3.4.5.6.7.8.a.test",
                &[
                    "_dmarc.1.2.3.4.5.6.7.8.a.test.",
                    "_dmarc.4.5.6.7.8.a.test.",
                    "_dmarc.5.6.7.8.a.test.",
                    "_dmarc.6.7.8.a.test.",
                    "_dmarc.7.8.a.test.",
                    "_dmarc.8.a.test.",
                    "_dmarc.a.test.",
                    "_dmarc.test.",
                ],
            ),
        ] {
            assert_eq!(names(domain).iter().map(|name| &**name).collect::<Vec<_>>(), expected, "{domain}");
        }
    }
}
