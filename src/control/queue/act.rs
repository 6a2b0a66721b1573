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
use actors::{Operation, Part, Stretch};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// What to do with which messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActRequest {
    /// These.
    pub selection: Selection,
    /// This.
    pub operation: Operation,
    /// Of these, those that an answer said are left; none: all that are queued now.
    #[serde(default)]
    pub stretch: Option<Stretch>,
}

/// How long one call goes on. The next one does the rest, so that a person sees how far it has come.
const PART: Duration = Duration::from_millis(500);

/// `POST /queue/act`.
pub(super) async fn act(
    app: Data<App>,
    Json(ActRequest { selection, operation, stretch }): Json<ActRequest>,
) -> Result<HttpResponse, ControlError> {
    if let Operation::SetTransport(Some(name)) = &operation {
        check_transport(&app, name)?;
    }
    let filter = selection.resolve(&app.handles.store.directory())?;
    let end = Instant::now() + PART;
    let mut done = Part { changed: 0, rest: stretch };
    loop {
        let part = app.handles.operations.operate_part(&filter, &operation, done.rest).await?;
        done = Part { changed: done.changed + part.changed, rest: part.rest };
        if done.rest.is_none() || Instant::now() >= end {
            return answer(&done);
        }
        // A part without a match is done at once; whoever shares the thread gets a turn.
        tokio::task::yield_now().await;
    }
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
