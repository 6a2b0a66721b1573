//! Why a command was not done, as the control socket says it.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    error::JsonPayloadError,
    http::{StatusCode, header},
};
use actors::WriteError;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    future::{Ready, ready},
};
use store::{Refusal, StoreError};

/// Why a command was not done, for the operator who gave it.
#[derive(Debug)]
pub struct ControlError {
    status: StatusCode,
    message: String,
}

/// The body of an answer that says no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong, and what to do.
    pub error: String,
}

impl ControlError {
    /// The command asks for what cannot be done.
    pub fn refused(message: impl fmt::Display) -> ControlError {
        ControlError { status: StatusCode::BAD_REQUEST, message: message.to_string() }
    }

    /// What it speaks of is not there.
    pub fn not_found(message: impl fmt::Display) -> ControlError {
        ControlError { status: StatusCode::NOT_FOUND, message: message.to_string() }
    }

    /// What it goes by has changed meanwhile.
    pub fn conflict(message: impl fmt::Display) -> ControlError {
        ControlError { status: StatusCode::CONFLICT, message: message.to_string() }
    }

    /// The server could not do it.
    pub fn failed(error: impl fmt::Display) -> ControlError {
        ControlError { status: StatusCode::INTERNAL_SERVER_ERROR, message: error.to_string() }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for ControlError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let problem = Problem { error: self.message.clone() };
        let body = serde_json::to_vec(&problem).expect("a text is JSON");
        HttpResponse::build(self.status).insert_header((header::CONTENT_TYPE, "application/json")).body(body)
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> ControlError {
        ControlError::failed(error)
    }
}

impl From<WriteError> for ControlError {
    fn from(error: WriteError) -> ControlError {
        match error {
            WriteError::Refused(Refusal::NotFound) => ControlError::not_found(error),
            WriteError::Refused(_) => ControlError::refused(error),
            error if error.is_temporary() => {
                ControlError { status: StatusCode::SERVICE_UNAVAILABLE, message: error.to_string() }
            }
            error => ControlError::failed(error),
        }
    }
}

/// A task on the blocking pool broke down.
impl From<actix_web::error::BlockingError> for ControlError {
    fn from(error: actix_web::error::BlockingError) -> ControlError {
        ControlError::failed(error)
    }
}

/// Says what is wrong with a body. Most often the program is of another version than the server.
pub(super) fn unreadable(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    let message = format!(
        "the server (version {}) does not understand the command: {error}; \
         where the program was replaced, restart the server",
        env!("CARGO_PKG_VERSION")
    );
    ControlError::refused(message).into()
}

/// Answers what is none of the routes.
pub(super) fn no_route(request: HttpRequest) -> Ready<Result<HttpResponse, ControlError>> {
    ready(Err(ControlError::not_found(format!(
        "the server (version {}) knows no {} {}; where the program was replaced, restart the server",
        env!("CARGO_PKG_VERSION"),
        request.method(),
        request.path()
    ))))
}
