//! Lists of messages, and one message.

use super::shown::{Context, ShownMessage, ShownRetired, ShownReturn};
use crate::{
    app::App,
    control::{ControlError, Selection, answer, slices},
};
use actix_web::{
    HttpResponse,
    web::{self, Data, Json, Path},
};
use actors::SupervisorSnapshot;
use mail::{QueueId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Place, RetiredFilter, SortBy, Store, records::EventKind};

/// Which page of the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListRequest {
    /// Of these messages.
    pub selection: Selection,
    /// In this order.
    pub sort: SortBy,
    /// The other way round.
    pub descending: bool,
    /// What the page before ended with.
    pub after: Option<String>,
    /// At most so many messages, at most 10,000.
    pub limit: usize,
}

/// A page of the queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessageList {
    /// The messages.
    pub messages: Vec<ShownMessage>,
    /// What to give as `after` for the next page; `None`: there is none.
    pub next: Option<String>,
}

/// Which page of history, in the order in which messages were queued.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetiredListRequest {
    /// Of these messages.
    pub selection: Selection,
    /// Whether they were delivered.
    pub success: Option<bool>,
    /// How they left.
    pub event: Option<EventKind>,
    /// The other way round.
    pub descending: bool,
    /// What the page before ended with.
    pub after: Option<String>,
    /// At most so many messages, at most 10,000.
    pub limit: usize,
}

/// A page of history.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RetiredList {
    /// The messages.
    pub messages: Vec<ShownRetired>,
    /// What to give as `after` for the next page; `None`: there is none.
    pub next: Option<String>,
}

/// A page of the queue. `snapshot` is what the delivery actors are doing, where there are any.
///
/// # Errors
/// When the request names what there is not.
pub fn list(
    store: &Store,
    now: Timestamp,
    snapshot: Option<&SupervisorSnapshot>,
    request: &ListRequest,
) -> Result<MessageList, ControlError> {
    let directory = store.directory();
    let filter = request.selection.resolve(&directory)?;
    let start = place(request.sort, request.after.as_deref())?;
    let (messages, next) = slices::page(start, request.limit, |place, limit| {
        let (slice, rules) = store.read(|view| {
            Ok((view.queue_slice(&filter, *place, request.descending, limit)?, view.hold_rules()?))
        })?;
        let context = Context { directory: &directory, rules: &rules, snapshot, now };
        let shown = slice.rows.iter().map(|(id, record)| context.message(*id, record)).collect();
        Ok((shown, slice.next))
    })?;
    Ok(MessageList { messages, next: next.map(|place| place.key()) })
}

/// A page of history.
///
/// # Errors
/// When the request names what there is not.
pub fn retired_list(
    store: &Store,
    now: Timestamp,
    request: &RetiredListRequest,
) -> Result<RetiredList, ControlError> {
    let directory = store.directory();
    let message = request.selection.resolve(&directory)?;
    let filter = RetiredFilter { message, success: request.success, event: request.event };
    let start = place(SortBy::Submitted, request.after.as_deref())?;
    let (messages, next) = slices::page(start, request.limit, |place, limit| {
        let after = match place {
            Place::Submitted(after) => *after,
            Place::NextAttempt(_) => None,
        };
        let (slice, rules) = store.read(|view| {
            Ok((view.retired_slice(&filter, after, request.descending, limit)?, view.hold_rules()?))
        })?;
        let context = Context { directory: &directory, rules: &rules, snapshot: None, now };
        let shown = slice.rows.iter().map(|(_, retired)| context.retired(retired)).collect();
        Ok((shown, slice.next))
    })?;
    Ok(RetiredList { messages, next: next.map(|place| place.key()) })
}

/// A message of the queue.
///
/// # Errors
/// When it is not there.
pub fn message(
    store: &Store,
    now: Timestamp,
    snapshot: Option<&SupervisorSnapshot>,
    id: QueueId,
) -> Result<ShownMessage, ControlError> {
    let (record, rules, returns) =
        store.read(|view| Ok((view.message(id)?, view.hold_rules()?, view.returns(id)?)))?;
    let record = record.ok_or_else(|| {
        ControlError::not_found(format!(
            "no message {id} is in the queue; where it left, `postrider queue retired show {id}` may know it"
        ))
    })?;
    let shown = Context { directory: &store.directory(), rules: &rules, snapshot, now }.message(id, &record);
    Ok(ShownMessage { returns: returns.iter().map(ShownReturn::from).collect(), ..shown })
}

/// A message that left the queue.
///
/// # Errors
/// When history has none with that id.
pub fn retired_message(store: &Store, now: Timestamp, id: QueueId) -> Result<ShownRetired, ControlError> {
    let (record, rules, returns) =
        store.read(|view| Ok((view.retired_message(id)?, view.hold_rules()?, view.returns(id)?)))?;
    let record = record.ok_or_else(|| ControlError::not_found(format!("history has no message {id}")))?;
    let context = Context { directory: &store.directory(), rules: &rules, snapshot: None, now };
    let mut shown = context.retired(&record);
    shown.message.returns = returns.iter().map(ShownReturn::from).collect();
    Ok(shown)
}

fn place(sort: SortBy, after: Option<&str>) -> Result<Place, ControlError> {
    match after {
        Some(key) => Place::parse(sort, key).map_err(ControlError::refused),
        None => Ok(Place::start(sort)),
    }
}

/// `POST /queue/list`.
pub(super) async fn list_queue(
    app: Data<App>,
    Json(request): Json<ListRequest>,
) -> Result<HttpResponse, ControlError> {
    let snapshot = app.handles.snapshot().await;
    let (store, now) = (app.handles.store.clone(), app.handles.clock.now());
    answer(&web::block(move || list(&store, now, snapshot.as_ref(), &request)).await??)
}

/// `POST /queue/retired/list`.
pub(super) async fn list_retired(
    app: Data<App>,
    Json(request): Json<RetiredListRequest>,
) -> Result<HttpResponse, ControlError> {
    let (store, now) = (app.handles.store.clone(), app.handles.clock.now());
    answer(&web::block(move || retired_list(&store, now, &request)).await??)
}

/// `GET /queue/messages/{id}`.
pub(super) async fn show(app: Data<App>, id: Path<u64>) -> Result<HttpResponse, ControlError> {
    let snapshot = app.handles.snapshot().await;
    let handles = &app.handles;
    answer(&message(&handles.store, handles.clock.now(), snapshot.as_ref(), QueueId(*id))?)
}

/// `GET /queue/retired/{id}`.
pub(super) async fn show_retired(app: Data<App>, id: Path<u64>) -> Result<HttpResponse, ControlError> {
    let now = app.handles.clock.now();
    let store = app.handles.store.clone();
    answer(&web::block(move || retired_message(&store, now, QueueId(*id))).await??)
}
