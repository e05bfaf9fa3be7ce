//! Reading a log: frames and JSON, cursors, waiting.

use crate::harness::{Server, commit, run, send, uuid};
use serde_json::json;
use tidelog_core::{ChainHash, Recorded, frame};

const FRAMES: [(&str, &str); 1] = [("accept", "application/vnd.tidelog.frames")];

fn fill(server: &Server, commits: u64) {
    let replica = uuid();
    let all: Vec<_> = (1..=commits)
        .map(|seq| commit(seq, "todo/1", &json!("any")))
        .collect();
    server.push(&replica, &all);
}

#[test]
fn frames_are_contiguous_and_their_chain_leads_to_the_head() {
    let server = Server::dev();
    let generated = run(
        &["import", "--log", "todos", "--generate", "25000"],
        &server.db(),
    );
    assert!(generated.status.success());
    let (mut chain, mut position, mut frames) = (ChainHash::default(), 0, 0);
    loop {
        let page = server.get_with(&format!("/v1/logs/todos/commits?after={position}"), &FRAMES);
        assert_eq!(
            page.header("content-type"),
            "application/vnd.tidelog.frames"
        );
        assert!(page.body.len() < 1_200_000, "{} bytes", page.body.len());
        let split = frame::split(&page.body).expect("whole frames");
        if split.is_empty() {
            assert_eq!(page.header("tidelog-chain"), chain.to_string());
            assert_eq!(page.header("tidelog-head"), position.to_string());
            break;
        }
        for bytes in split {
            assert!(bytes.len() < 80 * 1024, "{} bytes", bytes.len());
            let frame = frame::decode(bytes).expect("a frame");
            assert_eq!(frame.epoch.to_string(), page.header("tidelog-epoch"));
            assert_eq!(frame.chain_before, chain);
            let frame::Body::Recorded(commits) = frame.body else {
                panic!("a local frame")
            };
            for recorded in commits {
                assert_eq!(recorded.position.value(), position + 1);
                chain = chain.after(&recorded);
                position = Recorded::last_position(&recorded).value();
            }
            frames += 1;
        }
    }
    assert_eq!(position, 25_000);
    assert!(frames > 5, "{frames} frames");
}

#[test]
fn a_limit_gives_whole_commits_and_at_least_one() {
    let server = Server::dev();
    let events: Vec<_> = (0..5)
        .map(|n| crate::harness::event("todo/1", &json!(n)))
        .collect();
    let replica = uuid();
    for seq in 1..=3 {
        server.push(
            &replica,
            &[json!({ "id": uuid(), "seq": seq, "events": events })],
        );
    }
    let commits = |query: &str| {
        let page = server
            .get(&format!("/v1/logs/todos/commits?{query}"))
            .json();
        let positions = page["commits"].as_array().expect("commits").iter();
        positions
            .map(|commit| {
                commit["events"][0]["position"]
                    .as_u64()
                    .expect("a position")
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(commits("limit=1"), [1]);
    assert_eq!(commits("limit=11"), [1, 6]);
    assert_eq!(commits("after=5"), [6, 11]);
    assert_eq!(
        commits("after=7"),
        [6, 11],
        "a position inside a commit begins with that commit"
    );
    assert_eq!(commits("after=15"), [0; 0]);
}

#[test]
fn cursors_are_checked_against_the_history() {
    let server = Server::dev();
    fill(&server, 3);
    let all = server.get("/v1/logs/todos/commits").json();
    let epoch = all["epoch"].as_str().expect("an epoch");
    let chain = all["commits"][1]["chain"].as_str().expect("a chain");
    let get = |after: &str| server.get(&format!("/v1/logs/todos/commits?after={after}"));
    assert_eq!(
        get(&format!("{epoch}:2:{chain}")).json()["commits"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let zeros = "0".repeat(64);
    for foreign in [
        format!("{}:2:{chain}", uuid()),
        format!("{epoch}:1:{chain}"),
        format!("{epoch}:3:{chain}"),
        format!("{epoch}:0:{chain}"),
    ] {
        let problem = get(&foreign).is_problem(409, "cursor_mismatch");
        assert_eq!(problem["epoch"], epoch);
        assert_eq!(problem["head"], all["head"]);
    }
    for ahead in ["4", "9223372036854775808", "18446744073709551615"] {
        get(ahead).is_problem(409, "cursor_ahead");
        get(&format!("{epoch}:{ahead}:{chain}")).is_problem(409, "cursor_ahead");
    }
    for invalid in [
        "-1",
        "x",
        "",
        "1.5",
        "18446744073709551616",
        &format!("{epoch}:-1:{zeros}"),
        "1:2:3",
    ] {
        get(invalid).is_problem(400, "invalid_cursor");
    }
    let none = format!("00000000-0000-0000-0000-000000000000:0:{zeros}");
    assert_eq!(
        get(&none).json()["commits"].as_array().map(Vec::len),
        Some(3)
    );
}

#[test]
fn a_wait_ends_with_the_next_commit() {
    let server = Server::dev();
    let page = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.get("/v1/logs/todos/commits?wait=30"));
        fill(&server, 1);
        waiting.join().expect("an answer").json()
    });
    assert_eq!(page["commits"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["head"]["position"], 1);
}

#[test]
fn a_wait_sees_what_another_process_writes() {
    let server = Server::dev();
    let page = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.get("/v1/logs/todos/commits?wait=30"));
        let imported = run(
            &["import", "--log", "todos", "--generate", "10"],
            &server.db(),
        );
        assert!(imported.status.success());
        waiting.join().expect("an answer").json()
    });
    assert_eq!(page["head"]["position"], 10);
}

#[test]
fn nobody_may_keep_an_answer_and_other_origins_see_the_headers() {
    let server = Server::dev();
    let page = server.get_with(
        "/v1/logs/todos/commits",
        &[("origin", "https://app.example")],
    );
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("access-control-allow-origin"), "*");
    let exposed = page.header("access-control-expose-headers");
    for name in ["tidelog-epoch", "tidelog-head", "tidelog-chain", "etag"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    let asked = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-type,tidelog-replica",
        ),
    ];
    let preflight = send(
        "OPTIONS",
        &server.url("/v1/logs/todos/commits"),
        &asked,
        None,
    );
    let preflight = preflight.expect("an answer");
    assert_eq!(preflight.status, 200);
    assert!(
        preflight
            .header("access-control-allow-headers")
            .contains("tidelog-replica")
    );
    server
        .get_with("/v1/logs/todos/commits", &[("accept", "text/html")])
        .is_problem(406, "not_acceptable");
}
