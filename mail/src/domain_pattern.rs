//! Which domains a route is for.

use crate::Domain;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// A domain, or all names below one. Serialised as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DomainPattern {
    /// This domain only; written `example.com`.
    Exactly(Domain),
    /// Every name below this domain, not the domain itself; written `.example.com`.
    Below(Domain),
}

/// A text that is no domain pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a domain name, as \"example.com\", or \".example.com\" for all names below it")]
pub struct DomainPatternError;

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

impl FromStr for DomainPattern {
    type Err = DomainPatternError;

    fn from_str(text: &str) -> Result<DomainPattern, DomainPatternError> {
        let named = |text| match Domain::parse(text) {
            Ok(domain) if !domain.is_literal() => Ok(domain),
            _ => Err(DomainPatternError),
        };
        match text.strip_prefix('.') {
            Some(parent) => named(parent).map(DomainPattern::Below),
            None => named(text).map(DomainPattern::Exactly),
        }
    }
}

impl fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DomainPattern::Exactly(domain) => f.write_str(domain.as_ascii()),
            DomainPattern::Below(parent) => write!(f, ".{}", parent.as_ascii()),
        }
    }
}

impl Serialize for DomainPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DomainPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DomainPattern, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_the_domain_or_the_names_below_it() {
        let domain = |text: &str| Domain::parse(text).unwrap();
        let exactly: DomainPattern = "example.com".parse().unwrap();
        let below: DomainPattern = ".example.com".parse().unwrap();
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

    #[test]
    fn a_pattern_reads_back_what_it_wrote() {
        for text in ["example.com", ".example.com", ".xn--bcher-kva.example"] {
            let pattern: DomainPattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), text);
            let stored = postcard::to_stdvec(&pattern).unwrap();
            assert_eq!(postcard::from_bytes::<DomainPattern>(&stored).unwrap(), pattern);
            assert_eq!(serde_json::to_string(&pattern).unwrap(), format!("{text:?}"));
        }
        for text in ["", ".", "..example.com", "*.example.com", "[192.0.2.1]", "a b"] {
            assert_eq!(text.parse::<DomainPattern>(), Err(DomainPatternError), "{text}");
        }
    }
}
