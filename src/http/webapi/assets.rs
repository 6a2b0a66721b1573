//! What pages load, and the OpenAPI document: the same for everybody, until the program is another.

use super::openapi;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ETag, EntityTag, Header, IfNoneMatch},
};
use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use std::sync::LazyLock;

/// A file of the server.
pub(super) struct Asset {
    pub(super) path: &'static str,
    content_type: &'static str,
    body: Bytes,
    tag: EntityTag,
}

/// All of them.
pub(super) static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        Asset::new("/webapi/v0/page.css", "text/css; charset=utf-8", include_str!("pages/page.css")),
        Asset::new("/webapi/v0/page.js", "text/javascript; charset=utf-8", include_str!("pages/page.js")),
        Asset::new("/webapi/v0/icon.svg", "image/svg+xml", include_str!("pages/icon.svg")),
        Asset::new("/webapi/v0/openapi.json", "application/json", format!("{:#}\n", openapi::document())),
    ]
});

impl Asset {
    fn new(path: &'static str, content_type: &'static str, body: impl Into<Bytes>) -> Asset {
        let body = body.into();
        let digest = digest::digest(&digest::SHA256, &body);
        let tag = EntityTag::new_strong(BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..12]));
        Asset { path, content_type, body, tag }
    }

    /// It may be kept, but is asked for again, so that a new version of the server is seen.
    pub(super) fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&self.tag)),
            Ok(IfNoneMatch::Any) | Err(_) => false,
        };
        let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header(ETag(self.tag.clone()))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if known {
            return response.finish();
        }
        response.content_type(self.content_type).body(self.body.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::TestServer;
    use actix_web::test::TestRequest;
    use config::Service;

    #[actix_web::test]
    async fn what_a_browser_has_already_is_not_sent_again() {
        let server = TestServer::start().await;
        for asset in ASSETS.iter() {
            let path = asset.path;
            let first = server.get(path, &[Service::Webapi]).await;
            assert_eq!(first.status, 200, "{path}");
            assert_eq!(first.headers.get("content-type").unwrap(), asset.content_type);
            let tag = first.headers.get("etag").unwrap().clone();
            let again = TestRequest::get().uri(path).insert_header(("if-none-match", tag));
            let again = server.request(again, &[Service::Webapi]).await;
            assert_eq!((again.status, &*again.body), (304, ""), "{path}");
        }
    }
}
