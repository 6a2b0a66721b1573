//! `postrider hooks`: webhook calls that are to be made, their history, and calls to try a webhook.

mod act;
mod filter;
mod list;
mod retired;
mod shown;
mod sort;
mod test_call;
mod waiting;

use clap::Subcommand;

/// What is done with hooks.
#[derive(Subcommand)]
pub(super) enum HooksCommand {
    /// Show webhook calls that are to be made, and what each waits for
    List(list::ListArgs),
    /// Show one of them with every attempt
    Show(list::ShowArgs),
    /// Choose when the webhooks are called next
    Schedule(act::ScheduleArgs),
    /// Make the calls no more
    Cancel(act::CancelArgs),
    /// Call a webhook now with made-up news, and show request and answer
    Test(test_call::TestArgs),
    /// Webhook calls that are done with
    #[command(subcommand)]
    Retired(retired::RetiredCommand),
}

impl HooksCommand {
    /// Does it.
    ///
    /// # Errors
    /// When it was not done.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            HooksCommand::List(args) => args.run().await,
            HooksCommand::Show(args) => args.run().await,
            HooksCommand::Schedule(args) => args.run().await,
            HooksCommand::Cancel(args) => args.run().await,
            HooksCommand::Test(args) => args.run().await,
            HooksCommand::Retired(command) => command.run().await,
        }
    }
}
