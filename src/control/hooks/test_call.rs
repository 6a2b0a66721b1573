//! A call to see whether a webhook works.

use crate::{
    app::App,
    control::{ControlError, answer, selection::no_account},
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use actors::TestCallError;
use serde::{Deserialize, Serialize};
use store::{HookKind, records::HookAttempt};

/// Which webhook to call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestCallRequest {
    /// The name of its account.
    pub account: String,
    /// Which of the account's.
    pub kind: HookKind,
    /// There rather than at the webhook's own URL.
    pub url: Option<String>,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestedCall {
    /// The headers that were sent, each with its name; the value of `Authorization` is `***`.
    pub headers: Vec<(String, String)>,
    /// The body that was sent.
    pub body: String,
    /// What came of it.
    #[serde(flatten)]
    pub attempt: HookAttempt,
}

/// `POST /hooks/test`.
pub(super) async fn test(
    app: Data<App>,
    Json(request): Json<TestCallRequest>,
) -> Result<HttpResponse, ControlError> {
    let called = app.handles.hooks.test_call(&request.account, request.kind, request.url.as_deref()).await;
    let call = called.map_err(|error| match error {
        TestCallError::NoAccount => no_account(&request.account),
        TestCallError::NoWebhook => ControlError::refused(error),
    })?;
    let shown = |(name, value): (&'static str, String)| match name {
        "Authorization" => (name.to_owned(), "***".to_owned()),
        _ => (name.to_owned(), value),
    };
    answer(&TestedCall {
        headers: call.request.headers.into_iter().map(shown).collect(),
        body: String::from_utf8_lossy(&call.request.body).into_owned(),
        attempt: call.attempt,
    })
}
