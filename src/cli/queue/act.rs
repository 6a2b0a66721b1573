//! What is done with messages: each command says how many it changed.

use super::filter::FilterArgs;
use crate::cli::{
    act::ActArgs,
    when::{When, WhenArgs},
};
use actors::Operation;
use clap::Args;
use store::records::Hold;

/// What every one of these commands is given.
#[derive(Args)]
struct Common {
    #[command(flatten)]
    act: ActArgs<FilterArgs>,
}

impl Common {
    async fn run(self, operation: Operation) -> anyhow::Result<()> {
        self.act.run("/queue/act", operation).await
    }
}

/// Options of `queue hold`.
#[derive(Args)]
pub(in crate::cli) struct HoldArgs {
    #[command(flatten)]
    common: Common,
}

/// Options of `queue release`.
#[derive(Args)]
pub(in crate::cli) struct ReleaseArgs {
    #[command(flatten)]
    common: Common,
}

/// Options of `queue schedule`.
#[derive(Args)]
pub(in crate::cli) struct ScheduleArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    when: WhenArgs,
}

/// Options of `queue transport`.
#[derive(Args)]
pub(in crate::cli) struct TransportArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    which: WhichTransport,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct WhichTransport {
    /// Send them by this transport of the settings
    #[arg(long, value_name = "NAME")]
    set: Option<String>,
    /// Send them as the routes say
    #[arg(long)]
    unset: bool,
}

/// Options of `queue requiretls`.
#[derive(Args)]
pub(in crate::cli) struct RequireTlsArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    how: RequireTls,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct RequireTls {
    /// `true`: only over TLS to verified hosts (REQUIRETLS); `false`: even without TLS (TLS-Required: no)
    #[arg(long, value_name = "true|false")]
    set: Option<bool>,
    /// As the policies of the destination say
    #[arg(long)]
    unset: bool,
}

/// Options of `queue fail`.
#[derive(Args)]
pub(in crate::cli) struct FailArgs {
    #[command(flatten)]
    common: Common,
    /// Why, for webhook and history
    #[arg(long, value_name = "TEXT", default_value = "given up by the operator", value_parser = reason)]
    reason: String,
}

/// Options of `queue drop`.
#[derive(Args)]
pub(in crate::cli) struct DropArgs {
    #[command(flatten)]
    common: Common,
}

impl HoldArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.common.run(Operation::Hold(Hold::Operator)).await
    }
}

impl ReleaseArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.common.run(Operation::Release).await
    }
}

impl ScheduleArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let operation = match self.when.when() {
            When::Now => Operation::TryNow,
            When::At(at) => Operation::Schedule(at),
            When::Plus(by) => Operation::Postpone(by),
        };
        self.common.run(operation).await
    }
}

impl TransportArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.common.run(Operation::SetTransport(self.which.set)).await
    }
}

impl RequireTlsArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.common.run(Operation::SetRequireTls(self.how.set)).await
    }
}

impl FailArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.common.run(Operation::Fail(self.reason)).await
    }
}

impl DropArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.common.run(Operation::Cancel).await
    }
}

/// It stands on one line in lists.
fn reason(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > 500 || text.contains(char::is_control) {
        return Err("a reason is one line of at most 500 octets");
    }
    Ok(text.to_owned())
}
