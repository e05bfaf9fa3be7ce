//! The program on PostgreSQL: several of it on one database.

use crate::cluster::{Database, Fsync};
use crate::crash::{Writer, stored};
use crate::harness::{Server, commit, run_on, text, uuid};
use crate::live::{live_with, notice};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Scope, ScopedJoinHandle};

const LOG: &str = "/v1/logs/todos/commits";

/// The ids of the commits of a page, and the position that it ends at.
fn page(server: &Server, after: u64, wait: u64) -> (Vec<String>, u64) {
    let answer = server.get(&format!("{LOG}?after={after}&wait={wait}"));
    assert_eq!(answer.status, 200, "{}", text(&answer.body));
    let page = answer.json();
    let mut end = after;
    let commits = page["commits"].as_array().expect("commits").iter();
    let ids = commits.map(|commit| {
        for event in commit["events"].as_array().expect("events") {
            end += 1;
            assert_eq!(event["position"], end, "no hole, and nothing twice");
        }
        commit["id"].as_str().expect("an id").to_owned()
    });
    (ids.collect(), end)
}

fn verified(store: &str) -> String {
    let output = run_on(store, &["verify", "--log", "todos"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn what_one_process_stores_another_hears_of_and_decides_on() {
    let database = Database::fresh(Fsync(true));
    let (one, other) = (Server::on(&database.url()), Server::on(&database.url()));
    let mut end = 0;
    for n in 1..=4_u64 {
        let (here, there) = if n % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || page(there, end, 30));
            // The process that waits may not wait yet: then it reads what is there.
            let expected = if n == 1 {
                json!("noStream")
            } else {
                json!({ "exact": n - 1 })
            };
            let sent = commit(1, "todo/1", &expected);
            let results = here.push(&uuid(), std::slice::from_ref(&sent));
            assert_eq!(results[0]["verdict"], "accepted", "{}", results[0]);
            let (ids, ends) = waiting.join().expect("a page");
            assert_eq!(ids, [sent["id"].as_str().expect("an id")]);
            end = ends;
        });
        let stale = commit(1, "todo/1", &json!("noStream"));
        assert_eq!(there.push(&uuid(), &[stale])[0]["verdict"], "conflict");
    }
    assert!(verified(&database.url()).contains("4 events in 4 commits over 1 streams"));
}

/// Reads on from one process until a commit is there that ends it; gives all ids in order.
fn follow<'scope>(
    scope: &'scope Scope<'scope, '_>,
    server: &'scope Server,
    last: &'scope str,
) -> ScopedJoinHandle<'scope, Vec<String>> {
    scope.spawn(move || {
        let (mut read, mut end) = (Vec::new(), 0);
        while read.last().is_none_or(|id| id != last) {
            let (ids, ends) = page(server, end, 30);
            read.extend(ids);
            end = ends;
        }
        read
    })
}

fn wait_for(acknowledged: &Receiver<()>, count: usize) {
    assert_eq!(acknowledged.iter().take(count).count(), count);
}

