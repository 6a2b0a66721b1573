//! A server's data: through the server where it runs, else from its directory.

use super::Control;
use crate::{control::Done, directory::DirectoryState};
use store::{Change, DirectoryChange, Store, Writer};

/// How a command gets at the data of a server. A running server holds the lock of its data directory, so there is one
/// way at a time.
pub enum Access {
    /// The server runs.
    Running(Control),
    /// No server runs, and none can start meanwhile.
    Direct(Store, Writer),
}

impl Access {
    /// All domains and accounts.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn directory(&self) -> anyhow::Result<DirectoryState> {
        match self {
            Access::Running(control) => control.get("/directory").await,
            Access::Direct(store, _) => Ok(DirectoryState::from(&*store.directory())),
        }
    }

    /// Changes domains and accounts, all together or none.
    ///
    /// # Errors
    /// When they were changed by others after the state was read that the change was decided by, among others.
    pub async fn change_directory(&mut self, change: DirectoryChange) -> anyhow::Result<()> {
        match self {
            Access::Running(control) => control.post("/directory", &change).await.map(|Done {}| ()),
            Access::Direct(_, writer) => {
                let committed = writer.commit([Change::ChangeDirectory(change)].iter())?;
                committed.results.into_iter().collect::<Result<Vec<_>, _>>()?;
                Ok(())
            }
        }
    }
}
