//! `postrider suppress`: the addresses to which an account sends nothing.

mod edit;
mod export;
mod format;
mod import;
mod line_numbers;
mod list;

use super::{Access, Usage};
use clap::{Args, Subcommand};

/// What is done with suppression lists.
#[derive(Subcommand)]
pub(super) enum SuppressCommand {
    /// Show the list of an account
    List(list::ListArgs),
    /// Put an address on the list of an account
    Add(edit::AddArgs),
    /// Take an address off the list of an account
    Remove(edit::RemoveArgs),
    /// Show whether an address is on a list, since when and why; status 1 when it is on none
    Lookup(list::LookupArgs),
    /// Put the addresses of a CSV file on the list of an account
    ///
    /// The first line names the columns: `address`, and optionally `reason`, `created` (RFC 3339), `source` (manual,
    /// application, queue, DSN, complaint; the last three with `message`, an id) or `manual` (true, false). Others are
    /// passed over. A file without such a line has an address on every line. What is on the list already stays as it
    /// is; lines that are wrong are shown at the end, and the others are imported.
    Import(import::ImportArgs),
    /// Write the list of an account as a CSV file for `suppress import`
    Export(export::ExportArgs),
}

impl SuppressCommand {
    /// Does it.
    ///
    /// # Errors
    /// When it was not done.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            SuppressCommand::List(args) => args.run().await,
            SuppressCommand::Add(args) => args.run().await,
            SuppressCommand::Remove(args) => args.run().await,
            SuppressCommand::Lookup(args) => args.run().await,
            SuppressCommand::Import(args) => args.run().await,
            SuppressCommand::Export(args) => args.run().await,
        }
    }
}

/// Whose list.
#[derive(Args, Clone, Debug)]
struct AccountArgs {
    /// The account; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
}

impl AccountArgs {
    /// The name that was given, or that of the only account.
    async fn name(self, access: &Access) -> anyhow::Result<String> {
        if let Some(name) = self.account {
            return Ok(name);
        }
        let accounts = access.directory().await?.accounts;
        match &accounts[..] {
            [only] => Ok(only.name.clone()),
            [] => Err(Usage("there is no account; `postrider account add` makes one".to_owned()).into()),
            _ => Err(Usage(format!(
                "there are {} accounts; say with --account NAME which is meant (`postrider account list` shows them)",
                accounts.len()
            ))
            .into()),
        }
    }
}
