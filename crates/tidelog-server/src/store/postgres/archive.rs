//! Runs that have left the database, and those on their way.

use super::failure::{Failure, Patience};
use super::held::{bytes, number, state, to_sql};
use super::{PostgresStore, reader, verify};
use crate::store::archive::{
    Archive, ArchiveId, Marker, NOT_CONFIGURED, Paged, Part, Place, Row, Run, Shelf, Source, Stray,
    lost, names,
};
use crate::store::erase::InRows;
use crate::store::{After, Erase, PageCap, StoreError, StreamRange, Verified, stored};
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgExecutor, PgPool, PgRow};
use std::sync::Arc;
use tidelog_core::{ChainHash, Epoch, LogName, Position, StreamId, Version};

/// A run has thousands of rows.
const PATIENT: &str =
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

fn run(row: &PgRow) -> Result<Run, Failure> {
    Ok(Run {
        number: number(row, "number")?,
        first: Position::new(number(row, "first")?),
        last: Position::new(number(row, "last")?),
        name: row.try_get("name")?,
        sha256: bytes(row, "sha256")?,
        bytes: number(row, "bytes")?,
        is_segment: row.try_get("is_segment")?,
    })
}

/// The run that holds a position.
pub(super) async fn run_at(
    executor: impl PgExecutor<'_>,
    log: i64,
    position: Position,
) -> Result<Option<Run>, Failure> {
    let sql = "SELECT * FROM tidelog.archived WHERE log = $1 AND first <= $2
               ORDER BY first DESC LIMIT 1";
    let found = sqlx::query(sql)
        .bind(log)
        .bind(to_sql(position.value()))
        .fetch_optional(executor)
        .await?;
    let found = found.as_ref().map(run).transpose()?;
    Ok(found.filter(|run| run.last >= position))
}

/// The run that a segment is, or begins with.
pub(super) async fn run_of(
    pool: &PgPool,
    log: &LogName,
    segment: u64,
) -> Result<Option<Run>, Failure> {
    let sql = "SELECT * FROM tidelog.archived
               WHERE log = (SELECT id FROM tidelog.logs WHERE name = $1) AND number = $2
               ORDER BY first LIMIT 1";
    let found = sqlx::query(sql)
        .bind(log.as_str())
        .bind(to_sql(segment))
        .fetch_optional(pool)
        .await?;
    found.as_ref().map(run).transpose()
}

/// Runs of any logs.
async fn some_runs(pool: &PgPool, limit: usize) -> Result<Vec<(LogName, Run)>, Failure> {
    let sql = "SELECT a.*, l.name AS log_name FROM tidelog.archived AS a
               JOIN tidelog.logs AS l ON l.id = a.log ORDER BY a.log, a.first DESC LIMIT $1";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut runs = Vec::new();
    for row in sqlx::query(sql).bind(limit).fetch_all(pool).await? {
        if let Ok(log) = row.try_get::<&str, _>("log_name")?.parse() {
            runs.push((log, run(&row)?));
        }
    }
    Ok(runs)
}

async fn marker(pool: &PgPool, id: ArchiveId) -> Result<Marker, Failure> {
    let known = "SELECT id, is_put FROM tidelog.marker";
    let found = match sqlx::query(known).fetch_optional(pool).await? {
        Some(found) => found,
        None => {
            sqlx::query("INSERT INTO tidelog.marker (one, id, is_put) VALUES (1, $1, false) ON CONFLICT DO NOTHING")
                .bind(&id.as_bytes()[..])
                .execute(pool)
                .await?;
            sqlx::query(known).fetch_one(pool).await?
        }
    };
    Ok(Marker {
        id: ArchiveId::from_bytes(bytes(&found, "id")?),
        is_put: found.try_get("is_put")?,
    })
}

async fn strays(pool: &PgPool) -> Result<Vec<Stray>, Failure> {
    let found = sqlx::query("SELECT name, doomed FROM tidelog.strays");
    let found = found.fetch_all(pool).await?;
    let strays = found.iter().map(|row| {
        Ok(Stray {
            name: row.try_get("name")?,
            is_doomed: row.try_get("doomed")?,
        })
    });
    strays.collect()
}

