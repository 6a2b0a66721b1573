//! The webapi, version 0: its routes, and what all calls have in common.

mod assets;
mod messages;
mod methods;
mod openapi;
mod pages;
mod schema;
mod send;
mod suppressions;

use super::{
    Http, body,
    client::Client,
    error::{ApiError, Code},
    form::Form,
    login::{NoAnswer, TEXT, login},
    origin,
};
use crate::logins::Login;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, header},
    web::{self, Data, Payload, ServiceConfig},
};
use assets::ASSETS;
use methods::{ApiMethod, METHODS};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;

pub(super) use pages::disarm;

type Result = std::result::Result<HttpResponse, ApiError>;

/// What a method is given.
struct Call {
    http: Data<Http>,
    login: Login,
    client: Client,
    form: Form,
    idempotency_key: Option<header::HeaderValue>,
}

impl Call {
    /// The request object of a method that takes no files.
    async fn request<T: serde::de::DeserializeOwned + Send + 'static>(
        &mut self,
    ) -> std::result::Result<T, ApiError> {
        if !self.form.files.is_empty() {
            return Err(ApiError::protocol("this method takes no files"));
        }
        let request = self.form.parse().await?;
        // Nobody may hold memory while waiting for more.
        self.form.forget_request();
        self.form.give_memory_back();
        Ok(request)
    }
}

/// Registers the routes.
pub(super) fn routes(config: &mut ServiceConfig) {
    let get = |path| web::resource(path).default_service(web::to(|payload| not_allowed("GET", payload)));
    config
        .service(get("/webapi/").get(|| async { HttpResponse::SeeOther().insert_header(TO_INDEX).finish() }));
    config.service(get("/webapi/v0/").get(pages::index));
    for asset in ASSETS.iter() {
        let answer = move |request: HttpRequest| std::future::ready(asset.answer(&request));
        config.service(get(asset.path).get(answer));
    }
    config.route("/webapi/v0/{method}", web::to(dispatch));
}

const TO_INDEX: (header::HeaderName, &str) = (header::LOCATION, "/webapi/v0/");

async fn dispatch(http: Data<Http>, request: HttpRequest, payload: Payload) -> HttpResponse {
    let name = request.match_info().get("method").unwrap_or_default();
    let Some(method) = METHODS.iter().find(|method| method.name == name) else {
        body::drain(payload).await;
        return HttpResponse::NotFound().content_type(TEXT).body("there is no such method\n");
    };
    match *request.method() {
        Method::GET => pages::method(&http, &request, method),
        Method::POST => measured_call(http, method, &request, payload).await,
        _ => not_allowed("GET, POST", payload).await,
    }
}

pub(super) async fn not_allowed(allow: &'static str, payload: Payload) -> HttpResponse {
    body::drain(payload).await;
    let mut response = HttpResponse::MethodNotAllowed();
    response.insert_header((header::ALLOW, allow)).content_type(TEXT).body(format!("use {allow}\n"))
}

async fn measured_call(
    http: Data<Http>,
    method: &ApiMethod,
    request: &HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let started = Instant::now();
    let metrics = http.clone();
    let answer = if origin::is_foreign(request) {
        body::drain(payload).await;
        Err(ApiError::protocol("pages of other sites may not call this server").into())
    } else {
        call(http, method, request, payload).await
    };
    let (mut response, result) = match answer {
        Ok(response) => (response, "ok"),
        Err(refusal) => (refusal.response(), refusal.result()),
    };
    pages::disarm(&mut response);
    metrics.metrics.calls.with_label_values(&[method.name, result]).inc();
    let seconds = started.elapsed().as_secs_f64();
    metrics.metrics.call_seconds.with_label_values(&[method.name]).observe(seconds);
    tracing::debug!(method = method.name, result, seconds, "webapi call");
    response
}

async fn call(
    http: Data<Http>,
    method: &ApiMethod,
    request: &HttpRequest,
    payload: Payload,
) -> std::result::Result<HttpResponse, NoAnswer> {
    let login = match login(&http, request).await {
        Ok(login) => login,
        Err(refusal) => {
            body::drain(payload).await;
            return Err(refusal);
        }
    };
    let client = Client::of(request);
    let form = http.forms.read(request, payload).await?;
    let idempotency_key = request.headers().get(send::IDEMPOTENCY_KEY).cloned();
    Ok((method.call)(Call { http, login, client, form, idempotency_key }).await?)
}

/// Nothing is told.
#[derive(Serialize, JsonSchema)]
struct Empty {}

/// A field that may be `null`, as clients send it that have no other way to leave a list out.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// An address in a request.
fn parse_address(text: &str) -> std::result::Result<mail::Address, ApiError> {
    mail::Address::parse(text)
        .map_err(|error| ApiError::new(Code::BadAddress, format!("{:?}: {error}", shortened(text))))
}

/// The start of a text, for error messages.
fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(100)]
}

#[cfg(test)]
mod tests {
    use crate::http::testing::{TestServer, basic};
    use actix_web::{http::Method, test::TestRequest};
    use config::Service;
    use serde_json::json;

    #[actix_web::test]
    async fn only_a_post_of_a_known_method_is_a_call() {
        let server = TestServer::start().await;
        for (method, path, status) in [
            (Method::GET, "Send", 200),
            (Method::HEAD, "Send", 405),
            (Method::PUT, "Send", 405),
            (Method::DELETE, "MessageGet", 405),
            (Method::POST, "Nothing", 404),
            (Method::GET, "Nothing", 404),
            (Method::POST, "send", 404),
            (Method::POST, "Send", 401),
        ] {
            let request = TestRequest::with_uri(&format!("/webapi/v0/{path}")).method(method.clone());
            let answer = server.request(request, &[Service::Webapi]).await;
            assert_eq!(answer.status, status, "{method} {path}");
        }
    }

    #[actix_web::test]
    async fn wrong_credentials_are_told_how_to_log_in() {
        let server = TestServer::start().await;
        let post = || TestRequest::post().uri("/webapi/v0/SuppressionPresent");
        let wrong = post().insert_header(("authorization", basic("rider@localhost", "wrong")));
        for request in [post(), wrong] {
            let answer = server.request(request, &[Service::Webapi]).await;
            assert_eq!(answer.status, 401);
            assert_eq!(answer.headers.get("www-authenticate").unwrap(), "Basic realm=\"webapi\"");
        }
        // Missing credentials are no failed try.
        let metrics = server.get("/metrics", &[Service::Metrics]).await.body;
        assert!(metrics.contains("postrider_authentication_failures_total{way=\"webapi\"} 1\n"), "{metrics}");
    }

    #[actix_web::test]
    async fn calls_are_counted_by_method_and_result() {
        let server = TestServer::start().await;
        server.call("SuppressionPresent", json!({"EmailAddress": "a@b.example"})).await;
        server.call("SuppressionPresent", json!({"EmailAddress": "a"})).await;
        server.call("SuppressionPresent", json!({"Unknown": "a"})).await;
        let calls =
            |result| server.http.metrics.calls.with_label_values(&["SuppressionPresent", result]).get();
        assert_eq!((calls("ok"), calls("refused"), calls("busy")), (1, 2, 0));
    }
}
