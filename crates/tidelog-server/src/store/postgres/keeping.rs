//! Whole logs: listed, counted, restored, renamed, forgotten.

use super::failure::Failure;
use super::held::{Held, number, state};
use super::{PostgresStore, erase};
use crate::store::keeping::{self, Stats};
use crate::store::{Audited, Candidate, Numbering, Push, StoreError};
use sqlx::Row;
use sqlx::postgres::PgConnection;
use std::collections::BTreeMap;
use tidelog_core::{Cursor, LogName, Recorded, ReplicaId, Timestamp};

/// It takes as long as a log is.
const PATIENT: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

fn failed(error: sqlx::Error) -> StoreError {
    Failure::from(error).error
}

fn unknown(log: &LogName) -> StoreError {
    StoreError::UnknownLog { log: log.clone() }
}

impl PostgresStore {
    pub(crate) async fn logs(&self) -> Result<Vec<LogName>, StoreError> {
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM tidelog.logs ORDER BY name")
            .fetch_all(&self.readers)
            .await
            .map_err(failed)?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    pub(crate) async fn stats(&self, log: &LogName) -> Result<Stats, StoreError> {
        Ok(self.counted(log).await?)
    }

    async fn counted(&self, log: &LogName) -> Result<Stats, Failure> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut transaction = self.readers.begin_with(begin).await?;
        sqlx::raw_sql(PATIENT).execute(&mut *transaction).await?;
        let sql = "
SELECT l.id, epoch, head, chain, commits, bytes, oldest, newest,
  (SELECT count(*) FROM tidelog.streams WHERE log = l.id) AS streams,
  (SELECT count(*) FROM tidelog.replicas WHERE log = l.id) AS replicas,
  (SELECT count(gzip) FROM tidelog.segments WHERE log = l.id) AS segments,
  (SELECT coalesce(sum(length(gzip)), 0)::int8 FROM tidelog.segments WHERE log = l.id) AS segment_bytes,
  (SELECT count(*) FROM tidelog.archived WHERE log = l.id) AS archived,
  (SELECT coalesce(sum(last - first + 1), 0)::int8 FROM tidelog.archived WHERE log = l.id) AS archived_events,
  (SELECT coalesce(sum(a.bytes), 0)::int8 FROM tidelog.archived AS a WHERE log = l.id) AS archived_bytes
FROM tidelog.logs AS l CROSS JOIN LATERAL (
  SELECT count(*) AS commits, coalesce(sum(length(frame)), 0)::int8 AS bytes,
    min(c.recorded_at) AS oldest, max(c.recorded_at) AS newest
  FROM tidelog.commits AS c WHERE c.log = l.id
) AS counted WHERE name = $1";
        let row = sqlx::query(sql)
            .bind(log.as_str())
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or_else(|| unknown(log))?;
        let time = |column: &str| -> Result<Option<Timestamp>, Failure> {
            let millis: Option<i64> = row.try_get(column)?;
            Ok(millis.map(Timestamp::from_millis))
        };
        Ok(Stats {
            state: state(&row)?,
            commits: number(&row, "commits")?,
            streams: number(&row, "streams")?,
            replicas: number(&row, "replicas")?,
            bytes: number(&row, "bytes")?,
            segments: number(&row, "segments")?,
            segment_bytes: number(&row, "segment_bytes")?,
            archived: number(&row, "archived")?,
            archived_events: number(&row, "archived_events")?,
            archived_bytes: number(&row, "archived_bytes")?,
            oldest: time("oldest")?,
            newest: time("newest")?,
        })
    }

    /// Stores commits of another database at the end of a log, all or none.
    pub(crate) async fn restore(
        &self,
        log: &LogName,
        commits: Vec<Recorded>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writers.begin().await.map_err(failed)?;
        self.restore_in(&mut transaction, log, commits).await?;
        transaction.commit().await.map_err(failed)
    }

