//! `tidelog export`.

use super::ndjson::Line;
use super::target::Target;
use super::{Failure, output};
use crate::http::pages;
use crate::store::{After, LogStore, Page, PageCap};
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use tidelog_core::{LogName, Position};

/// Write a whole log to a file or to standard output.
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
        let store = runtime.block_on(self.target.open_existing())?;
        let target: Box<dyn Write> = match &self.output {
            Some(path) => Box::new(File::create(path).map_err(Failure::failed)?),
            None => Box::new(std::io::stdout().lock()),
        };
        let mut target = BufWriter::new(target);
        let (mut after, mut events) = (Position::START, 0_usize);
        loop {
            let page = runtime.block_on(store.page(&self.log, After::Position(after), PAGE))?;
            let Some(last) = page.commits.last() else {
                break;
            };
            after = last.recorded.last_position();
            events += page
                .commits
                .iter()
                .map(|one| one.recorded.commit.events.len())
                .sum::<usize>();
            match self.format {
                Format::Frames => target
                    .write_all(&pages::frames(page.into()))
                    .map_err(Failure::failed)?,
                Format::Ndjson => lines(page, &mut target)?,
            }
        }
        target.flush().map_err(Failure::failed)?;
        output::note(format_args!("exported {events} events of log {}", self.log));
        Ok(())
    }
}

fn lines(page: Page, target: &mut impl Write) -> Result<(), Failure> {
    for stored in page.commits {
        let versions = stored.recorded.event_versions();
        let (position, events) = (stored.recorded.position, stored.recorded.commit.events);
        for (event, version) in events.into_iter().zip(versions) {
            let line = Line::of(event, version).ok_or_else(|| {
                Failure::Failed(format!(
                    "an event of the commit at position {position} has no payload"
                ))
            })?;
            serde_json::to_writer(&mut *target, &line).map_err(Failure::failed)?;
            target.write_all(b"\n").map_err(Failure::failed)?;
        }
    }
    Ok(())
}
