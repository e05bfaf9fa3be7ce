//! `tidelog import`.

mod chunks;
mod source;

use super::progress::Progress;
use super::target::Target;
use super::{Failure, output};
use crate::store::LogStore;
use chunks::Importer;
use clap::Args;
use source::Source;
use std::path::PathBuf;
use tidelog_core::LogName;

/// Append events from lines of JSON, `{stream, version, type, time, data}`.
///
/// Versions are checked against the log: a line whose event is there already is left out, a gap is an error. So an import
/// that was interrupted is finished by running it again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog import --db tidelog.db --log loans loan-applications.ndjson.gz
  tidelog import --db tidelog.db --log loans --generate 10000")]
pub(super) struct Import {
    #[command(flatten)]
    target: Target,
    /// The log; made if it is missing.
    #[arg(long, value_name = "NAME")]
    log: LogName,
    /// The lines, gzipped or not; `-` is standard input.
    #[arg(value_name = "FILE.ndjson[.gz]", required_unless_present = "generate")]
    file: Option<PathBuf>,
    /// Make up this many events of loan applications instead.
    #[arg(long, value_name = "N", conflicts_with = "file")]
    generate: Option<usize>,
    /// Stop after this many lines.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Import {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (source, progress) = self.source()?;
        let runtime = super::runtime()?;
        let store = runtime.block_on(self.target.open())?;
        runtime.block_on(store.create(&self.log))?;
        let mut importer = Importer::new(&store, &runtime, self.log.clone(), &progress);
        let done = importer.run(source.take(self.limit.unwrap_or(usize::MAX)));
        let counts = importer.counts();
        progress.finish();
        if let Err(error) = done {
            return Err(Failure::Failed(format!(
                "{error}. Before it, {} new events were committed and {} were already there",
                counts.new, counts.there
            )));
        }
        let head = runtime.block_on(store.state(&self.log))?.head.position;
        output::line(format_args!(
            "{}: {} new, {} already there; the log ends at position {head}",
            self.log, counts.new, counts.there
        ));
        Ok(())
    }

    fn source(&self) -> Result<(Source, Progress), Failure> {
        match (&self.file, self.generate) {
            (_, Some(events)) => Ok((
                Source::generated(events),
                Progress::of_events(events as u64),
            )),
            (Some(path), None) if path.as_os_str() == "-" => {
                let progress = Progress::without_end();
                Ok((
                    Source::open(std::io::stdin(), &progress).map_err(Failure::failed)?,
                    progress,
                ))
            }
            (Some(path), None) => {
                let of_file = |error: std::io::Error| {
                    Failure::Refused(format!("{}: {error}", path.display()))
                };
                let file = std::fs::File::open(path).map_err(of_file)?;
                let progress = Progress::of_bytes(file.metadata().map_err(of_file)?.len());
                Ok((Source::open(file, &progress).map_err(of_file)?, progress))
            }
            (None, None) => Err(Failure::Refused("give a file, - or --generate".into())),
        }
    }
}
