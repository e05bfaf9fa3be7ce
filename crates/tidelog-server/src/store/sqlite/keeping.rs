//! Whole logs: listed, counted, restored, renamed, forgotten.

use super::rows::{self, from_sql};
use super::{SqliteStore, erase, ledger};
use crate::store::keeping::Stats;
use crate::store::{Audited, StoreError};
use rusqlite::params;
use tidelog_core::{LogName, Recorded, Timestamp};

impl SqliteStore {
    pub(crate) async fn logs(&self) -> Result<Vec<LogName>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT name FROM logs ORDER BY name")?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            let names: Vec<String> = names.collect::<Result<_, _>>()?;
            Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
        })
        .await
    }

    /// What is wrong with the file's tables and indexes: a few lines, none if it is whole. An index that has lost a row is not seen by who
    /// reads the rows: whoever looks for a stream there is told that there is none.
    pub(crate) async fn faults(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare("PRAGMA integrity_check(3)")?;
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            let lines: Vec<String> = lines.collect::<Result<_, _>>()?;
            Ok(lines.into_iter().filter(|line| line != "ok").collect())
        })
        .await
    }

    pub(crate) async fn stats(&self, log: &LogName) -> Result<Stats, StoreError> {
        let log = log.clone();
        self.read(move |connection| {
            let transaction = connection.transaction()?;
            let row = rows::log(&transaction, &log)?;
            let count = |sql: &str| -> Result<u64, StoreError> {
                Ok(from_sql(transaction.query_row(sql, [row.id], |row| row.get(0))?))
            };
            let sql = "SELECT count(*), coalesce(sum(length(frame)), 0), min(recorded_at), max(recorded_at)
                       FROM commits WHERE log = ?1";
            let (commits, bytes, oldest, newest): (i64, i64, Option<i64>, Option<i64>) = transaction
                .query_row(sql, [row.id], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?;
            Ok(Stats {
                state: row.state,
                commits: from_sql(commits),
                bytes: from_sql(bytes),
                oldest: oldest.map(Timestamp::from_millis),
                newest: newest.map(Timestamp::from_millis),
                streams: count("SELECT count(*) FROM streams WHERE log = ?1")?,
                replicas: count("SELECT count(*) FROM replicas WHERE log = ?1")?,
                segments: count("SELECT count(gzip) FROM segments WHERE log = ?1")?,
                segment_bytes: count(
                    "SELECT coalesce(sum(length(gzip)), 0) FROM segments WHERE log = ?1",
                )?,
                archived: count("SELECT count(*) FROM archived WHERE log = ?1")?,
                archived_events: count(
                    "SELECT coalesce(sum(last - first + 1), 0) FROM archived WHERE log = ?1",
                )?,
                archived_bytes: count(
                    "SELECT coalesce(sum(bytes), 0) FROM archived WHERE log = ?1",
                )?,
            })
        })
        .await
    }

    /// Stores commits of another database at the end of a log, all or none.
    pub(crate) async fn restore(
        &self,
        log: &LogName,
        commits: Vec<Recorded>,
    ) -> Result<(), StoreError> {
        let log = log.clone();
        self.writer
            .transaction(move |transaction| ledger::restore(transaction, &log, commits))
            .await
    }

    /// Writes down what the commits of a restored log say of erasures.
    pub(crate) async fn remember(
        &self,
        log: &LogName,
        erasures: Vec<Audited>,
    ) -> Result<(), StoreError> {
        let log = log.clone();
        self.writer
            .transaction(move |transaction| {
                let row = rows::log(transaction, &log)?;
                let mut erasures = erasures.iter();
                erasures.try_for_each(|audited| erase::remember(transaction, row.id, &log, audited))
            })
            .await
    }

    /// What was written down of the logs of a name.
    pub(crate) async fn audited(&self, log: &LogName) -> Result<Vec<Audited>, StoreError> {
        let log = log.clone();
        self.read(move |connection| erase::audited(connection, &log))
            .await
    }

    /// Gives a log another name. `false`: there is a log of that name.
    pub(crate) async fn rename(&self, log: &LogName, name: &LogName) -> Result<bool, StoreError> {
        let (log, name) = (log.clone(), name.clone());
        self.writer
            .transaction(move |transaction| {
                let names = params![log.as_str(), name.as_str()];
                let sql = "UPDATE OR IGNORE logs SET name = ?2 WHERE name = ?1";
                if transaction.execute(sql, names)? == 0 {
                    return Ok(false);
                }
                // What an earlier log of that name says of the same erasure gives way.
                let sql = "UPDATE OR REPLACE erasures SET log = ?2 WHERE log = ?1";
                transaction.execute(sql, names)?;
                Ok(true)
            })
            .await
    }

    /// Removes a log and all it holds, if there is one; also what was written down of its erasures: nobody has asked for it by this name.
    pub(crate) async fn forget(&self, log: &LogName) -> Result<(), StoreError> {
        let log = log.clone();
        self.writer
            .transaction(move |transaction| {
                let row = match rows::log(transaction, &log) {
                    Err(StoreError::UnknownLog { .. }) => return Ok(()),
                    row => row?,
                };
                for sql in [
                    "DELETE FROM stream_commits WHERE stream IN (SELECT id FROM streams WHERE log = ?1)",
                    "DELETE FROM streams WHERE log = ?1",
                    "DELETE FROM commits WHERE log = ?1",
                    "DELETE FROM replicas WHERE log = ?1",
                    "DELETE FROM segments WHERE log = ?1",
                    "INSERT INTO strays (name, doomed) SELECT name, 1 FROM archived WHERE log = ?1",
                    "DELETE FROM archived WHERE log = ?1",
                    "DELETE FROM logs WHERE id = ?1",
                ] {
                    transaction.execute(sql, [row.id])?;
                }
                transaction.execute("DELETE FROM erasures WHERE log = ?1", [log.as_str()])?;
                Ok(())
            })
            .await
    }
}
