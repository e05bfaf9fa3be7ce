//! Databases that an older build has laid out.

#[cfg(feature = "postgres")]
use crate::cluster::{Database, Fsync};
#[cfg(feature = "postgres")]
use crate::harness::run_on;
use crate::harness::{run, text};
use std::process::Output;
use tempfile::TempDir;

/// Takes away what layouts 3 to 5 brought.
fn before(schema: &str) -> String {
    format!(
        "DROP TABLE {schema}erasures; ALTER TABLE {schema}logs DROP COLUMN revision;
         ALTER TABLE {schema}streams DROP COLUMN tombstoned; ALTER TABLE {schema}segments DROP COLUMN revision;
         DROP TABLE {schema}archived; DROP TABLE {schema}strays; DROP TABLE {schema}marker;"
    )
}

/// Commands that read refuse such a database and leave it as it is; one that writes lays it out anew, and then they read it.
fn only_what_writes_changes_it(run: impl Fn(&[&str]) -> Output, layout: impl Fn() -> String) {
    let folder = TempDir::new().expect("a directory");
    let backup = folder.path().join("backup");
    let reading = [
        vec!["verify"],
        vec!["stats"],
        vec!["export", "--log", "todos"],
        vec!["tail", "--log", "todos", "--no-follow"],
        vec!["erasures", "todos"],
        vec!["backup", "-o", backup.to_str().expect("a path")],
    ];
    for words in &reading {
        let refused = run(words);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains("it has layout 2"), "{words:?}: {said}");
        assert_eq!(layout(), "2", "{words:?}");
    }
    let written = run(&["import", "--log", "todos", "--generate", "60"]);
    assert!(written.status.success(), "{}", text(&written.stderr));
    assert_ne!(layout(), "2");
    for words in &reading {
        let read = run(words);
        assert!(read.status.success(), "{words:?}: {}", text(&read.stderr));
    }
}

#[test]
fn a_file_of_an_older_layout_is_changed_by_what_writes() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("tidelog.db");
    let made = run(&["import", "--log", "todos", "--generate", "50"], &db);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let file = || rusqlite::Connection::open(&db).expect("the file");
    let sql = format!("{} PRAGMA user_version = 2", before(""));
    file().execute_batch(&sql).expect("the layout of before");
    let layout = || {
        let found = file().query_row("PRAGMA user_version", [], |row| row.get(0));
        found
            .map(|layout: i64| layout.to_string())
            .expect("a number")
    };
    only_what_writes_changes_it(|words| run(words, &db), layout);
}

#[cfg(feature = "postgres")]
#[test]
fn a_database_of_an_older_layout_is_changed_by_what_writes() {
    let database = Database::fresh(Fsync(false));
    let run = |words: &[&str]| run_on(&database.url(), words);
    assert_eq!(run(&["stats"]).status.code(), Some(1));
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'tidelog'";
    assert_eq!(database.sql(schemas), "0", "what reads makes no tables");
    let made = run(&["import", "--log", "todos", "--generate", "50"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let sql = "UPDATE tidelog.layout SET layout = 2";
    database.sql(&format!("{} {sql}", before("tidelog.")));
    let layout = || database.sql("SELECT max(layout) FROM tidelog.layout");
    only_what_writes_changes_it(run, layout);
}
