//! What is done with messages: each command says how many it changed.

use super::filter::TargetArgs;
use crate::{
    cli::{OutputArgs, Progress, ServerArgs},
    control::queue::ActRequest,
};
use actors::{Clock, Operation, Part};
use clap::Args;
use config::Period;
use mail::Timestamp;
use serde::Serialize;
use store::records::Hold;

/// How many messages that changed.
#[derive(Clone, Copy, Debug, Serialize)]
struct Changed {
    /// Their number.
    changed: usize,
}

/// What every one of these commands is given.
#[derive(Args)]
struct Common {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    target: TargetArgs,
}

impl Common {
    async fn run(self, operation: Operation) -> anyhow::Result<()> {
        let selection = self.target.selection(Clock::system().now())?;
        let control = self.server.target()?.control()?;
        let mut request = ActRequest { selection, operation, stretch: None };
        let mut done = Changed { changed: 0 };
        let mut progress = Progress::new();
        loop {
            let part: Part = control.post("/queue/act", &request).await?;
            done.changed += part.changed;
            request.stretch = part.rest;
            if request.stretch.is_none() {
                break;
            }
            progress.show(&format!("{} changed so far", done.changed));
        }
        drop(progress);
        self.output.print(&done, |Changed { changed }| format!("{changed} changed"))
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
    when: When,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct When {
    /// Try them now
    #[arg(long)]
    now: bool,
    /// Try them at this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Try them so much later than now planned, as 1h30m
    #[arg(long, value_name = "DURATION")]
    plus: Option<Period>,
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
        let operation = match (self.when.at, self.when.plus) {
            (Some(at), _) => Operation::Schedule(at),
            (None, Some(Period(by))) => Operation::Postpone(by),
            (None, None) => Operation::TryNow,
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

fn time(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::parse_rfc3339(text).ok_or("a time is written as 2026-11-25T10:00:00Z (RFC 3339)")
}

/// It stands on one line in lists.
fn reason(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > 500 || text.contains(char::is_control) {
        return Err("a reason is one line of at most 500 octets");
    }
    Ok(text.to_owned())
}
