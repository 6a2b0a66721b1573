//! `/directory`: domains and accounts.

use super::{ControlError, answer};
use crate::{app::App, directory::DirectoryState};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use actors::WriteError;
use serde::{Deserialize, Serialize};
use std::future::{Ready, ready};
use store::{DirectoryChange, Refusal};

/// That something was done, and nothing more is to be said.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Done {}

/// `GET /directory`.
pub(super) fn show(app: Data<App>) -> Ready<Result<HttpResponse, ControlError>> {
    ready(answer(&DirectoryState::from(&*app.handles.store.directory())))
}

/// `POST /directory`: a change that was decided by what [`show`] answered.
pub(super) async fn change(
    app: Data<App>,
    change: Json<DirectoryChange>,
) -> Result<HttpResponse, ControlError> {
    match app.handles.writer.change_directory(change.into_inner()).await {
        Ok(()) => answer(&Done {}),
        Err(error @ WriteError::Refused(Refusal::DirectoryChanged)) => Err(ControlError::conflict(error)),
        Err(error) => Err(error.into()),
    }
}
