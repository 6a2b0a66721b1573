//! `queue list` and `queue show`.

use super::{
    filter::FilterArgs,
    shown::{in_full, message_lines},
    waiting::{gate_in_full, gate_in_short},
};
use crate::{
    cli::{
        Access, OutputArgs, ServerArgs, Table,
        page::PageArgs,
        selection::FilterOptions,
        text::{local, sender, size},
    },
    control::queue::{ListRequest, MessageList, ShownMessage, list, message},
};
use actors::Clock;
use anyhow::anyhow;
use clap::{Args, ValueEnum};
use mail::{QueueId, Timestamp};
use store::SortBy;

/// What the queue is sorted by.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SortArg {
    Submitted,
    NextAttempt,
}

/// Options of `queue list`.
#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// What the messages are sorted by
    #[arg(long, value_enum, default_value_t = SortArg::NextAttempt)]
    sort: SortArg,
    #[command(flatten)]
    page: PageArgs,
}

/// Options of `queue show`.
#[derive(Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The message's id
    id: u64,
}

impl ListArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let request = ListRequest {
            selection: self.filter.selection(now),
            sort: match self.sort {
                SortArg::Submitted => SortBy::Submitted,
                SortArg::NextAttempt => SortBy::NextAttempt,
            },
            descending: self.page.desc,
            after: self.page.after.clone(),
            limit: self.page.limit(),
        };
        let page = match self.server.target()?.access()? {
            Access::Running(control) => control.post("/queue/list", &request).await?,
            Access::Direct(store, _) => {
                list(&store, now, None, &request).map_err(|error| anyhow!("{error}"))?
            }
        };
        self.output.print(&page, |page| table(page, now))
    }
}

impl ShowArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let shown: ShownMessage = match self.server.target()?.access()? {
            Access::Running(control) => control.get(&format!("/queue/messages/{}", self.id)).await?,
            Access::Direct(store, _) => {
                message(&store, now, None, QueueId(self.id)).map_err(|error| anyhow!("{error}"))?
            }
        };
        self.output.print(&shown, |shown| {
            let mut lines = message_lines(shown);
            lines.push(("waits for", gate_in_full(shown, now)));
            in_full(&lines, shown)
        })
    }
}

fn table(page: &MessageList, now: Timestamp) -> String {
    if page.messages.is_empty() {
        return "no messages".to_owned();
    }
    let mut table =
        Table::new(&["ID", "ACCOUNT", "FROM", "TO", "SIZE", "QUEUED", "TRIED", "NEXT ATTEMPT", "WAITS FOR"]);
    for message in &page.messages {
        table.row([
            message.id.to_string(),
            message.account.clone(),
            sender(&message.mail_from),
            message.recipient.clone(),
            size(message.size),
            local(message.queued),
            message.attempts.to_string(),
            local(message.next_attempt),
            gate_in_short(message, now),
        ]);
    }
    format!("{table}{}", PageArgs::more(page.next.as_deref()))
}
