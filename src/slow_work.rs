//! Work that may take long enough to hold up others.

use tokio::task::{JoinError, spawn_blocking};

/// Does the work here, or where it is slow, on a thread that may block.
///
/// # Errors
/// When it broke down there.
pub(crate) async fn work_on<T: Send + 'static>(
    is_slow: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    match is_slow {
        false => Ok(work()),
        true => spawn_blocking(work).await,
    }
}
