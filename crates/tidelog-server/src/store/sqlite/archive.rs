//! Runs that have left the file, and those on their way.

use super::rows::{self, blob, from_sql, to_sql};
use super::{SqliteStore, reader, verify};
use crate::store::archive::{
    Archive, ArchiveId, Marker, NOT_CONFIGURED, Paged, Part, Place, Row, Run, Shelf, Source, Stray,
    lost, names,
};
use crate::store::erase::InRows;
use crate::store::{After, Erase, PageCap, StoreError, StreamRange, Verified, stored};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::sync::Arc;
use tidelog_core::{ChainHash, Epoch, LogName, Position, StreamId, Version};

const RUN: &str = "SELECT number, first, last, name, sha256, bytes, is_segment FROM archived";

fn run(row: &rusqlite::Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        number: from_sql(row.get(0)?),
        first: Position::new(from_sql(row.get(1)?)),
        last: Position::new(from_sql(row.get(2)?)),
        name: row.get(3)?,
        sha256: blob(row, 4)?,
        bytes: from_sql(row.get(5)?),
        is_segment: row.get(6)?,
    })
}

/// The run that holds a position.
pub(super) fn run_at(
    connection: &Connection,
    log: i64,
    position: Position,
) -> Result<Option<Run>, StoreError> {
    let sql = format!("{RUN} WHERE log = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row(params![log, to_sql(position.value())], run);
    Ok(found.optional()?.filter(|run| run.last >= position))
}

/// The run that a segment is, or begins with.
pub(super) fn run_of(
    connection: &Connection,
    log: &LogName,
    number: u64,
) -> Result<Option<Run>, StoreError> {
    let log = rows::log(connection, log)?;
    let sql = format!("{RUN} WHERE log = ?1 AND number = ?2 ORDER BY first LIMIT 1");
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_row(params![log.id, to_sql(number)], run);
    Ok(found.optional()?)
}

/// Runs of any logs.
fn some_runs(connection: &Connection, limit: usize) -> Result<Vec<(LogName, Run)>, StoreError> {
    let sql = "SELECT number, first, last, a.name, sha256, bytes, is_segment, l.name
               FROM archived AS a JOIN logs AS l ON l.id = a.log ORDER BY a.log, a.first DESC LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = statement.query_map([limit], |row| Ok((row.get::<_, String>(7)?, run(row)?)))?;
    let found: Vec<(String, Run)> = found.collect::<Result<_, _>>()?;
    let named = found.into_iter();
    Ok(named
        .filter_map(|(log, run)| Some((log.parse().ok()?, run)))
        .collect())
}

fn marker(connection: &Connection) -> Result<Option<Marker>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, is_put FROM marker")?;
    let found = statement.query_row([], |row| {
        Ok(Marker {
            id: ArchiveId::from_bytes(blob(row, 0)?),
            is_put: row.get(1)?,
        })
    });
    Ok(found.optional()?)
}

/// Fails if a log has runs: who has no archive cannot serve it.
pub(super) fn demand_none(connection: &Connection) -> Result<(), StoreError> {
    match some_runs(connection, 1)?.into_iter().next() {
        None => Ok(()),
        Some((log, run)) => Err(StoreError::ArchiveUnavailable {
            log,
            position: run.first,
            detail: NOT_CONFIGURED.into(),
        }),
    }
}

