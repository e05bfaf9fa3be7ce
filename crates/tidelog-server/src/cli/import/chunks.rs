//! Lines become commits.
//!
//! Every hundred lines are one commit, whose id follows from the log, the line and the content: so a second run pushes
//! the same commits and is told that they are there. Where lines were grouped in another way the first time, each event
//! that should be there is compared with the one that is.

use super::source::{LineError, Numbered};
use crate::cli::progress::Progress;
use crate::cli::said;
use crate::derived::derived_uuid;
use crate::store::{Candidate, Direction, LogStore, Numbering, Push, StreamRange};
use std::collections::BTreeMap;
use tidelog_core::hash::commit_digest;
use tidelog_core::protocol::{CommitResult, Verdict};
use tidelog_core::{
    Attempt, Commit, CommitId, Condition, Cursor, Event, Expected, LogName, ReplicaId, Seq,
    StreamId, Subject, Version,
};
use tokio::runtime::Runtime;

/// How many lines are one commit.
const COMMIT_LINES: usize = 100;
/// About how many bytes of payload are one commit, if that comes first.
const COMMIT_BYTES: usize = 512 * 1024;
/// How many commits are pushed at once.
const PUSH_COMMITS: usize = 50;

/// What an import has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) new: usize,
    pub(super) there: usize,
}

/// A commit on its way, with the lines it is made of.
struct Sending {
    commit: Commit,
    lines: Vec<Numbered>,
    /// Are its events expected to be there already?
    is_known: bool,
}

pub(super) struct Importer<'a, S> {
    store: &'a S,
    runtime: &'a Runtime,
    log: LogName,
    progress: &'a Progress,
    replica: ReplicaId,
    heads: BTreeMap<StreamId, Version>,
    sending: Vec<Sending>,
    counts: Counts,
}

impl<'a, S: LogStore> Importer<'a, S> {
    pub(super) fn new(
        store: &'a S,
        runtime: &'a Runtime,
        log: LogName,
        progress: &'a Progress,
    ) -> Self {
        let replica = ReplicaId::from_bytes(derived_uuid(format!("import\n{log}").as_bytes()));
        let (heads, sending, counts) = (BTreeMap::new(), Vec::new(), Counts::default());
        Self {
            store,
            runtime,
            log,
            progress,
            replica,
            heads,
            sending,
            counts,
        }
    }

    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    /// Imports all lines. When a line is wrong, those before it are stored.
    pub(super) fn run(
        &mut self,
        lines: impl Iterator<Item = Result<Numbered, LineError>>,
    ) -> Result<(), LineError> {
        let mut chunk = Vec::with_capacity(COMMIT_LINES);
        let (mut bytes, mut wrong) = (0, None);
        for line in lines {
            match line {
                Ok(line) => {
                    bytes += line.event.data.text().map_or(0, str::len);
                    chunk.push(line);
                }
                Err(error) => {
                    wrong = Some(error);
                    break;
                }
            }
            if chunk.len() == COMMIT_LINES || bytes >= COMMIT_BYTES {
                bytes = 0;
                self.chunk(std::mem::take(&mut chunk))?;
            }
        }
        self.chunk(chunk)?;
        self.flush()?;
        wrong.map_or(Ok(()), Err)
    }

    /// Sorts the lines of a chunk into those that are there and those that are new.
    fn chunk(&mut self, lines: Vec<Numbered>) -> Result<(), LineError> {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        let mut gap = None;
        for line in lines {
            let head = self.head(&line)?;
            if line.version <= head && line.version > Version::NONE {
                known.push(line);
            } else if line.version == head.next() {
                self.heads.insert(line.event.stream.clone(), line.version);
                new.push(line);
            } else {
                let wrong = format!(
                    "stream {} has version {head} before this line, so it cannot have version {} next",
                    line.event.stream, line.version
                );
                gap = Some(LineError {
                    line: line.line,
                    wrong,
                });
                break;
            }
        }
        if new.is_empty() && gap.is_none() {
            self.send(known, true)?;
        } else {
            known.iter().try_for_each(|line| self.compare(line))?;
            self.counted(known.len(), false);
            self.send(new, false)?;
        }
        match gap {
            Some(gap) => self.flush().and(Err(gap)),
            None => Ok(()),
        }
    }