/// Fails if a log has runs: who has no archive cannot serve it.
pub(super) async fn demand_none(pool: &PgPool) -> Result<(), Failure> {
    match some_runs(pool, 1).await?.into_iter().next() {
        None => Ok(()),
        Some((log, run)) => Err(Failure::from(StoreError::ArchiveUnavailable {
            log,
            position: run.first,
            detail: NOT_CONFIGURED.into(),
        })),
    }
}

fn changed(what: &str) -> Failure {
    let detail = format!("{what} while it was archived; nothing was moved. Run it again");
    Failure::from(StoreError::Unavailable { detail })
}

async fn shelve(
    connection: &mut PgConnection,
    log: &LogName,
    epoch: Epoch,
    run: &Run,
    rows: &[Row],
) -> Result<(), Failure> {
    sqlx::raw_sql(PATIENT).execute(&mut *connection).await?;
    let sql = "SELECT id, epoch, head, chain FROM tidelog.logs WHERE name = $1 FOR NO KEY UPDATE";
    let found = sqlx::query(sql)
        .bind(log.as_str())
        .fetch_optional(&mut *connection)
        .await?
        .ok_or_else(|| StoreError::UnknownLog { log: log.clone() })?;
    let id: i64 = found.try_get("id")?;
    if state(&found)?.epoch != epoch {
        return Err(changed("the log became another"));
    }
    let announced = sqlx::query("DELETE FROM tidelog.strays WHERE name = $1 AND NOT doomed")
        .bind(&run.name)
        .execute(&mut *connection)
        .await?;
    if announced.rows_affected() != 1 {
        return Err(changed(
            "something was erased, or another `tidelog archive` began,",
        ));
    }
    let stubs = rows.iter().map(|row| {
        let versions = stored::versions(row.first, &row.frame)?;
        Ok(stored::stub(&versions))
    });
    let stubs: Vec<Vec<u8>> = stubs.collect::<Result<_, StoreError>>()?;
    let firsts: Vec<i64> = rows.iter().map(|row| to_sql(row.first.value())).collect();
    let frames: Vec<&[u8]> = rows.iter().map(|row| &row.frame[..]).collect();
    let sql = "
UPDATE tidelog.commits AS c SET frame = moved.stub
FROM unnest($2::int8[], $3::bytea[], $4::bytea[]) AS moved (first, frame, stub)
WHERE c.log = $1 AND c.first = moved.first AND c.frame = moved.frame";
    let updated = sqlx::query(sql)
        .bind(id)
        .bind(firsts)
        .bind(frames)
        .bind(stubs)
        .execute(&mut *connection)
        .await?;
    if updated.rows_affected() != rows.len() as u64 {
        return Err(changed("the log was changed"));
    }
    let sql =
        "INSERT INTO tidelog.archived (log, number, first, last, name, sha256, bytes, is_segment)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(id)
        .bind(to_sql(run.number))
        .bind(to_sql(run.first.value()))
        .bind(to_sql(run.last.value()))
        .bind(&run.name)
        .bind(&run.sha256[..])
        .bind(to_sql(run.bytes))
        .bind(run.is_segment)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM tidelog.segments WHERE log = $1 AND number = $2")
        .bind(id)
        .bind(to_sql(run.number))
        .execute(connection)
        .await?;
    Ok(())
}

async fn rows(
    pool: &PgPool,
    log: &LogName,
    (from, to): (Position, Position),
    most: usize,
) -> Result<Vec<Row>, Failure> {
    let sql = "
SELECT first, last, chain, frame FROM (
  SELECT c.*, sum(length(frame)) OVER (ORDER BY first) AS bytes FROM tidelog.commits AS c
  WHERE log = (SELECT id FROM tidelog.logs WHERE name = $1) AND first >= $2 AND first <= $3
) AS summed WHERE bytes <= $4 OR first = $2 ORDER BY first";
    let found = sqlx::query(sql)
        .bind(log.as_str())
        .bind(to_sql(from.value()))
        .bind(to_sql(to.value()))
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(pool)
        .await?;
    let rows = found.iter().map(|row| {
        Ok(Row {
            first: Position::new(number(row, "first")?),
            last: Position::new(number(row, "last")?),
            chain: ChainHash::from_bytes(bytes(row, "chain")?),
            frame: row.try_get("frame")?,
        })
    });
    rows.collect()
}

