//! `[[destinations]]`: what some destinations get at most.

use crate::{
    Transport,
    source::{Section, domain_pattern, number, text},
};
use mail::{Domain, DomainPattern};

/// What some destinations get at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationLimits {
    /// Recipients' domains, at most 10,000.
    pub domains: Vec<DomainPattern>,
    /// Names of transports that deliver to one host, at most 1000.
    pub transports: Vec<String>,
    /// Connections at once; none: as `[delivery]` says.
    pub connections_max: Option<usize>,
    /// Transactions begun in a minute; none: as many as there are.
    pub messages_per_minute: Option<u32>,
    /// Messages over one connection; none: as `[delivery]` says.
    pub connection_messages_max: Option<usize>,
    /// Recipients in one transaction; none: as `[delivery]` says.
    pub recipients_per_transaction_max: Option<usize>,
}

impl DestinationLimits {
    /// Whether a recipient's domain is meant.
    pub fn mean_domain(&self, domain: &Domain) -> bool {
        self.domains.iter().any(|pattern| pattern.matches(domain))
    }

    pub(crate) fn read(mut section: Section<'_, '_>, known: &[Transport]) -> Option<DestinationLimits> {
        let complete = section.all_well();
        let limits = DestinationLimits {
            domains: section.list("domains", 10_000, domain_pattern),
            transports: section.list("transports", 1000, |value| text(value).map(str::to_owned)),
            connections_max: section.optional("connections_max", number(1..=10_000)),
            messages_per_minute: section.optional("messages_per_minute", number(1..=10_000_000)),
            connection_messages_max: section.optional("connection_messages_max", number(1..=1_000_000)),
            recipients_per_transaction_max: section
                .optional("recipients_per_transaction_max", number(1..=1000)),
        };
        let named = !limits.domains.is_empty() || !limits.transports.is_empty();
        section.check("domains", named, "or `transports` must say which destinations are meant");
        let exist =
            limits.transports.iter().all(|name| known.iter().any(|transport| transport.name == *name));
        section.check("transports", exist || !complete, "must be names of [[transports]]");
        Some(limits)
    }
}
