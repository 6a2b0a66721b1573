//! Logging in with a request, and the answer to one that does not get through.

use super::{
    Http,
    client::Client,
    error::{ApiError, Code},
};
use crate::{
    limiter::TooMany,
    logins::{self, Login, LoginError, Way},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
};
use base64::{Engine, prelude::BASE64_STANDARD};

/// The most octets of the header.
const HEADER_MAX: usize = 4_096;

/// The login that a request proves, by HTTP basic authentication (RFC 7617). What fails is counted.
pub(super) async fn login(http: &Http, request: &HttpRequest) -> Result<Login, NoAnswer> {
    let header = request.headers().get(header::AUTHORIZATION).ok_or(NoAnswer::Unauthorized)?;
    let client = logins::Client { address: Client::of(request).address, way: Way::Webapi };
    let (app, logins) = (&http.app, &http.app.logins);
    let login = match credentials(header) {
        Some((user, password)) => {
            logins.with_password(&app.handles.store.directory(), &user, &password, client).await
        }
        None => Err(logins.unreadable(client).await),
    };
    Ok(login?)
}

/// User name and password of a `Basic` header.
fn credentials(header: &HeaderValue) -> Option<(String, String)> {
    let header = header.to_str().ok().filter(|text| text.len() <= HEADER_MAX)?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
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

impl From<LoginError> for NoAnswer {
    fn from(error: LoginError) -> NoAnswer {
        match error {
            LoginError::Wrong => NoAnswer::Unauthorized,
            LoginError::TooMany(too_many) => NoAnswer::TooMany(too_many),
            LoginError::Busy => NoAnswer::Error(ApiError::busy()),
            LoginError::Failed => NoAnswer::Error(ApiError::server("a password could not be compared")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::basic;

    #[test]
    fn only_a_basic_header_has_credentials() {
        let own = |(user, password): (&str, &str)| (user.to_owned(), password.to_owned());
        for (header, expected) in [
            (basic("rider@localhost", "a:b"), Some(("rider@localhost", "a:b"))),
            (HeaderValue::from_static("bASIC cmlkZXI6"), Some(("rider", ""))),
            (HeaderValue::from_static(""), None),
            (HeaderValue::from_static("Basic"), None),
            (HeaderValue::from_static("Basic !"), None),
            (HeaderValue::from_static("Bearer abc"), None),
            (HeaderValue::from_static("Basic cmlkZXI="), None),
        ] {
            assert_eq!(credentials(&header), expected.map(own), "{header:?}");
        }
    }
}
