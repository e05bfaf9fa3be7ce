//! Reading: first where the log or the stream ends, then what lies before that end. So an answer sees one moment, without a
//! transaction: nothing at or below an end that was read ever changes, but for a payload that is erased.

use super::archive;
use super::failure::Failure;
use super::held::{self, bytes, number, to_sql};
use crate::store::archive::{Paged, Place as StreamPlace};
use crate::store::place::Place;
use crate::store::stored::{self, Filling};
use crate::store::{After, Direction, LogState, PageCap, StoreError, Stored, StreamRange};
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};
use tidelog_core::{ChainHash, LogName, Position, StreamId, Version};

/// How many commits a page holds at most: PostgreSQL adds up their bytes before it sends any.
pub(super) const PAGE_COMMITS: usize = 4_096;

pub(super) async fn state(pool: &PgPool, log: &LogName) -> Result<LogState, Failure> {
    Ok(row(pool, log).await?.1)
}

/// A log's id and state.
pub(super) async fn row(pool: &PgPool, log: &LogName) -> Result<(i64, LogState), Failure> {
    let sql = "SELECT id, epoch, head, chain FROM tidelog.logs WHERE name = $1";
    let row = sqlx::query(sql)
        .bind(log.as_str())
        .fetch_optional(pool)
        .await?
        .ok_or_else(|| unknown(log))?;
    Ok((row.try_get("id")?, held::state(&row)?))
}

fn unknown(log: &LogName) -> StoreError {
    StoreError::UnknownLog { log: log.clone() }
}

pub(super) async fn page(
    pool: &PgPool,
    log: &LogName,
    after: After,
    cap: PageCap,
) -> Result<Paged, Failure> {
    let (id, state) = row(pool, log).await?;
    let place = Place::of(state, after)?;
    let mut page = Filling::new(state, cap);
    if place.position() == state.head.position {
        return Ok(Paged::Here(page.done()));
    }
    let next = place.position().next();
    if let Some(run) = archive::run_at(pool, id, next).await? {
        if let Some(position) = place.to_look_up() {
            place.confirm(state, chain_at(pool, id, position).await?)?;
        }
        return Ok(Paged::Archived(state, next, run));
    }
    // Reading begins with the commit that holds the next position.
    let sql = "
SELECT first, chain, frame FROM (
  SELECT first, chain, frame, sum(length(frame)) OVER (ORDER BY first) - length(frame) AS before
  FROM (
    SELECT first, chain, frame FROM tidelog.commits
    WHERE log = $1 AND first <= $3 AND first >= (
      SELECT first FROM tidelog.commits WHERE log = $1 AND first <= $2 ORDER BY first DESC LIMIT 1
    )
    ORDER BY first LIMIT $5
  ) AS next
) AS summed WHERE before <= $4 ORDER BY first";
    let rows = sqlx::query(sql)
        .bind(id)
        .bind(to_sql(next.value()))
        .bind(to_sql(state.head.position.value()))
        .bind(i64::try_from(cap.bytes).unwrap_or(i64::MAX))
        .bind(to_sql(cap.events.clamp(1, PAGE_COMMITS as u64)))
        .fetch_all(pool)
        .await?;
    if rows.is_empty() {
        let (position, detail) = (next, "no commit holds it".into());
        let log = log.clone();
        return Err(StoreError::Damaged {
            log,
            position,
            detail,
        }
        .into());
    }
    for row in &rows {
        let first = Position::new(number(row, "first")?);
        if is_archived(row)? {
            // A run behind one that came back, or one that was archived after it was looked for.
            match page.len() {
                0 => return Err(Failure::again("a run was archived while it was read")),
                _ => return Ok(Paged::Before(page.done())),
            }
        }
        let (stored, chain_before) = commit(log, row, first)?;
        if first <= next && place.to_look_up().is_some() {
            // The next commit knows the chain hash at the cursor, unless the cursor is inside of it.
            let there = (first == next).then_some(chain_before);
            place.confirm(state, there)?;
        }
        if !page.push((stored, chain_before)) {
            break;
        }
    }
    Ok(Paged::Here(page.done()))
}

