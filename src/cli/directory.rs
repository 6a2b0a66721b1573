//! `postrider directory`: all domains and accounts as one TOML file.

use super::{OutputArgs, ServerArgs, print};
use crate::directory::{Context, Plan, Step, export, plan};
use actors::Clock;
use clap::{Args, Subcommand};
use config::DirectoryFile;
use std::path::PathBuf;

/// What is done with the directory file.
#[derive(Subcommand)]
pub(super) enum DirectoryCommand {
    /// Make domains and accounts what a file says, and print what that changed
    ///
    /// Domains and accounts that the file does not name stay, unless --prune is given. Options that it leaves out of one
    /// it names go back to their defaults; passwords, DKIM keys and webhook secrets stay. Where no server runs, its data
    /// directory is changed directly.
    Apply(ApplyArgs),
    /// Print all domains and accounts as a file for `directory apply`, secrets included
    Export(ServerArgs),
}

/// Options of `directory apply`.
#[derive(Args)]
pub(super) struct ApplyArgs {
    /// The file
    file: PathBuf,
    /// Only say what would be changed
    #[arg(long)]
    dry_run: bool,
    /// Remove domains and accounts that the file does not name
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl DirectoryCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            DirectoryCommand::Apply(args) => args.run().await,
            DirectoryCommand::Export(server) => {
                print(&export(&server.target()?.access()?.directory().await?)?)
            }
        }
    }
}

impl ApplyArgs {
    async fn run(self) -> anyhow::Result<()> {
        let target = self.server.target()?;
        let file = DirectoryFile::load(&self.file)?;
        let mut access = target.access_or_make()?;
        let settings = target.settings();
        let context = Context {
            now: Clock::system().now(),
            retention: &settings.retention,
            transports: &settings.transports,
            prune: self.prune,
        };
        let Plan { change, steps } = plan(&file, &access.directory().await?, &context)?;
        if !change.is_empty() && !self.dry_run {
            access.change_directory(change).await?;
        }
        self.output.print(&steps, |steps| told(steps, self.dry_run))
    }
}

fn told(steps: &[Step], dry_run: bool) -> String {
    let mut lines: Vec<_> = steps.iter().map(Step::to_string).collect();
    match (steps.is_empty(), dry_run) {
        (true, _) => lines.push("nothing to change".to_owned()),
        (false, true) => lines.push("nothing was changed: this was a dry run".to_owned()),
        (false, false) => {}
    }
    lines.join("\n")
}
