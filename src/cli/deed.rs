//! What a command did with one domain, account or rule, for programs; people read a sentence.

use serde::Serialize;
use std::fmt;

/// What was done.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Deed {
    /// With what.
    #[serde(flatten)]
    pub(super) what: Noun,
    /// In a word, as `added`.
    pub(super) done: &'static str,
    /// The password that was made up for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password: Option<String>,
}

/// With what something was done, by its name.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Noun {
    Account(String),
    Domain(String),
    HoldRule(u64),
}

impl Deed {
    /// Without a password.
    pub(super) fn new(what: Noun, done: &'static str) -> Deed {
        Deed { what, done, password: None }
    }
}

/// As `added account app`.
impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deed { what, done, password: _ } = self;
        match what {
            Noun::Account(name) => write!(f, "{done} account {name}"),
            Noun::Domain(name) => write!(f, "{done} domain {name}"),
            Noun::HoldRule(id) => write!(f, "{done} hold rule {id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deed_is_an_object_that_names_what_it_was_done_with() {
        let made =
            Deed { password: Some("secret".into()), ..Deed::new(Noun::Account("app".into()), "added") };
        for (deed, expected) in [
            (made, json!({"account": "app", "done": "added", "password": "secret"})),
            (
                Deed::new(Noun::Domain("example.com".into()), "removed"),
                json!({"domain": "example.com", "done": "removed"}),
            ),
            (Deed::new(Noun::HoldRule(3), "removed"), json!({"hold_rule": 3, "done": "removed"})),
        ] {
            assert_eq!(serde_json::to_value(&deed).unwrap(), expected);
        }
    }
}
