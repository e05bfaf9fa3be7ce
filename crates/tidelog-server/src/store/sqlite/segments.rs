//! Sealed runs that are kept as they are sent.

use super::rows::{self, from_sql, to_sql};
use crate::store::StoreError;
use crate::store::segment::{Sealed, Segment};
use rusqlite::{Connection, OptionalExtension, params};
use tidelog_core::{LogName, Position};

pub(super) fn kept(
    connection: &Connection,
    log: &LogName,
    number: u64,
) -> Result<Option<Sealed>, StoreError> {
    let log = rows::log(connection, log)?;
    let sql = "SELECT first, last, gzip, revision FROM segments WHERE log = ?1 AND number = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params![log.id, to_sql(number)], |row| {
        let gzip: Option<Vec<u8>> = row.get(2)?;
        let revision = from_sql(row.get(3)?);
        let Some(gzip) = gzip else {
            return Ok(Sealed::TooLarge { revision });
        };
        Ok(Sealed::Segment(Segment {
            first: Position::new(from_sql(row.get(0)?)),
            last: Position::new(from_sql(row.get(1)?)),
            revision,
            gzip: gzip.into(),
        }))
    });
    Ok(found.optional()?)
}

/// Keeps a segment, unless another process was quicker, or something was erased while it was made.
pub(super) fn keep(
    connection: &Connection,
    log: &LogName,
    number: u64,
    sealed: &Sealed,
) -> Result<(), StoreError> {
    let log = rows::log(connection, log)?;
    let (first, last, gzip) = match sealed {
        Sealed::TooLarge { .. } => (None, None, None),
        Sealed::Segment(segment) => (
            Some(to_sql(segment.first.value())),
            Some(to_sql(segment.last.value())),
            Some(&*segment.gzip),
        ),
    };
    let sql = "INSERT INTO segments (log, number, first, last, gzip, revision)
               SELECT id, ?2, ?3, ?4, ?5, revision FROM logs WHERE id = ?1 AND revision = ?6
               ON CONFLICT DO NOTHING";
    let mut statement = connection.prepare_cached(sql)?;
    let revision = to_sql(sealed.revision());
    statement.execute(params![log.id, to_sql(number), first, last, gzip, revision])?;
    Ok(())
}
