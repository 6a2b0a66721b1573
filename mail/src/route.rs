//! Routes: which messages take which transport.

use crate::{Domain, DomainPattern};
use serde::{Deserialize, Serialize};

/// Sends some messages by a transport.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The name of a transport that exists.
    pub transport: String,
    /// Senders' domains, at most 10,000; none: every domain.
    pub from_domains: Vec<DomainPattern>,
    /// Recipients' domains, at most 10,000; none: every domain.
    pub to_domains: Vec<DomainPattern>,
    /// Attempts that a message must have behind it.
    pub minimum_attempts: u32,
}

impl Route {
    /// Whether a message takes this route: `from` is the sender's domain, none for an empty return path, which only
    /// fits a route for every sender; `attempts` were made before.
    pub fn matches(&self, from: Option<&Domain>, to: &Domain, attempts: u32) -> bool {
        let from_fits = self.from_domains.is_empty()
            || from.is_some_and(|from| self.from_domains.iter().any(|pattern| pattern.matches(from)));
        let to_fits = self.to_domains.is_empty() || self.to_domains.iter().any(|pattern| pattern.matches(to));
        from_fits && to_fits && attempts >= self.minimum_attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_fits_when_all_it_names_fits() {
        let domain = |text: &str| Domain::parse(text).unwrap();
        let only = |text: &str| vec![DomainPattern::Exactly(domain(text))];
        let route = |from: Vec<_>, to: Vec<_>, minimum_attempts| Route {
            transport: "t".to_owned(),
            from_domains: from,
            to_domains: to,
            minimum_attempts,
        };
        for (name, route, fits) in [
            ("everything", route(vec![], vec![], 0), true),
            ("the sender", route(only("from.example"), vec![], 0), true),
            ("another sender", route(only("other.example"), vec![], 0), false),
            ("the recipient", route(vec![], only("to.example"), 0), true),
            ("another recipient", route(vec![], only("from.example"), 0), false),
            ("both", route(only("from.example"), only("to.example"), 3), true),
            ("more attempts", route(vec![], vec![], 4), false),
        ] {
            let (from, to) = (domain("from.example"), domain("to.example"));
            assert_eq!(route.matches(Some(&from), &to, 3), fits, "{name}");
        }
        assert!(!route(only("from.example"), vec![], 0).matches(None, &domain("to.example"), 0));
        assert!(route(vec![], vec![], 0).matches(None, &domain("to.example"), 0));
    }
}
