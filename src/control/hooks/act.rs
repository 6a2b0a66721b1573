//! What is done with hooks.

use crate::{
    app::App,
    control::{ActRequest, ControlError, Selection, answer, slices::parts},
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use actors::{HookDeed, Part, ResentPart, Stretch};
use mail::HookId;
use serde::{Deserialize, Serialize};
use store::{HookFilter, RetiredHookFilter};

/// Which retired hooks to tell again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResendRequest {
    /// These.
    pub selection: Selection<RetiredHookFilter>,
    /// Of these, those that an answer said are left; none: all that there are now.
    #[serde(default)]
    pub stretch: Option<Stretch<HookId>>,
}

/// `POST /hooks/act`.
pub(super) async fn act(
    app: Data<App>,
    Json(request): Json<ActRequest<HookFilter, HookDeed, HookId>>,
) -> Result<HttpResponse, ControlError> {
    let filter = request.selection.resolve(&app.handles.store.directory())?;
    let (mut changed, mut found) = (0, Vec::new());
    let rest = parts(request.stretch, async |stretch| {
        let part = app.handles.hooks.operate_part(&filter, request.operation, stretch).await?;
        changed += part.changed;
        found.extend(part.found);
        Ok(part.rest)
    });
    let rest = rest.await?;
    answer(&Part { changed, found, rest })
}

/// `POST /hooks/retired/resend`.
pub(super) async fn resend(
    app: Data<App>,
    Json(request): Json<ResendRequest>,
) -> Result<HttpResponse, ControlError> {
    let filter = request.selection.resolve(&app.handles.store.directory())?;
    let (mut made, mut found, mut without_webhook) = (Vec::new(), Vec::new(), 0);
    let rest = parts(request.stretch, async |stretch| {
        let part = app.handles.hooks.resend_part(&filter, stretch).await?;
        made.extend(part.made);
        found.extend(part.found);
        without_webhook += part.without_webhook;
        Ok(part.rest)
    });
    let rest = rest.await?;
    answer(&ResentPart { made, found, without_webhook, rest })
}
