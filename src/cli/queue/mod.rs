//! `postrider queue`: messages that wait to be sent, their history, and the rules that hold them.

mod act;
mod dump;
mod filter;
mod hold_rules;
mod list;
mod retired;
mod shown;
mod waiting;

use clap::Subcommand;

/// What is done with the queue.
#[derive(Subcommand)]
pub(super) enum QueueCommand {
    /// Show messages, and what each waits for
    List(list::ListArgs),
    /// Show one message with every attempt
    Show(list::ShowArgs),
    /// Send no more of the messages until they are released
    Hold(act::HoldArgs),
    /// Hold the messages no longer
    Release(act::ReleaseArgs),
    /// Choose when the messages are tried next
    Schedule(act::ScheduleArgs),
    /// Choose the transport by which the messages are sent
    Transport(act::TransportArgs),
    /// Choose whether the messages need TLS all the way (RFC 8689)
    Requiretls(act::RequireTlsArgs),
    /// Give the messages up, as after a permanent error: with DSN and webhook
    Fail(act::FailArgs),
    /// Remove the messages; the webhook says `canceled`
    Drop(act::DropArgs),
    /// Write the content of the messages, as it is sent
    Dump(dump::DumpArgs),
    /// Messages that left the queue
    #[command(subcommand)]
    Retired(retired::RetiredCommand),
    /// Rules that hold messages, those in the queue and those to come
    #[command(subcommand)]
    HoldRules(hold_rules::HoldRulesCommand),
}

impl QueueCommand {
    /// Does it.
    ///
    /// # Errors
    /// When it was not done.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            QueueCommand::List(args) => args.run().await,
            QueueCommand::Show(args) => args.run().await,
            QueueCommand::Hold(args) => args.run().await,
            QueueCommand::Release(args) => args.run().await,
            QueueCommand::Schedule(args) => args.run().await,
            QueueCommand::Transport(args) => args.run().await,
            QueueCommand::Requiretls(args) => args.run().await,
            QueueCommand::Fail(args) => args.run().await,
            QueueCommand::Drop(args) => args.run().await,
            QueueCommand::Dump(args) => args.run().await,
            QueueCommand::Retired(command) => command.run().await,
            QueueCommand::HoldRules(command) => command.run().await,
        }
    }
}
