//! Hints: "there may be work for this name". They merge, may be lost, and never grow beyond the names.

use futures_util::{Stream, stream};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// A board of names with work. Many write, one reads.
#[derive(Clone, Default)]
pub(crate) struct Hints {
    board: Arc<Board>,
}

#[derive(Default)]
struct Board {
    names: Mutex<BTreeSet<String>>,
    changed: Notify,
}

impl Hints {
    pub(crate) fn give(&self, mut names: BTreeSet<String>) {
        if names.is_empty() {
            return;
        }
        self.board.names.lock().unwrap_or_else(PoisonError::into_inner).append(&mut names);
        self.board.changed.notify_one();
    }

    /// All names given since the last time, whenever there are any.
    pub(crate) fn stream(&self) -> impl Stream<Item = BTreeSet<String>> + 'static {
        stream::unfold(self.board.clone(), |board| async move {
            loop {
                let names = std::mem::take(&mut *board.names.lock().unwrap_or_else(PoisonError::into_inner));
                if !names.is_empty() {
                    return Some((names, board));
                }
                board.changed.notified().await;
            }
        })
    }
}
