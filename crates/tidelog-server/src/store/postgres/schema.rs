//! The database's layout: made once, by whichever process comes first.

use super::failure::Failure;
use super::guard;
use crate::store::{StoreError, layout as layouts};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{ConnectOptions, Connection, Row};
use tidelog_core::{ChainHash, Epoch, LogName, Timestamp};

/// The newest layout that this build reads.
pub(super) const LAYOUT: i64 = 5;
/// `TIDE`, `LAYO`: whoever makes or changes the layout holds this advisory lock.
const LAYOUT_LOCK: i64 = 0x5449_4445_4c41_594f;

/// Layout 1. As in SQLite, a commit is stored as a recorded frame of its own, and the columns beside it are what is looked
/// up. The large tables are partitioned by log. A stream's id is the position of its first event, so no sequence is
/// asked for it. Texts compare byte for byte. Rows that are updated leave room on their page, so that no index changes.
const LAYOUT_1: &str = r#"
CREATE SCHEMA IF NOT EXISTS tidelog;
CREATE TABLE tidelog.layout (layout bigint NOT NULL);
CREATE TABLE tidelog.logs (
  id          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  name        text COLLATE "C" NOT NULL UNIQUE,
  epoch       bytea NOT NULL,
  head        bigint NOT NULL,
  chain       bytea NOT NULL,
  recorded_at bigint NOT NULL,
  created_at  bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE tidelog.commits (
  log         bigint NOT NULL,
  first       bigint NOT NULL,
  last        bigint NOT NULL,
  id          bytea NOT NULL,
  attempt     bigint NOT NULL,
  replica     bytea NOT NULL,
  seq         bigint NOT NULL,
  digest      bytea NOT NULL,
  chain       bytea NOT NULL,
  recorded_at bigint NOT NULL,
  actor       text COLLATE "C",
  frame       bytea NOT NULL,
  PRIMARY KEY (log, first),
  UNIQUE (log, id),
  UNIQUE (log, replica, seq)
) PARTITION BY HASH (log);
CREATE TABLE tidelog.streams (
  log          bigint NOT NULL,
  name         text COLLATE "C" NOT NULL,
  id           bigint NOT NULL,
  version      bigint NOT NULL,
  last_commit  bytea NOT NULL,
  last_attempt bigint NOT NULL,
  last_index   bigint NOT NULL,
  PRIMARY KEY (log, name)
) PARTITION BY HASH (log);
CREATE TABLE tidelog.stream_commits (
  log      bigint NOT NULL,
  stream   bigint NOT NULL,
  first    bigint NOT NULL,
  last     bigint NOT NULL,
  position bigint NOT NULL,
  PRIMARY KEY (log, stream, first)
) PARTITION BY HASH (log);
CREATE TABLE tidelog.replicas (
  log     bigint NOT NULL,
  replica bytea NOT NULL,
  subject text COLLATE "C",
  PRIMARY KEY (log, replica)
) PARTITION BY HASH (log);
DO $$
BEGIN
  FOR n IN 0..7 LOOP
    EXECUTE format('CREATE TABLE tidelog.commits_%s PARTITION OF tidelog.commits
      FOR VALUES WITH (MODULUS 8, REMAINDER %s)', n, n);
    EXECUTE format('CREATE TABLE tidelog.streams_%s PARTITION OF tidelog.streams
      FOR VALUES WITH (MODULUS 8, REMAINDER %s) WITH (fillfactor = 70)', n, n);
    EXECUTE format('CREATE TABLE tidelog.stream_commits_%s PARTITION OF tidelog.stream_commits
      FOR VALUES WITH (MODULUS 8, REMAINDER %s)', n, n);
    EXECUTE format('CREATE TABLE tidelog.replicas_%s PARTITION OF tidelog.replicas
      FOR VALUES WITH (MODULUS 8, REMAINDER %s)', n, n);
  END LOOP;
END
$$;
"#;

/// Layout 2: sealed runs as they are sent; without bytes, one that would have too many. They are compressed already.
const LAYOUT_2: &str = "
CREATE TABLE tidelog.segments (
  log    bigint NOT NULL,
  number bigint NOT NULL,
  first  bigint,
  last   bigint,
  gzip   bytea,
  PRIMARY KEY (log, number)
);
ALTER TABLE tidelog.segments ALTER COLUMN gzip SET STORAGE EXTERNAL;
";

/// Layout 3: runs whose frames are in the archive, and objects that may be there without being a run's. Those that are doomed are removed,
/// and can be a run's no more.
const LAYOUT_3: &str = r#"
CREATE TABLE tidelog.archived (
  log        bigint NOT NULL,
  number     bigint NOT NULL,
  first      bigint NOT NULL,
  last       bigint NOT NULL,
  name       text COLLATE "C" NOT NULL UNIQUE,
  sha256     bytea NOT NULL,
  bytes      bigint NOT NULL,
  is_segment boolean NOT NULL,
  PRIMARY KEY (log, first)
);
CREATE TABLE tidelog.strays (
  name   text COLLATE "C" PRIMARY KEY,
  doomed boolean NOT NULL
);
"#;

/// Layout 4: how often payloads of a log were erased, and of which revision a sealed run is; which streams are closed; and
/// what was erased, by the log's name, because it outlives the log.
const LAYOUT_4: &str = r#"
ALTER TABLE tidelog.logs ADD COLUMN revision bigint NOT NULL DEFAULT 0;
ALTER TABLE tidelog.segments ADD COLUMN revision bigint NOT NULL DEFAULT 0;
ALTER TABLE tidelog.streams ADD COLUMN tombstoned boolean NOT NULL DEFAULT false;
CREATE TABLE tidelog.erasures (
  log         text COLLATE "C" NOT NULL,
  commit_id   bytea NOT NULL,
  stream      text COLLATE "C" NOT NULL,
  position    bigint NOT NULL,
  versions    text NOT NULL,
  tombstoned  boolean NOT NULL,
  reason      text NOT NULL,
  actor       text COLLATE "C",
  recorded_at bigint NOT NULL,
  events      bytea NOT NULL,
  PRIMARY KEY (log, commit_id)
);
"#;

/// Layout 5: whose the archive is, at most one row.
const LAYOUT_5: &str = "
CREATE TABLE tidelog.marker (
  one    integer PRIMARY KEY CHECK (one = 1),
  id     bytea NOT NULL,
  is_put boolean NOT NULL
);
";

/// Makes the tables that a database does not have yet, unless it shall `keep` its layout; refuses one of a newer build.
pub(super) async fn prepare(options: &PgConnectOptions, keep: bool) -> Result<(), StoreError> {
    let failed = |error: sqlx::Error| Failure::from(error).error;
    let mut connection = options.connect().await.map_err(failed)?;
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
        .fetch_one(&mut connection)
        .await
        .map_err(failed)?;
    if encoding != "UTF8" {
        let detail = format!("the database is in {encoding}; make one with ENCODING 'UTF8'");
        return Err(StoreError::NotOurs { detail });
    }
    match (layout(&mut connection).await.map_err(failed)?, keep) {
        (None, true) => return Err(layouts::none()),
        (Some(older @ ..LAYOUT), true) => return Err(layouts::older(older, LAYOUT)),
        (Some(LAYOUT), true) => {}
        (Some(LAYOUT), false) if guard::is_set(&mut connection).await.map_err(failed)? => {}
        _ => make(&mut connection).await?,
    }
    // A connection that is not closed properly leaves a line in the server's log.
    connection.close().await.map_err(failed)
}

async fn make(connection: &mut PgConnection) -> Result<(), StoreError> {
    let failed = |error: sqlx::Error| Failure::from(error).error;
    let mut transaction = connection.begin().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LAYOUT_LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    let missing = match layout(&mut transaction).await.map_err(failed)? {
        None => &[LAYOUT_1, LAYOUT_2, LAYOUT_3, LAYOUT_4, LAYOUT_5][..],
        Some(1) => &[LAYOUT_2, LAYOUT_3, LAYOUT_4, LAYOUT_5],
        Some(2) => &[LAYOUT_3, LAYOUT_4, LAYOUT_5],
        Some(3) => &[LAYOUT_4, LAYOUT_5],
        Some(4) => &[LAYOUT_5],
        // Somebody else was quicker.
        Some(LAYOUT) => &[],
        Some(found) => {
            return Err(layouts::newer(found, LAYOUT));
        }
    };
    for tables in missing {
        sqlx::raw_sql(*tables)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    if !missing.is_empty() {
        sqlx::query("INSERT INTO tidelog.layout VALUES ($1)")
            .bind(LAYOUT)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    guard::set(&mut transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// The layout that the database has; `None` if it has none of ours.
async fn layout(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    // Not `to_regclass`: that may answer from what the connection found before it waited for the lock.
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                 WHERE n.nspname = 'tidelog' AND c.relname = 'layout')";
    let there: bool = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    if !there {
        return Ok(None);
    }
    let row = sqlx::query("SELECT max(layout) FROM tidelog.layout")
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}

/// Makes a log if there is none of this name.
pub(super) async fn create(
    pool: &PgPool,
    log: &LogName,
    epoch: Epoch,
    now: Timestamp,
) -> Result<(), Failure> {
    let sql = "INSERT INTO tidelog.logs (name, epoch, head, chain, recorded_at, created_at)
               VALUES ($1, $2, 0, $3, 0, $4) ON CONFLICT (name) DO NOTHING";
    sqlx::query(sql)
        .bind(log.as_str())
        .bind(&epoch.as_bytes()[..])
        .bind(&ChainHash::default().as_bytes()[..])
        .bind(now.millis())
        .execute(pool)
        .await?;
    Ok(())
}

/// Fails if the database cannot be reached, or takes no writes: a standby, one that was set to read only, or one that a newer build
/// has laid out.
pub(super) async fn ready(pool: &PgPool) -> Result<(), Failure> {
    let sql = "SELECT current_setting('transaction_read_only') = 'on' FROM tidelog.layout";
    let mut connection = pool.acquire().await?;
    // A row for each layout that there was.
    let read_only: bool = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    match read_only {
        false => guard::demand(&mut connection).await,
        true => Err(Failure::from(StoreError::Unavailable {
            detail: "the database takes no writes".into(),
        })),
    }
}
