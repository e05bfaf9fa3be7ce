//! Who may write, when builds of different layouts share a database.
//!
//! While a newer build takes the place of an older one, both run. A process that was started before the layout changed knows nothing
//! of what it has to decide and write by now, so the database itself refuses it: each session says its build's layout, and a
//! trigger on the logs' rows, which every write changes, compares. That is inside the transaction, so there is no moment in
//! between; and it refuses builds too that were made before there was such a check. They read on, answer pushes with 503, and say that
//! they are not ready.

use super::failure::Failure;
use super::schema::LAYOUT;
use sqlx::postgres::PgConnection;

/// The oldest layout whose builds may write to a database of this layout. A layout that only adds what older builds need
/// not know of may leave this at the one before.
const OLDEST_WRITER: i64 = LAYOUT;
/// What the trigger's error says as its SQLSTATE.
pub(super) const OUTDATED: &str = "TL001";

/// Builds that do not say their layout know 2 at most. Whoever is no Tidelog may do as it likes. A sealed run is kept without
/// changing the log's row, and an older build does not know when one is out of date.
const GUARD: &str = "
CREATE OR REPLACE FUNCTION tidelog.refuse_older() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') = 'tidelog'
    AND coalesce(nullif(current_setting('tidelog.layout', true), ''), '2')::bigint < tidelog.oldest_writer() THEN
    RAISE EXCEPTION 'a newer tidelog has changed the layout of this database' USING ERRCODE = 'TL001';
  END IF;
  RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS refuse_older ON tidelog.logs;
CREATE TRIGGER refuse_older BEFORE INSERT OR UPDATE OR DELETE ON tidelog.logs
  FOR EACH STATEMENT EXECUTE FUNCTION tidelog.refuse_older();
DROP TRIGGER IF EXISTS refuse_older ON tidelog.segments;
CREATE TRIGGER refuse_older BEFORE INSERT ON tidelog.segments
  FOR EACH STATEMENT EXECUTE FUNCTION tidelog.refuse_older();
";

/// Is the guard there?
pub(super) async fn is_set(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = "SELECT to_regprocedure('tidelog.oldest_writer()') IS NOT NULL";
    sqlx::query_scalar(sql).fetch_one(connection).await
}

/// Refuses older builds from the end of this transaction on, which is the one that changes the layout. It waits for what
/// they are writing now.
pub(super) async fn set(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let oldest = format!(
        "CREATE OR REPLACE FUNCTION tidelog.oldest_writer() RETURNS bigint LANGUAGE sql STABLE
         AS 'SELECT {OLDEST_WRITER}::bigint'"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(oldest))
        .execute(&mut *connection)
        .await?;
    sqlx::raw_sql(GUARD).execute(connection).await?;
    Ok(())
}

/// Says on a connection which layout this build knows.
pub(super) async fn introduce(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('tidelog.layout', $1, false)")
        .bind(LAYOUT.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Fails if this build may not write any more.
pub(super) async fn demand(connection: &mut PgConnection) -> Result<(), Failure> {
    let oldest: i64 = sqlx::query_scalar("SELECT tidelog.oldest_writer()")
        .fetch_one(connection)
        .await?;
    match LAYOUT >= oldest {
        true => Ok(()),
        false => Err(crate::store::StoreError::Outdated.into()),
    }
}
