//! Sealed runs that are kept as they are sent.

use super::failure::Failure;
use super::held::{number as position, to_sql};
use crate::store::StoreError;
use crate::store::segment::{Sealed, Segment};
use sqlx::Row;
use sqlx::postgres::PgPool;
use tidelog_core::{LogName, Position};

pub(super) async fn kept(
    pool: &PgPool,
    log: &LogName,
    number: u64,
) -> Result<Option<Sealed>, Failure> {
    let sql = "SELECT s.number, s.first, s.last, s.gzip, s.revision FROM tidelog.logs AS l
               LEFT JOIN tidelog.segments AS s ON s.log = l.id AND s.number = $2 WHERE l.name = $1";
    let row = sqlx::query(sql)
        .bind(log.as_str())
        .bind(to_sql(number))
        .fetch_optional(pool)
        .await?
        .ok_or_else(|| StoreError::UnknownLog { log: log.clone() })?;
    if row.try_get::<Option<i64>, _>("number")?.is_none() {
        return Ok(None);
    }
    let revision = position(&row, "revision")?;
    let Some(gzip) = row.try_get::<Option<Vec<u8>>, _>("gzip")? else {
        return Ok(Some(Sealed::TooLarge { revision }));
    };
    Ok(Some(Sealed::Segment(Segment {
        first: Position::new(position(&row, "first")?),
        last: Position::new(position(&row, "last")?),
        revision,
        gzip: gzip.into(),
    })))
}

/// Keeps a segment, unless another process was quicker, or something was erased while it was made. An erasure that has begun is
/// waited for, and one that begins now waits: so none of the old bytes is kept behind its back.
pub(super) async fn keep(
    pool: &PgPool,
    log: &LogName,
    number: u64,
    sealed: &Sealed,
) -> Result<(), Failure> {
    let (first, last, gzip) = match sealed {
        Sealed::TooLarge { .. } => (None, None, None),
        Sealed::Segment(segment) => (
            Some(to_sql(segment.first.value())),
            Some(to_sql(segment.last.value())),
            Some(&*segment.gzip),
        ),
    };
    let sql = "INSERT INTO tidelog.segments (log, number, first, last, gzip, revision)
               SELECT id, $2, $3, $4, $5, revision FROM tidelog.logs WHERE name = $1 AND revision = $6
               FOR SHARE ON CONFLICT DO NOTHING";
    sqlx::query(sql)
        .bind(log.as_str())
        .bind(to_sql(number))
        .bind(first)
        .bind(last)
        .bind(gzip)
        .bind(to_sql(sealed.revision()))
        .execute(pool)
        .await?;
    Ok(())
}
