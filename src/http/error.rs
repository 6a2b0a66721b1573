//! The error object of the webapi.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use actors::WriteError;
use schemars::JsonSchema;
use serde::Serialize;
use std::{borrow::Cow, io};
use store::{Refusal, StoreError};

/// Why a call was not done, as its caller is told. The message never shows internals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) code: Code,
    pub(super) message: Cow<'static, str>,
}

/// What kind of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Code {
    /// The request is no form, or its field `request` no such JSON object.
    Protocol,
    /// The request cannot be done as it stands; the message says why.
    User,
    /// The state of things does not allow it, such as an address that is on the list already.
    Error,
    /// The request, or the message it makes, is too large.
    MessageTooLarge,
    /// Neither `Text` nor `HTML` is there.
    MissingBody,
    /// `From` has more than one address.
    MultipleFrom,
    /// An address cannot be understood.
    BadAddress,
    /// Nothing can be sent from the domain of the From address at the moment.
    DomainDisabled,
    /// The From address does not belong to the account.
    BadFrom,
    /// There is no recipient.
    NoRecipients,
    /// The account would have more recipients in 24 hours than it may.
    MessageLimitReached,
    /// The account would have more recipients in 24 hours to whom it never sent before than it may.
    RecipientLimitReached,
    /// A message identifier is not of the form `<id@domain>`.
    #[serde(rename = "malformedMessageID")]
    MalformedMessageId,
    /// The message was queued, but its copy does not fit in the account's mailboxes.
    SentOverQuota,
    /// The account has no message with this id.
    MessageNotFound,
    /// The message has no part there.
    PartNotFound,
    /// The server failed; its operator finds the reason in the log.
    Server,
    /// The server has too much to do; nothing of the request was accepted.
    Busy,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Code::Server => StatusCode::INTERNAL_SERVER_ERROR,
            Code::Busy => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// As callers see it.
impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.serialize(f)
    }
}

/// What a call that was not done is answered with.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "Error")]
pub(super) struct ErrorObject<'a> {
    /// For programs: what kind of error it is.
    code: Code,
    /// For people: what is wrong, and what to do.
    message: &'a str,
}

/// Seconds that a client is asked to wait when load is shed.
const RETRY_AFTER: &str = "2";

impl ApiError {
    pub(super) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError { code, message: message.into() }
    }

    pub(super) fn protocol(message: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::new(Code::Protocol, message)
    }

    /// What the user sent cannot be done; `error` says what and why.
    pub(super) fn user(error: impl ToString) -> ApiError {
        ApiError::new(Code::User, error.to_string())
    }

    pub(super) fn busy() -> ApiError {
        ApiError::new(Code::Busy, "the server has too much to do; try again in a moment")
    }

    /// A failure of this server: logged here, and nothing of it told.
    pub(super) fn server(error: impl std::fmt::Display) -> ApiError {
        tracing::error!(%error, "a webapi call failed");
        ApiError::new(Code::Server, "the server failed; the operator finds the reason in its log")
    }

    pub(super) fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        if self.code == Code::Busy {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        json_body(&mut response, &ErrorObject { code: self.code, message: &self.message })
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> ApiError {
        match error {
            StoreError::Full => ApiError::busy(),
            error => ApiError::server(error),
        }
    }
}

impl From<mail::DraftError> for ApiError {
    fn from(error: mail::DraftError) -> ApiError {
        match error {
            mail::DraftError::Unreadable(_) => ApiError::server(error),
            error => ApiError::user(error),
        }
    }
}

/// Of a temporary file.
impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> ApiError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ApiError::busy(),
            _ => ApiError::server(error),
        }
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> ApiError {
        match error {
            error if error.is_temporary() => ApiError::busy(),
            WriteError::Refused(refusal) => refusal.into(),
            error => ApiError::server(error),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        let code = match refusal {
            Refusal::Full => return ApiError::busy(),
            // Fresh FromIDs are random, and what arrives comes over SMTP.
            Refusal::FromIdInUse
            | Refusal::OverQuota
            // No call of the webapi changes the directory or hold rules.
            | Refusal::DirectoryChanged
            | Refusal::StillInUse
            | Refusal::TooManyHoldRules => return ApiError::server(refusal),
            Refusal::NotFound | Refusal::Exists => Code::Error,
            Refusal::MessageLimit(_) => Code::MessageLimitReached,
            Refusal::RecipientLimit(_) => Code::RecipientLimitReached,
            Refusal::NoMailbox | Refusal::SameMailbox | Refusal::TooManyFlags | Refusal::OtherRequest => {
                Code::User
            }
        };
        ApiError::new(code, refusal.to_string())
    }
}

/// A task on the blocking pool broke down.
impl From<actix_web::error::BlockingError> for ApiError {
    fn from(error: actix_web::error::BlockingError) -> ApiError {
        ApiError::server(error)
    }
}

/// An answer to a call that was done.
pub(super) fn json(body: &impl Serialize) -> HttpResponse {
    json_body(&mut HttpResponse::Ok(), body)
}

fn json_body(response: &mut HttpResponseBuilder, body: &impl Serialize) -> HttpResponse {
    let body =
        serde_json::to_vec(body).expect("answers are made of strings, numbers, lists and maps of strings");
    response.content_type(JSON).body(body)
}

pub(super) const JSON: &str = "application/json; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn shed_load_is_answered_with_503_and_a_time_to_wait() {
        for error in [
            WriteError::Busy,
            WriteError::Stopped,
            WriteError::Refused(Refusal::Full),
            WriteError::Failed(Arc::new(StoreError::Full)),
        ] {
            let error = ApiError::from(error);
            let response = error.response();
            assert_eq!((error.code, response.status().as_u16()), (Code::Busy, 503));
            assert_eq!(response.headers().get("retry-after").unwrap(), RETRY_AFTER);
        }
    }

    #[test]
    fn a_failure_of_the_server_shows_no_internals() {
        let error = ApiError::from(StoreError::Damaged { table: "queue" });
        assert_eq!((error.code, error.response().status().as_u16()), (Code::Server, 500));
        assert!(!error.message.contains("queue"), "{}", error.message);
    }

    #[test]
    fn an_error_of_the_call_is_a_400() {
        assert_eq!(ApiError::user("no").response().status().as_u16(), 400);
        let error = ApiError::from(WriteError::Refused(Refusal::Exists));
        assert_eq!((error.code, error.response().status().as_u16()), (Code::Error, 400));
    }
}
