//! `hooks retired`: webhook calls that are done with.

use super::{
    filter::RetiredFilterArgs,
    shown::{hook_lines, in_full, news},
    sort::SortArg,
};
use crate::{
    cli::{
        Access, OutputArgs, Progress, ServerArgs, Table,
        page::PageArgs,
        selection::{FilterOptions, TargetArgs, all_found},
        text::{count, local},
    },
    control::hooks::{
        HookList, HookListRequest, ResendRequest, ShownRetiredHook, retired_hook, retired_hooks,
    },
};
use actors::{Clock, ResentPart};
use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use mail::HookId;
use serde::Serialize;
use std::fmt::Write;
use store::HookEnd;

/// What is done with the history of hooks.
#[derive(Subcommand)]
pub(in crate::cli) enum RetiredCommand {
    /// Show webhook calls that are done with
    List(ListArgs),
    /// Show one of them with every attempt
    Show(ShowArgs),
    /// Tell again what they told, to the URLs that the accounts have now
    Resend(ResendArgs),
}

/// Options of `hooks retired list`.
#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    filter: RetiredFilterArgs,
    /// What the hooks are sorted by
    #[arg(long, value_enum, default_value_t = SortArg::Submitted)]
    sort: SortArg,
    #[command(flatten)]
    page: PageArgs,
}

/// Options of `hooks retired show`.
#[derive(Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The hook's id
    id: u64,
}

/// Options of `hooks retired resend`.
#[derive(Args)]
pub(in crate::cli) struct ResendArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    target: TargetArgs<RetiredFilterArgs>,
}

impl RetiredCommand {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            RetiredCommand::List(args) => args.run().await,
            RetiredCommand::Show(args) => args.run().await,
            RetiredCommand::Resend(args) => args.run().await,
        }
    }
}

impl ListArgs {
    async fn run(self) -> anyhow::Result<()> {
        let SortArg::Submitted = self.sort;
        let request = HookListRequest {
            selection: self.filter.selection(Clock::system().now()),
            descending: self.page.desc,
            after: self.page.after.clone(),
            limit: self.page.limit(),
        };
        let page = match self.server.target()?.access()? {
            Access::Running(control) => control.post("/hooks/retired/list", &request).await?,
            Access::Direct(store, _) => {
                retired_hooks(&store, &request).map_err(|error| anyhow!("{error}"))?
            }
        };
        self.output.print(&page, table)
    }
}

impl ShowArgs {
    async fn run(self) -> anyhow::Result<()> {
        let shown: ShownRetiredHook = match self.server.target()?.access()? {
            Access::Running(control) => control.get(&format!("/hooks/retired/{}", self.id)).await?,
            Access::Direct(store, _) => {
                retired_hook(&store, HookId(self.id)).map_err(|error| anyhow!("{error}"))?
            }
        };
        self.output.print(&shown, |shown| {
            let mut lines = hook_lines(&shown.hook);
            lines.push(("outcome", outcome(shown)));
            lines.push(("retired", local(shown.retired)));
            lines.push(("kept until", local(shown.expires)));
            in_full(&lines, &shown.hook)
        })
    }
}

/// What was told again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Resent {
    /// The hooks that are told again, each with the new one.
    hooks: Vec<ResentHook>,
    /// Hooks of accounts that have no such webhook any more.
    without_webhook: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct ResentHook {
    id: HookId,
    new_id: HookId,
}

impl ResendArgs {
    async fn run(self) -> anyhow::Result<()> {
        let selection = self.target.selection(Clock::system().now())?;
        let control = self.server.target()?.control()?;
        let mut request = ResendRequest { selection, stretch: None };
        let (mut resent, mut found) = (Resent::default(), Vec::new());
        let mut progress = Progress::new();
        loop {
            let part: ResentPart = control.post("/hooks/retired/resend", &request).await?;
            resent.hooks.extend(part.made.into_iter().map(|(id, new_id)| ResentHook { id, new_id }));
            resent.without_webhook += part.without_webhook;
            found.extend(part.found);
            request.stretch = part.rest;
            if request.stretch.is_none() {
                break;
            }
            progress.show(&format!("{} to be told again so far", resent.hooks.len()));
        }
        drop(progress);
        self.output.print(&resent, in_words)?;
        all_found::<RetiredFilterArgs>(&request.selection, &found)?;
        let by_id = !request.selection.filter.hook.ids.is_empty();
        if resent.without_webhook > 0 && (by_id || resent.hooks.is_empty()) {
            bail!(
                "the accounts have no webhook for {} any more; give them one with `postrider directory apply`",
                count(resent.without_webhook, "hook")
            );
        }
        Ok(())
    }
}

/// So many hooks are named to people.
const NAMED_MAX: usize = 20;

fn in_words(resent: &Resent) -> String {
    let mut text = String::new();
    for ResentHook { id, new_id } in resent.hooks.iter().take(NAMED_MAX) {
        let _ = writeln!(text, "hook {id} is told again by hook {new_id}");
    }
    if resent.hooks.len() > NAMED_MAX {
        text.push_str("...\n");
    }
    let _ = write!(text, "{} to be told again", resent.hooks.len());
    if resent.without_webhook > 0 {
        let _ = write!(text, "; {} not, as the account has no such webhook any more", resent.without_webhook);
    }
    text
}

fn outcome(shown: &ShownRetiredHook) -> String {
    let end = match shown.outcome {
        HookEnd::Succeeded => "succeeded",
        HookEnd::Failed => "failed",
        HookEnd::Superseded => "superseded",
        HookEnd::Canceled => "canceled",
    };
    let by = shown.superseded_by.map_or_else(String::new, |by| format!(" by hook {by}"));
    format!("{end}{by}")
}

fn table(page: &HookList<ShownRetiredHook>) -> String {
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
        "RETIRED",
        "TRIED",
        "OUTCOME",
        "LAST ANSWER",
    ]);
    for retired in &page.hooks {
        let hook = &retired.hook;
        table.row([
            hook.id.to_string(),
            hook.account.clone(),
            news(&hook.news).to_owned(),
            hook.recipient.clone(),
            hook.url.clone(),
            local(hook.queued),
            local(retired.retired),
            hook.attempts.to_string(),
            outcome(retired),
            hook.results.last().map_or_else(String::new, |call| match call.success {
                true => format!("status {}", call.status),
                false => call.error.clone(),
            }),
        ]);
    }
    format!("{table}{}", PageArgs::more(page.next.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_of_at_most_twenty_hooks_by_id() {
        let resent = |hooks: u64, without_webhook| Resent {
            hooks: (1..=hooks).map(|id| ResentHook { id: HookId(id), new_id: HookId(id + 100) }).collect(),
            without_webhook,
        };
        assert_eq!(in_words(&resent(0, 0)), "0 to be told again");
        assert_eq!(in_words(&resent(1, 0)), "hook 1 is told again by hook 101\n1 to be told again");
        let text = in_words(&resent(21, 3));
        assert_eq!(text.lines().count(), 22);
        assert!(text.ends_with(
            "hook 20 is told again by hook 120\n...\n\
             21 to be told again; 3 not, as the account has no such webhook any more"
        ));
    }
}