async fn runs(pool: &PgPool, log: &LogName) -> Result<Vec<Run>, Failure> {
    let (id, _) = reader::row(pool, log).await?;
    let sql = "SELECT * FROM tidelog.archived WHERE log = $1 ORDER BY first";
    let found = sqlx::query(sql).bind(id).fetch_all(pool).await?;
    found.iter().map(run).collect()
}

async fn unshelve(
    connection: &mut PgConnection,
    log: &LogName,
    run: &Run,
    part: &Part,
) -> Result<(), Failure> {
    sqlx::raw_sql(PATIENT).execute(&mut *connection).await?;
    let sql = "SELECT id FROM tidelog.logs WHERE name = $1 FOR NO KEY UPDATE";
    let id: i64 = sqlx::query_scalar(sql)
        .bind(log.as_str())
        .fetch_optional(&mut *connection)
        .await?
        .ok_or_else(|| StoreError::UnknownLog { log: log.clone() })?;
    let recorded = sqlx::query("DELETE FROM tidelog.archived WHERE log = $1 AND name = $2")
        .bind(id)
        .bind(&run.name)
        .execute(&mut *connection)
        .await?;
    if recorded.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query("INSERT INTO tidelog.strays (name, doomed) VALUES ($1, true)")
        .bind(&run.name)
        .execute(&mut *connection)
        .await?;
    let (firsts, frames): (Vec<i64>, Vec<Vec<u8>>) = part
        .frames()
        .map(|(first, frame)| (to_sql(first.value()), frame))
        .unzip();
    let count = firsts.len() as u64;
    let sql = "
UPDATE tidelog.commits AS c SET frame = back.frame
FROM unnest($2::int8[], $3::bytea[]) AS back (first, frame)
WHERE c.log = $1 AND c.first = back.first";
    let updated = sqlx::query(sql)
        .bind(id)
        .bind(firsts)
        .bind(frames)
        .execute(connection)
        .await?;
    match updated.rows_affected() == count {
        true => Ok(()),
        false => Err(lost(log, run.first).into()),
    }
}

