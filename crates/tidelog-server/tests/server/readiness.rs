//! A database that goes away while the server runs.

use crate::harness::{Server, commit, uuid};
use rusqlite::Connection;
use serde_json::json;

#[test]
fn it_is_not_ready_while_its_tables_are_gone_and_is_again_when_they_are_back() {
    let server = Server::dev();
    assert_eq!(server.get("/readyz").status, 200);
    let database = Connection::open(server.db()).expect("a database");
    let rename = |sql: &str| database.execute_batch(sql).expect("renamed");
    rename("ALTER TABLE logs RENAME TO gone");
    let answer = server.get("/readyz");
    answer.is_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(server.get("/healthz").status, 200, "the process answers");
    rename("ALTER TABLE gone RENAME TO logs");
    assert_eq!(server.get("/readyz").status, 200);
    let pushed = server.push(&uuid(), &[commit(1, "todo/1", &json!("any"))]);
    assert_eq!(pushed[0]["verdict"], "accepted");
}
