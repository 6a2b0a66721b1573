//! `suppress import`.

use super::{
    AccountArgs,
    format::{Columns, FirstLine},
    line_numbers::{Counted, LineNumbers},
    list::page,
};
use crate::{
    cli::{Access, Control, OutputArgs, Progress, ServerArgs},
    control::suppressions::{ImportRequest, SuppressionListRequest},
};
use actors::{ImportEntry, Imported};
use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use csv::{ByteRecord, Reader, ReaderBuilder, Writer};
use serde::Serialize;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Lines that are sent at a time.
const BATCH: usize = 2_000;
/// Bad lines that are shown to people.
const SHOWN_MAX: usize = 20;
/// Bad lines that are remembered.
const REMEMBERED_MAX: usize = 1_000;

/// Options of `suppress import`.
#[derive(Args)]
pub(in crate::cli) struct ImportArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    account: AccountArgs,
    /// Write the lines that are wrong to this new file, each with its number and what is wrong; once they are put right,
    /// it can be imported
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// The file; `-` for standard input
    file: PathBuf,
}

/// What became of the lines.
#[derive(Default, Serialize)]
struct Outcome {
    /// Addresses that are new on the list.
    added: usize,
    /// Addresses that were there already.
    present: usize,
    /// Lines that were wrong.
    rejected: usize,
    /// The first of them.
    rejects: Vec<Reject>,
}

/// A line that was wrong.
#[derive(Serialize)]
struct Reject {
    line: u64,
    error: String,
}

impl ImportArgs {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let target = self.server.target()?;
        let control = target.control()?;
        let access = Access::Running(target.control()?);
        let account = self.account.name(&access).await?;
        // An account that is not there is told before anything is read.
        page(&access, &SuppressionListRequest { account: account.clone(), after: None, limit: 1 }).await?;
        let lines = Lines::open(&self.file)?;
        let rejects = self.rejects.as_deref().map(RejectsFile::new).transpose()?;
        let outcome = Import { control, account, rejects, outcome: Outcome::default() }.run(lines).await?;
        self.output.print(&outcome, told)?;
        match outcome.rejected {
            0 => Ok(()),
            1 => bail!("1 line was not imported"),
            many => bail!("{many} lines were not imported"),
        }
    }
}

fn told(outcome: &Outcome) -> String {
    let Outcome { added, present, rejected, rejects } = outcome;
    for Reject { line, error } in rejects.iter().take(SHOWN_MAX) {
        eprintln!("line {line}: {error}");
    }
    if *rejected > SHOWN_MAX {
        eprintln!("and {} more; --rejects FILE writes all of them", rejected - SHOWN_MAX);
    }
    format!("{added} added, {present} on the list already, {rejected} wrong")
}

/// An import under way.
struct Import {
    control: Control,
    account: String,
    rejects: Option<RejectsFile>,
    outcome: Outcome,
}

impl Import {
    async fn run(mut self, mut lines: Lines) -> anyhow::Result<Outcome> {
        let Some(columns) = lines.columns()? else { return Ok(self.outcome) };
        let mut progress = Progress::new();
        let mut entries = Vec::new();
        let mut record = ByteRecord::new();
        let mut seen = 0;
        let mut last = 0;
        while let Some(line) = lines.next(&mut record)? {
            match columns.entry(&record) {
                Ok(entry) => entries.push(entry),
                Err(error) => self.reject(&lines.header, &record, Reject { line, error })?,
            }
            (seen, last) = (seen + 1, line);
            if seen % BATCH == 0 {
                self.send(std::mem::take(&mut entries), last).await?;
                progress.show(&self.so_far(&lines, seen));
            }
        }
        self.send(entries, last).await?;
        if let Some(rejects) = self.rejects {
            rejects.end()?;
        }
        Ok(self.outcome)
    }

