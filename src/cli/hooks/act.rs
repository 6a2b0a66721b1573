//! What is done with pending hooks: each command says how many it changed.

use super::filter::FilterArgs;
use crate::cli::{
    act::ActArgs,
    when::{When, WhenArgs},
};
use actors::HookDeed;
use clap::Args;

const PATH: &str = "/hooks/act";

/// Options of `hooks schedule`.
#[derive(Args)]
pub(in crate::cli) struct ScheduleArgs {
    #[command(flatten)]
    act: ActArgs<FilterArgs>,
    #[command(flatten)]
    when: WhenArgs,
}

/// Options of `hooks cancel`.
#[derive(Args)]
pub(in crate::cli) struct CancelArgs {
    #[command(flatten)]
    act: ActArgs<FilterArgs>,
}

impl ScheduleArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let deed = match self.when.when() {
            When::Now => HookDeed::CallNow,
            When::At(at) => HookDeed::Schedule(at),
            When::Plus(by) => HookDeed::Postpone(by),
        };
        self.act.run(PATH, deed).await
    }
}

impl CancelArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.act.run(PATH, HookDeed::Cancel).await
    }
}