/// The chain hash at a position; `None` if no commit ends there.
async fn chain_at(
    pool: &PgPool,
    log: i64,
    position: Position,
) -> Result<Option<ChainHash>, Failure> {
    let sql = "SELECT last, chain FROM tidelog.commits WHERE log = $1 AND first <= $2
               ORDER BY first DESC LIMIT 1";
    let found = sqlx::query(sql)
        .bind(log)
        .bind(to_sql(position.value()))
        .fetch_optional(pool)
        .await?;
    match found {
        Some(row) if number(&row, "last")? == position.value() => {
            Ok(Some(ChainHash::from_bytes(bytes(&row, "chain")?)))
        }
        _ => Ok(None),
    }
}

fn is_archived(row: &PgRow) -> Result<bool, Failure> {
    Ok(stored::is_stub(row.try_get("frame")?))
}

/// The columns `chain` and `frame` of a commit's row, and the chain hash before it.
fn commit(log: &LogName, row: &PgRow, first: Position) -> Result<(Stored, ChainHash), Failure> {
    let chain = ChainHash::from_bytes(bytes(row, "chain")?);
    Ok(stored::decode(log, first, chain, row.try_get("frame")?)?)
}

/// The newest version of a stream, and the commits that hold the events asked for.
pub(super) async fn stream(
    pool: &PgPool,
    log: &LogName,
    stream: &StreamId,
    range: StreamRange,
) -> Result<(Version, Vec<StreamPlace>), Failure> {
    let sql = "SELECT l.id, s.id AS stream, s.version FROM tidelog.logs AS l
               LEFT JOIN tidelog.streams AS s ON s.log = l.id AND s.name = $2 WHERE l.name = $1";
    let found = sqlx::query(sql)
        .bind(log.as_str())
        .bind(stream.as_str())
        .fetch_optional(pool)
        .await?
        .ok_or_else(|| unknown(log))?;
    let Some(id) = found.try_get::<Option<i64>, _>("stream")? else {
        return Ok((Version::NONE, Vec::new()));
    };
    let version = Version::new(number(&found, "version")?);
    if range.limit == 0 {
        return Ok((version, Vec::new()));
    }
    let sql = match range.direction {
        Direction::Forward => FORWARD,
        Direction::Backward => BACKWARD,
    };
    let rows = sqlx::query(sql)
        .bind(found.try_get::<i64, _>("id")?)
        .bind(id)
        .bind(to_sql(range.begin(version).value()))
        .bind(i64::try_from(range.limit).unwrap_or(i64::MAX))
        .bind(to_sql(version.value()))
        .fetch_all(pool)
        .await?;
    let places = rows.iter().map(|row| {
        let position = Position::new(number(row, "position")?);
        if is_archived(row)? {
            return Ok(StreamPlace::Archived(position));
        }
        let (stored, _) = commit(log, row, position)?;
        Ok(StreamPlace::Here(stored.recorded))
    });
    Ok((version, places.collect::<Result<_, Failure>>()?))
}

/// The commits of a stream that hold the next events up to its newest version, as many as are needed for the limit.
const FORWARD: &str = "
SELECT position, chain, frame FROM (
  SELECT first AS version, position, sum(events) OVER (ORDER BY first) - events AS before
  FROM (
    SELECT first, position, last - greatest(first, $3) + 1 AS events FROM tidelog.stream_commits
    WHERE log = $1 AND stream = $2 AND last >= $3 AND first <= $5 AND first >= coalesce((
      SELECT first FROM tidelog.stream_commits
      WHERE log = $1 AND stream = $2 AND first <= $3 ORDER BY first DESC LIMIT 1
    ), 0)
    ORDER BY first LIMIT $4
  ) AS next
) AS found JOIN LATERAL (
  SELECT chain, frame FROM tidelog.commits WHERE log = $1 AND first = position LIMIT 1
) AS stored ON true
WHERE before < $4 ORDER BY version";

const BACKWARD: &str = "
SELECT position, chain, frame FROM (
  SELECT first AS version, position, sum(events) OVER (ORDER BY first DESC) - events AS before
  FROM (
    SELECT first, position, least(last, $3) - first + 1 AS events FROM tidelog.stream_commits
    WHERE log = $1 AND stream = $2 AND first <= least($3, $5)
    ORDER BY first DESC LIMIT $4
  ) AS next
) AS found JOIN LATERAL (
  SELECT chain, frame FROM tidelog.commits WHERE log = $1 AND first = position LIMIT 1
) AS stored ON true
WHERE before < $4 ORDER BY version DESC";
