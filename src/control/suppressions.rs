//! `/suppressions`: the suppression lists.

use super::{ControlError, answer, selection::account_named};
use crate::app::App;
use actix_web::{
    HttpResponse,
    web::{self, Data, Json, ServiceConfig},
};
use actors::{ImportEntry, WriteError};
use mail::{AccountId, Address, QueueId, SuppressionId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{
    Refusal, Store,
    records::{SuppressionRecord, SuppressionSource},
};

/// A page, and the addresses of one import request, are at most so many.
pub const PAGE_MAX: usize = 10_000;

/// An address on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownSuppression {
    /// Of this entry.
    pub id: SuppressionId,
    /// The name of the account.
    pub account: String,
    /// What addresses are compared by.
    pub base_address: String,
    /// The address it was made from.
    pub original_address: String,
    /// Since when it is there.
    pub created: Timestamp,
    /// Who put it there: `manual`, `application`, `queue`, `DSN` or `complaint`.
    pub source: String,
    /// The queue message that caused it.
    pub message: Option<QueueId>,
    /// Why, for people.
    pub reason: String,
}

/// Which page of a list, in the order of base addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuppressionListRequest {
    /// Whose list.
    pub account: String,
    /// What the page before ended with.
    pub after: Option<String>,
    /// At most so many, at most [`PAGE_MAX`].
    pub limit: usize,
}

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuppressionList {
    /// The entries.
    pub entries: Vec<ShownSuppression>,
    /// What to give as `after` for the next page; `None`: there is none.
    pub next: Option<String>,
}

/// Which address to look for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookupRequest {
    /// On whose list; `None`: on all.
    pub account: Option<String>,
    /// By its base address.
    pub address: Address,
}

/// What to put on a list, on behalf of a person.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AddRequest {
    /// Whose list.
    pub account: String,
    /// The address.
    pub address: Address,
    /// Why, for people.
    pub reason: String,
}

/// What to take off a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemoveRequest {
    /// Whose list.
    pub account: String,
    /// By its base address.
    pub address: Address,
}

/// Addresses for a list. Those that are there already stay as they are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportRequest {
    /// Whose list.
    pub account: String,
    /// At most [`PAGE_MAX`].
    pub entries: Vec<ImportEntry>,
}

/// A page of a list.
///
/// # Errors
/// When there is no such account.
pub fn suppression_list(
    store: &Store,
    request: &SuppressionListRequest,
) -> Result<SuppressionList, ControlError> {
    let account = account_named(&store.directory(), &request.account)?;
    let limit = request.limit.clamp(1, PAGE_MAX);
    // One more tells whether there is another page.
    let mut page = store.read(|view| view.suppressions(account, request.after.as_deref(), limit + 1))?;
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|(base, _)| base.clone());
    let entries = page.into_iter().map(|(base, record)| shown(&request.account, base, record)).collect();
    Ok(SuppressionList { entries, next })
}

/// The entries for an address, in the order of the names of accounts.
///
/// # Errors
/// When there is no such account.
pub fn lookup(store: &Store, request: &LookupRequest) -> Result<Vec<ShownSuppression>, ControlError> {
    let directory = store.directory();
    let mut accounts: Vec<(&str, AccountId)> = match &request.account {
        Some(name) => vec![(name, account_named(&directory, name)?)],
        None => directory.accounts().map(|account| (account.record.name.as_str(), account.id)).collect(),
    };
    accounts.sort_unstable();
    let mut found = Vec::new();
    store.read(|view| {
        for (name, account) in accounts {
            if let Some(record) = view.suppression(account, &request.address)? {
                found.push(shown(name, mail::BaseAddress::of(&request.address).to_string(), record));
            }
        }
        Ok(())
    })?;
    Ok(found)
}

fn shown(account: &str, base_address: String, record: SuppressionRecord) -> ShownSuppression {
    ShownSuppression {
        id: record.id,
        account: account.to_owned(),
        base_address,
        original_address: record.original.to_string(),
        created: record.created,
        source: record.source.name().to_owned(),
        message: record.source.message(),
        reason: record.reason,
    }
}

/// The routes of suppression lists.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/suppressions/list", web::post().to(show_list))
        .route("/suppressions/lookup", web::post().to(show_found))
        .route("/suppressions/add", web::post().to(add))
        .route("/suppressions/remove", web::post().to(remove))
        .route("/suppressions/import", web::post().to(import));
}

async fn show_list(
    app: Data<App>,
    Json(request): Json<SuppressionListRequest>,
) -> Result<HttpResponse, ControlError> {
    let store = app.handles.store.clone();
    answer(&web::block(move || suppression_list(&store, &request)).await??)
}

async fn show_found(
    app: Data<App>,
    Json(request): Json<LookupRequest>,
) -> Result<HttpResponse, ControlError> {
    let store = app.handles.store.clone();
    answer(&web::block(move || lookup(&store, &request)).await??)
}

async fn add(app: Data<App>, Json(request): Json<AddRequest>) -> Result<HttpResponse, ControlError> {
    let AddRequest { account: name, address, reason } = request;
    let handles = &app.handles;
    let account = account_named(&handles.store.directory(), &name)?;
    check_reason(&reason)?;
    match handles.suppressions.add(account, address.clone(), reason, SuppressionSource::Manual).await {
        Ok(_) => {}
        Err(WriteError::Refused(Refusal::Exists)) => {
            return Err(ControlError::refused(format!("{address} is on the list of {name} already")));
        }
        Err(error) => return Err(error.into()),
    }
    answer(&lookup(&handles.store, &LookupRequest { account: Some(name), address })?)
}

async fn remove(app: Data<App>, Json(request): Json<RemoveRequest>) -> Result<HttpResponse, ControlError> {
    let RemoveRequest { account: name, address } = request;
    let handles = &app.handles;
    let account = account_named(&handles.store.directory(), &name)?;
    let asked = LookupRequest { account: Some(name.clone()), address: address.clone() };
    let found = lookup(&handles.store, &asked)?;
    match handles.suppressions.remove(account, &address).await {
        Ok(()) => answer(&found),
        Err(WriteError::Refused(Refusal::NotFound)) => {
            Err(ControlError::not_found(format!("{address} is not on the list of {name}")))
        }
        Err(error) => Err(error.into()),
    }
}

async fn import(app: Data<App>, Json(request): Json<ImportRequest>) -> Result<HttpResponse, ControlError> {
    let account = account_named(&app.handles.store.directory(), &request.account)?;
    if request.entries.len() > PAGE_MAX {
        return Err(ControlError::refused(format!("at most {PAGE_MAX} addresses can be given at a time")));
    }
    for entry in &request.entries {
        check_reason(&entry.reason)?;
    }
    answer(&app.handles.suppressions.import(account, request.entries).await?)
}

fn check_reason(reason: &str) -> Result<(), ControlError> {
    let most = SuppressionRecord::REASON_MAX;
    match reason.len() > most {
        true => Err(ControlError::refused(format!("a reason has at most {most} octets; shorten it"))),
        false => Ok(()),
    }
}
