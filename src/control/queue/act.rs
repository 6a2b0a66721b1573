//! What is done with messages of the queue.

use super::Selection;
use crate::{
    app::App,
    control::{ControlError, answer},
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use actors::Operation;
use serde::{Deserialize, Serialize};

/// What to do with which messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActRequest {
    /// These.
    pub selection: Selection,
    /// This.
    pub operation: Operation,
}

/// How many messages that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Their number.
    pub changed: usize,
}

/// `POST /queue/act`.
pub(super) async fn act(
    app: Data<App>,
    Json(ActRequest { selection, operation }): Json<ActRequest>,
) -> Result<HttpResponse, ControlError> {
    if let Operation::SetTransport(Some(name)) = &operation {
        check_transport(&app, name)?;
    }
    let filter = selection.resolve(&app.handles.store.directory())?;
    let changed = app.handles.operations.operate(&filter, &operation).await?;
    answer(&Changed { changed })
}

fn check_transport(app: &App, name: &str) -> Result<(), ControlError> {
    let names: Vec<_> = app.settings.transports.iter().map(|transport| transport.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    Err(ControlError::refused(match names.is_empty() {
        true => format!("there is no transport {name:?}: the settings have no [[transports]]"),
        false => format!("there is no transport {name:?}; the settings have {}", names.join(", ")),
    }))
}
