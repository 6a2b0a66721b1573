//! Which domains a route is for.

use mail::Domain;

/// A domain, or all names below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainPattern {
    /// This domain only; written `example.com`.
    Exactly(Domain),
    /// Every name below this domain, not the domain itself; written `.example.com`.
    Below(Domain),
}

impl DomainPattern {
    /// Whether `domain` is meant.
    pub fn matches(&self, domain: &Domain) -> bool {
        match self {
            DomainPattern::Exactly(one) => one == domain,
            DomainPattern::Below(parent) => domain
                .as_ascii()
                .strip_suffix(parent.as_ascii())
                .is_some_and(|labels| labels.len() > 1 && labels.ends_with('.')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_the_domain_or_the_names_below_it() {
        let domain = |text: &str| Domain::parse(text).unwrap();
        let exactly = DomainPattern::Exactly(domain("example.com"));
        let below = DomainPattern::Below(domain("example.com"));
        for (text, is, is_below) in [
            ("example.com", true, false),
            ("EXAMPLE.com", true, false),
            ("a.example.com", false, true),
            ("a.b.example.com", false, true),
            ("notexample.com", false, false),
            ("example.org", false, false),
        ] {
            assert_eq!(
                (exactly.matches(&domain(text)), below.matches(&domain(text))),
                (is, is_below),
                "{text}"
            );
        }
    }
}