fn shelve(
    transaction: &Transaction<'_>,
    log: &LogName,
    epoch: Epoch,
    run: &Run,
    rows: &[Row],
) -> Result<(), StoreError> {
    let changed = |what: &str| StoreError::Unavailable {
        detail: format!("{what} while it was archived; nothing was moved. Run it again"),
    };
    let found = rows::log(transaction, log)?;
    if found.state.epoch != epoch {
        return Err(changed("the log became another"));
    }
    let announced = transaction.execute(
        "DELETE FROM strays WHERE name = ?1 AND doomed = 0",
        [&run.name],
    )?;
    if announced != 1 {
        return Err(changed(
            "something was erased, or another `tidelog archive` began,",
        ));
    }
    let sql = "UPDATE commits SET frame = ?4 WHERE log = ?1 AND first = ?2 AND frame = ?3";
    let mut statement = transaction.prepare_cached(sql)?;
    for row in rows {
        let first = to_sql(row.first.value());
        let stub = stored::stub(&stored::versions(row.first, &row.frame)?);
        if statement.execute(params![found.id, first, row.frame, stub])? != 1 {
            return Err(changed("the log was changed"));
        }
    }
    transaction.execute(
        "INSERT INTO archived (log, number, first, last, name, sha256, bytes, is_segment)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            found.id,
            to_sql(run.number),
            to_sql(run.first.value()),
            to_sql(run.last.value()),
            run.name,
            run.sha256,
            to_sql(run.bytes),
            run.is_segment
        ],
    )?;
    transaction.execute(
        "DELETE FROM segments WHERE log = ?1 AND number = ?2",
        params![found.id, to_sql(run.number)],
    )?;
    Ok(())
}

fn unshelve(
    transaction: &Transaction<'_>,
    log: &LogName,
    run: &Run,
    part: &Part,
) -> Result<(), StoreError> {
    let found = rows::log(transaction, log)?;
    let sql = "DELETE FROM archived WHERE log = ?1 AND name = ?2";
    if transaction.execute(sql, params![found.id, run.name])? == 0 {
        return Ok(());
    }
    let sql = "INSERT INTO strays (name, doomed) VALUES (?1, 1)";
    transaction.execute(sql, [&run.name])?;
    let sql = "UPDATE commits SET frame = ?3 WHERE log = ?1 AND first = ?2";
    let mut statement = transaction.prepare_cached(sql)?;
    for (first, frame) in part.frames() {
        if statement.execute(params![found.id, to_sql(first.value()), frame])? != 1 {
            return Err(lost(log, first));
        }
    }
    Ok(())
}

impl Source for SqliteStore {
    const PAGE_COMMITS: usize = usize::MAX;

    fn shelf(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    async fn paged(&self, log: &LogName, after: After, cap: PageCap) -> Result<Paged, StoreError> {
        let log = log.clone();
        self.read(move |connection| reader::page(connection, &log, after, cap))
            .await
    }

    async fn placed(
        &self,
        log: &LogName,
        stream: &StreamId,
        range: StreamRange,
    ) -> Result<(Version, Vec<Place>), StoreError> {
        let (log, stream) = (log.clone(), stream.clone());
        self.read(move |connection| reader::stream(connection, &log, &stream, range))
            .await
    }

    async fn run_at(&self, log: &LogName, position: Position) -> Result<Option<Run>, StoreError> {
        let log = log.clone();
        self.read(move |connection| {
            let log = rows::log(connection, &log)?;
            run_at(connection, log.id, position)
        })
        .await
    }
}

impl Shelf for SqliteStore {
    fn with(self, archive: Archive) -> Self {
        let archive = Some(archive);
        Self { archive, ..self }
    }

    async fn erase_in_rows(&self, erase: &Erase) -> Result<InRows, StoreError> {
        self.erase_and_fold(erase).await
    }

    async fn walk(&self, log: &LogName) -> Result<Verified, StoreError> {
        let (log, archive) = (log.clone(), self.archive.clone());
        // The walk waits for runs of the archive on its own thread.
        let waits = tokio::runtime::Handle::current();
        self.read(move |connection| verify::verify(connection, &log, archive.as_ref(), &waits))
            .await
    }

