//! Which messages or hooks, as an operator says it.

use super::ControlError;
use actors::{Operation, Stretch};
use mail::{AccountId, HookId, QueueId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::Display;
use store::{Directory, HookFilter, QueueFilter, RetiredHookFilter};

/// A filter of the store.
pub trait Filter: Clone + Default + PartialEq {
    /// What its messages or hooks are named by.
    type Id: Copy + Ord + Display + Serialize + DeserializeOwned;

    /// The ids it names; none: any.
    fn ids(&self) -> &[Self::Id];

    /// Whose messages or hooks it means.
    fn account(&mut self) -> &mut Option<AccountId>;
}

impl Filter for QueueFilter {
    type Id = QueueId;

    fn ids(&self) -> &[QueueId] {
        &self.ids
    }

    fn account(&mut self) -> &mut Option<AccountId> {
        &mut self.account
    }
}

impl Filter for HookFilter {
    type Id = HookId;

    fn ids(&self) -> &[HookId] {
        &self.ids
    }

    fn account(&mut self) -> &mut Option<AccountId> {
        &mut self.account
    }
}

impl Filter for RetiredHookFilter {
    type Id = HookId;

    fn ids(&self) -> &[HookId] {
        self.hook.ids()
    }

    fn account(&mut self) -> &mut Option<AccountId> {
        self.hook.account()
    }
}

/// A filter, with the account by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection<F = QueueFilter> {
    /// The name of the account.
    pub account: Option<String>,
    /// The rest; its account is that of the name.
    pub filter: F,
}

/// What to do with which messages or hooks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActRequest<F = QueueFilter, O = Operation, Id = QueueId> {
    /// These.
    pub selection: Selection<F>,
    /// This.
    pub operation: O,
    /// Of these, those that an answer said are left; none: all that there are now.
    #[serde(default = "Option::default")]
    pub stretch: Option<Stretch<Id>>,
}

impl<F: Filter> Selection<F> {
    /// Whether nothing is asked, so that everything is meant.
    pub fn is_everything(&self) -> bool {
        *self == Selection { account: None, filter: F::default() }
    }

    pub(super) fn resolve(&self, directory: &Directory) -> Result<F, ControlError> {
        if self.filter.ids().len() > QueueFilter::IDS_MAX {
            let most = QueueFilter::IDS_MAX;
            return Err(ControlError::refused(format!("at most {most} ids can be given at a time")));
        }
        let mut filter = self.filter.clone();
        *filter.account() = match &self.account {
            Some(name) => Some(account_named(directory, name)?),
            None => None,
        };
        Ok(filter)
    }
}

pub(super) fn account_named(directory: &Directory, name: &str) -> Result<AccountId, ControlError> {
    let account = directory.accounts().find(|account| account.record.name == name);
    account.map(|account| account.id).ok_or_else(|| no_account(name))
}

pub(super) fn no_account(name: &str) -> ControlError {
    ControlError::not_found(format!("there is no account {name:?}; `postrider account list` shows them"))
}

/// An account may be gone before its last message or hook.
pub(super) fn account_name(directory: &Directory, id: AccountId) -> String {
    directory.account(id).map_or_else(|| format!("#{id}"), |account| account.record.name.clone())
}