    fn send(&mut self, lines: Vec<Numbered>, is_known: bool) -> Result<(), LineError> {
        if let Some(commit) = self.commit(&lines) {
            self.sending.push(Sending {
                commit,
                lines,
                is_known,
            });
        }
        if self.sending.len() >= PUSH_COMMITS {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Pushes what is on its way.
    fn flush(&mut self) -> Result<(), LineError> {
        let sending = std::mem::take(&mut self.sending);
        let Some(first) = sending.first().and_then(|sent| sent.lines.first()) else {
            return Ok(());
        };
        let wrong = |wrong: String| LineError {
            line: first.line,
            wrong,
        };
        let subject = Subject::new("import").map_err(|error| wrong(error.to_string()))?;
        let push = Push {
            log: self.log.clone(),
            actor: Some(subject),
            replica: self.replica,
            cursor: Cursor::default(),
            commits: sending
                .iter()
                .map(|sent| Candidate::new(sent.commit.clone()))
                .collect(),
            numbering: Numbering::Store,
        };
        let response = self.runtime.block_on(self.store.push(push));
        let response =
            response.map_err(|error| wrong(format!("nothing from here on is stored: {error}")))?;
        for (sent, result) in sending.iter().zip(response.results) {
            self.verdict(sent, result)?;
        }
        Ok(())
    }

    fn verdict(&mut self, sent: &Sending, result: CommitResult) -> Result<(), LineError> {
        let wrong = |wrong: String| {
            let line = sent.lines.first().map_or(0, |line| line.line);
            LineError { line, wrong }
        };
        match result.verdict {
            Verdict::Accepted { .. } => self.counted(sent.lines.len(), true),
            Verdict::Duplicate { .. } => self.counted(sent.lines.len(), false),
            Verdict::Conflict { .. } if sent.is_known => {
                sent.lines.iter().try_for_each(|line| self.compare(line))?;
                self.counted(sent.lines.len(), false);
            }
            Verdict::Conflict { .. } => {
                let detail =
                    "somebody else appended to the same streams meanwhile; run the import again";
                return Err(wrong(detail.into()));
            }
            Verdict::Rejected(rejection) => {
                return Err(wrong(format!(
                    "the commit that begins here was refused: {}",
                    rejection.message
                )));
            }
        }
        Ok(())
    }

    fn counted(&mut self, events: usize, is_new: bool) {
        match is_new {
            true => self.counts.new += events,
            false => self.counts.there += events,
        }
        self.progress.done(events);
    }

    /// The version of a line's stream as it will be when the line is appended.
    fn head(&mut self, line: &Numbered) -> Result<Version, LineError> {
        let stream = &line.event.stream;
        if let Some(head) = self.heads.get(stream) {
            return Ok(*head);
        }
        let nothing = StreamRange {
            from: None,
            direction: Direction::Forward,
            limit: 0,
        };
        let page = self
            .runtime
            .block_on(self.store.stream(&self.log, stream, nothing));
        let page = page.map_err(|error| LineError {
            line: line.line,
            wrong: said(error),
        })?;
        let head = page.version;
        self.heads.insert(stream.clone(), head);
        Ok(head)
    }

    /// Demands that the event of this version is what the line says.
    fn compare(&self, line: &Numbered) -> Result<(), LineError> {
        let wrong = |wrong: String| LineError {
            line: line.line,
            wrong,
        };
        let range = StreamRange {
            from: Some(line.version),
            direction: Direction::Forward,
            limit: 1,
        };
        let page = self
            .runtime
            .block_on(self.store.stream(&self.log, &line.event.stream, range));
        let page = page.map_err(|error| wrong(said(error)))?;
        let stored: Option<&Event> = page
            .events
            .first()
            .filter(|event| event.version == line.version)
            .and_then(|event| event.commit.commit.events.get(event.index));
        match stored {
            Some(stored) if *stored == line.event => Ok(()),
            _ => Err(wrong(format!(
                "version {} of stream {} is another event in the log",
                line.version, line.event.stream
            ))),
        }
    }

    /// The commit of these lines; `None` if there are none.
    fn commit(&self, lines: &[Numbered]) -> Option<Commit> {
        let first = lines.first()?;
        let mut conditions: Vec<Condition> = Vec::new();
        for line in lines {
            if !conditions
                .iter()
                .any(|condition| condition.stream == line.event.stream)
            {
                let before = line.version.value().saturating_sub(1);
                let expected = match before {
                    0 => Expected::NoStream,
                    _ => Expected::Exact {
                        exact: Version::new(before),
                        event: None,
                    },
                };
                conditions.push(Condition {
                    stream: line.event.stream.clone(),
                    expected,
                });
            }
        }
        let mut commit = Commit {
            id: CommitId::default(),
            attempt: Attempt::FIRST,
            replica: self.replica,
            seq: Seq::default(),
            conditions,
            events: lines.iter().map(|line| line.event.clone()).collect(),
        };
        let name = format!(
            "import\n{}\n{}\n{}",
            self.log,
            first.line,
            commit_digest(&commit)
        );
        commit.id = CommitId::from_bytes(derived_uuid(name.as_bytes()));
        Some(commit)
    }
}