#[test]
fn a_process_killed_in_mid_write_loses_nothing_and_the_other_goes_on() {
    const WRITERS: usize = 4;
    const ACKNOWLEDGED: usize = 40;
    let database = Database::fresh(Fsync(true));
    let survivor = Server::on(&database.url());
    let mut writers: Vec<Writer> = (0..WRITERS * 2).map(|_| Writer::patient()).collect();
    let last = commit(1, "todo/last", &json!("any"));
    let id = last["id"].as_str().expect("an id");
    let read = std::thread::scope(|scope| {
        let reader = follow(scope, &survivor, id);
        for _ in 0..3 {
            let victim = Server::on(&database.url());
            let base = victim.base.clone();
            std::thread::scope(|scope| {
                let (here, there) = writers.split_at_mut(WRITERS);
                let (on_survivor, by_survivor) = channel();
                let (on_victim, by_victim) = channel();
                let mut threads = Vec::new();
                for writer in there {
                    let (base, told) = (&base, on_victim.clone());
                    threads.push(scope.spawn(move || writer.push_on(base, &told)));
                }
                for writer in here {
                    let (base, told) = (&survivor.base, on_survivor.clone());
                    scope.spawn(move || writer.push_until_unheard(base, &told));
                }
                drop((on_survivor, on_victim));
                wait_for(&by_victim, ACKNOWLEDGED);
                drop(victim.stop("KILL"));
                wait_for(&by_survivor, ACKNOWLEDGED);
                for thread in threads {
                    thread.join().expect("a writer");
                }
            });
            verified(&database.url());
        }
        // What was on its way to the killed process is sent to the other one.
        for writer in &mut writers {
            let (told, heard) = channel();
            drop(heard);
            writer.push_until_unheard(&survivor.base, &told);
        }
        assert_eq!(
            survivor.push(&uuid(), std::slice::from_ref(&last))[0]["verdict"],
            "accepted"
        );
        reader.join().expect("a reader")
    });
    let stored = stored(&survivor);
    assert_eq!(read.len(), stored.len(), "the reader saw each commit once");
    assert_eq!(
        read.iter().collect::<BTreeSet<_>>(),
        stored.keys().collect()
    );
    let receipts: BTreeMap<String, Value> = writers
        .into_iter()
        .flat_map(|writer| writer.receipts)
        .collect();
    assert!(receipts.len() >= 3 * 2 * ACKNOWLEDGED);
    for (id, positions) in &receipts {
        assert_eq!(stored.get(id), Some(positions), "commit {id}");
    }
    assert_eq!(
        stored.len(),
        receipts.len() + 1,
        "and nothing that nobody sent"
    );
    verified(&database.url());
}

#[test]
fn import_export_and_verify_agree_with_sqlite() {
    let database = Database::fresh(Fsync(true));
    let directory = tempfile::TempDir::new().expect("a directory");
    let file = directory.path().join("a.db");
    let stores = [database.url(), format!("sqlite:{}", file.display())];
    let output = |store: &str, arguments: &[&str]| {
        let output = run_on(store, arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let lines = stores.map(|store| {
        let import = ["import", "--log", "loans", "--generate", "2050"];
        assert!(output(&store, &import).contains("2050 new, 0 already there"));
        assert!(output(&store, &import).contains("0 new, 2050 already there"));
        assert!(output(&store, &["verify", "--log", "loans"]).contains("2050 events"));
        output(&store, &["export", "--log", "loans"])
    });
    assert_eq!(lines[0].lines().count(), 2_050);
    assert_eq!(lines[0], lines[1]);
    let unknown = run_on(&database.url(), &["verify", "--log", "none"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("there is no log none"));
}

#[test]
fn a_database_that_cannot_be_reached_is_said_without_its_password() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let store = format!(
        "postgres://me:hunter2@localhost/db?host={}",
        directory.path().display()
    );
    for arguments in [["verify", "--log", "a"], ["export", "--log", "a"]] {
        let output = run_on(&store, &arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(!output.stderr.is_empty());
        assert!(!text(&output.stderr).contains("hunter2"));
    }
}

/// News of one process carry what was pushed to another.
#[test]
fn who_listens_to_one_process_hears_what_another_stores() {
    let database = Database::fresh(Fsync(false));
    let (one, other) = (Server::on(&database.url()), Server::on(&database.url()));
    let mut told = live_with(&one, 0, "json");
    let replica = uuid();
    for seq in 1..=20 {
        other.push(&replica, &[commit(seq, "todo/1", &json!("any"))]);
        let commits = notice(&mut told)["commits"].take();
        assert_eq!(commits[0]["events"][0]["position"], seq);
        assert_eq!(commits.as_array().map(Vec::len), Some(1));
    }
}

#[test]
fn it_is_not_ready_while_its_tables_are_gone_and_is_again_when_they_are_back() {
    let database = Database::fresh(Fsync(true));
    let server = Server::on(&database.url());
    assert_eq!(server.get("/readyz").status, 200);
    database.sql("ALTER SCHEMA tidelog RENAME TO gone");
    server.get("/readyz").is_problem(503, "unavailable");
    assert_eq!(server.get("/healthz").status, 200, "the process answers");
    database.sql("ALTER SCHEMA gone RENAME TO tidelog");
    assert_eq!(server.get("/readyz").status, 200);
    let pushed = server.push(&uuid(), &[commit(1, "todo/1", &json!("any"))]);
    assert_eq!(pushed[0]["verdict"], "accepted");
}
