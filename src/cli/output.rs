//! What commands print: for people, or as JSON for programs.

use clap::Args;
use serde::Serialize;
use std::io::{self, Write};

/// The option of every command that prints data.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl OutputArgs {
    /// Prints `data` as JSON, or what `text` makes of it for people.
    ///
    /// # Errors
    /// When standard output does not take it.
    pub fn print<T: Serialize>(self, data: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let shown = if self.json { serde_json::to_string_pretty(data)? } else { text(data) };
        print(&shown)
    }
}

/// Prints a text and ends its last line. A reader that has seen enough, as `head`, is no failure.
///
/// # Errors
/// When standard output does not take it.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let text = text.trim_end_matches('\n');
    let end = if text.is_empty() { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
