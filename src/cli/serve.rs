//! `postrider serve`.

use super::target::find_settings;
use crate::{http, serve};
use clap::Args;
use std::path::PathBuf;

/// Options of `serve`.
#[derive(Args)]
pub(super) struct ServeArgs {
    /// The settings file [default: postrider.toml here, else /etc/postrider/postrider.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ServeArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        http::count_panics();
        let file = match self.config {
            Some(file) => file,
            None => find_settings("with --config FILE")?,
        };
        serve::run(file).await
    }
}
