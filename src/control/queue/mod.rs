//! `/queue`: the queue and its history, what is done with them, and the rules that hold messages.

mod act;
mod content;
mod hold_rules;
mod list;
mod shown;

pub use content::content;
pub use hold_rules::{AddRuleRequest, RemoveRuleRequest, RuleAdded, hold_rules};
pub use list::{
    ListRequest, MessageList, RetiredList, RetiredListRequest, list, message, retired_list, retired_message,
};
pub use shown::{ShownAttempt, ShownMessage, ShownRetired, ShownReturn, ShownRule};

use actix_web::web::{self, ServiceConfig};

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
