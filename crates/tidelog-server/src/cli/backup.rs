//! `tidelog backup`.

mod again;
mod follow;
mod manifest;
mod restore;

use super::files::Writing;
use super::progress::Progress;
use super::target::Target;
use super::{Failure, files, output};
use crate::clock;
use crate::http::pages;
use crate::store::{After, AnyStore, LogState, LogStore, PageCap};
use clap::Args;
use follow::Follow;
use manifest::{BackedUp, Manifest};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tidelog_core::LogName;
use tidelog_core::protocol::json::Instant;
use tokio::runtime::Runtime;

pub(super) use restore::Restore;

/// How much is read at once.
const PAGE: PageCap = PageCap {
    bytes: 4 * 1024 * 1024,
    events: u64::MAX,
};

/// Copy logs into a folder, while they are in use; `tidelog restore` reads it, into any database.
///
/// Each log is copied as it was at one moment, and every hash of its chain is computed again on the way. The folder appears when
/// all of it is on disk; it holds gzipped frames, a manifest.json and SHA256SUMS, which `sha256sum -c` checks too. What was cut
/// off leaves a hidden folder, `.tidelog-backup-…`, which nothing needs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog backup --db tidelog.db -o backup-2026-01-31
  TIDELOG_STORE=postgres://tidelog@db.internal/tidelog tidelog backup -o backup --log todos --log loans")]
pub(super) struct Backup {
    #[command(flatten)]
    target: Target,
    /// A log, as often as one likes; all of them if it is left out.
    #[arg(long = "log", value_name = "NAME")]
    logs: Vec<LogName>,
    /// The folder to make.
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
}

impl Backup {
    pub(super) fn run(self) -> Result<(), Failure> {
        files::demand_new(&self.output)?;
        let runtime = super::runtime()?;
        let store = runtime.block_on(self.target.open_to_read())?;
        let states = runtime.block_on(chosen(&store, &self.logs))?;
        let events = states
            .iter()
            .map(|(_, state)| state.head.position.value())
            .sum();
        let progress = Progress::of_events(events);
        // Until it is whole it has another name, and goes if anything fails.
        let parent = files::parent(&self.output);
        let folder = TempDir::with_prefix_in(".tidelog-backup-", parent)
            .map_err(|error| Failure::Refused(format!("{}: {error}", self.output.display())))?;
        let mut manifest = Manifest::new(Instant(clock::now()));
        for (log, _) in &states {
            let copied = unless_erased(&runtime, &store, log, |state| {
                copy(&runtime, &store, log, state, folder.path(), &progress)
            })?;
            manifest.logs.push(copied);
        }
        manifest.write(folder.path())?;
        files::put(folder, &self.output)?;
        progress.finish();
        let ends = manifest.logs.iter().map(|log| log.head.position.value());
        let events: u64 = ends.sum();
        output::line(format_args!(
            "{}: {events} events of {} logs",
            self.output.display(),
            states.len()
        ));
        Ok(())
    }
}

/// The logs that were asked for, or all that are whole, each with the end that it has now.
async fn chosen(store: &AnyStore, asked: &[LogName]) -> Result<Vec<(LogName, LogState)>, Failure> {
    let names = match asked {
        [] => {
            let mut logs = store.logs().await?;
            logs.retain(|log| !is_being_restored(log));
            logs
        }
        asked => asked.to_vec(),
    };
    if names.is_empty() {
        return Err(Failure::Failed("there are no logs".into()));
    }
    let mut states = Vec::new();
    for log in names {
        let state = store.state(&log).await?;
        states.push((log, state));
    }
    Ok(states)
}

/// How often a log is copied again because something was erased meanwhile.
const TRIES: u32 = 10;

/// Copies a log, as it is now. If something was erased meanwhile, the copy may lack what no event of it says is erased, or have
/// what one says is: it is made again.
fn unless_erased<T>(
    runtime: &Runtime,
    store: &AnyStore,
    log: &LogName,
    mut copy: impl FnMut(LogState) -> Result<T, Failure>,
) -> Result<T, Failure> {
    for _ in 0..TRIES {
        let revision = runtime.block_on(store.revision(log))?;
        let state = runtime.block_on(store.state(log))?;
        let copied = copy(state)?;
        if runtime.block_on(store.revision(log))? == revision {
            return Ok(copied);
        }
    }
    Err(Failure::Failed(format!(
        "something was erased in {log} each of {TRIES} times that it was copied; try again when that is done"
    )))
}

