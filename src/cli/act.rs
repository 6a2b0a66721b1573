//! What is done with everything that a filter finds: call after call, until nothing is left.

use super::{
    OutputArgs, Progress, ServerArgs,
    selection::{FilterOptions, TargetArgs, all_found},
};
use crate::control::{ActRequest, Filter};
use actors::{Clock, Part};
use clap::Args;
use serde::Serialize;

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
    ///
    /// # Errors
    /// When an id that was given is not found, too; it is done with the others.
    pub(super) async fn run(self, path: &str, operation: impl Serialize) -> anyhow::Result<()> {
        let selection = self.target.selection(Clock::system().now())?;
        let control = self.server.target()?.control()?;
        let mut request = ActRequest { selection, operation, stretch: None };
        let (mut done, mut found) = (Changed { changed: 0 }, Vec::new());
        let mut progress = Progress::new();
        loop {
            let part: Part<<F::Filter as Filter>::Id> = control.post(path, &request).await?;
            done.changed += part.changed;
            found.extend(part.found);
            request.stretch = part.rest;
            if request.stretch.is_none() {
                break;
            }
            progress.show(&format!("{} changed so far", done.changed));
        }
        drop(progress);
        self.output.print(&done, |Changed { changed }| format!("{changed} changed"))?;
        all_found::<F>(&request.selection, &found)
    }
}
