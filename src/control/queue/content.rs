//! The content of a message.

use crate::{app::App, control::ControlError};
use actix_web::{
    HttpResponse,
    web::{self, Data, Path},
};
use bytes::Bytes;
use mail::QueueId;
use store::Store;

/// The bytes of a message of the queue, as they are sent.
///
/// # Errors
/// When it is not there.
pub fn content(store: &Store, id: QueueId) -> Result<Bytes, ControlError> {
    let content = store.read(|view| match view.message(id)? {
        Some(message) => view.content(message.content),
        None => Ok(None),
    })?;
    content.ok_or_else(|| {
        ControlError::not_found(format!(
            "no message {id} is in the queue; the content of one that left is not kept"
        ))
    })
}

/// `GET /queue/messages/{id}/content`.
pub(super) async fn show(app: Data<App>, id: Path<u64>) -> Result<HttpResponse, ControlError> {
    let store = app.handles.store.clone();
    let bytes = web::block(move || content(&store, QueueId(*id))).await??;
    Ok(HttpResponse::Ok().content_type("message/rfc822").body(bytes))
}
