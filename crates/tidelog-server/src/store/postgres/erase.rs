//! Erasing, and what is written down of it.

use super::PostgresStore;
use super::failure::{Failure, Patience};
use super::held::{Held, bytes, number, to_sql};
use crate::clock;
use crate::store::audit::Columns;
use crate::store::erase::{InRows, Rewritten, Work, skeleton};
use crate::store::ledger::Ledger;
use crate::store::{
    Audited, Candidate, Erase, Erased, ErasurePlace, ErasureRecord, Numbering, Push, StoreError,
};
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row};
use std::time::Duration;
use tidelog_core::erasure::{Erasure, VersionRange};
use tidelog_core::{ChainHash, CommitId, Cursor, LogName, Position, Subject, Timestamp};

/// How many commits are read, and written back, at once.
const COMMITS: i64 = 256;
/// How long an erasure waits for the space of what was there to be freed.
const CLEANING: Duration = Duration::from_secs(10);

impl PostgresStore {
    /// Erases, and lets PostgreSQL use the space of what was there for something else.
    pub(super) async fn erase_and_clean(&self, erase: &Erase) -> Result<InRows, StoreError> {
        let random = clock::random().map_err(|error| StoreError::Unavailable {
            detail: error.to_string(),
        })?;
        let now = clock::now();
        let id = CommitId::mint(now, random);
        let mut patience = Patience::default();
        let (done, touched) = loop {
            match transaction(&self.writers, erase, id, now).await {
                Ok(done) => break done,
                Err(failure) => patience.after(failure).await?,
            }
        };
        let InRows::Erased(erased) = &done else {
            return Ok(done);
        };
        if erased.record.is_some() {
            self.groups
                .tell_moved(&erase.log, erased.state.head.position);
        }
        if !touched.is_empty() {
            clean(&self.writers, touched).await;
        }
        Ok(done)
    }
}

/// Erases in one transaction. Also gives the tables that hold what was there until they are cleaned.
async fn transaction(
    pool: &PgPool,
    erase: &Erase,
    id: CommitId,
    now: Timestamp,
) -> Result<(InRows, Vec<String>), Failure> {
    let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
    let mut transaction = pool.begin_with(begin).await?;
    let mut held = Held::lock(&mut transaction, &erase.log).await?;
    let asked = asked(erase, id, now);
    held.look_up(&mut transaction, &erase.log, &[&asked])
        .await?;
    if held.known(id)?.is_some() {
        // A try before this one was stored, and only its answer was lost.
        let record = written_down(&mut transaction, &erase.log, Some(id)).await?;
        let record = record.into_iter().next().map(|one| one.record);
        let state = held.state();
        return Ok((InRows::Erased(Erased { state, record }), Vec::new()));
    }
    let stream = held.stream(&erase.stream);
    let closed = held.is_tombstoned(&erase.stream);
    let mut work = Work::new(erase, stream.map(|(_, version)| (version, closed)))?;
    let mut tables = Vec::new();
    for range in work.wanted() {
        let place = (held.id, stream.map_or(0, |(id, _)| id));
        let archived = rewrite(
            &mut transaction,
            &held,
            &mut work,
            place,
            range,
            &mut tables,
        )
        .await?;
        if let Some(position) = archived {
            return Ok((InRows::Archived(position), Vec::new()));
        }
    }
    let segments: Vec<i64> = work.segments().into_iter().map(to_sql).collect();
    let Some(audited) = work.store(&mut held, id, now)? else {
        let state = held.state();
        let record = None;
        return Ok((InRows::Erased(Erased { state, record }), Vec::new()));
    };
    held.write(&mut transaction).await?;
    if !audited.record.versions.is_empty() {
        sqlx::query("UPDATE tidelog.logs SET revision = revision + 1 WHERE id = $1")
            .bind(held.id)
            .execute(&mut *transaction)
            .await?;
        let sql = "DELETE FROM tidelog.segments WHERE log = $1 AND number = ANY ($2)";
        let deleted = sqlx::query(sql)
            .bind(held.id)
            .bind(segments)
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() > 0 {
            tables.push("tidelog.segments".into());
        }
    }
    remember(&mut transaction, held.id, &erase.log, &audited).await?;
    if let Err(error) = transaction.commit().await {
        let mut failure = Failure::from(error);
        // Whatever the error was: the next try finds out what became of it.
        failure.passes |= !matches!(failure.error, StoreError::Full);
        return Err(failure);
    }
    let erased = Erased {
        state: held.state(),
        record: Some(audited.record),
    };
    Ok((InRows::Erased(erased), tables))
}

