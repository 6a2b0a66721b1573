//! Which messages or hooks an action is for.

use super::Usage;
use crate::control::{Filter, Selection};
use anyhow::bail;
use clap::Args;
use mail::Timestamp;
use std::collections::BTreeSet;

/// Options that make a filter.
pub(super) trait FilterOptions: Args {
    /// The filter.
    type Filter: Filter;
    /// What is filtered, in the plural.
    const WHAT: &'static str;
    /// The command that lists them.
    const LIST: &'static str;

    /// What they mean at `now`.
    fn selection(&self, now: Timestamp) -> Selection<Self::Filter>;
}

/// Which messages or hooks, where nothing given must not mean all by mistake.
#[derive(Args, Clone, Debug)]
pub(super) struct TargetArgs<F: FilterOptions> {
    #[command(flatten)]
    filter: F,
    /// Every one, where no filter is given
    #[arg(long)]
    all: bool,
}

impl<F: FilterOptions> TargetArgs<F> {
    /// What they mean at `now`.
    ///
    /// # Errors
    /// When they mean all without saying so.
    pub(super) fn selection(&self, now: Timestamp) -> anyhow::Result<Selection<F::Filter>> {
        let (selection, what) = (self.filter.selection(now), F::WHAT);
        let wrong = match (selection.is_everything(), self.all) {
            (true, false) => format!("say which {what}, by ids or filters, or --all for all of them"),
            (false, true) => format!("--all is for all {what}; leave it out, or the filters"),
            (true, true) | (false, false) => return Ok(selection),
        };
        Err(Usage(wrong).into())
    }
}

/// Checks that every id that `selection` names was `found`.
///
/// # Errors
/// Names those that were not.
pub(super) fn all_found<F: FilterOptions>(
    selection: &Selection<F::Filter>,
    found: &[<F::Filter as Filter>::Id],
) -> anyhow::Result<()> {
    let found: BTreeSet<_> = found.iter().copied().collect();
    let given: BTreeSet<_> = selection.filter.ids().iter().copied().collect();
    let missing: Vec<_> = given.difference(&found).map(ToString::to_string).collect();
    if !missing.is_empty() {
        bail!("not found among the {}: {}; see: {}", F::WHAT, missing.join(", "), F::LIST);
    }
    Ok(())
}
