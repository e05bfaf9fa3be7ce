//! Bare pipelined multi-row INSERTs by `tokio-postgres`: all statements of a transaction are sent before the first is answered.

use super::{STORED, Stored};
use crate::cluster::Database;
use crate::{Outcome, at};
use futures_util::future::try_join_all;
use futures_util::try_join;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Instant;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, NoTls};

async fn connect(database: &Database) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::Config::new()
        .host_path(&database.directory)
        .user("postgres")
        .dbname(&database.name)
        .connect(NoTls)
        .await?;
    // An error of the connection is one of the statement that is on it, too.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

/// What a server has stored at these positions.
pub(crate) async fn rows(
    database: &Database,
    positions: &RangeInclusive<u64>,
) -> Outcome<Vec<Stored>> {
    let sql = format!(
        "{STORED} FROM tidelog.commits AS c JOIN tidelog.stream_commits AS p ON p.log = c.log AND p.position = c.first
         JOIN tidelog.streams AS s ON s.log = p.log AND s.id = p.stream
         WHERE c.first BETWEEN $1 AND $2 ORDER BY c.first"
    );
    let read = async {
        let (from, to) = (
            positions.start().cast_signed(),
            positions.end().cast_signed(),
        );
        connect(database).await?.query(&sql, &[&from, &to]).await
    };
    let rows = read.await.map_err(at("the rows of the server"))?;
    let stored = |row: tokio_postgres::Row| -> Result<Stored, Error> {
        Ok(Stored {
            first: row.try_get(0)?,
            last: row.try_get(1)?,
            id: row.try_get(2)?,
            attempt: row.try_get(3)?,
            replica: row.try_get(4)?,
            seq: row.try_get(5)?,
            digest: row.try_get(6)?,
            chain: row.try_get(7)?,
            recorded_at: row.try_get(8)?,
            actor: row.try_get(9)?,
            frame: row.try_get(10)?,
            stream: row.try_get(11)?,
            name: row.try_get(12)?,
            version: row.try_get(13)?,
        })
    };
    let rows: Result<_, Error> = rows.into_iter().map(stored).collect();
    rows.map_err(at("the rows of the server"))
}

/// Stores the rows in a database that has the server's tables and nothing in them; gives the commits per second.
pub(crate) async fn rate(database: &Database, rows: &[Stored], group: usize) -> Outcome<f64> {
    store(database, rows, group)
        .await
        .map_err(at("the reference on PostgreSQL"))
}

async fn store(database: &Database, rows: &[Stored], group: usize) -> Result<f64, Error> {
    let client = connect(database).await?;
    let prepared = try_join_all(
        [
            "INSERT INTO tidelog.commits (log, first, last, id, attempt, replica, seq, digest, chain, recorded_at, actor, frame)
             SELECT 1, * FROM unnest($1::int8[], $2::int8[], $3::bytea[], $4::int8[], $5::bytea[], $6::int8[], $7::bytea[],
                                     $8::bytea[], $9::int8[], $10::text[], $11::bytea[])",
            "INSERT INTO tidelog.streams (log, name, id, version, last_commit, last_attempt, last_index)
             SELECT 1, *, 0 FROM unnest($1::text[], $2::int8[], $3::int8[], $4::bytea[], $5::int8[])
             ON CONFLICT (log, name) DO UPDATE SET version = excluded.version, last_commit = excluded.last_commit,
               last_attempt = excluded.last_attempt",
            "INSERT INTO tidelog.stream_commits (log, stream, first, last, position)
             SELECT 1, stream, version, version, position FROM unnest($1::int8[], $2::int8[], $3::int8[]) AS t (stream, version, position)",
        ]
        .map(|sql| client.prepare(sql)),
    )
    .await?;
    let [commits, streams, places] = prepared.as_slice() else {
        return Ok(f64::NAN);
    };
    let begun = Instant::now();
    for group in rows.chunks(group) {
        let numbers = |of: fn(&Stored) -> i64| -> Vec<i64> { group.iter().map(of).collect() };
        let blobs = |of: fn(&Stored) -> &[u8]| -> Vec<&[u8]> { group.iter().map(of).collect() };
        let ends: BTreeMap<&str, &Stored> =
            group.iter().map(|row| (row.name.as_str(), row)).collect();
        let of_ends =
            |of: fn(&Stored) -> i64| -> Vec<i64> { ends.values().map(|row| of(row)).collect() };
        let names: Vec<&str> = ends.keys().copied().collect();
        let last: Vec<&[u8]> = ends.values().map(|row| row.id.as_slice()).collect();
        let actors: Vec<Option<&str>> = group.iter().map(|row| row.actor.as_deref()).collect();
        let (firsts, lasts) = (numbers(|row| row.first), numbers(|row| row.last));
        let (attempts, seqs) = (numbers(|row| row.attempt), numbers(|row| row.seq));
        let (times, on) = (numbers(|row| row.recorded_at), numbers(|row| row.stream));
        let versions = numbers(|row| row.version);
        let (ids, replicas) = (blobs(|row| &row.id), blobs(|row| &row.replica));
        let (digests, chains) = (blobs(|row| &row.digest), blobs(|row| &row.chain));
        let frames = blobs(|row| &row.frame);
        let (ids_of_ends, versions_of_ends) =
            (of_ends(|row| row.stream), of_ends(|row| row.version));
        let attempts_of_ends = of_ends(|row| row.attempt);
        let of_commits: [&(dyn ToSql + Sync); 11] = [
            &firsts, &lasts, &ids, &attempts, &replicas, &seqs, &digests, &chains, &times, &actors,
            &frames,
        ];
        let of_streams: [&(dyn ToSql + Sync); 5] = [
            &names,
            &ids_of_ends,
            &versions_of_ends,
            &last,
            &attempts_of_ends,
        ];
        let of_places: [&(dyn ToSql + Sync); 3] = [&on, &versions, &firsts];
        // Polled in this order, and so sent in this order.
        try_join!(
            client.batch_execute("BEGIN"),
            client.execute(commits, &of_commits),
            client.execute(streams, &of_streams),
            client.execute(places, &of_places),
            client.batch_execute("COMMIT"),
        )?;
    }
    Ok(rows.len() as f64 / begun.elapsed().as_secs_f64())
}
