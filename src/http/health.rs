//! Whether the process runs, and whether it takes work.

use super::Http;
use actix_web::{HttpResponse, web};
use futures_util::FutureExt;
use std::future::{Ready, ready};
use store::Store;

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
    no_room(&handles.store)
}

fn no_room(store: &Store) -> Option<&'static str> {
    match store.has_room() {
        Ok(true) => None,
        Ok(false) => Some("new messages are refused; free disk space, or raise store.map_size"),
        Err(_) => Some("the store cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::StoreOptions;

    #[test]
    fn a_server_that_refuses_new_messages_is_not_ready() {
        let roomy = StoreOptions { map_size: 1 << 24, map_reserve: 1 << 20, disk_reserve: 0, inline_max: 1 };
        for (options, ready) in [
            (roomy.clone(), true),
            (StoreOptions { map_reserve: 1 << 24, ..roomy.clone() }, false),
            (StoreOptions { disk_reserve: u64::MAX, ..roomy }, false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (store, _writer) = Store::open(dir.path(), options.clone()).unwrap();
            assert_eq!(no_room(&store).is_none(), ready, "{options:?}");
        }
    }
}
