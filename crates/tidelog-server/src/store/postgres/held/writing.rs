//! What a group of pushes stores, written at once.

use super::{Held, StreamRow, to_sql};
use crate::store::StoreError;
use crate::store::ledger::Entry;
use crate::store::postgres::failure::Failure;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use tidelog_core::{ReplicaId, StreamId, Subject};

impl Held {
    /// Writes all that was stored in the transaction that holds the log's row.
    pub(in crate::store::postgres) async fn write(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<(), Failure> {
        match self.write_at_once(connection).await? {
            true => Ok(()),
            false => {
                let detail = "the row of a log was changed although it was locked".into();
                Err(StoreError::Unavailable { detail }.into())
            }
        }
    }

    /// Writes all that was stored, if anything was, in one statement: so it is written whole or not at all, and `false` says
    /// that the log's row is another than was looked up, or a guess was wrong, and nothing was written.
    pub(in crate::store::postgres) async fn write_at_once(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<bool, Failure> {
        if self.entries.is_empty() {
            // Nothing shows whether a guess is right.
            return Ok(self.guess.is_none());
        }
        let sql = "
WITH moved AS (
  UPDATE tidelog.logs SET head = $25, chain = $26, recorded_at = $27 WHERE id = $1 AND xmin::text = $28 AND chain = $31
    AND NOT EXISTS (SELECT FROM unnest($29::bytea[]) AS guess
      JOIN LATERAL (SELECT FROM tidelog.commits WHERE log = $1 AND id = guess LIMIT 1) AS found ON true)
    AND NOT EXISTS (SELECT FROM unnest($30::text[]) AS guess
      JOIN LATERAL (SELECT FROM tidelog.streams WHERE log = $1 AND name = guess LIMIT 1) AS found ON true)
  RETURNING id, xmin::text AS row
), new_commits AS (
  INSERT INTO tidelog.commits (log, first, last, id, attempt, replica, seq, digest, chain, recorded_at, actor, frame)
  SELECT moved.id, new.* FROM moved, unnest($2::int8[], $3::int8[], $4::bytea[], $5::int8[], $6::bytea[], $7::int8[], $8::bytea[],
                           $9::bytea[], $10::int8[], $11::text[], $12::bytea[]) AS new
), moved_streams AS (
  INSERT INTO tidelog.streams AS stream (log, name, id, version, last_commit, last_attempt, last_index)
  SELECT moved.id, new.*
  FROM moved, unnest($13::text[], $14::int8[], $15::int8[], $16::bytea[], $17::int8[], $18::int8[]) AS new
  ON CONFLICT (log, name) DO UPDATE SET version = excluded.version, last_commit = excluded.last_commit,
    last_attempt = excluded.last_attempt, last_index = excluded.last_index
), new_places AS (
  INSERT INTO tidelog.stream_commits (log, stream, first, last, position)
  SELECT moved.id, new.* FROM moved, unnest($19::int8[], $20::int8[], $21::int8[], $22::int8[]) AS new
), new_replicas AS (
  INSERT INTO tidelog.replicas (log, replica, subject)
  SELECT moved.id, new.* FROM moved, unnest($23::bytea[], $24::text[]) AS new
)
SELECT row FROM moved";
        let entries = &self.entries;
        let numbers = |of: fn(&Entry) -> i64| -> Vec<i64> { entries.iter().map(of).collect() };
        let query = sqlx::query(sql)
            .bind(self.id)
            .bind(numbers(|one| to_sql(one.recorded.position.value())))
            .bind(numbers(|one| to_sql(one.recorded.last_position().value())))
            .bind(blobs(entries, |one| &one.recorded.commit.id.as_bytes()[..]))
            .bind(numbers(|one| {
                i64::from(one.recorded.commit.attempt.value())
            }))
            .bind(blobs(entries, |one| {
                &one.recorded.commit.replica.as_bytes()[..]
            }))
            .bind(numbers(|one| one.recorded.commit.seq.value().cast_signed()))
            .bind(blobs(entries, |one| &one.digest.as_bytes()[..]))
            .bind(blobs(entries, |one| &one.chain.as_bytes()[..]))
            .bind(numbers(|one| one.recorded.recorded_at.millis()))
            .bind(
                entries
                    .iter()
                    .map(|one| one.recorded.actor.as_ref().map(Subject::as_str))
                    .collect::<Vec<_>>(),
            )
            .bind(blobs(entries, |one| &one.frame[..]));
        let moved: Vec<(&str, StreamRow)> = self
            .moved
            .iter()
            .filter_map(|name| Some((name.as_str(), *self.streams.get(name)?)))
            .collect();
        let last = |row: &StreamRow| row.head.last;
        let query = query
            .bind(moved.iter().map(|(name, _)| *name).collect::<Vec<_>>())
            .bind(moved.iter().map(|(_, row)| row.id).collect::<Vec<_>>())
            .bind(
                moved
                    .iter()
                    .map(|(_, row)| to_sql(row.head.version.value()))
                    .collect::<Vec<_>>(),
            )
            .bind(blobs(
                &moved,
                |(_, row)| &row.head.last.commit.as_bytes()[..],
            ))
            .bind(
                moved
                    .iter()
                    .map(|(_, row)| i64::from(last(row).attempt.value()))
                    .collect::<Vec<_>>(),
            )
            .bind(
                moved
                    .iter()
                    .map(|(_, row)| i64::from(last(row).index))
                    .collect::<Vec<_>>(),
            );
        let mut places = [const { Vec::new() }; 4];
        for entry in entries {
            for (versions, _) in entry.written() {
                let [streams, firsts, lasts, positions] = &mut places;
                streams.push(self.streams.get(&versions.stream).map_or(0, |row| row.id));
                firsts.push(to_sql(versions.first.value()));
                lasts.push(to_sql(versions.last.value()));
                positions.push(to_sql(entry.recorded.position.value()));
            }
        }
        let query = places
            .into_iter()
            .fold(query, |query, column| query.bind(column));
        let bound: Vec<(&ReplicaId, Option<&str>)> = self
            .bound
            .iter()
            .map(|replica| {
                let owner = self.owners.get(replica).and_then(Option::as_ref);
                (replica, owner.map(Subject::as_str))
            })
            .collect();
        let head = self.state.head;
        let guess = self.guess.iter();
        let commits: Vec<&[u8]> = guess
            .clone()
            .flat_map(|guess| &guess.commits)
            .map(|id| &id.as_bytes()[..])
            .collect();
        let streams: Vec<&str> = guess
            .flat_map(|guess| &guess.streams)
            .map(StreamId::as_str)
            .collect();
        let moved = query
            .bind(blobs(&bound, |(replica, _)| &replica.as_bytes()[..]))
            .bind(bound.iter().map(|(_, owner)| *owner).collect::<Vec<_>>())
            .bind(to_sql(head.position.value()))
            .bind(&head.chain.as_bytes()[..])
            .bind(self.recorded_at.millis())
            .bind(&self.row)
            .bind(commits)
            .bind(streams)
            .bind(&self.base.as_bytes()[..])
            .fetch_optional(connection)
            .await?;
        let Some(moved) = moved else {
            return Ok(false);
        };
        self.row = moved.try_get("row")?;
        self.base = head.chain;
        Ok(true)
    }
}

/// A column of bytes.
fn blobs<'a, T>(rows: &'a [T], of: impl Fn(&'a T) -> &'a [u8]) -> Vec<&'a [u8]> {
    rows.iter().map(of).collect()
}
