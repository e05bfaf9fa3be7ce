//! Pulls that ask for some kinds and streams only.

use crate::harness::{Server, event, run, send, uuid};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidelog_core::frame::{self, Step};
use tidelog_core::{ChainHash, Filter};

const FRAMES: [(&str, &str); 1] = [("accept", "application/vnd.tidelog.frames")];
const PATH: &str = "/v1/logs/todos/commits";

/// Pushes commits that write these streams, an event each.
fn fill(server: &Server, commits: &[&[&str]]) {
    let commits: Vec<Value> = (1..)
        .zip(commits)
        .map(|(seq, streams)| {
            let events = streams.iter().map(|stream| event(stream, &json!(seq)));
            json!({ "id": uuid(), "seq": seq, "events": events.collect::<Vec<_>>() })
        })
        .collect();
    server.push(&uuid(), &commits);
}

fn mixed() -> Server {
    let server = Server::dev();
    let commits: [&[&str]; 7] = [
        &["list/1"],
        &["list/2"],
        &["todo/1"],
        &["list/1", "todo/2"],
        &["list/1"],
        &["note/1"],
        &["list/2", "note/2"],
    ];
    fill(&server, &commits);
    server
}

/// `[from, to, reason]` of each gap and the first positions of the commits of a page as JSON.
fn page(server: &Server, query: &str) -> (Vec<Value>, Vec<Value>) {
    let page = server.get(&format!("{PATH}?{query}")).json();
    let list = |name: &str| page[name].as_array().cloned().unwrap_or_default();
    let gaps = list("gaps");
    let gaps = gaps
        .iter()
        .map(|gap| json!([gap["from"], gap["to"], gap["reason"]]));
    let commits = list("commits");
    let commits = commits
        .iter()
        .map(|commit| commit["events"][0]["position"].clone());
    (commits.collect(), gaps.collect())
}

#[test]
fn a_commit_is_sent_whole_if_any_of_its_events_is_asked_for() {
    let server = mixed();
    let (commits, gaps) = page(&server, "kind=todo");
    assert_eq!(commits, [json!(3), json!(4)]);
    assert_eq!(gaps, [json!([1, 2, "filter"]), json!([6, 9, "filter"])]);
    let (commits, gaps) = page(&server, "kind=note&stream=list%2F1");
    assert_eq!(commits, [json!(1), json!(4), json!(6), json!(7), json!(8)]);
    assert_eq!(gaps, [json!([2, 3, "filter"])]);
    let whole = server.get(&format!("{PATH}?kind=todo&after=3")).json();
    assert_eq!(
        whole["commits"][0]["events"].as_array().map(Vec::len),
        Some(2)
    );
    let everything = server.get(PATH).json();
    assert_eq!(everything.get("gaps"), None);
}

#[test]
fn chain_and_cursors_are_those_of_the_whole_log() {
    let server = mixed();
    let everything = server.get(PATH).json();
    let chain_at = |position: u64| {
        let commits = everything["commits"].as_array().expect("commits");
        let found = commits.iter().find(|commit| {
            let events = commit["events"].as_array().expect("events");
            events.last().expect("an event")["position"] == position
        });
        found.expect("a commit that ends there")["chain"].clone()
    };
    let part = server.get(&format!("{PATH}?kind=todo")).json();
    for gap in part["gaps"].as_array().expect("gaps") {
        assert_eq!(
            gap["chain"],
            chain_at(gap["to"].as_u64().expect("a position"))
        );
    }
    let (epoch, chain) = (part["epoch"].as_str(), part["gaps"][1]["chain"].as_str());
    let (epoch, chain) = (epoch.expect("an epoch"), chain.expect("a chain"));
    let end = server.get(&format!("{PATH}?kind=todo&after={epoch}:9:{chain}"));
    assert_eq!(
        (end.status, end.json()["commits"].as_array().map(Vec::len)),
        (200, Some(0))
    );
    let zeros = "0".repeat(64);
    server
        .get(&format!("{PATH}?kind=todo&after={epoch}:9:{zeros}"))
        .is_problem(409, "cursor_mismatch");
    server
        .get(&format!("{PATH}?kind=todo&after=10"))
        .is_problem(409, "cursor_ahead");
}

