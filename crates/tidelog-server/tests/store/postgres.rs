//! PostgreSQL: the suite, and what can only happen to a database on the other side of a connection.

use crate::cluster::{self, Fsync};
use crate::commits::{ALL, accepted, commit, exact, expecting, log, push, stream, verdicts};
use crate::proxy::{Cut, Proxy};
use crate::suite::{Database, erase, verify_all};
use std::collections::BTreeMap;
use std::time::Duration;
use tidelog_core::erasure::VersionRange;
use tidelog_core::{Position, Version};
use tidelog_server::store::{
    After, Direction, LogStore, PostgresStore, StoreError, StreamRange, Versions,
};

/// A database in the cluster of this test process. Each handle has connections of its own, as another process would.
struct Fresh(cluster::Database);

impl Database for Fresh {
    type Store = PostgresStore;

    async fn fresh() -> Self {
        Self(cluster::Database::fresh(Fsync(false)))
    }

    async fn open(&self) -> PostgresStore {
        PostgresStore::connect(&self.0.url())
            .await
            .expect("a store")
    }

    fn rows(&self, table: &str) -> u64 {
        let count = self.0.sql(&format!("SELECT count(*) FROM tidelog.{table}"));
        count.parse().expect("a number")
    }

    fn on_insert(&self, table: &str, sql: &str) {
        self.0.sql(&format!(
            "CREATE FUNCTION tidelog.on_{table}() RETURNS trigger LANGUAGE plpgsql SET search_path = tidelog
             AS $$ BEGIN {sql}; RETURN NULL; END $$;
             CREATE TRIGGER on_{table} AFTER INSERT ON tidelog.{table} FOR EACH ROW EXECUTE FUNCTION tidelog.on_{table}()"
        ));
    }

    fn on_insert_no_more(&self, table: &str) {
        let sql = format!("DROP FUNCTION tidelog.on_{table} CASCADE");
        self.0.sql(&sql);
    }

    fn run(&self, sql: &str) {
        self.0.sql(&format!("SET search_path = tidelog; {sql}"));
    }

    fn announce(&self, names: &[&str]) {
        for name in names {
            self.0.sql(&format!(
                "INSERT INTO tidelog.strays VALUES ('{name}', false)"
            ));
        }
    }
}

store_suite!(Fresh);
archive_suite!(Fresh);

/// A database with the log `a` and a handle on it.
async fn with_log() -> (Fresh, PostgresStore) {
    let database = Fresh::fresh().await;
    let store = database.open().await;
    store.create(&log("a")).await.expect("a log");
    (database, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_make_the_tables_once() {
    let database = Fresh::fresh().await;
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let url = database.0.url();
            tokio::spawn(async move { PostgresStore::connect(&url).await })
        })
        .collect();
    for start in starts {
        let store = start.await.expect("a task").expect("a store");
        store.create(&log("a")).await.expect("a log");
    }
    assert_eq!(database.0.sql("SELECT count(*) FROM tidelog.logs"), "1");
}

