//! A bare loop over `rusqlite`: WAL, `synchronous=FULL`, prepared statements, one transaction for each group.

use super::{STORED, Stored};
use crate::{Outcome, at};
use rusqlite::{Connection, TransactionBehavior, params};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Instant;

/// What a server has stored at these positions.
pub(crate) fn rows(file: &Path, positions: &RangeInclusive<u64>) -> Outcome<Vec<Stored>> {
    let read = || -> rusqlite::Result<Vec<Stored>> {
        let connection = Connection::open(file)?;
        let sql = format!(
            "{STORED} FROM commits AS c JOIN stream_commits AS p ON p.position = c.first JOIN streams AS s ON s.id = p.stream
             WHERE c.first BETWEEN ?1 AND ?2 ORDER BY c.first"
        );
        // Without an index on positions, each place is looked up once instead of once for each commit.
        connection.execute_batch("CREATE INDEX places ON stream_commits (position)")?;
        let mut statement = connection.prepare(&sql)?;
        let found = statement.query_map(
            params![
                positions.start().cast_signed(),
                positions.end().cast_signed()
            ],
            |row| {
                Ok(Stored {
                    first: row.get(0)?,
                    last: row.get(1)?,
                    id: row.get(2)?,
                    attempt: row.get(3)?,
                    replica: row.get(4)?,
                    seq: row.get(5)?,
                    digest: row.get(6)?,
                    chain: row.get(7)?,
                    recorded_at: row.get(8)?,
                    actor: row.get(9)?,
                    frame: row.get(10)?,
                    stream: row.get(11)?,
                    name: row.get(12)?,
                    version: row.get(13)?,
                })
            },
        )?;
        found.collect()
    };
    read().map_err(at("the rows of the server"))
}

/// Stores the rows in a new file with the tables and indexes of the server's; gives the commits per second.
pub(crate) fn rate(server: &Path, file: &Path, rows: &[Stored], group: usize) -> Outcome<f64> {
    store(server, file, rows, group).map_err(at("the reference on SQLite"))
}

fn store(server: &Path, file: &Path, rows: &[Stored], group: usize) -> rusqlite::Result<f64> {
    let tables: Vec<String> = Connection::open(server)?
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'places' ORDER BY rowid")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch(&tables.join(";"))?;
    let sql = "INSERT INTO logs (id, name, epoch, head, chain, recorded_at, created_at)
               VALUES (1, 'load', x'00', 0, x'00', 0, 0)";
    connection.execute(sql, [])?;
    let mut streams = BTreeSet::new();
    let begun = Instant::now();
    for group in rows.chunks(group) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for row in group {
            let sql = "INSERT INTO commits
                         (log, first, last, id, attempt, replica, seq, digest, chain, recorded_at, actor, frame)
                       VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
            transaction.prepare_cached(sql)?.execute(params![
                row.first,
                row.last,
                row.id,
                row.attempt,
                row.replica,
                row.seq,
                row.digest,
                row.chain,
                row.recorded_at,
                row.actor,
                row.frame
            ])?;
            let sql = match streams.insert(row.stream) {
                true => {
                    "INSERT INTO streams (id, log, name, version, last_commit, last_attempt, last_index)
                     VALUES (?1, 1, ?2, ?3, ?4, ?5, 0)"
                }
                false => {
                    "UPDATE streams SET version = ?3, last_commit = ?4, last_attempt = ?5 WHERE id = ?1 AND name = ?2"
                }
            };
            let end = params![row.stream, row.name, row.version, row.id, row.attempt];
            transaction.prepare_cached(sql)?.execute(end)?;
            let sql = "INSERT INTO stream_commits (stream, first, last, position) VALUES (?1, ?2, ?2, ?3)";
            let place = params![row.stream, row.version, row.first];
            transaction.prepare_cached(sql)?.execute(place)?;
        }
        transaction.commit()?;
    }
    Ok(rows.len() as f64 / begun.elapsed().as_secs_f64())
}