/// In two statements: the first waits for a transaction that records it, of which the second then knows.
async fn withdraw(pool: &PgPool, name: &str) -> Result<bool, Failure> {
    for sql in [
        "UPDATE tidelog.strays SET doomed = true WHERE name = $1",
        "INSERT INTO tidelog.strays (name, doomed)
         SELECT $1, true WHERE NOT EXISTS (SELECT FROM tidelog.archived WHERE name = $1)
         ON CONFLICT (name) DO UPDATE SET doomed = true",
    ] {
        let done = sqlx::query(sql).bind(name).execute(pool).await?;
        if done.rows_affected() == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn doom(pool: &PgPool, of: Epoch) -> Result<(), Failure> {
    let (from, to) = names(of);
    let sql = "UPDATE tidelog.strays SET doomed = true WHERE name >= $1 AND name < $2";
    let doomed = sqlx::query(sql).bind(from).bind(to).execute(pool).await;
    Ok(doomed.map(|_| ())?)
}

async fn find(pool: &PgPool, log: &LogName, position: Position) -> Result<Option<Run>, Failure> {
    let (id, _) = reader::row(pool, log).await?;
    run_at(pool, id, position).await
}

/// Asks until it is answered, or what is in the way does not pass.
macro_rules! patiently {
    ($ask:expr) => {{
        let mut patience = Patience::default();
        loop {
            match $ask.await {
                Ok(answer) => break Ok(answer),
                Err(failure) => patience.after(failure).await?,
            }
        }
    }};
}

impl Source for PostgresStore {
    const PAGE_COMMITS: usize = reader::PAGE_COMMITS;

    fn shelf(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    async fn paged(&self, log: &LogName, after: After, cap: PageCap) -> Result<Paged, StoreError> {
        patiently!(reader::page(&self.readers, log, after, cap))
    }

    async fn placed(
        &self,
        log: &LogName,
        stream: &StreamId,
        range: StreamRange,
    ) -> Result<(Version, Vec<Place>), StoreError> {
        patiently!(reader::stream(&self.readers, log, stream, range))
    }

    async fn run_at(&self, log: &LogName, position: Position) -> Result<Option<Run>, StoreError> {
        patiently!(find(&self.readers, log, position))
    }
}

impl Shelf for PostgresStore {
    fn with(self, archive: Archive) -> Self {
        let archive = Some(archive);
        Self { archive, ..self }
    }

    async fn erase_in_rows(&self, erase: &Erase) -> Result<InRows, StoreError> {
        self.erase_and_clean(erase).await
    }

    async fn walk(&self, log: &LogName) -> Result<Verified, StoreError> {
        Ok(verify::verify(&self.readers, log, self.archive.as_ref()).await?)
    }

    async fn runs(&self, log: &LogName) -> Result<Vec<Run>, StoreError> {
        patiently!(runs(&self.readers, log))
    }

    async fn some_runs(&self, limit: usize) -> Result<Vec<(LogName, Run)>, StoreError> {
        patiently!(some_runs(&self.readers, limit))
    }

    async fn marker(&self, id: ArchiveId) -> Result<Marker, StoreError> {
        patiently!(marker(&self.writers, id))
    }

    async fn marker_put(&self) -> Result<(), StoreError> {
        let put = || async {
            let query = sqlx::query("UPDATE tidelog.marker SET is_put = true");
            query.execute(&self.writers).await.map_err(Failure::from)
        };
        patiently!(put()).map(|_| ())
    }

    async fn rows(
        &self,
        log: &LogName,
        from: Position,
        to: Position,
        bytes: usize,
    ) -> Result<Vec<Row>, StoreError> {
        patiently!(rows(&self.readers, log, (from, to), bytes))
    }

    async fn announce(&self, name: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO tidelog.strays (name, doomed) VALUES ($1, false)
                   ON CONFLICT DO NOTHING";
        let announced = || async {
            let query = sqlx::query(sql).bind(name);
            query.execute(&self.writers).await.map_err(Failure::from)
        };
        patiently!(announced()).map(|_| ())
    }

    async fn withdraw(&self, name: &str) -> Result<bool, StoreError> {
        patiently!(withdraw(&self.writers, name))
    }

    async fn shelve(
        &self,
        log: &LogName,
        epoch: Epoch,
        run: Run,
        rows: Arc<[Row]>,
    ) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| Failure::from(error).error;
        let mut transaction = self.writers.begin().await.map_err(failed)?;
        shelve(&mut transaction, log, epoch, &run, &rows).await?;
        transaction.commit().await.map_err(failed)
    }

    async fn unshelve(&self, log: &LogName, run: Run, part: Arc<Part>) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| Failure::from(error).error;
        let mut transaction = self.writers.begin().await.map_err(failed)?;
        unshelve(&mut transaction, log, &run, &part).await?;
        transaction.commit().await.map_err(failed)
    }

    async fn doom(&self, of: Epoch) -> Result<(), StoreError> {
        patiently!(doom(&self.writers, of))
    }

    async fn strays(&self) -> Result<Vec<Stray>, StoreError> {
        patiently!(strays(&self.writers))
    }

    async fn removed(&self, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM tidelog.strays WHERE name = $1 AND doomed";
        let removed = || async {
            let query = sqlx::query(sql).bind(name);
            query.execute(&self.writers).await.map_err(Failure::from)
        };
        patiently!(removed()).map(|_| ())
    }

    async fn vacuum(&self) -> Result<(), StoreError> {
        let failed = |error: sqlx::Error| Failure::from(error).error;
        let mut connection = self.writers.acquire().await.map_err(failed)?;
        for sql in [
            "SET statement_timeout = 0",
            "VACUUM tidelog.commits",
            "VACUUM tidelog.segments",
            "RESET statement_timeout",
        ] {
            sqlx::raw_sql(sql)
                .execute(&mut *connection)
                .await
                .map_err(failed)?;
        }
        Ok(())
    }
}
