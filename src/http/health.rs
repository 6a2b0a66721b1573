//! Whether the process runs, and whether it takes work.

use super::Http;
use actix_web::{HttpResponse, web};
use futures_util::FutureExt;
use std::future::{Ready, ready};

/// `GET /healthz`.
pub(super) fn healthz() -> Ready<HttpResponse> {
    ready(HttpResponse::Ok().content_type(TEXT).body("ok\n"))
}

/// `GET /readyz`.
pub(super) async fn readyz(http: web::Data<Http>) -> HttpResponse {
    let reason = web::block(move || why_not_ready(&http)).await.unwrap_or(Some("the server is stopping"));
    match reason {
        None => HttpResponse::Ok().content_type(TEXT).body("ready\n"),
        Some(reason) => HttpResponse::ServiceUnavailable().content_type(TEXT).body(format!("{reason}\n")),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn why_not_ready(http: &Http) -> Option<&'static str> {
    let handles = &http.app.handles;
    if handles.writer.died().now_or_never().is_some() {
        return Some("nothing can be stored any more; the server must be started again");
    }
    if handles.writer.room() == 0 {
        return Some("too much is waiting to be stored");
    }
    match handles.store.map_usage() {
        Err(_) => Some("the store cannot be read"),
        Ok((used, size)) if used.saturating_add(http.app.settings.store.reserve) >= size => {
            Some("the store is full; raise store.map_size")
        }
        Ok(_) => None,
    }
}