    async fn restore_in(
        &self,
        connection: &mut PgConnection,
        log: &LogName,
        commits: Vec<Recorded>,
    ) -> Result<(), Failure> {
        let mut held = Held::lock(connection, log).await?;
        let pushes = pushes(log, &commits);
        held.look_up(connection, log, &pushes.iter().collect::<Vec<_>>())
            .await?;
        keeping::restore(&mut held, log, commits)?;
        held.write(connection).await
    }

    /// Gives a log another name. `false`: there is a log of that name.
    pub(crate) async fn rename(&self, log: &LogName, name: &LogName) -> Result<bool, StoreError> {
        let mut transaction = self.writers.begin().await.map_err(failed)?;
        let sql = "UPDATE tidelog.logs SET name = $2 WHERE name = $1
                   AND NOT EXISTS (SELECT 1 FROM tidelog.logs WHERE name = $2)";
        let renamed = sqlx::query(sql)
            .bind(log.as_str())
            .bind(name.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        if renamed.rows_affected() == 0 {
            return Ok(false);
        }
        for sql in [
            // What an earlier log of that name says of the same erasure gives way.
            "DELETE FROM tidelog.erasures AS earlier USING tidelog.erasures AS now
             WHERE earlier.log = $2 AND now.log = $1 AND now.commit_id = earlier.commit_id",
            "UPDATE tidelog.erasures SET log = $2 WHERE log = $1",
        ] {
            sqlx::query(sql)
                .bind(log.as_str())
                .bind(name.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Writes down what the commits of a restored log say of erasures.
    pub(crate) async fn remember(
        &self,
        log: &LogName,
        erasures: Vec<Audited>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.writers.begin().await.map_err(failed)?;
        let held = Held::lock(&mut transaction, log).await?;
        for audited in &erasures {
            erase::remember(&mut transaction, held.id, log, audited).await?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// What was written down of the logs of a name.
    pub(crate) async fn audited(&self, log: &LogName) -> Result<Vec<Audited>, StoreError> {
        let mut connection = self.readers.acquire().await.map_err(failed)?;
        Ok(erase::written_down(&mut connection, log, None).await?)
    }

    /// Removes a log and all it holds, if there is one; also what was written down of its erasures: nobody has asked for it by this name.
    pub(crate) async fn forget(&self, log: &LogName) -> Result<(), StoreError> {
        let mut transaction = self.writers.begin().await.map_err(failed)?;
        sqlx::raw_sql(PATIENT)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let sql = "SELECT id FROM tidelog.logs WHERE name = $1 FOR UPDATE";
        let id: Option<i64> = sqlx::query_scalar(sql)
            .bind(log.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed)?;
        for sql in [
            "DELETE FROM tidelog.stream_commits WHERE log = $1",
            "DELETE FROM tidelog.streams WHERE log = $1",
            "DELETE FROM tidelog.commits WHERE log = $1",
            "DELETE FROM tidelog.replicas WHERE log = $1",
            "DELETE FROM tidelog.segments WHERE log = $1",
            "INSERT INTO tidelog.strays (name, doomed)
             SELECT name, true FROM tidelog.archived WHERE log = $1",
            "DELETE FROM tidelog.archived WHERE log = $1",
            "DELETE FROM tidelog.logs WHERE id = $1",
        ] {
            sqlx::query(sql)
                .bind(id)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        sqlx::query("DELETE FROM tidelog.erasures WHERE log = $1")
            .bind(log.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }
}

/// The commits as pushes of their replicas, by which the ledger knows what it has to look up.
fn pushes(log: &LogName, commits: &[Recorded]) -> Vec<Push> {
    let mut of: BTreeMap<ReplicaId, Vec<Candidate>> = BTreeMap::new();
    for recorded in commits {
        let commit = recorded.commit.clone();
        let rejection = None;
        of.entry(commit.replica)
            .or_default()
            .push(Candidate { commit, rejection });
    }
    let pushes = of.into_iter().map(|(replica, commits)| Push {
        log: log.clone(),
        actor: None,
        replica,
        cursor: Cursor::default(),
        commits,
        numbering: Numbering::Replica,
    });
    pushes.collect()
}
