//! Domains and accounts, as the operator changes them: what is stored, what a file wants, and the way from one to the
//! other. Pure, but for password hashing, which takes its time.

mod export;
mod plan;
mod rules;

pub use export::export;
pub use plan::{Action, Context, Kind, Plan, Step, plan};
pub use rules::{Problem, problems};

use serde::{Deserialize, Serialize};
use store::{
    Directory,
    records::{AccountRecord, AddressPattern, DomainRecord},
};

/// All domains and accounts, secrets included, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DirectoryState {
    /// See [`Directory::generation`].
    pub generation: u64,
    /// The hash of the password of the admin pages.
    pub admin_password_hash: Option<AdminPasswordHash>,
    /// The domains.
    pub domains: Vec<DomainRecord>,
    /// The accounts.
    pub accounts: Vec<AccountRecord>,
}

/// A hash that is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdminPasswordHash(pub String);

impl std::fmt::Debug for AdminPasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl From<&Directory> for DirectoryState {
    fn from(directory: &Directory) -> DirectoryState {
        let mut domains: Vec<_> = directory.domains().map(|domain| domain.record.clone()).collect();
        let mut accounts: Vec<_> = directory.accounts().map(|account| account.record.clone()).collect();
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        let hash = directory.admin_password_hash();
        DirectoryState {
            generation: directory.generation(),
            admin_password_hash: hash.map(|hash| AdminPasswordHash(hash.to_owned())),
            domains,
            accounts,
        }
    }
}

/// An address of an account, as people write it.
pub fn written(pattern: &AddressPattern) -> String {
    match pattern {
        AddressPattern::Address(address) => address.to_string(),
        AddressPattern::CatchAll(domain) => format!("@{domain}"),
    }
}
