//! What is done with messages of the queue.

use crate::{
    app::App,
    control::{ActRequest, ControlError, answer, slices::parts},
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use actors::{Operation, Part};
use mail::QueueId;
use store::QueueFilter;

/// `POST /queue/act`.
pub(super) async fn act(
    app: Data<App>,
    Json(request): Json<ActRequest<QueueFilter, Operation, QueueId>>,
) -> Result<HttpResponse, ControlError> {
    if let Operation::SetTransport(Some(name)) = &request.operation {
        check_transport(&app, name)?;
    }
    let filter = request.selection.resolve(&app.handles.store.directory())?;
    let (mut changed, mut found) = (0, Vec::new());
    let rest = parts(request.stretch, async |stretch| {
        let part = app.handles.operations.operate_part(&filter, &request.operation, stretch).await?;
        changed += part.changed;
        found.extend(part.found);
        Ok(part.rest)
    });
    let rest = rest.await?;
    answer(&Part { changed, found, rest })
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
