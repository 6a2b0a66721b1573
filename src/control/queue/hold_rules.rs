//! Rules that hold messages.

use super::ShownRule;
use crate::{
    app::App,
    control::{ControlError, answer, selection::account_named},
};
use actix_web::{
    HttpResponse,
    web::{Data, Json},
};
use mail::{Domain, HoldRuleId};
use serde::{Deserialize, Serialize};
use std::future::{Ready, ready};
use store::{Store, records::HoldRuleRecord};

/// What to hold; all that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddRuleRequest {
    /// The name of an account.
    pub account: Option<String>,
    /// The domain of MAIL FROM.
    pub sender_domain: Option<Domain>,
    /// The domain of RCPT TO.
    pub recipient_domain: Option<Domain>,
}

/// A rule that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleAdded {
    /// Its id.
    pub id: HoldRuleId,
    /// Messages of the queue that it holds now and that were not held before.
    pub held: usize,
}

/// Which rule to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveRuleRequest {
    /// Its id.
    pub id: HoldRuleId,
}

/// All rules, oldest first.
///
/// # Errors
/// When they cannot be read.
pub fn hold_rules(store: &Store) -> Result<Vec<ShownRule>, ControlError> {
    let rules = store.read(|view| view.hold_rules())?;
    let directory = store.directory();
    Ok(rules.iter().map(|(id, rule)| ShownRule::of(*id, rule, &directory)).collect())
}

/// `GET /queue/hold-rules`.
pub(super) fn list(app: Data<App>) -> Ready<Result<HttpResponse, ControlError>> {
    ready(hold_rules(&app.handles.store).and_then(|rules| answer(&rules)))
}

/// `POST /queue/hold-rules/add`.
pub(super) async fn add(
    app: Data<App>,
    Json(request): Json<AddRuleRequest>,
) -> Result<HttpResponse, ControlError> {
    let handles = &app.handles;
    let account = match &request.account {
        Some(name) => Some(account_named(&handles.store.directory(), name)?),
        None => None,
    };
    let rule = HoldRuleRecord {
        account,
        sender_domain: request.sender_domain,
        recipient_domain: request.recipient_domain,
        created: handles.clock.now(),
    };
    let (id, held) = handles.operations.add_hold_rule(rule).await?;
    answer(&RuleAdded { id, held })
}

/// `POST /queue/hold-rules/remove`.
pub(super) async fn remove(
    app: Data<App>,
    Json(RemoveRuleRequest { id }): Json<RemoveRuleRequest>,
) -> Result<HttpResponse, ControlError> {
    use actors::WriteError::Refused;
    match app.handles.operations.remove_hold_rule(id).await {
        Ok(()) => answer(&()),
        Err(Refused(store::Refusal::NotFound)) => Err(ControlError::not_found(format!(
            "there is no hold rule {id}; `postrider queue hold-rules list` shows them"
        ))),
        Err(error) => Err(error.into()),
    }
}
