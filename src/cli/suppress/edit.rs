//! `suppress add` and `suppress remove`.

use super::{AccountArgs, list::table};
use crate::{
    cli::{Access, OutputArgs, ServerArgs},
    control::suppressions::{AddRequest, RemoveRequest, ShownSuppression},
};
use clap::Args;
use mail::Address;
use serde::Serialize;

/// Options of `suppress add`.
#[derive(Args)]
pub(in crate::cli) struct AddArgs {
    #[command(flatten)]
    common: Common,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Options of `suppress remove`.
#[derive(Args)]
pub(in crate::cli) struct RemoveArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    account: AccountArgs,
    /// The address; it is compared by its base address
    address: Address,
}

impl Common {
    /// Does it, and shows the entry.
    async fn run<T: Serialize>(
        self,
        path: &str,
        request: impl FnOnce(String, Address) -> T,
    ) -> anyhow::Result<()> {
        let target = self.server.target()?;
        let account = self.account.name(&Access::Running(target.control()?)).await?;
        let entries: Vec<ShownSuppression> =
            target.control()?.post(path, &request(account, self.address)).await?;
        self.output.print(&entries, |entries| table(entries).to_string())
    }
}

impl AddArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let reason = self.reason;
        let request = |account, address| AddRequest { account, address, reason };
        self.common.run("/suppressions/add", request).await
    }
}

impl RemoveArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let request = |account, address| RemoveRequest { account, address };
        self.common.run("/suppressions/remove", request).await
    }
}
