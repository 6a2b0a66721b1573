//! `/api/v1/events`: the event log of an account, in order, from wherever its reader is.

mod query;

pub(super) use query::parameters;

use super::{
    Http, body,
    error::{ApiError, json},
    login::{NoAnswer, login},
    origin,
    webapi::{disarm, not_allowed},
};
use crate::logins::Login;
use actix_web::{
    HttpRequest, HttpResponse,
    http::Method,
    web::{self, Data, Payload, ServiceConfig},
};
use actors::Heard;
use mail::{AccountId, EventSeq};
use query::EventQuery;
use schemars::JsonSchema;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{
    EventSlice, Store, StoreError,
    records::{EventKind, LoggedEvent},
};
use tokio::time::{Instant, sleep_until, timeout_at};

/// Events that are looked at in one snapshot of the store.
const SLICE: usize = 1_000;
/// Events that one call looks at. When none of them fits, its answer says from where to go on.
const LOOKS_MAX: usize = 100_000;
/// How long a reader that was woken for nothing does not look again: logs can grow a thousand times a second.
const PAUSE: Duration = Duration::from_millis(50);

/// A stretch of the event log.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Events {
    /// In the order of their numbers.
    events: Vec<Event>,
    /// What to give as `after` the next time.
    last: u64,
}

/// An event, with the names that webhooks have for the same.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
struct Event {
    /// Its number in the log.
    seq: u64,
    /// When it happened.
    #[schemars(with = "String", extend("format" = "date-time"))]
    time: String,
    /// What happened, as `delivered`.
    event: &'static str,
    /// The queue message that it is about.
    #[serde(rename = "QueueMsgID")]
    queue_msg_id: u64,
    /// The FromID in its return path; empty without.
    #[serde(rename = "FromID")]
    from_id: String,
    /// Its Message-ID, with `<>`.
    #[serde(rename = "MessageID")]
    message_id: String,
    /// The address that it is for.
    recipient: String,
    /// Which attempt to deliver it is meant, from 1; 0 when none is.
    attempt: u32,
    /// The code of the answer that decided it; 0 without.
    #[serde(rename = "SMTPCode")]
    smtp_code: u16,
    /// The enhanced code of that answer, as `5.1.1`; empty when unknown.
    #[serde(rename = "SMTPEnhancedCode")]
    smtp_enhanced_code: String,
    /// The text of that answer, or what went wrong.
    error: String,
    /// Whether this put the address on the suppression list.
    suppressing: bool,
    /// Whether a message that came back said so.
    #[serde(rename = "DSN")]
    dsn: bool,
    /// The subject of the message.
    subject: String,
    /// What the application gave with the message.
    extra: BTreeMap<String, String>,
}

/// Registers the route.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.route("/api/v1/events", web::to(dispatch));
}

async fn dispatch(http: Data<Http>, request: HttpRequest, payload: Payload) -> HttpResponse {
    if request.method() != Method::GET {
        return not_allowed("GET", payload).await;
    }
    body::drain(payload).await;
    let mut response = match answer(&http, &request).await {
        Ok(events) => json(&events),
        Err(refusal) => refusal.response(),
    };
    disarm(&mut response);
    response
}

async fn answer(http: &Http, request: &HttpRequest) -> Result<Events, NoAnswer> {
    if origin::is_foreign(request) {
        return Err(ApiError::protocol("pages of other sites may not call this server").into());
    }
    let Login { account, .. } = login(http, request).await?;
    let query = EventQuery::parse(request.query_string())?;
    Ok(events(http, account.id, query).await?.into())
}

/// What fits, now or as soon as it is there.
async fn events(http: &Http, account: AccountId, query: EventQuery) -> Result<EventSlice, ApiError> {
    let end = Instant::now() + query.wait;
    let mut log = Log { store: http.app.handles.store.clone(), account, query: Arc::new(query) };
    let first = log.look(log.query.after).await?;
    if has_answer(&first) || log.query.wait.is_zero() {
        return Ok(first);
    }
    let mut wait = http.app.handles.event_log.wait(account).map_err(|_| ApiError::busy())?;
    let mut next_look = Instant::now();
    let mut slice = first;
    loop {
        // Whatever came before the place was taken was not heard.
        slice = log.look(slice.last).await?;
        if has_answer(&slice) {
            return Ok(slice);
        }
        match timeout_at(end, wait.heard()).await {
            Ok(Heard::Events) => {}
            Ok(Heard::Stopping) | Err(_) => return Ok(slice),
        }
        sleep_until(next_look.min(end)).await;
        next_look = Instant::now() + PAUSE;
    }
}

/// Without any event that fits, there is an answer where the call has looked at enough.
fn has_answer(slice: &EventSlice) -> bool {
    slice.more || !slice.events.is_empty()
}

struct Log {
    store: Store,
    account: AccountId,
    query: Arc<EventQuery>,
}

impl Log {
    /// What there is behind `after`.
    async fn look(&mut self, after: EventSeq) -> Result<EventSlice, ApiError> {
        let (store, account, query) = (self.store.clone(), self.account, self.query.clone());
        Ok(web::block(move || look(&store, account, &query, after)).await??)
    }
}

fn look(
    store: &Store,
    account: AccountId,
    query: &EventQuery,
    after: EventSeq,
) -> Result<EventSlice, StoreError> {
    let mut found = EventSlice { events: Vec::new(), last: after, more: true };
    let mut looked_at = 0;
    while found.more && found.events.len() < query.limit && looked_at < LOOKS_MAX {
        let wanted = |kind: EventKind| query.kinds.contains(&kind);
        let left = query.limit - found.events.len();
        // A snapshot for each slice, so that none is kept for as long as a search takes.
        let slice = store.read(|view| view.event_slice(account, found.last, wanted, left, SLICE))?;
        found.events.extend(slice.events);
        (found.last, found.more) = (slice.last, slice.more);
        looked_at += SLICE;
    }
    Ok(found)
}

impl From<EventSlice> for Events {
    fn from(slice: EventSlice) -> Events {
        Events { events: slice.events.into_iter().map(Event::from).collect(), last: slice.last.0 }
    }
}

impl From<(EventSeq, LoggedEvent)> for Event {
    fn from((seq, LoggedEvent { event, subject, extra }): (EventSeq, LoggedEvent)) -> Event {
        Event {
            seq: seq.0,
            time: event.time.to_string(),
            event: event.kind.name(),
            queue_msg_id: event.queue_id.0,
            from_id: event.from_id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
            message_id: event.message_id,
            recipient: event.recipient.to_string(),
            attempt: event.attempt,
            smtp_code: event.code,
            smtp_enhanced_code: event.enhanced.map(|code| code.to_string()).unwrap_or_default(),
            error: event.error,
            suppressing: event.suppressing,
            dsn: event.dsn,
            subject,
            extra,
        }
    }
}
