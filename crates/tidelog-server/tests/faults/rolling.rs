//! One build takes the place of another while everybody goes on.

use crate::cluster::{Database, Fsync};
use crate::fleet::{self, Fleet};
use crate::harness::{Server, run_on, text};
use tempfile::TempDir;

const WRITERS: u64 = 12;
const ROUNDS: usize = 2;

/// Ends a server as an operator does, with clients that still ask it, after a newer one was started on the same database.
fn replaced(fleet: &Fleet, store: &str, (number, mut old): (u64, Server)) -> (u64, Server) {
    fleet.wait_for_pushes(100);
    old.signal("TERM");
    let new = Server::on(store);
    let added = fleet.add(&new);
    assert!(old.wait().success(), "nothing was cut off");
    fleet.remove(number);
    fleet.wait_for_pushes(100);
    (added, new)
}

fn rolls(store: &str) {
    fleet::run(store, WRITERS, |fleet| {
        let first = Server::on(store);
        let mut running = (fleet.add(&first), first);
        for _ in 0..ROUNDS {
            running = replaced(fleet, store, running);
        }
        vec![running.1]
    });
}

#[test]
fn a_file_is_handed_from_one_server_to_the_next() {
    let directory = TempDir::new().expect("a directory");
    rolls(&directory.path().join("tidelog.db").display().to_string());
}

#[test]
fn servers_on_postgres_take_each_other_s_place() {
    rolls(&Database::fresh(Fsync(false)).url());
}

/// A server that was started before a newer build changed the layout writes nothing from then on, says so, and reads on.
fn steps_back(store: &str, change: impl FnOnce(), change_back: impl FnOnce()) {
    let ended = fleet::run(store, WRITERS, |fleet| {
        let server = Server::on(store);
        fleet.add(&server);
        fleet.wait_for_pushes(100);
        change();
        // What was being written then has been by now: all of them have been told.
        fleet.wait_for_refusals(503, 2 * WRITERS);
        let head = server.head();
        fleet.wait_for_refusals(503, 2 * WRITERS);
        assert_eq!(server.head(), head, "nothing is written");
        assert_eq!(server.get(fleet::LOG).status, 200, "reads go on");
        server.get("/readyz").is_problem(503, "unavailable");
        let started = run_on(store, &["verify", "--log", "todos"]);
        assert_eq!(started.status.code(), Some(1));
        assert!(text(&started.stderr).contains("use a newer tidelog"));
        change_back();
        fleet.wait_for_pushes(100);
        assert_eq!(server.get("/readyz").status, 200);
        vec![server]
    });
    assert!(ended.unavailable >= 4 * WRITERS);
}

#[test]
fn an_older_server_stops_writing_to_a_file_that_a_newer_one_has_laid_out() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("tidelog.db");
    let lay_out = |layout: i64| {
        let other = rusqlite::Connection::open(&file).expect("the file");
        other
            .busy_timeout(std::time::Duration::from_secs(60))
            .expect("set");
        let found: i64 = other
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .expect("a layout");
        other
            .pragma_update(None, "user_version", layout)
            .expect("changed");
        found
    };
    let was = std::cell::Cell::new(0);
    steps_back(
        &file.display().to_string(),
        || was.set(lay_out(99)),
        || {
            lay_out(was.get());
        },
    );
}

#[test]
fn an_older_server_stops_writing_to_a_database_that_a_newer_one_has_laid_out() {
    let database = Database::fresh(Fsync(false));
    let lay_out = |layout: &str, more: &str| {
        database.sql(&format!(
            "BEGIN;
             CREATE OR REPLACE FUNCTION tidelog.oldest_writer() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT {layout}::bigint';
             {more};
             COMMIT"
        ));
    };
    let was = std::cell::Cell::new(String::new());
    steps_back(
        &database.url(),
        || {
            was.set(database.sql("SELECT tidelog.oldest_writer()"));
            lay_out("99", "INSERT INTO tidelog.layout VALUES (99)");
        },
        || lay_out(&was.take(), "DELETE FROM tidelog.layout WHERE layout = 99"),
    );
}

/// Builds of before there was the guard say nothing of their layout; others are none of ours.
#[test]
fn the_database_itself_refuses_builds_that_know_too_little() {
    let database = Database::fresh(Fsync(false));
    let server = Server::on(&database.url());
    let writes = |session: &str| {
        database.sql(&format!(
            "CREATE OR REPLACE FUNCTION tidelog.oldest_writer() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 3::bigint';
             {session};
             CREATE TEMP TABLE said (text text);
             DO $$ BEGIN
               UPDATE tidelog.logs SET head = head;
               INSERT INTO said VALUES ('written');
             EXCEPTION WHEN SQLSTATE 'TL001' THEN INSERT INTO said VALUES ('refused');
             END $$;
             SELECT text FROM said"
        ))
    };
    let named = "SET application_name = 'tidelog'";
    assert_eq!(writes(named), "refused");
    assert_eq!(
        writes(&format!("{named}; SET tidelog.layout = '2'")),
        "refused"
    );
    assert_eq!(
        writes(&format!("{named}; SET tidelog.layout = '3'")),
        "written"
    );
    assert_eq!(writes("SET application_name = 'psql'"), "written");
    drop(server);
}
