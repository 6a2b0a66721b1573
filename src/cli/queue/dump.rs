//! `queue dump`: the content of messages, as it is sent.

use super::filter::FilterArgs;
use crate::{
    cli::{
        Access, ServerArgs, Usage,
        selection::{TargetArgs, all_found},
    },
    control::{
        Selection,
        queue::{ListRequest, MessageList, content, list},
    },
};
use actors::Clock;
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use mail::{QueueId, Timestamp};
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use store::SortBy;

/// Messages that are asked for at a time.
const PAGE: usize = 1000;

/// Options of `queue dump`.
#[derive(Args)]
pub(in crate::cli) struct DumpArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    target: TargetArgs<FilterArgs>,
    /// Write each message to a new file ID.eml in this directory, rather than one message to standard output
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl DumpArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let now = Clock::system().now();
        let selection = self.target.selection(now)?;
        let access = self.server.target()?.access()?;
        match self.output {
            Some(dir) => to_files(&access, selection, now, &dir).await,
            None => to_standard_output(&access, selection, now).await,
        }
    }
}

async fn to_standard_output(access: &Access, selection: Selection, now: Timestamp) -> anyhow::Result<()> {
    let found = page(access, selection.clone(), now, None, 2).await?;
    match &found.messages[..] {
        [] => bail!("no message of the queue fits"),
        [one] => {
            let content = bytes(access, one.id).await?;
            let mut out = io::stdout().lock();
            match out.write_all(&content).and_then(|()| out.flush()) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
                Ok(()) | Err(_) => all_found::<FilterArgs>(&selection, &[one.id]),
            }
        }
        _ => Err(Usage("more than one message fits; say with --output DIR where they go".to_owned()).into()),
    }
}

async fn to_files(access: &Access, selection: Selection, now: Timestamp, dir: &Path) -> anyhow::Result<()> {
    let mut written = Vec::new();
    let mut after = None;
    loop {
        let found = page(access, selection.clone(), now, after, PAGE).await?;
        for message in &found.messages {
            let content = bytes(access, message.id).await?;
            write_new(&dir.join(format!("{}.eml", message.id)), &content)?;
            written.push(message.id);
        }
        if found.next.is_none() {
            eprintln!("{} written to {}", written.len(), dir.display());
            return all_found::<FilterArgs>(&selection, &written);
        }
        after = found.next;
    }
}

/// Mail is for nobody else's eyes, and no file is written over.
fn write_new(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(content).with_context(|| path.display().to_string())
}

async fn page(
    access: &Access,
    selection: Selection,
    now: Timestamp,
    after: Option<String>,
    limit: usize,
) -> anyhow::Result<MessageList> {
    let request = ListRequest { selection, sort: SortBy::Submitted, descending: false, after, limit };
    match access {
        Access::Running(control) => control.post("/queue/list", &request).await,
        Access::Direct(store, _) => list(store, now, None, &request).map_err(|error| anyhow!("{error}")),
    }
}

async fn bytes(access: &Access, id: QueueId) -> anyhow::Result<Bytes> {
    match access {
        Access::Running(control) => control.get_bytes(&format!("/queue/messages/{id}/content")).await,
        Access::Direct(store, _) => content(store, id).map_err(|error| anyhow!("{error}")),
    }
}
