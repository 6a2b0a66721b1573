//! `suppress list` and `suppress lookup`.

use super::AccountArgs;
use crate::{
    cli::{Access, OutputArgs, ServerArgs, Table, text::local},
    control::suppressions::{
        LookupRequest, ShownSuppression, SuppressionList, SuppressionListRequest, lookup, suppression_list,
    },
};
use anyhow::{anyhow, bail};
use clap::Args;
use mail::Address;

/// Options of `suppress list`.
#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    account: AccountArgs,
    /// At most so many entries
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: u64,
    /// Go on behind the base address with which the page before ended
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
}

/// Options of `suppress lookup`.
#[derive(Args)]
pub(in crate::cli) struct LookupArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Only on the list of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// The address; it is compared by its base address
    address: Address,
}

impl ListArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let access = self.server.target()?.access()?;
        let request = SuppressionListRequest {
            account: self.account.name(&access).await?,
            after: self.after,
            limit: usize::try_from(self.limit).unwrap_or(usize::MAX),
        };
        let page = page(&access, &request).await?;
        self.output.print(&page, |page| match page.entries.is_empty() {
            true => "no addresses".to_owned(),
            false => {
                let more = page.next.as_ref();
                let more =
                    more.map_or_else(String::new, |key| format!("\nthe list goes on: --after {key}\n"));
                format!("{}{more}", table(&page.entries))
            }
        })
    }
}

impl LookupArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let request = LookupRequest { account: self.account, address: self.address };
        let found: Vec<ShownSuppression> = match self.server.target()?.access()? {
            Access::Running(control) => control.post("/suppressions/lookup", &request).await?,
            Access::Direct(store, _) => lookup(&store, &request).map_err(|error| anyhow!("{error}"))?,
        };
        if !found.is_empty() || self.output.json {
            self.output.print(&found, |found| table(found).to_string())?;
        }
        match (found.is_empty(), request.account) {
            (true, Some(account)) => bail!("{} is not on the list of {account}", request.address),
            (true, None) => bail!("{} is on no list", request.address),
            (false, _) => Ok(()),
        }
    }
}

/// A page of a list, from the server or from its data.
pub(super) async fn page(
    access: &Access,
    request: &SuppressionListRequest,
) -> anyhow::Result<SuppressionList> {
    match access {
        Access::Running(control) => control.post("/suppressions/list", request).await,
        Access::Direct(store, _) => suppression_list(store, request).map_err(|error| anyhow!("{error}")),
    }
}

/// Entries for people.
pub(super) fn table(entries: &[ShownSuppression]) -> Table {
    let mut table =
        Table::new(&["ACCOUNT", "BASE ADDRESS", "ORIGINAL ADDRESS", "SINCE", "SOURCE", "MESSAGE", "REASON"]);
    for entry in entries {
        table.row([
            entry.account.clone(),
            entry.base_address.clone(),
            entry.original_address.clone(),
            local(entry.created),
            entry.source.clone(),
            entry.message.map_or_else(|| "-".to_owned(), |id| id.to_string()),
            entry.reason.clone(),
        ]);
    }
    table
}
