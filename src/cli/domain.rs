//! `postrider domain`: the domains that mail is sent from.

use super::{OutputArgs, ServerArgs, Table};
use clap::{Args, Subcommand};
use serde::Serialize;

/// What is done with domains.
#[derive(Subcommand)]
pub(super) enum DomainCommand {
    /// Show all domains
    List(ListArgs),
}

/// Options of `domain list`.
#[derive(Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl DomainCommand {
    /// Does it.
    ///
    /// # Errors
    /// When it was not done.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            DomainCommand::List(args) => args.run().await,
        }
    }
}

/// A domain as it is listed.
#[derive(Serialize)]
struct ListedDomain {
    name: String,
    disabled: bool,
    selectors: Vec<String>,
}

impl ListArgs {
    async fn run(self) -> anyhow::Result<()> {
        let state = self.server.target()?.access()?.directory().await?;
        let listed: Vec<_> = state.domains.iter().map(ListedDomain::of).collect();
        self.output.print(&listed, |domains| {
            let mut table = Table::new(&["DOMAIN", "DKIM SELECTORS", ""]);
            for domain in domains {
                let state = if domain.disabled { "disabled" } else { "" };
                table.row([domain.name.clone(), domain.selectors.join(" "), state.into()]);
            }
            table.to_string()
        })
    }
}

impl ListedDomain {
    fn of(record: &store::records::DomainRecord) -> ListedDomain {
        ListedDomain {
            name: record.name.to_string(),
            disabled: record.disabled,
            selectors: record.dkim.iter().map(|key| key.selector.clone()).collect(),
        }
    }
}
