//! `/queue`: the queue and its history, what is done with them, and the rules that hold messages.

mod act;
mod content;
mod hold_rules;
mod list;
mod shown;

pub use act::ActRequest;
pub use content::content;
pub use hold_rules::{AddRuleRequest, RemoveRuleRequest, RuleAdded, hold_rules};
pub use list::{
    ListRequest, MessageList, RetiredList, RetiredListRequest, list, message, retired_list, retired_message,
};
pub use shown::{ShownAttempt, ShownMessage, ShownRetired, ShownReturn, ShownRule};

use super::ControlError;
use actix_web::web::{self, ServiceConfig};
use serde::{Deserialize, Serialize};
use store::{Directory, QueueFilter};

/// Which messages, as an operator says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The name of the account.
    pub account: Option<String>,
    /// The rest; its account is that of the name.
    pub filter: QueueFilter,
}

impl Selection {
    /// Whether nothing is asked, so that every message is meant.
    pub fn is_everything(&self) -> bool {
        self.account.is_none() && self.filter.is_everything()
    }

    fn resolve(&self, directory: &Directory) -> Result<QueueFilter, ControlError> {
        if self.filter.ids.len() > QueueFilter::IDS_MAX {
            let most = QueueFilter::IDS_MAX;
            return Err(ControlError::refused(format!("at most {most} ids can be given at a time")));
        }
        let account = match &self.account {
            Some(name) => Some(account_named(directory, name)?),
            None => None,
        };
        Ok(QueueFilter { account, ..self.filter.clone() })
    }
}

pub(super) fn account_named(directory: &Directory, name: &str) -> Result<mail::AccountId, ControlError> {
    let account = directory.accounts().find(|account| account.record.name == name);
    account.map(|account| account.id).ok_or_else(|| {
        ControlError::not_found(format!("there is no account {name:?}; `postrider account list` shows them"))
    })
}

/// The routes of the queue.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/queue/list", web::post().to(list::list_queue))
        .route("/queue/act", web::post().to(act::act))
        .route("/queue/messages/{id}", web::get().to(list::show))
        .route("/queue/messages/{id}/content", web::get().to(content::show))
        .route("/queue/retired/list", web::post().to(list::list_retired))
        .route("/queue/retired/{id}", web::get().to(list::show_retired))
        .route("/queue/hold-rules", web::get().to(hold_rules::list))
        .route("/queue/hold-rules/add", web::post().to(hold_rules::add))
        .route("/queue/hold-rules/remove", web::post().to(hold_rules::remove));
}
