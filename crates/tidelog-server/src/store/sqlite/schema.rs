//! The file's layout, and how connections to it are opened.

use crate::store::{StoreError, layout};
use rusqlite::{Connection, OpenFlags, Transaction};
use std::path::Path;
use std::time::Duration;

/// `TIDE`: marks the file as ours (SQLite's `application_id`).
const APPLICATION: i32 = 0x5449_4445;
/// The newest layout that this build reads (SQLite's `user_version`).
const LAYOUT: i32 = 5;

/// How long another connection is waited for.
pub(super) const BUSY: Duration = Duration::from_secs(10);

/// Layout 1. A commit is stored as a recorded frame of its own, exactly as verified; the columns beside it are what
/// admission and reading look up. Identities are blobs, texts compare byte for byte.
const LAYOUT_1: &str = "
CREATE TABLE logs (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  epoch       BLOB NOT NULL,
  head        INTEGER NOT NULL,
  chain       BLOB NOT NULL,
  recorded_at INTEGER NOT NULL,
  created_at  INTEGER NOT NULL
) STRICT;
CREATE TABLE commits (
  log         INTEGER NOT NULL REFERENCES logs (id),
  first       INTEGER NOT NULL,
  last        INTEGER NOT NULL,
  id          BLOB NOT NULL,
  attempt     INTEGER NOT NULL,
  replica     BLOB NOT NULL,
  seq         INTEGER NOT NULL,
  digest      BLOB NOT NULL,
  chain       BLOB NOT NULL,
  recorded_at INTEGER NOT NULL,
  actor       TEXT,
  frame       BLOB NOT NULL,
  UNIQUE (log, first),
  UNIQUE (log, id),
  UNIQUE (log, replica, seq)
) STRICT;
CREATE TABLE streams (
  id           INTEGER PRIMARY KEY,
  log          INTEGER NOT NULL REFERENCES logs (id),
  name         TEXT NOT NULL,
  version      INTEGER NOT NULL,
  last_commit  BLOB NOT NULL,
  last_attempt INTEGER NOT NULL,
  last_index   INTEGER NOT NULL,
  UNIQUE (log, name)
) STRICT;
CREATE TABLE stream_commits (
  stream   INTEGER NOT NULL REFERENCES streams (id),
  first    INTEGER NOT NULL,
  last     INTEGER NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (stream, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE replicas (
  log     INTEGER NOT NULL REFERENCES logs (id),
  replica BLOB NOT NULL,
  subject TEXT,
  PRIMARY KEY (log, replica)
) STRICT, WITHOUT ROWID;
";

/// Layout 2: sealed runs as they are sent; without bytes, one that would have too many.
const LAYOUT_2: &str = "
CREATE TABLE segments (
  log    INTEGER NOT NULL REFERENCES logs (id),
  number INTEGER NOT NULL,
  first  INTEGER,
  last   INTEGER,
  gzip   BLOB,
  PRIMARY KEY (log, number)
) STRICT;
";

/// Layout 3: runs whose frames are in the archive, and objects that may be there without being a run's. Those that are doomed are removed,
/// and can be a run's no more.
const LAYOUT_3: &str = "
CREATE TABLE archived (
  log        INTEGER NOT NULL REFERENCES logs (id),
  number     INTEGER NOT NULL,
  first      INTEGER NOT NULL,
  last       INTEGER NOT NULL,
  name       TEXT NOT NULL UNIQUE,
  sha256     BLOB NOT NULL,
  bytes      INTEGER NOT NULL,
  is_segment INTEGER NOT NULL,
  PRIMARY KEY (log, first)
) STRICT;
CREATE TABLE strays (
  name   TEXT PRIMARY KEY,
  doomed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Layout 4: how often payloads of a log were erased, and of which revision a sealed run is; which streams are closed; and
/// what was erased, by the log's name, because it outlives the log.
const LAYOUT_4: &str = "
ALTER TABLE logs ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE segments ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN tombstoned INTEGER NOT NULL DEFAULT 0;
CREATE TABLE erasures (
  log         TEXT NOT NULL,
  commit_id   BLOB NOT NULL,
  stream      TEXT NOT NULL,
  position    INTEGER NOT NULL,
  versions    TEXT NOT NULL,
  tombstoned  INTEGER NOT NULL,
  reason      TEXT NOT NULL,
  actor       TEXT,
  recorded_at INTEGER NOT NULL,
  events      BLOB NOT NULL,
  UNIQUE (log, commit_id)
) STRICT;
";

/// Layout 5: whose the archive is, at most one row.
const LAYOUT_5: &str = "
CREATE TABLE marker (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  id     BLOB NOT NULL,
  is_put INTEGER NOT NULL
) STRICT;
";

/// Opens the connection that writes, and makes the tables that its file does not have yet, unless it shall `keep` its layout.
pub(super) fn open_writer(path: &Path, keep: bool) -> Result<Connection, StoreError> {
    // Names that SQLite takes for a database that is gone when it is closed.
    if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
        let detail = "a log is kept in a file: give its path".into();
        return Err(StoreError::NotOurs { detail });
    }
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // What is erased is overwritten. Always, because a page that is split keeps what moved away until something else is written there.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "cache_size", -32_768)?;
    connection.set_prepared_statement_cache_capacity(64);
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let pragma = |name: &str| -> Result<i32, StoreError> {
        Ok(transaction.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
    };
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (pragma("application_id")?, pragma("user_version")?) {
        (0, 0) if tables == 0 && keep => return Err(layout::none()),
        (APPLICATION, older @ 1..LAYOUT) if keep => {
            return Err(layout::older(older.into(), LAYOUT.into()));
        }
        (0, 0) if tables == 0 => {
            lay_out(&transaction, 0)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
        }
        (APPLICATION, LAYOUT) => {}
        (APPLICATION, older @ 1..LAYOUT) => lay_out(&transaction, older)?,
        (APPLICATION, found) => {
            return Err(layout::newer(found.into(), LAYOUT.into()));
        }
        _ => {
            let detail = "it is an SQLite database of another program".into();
            return Err(StoreError::NotOurs { detail });
        }
    }
    transaction.commit()?;
    Ok(connection)
}

/// Fails if a newer build has changed the layout since the file was opened: what this one would write by now is not known.
pub(super) fn demand_layout(connection: &Connection) -> Result<(), StoreError> {
    let found: i32 = connection
        .prepare_cached("PRAGMA user_version")?
        .query_row([], |row| row.get(0))?;
    match found <= LAYOUT {
        true => Ok(()),
        false => Err(StoreError::Outdated),
    }
}

/// Makes what is newer than the layout that a file has.
fn lay_out(transaction: &Transaction<'_>, from: i32) -> Result<(), StoreError> {
    for (layout, sql) in (1..).zip([LAYOUT_1, LAYOUT_2, LAYOUT_3, LAYOUT_4, LAYOUT_5]) {
        if layout > from {
            transaction.execute_batch(sql)?;
        }
    }
    Ok(transaction.pragma_update(None, "user_version", LAYOUT)?)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}