#[tokio::test]
async fn a_database_of_an_older_build_gets_what_is_new() {
    let (database, store) = with_log().await;
    drop(store);
    database
        .0
        .sql("DROP TABLE tidelog.segments, tidelog.archived, tidelog.strays, tidelog.marker, tidelog.erasures; ALTER TABLE tidelog.logs DROP COLUMN revision;
             ALTER TABLE tidelog.streams DROP COLUMN tombstoned; UPDATE tidelog.layout SET layout = 1");
    let store = database.open().await;
    store.state(&log("a")).await.expect("the log");
    assert_eq!(store.segment(&log("a"), 1).await, Ok(None));
}

#[tokio::test]
async fn a_database_of_layout_2_keeps_its_log_and_takes_erasures() {
    let (database, store) = with_log().await;
    let first = push("a", vec![commit(1, 1, &["person/1"])]);
    store.push(first).await.expect("an answer");
    drop(store);
    database.0.sql(
        "DROP TABLE tidelog.erasures; ALTER TABLE tidelog.logs DROP COLUMN revision;
         ALTER TABLE tidelog.streams DROP COLUMN tombstoned; ALTER TABLE tidelog.segments DROP COLUMN revision;
         DROP TABLE tidelog.archived, tidelog.strays, tidelog.marker; UPDATE tidelog.layout SET layout = 2",
    );
    let store = database.open().await;
    let erased = store.erase(erase("person/1", Versions::All, true)).await;
    assert!(erased.expect("erased").record.is_some());
    verify_all(&database).await;
}

/// The rows that were replaced are removed: nothing that can be asked for has it, and its space is used for something else.
#[tokio::test]
async fn what_is_erased_leaves_no_dead_row() {
    let (database, store) = with_log().await;
    for seq in 1..=50 {
        let one = commit(1, seq, &["person/1"]);
        store.push(push("a", vec![one])).await.expect("an answer");
    }
    let erased = store.erase(erase("person/1", Versions::All, false)).await;
    assert!(erased.expect("erased").record.is_some());
    let dead = "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables WHERE relname LIKE 'commits_%'";
    let vacuumed = "SELECT coalesce(sum(vacuum_count), 0) FROM pg_stat_user_tables WHERE relname LIKE 'commits_%'";
    while database.0.sql(vacuumed) != "1" {
        tokio::task::yield_now().await;
    }
    assert_eq!(database.0.sql(dead), "0");
}

/// The answer to the COMMIT of an erasure is lost: it is told as what it is, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_without_an_answer_is_found_by_its_id() {
    let (database, other) = with_log().await;
    other
        .push(push("a", vec![commit(1, 1, &["person/1"; 3])]))
        .await
        .expect("an answer");
    for (version, cut) in (1..).zip([Cut::BeforeCommit, Cut::AfterCommit]) {
        let proxy = Proxy::start(&database.0);
        let store = PostgresStore::connect(&proxy.url()).await.expect("a store");
        proxy.cut(cut);
        let range = VersionRange {
            first: Version::new(version),
            last: Version::new(version),
        };
        let erased = store.erase(erase("person/1", Versions::Ranges(vec![range]), false));
        let record = erased.await.expect("erased").record.expect("a record");
        assert_eq!(record.versions, [range], "{cut:?}");
        assert_eq!(proxy.cuts(), 1, "the connection was cut");
    }
    assert_eq!(
        other
            .erasures(&log("a"), None, 9)
            .await
            .expect("a list")
            .len(),
        2
    );
    verify_all(&database).await;
}

