//! SQLite: the suite, and what only a file can be: full, kept open by nobody, somebody else's.

use crate::commits::{commit, event, log, push};
use crate::suite::{Database, erase};
use tempfile::TempDir;
use tidelog_core::{Payload, Position};
use tidelog_server::store::{LogStore, Options, SqliteStore, StoreError, Versions};

/// A file in a folder of its own. Each handle has a writer of its own, as another process would.
struct File(TempDir);

impl Database for File {
    type Store = SqliteStore;

    async fn fresh() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.path().join("a.db")).expect("a store")
    }

    fn rows(&self, table: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM {table}");
        let count = self.file().query_row(&sql, [], |row| row.get(0));
        count.map(i64::cast_unsigned).expect("a number")
    }

    fn on_insert(&self, table: &str, sql: &str) {
        let sql = format!("CREATE TRIGGER on_{table} AFTER INSERT ON {table} BEGIN {sql}; END");
        self.file().execute_batch(&sql).expect("a trigger");
    }

    fn on_insert_no_more(&self, table: &str) {
        let sql = format!("DROP TRIGGER on_{table}");
        self.file().execute_batch(&sql).expect("no trigger");
    }

    fn run(&self, sql: &str) {
        self.file().execute_batch(sql).expect("done");
    }

    fn announce(&self, names: &[&str]) {
        for name in names {
            self.file()
                .execute("INSERT INTO strays VALUES (?1, 0)", [name])
                .expect("noted");
        }
    }
}

impl File {
    fn file(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.0.path().join("a.db")).expect("the file")
    }
}

store_suite!(File);
archive_suite!(File);

#[tokio::test]
async fn a_full_disk_stores_nothing_of_a_push_and_smaller_ones_go_on() {
    let directory = TempDir::new().expect("a directory");
    let mut options = Options::default();
    options.max_pages = Some(120);
    let store = SqliteStore::open_with(directory.path().join("a.db"), &options).expect("a store");
    store.create(&log("a")).await.expect("a log");
    let mut large = commit(1, 1, &["todo/1"]);
    large.events[0] = event("todo/1", &format!("\"{}\"", "x".repeat(900 * 1024)));
    let full = store.push(push("a", vec![large])).await;
    assert_eq!(full, Err(StoreError::Full));
    let state = store.state(&log("a")).await.expect("a state");
    assert_eq!(state.head.position, Position::START);
    let small = push("a", vec![commit(1, 1, &["todo/1"])]);
    let small = store.push(small).await.expect("an answer");
    assert_eq!(small.head.position, Position::new(1));
    store.verify(&log("a")).await.expect("a whole log");
}

#[test]
fn a_database_that_would_not_last_is_refused() {
    for path in ["", ":memory:"] {
        let error = SqliteStore::open(path).expect_err("refused");
        assert!(matches!(error, StoreError::NotOurs { .. }), "{error}");
    }
}

#[test]
fn files_of_others_are_not_touched() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("a.db");
    for sql in [
        "CREATE TABLE theirs (x)",
        "PRAGMA application_id = 1414087749; PRAGMA user_version = 99",
    ] {
        rusqlite::Connection::open(&path)
            .and_then(|file| file.execute_batch(sql))
            .expect("a database");
        let error = SqliteStore::open(&path).expect_err("not ours");
        assert!(matches!(error, StoreError::NotOurs { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_file_of_an_older_build_gets_what_is_new() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("a.db");
    let store = SqliteStore::open(&path).expect("a store");
    store.create(&log("a")).await.expect("a log");
    drop(store);
    rusqlite::Connection::open(&path)
        .and_then(|file| {
            file.execute_batch(
                "DROP TABLE segments; DROP TABLE archived; DROP TABLE strays; DROP TABLE marker; DROP TABLE erasures; ALTER TABLE logs DROP COLUMN revision;
                 ALTER TABLE streams DROP COLUMN tombstoned; PRAGMA user_version = 1",
            )
        })
        .expect("the layout of before");
    let store = SqliteStore::open(&path).expect("a store");
    store.state(&log("a")).await.expect("the log");
    assert_eq!(store.segment(&log("a"), 1).await, Ok(None));
}

/// The layout before erasing, with a log in it.
#[tokio::test]
async fn a_file_of_layout_2_keeps_its_log_and_takes_erasures() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("a.db");
    let store = SqliteStore::open(&path).expect("a store");
    store.create(&log("a")).await.expect("a log");
    let first = push("a", vec![commit(1, 1, &["person/1"])]);
    store.push(first).await.expect("an answer");
    drop(store);
    rusqlite::Connection::open(&path)
        .and_then(|file| {
            file.execute_batch(
                "DROP TABLE erasures; ALTER TABLE logs DROP COLUMN revision;
                 ALTER TABLE streams DROP COLUMN tombstoned; ALTER TABLE segments DROP COLUMN revision;
                 DROP TABLE archived; DROP TABLE strays; DROP TABLE marker; PRAGMA user_version = 2",
            )
        })
        .expect("the layout of before");
    let store = SqliteStore::open(&path).expect("a store");
    let erased = store.erase(erase("person/1", Versions::All, true)).await;
    assert!(erased.expect("erased").record.is_some());
    store.verify(&log("a")).await.expect("a whole log");
}

/// Neither the file nor the write-ahead log has a byte of it, whether the page it was on has been split, or a reader is in the
/// way at first.
#[tokio::test]
async fn what_is_erased_is_not_in_the_file() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("a.db");
    let store = SqliteStore::open(&path).expect("a store");
    store.create(&log("a")).await.expect("a log");
    for seq in 1..=300 {
        let mut one = commit(1, seq, &["person/1", "todo/1"]);
        let size = usize::try_from(seq * 37 % 6_000).expect("a size");
        let text = format!("\"Very Secret {}\"", "x".repeat(size));
        one.events[0].data = Payload::json(&text);
        store.push(push("a", vec![one])).await.expect("an answer");
    }
    assert!(
        holds(directory.path(), b"Very Secret"),
        "it is there before"
    );
    let reader = rusqlite::Connection::open(&path).expect("a connection");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM commits")
        .expect("a reader");
    let erased = store.erase(erase("person/1", Versions::All, false)).await;
    assert!(erased.expect("erased").record.is_some());
    drop(reader);
    // The writer tries again by itself until the write-ahead log is empty.
    while holds(directory.path(), b"Very Secret") {
        tokio::task::yield_now().await;
    }
    store.verify(&log("a")).await.expect("a whole log");
    let state = store.state(&log("a")).await.expect("a state");
    assert_eq!(state.head.position, Position::new(601));
}

/// Does a file of this folder hold these bytes?
fn holds(folder: &std::path::Path, bytes: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).expect("a folder");
    files.map(|file| file.expect("a file").path()).any(|path| {
        let content = std::fs::read(path).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}
