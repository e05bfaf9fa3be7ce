//! Checking a stored log from its first byte to its last, against nothing but itself.

use super::rows::{self, blob, from_sql};
use super::{SqliteStore, schema};
use crate::store::{LogState, StoreError};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;
use tidelog_core::hash::commit_digest;
use tidelog_core::protocol::json::is_json;
use tidelog_core::{
    Attempt, ChainHash, CommitId, LogName, Position, Recorded, StreamHead, StreamId, Subject,
    Version,
};

/// What a log that is whole holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Its end.
    pub state: LogState,
    /// How many commits it has.
    pub commits: u64,
    /// How many streams it has.
    pub streams: usize,
}

impl SqliteStore {
    /// Recomputes everything that follows from a log's commits and compares it with what is stored.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first position that is wrong.
    pub fn verify(&self, log: &LogName) -> Result<Verified, StoreError> {
        let mut connection = schema::open_reader(&self.path)?;
        let transaction = connection.transaction()?;
        let row = rows::log(&transaction, log)?;
        let mut walk = Walk {
            log,
            next: Position::new(1),
            chain: ChainHash::default(),
            commits: 0,
            heads: BTreeMap::new(),
        };
        let sql = "SELECT first, last, id, attempt, replica, seq, digest, chain, recorded_at, actor, frame
                   FROM commits WHERE log = ?1 ORDER BY first";
        let mut statement = transaction.prepare(sql)?;
        let mut commits = statement.query([row.id])?;
        while let Some(commit) = commits.next()? {
            walk.commit(&transaction, row.id, row.state, commit)?;
        }
        walk.end(&transaction, row.id, row.state)?;
        Ok(Verified {
            state: row.state,
            commits: walk.commits,
            streams: walk.heads.len(),
        })
    }
}

/// What the commits so far add up to.
struct Walk<'a> {
    log: &'a LogName,
    next: Position,
    chain: ChainHash,
    commits: u64,
    heads: BTreeMap<StreamId, StreamHead>,
}

impl Walk<'_> {
    fn damaged(&self, detail: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            log: self.log.clone(),
            position: self.next,
            detail: detail.into(),
        }
    }

    fn demand(&self, holds: bool, detail: &str) -> Result<(), StoreError> {
        if holds {
            Ok(())
        } else {
            Err(self.damaged(detail))
        }
    }

    fn commit(
        &mut self,
        connection: &Connection,
        log: i64,
        state: LogState,
        row: &Row<'_>,
    ) -> Result<(), StoreError> {
        let first = Position::new(from_sql(row.get(0)?));
        if first != self.next {
            return Err(self.damaged(format!("the next commit begins at position {first}")));
        }
        let bytes: Vec<u8> = row.get(10)?;
        let chain = ChainHash::from_bytes(blob(row, 7)?);
        let (stored, chain_before) = rows::stored(self.log, first, chain, &bytes)?;
        let recorded = stored.recorded;
        self.demand(
            chain_before == self.chain,
            "its chain hash does not follow from the commit before",
        )?;
        self.demand(
            self.chain.after(&recorded) == chain,
            "its content does not give its chain hash",
        )?;
        let epoch = tidelog_core::frame::header(&bytes).map(|header| header.epoch);
        self.demand(epoch == Ok(state.epoch), "it is of another epoch")?;
        self.columns(row, &recorded)?;
        self.versions(connection, log, &recorded)?;
        self.chain = chain;
        self.next = recorded.last_position().next();
        self.commits += 1;
        Ok(())
    }

    /// The columns beside the frame say what the frame says.
    fn columns(&self, row: &Row<'_>, recorded: &Recorded) -> Result<(), StoreError> {
        let commit = &recorded.commit;
        let actor: Option<String> = row.get(9)?;
        let same = from_sql(row.get(1)?) == recorded.last_position().value()
            && CommitId::from_bytes(blob(row, 2)?) == commit.id
            && Attempt::new(row.get(3)?) == commit.attempt
            && blob(row, 4)? == *commit.replica.as_bytes()
            && row.get::<_, i64>(5)? == commit.seq.value().cast_signed()
            && blob(row, 6)? == *commit_digest(commit).as_bytes()
            && row.get::<_, i64>(8)? == recorded.recorded_at.millis()
            && actor.as_deref() == recorded.actor.as_ref().map(Subject::as_str);
        self.demand(same, "its columns differ from its frame")?;
        self.demand(!commit.events.is_empty(), "it has no events")?;
        let json = commit
            .events
            .iter()
            .all(|event| event.data.text().is_none_or(is_json));
        self.demand(json, "a payload is not JSON")
    }

    /// Its events have the versions that come next, and the stream index leads to it.
    fn versions(
        &mut self,
        connection: &Connection,
        log: i64,
        recorded: &Recorded,
    ) -> Result<(), StoreError> {
        let written = recorded.commit.written();
        self.demand(
            written.len() == recorded.versions.len(),
            "its versions do not fit its events",
        )?;
        for ((stream, count), versions) in written.into_iter().zip(&recorded.versions) {
            let before = self
                .heads
                .get(stream)
                .map_or(Version::NONE, |head| head.version);
            let follows = &versions.stream == stream
                && versions.first == before.next()
                && versions.last == before.plus(count);
            if !follows {
                return Err(
                    self.damaged(format!("stream {stream} has a gap after version {before}"))
                );
            }
            let sql = "SELECT count(*) FROM stream_commits JOIN streams ON streams.id = stream
                       WHERE log = ?1 AND name = ?2 AND first = ?3 AND last = ?4 AND position = ?5";
            let indexed: i64 = connection.prepare_cached(sql)?.query_row(
                params![
                    log,
                    stream.as_str(),
                    rows::to_sql(versions.first.value()),
                    rows::to_sql(versions.last.value()),
                    rows::to_sql(recorded.position.value())
                ],
                |row| row.get(0),
            )?;
            self.demand(indexed == 1, "the stream index does not lead to it")?;
            if let Some(last) = recorded.commit.last_on(stream) {
                self.heads.insert(
                    stream.clone(),
                    StreamHead {
                        version: versions.last,
                        last,
                    },
                );
            }
        }
        Ok(())
    }

    /// The heads of the log and of its streams are where its commits end.
    fn end(&self, connection: &Connection, log: i64, state: LogState) -> Result<(), StoreError> {
        self.demand(
            state.head.position.next() == self.next,
            "the log's head is elsewhere",
        )?;
        self.demand(
            state.head.chain == self.chain,
            "the log's chain hash is another",
        )?;
        for (stream, head) in &self.heads {
            let stored = rows::stream(connection, log, stream)?.map(|row| row.head);
            self.demand(
                stored == Some(*head),
                &format!("the head of stream {stream} is elsewhere"),
            )?;
        }
        let count = |sql: &str| -> Result<usize, StoreError> {
            let count: i64 = connection.query_row(sql, [log], |row| row.get(0))?;
            Ok(usize::try_from(count).unwrap_or(usize::MAX))
        };
        let streams = count("SELECT count(*) FROM streams WHERE log = ?1")?;
        self.demand(
            streams == self.heads.len(),
            "there are streams without events",
        )
    }
}