    async fn runs(&self, log: &LogName) -> Result<Vec<Run>, StoreError> {
        let log = log.clone();
        self.read(move |connection| {
            let log = rows::log(connection, &log)?;
            let sql = format!("{RUN} WHERE log = ?1 ORDER BY first");
            let mut statement = connection.prepare_cached(&sql)?;
            let runs = statement.query_map([log.id], run)?;
            Ok(runs.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn some_runs(&self, limit: usize) -> Result<Vec<(LogName, Run)>, StoreError> {
        self.read(move |connection| some_runs(connection, limit))
            .await
    }

    async fn marker(&self, id: ArchiveId) -> Result<Marker, StoreError> {
        if let Some(known) = self.read(|connection| marker(connection)).await? {
            return Ok(known);
        }
        self.writer
            .run(move |connection| {
                let sql = "INSERT OR IGNORE INTO marker (one, id, is_put) VALUES (1, ?1, 0)";
                connection.execute(sql, [id.as_bytes()])?;
                let known = marker(connection)?;
                known.ok_or_else(|| StoreError::Unavailable {
                    detail: "the archive's id was not kept".into(),
                })
            })
            .await
    }

    async fn marker_put(&self) -> Result<(), StoreError> {
        self.writer
            .run(|connection| {
                connection.execute("UPDATE marker SET is_put = 1", [])?;
                Ok(())
            })
            .await
    }

    async fn rows(
        &self,
        log: &LogName,
        from: Position,
        to: Position,
        bytes: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let log = log.clone();
        self.read(move |connection| {
            let transaction = connection.transaction()?;
            let log = rows::log(&transaction, &log)?;
            let sql = "SELECT first, last, chain, frame FROM commits
                       WHERE log = ?1 AND first >= ?2 AND first <= ?3 ORDER BY first";
            let mut statement = transaction.prepare_cached(sql)?;
            let bounds = params![log.id, to_sql(from.value()), to_sql(to.value())];
            let mut found = statement.query(bounds)?;
            let (mut rows, mut sum) = (Vec::new(), 0_usize);
            while let Some(row) = found.next()? {
                let frame: Vec<u8> = row.get(3)?;
                sum = sum.saturating_add(frame.len());
                if sum > bytes && !rows.is_empty() {
                    break;
                }
                rows.push(Row {
                    first: Position::new(from_sql(row.get(0)?)),
                    last: Position::new(from_sql(row.get(1)?)),
                    chain: ChainHash::from_bytes(blob(row, 2)?),
                    frame,
                });
            }
            Ok(rows)
        })
        .await
    }

    async fn announce(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer
            .run(move |connection| {
                let sql = "INSERT INTO strays (name, doomed) VALUES (?1, 0)";
                connection.execute(sql, [name])?;
                Ok(())
            })
            .await
    }

    async fn withdraw(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.writer
            .run(move |connection| {
                let sql = "INSERT INTO strays (name, doomed)
                           SELECT ?1, 1 WHERE NOT EXISTS (SELECT 1 FROM archived WHERE name = ?1)
                           ON CONFLICT (name) DO UPDATE SET doomed = 1";
                Ok(connection.execute(sql, [name])? == 1)
            })
            .await
    }

    async fn shelve(
        &self,
        log: &LogName,
        epoch: Epoch,
        run: Run,
        rows: Arc<[Row]>,
    ) -> Result<(), StoreError> {
        let log = log.clone();
        self.writer
            .transaction(move |transaction| shelve(transaction, &log, epoch, &run, &rows))
            .await
    }

    async fn unshelve(&self, log: &LogName, run: Run, part: Arc<Part>) -> Result<(), StoreError> {
        let log = log.clone();
        self.writer
            .transaction(move |transaction| unshelve(transaction, &log, &run, &part))
            .await
    }

    async fn doom(&self, of: Epoch) -> Result<(), StoreError> {
        let (from, to) = names(of);
        self.writer
            .run(move |connection| {
                let sql = "UPDATE strays SET doomed = 1 WHERE name >= ?1 AND name < ?2";
                connection.execute(sql, params![from, to])?;
                Ok(())
            })
            .await
    }

    async fn strays(&self) -> Result<Vec<Stray>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT name, doomed FROM strays")?;
            let strays = statement.query_map([], |row| {
                Ok(Stray {
                    name: row.get(0)?,
                    is_doomed: row.get(1)?,
                })
            })?;
            Ok(strays.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn removed(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer
            .run(move |connection| {
                connection.execute("DELETE FROM strays WHERE name = ?1 AND doomed = 1", [name])?;
                Ok(())
            })
            .await
    }

    async fn vacuum(&self) -> Result<(), StoreError> {
        self.writer
            .run(|connection| {
                Ok(connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?)
            })
            .await
    }
}
