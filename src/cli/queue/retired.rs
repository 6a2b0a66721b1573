//! `queue retired`: messages that left the queue.

use super::{
    filter::FilterArgs,
    shown::{in_full, message_lines},
};
use crate::{
    cli::{
        Access, OutputArgs, ServerArgs, Table,
        page::PageArgs,
        selection::FilterOptions,
        text::{local, sender},
    },
    control::queue::{RetiredList, RetiredListRequest, ShownRetired, retired_list, retired_message},
};
use actors::Clock;
use anyhow::anyhow;
use clap::{Args, Subcommand, ValueEnum};
use mail::QueueId;
use store::records::EventKind;

/// What is done with history.
#[derive(Subcommand)]
pub(in crate::cli) enum RetiredCommand {
    /// Show messages that left the queue
    List(Box<ListArgs>),
    /// Show one of them with every attempt
    Show(ShowArgs),
}

/// How a message left.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Outcome {
    Delivered,
    Failed,
    Suppressed,
    Canceled,
}

/// By what history is sorted.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SortArg {
    Submitted,
}

/// Options of `queue retired list`.
#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Messages that left in this way
    #[arg(long, value_enum)]
    event: Option<Outcome>,
    /// Messages that were delivered, or with `false` that were not
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    success: Option<bool>,
    /// What the messages are sorted by
    #[arg(long, value_enum, default_value_t = SortArg::Submitted)]
    sort: SortArg,
    #[command(flatten)]
    page: PageArgs,
}

/// Options of `queue retired show`.
#[derive(Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The message's id
    id: u64,
}

impl RetiredCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            RetiredCommand::List(args) => args.run().await,
            RetiredCommand::Show(args) => args.run().await,
        }
    }
}

impl ListArgs {
    async fn run(self) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let SortArg::Submitted = self.sort;
        let request = RetiredListRequest {
            selection: self.filter.selection(now),
            success: self.success,
            event: self.event.map(|outcome| match outcome {
                Outcome::Delivered => EventKind::Delivered,
                Outcome::Failed => EventKind::Failed,
                Outcome::Suppressed => EventKind::Suppressed,
                Outcome::Canceled => EventKind::Canceled,
            }),
            descending: self.page.desc,
            after: self.page.after.clone(),
            limit: self.page.limit(),
        };
        let page: RetiredList = match self.server.target()?.access()? {
            Access::Running(control) => control.post("/queue/retired/list", &request).await?,
            Access::Direct(store, _) => {
                retired_list(&store, now, &request).map_err(|error| anyhow!("{error}"))?
            }
        };
        self.output.print(&page, table)
    }
}

impl ShowArgs {
    async fn run(self) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let shown: ShownRetired = match self.server.target()?.access()? {
            Access::Running(control) => control.get(&format!("/queue/retired/{}", self.id)).await?,
            Access::Direct(store, _) => {
                retired_message(&store, now, QueueId(self.id)).map_err(|error| anyhow!("{error}"))?
            }
        };
        self.output.print(&shown, |shown| {
            let mut lines = message_lines(&shown.message);
            lines.push(("outcome", outcome(shown)));
            lines.push(("retired", local(shown.retired)));
            lines.push(("kept until", local(shown.expires)));
            in_full(&lines, &shown.message)
        })
    }
}

fn outcome(shown: &ShownRetired) -> String {
    let verdict = shown.verdict.as_ref().map_or_else(String::new, |verdict| format!(" ({verdict})"));
    let suppressing = if shown.suppressing { "; the recipient was put on the suppression list" } else { "" };
    format!("{}{verdict}{suppressing}", shown.outcome)
}

fn table(page: &RetiredList) -> String {
    if page.messages.is_empty() {
        return "no messages".to_owned();
    }
    let mut table =
        Table::new(&["ID", "ACCOUNT", "FROM", "TO", "QUEUED", "RETIRED", "TRIED", "OUTCOME", "LAST ANSWER"]);
    for retired in &page.messages {
        let message = &retired.message;
        table.row([
            message.id.to_string(),
            message.account.clone(),
            sender(&message.mail_from),
            message.recipient.clone(),
            local(message.queued),
            local(retired.retired),
            message.attempts.to_string(),
            retired.outcome.clone(),
            message.results.last().map_or_else(String::new, |attempt| match attempt.code {
                0 => attempt.text.clone(),
                code => format!("{code} {}", attempt.text),
            }),
        ]);
    }
    format!("{table}{}", PageArgs::more(page.next.as_deref()))
}
