//! `/directory`: domains and accounts.

use super::{ControlError, answer};
use crate::app::App;
use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use std::future::{Ready, ready};
use store::{
    Directory,
    records::{AccountRecord, DomainRecord},
};

/// All domains and accounts, secrets included, in the order of their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DirectoryState {
    /// The domains.
    pub domains: Vec<DomainRecord>,
    /// The accounts.
    pub accounts: Vec<AccountRecord>,
}

impl From<&Directory> for DirectoryState {
    fn from(directory: &Directory) -> DirectoryState {
        let mut domains: Vec<_> = directory.domains().map(|domain| domain.record.clone()).collect();
        let mut accounts: Vec<_> = directory.accounts().map(|account| account.record.clone()).collect();
        domains.sort_by(|a, b| a.name.cmp(&b.name));
        accounts.sort_by(|a, b| a.name.cmp(&b.name));
        DirectoryState { domains, accounts }
    }
}

/// `GET /directory`.
pub(super) fn show(app: Data<App>) -> Ready<Result<HttpResponse, ControlError>> {
    ready(answer(&DirectoryState::from(&*app.handles.store.directory())))
}
