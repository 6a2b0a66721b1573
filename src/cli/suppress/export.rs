//! `suppress export`.

use super::{
    AccountArgs,
    format::{HEADER, line},
    list::page,
};
use crate::{
    cli::{Access, ServerArgs},
    control::suppressions::SuppressionListRequest,
};
use anyhow::{Context, bail};
use clap::Args;
use csv::Writer;
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

/// Entries that are asked for at a time.
const PAGE: usize = 1_000;

/// Options of `suppress export`.
#[derive(Args)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    account: AccountArgs,
    /// Write to this new file rather than to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ExportArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let access = self.server.target()?.access()?;
        let account = self.account.name(&access).await?;
        match self.output {
            Some(file) => {
                let named = || file.display().to_string();
                // Addresses are for nobody else's eyes.
                let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
                let made = match made {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!(
                        "{} is there already; name another file with --output, or remove it first",
                        file.display()
                    ),
                    made => made.with_context(named)?,
                };
                write(&access, account, made).await.with_context(named)
            }
            None => match write(&access, account, io::stdout()).await {
                // A reader that has seen enough, as `head`, is no failure.
                Err(error) if is_broken_pipe(&error) => Ok(()),
                result => result,
            },
        }
    }
}

async fn write(access: &Access, account: String, to: impl Write) -> anyhow::Result<()> {
    let mut lines = Writer::from_writer(to);
    let mut request = SuppressionListRequest { account, after: None, limit: PAGE };
    let mut page_of = page(access, &request).await?;
    lines.write_record(HEADER)?;
    loop {
        for entry in &page_of.entries {
            lines.write_record(line(entry))?;
        }
        if page_of.next.is_none() {
            lines.flush()?;
            return Ok(());
        }
        request.after = page_of.next;
        page_of = page(access, &request).await?;
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_csv = error.downcast_ref::<csv::Error>().and_then(|error| match error.kind() {
        csv::ErrorKind::Io(error) => Some(error),
        _ => None,
    });
    of_csv.or_else(|| error.downcast_ref()).is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