    /// Sends what was read up to the line `last`.
    async fn send(&mut self, entries: Vec<ImportEntry>, last: u64) -> anyhow::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let request = ImportRequest { account: self.account.clone(), entries };
        let sent = self.control.post("/suppressions/import", &request).await;
        let Imported { added, present } = sent.with_context(|| {
            format!(
                "stopped near line {last}, with {} added; the same file can be imported again, as what is on the list \
                 already is only counted",
                self.outcome.added
            )
        })?;
        self.outcome.added += added;
        self.outcome.present += present;
        Ok(())
    }

    fn reject(&mut self, header: &ByteRecord, record: &ByteRecord, reject: Reject) -> anyhow::Result<()> {
        if let Some(file) = &mut self.rejects {
            file.write(header, record, &reject)?;
        }
        self.outcome.rejected += 1;
        if self.outcome.rejects.len() < REMEMBERED_MAX {
            self.outcome.rejects.push(reject);
        }
        Ok(())
    }

    fn so_far(&self, lines: &Lines, seen: usize) -> String {
        let Outcome { added, present, rejected, .. } = &self.outcome;
        let percent = match lines.size {
            Some(size) => format!("{:3} %, ", lines.reader.position().byte() * 100 / size.max(1)),
            None => String::new(),
        };
        format!("{percent}{seen} lines: {added} added, {present} on the list already, {rejected} wrong")
    }
}

/// A file that is read.
struct Lines {
    reader: Reader<Counted<Box<dyn Read>>>,
    numbers: LineNumbers,
    /// Its octets, where that is known.
    size: Option<u64>,
    name: String,
    /// The first line, where it names the columns.
    header: ByteRecord,
    /// The first line and its number, where it is an address.
    first: Option<(ByteRecord, u64)>,
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Lines> {
        let (source, size, name): (Box<dyn Read>, _, _) = match path == Path::new("-") {
            true => (Box::new(io::stdin().lock()), None, "standard input".to_owned()),
            false => {
                let named = || path.display().to_string();
                let file = File::open(path).with_context(named)?;
                let metadata = file.metadata().with_context(named)?;
                let size = metadata.is_file().then_some(metadata.len());
                (Box::new(file), size, named())
            }
        };
        let numbers = LineNumbers::default();
        let source = Counted::new(source, numbers.clone());
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(source);
        Ok(Lines { reader, numbers, size, name, header: ByteRecord::from(vec!["address"]), first: None })
    }

    /// What the columns are; `None` for an empty file.
    fn columns(&mut self) -> anyhow::Result<Option<Columns>> {
        let mut first = ByteRecord::new();
        let Some(line) = self.next(&mut first)? else { return Ok(None) };
        match FirstLine::of(&first).map_err(|error| anyhow!("{}: {error}", self.name))? {
            FirstLine::Header(columns) => {
                self.header = first;
                Ok(Some(columns))
            }
            FirstLine::Address(columns) => {
                self.first = Some((first, line));
                Ok(Some(columns))
            }
        }
    }

    /// Reads the next line that is not blank, and says which it is; `None` at the end.
    fn next(&mut self, record: &mut ByteRecord) -> anyhow::Result<Option<u64>> {
        if let Some((first, line)) = self.first.take() {
            *record = first;
            return Ok(Some(line));
        }
        while self.reader.read_byte_record(record).with_context(|| self.name.clone())? {
            let line = self.numbers.at(record.position().map_or(0, csv::Position::byte));
            if record.iter().any(|field| !field.trim_ascii().is_empty()) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

/// Where lines that are wrong go. It is made with the first of them.
struct RejectsFile {
    path: PathBuf,
    lines: Option<Writer<File>>,
}

impl RejectsFile {
    fn new(path: &Path) -> anyhow::Result<RejectsFile> {
        ensure!(!path.exists(), "{} is there already; name another file with --rejects", path.display());
        Ok(RejectsFile { path: path.into(), lines: None })
    }

    fn write(&mut self, header: &ByteRecord, record: &ByteRecord, reject: &Reject) -> anyhow::Result<()> {
        let named = || self.path.display().to_string();
        let lines = match &mut self.lines {
            Some(lines) => lines,
            none => {
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path);
                let lines = csv::WriterBuilder::new().flexible(true).from_writer(file.with_context(named)?);
                let lines = none.insert(lines);
                let names = [b"line", &b"error"[..]];
                lines.write_record(names.into_iter().chain(header.iter())).with_context(named)?;
                lines
            }
        };
        let line = reject.line.to_string();
        let found = [line.as_bytes(), reject.error.as_bytes()];
        lines.write_record(found.into_iter().chain(record.iter())).with_context(named)
    }

    fn end(self) -> anyhow::Result<()> {
        match self.lines {
            Some(mut lines) => lines.flush().with_context(|| self.path.display().to_string()),
            None => Ok(()),
        }
    }
}
