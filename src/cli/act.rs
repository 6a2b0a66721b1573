//! What is done with everything that a filter finds: call after call, until nothing is left.

use super::{
    OutputArgs, Progress, ServerArgs,
    selection::{FilterOptions, TargetArgs},
};
use crate::control::ActRequest;
use actors::{Clock, Part};
use clap::Args;
use serde::{Serialize, de::DeserializeOwned};

/// What every such command is given.
#[derive(Args)]
pub(super) struct ActArgs<F: FilterOptions> {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    target: TargetArgs<F>,
}

/// How many changed.
#[derive(Clone, Copy, Debug, Serialize)]
struct Changed {
    /// Their number.
    changed: usize,
}

impl<F: FilterOptions> ActArgs<F>
where
    F::Filter: Serialize,
{
    /// Does it by calls of `path`, and says how many that changed.
    pub(super) async fn run<Id>(self, path: &str, operation: impl Serialize) -> anyhow::Result<()>
    where
        Id: Serialize + DeserializeOwned,
    {
        let selection = self.target.selection(Clock::system().now())?;
        let control = self.server.target()?.control()?;
        let mut request = ActRequest { selection, operation, stretch: None };
        let mut done = Changed { changed: 0 };
        let mut progress = Progress::new();
        loop {
            let part: Part<Id> = control.post(path, &request).await?;
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
