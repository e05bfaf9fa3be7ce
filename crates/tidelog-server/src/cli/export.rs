//! `tidelog export`.

use super::files::parent;
use super::ndjson::Line;
use super::progress::Progress;
use super::target::Target;
use super::{Failure, output};
use crate::http::pages;
use crate::store::{After, LogStore, Page, PageCap};
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use tidelog_core::{LogName, Position};

/// Write a whole log to a file or to standard output.
///
/// A file gets its name when all of it is on disk. What was cut off leaves a hidden one, `.tidelog-export-…`, which nothing needs.
///
/// An event whose payload was erased is a line with its digest (`erased`) and without `data`. Such a log is brought into another
/// database with `tidelog backup` and `tidelog restore`; `tidelog import` refuses these lines.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog export --db tidelog.db --log loans -o loans.ndjson
  tidelog export --db tidelog.db --log loans --format frames -o loans.frames")]
pub(super) struct Export {
    #[command(flatten)]
    target: Target,
    /// The log.
    #[arg(long, value_name = "NAME")]
    log: LogName,
    /// Where to write; standard output if it is left out.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// `ndjson`: a line for each event, which `tidelog import` reads. `frames`: the log byte for byte as replicas get it.
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Ndjson,
    Frames,
}

/// How much is read at once.
const PAGE: PageCap = PageCap {
    bytes: 4 * 1024 * 1024,
    events: u64::MAX,
};

impl Export {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = super::runtime()?;
        let store = runtime.block_on(self.target.open_to_read())?;
        let head = runtime.block_on(store.state(&self.log))?.head.position;
        let progress = Progress::of_events(head.value());
        let mut target = BufWriter::new(Output::open(self.output.as_deref())?);
        let (mut after, mut events) = (Position::START, 0_usize);
        loop {
            let page = runtime.block_on(store.page(&self.log, After::Position(after), PAGE))?;
            let Some(last) = page.commits.last() else {
                break;
            };
            after = last.recorded.last_position();
            let read: usize = page
                .commits
                .iter()
                .map(|one| one.recorded.commit.events.len())
                .sum();
            match self.format {
                Format::Frames => target
                    .write_all(&pages::frames(page.into()))
                    .map_err(Failure::failed)?,
                Format::Ndjson => lines(page, &mut target)?,
            }
            events += read;
            progress.done(read);
        }
        target
            .into_inner()
            .map_err(|error| Failure::failed(error.error()))?
            .finish(self.output.as_deref())?;
        progress.finish();
        output::note(format_args!("exported {events} events of log {}", self.log));
        Ok(())
    }
}

/// Where an export goes. A file gets its name when all of it is on disk, and goes if anything fails before.
enum Output {
    Stdout(std::io::Stdout),
    File(NamedTempFile),
    /// A pipe or a device, which is written to as it is.
    Special(File),
}

impl Output {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::Stdout(std::io::stdout()));
        };
        let of_path =
            |error: std::io::Error| Failure::Refused(format!("{}: {error}", path.display()));
        match path.metadata() {
            Ok(there) if !there.is_file() => File::options()
                .write(true)
                .open(path)
                .map(Self::Special)
                .map_err(of_path),
            _ => NamedTempFile::with_prefix_in(".tidelog-export-", parent(path))
                .map(Self::File)
                .map_err(of_path),
        }
    }

    fn finish(self, path: Option<&Path>) -> Result<(), Failure> {
        match (self, path) {
            (Self::File(file), Some(path)) => {
                file.as_file().sync_all().map_err(Failure::failed)?;
                file.persist(path).map_err(Failure::failed)?;
                let folder = File::open(parent(path)).map_err(Failure::failed)?;
                folder.sync_all().map_err(Failure::failed)
            }
            _ => Ok(()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Stdout(to) => to.write(bytes),
            Self::File(to) => to.write(bytes),
            Self::Special(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Stdout(to) => to.flush(),
            Self::File(to) => to.flush(),
            Self::Special(to) => to.flush(),
        }
    }
}

fn lines(page: Page, target: &mut impl Write) -> Result<(), Failure> {
    for stored in page.commits {
        let versions = stored.recorded.event_versions();
        let (position, events) = (stored.recorded.position, stored.recorded.commit.events);
        for (event, version) in events.into_iter().zip(versions) {
            let line = Line::of(event, version).map_err(|error| {
                Failure::Failed(format!(
                    "a payload of the commit at position {position} is not JSON: {error}"
                ))
            })?;
            serde_json::to_writer(&mut *target, &line).map_err(Failure::failed)?;
            target.write_all(b"\n").map_err(Failure::failed)?;
        }
    }
    Ok(())
}