#[test]
fn frames_with_gaps_lead_to_the_head_and_each_page_comes_further() {
    let server = Server::dev();
    let generated = run(
        &["import", "--log", "todos", "--generate", "25000"],
        &server.db(),
    );
    assert!(generated.status.success());
    let all = server.get(&format!("{PATH}?limit=3000")).json();
    let streams: BTreeSet<&str> = all["commits"]
        .as_array()
        .expect("commits")
        .iter()
        .filter_map(|commit| commit["events"][0]["stream"].as_str())
        .collect();
    let named: Vec<&str> = streams.into_iter().step_by(7).take(20).collect();
    let filter = Filter::new([""; 0], &named).expect("a filter");
    let query: String = named
        .iter()
        .map(|stream| format!("&stream={}", stream.replace('/', "%2F")))
        .collect();
    let everything = {
        let mut matching = 0;
        let mut after = 0;
        while after < 25_000 {
            let page = server.get_with(&format!("{PATH}?after={after}"), &FRAMES);
            for bytes in frame::split(&page.body).expect("whole frames") {
                for step in frame::decode(bytes).expect("a frame").steps() {
                    after = step.last().value();
                    let Step::Commit(recorded) = step else {
                        panic!("a gap that nobody asked for")
                    };
                    matching += usize::from(filter.matches(&recorded.commit));
                }
            }
        }
        matching
    };
    let (mut chain, mut position, mut kept, mut pages) = (ChainHash::default(), 0, 0, 0);
    loop {
        let page = server.get_with(
            &format!("{PATH}?after={position}{query}&limit=400"),
            &FRAMES,
        );
        let split = frame::split(&page.body).expect("whole frames");
        if split.is_empty() {
            assert_eq!(page.header("tidelog-chain"), chain.to_string());
            break;
        }
        pages += 1;
        let mut events = 0;
        for bytes in split {
            let frame = frame::decode(bytes).expect("a frame");
            assert_eq!(frame.chain_before, chain);
            for step in frame.steps() {
                assert_eq!(step.first().value(), position + 1, "no hole");
                position = step.last().value();
                chain = step.chain_after(chain);
                if let Step::Commit(recorded) = step {
                    assert!(filter.matches(&recorded.commit));
                    events += recorded.commit.events.len();
                    kept += 1;
                }
            }
        }
        assert!(events <= 400, "{events} events of a page");
    }
    assert_eq!((position, kept), (25_000, everything));
    assert!(pages > 1 && kept > 0, "{pages} pages, {kept} commits");
}

#[test]
fn a_filter_that_nothing_matches_still_comes_to_the_head() {
    let server = mixed();
    assert_eq!(
        page(&server, "kind=nothing"),
        (vec![], vec![json!([1, 9, "filter"])])
    );
    // News that nobody asked for ends a wait, because the reader has to come further.
    let url = server.url(&format!("{PATH}?kind=nothing&after=9&wait=20"));
    let waiting = std::thread::spawn(move || send("GET", &url, &[], None).expect("an answer"));
    fill(&server, &[&["list/9"]]);
    let answer = waiting.join().expect("it answers").json();
    assert_eq!(answer["gaps"][0]["from"], 10);
    assert_eq!(answer["commits"], json!([]));
}

#[test]
fn what_is_no_filter_is_refused() {
    let server = mixed();
    let refused = |query: &str| {
        server
            .get(&format!("{PATH}?{query}"))
            .is_problem(400, "invalid_filter");
    };
    for query in [
        "kind=",
        "kind=a/b",
        "kind=..%2F..",
        "kind=todo&kind=%00",
        "stream=todo",
        "stream=todo/",
        "stream=%E2%80%AE",
        "kind=todo%0Alist",
    ] {
        refused(query);
    }
    refused(&format!("kind={}", "k".repeat(300)));
    let many: Vec<String> = (0..65).map(|n| format!("kind=k{n}")).collect();
    refused(&many.join("&"));
    let long: Vec<String> = (0..12)
        .map(|n| format!("stream=k/{n}{}", "x".repeat(200)))
        .collect();
    refused(&long.join("&"));
    assert_eq!(
        server
            .get(&format!("{PATH}?{}", many[..64].join("&")))
            .status,
        200
    );
    for twice in ["after=1&after=2", "limit=1&limit=1", "wait=0&wait=0"] {
        server
            .get(&format!("{PATH}?kind=todo&{twice}"))
            .is_problem(400, "bad_request");
    }
    // Said twice, a name counts once; a stream's key is opaque.
    assert_eq!(page(&server, "kind=todo&kind=todo").0.len(), 2);
    assert_eq!(page(&server, "stream=todo%2F1%2B").0.len(), 0);
}

#[test]
fn it_is_advertised() {
    let server = Server::dev();
    let log = server.get("/v1/logs/todos").json();
    let features = log["features"].as_array().expect("features");
    assert!(features.contains(&json!("filter")));
    assert_eq!(log["caps"]["filterTerms"], 64);
    assert_eq!(log["caps"]["filterBytes"], 2_000);
}
