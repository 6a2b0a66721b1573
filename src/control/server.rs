//! `/server`: who answers.

use super::{ControlError, answer};
use crate::app::{App, Mode};
use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use std::future::{Ready, ready};

/// A running server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The name it goes by.
    pub hostname: String,
    /// Whether it is a developer's server.
    pub localserve: bool,
}

/// `GET /server`.
pub(super) fn show(app: Data<App>) -> Ready<Result<HttpResponse, ControlError>> {
    ready(answer(&ServerStatus {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        hostname: app.hostname.as_ascii().into(),
        localserve: app.mode == Mode::Local,
    }))
}
