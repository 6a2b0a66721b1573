//! `hooks list` and `hooks show`.

use super::{
    filter::FilterArgs,
    shown::{hook_lines, in_full, news},
    sort::SortArg,
    waiting::{in_a_sentence, in_short},
};
use crate::{
    cli::{Access, OutputArgs, ServerArgs, Table, page::PageArgs, selection::FilterOptions, text::local},
    control::hooks::{HookList, HookListRequest, ShownHook, hook, hooks},
};
use actors::Clock;
use anyhow::anyhow;
use clap::Args;
use mail::HookId;

/// Options of `hooks list`.
#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// What the hooks are sorted by
    #[arg(long, value_enum, default_value_t = SortArg::Submitted)]
    sort: SortArg,
    #[command(flatten)]
    page: PageArgs,
}

/// Options of `hooks show`.
#[derive(Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The hook's id
    id: u64,
}

impl ListArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let SortArg::Submitted = self.sort;
        let request = HookListRequest {
            selection: self.filter.selection(now),
            descending: self.page.desc,
            after: self.page.after.clone(),
            limit: self.page.limit(),
        };
        let page = match self.server.target()?.access()? {
            Access::Running(control) => control.post("/hooks/list", &request).await?,
            Access::Direct(store, _) => {
                hooks(&store, now, None, &request).map_err(|error| anyhow!("{error}"))?
            }
        };
        self.output.print(&page, table)
    }
}

impl ShowArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let shown: ShownHook = match self.server.target()?.access()? {
            Access::Running(control) => control.get(&format!("/hooks/{}", self.id)).await?,
            Access::Direct(store, _) => {
                hook(&store, now, None, HookId(self.id)).map_err(|error| anyhow!("{error}"))?
            }
        };
        self.output.print(&shown, |shown| {
            let mut lines = hook_lines(shown);
            lines.push(("next attempt", local(shown.next_attempt)));
            lines.push(("waits for", in_a_sentence(shown, now)));
            lines.extend(shown.followed_by.map(|id| ("followed by", format!("hook {id}"))));
            in_full(&lines, shown)
        })
    }
}

fn table(page: &HookList<ShownHook>) -> String {
    if page.hooks.is_empty() {
        return "no hooks".to_owned();
    }
    let mut table = Table::new(&[
        "ID",
        "ACCOUNT",
        "NEWS",
        "RECIPIENT",
        "URL",
        "QUEUED",
        "TRIED",
        "NEXT ATTEMPT",
        "WAITS FOR",
    ]);
    for hook in &page.hooks {
        table.row([
            hook.id.to_string(),
            hook.account.clone(),
            news(&hook.news).to_owned(),
            hook.recipient.clone(),
            hook.url.clone(),
            local(hook.queued),
            hook.attempts.to_string(),
            local(hook.next_attempt),
            in_short(hook),
        ]);
    }
    format!("{table}{}", PageArgs::more(page.next.as_deref()))
}
