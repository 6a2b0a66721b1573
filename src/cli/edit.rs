//! Changes to one domain or account.

use super::{Access, ServerArgs, Target};
use crate::directory::{DirectoryState, Problem, problems};
use anyhow::{Context, bail};
use mail::Domain;
use store::{
    DirectoryChange,
    records::{AccountRecord, DomainRecord},
};

/// Domains and accounts, about to be changed.
pub(super) struct Edit {
    /// The server.
    pub(super) target: Target,
    /// As they are.
    pub(super) state: DirectoryState,
    /// What was wrong with them before: no reason to refuse a change of something else.
    known: Vec<Problem>,
    access: Access,
}

impl Edit {
    /// Of the server, whether it runs or not.
    pub(super) async fn begin(server: &ServerArgs) -> anyhow::Result<Edit> {
        let target = server.target()?;
        let access = target.access()?;
        Edit::of(target, access).await
    }

    /// As [`Edit::begin`], but the data directory is made when it is missing.
    pub(super) async fn begin_or_make(server: &ServerArgs) -> anyhow::Result<Edit> {
        let target = server.target()?;
        let access = target.access_or_make()?;
        Edit::of(target, access).await
    }

    async fn of(target: Target, access: Access) -> anyhow::Result<Edit> {
        let state = access.directory().await?;
        let known = problems(state.domains.iter(), state.accounts.iter());
        Ok(Edit { target, state, known, access })
    }

    /// What is wrong once the change is made, and was not before.
    fn new_problem(&self) -> Option<Problem> {
        let found = problems(self.state.domains.iter(), self.state.accounts.iter());
        found.into_iter().find(|problem| !self.known.contains(problem))
    }

    pub(super) fn domain(&self, name: &Domain) -> anyhow::Result<DomainRecord> {
        let found = self.state.domains.iter().find(|domain| domain.name == *name).cloned();
        found.with_context(|| format!("there is no domain {name}; see: postrider domain list"))
    }

    pub(super) fn account(&self, name: &str) -> anyhow::Result<AccountRecord> {
        let found = self.state.accounts.iter().find(|account| account.name == name).cloned();
        found.with_context(|| format!("there is no account \"{name}\"; see: postrider account list"))
    }

    /// The server, when nothing is to be changed. Where none runs, its data is let go of.
    pub(super) fn end(self) -> Target {
        self.target
    }

    /// Stores a domain in place of the one of that name.
    pub(super) async fn put_domain(mut self, record: DomainRecord) -> anyhow::Result<()> {
        self.state.domains.retain(|other| other.name != record.name);
        self.state.domains.push(record.clone());
        self.finish(DirectoryChange { put_domains: vec![record], ..DirectoryChange::default() }).await
    }

    /// Stores an account in place of the one of that name.
    pub(super) async fn put_account(mut self, record: AccountRecord) -> anyhow::Result<()> {
        self.state.accounts.retain(|other| other.name != record.name);
        self.state.accounts.push(record.clone());
        self.finish(DirectoryChange { put_accounts: vec![record], ..DirectoryChange::default() }).await
    }

    /// Removes a domain that no account has addresses in.
    pub(super) async fn remove_domain(mut self, name: Domain) -> anyhow::Result<()> {
        self.domain(&name)?;
        self.state.domains.retain(|other| other.name != name);
        if let Some(orphan) = self.new_problem() {
            bail!(
                "the account \"{}\" has the address {}; remove the account first",
                orphan.account,
                orphan.address
            );
        }
        self.finish(DirectoryChange { remove_domains: vec![name], ..DirectoryChange::default() }).await
    }

    /// Removes an account.
    pub(super) async fn remove_account(mut self, name: String) -> anyhow::Result<()> {
        self.account(&name)?;
        self.state.accounts.retain(|other| other.name != name);
        self.finish(DirectoryChange { remove_accounts: vec![name], ..DirectoryChange::default() }).await
    }

    async fn finish(mut self, change: DirectoryChange) -> anyhow::Result<()> {
        if let Some(problem) = self.new_problem() {
            bail!("the account \"{}\": {}", problem.account, problem.text);
        }
        self.access.change_directory(DirectoryChange { seen: self.state.generation, ..change }).await
    }
}
