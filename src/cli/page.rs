//! The options that say which page of a list is meant.

use clap::Args;

/// Which page.
#[derive(Args, Clone, Debug)]
pub(super) struct PageArgs {
    /// The other way round
    #[arg(long)]
    pub(super) desc: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    limit: u64,
    /// Go on behind the key with which the page before ended
    #[arg(long, value_name = "KEY")]
    pub(super) after: Option<String>,
}

impl PageArgs {
    /// What to say below a page that is not the last.
    pub(super) fn more(next: Option<&str>) -> String {
        next.map_or_else(String::new, |key| format!("\nthe list goes on: --after {key}\n"))
    }

    pub(super) fn limit(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }
}
