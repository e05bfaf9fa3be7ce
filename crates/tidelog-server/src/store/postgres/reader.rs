//! Reading: each answer is one statement, so it sees one moment.

use super::failure::Failure;
use super::held::{self, bytes, number, to_sql};
use crate::store::place::Place;
use crate::store::stored::{self, Filling, Reading};
use crate::store::{
    After, Direction, LogState, Page, PageCap, StoreError, StreamPage, StreamRange,
};
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};
use tidelog_core::{ChainHash, LogName, Position, StreamId, Version};

/// How many commits a page holds at most: PostgreSQL adds up their bytes before it sends any.
const PAGE_COMMITS: u64 = 4_096;

pub(super) async fn state(pool: &PgPool, log: &LogName) -> Result<LogState, Failure> {
    let sql = "SELECT epoch, head, chain FROM tidelog.logs WHERE name = $1";
    let row = sqlx::query(sql)
        .bind(log.as_str())
        .fetch_optional(pool)
        .await?;
    held::state(&row.ok_or_else(|| unknown(log))?)
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
    // Reading begins with the commit that holds the next position. Before the log's beginning lies nothing.
    let sql = "
SELECT l.epoch, l.head, l.chain, place.chain AS chain_there, page.first, page.chain_after, page.frame
FROM tidelog.logs AS l
LEFT JOIN LATERAL (
  SELECT last, chain FROM tidelog.commits WHERE log = l.id AND first <= $2 ORDER BY first DESC LIMIT 1
) AS place ON place.last = $2
LEFT JOIN LATERAL (
  SELECT first, chain AS chain_after, frame, sum(length(frame)) OVER (ORDER BY first) - length(frame) AS before
  FROM (
    SELECT first, chain, frame FROM tidelog.commits
    WHERE log = l.id AND $2 < l.head AND first >= (
      SELECT first FROM tidelog.commits WHERE log = l.id AND first <= $2 + 1 ORDER BY first DESC LIMIT 1
    )
    ORDER BY first LIMIT $4
  ) AS next
) AS page ON page.before <= $3
WHERE l.name = $1
ORDER BY page.first";
    let asked = match after {
        After::Position(position) => position,
        After::Cursor(cursor) => cursor.position,
    };
    // So far that adding 1 to it is still a number; nothing is there.
    let asked = to_sql(asked.value()).min(i64::MAX - 1);
    let rows = sqlx::query(sql)
        .bind(log.as_str())
        .bind(asked)
        .bind(i64::try_from(cap.bytes).unwrap_or(i64::MAX))
        .bind(to_sql(cap.events.clamp(1, PAGE_COMMITS)))
        .fetch_all(pool)
        .await?;
    let first = rows.first().ok_or_else(|| unknown(log))?;
    let state = held::state(first)?;
    let place = Place::of(state, after)?;
    if place.to_look_up().is_some() {
        let there: Option<&[u8]> = first.try_get("chain_there")?;
        let there = there.and_then(|bytes| bytes.try_into().ok());
        place.confirm(state, there.map(ChainHash::from_bytes))?;
    }
    let mut page = Filling::new(state, cap);
    for row in &rows {
        if let Some(first) = row.try_get::<Option<i64>, _>("first")?
            && !page.push(commit(log, row, held::from_sql(first))?)
        {
            break;
        }
    }
    Ok(page.done())
}

fn commit(
    log: &LogName,
    row: &PgRow,
    first: u64,
) -> Result<(crate::store::Stored, ChainHash), Failure> {
    let chain = ChainHash::from_bytes(bytes(row, "chain_after")?);
    let frame = row.try_get("frame")?;
    Ok(stored::decode(log, Position::new(first), chain, frame)?)
}

pub(super) async fn stream(
    pool: &PgPool,
    log: &LogName,
    stream: &StreamId,
    range: StreamRange,
) -> Result<StreamPage, Failure> {
    let sql = match range.direction {
        Direction::Forward => FORWARD,
        Direction::Backward => BACKWARD,
    };
    let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
    let from = range.from.map(|version| to_sql(version.value()));
    let rows = sqlx::query(sql)
        .bind(log.as_str())
        .bind(stream.as_str())
        .bind(from)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    let newest: Option<i64> = rows
        .first()
        .ok_or_else(|| unknown(log))?
        .try_get("version")?;
    let version = newest.map_or(Version::NONE, |newest| Version::new(held::from_sql(newest)));
    let mut reading = Reading::new(stream, range, version);
    for row in &rows {
        if row.try_get::<Option<&[u8]>, _>("frame")?.is_some() {
            let (stored, _) = commit(log, row, number(row, "position")?)?;
            reading.push(stored.recorded);
        }
    }
    Ok(reading.done())
}

/// The commits of a stream that hold the next events, as many as are needed for the limit.
const FORWARD: &str = "
SELECT s.version, found.position, c.chain AS chain_after, c.frame
FROM tidelog.logs AS l
LEFT JOIN tidelog.streams AS s ON s.log = l.id AND s.name = $2
LEFT JOIN LATERAL (
  SELECT first, position, sum(events) OVER (ORDER BY first) - events AS before
  FROM (
    SELECT first, position, last - greatest(first, coalesce($3, 1)) + 1 AS events FROM tidelog.stream_commits
    WHERE log = l.id AND stream = s.id AND last >= coalesce($3, 1) AND first >= coalesce((
      SELECT first FROM tidelog.stream_commits
      WHERE log = l.id AND stream = s.id AND first <= coalesce($3, 1) ORDER BY first DESC LIMIT 1
    ), 0)
    ORDER BY first LIMIT $4
  ) AS next
) AS found ON found.before < $4
LEFT JOIN tidelog.commits AS c ON c.log = l.id AND c.first = found.position
WHERE l.name = $1
ORDER BY found.first";

const BACKWARD: &str = "
SELECT s.version, found.position, c.chain AS chain_after, c.frame
FROM tidelog.logs AS l
LEFT JOIN tidelog.streams AS s ON s.log = l.id AND s.name = $2
LEFT JOIN LATERAL (
  SELECT first, position, sum(events) OVER (ORDER BY first DESC) - events AS before
  FROM (
    SELECT first, position, least(last, coalesce($3, s.version)) - first + 1 AS events
    FROM tidelog.stream_commits
    WHERE log = l.id AND stream = s.id AND first <= coalesce($3, s.version)
    ORDER BY first DESC LIMIT $4
  ) AS next
) AS found ON found.before < $4
LEFT JOIN tidelog.commits AS c ON c.log = l.id AND c.first = found.position
WHERE l.name = $1
ORDER BY found.first DESC";
