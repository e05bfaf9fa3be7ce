//! A list of erasures that is long, of which somebody may see little.

use crate::harness::{Server, event, uuid};
use serde_json::{Value, json};
use tempfile::TempDir;

const COMMITS: &str = "/v1/logs/todos/commits";
const ERASURES: &str = "/v1/logs/todos/erasures";
const ANN: &str = "ann-0123456789abcdef";
const BEN: &str = "ben-0123456789abcdef";

/// So many erasures are made up, beside the two that are real: the first and the last of the list.
const MADE_UP: usize = 9_000;

/// A server whose log has all of them, nearly all of a kind that Ben may not read, and written down at one moment.
fn filled() -> Server {
    let directory = TempDir::new().expect("a directory");
    let tokens = format!("todos {ANN} ann append erase\ntodos {BEN} ben read:open\n");
    std::fs::write(directory.path().join("tokens"), tokens).expect("a file");
    let server = Server::start(directory, &["--tokens", "tokens", "--log", "todos"]);
    let ask = |path: &str, body: &Value| {
        let bearer = format!("Bearer {ANN}");
        let headers = [("authorization", bearer.as_str())];
        server.post_with(path, &headers, body.to_string().as_bytes())
    };
    let names = ["open/first", "open/last"];
    let events = names.map(|name| event(name, &json!(1)));
    let commits = [json!({ "id": uuid(), "seq": 1, "events": events })];
    let pushed = ask(COMMITS, &json!({ "replica": uuid(), "commits": commits }));
    assert_eq!(pushed.status, 200);
    for name in names {
        let erase = json!({ "stream": name, "versions": "all", "reason": "asked" });
        assert_eq!(ask(ERASURES, &erase).status, 201);
    }
    let file = rusqlite::Connection::open(server.db()).expect("the file");
    let sql = format!(
        "UPDATE erasures SET recorded_at = 1 WHERE stream = 'open/first';
         WITH RECURSIVE made (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM made WHERE number < {MADE_UP})
         INSERT INTO erasures SELECT log, randomblob(16), 'hidden/' || number, 7, versions, tombstoned, reason, actor, 2, events
         FROM made, erasures WHERE stream = 'open/first'"
    );
    file.execute_batch(&sql).expect("more of them");
    server
}

/// The list page by page: the streams in it, and how many each page has.
fn listed(server: &Server, token: &str, limit: usize) -> (Vec<String>, Vec<usize>) {
    let bearer = format!("Bearer {token}");
    let (mut streams, mut sizes) = (Vec::new(), Vec::new());
    let mut after = String::new();
    loop {
        let path = format!("{ERASURES}?limit={limit}{after}");
        let page = server.get_with(&path, &[("authorization", &bearer)]).json();
        let erasures = page["erasures"].as_array().expect("a list");
        sizes.push(erasures.len());
        let named = erasures.iter().map(|one| one["stream"].as_str());
        streams.extend(named.map(|name| name.expect("a stream").to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return (streams, sizes),
        }
    }
}

/// Who may see little of it gets there in a few calls, each of which looks at some of it.
#[test]
fn one_call_looks_at_some_of_a_long_list() {
    let server = filled();
    let (streams, sizes) = listed(&server, BEN, 5);
    assert_eq!(streams, ["open/first", "open/last"]);
    assert!(
        (3..10).contains(&sizes.len()) && sizes.contains(&0),
        "{sizes:?}"
    );
    // One that is shown in full lists each once, however many are of one moment.
    for limit in [257, 1_000] {
        let (streams, sizes) = listed(&server, ANN, limit);
        assert_eq!(streams.len(), MADE_UP + 2);
        assert_eq!(streams.first().map(String::as_str), Some("open/first"));
        assert_eq!(streams.last().map(String::as_str), Some("open/last"));
        let distinct: std::collections::BTreeSet<&String> = streams.iter().collect();
        assert_eq!(distinct.len(), streams.len());
        let full = sizes.iter().rev().skip(1);
        assert!(full.clone().all(|size| *size == limit), "{sizes:?}");
    }
}
