//! The control socket: how the operator's commands speak to the running server. HTTP/1.1 with JSON bodies over a unix
//! socket in the data directory, for whoever may open it: the user that the server runs as, and root.
//!
//! Paths and bodies are between a server and the program it was started from; they may change with any version.

mod directory;
mod error;
pub mod hooks;
pub mod queue;
mod selection;
mod server;
mod slices;
mod socket;
pub mod suppressions;

pub use directory::Done;
pub use error::{ControlError, Problem};
pub use selection::{ActRequest, Filter, Selection};
pub use server::ServerStatus;
pub use socket::{ControlSocket, SocketPath};

use crate::app::App;
use actix_web::{
    HttpServer,
    dev::Server,
    web::{self, Data, JsonConfig, ServiceConfig},
};
use serde::Serialize;
use std::{io, sync::Arc};

/// The largest request: a directory of many accounts, or a suppression list to import.
const BODY_MAX: usize = 64 << 20;

/// Every route, one file a resource.
fn routes(config: &mut ServiceConfig) {
    config
        .configure(queue::routes)
        .configure(suppressions::routes)
        .configure(hooks::routes)
        .route("/server", web::get().to(server::show))
        .route("/directory", web::get().to(directory::show))
        .route("/directory", web::post().to(directory::change));
}

/// Answers on the socket, on one thread of its own. The server runs when it is awaited, and is stopped by its handle:
/// it handles no signals.
///
/// # Errors
/// When the socket cannot be used.
pub fn serve(app: Arc<App>, socket: &ControlSocket) -> io::Result<Server> {
    let grace = app.settings.limits.shutdown_grace;
    let app = Data::from(app);
    let json =
        JsonConfig::default().limit(BODY_MAX).content_type_required(false).error_handler(error::unreadable);
    let listener = socket.listener()?;
    let server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(app.clone())
            .app_data(json.clone())
            .configure(routes)
            .default_service(web::to(error::no_route))
    })
    .workers(1)
    .shutdown_timeout(grace.as_secs())
    .disable_signals()
    .listen_uds(listener)?;
    Ok(server.run())
}

/// An answer to a command that was done.
pub(crate) fn answer(body: &impl Serialize) -> Result<actix_web::HttpResponse, ControlError> {
    let body = serde_json::to_vec(body).map_err(ControlError::failed)?;
    Ok(actix_web::HttpResponse::Ok().content_type("application/json").body(body))
}
