//! Reading: first where the log or the stream ends, then what lies before that end. So an answer sees one moment, without a
//! transaction: nothing at or below an end that was read ever changes.

use super::failure::Failure;
use super::held::{self, bytes, number, to_sql};
use crate::store::place::Place;
use crate::store::stored::{self, Filling, Reading};
use crate::store::{
    After, Direction, LogState, Page, PageCap, StoreError, Stored, StreamPage, StreamRange,
};
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};
use tidelog_core::{ChainHash, LogName, Position, StreamId, Version};

/// How many commits a page holds at most: PostgreSQL adds up their bytes before it sends any.
const PAGE_COMMITS: u64 = 4_096;

pub(super) async fn state(pool: &PgPool, log: &LogName) -> Result<LogState, Failure> {
    Ok(row(pool, log).await?.1)
}

/// A log's id and state.
async fn row(pool: &PgPool, log: &LogName) -> Result<(i64, LogState), Failure> {
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
) -> Result<Page, Failure> {
    let (id, state) = row(pool, log).await?;
    let place = Place::of(state, after)?;
    let mut page = Filling::new(state, cap);
    if place.position() == state.head.position {
        return Ok(page.done());
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
        .bind(to_sql(place.position().next().value()))
        .bind(to_sql(state.head.position.value()))
        .bind(i64::try_from(cap.bytes).unwrap_or(i64::MAX))
        .bind(to_sql(cap.events.clamp(1, PAGE_COMMITS)))
        .fetch_all(pool)
        .await?;
    if rows.is_empty() {
        let (position, detail) = (place.position().next(), "no commit holds it".into());
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
        let (stored, chain_before) = commit(log, row, first)?;
        if first <= place.position().next() && place.to_look_up().is_some() {
            // The next commit knows the chain hash at the cursor, unless the cursor is inside of it.
            let there = (first == place.position().next()).then_some(chain_before);
            place.confirm(state, there)?;
        }
        if !page.push((stored, chain_before)) {
            break;
        }
    }
    Ok(page.done())
}

/// The columns `chain` and `frame` of a commit's row, and the chain hash before it.
fn commit(log: &LogName, row: &PgRow, first: Position) -> Result<(Stored, ChainHash), Failure> {
    let chain = ChainHash::from_bytes(bytes(row, "chain")?);
    Ok(stored::decode(log, first, chain, row.try_get("frame")?)?)
}

pub(super) async fn stream(
    pool: &PgPool,
    log: &LogName,
    stream: &StreamId,
    range: StreamRange,
) -> Result<StreamPage, Failure> {
    let sql = "SELECT l.id, s.id AS stream, s.version FROM tidelog.logs AS l
               LEFT JOIN tidelog.streams AS s ON s.log = l.id AND s.name = $2 WHERE l.name = $1";
    let found = sqlx::query(sql)
        .bind(log.as_str())
        .bind(stream.as_str())
        .fetch_optional(pool)
        .await?
        .ok_or_else(|| unknown(log))?;
    let Some(id) = found.try_get::<Option<i64>, _>("stream")? else {
        return Ok(Reading::new(stream, range, Version::NONE).done());
    };
    let version = Version::new(number(&found, "version")?);
    let mut reading = Reading::new(stream, range, version);
    if range.limit == 0 {
        return Ok(reading.done());
    }
    let sql = match range.direction {
        Direction::Forward => FORWARD,
        Direction::Backward => BACKWARD,
    };
    let rows = sqlx::query(sql)
        .bind(found.try_get::<i64, _>("id")?)
        .bind(id)
        .bind(to_sql(reading.from().value()))
        .bind(i64::try_from(range.limit).unwrap_or(i64::MAX))
        .bind(to_sql(version.value()))
        .fetch_all(pool)
        .await?;
    for row in &rows {
        let (stored, _) = commit(log, row, Position::new(number(row, "position")?))?;
        reading.push(stored.recorded);
    }
    Ok(reading.done())
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
