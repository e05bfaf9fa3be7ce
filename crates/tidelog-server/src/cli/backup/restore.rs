//! `tidelog restore`.

use super::again::Again;
use super::follow::Follow;
use super::manifest::{BackedUp, Manifest};
use super::while_restored;
use crate::cli::files;
use crate::cli::progress::Progress;
use crate::cli::target::Target;
use crate::cli::{Failure, output};
use crate::store::{AnyStore, LogStore, StoreError};
use clap::Args;
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use tidelog_core::limits::MAX_COMMIT_BYTES;
use tidelog_core::{LogName, Recorded, frame};
use tokio::runtime::Runtime;

/// How many bytes of frames are stored in one transaction.
const BATCH_BYTES: usize = 1024 * 1024;
/// No frame of a backup is larger: one holds 60 KiB or one commit.
const MOST_FRAME: usize = 8 * MAX_COMMIT_BYTES;

/// Bring logs back from a folder that `tidelog backup` made, into any database.
///
/// All sums and hashes are checked before anything is written, and the whole of each log again before it gets its name. Nothing
/// is overwritten: a log that is there is refused. What this database knows to be erased since the backup was made is erased again. What is restored is a new epoch, so that devices notice: they keep what they
/// have, read the log again, and send what of their own the backup did not have.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog restore --db new.db backup-2026-01-31
  tidelog restore --db tidelog.db --log todos --as todos-of-january backup-2026-01-31")]
pub(in crate::cli) struct Restore {
    #[command(flatten)]
    target: Target,
    /// A log of the backup, as often as one likes; all of them if it is left out.
    #[arg(long = "log", value_name = "NAME")]
    logs: Vec<LogName>,
    /// Give the log another name; for one log only.
    #[arg(long = "as", value_name = "NAME")]
    name: Option<LogName>,
    /// The backup.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// A log on its way back.
struct Coming {
    /// The name it has until it is whole.
    until: LogName,
    name: LogName,
}

impl Restore {
    pub(in crate::cli) fn run(self) -> Result<(), Failure> {
        let manifest = Manifest::read(&self.folder)?;
        let chosen = self.chosen(&manifest)?;
        let events: u64 = chosen
            .iter()
            .map(|(one, _)| one.head.position.value())
            .sum();
        let progress = Progress::of_events_that_are(events, " checked");
        for (backed_up, _) in &chosen {
            check(&self.folder, backed_up, &progress)?;
        }
        progress.finish();
        let progress = Progress::of_events_that_are(events, " restored");
        let runtime = crate::cli::runtime()?;
        let store = runtime.block_on(self.target.open())?;
        for (_, name) in &chosen {
            runtime.block_on(demand_free(&store, name))?;
        }
        let mut coming = Vec::new();
        let done = chosen.iter().try_for_each(|(backed_up, name)| {
            let until = while_restored(name)?;
            let name = name.clone();
            coming.push(Coming { until, name });
            match coming.last() {
                Some(one) => one.fill(&runtime, &store, &self.folder, backed_up, &progress),
                None => Ok(()),
            }
        });
        let done = done.and_then(|()| {
            coming
                .iter()
                .try_for_each(|one| runtime.block_on(one.name_it(&store)))
        });
        progress.finish();
        if done.is_err() {
            for one in &coming {
                // What has its name by now stays: it is whole.
                runtime.block_on(store.forget(&one.until))?;
            }
        }
        done
    }

