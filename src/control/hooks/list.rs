//! Lists of hooks, and one hook.

use super::shown::{Context, ShownHook, ShownRetiredHook};
use crate::{
    app::App,
    control::{ControlError, Selection, answer, slices},
};
use actix_web::{
    HttpResponse,
    web::{self, Data, Json, Path},
};
use actors::WebhookSnapshot;
use mail::{HookId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{HookFilter, RetiredHookFilter, Store};

/// Which page of hooks, in the order in which they were made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HookListRequest<F> {
    /// Of these.
    pub selection: Selection<F>,
    /// The other way round.
    pub descending: bool,
    /// What the page before ended with.
    pub after: Option<String>,
    /// At most so many, at most 10,000.
    pub limit: usize,
}

/// A page of hooks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HookList<H> {
    /// The hooks.
    pub hooks: Vec<H>,
    /// What to give as `after` for the next page; `None`: there is none.
    pub next: Option<String>,
}

/// A page of the pending hooks. `snapshot` is what the webhook actor is doing, where there is one.
///
/// # Errors
/// When the request names what there is not.
pub fn hooks(
    store: &Store,
    now: Timestamp,
    snapshot: Option<&WebhookSnapshot>,
    request: &HookListRequest<HookFilter>,
) -> Result<HookList<ShownHook>, ControlError> {
    let directory = store.directory();
    let filter = request.selection.resolve(&directory)?;
    let start = after(request.after.as_deref())?;
    let context = Context { directory: &directory, snapshot, now };
    let (hooks, next) = slices::page(start, request.limit, |after, limit| {
        let slice = store.read(|view| view.hook_slice(&filter, *after, request.descending, limit))?;
        let shown = slice.rows.into_iter().map(|(id, hook)| context.hook(id, hook)).collect();
        Ok((shown, slice.next.map(Some)))
    })?;
    Ok(HookList { hooks, next: key(next) })
}

/// A page of the hooks that are done with.
///
/// # Errors
/// When the request names what there is not.
pub fn retired_hooks(
    store: &Store,
    request: &HookListRequest<RetiredHookFilter>,
) -> Result<HookList<ShownRetiredHook>, ControlError> {
    let directory = store.directory();
    let filter = request.selection.resolve(&directory)?;
    let start = after(request.after.as_deref())?;
    let (hooks, next) = slices::page(start, request.limit, |after, limit| {
        let slice = store.read(|view| view.retired_hook_slice(&filter, *after, request.descending, limit))?;
        let shown = slice.rows.into_iter().map(|(id, retired)| ShownRetiredHook::of(id, retired, &directory));
        Ok((shown.collect(), slice.next.map(Some)))
    })?;
    Ok(HookList { hooks, next: key(next) })
}

/// A pending hook.
///
/// # Errors
/// When it is not there.
pub fn hook(
    store: &Store,
    now: Timestamp,
    snapshot: Option<&WebhookSnapshot>,
    id: HookId,
) -> Result<ShownHook, ControlError> {
    let found = store.read(|view| view.hook(id))?;
    let context = Context { directory: &store.directory(), snapshot, now };
    found.map(|hook| context.hook(id, hook)).ok_or_else(|| {
        ControlError::not_found(format!(
            "no hook {id} is to be called; where it is done with, `postrider hooks retired show {id}` may know it"
        ))
    })
}

/// A hook that is done with.
///
/// # Errors
/// When history has none with that id.
pub fn retired_hook(store: &Store, id: HookId) -> Result<ShownRetiredHook, ControlError> {
    let found = store.read(|view| view.retired_hook(id))?;
    found
        .map(|retired| ShownRetiredHook::of(id, retired, &store.directory()))
        .ok_or_else(|| ControlError::not_found(format!("history has no hook {id}")))
}

fn after(key: Option<&str>) -> Result<Option<HookId>, ControlError> {
    let wrong = |_| {
        ControlError::refused(
            "this is not where a list of hooks goes on; give the key that the list before it ended with",
        )
    };
    key.map(|key| key.parse().map(HookId).map_err(wrong)).transpose()
}

fn key(next: Option<Option<HookId>>) -> Option<String> {
    next.flatten().map(|id| id.to_string())
}

/// `POST /hooks/list`.
pub(super) async fn list(
    app: Data<App>,
    Json(request): Json<HookListRequest<HookFilter>>,
) -> Result<HttpResponse, ControlError> {
    let snapshot = app.handles.webhook_snapshot().await;
    let (store, now) = (app.handles.store.clone(), app.handles.clock.now());
    answer(&web::block(move || hooks(&store, now, snapshot.as_ref(), &request)).await??)
}

/// `POST /hooks/retired/list`.
pub(super) async fn list_retired(
    app: Data<App>,
    Json(request): Json<HookListRequest<RetiredHookFilter>>,
) -> Result<HttpResponse, ControlError> {
    let store = app.handles.store.clone();
    answer(&web::block(move || retired_hooks(&store, &request)).await??)
}

/// `GET /hooks/{id}`.
pub(super) async fn show(app: Data<App>, id: Path<u64>) -> Result<HttpResponse, ControlError> {
    let snapshot = app.handles.webhook_snapshot().await;
    let (store, now) = (app.handles.store.clone(), app.handles.clock.now());
    answer(&web::block(move || hook(&store, now, snapshot.as_ref(), HookId(*id))).await??)
}

/// `GET /hooks/retired/{id}`.
pub(super) async fn show_retired(app: Data<App>, id: Path<u64>) -> Result<HttpResponse, ControlError> {
    let store = app.handles.store.clone();
    answer(&web::block(move || retired_hook(&store, HookId(*id))).await??)
}
