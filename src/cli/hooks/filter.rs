//! The options that say which hooks are meant.

use crate::{
    cli::{
        selection::FilterOptions,
        time_bound::{TimeBound, ahead, past},
    },
    control::Selection,
};
use clap::{Args, ValueEnum};
use mail::{Address, HookId, Timestamp};
use store::{HookEnd, HookFilter, HookKind, RetiredHookFilter, records::EventKind};

/// Which of the two webhooks of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum KindArg {
    /// What happened to messages that were sent
    Outgoing,
    /// Messages that arrived
    Incoming,
}

impl From<KindArg> for HookKind {
    fn from(kind: KindArg) -> HookKind {
        match kind {
            KindArg::Outgoing => HookKind::Outgoing,
            KindArg::Incoming => HookKind::Incoming,
        }
    }
}

/// How a hook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutcomeArg {
    Succeeded,
    Failed,
    Superseded,
    Canceled,
}

impl From<OutcomeArg> for HookEnd {
    fn from(outcome: OutcomeArg) -> HookEnd {
        match outcome {
            OutcomeArg::Succeeded => HookEnd::Succeeded,
            OutcomeArg::Failed => HookEnd::Failed,
            OutcomeArg::Superseded => HookEnd::Superseded,
            OutcomeArg::Canceled => HookEnd::Canceled,
        }
    }
}

/// Which hooks; all that is given must hold.
#[derive(Args, Clone, Debug)]
struct CommonArgs {
    /// Hooks with these ids
    #[arg(value_name = "ID")]
    ids: Vec<u64>,
    /// Hooks with this id; may be repeated
    #[arg(long = "id", value_name = "ID")]
    more_ids: Vec<u64>,
    /// Hooks of this account
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Hooks of the outgoing or of the incoming webhook
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// Hooks that tell this event
    #[arg(long, value_name = "EVENT", value_parser = event)]
    event: Option<EventKind>,
    /// Hooks about a message to this address
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<Address>,
    /// Hooks to this URL, or to one that begins so
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Hooks made less than ('<1h') or more than ('>1h') so long ago, or before or after now or an RFC 3339 time; may be
    /// repeated
    #[arg(long, value_name = "BOUND")]
    submitted: Vec<TimeBound>,
}

impl CommonArgs {
    fn selection<F>(&self, now: Timestamp, filter: impl FnOnce(HookFilter) -> F) -> Selection<F> {
        let common = HookFilter {
            ids: self.ids.iter().chain(&self.more_ids).copied().map(HookId).collect(),
            account: None,
            kind: self.kind.map(HookKind::from),
            event: self.event,
            recipient: self.recipient.clone(),
            url: self.url.clone(),
            submitted: past(&self.submitted, now),
            ..HookFilter::default()
        };
        Selection { account: self.account.clone(), filter: filter(common) }
    }
}

/// Which pending hooks.
#[derive(Args, Clone, Debug)]
pub(super) struct FilterArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Hooks called next in less than ('<1h') or more than ('>1h') so long, or before or after now or an RFC 3339 time;
    /// may be repeated
    #[arg(long, value_name = "BOUND")]
    next_attempt: Vec<TimeBound>,
}

impl FilterOptions for FilterArgs {
    type Filter = HookFilter;
    const WHAT: &'static str = "hooks";
    const LIST: &'static str = "postrider hooks list";

    fn selection(&self, now: Timestamp) -> Selection<HookFilter> {
        let next_attempt = ahead(&self.next_attempt, now);
        self.common.selection(now, |common| HookFilter { next_attempt, ..common })
    }
}

/// Which hooks that are done with.
#[derive(Args, Clone, Debug)]
pub(super) struct RetiredFilterArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// Hooks that ended so
    #[arg(long, value_enum)]
    outcome: Option<OutcomeArg>,
    /// Hooks that were answered with 2xx, or with `false` that were not
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    success: Option<bool>,
}

impl FilterOptions for RetiredFilterArgs {
    type Filter = RetiredHookFilter;
    const WHAT: &'static str = "retired hooks";
    const LIST: &'static str = "postrider hooks retired list";

    fn selection(&self, now: Timestamp) -> Selection<RetiredHookFilter> {
        let outcome = self.outcome.map(HookEnd::from);
        self.common.selection(now, |hook| RetiredHookFilter { hook, outcome, success: self.success })
    }
}

fn event(name: &str) -> Result<EventKind, String> {
    let kinds = EventKind::ALL.into_iter().filter(|kind| kind.makes_hook());
    kinds.clone().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<_> = kinds.map(EventKind::name).collect();
        format!("an event of webhooks is one of {}", names.join(", "))
    })
}