    /// The logs to restore, each with the name to give it.
    fn chosen(&self, manifest: &Manifest) -> Result<Vec<(BackedUp, LogName)>, Failure> {
        let unknown = self
            .logs
            .iter()
            .find(|log| !manifest.logs.iter().any(|one| one.log == **log));
        if let Some(log) = unknown {
            let there: Vec<&str> = manifest.logs.iter().map(|one| one.log.as_str()).collect();
            return Err(Failure::Refused(format!(
                "the backup has no log {log}; it has {}",
                there.join(", ")
            )));
        }
        let chosen: Vec<BackedUp> = manifest
            .logs
            .iter()
            .filter(|one| self.logs.is_empty() || self.logs.contains(&one.log))
            .cloned()
            .collect();
        match (&self.name, chosen.len()) {
            (Some(_), count) if count != 1 => Err(Failure::Refused(format!(
                "--as names one log, and {count} are asked for: choose with --log"
            ))),
            (name, _) => Ok(chosen
                .into_iter()
                .map(|one| {
                    let name = name.clone().unwrap_or_else(|| one.log.clone());
                    (one, name)
                })
                .collect()),
        }
    }
}

async fn demand_free(store: &AnyStore, name: &LogName) -> Result<(), Failure> {
    match store.state(name).await {
        Err(StoreError::UnknownLog { .. }) => Ok(()),
        Ok(_) => Err(Failure::Refused(format!(
            "there is a log {name} already; nothing is overwritten. Restore it into another database, or --as another name"
        ))),
        Err(error) => Err(error.into()),
    }
}

/// The file is what was written, and its frames are a whole log.
fn check(folder: &Path, backed_up: &BackedUp, progress: &Progress) -> Result<(), Failure> {
    let path = folder.join(&backed_up.file);
    let found = files::sum_of(&path)
        .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    if (found.bytes, &found.sha256) != (backed_up.bytes, &backed_up.sha256) {
        return Err(Failure::Failed(format!(
            "{} is not what was written: {} bytes with SHA-256 {}, and it should be {} with {}",
            path.display(),
            found.bytes,
            found.sha256,
            backed_up.bytes,
            backed_up.sha256
        )));
    }
    let mut follow = Follow::default();
    for commits in Frames::open(&path)? {
        for recorded in commits? {
            follow.take(&backed_up.log, &recorded)?;
            progress.done(recorded.commit.events.len());
        }
    }
    Ok(follow.demand_end(&backed_up.log, backed_up.head)?)
}

impl Coming {
    /// Stores all commits under a name that nobody asks for.
    fn fill(
        &self,
        runtime: &Runtime,
        store: &AnyStore,
        folder: &Path,
        backed_up: &BackedUp,
        progress: &Progress,
    ) -> Result<(), Failure> {
        // A restore that was interrupted has left it behind.
        runtime.block_on(store.forget(&self.until))?;
        runtime.block_on(store.create(&self.until))?;
        let mut again = runtime.block_on(Again::of(store, [&self.name, &backed_up.log]))?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for commits in Frames::open(&folder.join(&backed_up.file))? {
            for recorded in commits? {
                again.take(&backed_up.log, &recorded)?;
                bytes += recorded.commit.weight();
                progress.done(recorded.commit.events.len());
                batch.push(recorded);
            }
            if bytes >= BATCH_BYTES {
                bytes = 0;
                let batch = std::mem::take(&mut batch);
                runtime.block_on(store.restore(&self.until, batch))?;
            }
        }
        if !batch.is_empty() {
            runtime.block_on(store.restore(&self.until, batch))?;
        }
        runtime.block_on(again.remember(store, &self.until))?;
        let verified = runtime.block_on(store.verify(&self.until))?;
        if verified.state.head != backed_up.head {
            return Err(Failure::Failed(format!(
                "log {} does not end where the backup does",
                self.name
            )));
        }
        let erased = runtime.block_on(again.erase(store, &self.until))?;
        if erased > 0 {
            output::line(format_args!(
                "log {}: {erased} payloads that were erased since the backup are erased again",
                self.name
            ));
        }
        Ok(())
    }

    async fn name_it(&self, store: &AnyStore) -> Result<(), Failure> {
        if !store.rename(&self.until, &self.name).await? {
            return Err(Failure::Failed(format!(
                "somebody made a log {} meanwhile; it was not overwritten",
                self.name
            )));
        }
        let state = store.state(&self.name).await?;
        output::line(format_args!(
            "log {}: restored up to position {}, as epoch {}",
            self.name, state.head.position, state.epoch
        ));
        Ok(())
    }
}

/// The commits of a file of gzipped frames, a frame at a time.
struct Frames {
    file: GzDecoder<BufReader<File>>,
    path: PathBuf,
}

impl Frames {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(files::at(path))?;
        Ok(Self {
            file: GzDecoder::new(BufReader::new(file)),
            path: path.to_owned(),
        })
    }

    fn frame(&mut self) -> Result<Option<Vec<Recorded>>, String> {
        let mut bytes = vec![0; frame::HEADER_BYTES];
        let mut read = 0;
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read(rest).map_err(|error| error.to_string())? {
                0 if read == 0 => return Ok(None),
                0 => return Err("it ends inside a frame".into()),
                more => read += more,
            }
        }
        let length = frame::header(&bytes)
            .map_err(|error| error.to_string())?
            .length;
        if length > MOST_FRAME {
            return Err(format!("a frame says that it has {length} bytes"));
        }
        bytes.resize(length.max(read), 0);
        let rest = bytes.get_mut(read..).unwrap_or_default();
        self.file
            .read_exact(rest)
            .map_err(|error| error.to_string())?;
        match frame::decode(&bytes)
            .map_err(|error| error.to_string())?
            .body
        {
            frame::Body::Recorded(commits) => Ok(Some(commits)),
            frame::Body::Local(_) => Err("it holds commits that are not confirmed".into()),
        }
    }
}

impl Iterator for Frames {
    type Item = Result<Vec<Recorded>, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let commits = self.frame();
        let of_file = |wrong| Failure::Failed(format!("{}: {wrong}", self.path.display()));
        commits.map_err(of_file).transpose()
    }
}