fn copy(
    runtime: &Runtime,
    store: &AnyStore,
    log: &LogName,
    state: LogState,
    folder: &Path,
    progress: &Progress,
) -> Result<BackedUp, Failure> {
    let file = format!("{log}.frames.gz");
    let path = folder.join(&file);
    // What an earlier try wrote.
    if path.exists() {
        std::fs::remove_file(&path).map_err(files::at(&path))?;
    }
    let mut writing = Writing::create(&path)?;
    let mut follow = Follow::default();
    while follow.position() < state.head.position {
        let after = After::Position(follow.position());
        let mut page = runtime.block_on(store.page(log, after, PAGE))?;
        page.commits
            .retain(|one| one.recorded.last_position() <= state.head.position);
        if page.commits.is_empty() {
            break;
        }
        for stored in &page.commits {
            follow.take(log, &stored.recorded)?;
            progress.done(stored.recorded.commit.events.len());
        }
        writing.write(&pages::frames(page.into()))?;
    }
    follow.demand_end(log, state.head)?;
    let written = writing.finish()?;
    Ok(BackedUp {
        log: log.clone(),
        file,
        epoch: state.epoch,
        head: state.head,
        commits: follow.commits(),
        bytes: written.bytes,
        sha256: written.sha256,
    })
}

const RESTORING: &str = "restoring.";

/// The name that a log has while it is being restored: nobody's, and always the same for one log.
fn while_restored(log: &LogName) -> Result<LogName, Failure> {
    let uuid = crate::derived::derived_uuid(format!("restore\n{log}").as_bytes());
    let name = tidelog_core::Epoch::from_bytes(uuid);
    format!("{RESTORING}{name}")
        .parse()
        .map_err(Failure::failed)
}

/// Is it what a restore is filling, or has left behind when it was cut off?
pub(super) fn is_being_restored(log: &LogName) -> bool {
    log.as_str().starts_with(RESTORING)
}

#[cfg(test)]
mod tests {
    use super::unless_erased;
    use crate::cli::Failure;
    use crate::store::{
        AnyStore, Candidate, Erase, LogStore, Numbering, Push, StoreAddress, Versions,
    };
    use tidelog_core::erasure::Reason;
    use tidelog_core::{
        Attempt, Commit, CommitId, Cursor, Event, EventType, LogName, Meta, Payload, ReplicaId,
        SchemaVersion, Seq, StreamId, Timestamp,
    };

    fn push(log: &LogName) -> Push {
        let commit = Commit {
            id: CommitId::from_bytes([1; 16]),
            attempt: Attempt::FIRST,
            replica: ReplicaId::from_bytes([2; 16]),
            seq: Seq::new(1),
            conditions: Vec::new(),
            events: vec![Event {
                stream: StreamId::new("person/1").expect("a stream"),
                event_type: EventType::new("person.met").expect("a type"),
                schema: SchemaVersion::FIRST,
                data: Payload::json("{}"),
                occurred_at: Timestamp::from_millis(0),
                tags: Vec::new(),
                meta: Meta::default(),
            }],
        };
        Push {
            log: log.clone(),
            actor: None,
            replica: commit.replica,
            cursor: Cursor::default(),
            commits: vec![Candidate::new(commit)],
            numbering: Numbering::Replica,
        }
    }

    fn erase(log: &LogName) -> Erase {
        Erase {
            log: log.clone(),
            stream: StreamId::new("person/1").expect("a stream"),
            versions: Versions::All,
            tombstone: false,
            reason: Reason::new("asked").expect("a reason"),
            actor: None,
        }
    }

    #[test]
    fn a_copy_that_something_was_erased_under_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tidelog.db");
        let address = StoreAddress::Sqlite(path);
        let runtime = crate::cli::runtime().expect("a runtime");
        let store = runtime.block_on(AnyStore::open(&address)).expect("a store");
        let log = LogName::new("a").expect("a name");
        runtime.block_on(store.create(&log)).expect("a log");
        runtime.block_on(store.push(push(&log))).expect("stored");
        let mut tries = Vec::new();
        let copied = unless_erased(&runtime, &store, &log, |state| {
            if tries.is_empty() {
                runtime.block_on(store.erase(erase(&log)))?;
            }
            tries.push(state.head.position.value());
            Ok::<_, Failure>(state)
        });
        let copied = copied.expect("a copy");
        assert_eq!(
            tries,
            [1, 2],
            "the second try has the event that tells of it"
        );
        assert_eq!(
            copied,
            runtime.block_on(store.state(&log)).expect("a state")
        );
    }
}