/// The erasure as a push, by which a log that is held knows what it has to look up.
fn asked(erase: &Erase, id: CommitId, now: Timestamp) -> Push {
    let mut commit = skeleton(erase, id);
    let event = Erasure::Tombstoned.event(&erase.stream, &erase.reason, now);
    commit.events.push(event);
    Push {
        log: erase.log.clone(),
        actor: erase.actor.clone(),
        replica: commit.replica,
        cursor: Cursor::default(),
        commits: vec![Candidate {
            commit,
            rejection: None,
        }],
        numbering: Numbering::Store,
    }
}

/// Writes back the commits of these versions without what is to go. Gives where one begins that is in the archive, and then has not
/// done all of it.
async fn rewrite(
    connection: &mut PgConnection,
    held: &Held,
    work: &mut Work<'_>,
    (log, stream): (i64, i64),
    range: VersionRange,
    tables: &mut Vec<String>,
) -> Result<Option<Position>, Failure> {
    let sql = "
SELECT found.first AS version, position, chain, frame, stored.tableoid::regclass::text AS stored_in
FROM (
  SELECT first, position FROM tidelog.stream_commits
  WHERE log = $1 AND stream = $2 AND first >= $3 AND first <= $4 ORDER BY first LIMIT $5
) AS found JOIN LATERAL (
  SELECT tableoid, chain, frame FROM tidelog.commits WHERE log = $1 AND first = position LIMIT 1
) AS stored ON true ORDER BY version";
    let mut from = begin(connection, (log, stream), range).await?;
    loop {
        let rows = sqlx::query(sql)
            .bind(log)
            .bind(stream)
            .bind(from)
            .bind(to_sql(range.last.value()))
            .bind(COMMITS)
            .fetch_all(&mut *connection)
            .await?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        from = last.try_get::<i64, _>("version")? + 1;
        let (mut firsts, mut frames) = (Vec::new(), Vec::new());
        for row in &rows {
            let position = Position::new(number(row, "position")?);
            let chain = ChainHash::from_bytes(bytes(row, "chain")?);
            let epoch = held.state().epoch;
            let frame = match work.commit(epoch, position, chain, row.try_get("frame")?)? {
                Rewritten::Same => None,
                Rewritten::Frame(frame) => Some(frame),
                Rewritten::Archived => return Ok(Some(position)),
            };
            if let Some(frame) = frame {
                firsts.push(to_sql(position.value()));
                frames.push(frame);
                let table: String = row.try_get("stored_in")?;
                if !tables.contains(&table) {
                    tables.push(table);
                }
            }
        }
        let sql = "UPDATE tidelog.commits AS old SET frame = new.frame
                   FROM unnest($2::int8[], $3::bytea[]) AS new (first, frame)
                   WHERE old.log = $1 AND old.first = new.first";
        sqlx::query(sql)
            .bind(log)
            .bind(firsts)
            .bind(frames)
            .execute(&mut *connection)
            .await?;
    }
}

/// The first version of the commit that holds the range's first.
async fn begin(
    connection: &mut PgConnection,
    (log, stream): (i64, i64),
    range: VersionRange,
) -> Result<i64, Failure> {
    let sql = "SELECT first FROM tidelog.stream_commits
               WHERE log = $1 AND stream = $2 AND first <= $3 ORDER BY first DESC LIMIT 1";
    let first: Option<i64> = sqlx::query_scalar(sql)
        .bind(log)
        .bind(stream)
        .bind(to_sql(range.first.value()))
        .fetch_optional(connection)
        .await?;
    Ok(first.unwrap_or(0))
}

/// Writes an erasure down, and closes its stream if it does. The log's row is held or nobody else's yet.
pub(super) async fn remember(
    connection: &mut PgConnection,
    log_id: i64,
    log: &LogName,
    audited: &Audited,
) -> Result<(), Failure> {
    let record = &audited.record;
    if record.tombstoned {
        let sql = "UPDATE tidelog.streams SET tombstoned = true WHERE log = $1 AND name = $2";
        sqlx::query(sql)
            .bind(log_id)
            .bind(record.stream.as_str())
            .execute(&mut *connection)
            .await?;
    }
    let sql = "
INSERT INTO tidelog.erasures
  (log, commit_id, stream, position, versions, tombstoned, reason, actor, recorded_at, events)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (log, commit_id) DO NOTHING";
    sqlx::query(sql)
        .bind(log.as_str())
        .bind(&record.commit.as_bytes()[..])
        .bind(record.stream.as_str())
        .bind(to_sql(record.position.value()))
        .bind(audited.versions_column())
        .bind(record.tombstoned)
        .bind(record.reason.as_str())
        .bind(record.actor.as_ref().map(Subject::as_str))
        .bind(record.recorded_at.millis())
        .bind(audited.events_column())
        .execute(connection)
        .await?;
    Ok(())
}

