//! What an ACME authority looks for to see that the name is ours (RFC 8555, 8.3).

use super::Http;
use actix_web::{HttpResponse, web};
use std::future::{Ready, ready};

/// `GET /.well-known/acme-challenge/<token>`.
pub(super) fn answer(http: web::Data<Http>, token: web::Path<String>) -> Ready<HttpResponse> {
    ready(match http.app.acme_answers.over_http(&token) {
        Some(answer) => HttpResponse::Ok().content_type("application/octet-stream").body(answer),
        None => HttpResponse::NotFound().finish(),
    })
}
