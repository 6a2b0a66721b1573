//! `--sort` of lists of hooks.

use clap::ValueEnum;

/// By what hooks are sorted: they are kept in one order alone.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SortArg {
    /// When they were made
    #[value(alias = "created")]
    Submitted,
}
