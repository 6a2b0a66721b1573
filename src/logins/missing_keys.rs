//! Accounts whose passwords are known by their hash alone get what SCRAM needs once they log in with the password.

use crate::password::Password;
use actors::StoreWriter;
use mail::AccountId;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};
use store::DirectoryAccount;

/// Accounts at a time; what the others need is kept at another login.
const UNDER_WAY_MAX: usize = 4;

/// Keeps the keys that are missing.
pub(super) struct MissingKeys {
    writer: StoreWriter,
    under_way: Arc<Mutex<HashSet<AccountId>>>,
}

impl MissingKeys {
    pub(super) fn new(writer: StoreWriter) -> MissingKeys {
        MissingKeys { writer, under_way: Arc::default() }
    }

    /// Has the keys of an account kept where it has none. Nobody waits for it, and what cannot be kept is at the next
    /// login.
    pub(super) fn learn(&self, account: &DirectoryAccount, password: &Password) {
        if account.record.scram.is_some() {
            return;
        }
        let Some(turn) = Turn::take(&self.under_way, account.id) else { return };
        let (writer, password) = (self.writer.clone(), password.clone());
        let hash = account.record.password_hash.clone();
        actix_rt::spawn(async move {
            let made = tokio::task::spawn_blocking(move || password.scram_keys()).await;
            let Ok(keys) = made else { return };
            if let Err(error) = writer.put_scram_keys(turn.account, hash, keys).await {
                tracing::debug!(%error, "what SCRAM needs of a password was not kept");
            }
            drop(turn);
        });
    }
}

/// An account whose keys are being kept, until it is dropped.
struct Turn {
    under_way: Arc<Mutex<HashSet<AccountId>>>,
    account: AccountId,
}

impl Turn {
    fn take(all: &Arc<Mutex<HashSet<AccountId>>>, account: AccountId) -> Option<Turn> {
        let mut under_way = all.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = under_way.len() < UNDER_WAY_MAX && under_way.insert(account);
        is_free.then(|| Turn { under_way: all.clone(), account })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.account);
    }
}
