//! Memory for what is large, such as forms that become messages and messages that are read: all that is in work at a
//! time gets only so much of it together, and the rest waits.

use super::error::ApiError;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// What is no larger does not count. It is bounded by the number of connections.
pub(super) const SMALL: usize = 256 * 1024;
/// How long to wait: until some of the largest are done, since a client could only try again.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A budget. Clones share it.
#[derive(Clone)]
pub(super) struct Memory {
    kib: Arc<Semaphore>,
    kib_max: u32,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Reserved(#[expect(dead_code, reason = "it is there to be dropped")] OwnedSemaphorePermit);

impl Memory {
    /// Of that many bytes.
    pub(super) fn new(bytes: u64) -> Memory {
        let kib_max = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).max(1);
        Memory { kib: Arc::new(Semaphore::new(kib_max as usize)), kib_max }
    }

    /// Waits until so many bytes may be held. What is larger than all there is gets it all.
    pub(super) async fn reserve(&self, bytes: usize) -> Result<Option<Reserved>, ApiError> {
        if bytes <= SMALL {
            return Ok(None);
        }
        let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX).clamp(1, self.kib_max);
        let permit = timeout(TIMEOUT, self.kib.clone().acquire_many_owned(kib)).await;
        permit.ok().and_then(Result::ok).map(Reserved).map(Some).ok_or_else(ApiError::busy)
    }
}
