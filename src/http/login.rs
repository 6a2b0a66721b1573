//! Logging in with a request, and the answer to one that does not get through.

use super::{
    Http,
    auth::{AuthError, Login},
    client::Client,
    error::{ApiError, Code},
};
use crate::limiter::TooMany;
use actix_web::{HttpRequest, HttpResponse, http::header};

/// The login that a request proves. What fails is counted.
pub(super) async fn login(http: &Http, request: &HttpRequest) -> Result<Login, NoAnswer> {
    let client = Client::of(request);
    let directory = http.app.handles.store.directory();
    let authorization = request.headers().get(header::AUTHORIZATION);
    http.logins.check(&directory, authorization, client.address).await.map_err(|error| {
        count_failure(http, error, client);
        error.into()
    })
}

fn count_failure(http: &Http, error: AuthError, client: Client) {
    let counter = match error {
        AuthError::Wrong => &http.metrics.authentication_failures,
        AuthError::TooMany(_) => &http.metrics.authentication_refusals,
        AuthError::Missing | AuthError::Busy | AuthError::Failed => return,
    };
    counter.with_label_values(&["webapi"]).inc();
    tracing::debug!(remote = %client.address, ?error, "a login failed");
}

/// Why a request has no answer of its own.
pub(super) enum NoAnswer {
    Unauthorized,
    TooMany(TooMany),
    Error(ApiError),
}

impl NoAnswer {
    pub(super) fn response(&self) -> HttpResponse {
        match self {
            NoAnswer::Unauthorized => HttpResponse::Unauthorized()
                .insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"webapi\""))
                .content_type(TEXT)
                .body("log in with an e-mail address of the account and its password\n"),
            NoAnswer::TooMany(too_many) => HttpResponse::TooManyRequests()
                .insert_header((header::RETRY_AFTER, too_many.retry_after_secs()))
                .content_type(TEXT)
                .body("too many logins from your network failed; try again later\n"),
            NoAnswer::Error(error) => error.response(),
        }
    }

    /// For metrics.
    pub(super) fn result(&self) -> &'static str {
        match self {
            NoAnswer::Unauthorized => "unauthorized",
            NoAnswer::TooMany(_) => "limited",
            NoAnswer::Error(error) => match error.code {
                Code::Server => "server",
                Code::Busy => "busy",
                _ => "refused",
            },
        }
    }
}

pub(super) const TEXT: &str = "text/plain; charset=utf-8";

impl From<ApiError> for NoAnswer {
    fn from(error: ApiError) -> NoAnswer {
        NoAnswer::Error(error)
    }
}

impl From<AuthError> for NoAnswer {
    fn from(error: AuthError) -> NoAnswer {
        match error {
            AuthError::Missing | AuthError::Wrong => NoAnswer::Unauthorized,
            AuthError::TooMany(too_many) => NoAnswer::TooMany(too_many),
            AuthError::Busy => NoAnswer::Error(ApiError::busy()),
            AuthError::Failed => NoAnswer::Error(ApiError::server("a password could not be compared")),
        }
    }
}