/// What was written down of the logs of a name, oldest first; only one commit's if it is given.
pub(super) async fn written_down(
    connection: &mut PgConnection,
    log: &LogName,
    commit: Option<CommitId>,
) -> Result<Vec<Audited>, Failure> {
    let sql =
        "SELECT * FROM tidelog.erasures WHERE log = $1 AND ($2::bytea IS NULL OR commit_id = $2)";
    let rows = sqlx::query(sql)
        .bind(log.as_str())
        .bind(commit.map(|id| id.as_bytes().to_vec()))
        .fetch_all(connection)
        .await?;
    let columns: Vec<Columns> = rows.iter().map(columns).collect::<Result<_, _>>()?;
    let mut audited: Vec<Audited> = columns.into_iter().filter_map(Columns::read).collect();
    audited.sort_by_key(|one| (one.record.recorded_at, one.record.position));
    Ok(audited)
}

/// So many records of the logs of a name, oldest first, after a place. The events, which may be many, are not read.
pub(super) async fn listed(
    pool: &PgPool,
    log: &LogName,
    after: Option<ErasurePlace>,
    limit: usize,
) -> Result<Vec<ErasureRecord>, Failure> {
    let sql = "
SELECT commit_id, stream, position, versions, tombstoned, reason, actor, recorded_at, ''::bytea AS events
FROM tidelog.erasures
WHERE log = $1 AND ($2::bigint IS NULL OR (recorded_at, position, commit_id) > ($2, $3::bigint, $4::bytea))
ORDER BY recorded_at, position, commit_id LIMIT $5";
    let rows = sqlx::query(sql)
        .bind(log.as_str())
        .bind(after.map(|place| place.recorded_at.millis()))
        .bind(after.map(|place| to_sql(place.position.value())))
        .bind(after.map(|place| place.commit.as_bytes().to_vec()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    let columns: Vec<Columns> = rows.iter().map(columns).collect::<Result<_, _>>()?;
    let audited = columns.into_iter().filter_map(Columns::read);
    Ok(audited.map(|one| one.record).collect())
}

fn columns(row: &PgRow) -> Result<Columns, Failure> {
    Ok(Columns {
        stream: row.try_get("stream")?,
        commit: bytes(row, "commit_id")?,
        position: number(row, "position")?,
        versions: row.try_get("versions")?,
        tombstoned: row.try_get("tombstoned")?,
        reason: row.try_get("reason")?,
        actor: row.try_get("actor")?,
        recorded_at: row.try_get("recorded_at")?,
        events: row.try_get("events")?,
    })
}

/// How often payloads of a log were erased.
pub(super) async fn revision(pool: &PgPool, log: &LogName) -> Result<u64, Failure> {
    let row = sqlx::query("SELECT revision FROM tidelog.logs WHERE name = $1")
        .bind(log.as_str())
        .fetch_optional(pool)
        .await?
        .ok_or_else(|| StoreError::UnknownLog { log: log.clone() })?;
    number(&row, "revision")
}

/// Frees the space of rows that were replaced. The erasure is done either way, and autovacuum comes by as well, so what
/// fails here is only said.
async fn clean(pool: &PgPool, tables: Vec<String>) {
    let pool = pool.clone();
    // Not in the caller's own future, which may be dropped: a connection must not go back in the middle.
    let cleaning = tokio::spawn(async move {
        for table in tables {
            if let Err(error) = vacuum(&pool, &table).await {
                tracing::warn!(%error, table, "the space of what was erased was not freed yet");
            }
        }
    });
    // A large table takes its time; the caller need not wait for all of it.
    let _ = tokio::time::timeout(CLEANING, cleaning).await;
}

async fn vacuum(pool: &PgPool, table: &str) -> Result<(), sqlx::Error> {
    // It may take longer than a statement of this store may, so it does not go back.
    let mut connection = pool.acquire().await?.detach();
    let patient = "SET statement_timeout = 0";
    sqlx::raw_sql(patient).execute(&mut connection).await?;
    // The name is the database's own, quoted where it needs to be.
    let sql = AssertSqlSafe(format!("VACUUM {table}"));
    sqlx::raw_sql(sql).execute(&mut connection).await?;
    connection.close().await
}
