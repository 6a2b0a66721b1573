//! `/hooks`: webhook calls that are to be made, their history, what is done with them, and calls to try a webhook.

mod act;
mod list;
mod shown;
mod test_call;

pub use act::ResendRequest;
pub use list::{HookList, HookListRequest, hook, hooks, retired_hook, retired_hooks};
pub use shown::{News, ShownHook, ShownRetiredHook};
pub use test_call::{TestCallRequest, TestedCall};

use actix_web::web::{self, ServiceConfig};

/// The routes of hooks.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/hooks/list", web::post().to(list::list))
        .route("/hooks/act", web::post().to(act::act))
        .route("/hooks/test", web::post().to(test_call::test))
        .route("/hooks/retired/list", web::post().to(list::list_retired))
        .route("/hooks/retired/resend", web::post().to(act::resend))
        .route("/hooks/retired/{id}", web::get().to(list::show_retired))
        .route("/hooks/{id}", web::get().to(list::show));
}