#[tokio::test]
async fn a_database_of_a_newer_build_or_another_encoding_is_refused() {
    let database = Fresh::fresh().await;
    drop(database.open().await);
    database.0.sql("UPDATE tidelog.layout SET layout = 99");
    let ascii = cluster::Database::with(Fsync(false), "ENCODING 'SQL_ASCII'");
    for (url, word) in [(database.0.url(), "layout 99"), (ascii.url(), "SQL_ASCII")] {
        match PostgresStore::connect(&url).await {
            Err(StoreError::NotOurs { detail }) => assert!(detail.contains(word), "{detail}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        database.0.sql("SELECT max(layout) FROM tidelog.layout"),
        "99"
    );
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_not_repeated() {
    for url in ["postgres://me:secret@host:port/x", "secret"] {
        let error = PostgresStore::connect(url).await.expect_err("refused");
        assert!(matches!(error, StoreError::NotOurs { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}

/// The answer to a COMMIT is lost; the commit may have arrived or not. Either way the push is stored once and answered as
/// what it is, and the next one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_an_answer_is_found_by_its_id() {
    let (database, other) = with_log().await;
    for (n, cut) in (1..).zip([Cut::BeforeCommit, Cut::AfterCommit, Cut::AfterCommit]) {
        let proxy = Proxy::start(&database.0);
        let store = PostgresStore::connect(&proxy.url()).await.expect("a store");
        proxy.cut(cut);
        let response = store.push(push("a", vec![commit(n, 1, &["todo/1"])])).await;
        let response = response.expect("an answer");
        assert_eq!(verdicts(&response), "a", "{cut:?}");
        assert_eq!(proxy.cuts(), 1, "the connection was cut");
        assert_eq!(response.head.position.value(), n * 2 - 1, "{cut:?}");
        let next = store.push(push("a", vec![commit(n, 2, &["todo/1"])])).await;
        assert_eq!(verdicts(&next.expect("an answer")), "a");
    }
    let again = other.push(push("a", vec![commit(2, 1, &["todo/1"])])).await;
    assert_eq!(verdicts(&again.expect("an answer")), "d");
    verify_all(&database).await;
}

/// The same where the log's row is not locked first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_found_by_its_id() {
    let (database, other) = with_log().await;
    let proxy = Proxy::start(&database.0);
    let store = PostgresStore::connect(&proxy.url()).await.expect("a store");
    let first = store.push(push("a", vec![commit(1, 1, &["todo/1"])])).await;
    assert_eq!(verdicts(&first.expect("an answer")), "a");
    for (seq, cut) in (2..).zip([Cut::BeforeWrite, Cut::AfterWrite, Cut::AfterWrite]) {
        proxy.cut(cut);
        let response = store
            .push(push("a", vec![commit(1, seq, &["todo/1"])]))
            .await;
        let response = response.expect("an answer");
        assert_eq!(verdicts(&response), "a", "{cut:?}");
        assert_eq!(response.head.position.value(), seq, "{cut:?}");
    }
    assert_eq!(proxy.cuts(), 3, "each connection was cut");
    let again = other.push(push("a", vec![commit(1, 4, &["todo/1"])])).await;
    assert_eq!(verdicts(&again.expect("an answer")), "d");
    verify_all(&database).await;
}

/// Between what a process looks up and what it writes, another one stores: the first decides again, and what it stores comes
/// behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_outrun_decides_again() {
    let (database, other) = with_log().await;
    let proxy = Proxy::start(&database.0);
    let store = PostgresStore::connect(&proxy.url()).await.expect("a store");
    let first = store.push(push("a", vec![commit(1, 1, &["todo/1"])])).await;
    assert_eq!(verdicts(&first.expect("an answer")), "a");
    let stale = expecting(commit(1, 2, &["todo/1"]), "todo/1", exact(1));
    let pushes = vec![stale, commit(1, 3, &["todo/2"])];
    let outrun = proxy.before_write(store.push(push("a", pushes)), async {
        let faster = other.push(push("a", vec![commit(2, 1, &["todo/1"])])).await;
        assert_eq!(verdicts(&faster.expect("an answer")), "a");
    });
    let outrun = outrun.await.expect("an answer");
    assert_eq!(verdicts(&outrun), "ca");
    assert_eq!(outrun.head.position.value(), 3);
    // And from then on under the lock for a while, which nobody notices.
    for seq in 4..40 {
        let next = store
            .push(push("a", vec![commit(1, seq, &["todo/3"])]))
            .await;
        assert_eq!(verdicts(&next.expect("an answer")), "a");
    }
    verify_all(&database).await;
}

/// Connections are cut again and again while many write through two handles: nobody is told of it, and each commit is
/// there once, where its receipt says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_and_repeat_nothing() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 30;
    let (database, store) = with_log().await;
    let handles = [store, database.open().await];
    let (acknowledged, mut counted) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (1..=WRITERS)
        .map(|n| {
            let store = handles[usize::try_from(n % 2).expect("small")].clone();
            let acknowledged = acknowledged.clone();
            tokio::spawn(async move {
                let mut places = BTreeMap::new();
                for seq in 1..=EACH {
                    let one = commit(n, seq, &[&format!("todo/{n}"), "todo/all"]);
                    let response = store.push(push("a", vec![one])).await.expect("an answer");
                    let (first, _) = accepted(&response).expect("accepted");
                    places.insert(first, commit(n, seq, &[]).id);
                    // The test may count no longer.
                    let _ = acknowledged.send(());
                }
                places
            })
        })
        .collect();
    for _ in 0..5 {
        for _ in 0..20 {
            counted.recv().await.expect("an acknowledgement");
        }
        database.0.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
    }
    let mut places = BTreeMap::new();
    for writer in writers {
        places.append(&mut writer.await.expect("a task"));
    }
    let start = After::Position(Position::START);
    let page = handles[0]
        .page(&log("a"), start, ALL)
        .await
        .expect("a page");
    let stored: BTreeMap<_, _> = page
        .commits
        .iter()
        .map(|one| (one.recorded.position, one.recorded.commit.id))
        .collect();
    assert_eq!(stored, places);
    verify_all(&database).await;
}

/// Whoever holds a log's row for too long makes others wait, and then be told that they may try again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_held_for_too_long_is_unavailable_and_then_goes_on() {
    let (database, store) = with_log().await;
    store.create(&log("b")).await.expect("a log");
    let mut holder = sqlx::PgPool::connect(&database.0.url())
        .await
        .expect("a pool")
        .begin()
        .await
        .expect("a transaction");
    sqlx::query("SELECT * FROM tidelog.logs WHERE name = 'a' FOR UPDATE")
        .execute(&mut *holder)
        .await
        .expect("a lock");
    let held = tokio::spawn({
        let store = store.clone();
        async move { store.push(push("a", vec![commit(1, 1, &["todo/1"])])).await }
    });
    // Another log, and reading this one, do not wait for it.
    let other = store.push(push("b", vec![commit(1, 1, &["todo/1"])])).await;
    assert_eq!(verdicts(&other.expect("an answer")), "a");
    assert!(store.state(&log("a")).await.is_ok());
    let held = held.await.expect("a task");
    assert!(
        matches!(held, Err(StoreError::Unavailable { .. })),
        "{held:?}"
    );
    holder.rollback().await.expect("released");
    let again = store.push(push("a", vec![commit(1, 1, &["todo/1"])])).await;
    assert_eq!(verdicts(&again.expect("an answer")), "a");
}

/// A message of another process that is lost is made up for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_wakes_without_messages_too() {
    let (database, store) = with_log().await;
    let mut watch = store.watch(&log("a"));
    // A head that nobody told of.
    database
        .0
        .sql("UPDATE tidelog.logs SET head = 7 WHERE name = 'a'");
    watch
        .wait_for(|head| head.value() == 7)
        .await
        .expect("news");
    database.0.sql(
        "UPDATE tidelog.logs SET head = 0 WHERE name = 'a';
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    );
    let other = database.open().await;
    other
        .push(push("a", vec![commit(1, 1, &["todo/1"])]))
        .await
        .expect("an answer");
    watch
        .wait_for(|head| head.value() == 1)
        .await
        .expect("news");
}

/// A server that does not fsync its commits by default is told to.
#[tokio::test]
async fn a_commit_is_on_disk_whatever_the_database_defaults_to() {
    let database = Fresh::fresh().await;
    let name = &database.0.name;
    database.0.sql(&format!(
        "ALTER DATABASE {name} SET synchronous_commit = off"
    ));
    database.0.sql(&format!(
        "ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
    ));
    let store = database.open().await;
    store.create(&log("a")).await.expect("a log");
    database.0.sql(
        "CREATE TABLE seen (synchronous_commit text, isolation text);
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO seen VALUES (current_setting('synchronous_commit'), current_setting('transaction_isolation'));
           RETURN NULL;
         END $$;
         CREATE TRIGGER see AFTER UPDATE ON tidelog.logs FOR EACH ROW EXECUTE FUNCTION see()",
    );
    store
        .push(push("a", vec![commit(1, 1, &["todo/1"])]))
        .await
        .expect("an answer");
    assert_eq!(database.0.sql("SELECT * FROM seen"), "on|read committed");
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_not_ready() {
    let (database, _) = with_log().await;
    let name = &database.0.name;
    database.0.sql(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ));
    let store = database.open().await;
    let ready = store.ready().await;
    assert!(
        matches!(ready, Err(StoreError::Unavailable { .. })),
        "{ready:?}"
    );
    let pushed = store.push(push("a", vec![commit(1, 1, &["todo/1"])])).await;
    assert!(
        matches!(pushed, Err(StoreError::Unavailable { .. })),
        "{pushed:?}"
    );
    assert!(store.state(&log("a")).await.is_ok(), "reading goes on");
}

#[tokio::test]
async fn a_full_disk_is_said_and_stores_nothing() {
    let (database, store) = with_log().await;
    database.0.sql(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full';
         END $$;
         CREATE TRIGGER fail AFTER UPDATE ON tidelog.logs FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    let one = || push("a", vec![commit(1, 1, &["todo/1"])]);
    assert_eq!(store.push(one()).await, Err(StoreError::Full));
    database.0.sql("DROP TRIGGER fail ON tidelog.logs");
    assert_eq!(verdicts(&store.push(one()).await.expect("an answer")), "a");
    verify_all(&database).await;
}

/// A push that the database cannot store fails alone; those in its group are stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_cannot_be_stored_fails_alone() {
    let (database, store) = with_log().await;
    database
        .0
        .sql("ALTER TABLE tidelog.commits ADD CHECK (seq <> 13)");
    let pushes: Vec<_> = (1..=30)
        .map(|n| {
            let store = store.clone();
            let seq = if n % 10 == 0 { 13 } else { 1 };
            tokio::spawn(async move {
                (
                    seq,
                    store
                        .push(push("a", vec![commit(n, seq, &["todo/1"])]))
                        .await,
                )
            })
        })
        .collect();
    for pushed in pushes {
        let (seq, answer) = pushed.await.expect("a task");
        match answer {
            Err(StoreError::Unavailable { .. }) => assert_eq!(seq, 13),
            answer => assert!(seq == 1 && accepted(&answer.expect("an answer")).is_some()),
        }
    }
    let state = store.state(&log("a")).await.expect("a state");
    assert_eq!(state.head.position.value(), 27);
    verify_all(&database).await;
}

#[tokio::test]
async fn verify_names_the_first_bad_position() {
    let (database, store) = with_log().await;
    for seq in 1..=5 {
        let one = push("a", vec![commit(1, seq, &["todo/1", "todo/2"])]);
        store.push(one).await.expect("an answer");
    }
    for (sql, position) in [
        (
            "UPDATE tidelog.commits SET frame = set_byte(frame, length(frame) - 9, 33) WHERE first = 5",
            5,
        ),
        (
            "UPDATE tidelog.commits SET actor = 'somebody' WHERE first = 5",
            5,
        ),
        (
            "UPDATE tidelog.commits SET chain = decode(repeat('00', 32), 'hex') WHERE first = 5",
            5,
        ),
        ("UPDATE tidelog.commits SET seq = 9999 WHERE first = 5", 5),
        ("DELETE FROM tidelog.commits WHERE first = 5", 5),
        ("DELETE FROM tidelog.stream_commits WHERE position = 5", 5),
        ("DELETE FROM tidelog.commits WHERE first = 9", 9),
        (
            "UPDATE tidelog.streams SET version = version + 1 WHERE name = 'todo/2'",
            11,
        ),
        (
            "INSERT INTO tidelog.stream_commits VALUES (1, 1, 99, 99, 99)",
            11,
        ),
        (
            "INSERT INTO tidelog.streams VALUES (1, 'todo/9', 99, 1, decode(repeat('00', 16), 'hex'), 1, 0)",
            11,
        ),
        ("UPDATE tidelog.logs SET head = head - 1", 11),
        (
            "UPDATE tidelog.logs SET chain = decode(repeat('00', 32), 'hex')",
            11,
        ),
    ] {
        let copy = cluster::Database::with(Fsync(false), "");
        drop(PostgresStore::connect(&copy.url()).await.expect("a store"));
        let tables = ["logs", "commits", "streams", "stream_commits", "replicas"];
        let script: Vec<String> = tables
            .iter()
            .map(|table| {
                let rows = database.0.sql(&format!(
                    "SELECT string_agg(quote_literal(r::text), ',') FROM tidelog.{table} AS r"
                ));
                let insert = "OVERRIDING SYSTEM VALUE SELECT (x::tidelog";
                format!(
                    "INSERT INTO tidelog.{table} {insert}.{table}).* FROM unnest(ARRAY[{rows}]::text[]) AS x"
                )
            })
            .collect();
        copy.sql(&script.join(";\n"));
        let store = PostgresStore::connect(&copy.url()).await.expect("a store");
        store.verify(&log("a")).await.expect("a whole copy");
        copy.sql(sql);
        match store.verify(&log("a")).await {
            Err(StoreError::Damaged {
                position: found, ..
            }) => {
                assert_eq!(found, Position::new(position), "{sql}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

/// More than one group, and more than one page: what waits together is cut into transactions of a bounded size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_pushes_than_a_group_holds_are_all_stored() {
    let (database, store) = with_log().await;
    let pushes: Vec<_> = (1..=600)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(
                async move { store.push(push("a", vec![commit(n, 1, &["todo/1"])])).await },
            )
        })
        .collect();
    for pushed in pushes {
        assert_eq!(
            verdicts(&pushed.await.expect("a task").expect("an answer")),
            "a"
        );
    }
    let head = store.state(&log("a")).await.expect("a state").head;
    assert_eq!(head.position.value(), 600);
    verify_all(&database).await;
    // The caller gives up: the push goes on, and the log is served as before.
    let given_up = store.push(push("a", vec![commit(601, 1, &["todo/1"])]));
    // Its first poll puts it into the queue.
    drop(tokio::time::timeout(Duration::ZERO, given_up).await);
    let next = store
        .push(push("a", vec![commit(602, 1, &["todo/1"])]))
        .await;
    assert_eq!(next.expect("an answer").head.position.value(), 602);
}

/// How many rows and entries of indexes have been read in the database by sessions that are over.
fn read_so_far(database: &cluster::Database) -> u64 {
    let others = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while database.sql(others) != "0" {
        std::thread::yield_now();
    }
    let read = database.sql(
        "SELECT (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)
              + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)",
    );
    read.parse().expect("a number")
}

/// A push and a read walk along indexes whatever is known of the tables, also when a statement has been planned for any
/// argument: what they cost does not grow with the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_does_not_grow_with_the_log() {
    const TIMES: u64 = 20;
    let (database, store) = with_log().await;
    for n in 0..3 {
        let commits = (1..=1_000).map(|seq| commit(1, n * 1_000 + seq, &["todo/1"]));
        let response = store.push(push("a", commits.collect())).await;
        assert_eq!(response.expect("an answer").results.len(), 1_000);
    }
    drop(store);
    for (n, known) in [(2, "SELECT 1"), (3, "ANALYZE")] {
        database.0.sql(known);
        let before = read_so_far(&database.0);
        let store = database.open().await;
        for seq in 1..=TIMES {
            let one = store
                .push(push("a", vec![commit(n, seq, &["todo/1"])]))
                .await;
            let head = one.expect("an answer").head.position.value();
            let newest = After::Position(Position::new(head - 1));
            let page = store.page(&log("a"), newest, ALL).await.expect("a page");
            assert_eq!(page.commits.len(), 1);
            for direction in [Direction::Forward, Direction::Backward] {
                let from = Some(Version::new(head / 2));
                let range = StreamRange {
                    from,
                    direction,
                    limit: 1,
                };
                let read = store.stream(&log("a"), &stream("todo/1"), range).await;
                assert_eq!(read.expect("a page").events.len(), 1);
            }
        }
        drop(store);
        let read = read_so_far(&database.0) - before;
        assert!(read < TIMES * 40, "{known}: {read} rows and entries");
    }
}
