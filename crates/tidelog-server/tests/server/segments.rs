//! Sealed runs for new devices: their frames, who may have them, and for how long.

use crate::harness::{Server, agent, run};
use flate2::read::GzDecoder;
use serde_json::json;
use std::io::Read;
use tidelog_core::{ChainHash, Recorded, frame};

const FRAMES: (&str, &str) = ("accept", "application/vnd.tidelog.frames");

/// A server whose log holds this many events.
fn filled(events: &str) -> Server {
    let server = Server::dev();
    let generated = run(
        &["import", "--log", "todos", "--generate", events],
        &server.db(),
    );
    assert!(generated.status.success());
    server
}

fn path(server: &Server, number: &str) -> String {
    let epoch = server.get("/v1/logs/todos").json()["epoch"].clone();
    let epoch = epoch.as_str().expect("an epoch").to_owned();
    format!("/v1/logs/todos/segments/{epoch}/{number}")
}

#[test]
fn segments_and_what_is_pulled_after_them_are_the_log() {
    let server = filled("40000");
    let log = server.get("/v1/logs/todos").json();
    assert_eq!(log["segments"]["count"], 2);
    assert_eq!(log["segments"]["events"], 16_384);
    let (mut chain, mut position) = (ChainHash::default(), 0);
    let mut take = |bytes: &[u8]| {
        for bytes in frame::split(bytes).expect("whole frames") {
            let decoded = frame::decode(bytes).expect("a frame");
            assert_eq!(decoded.chain_before, chain);
            let frame::Body::Recorded(commits) = decoded.body else {
                panic!("a local frame")
            };
            for recorded in commits {
                assert_eq!(recorded.position.value(), position + 1);
                chain = chain.after(&recorded);
                position = Recorded::last_position(&recorded).value();
            }
        }
        position
    };
    for number in ["1", "2"] {
        let answer = server.get_with(&path(&server, number), &[FRAMES]);
        assert_eq!(answer.header("content-type"), FRAMES.1);
        assert_eq!(answer.header("content-encoding"), "");
        take(&answer.body);
        let zipped = server.get_with(
            &path(&server, number),
            &[FRAMES, ("accept-encoding", "gzip")],
        );
        assert_eq!(zipped.header("content-encoding"), "gzip");
        assert!(zipped.body.len() < answer.body.len());
        let mut unzipped = Vec::new();
        GzDecoder::new(zipped.body.as_slice())
            .read_to_end(&mut unzipped)
            .expect("gzip");
        assert_eq!(unzipped, answer.body);
    }
    let mut end = take(&[]);
    while end < 40_000 {
        let page = server.get_with(&format!("/v1/logs/todos/commits?after={end}"), &[FRAMES]);
        end = take(&page.body);
    }
    assert_eq!(
        server.get("/v1/logs/todos").header("tidelog-chain"),
        chain.to_string()
    );
}

#[test]
fn a_kept_segment_is_asked_about_and_is_another_once_something_is_erased() {
    let server = filled("17000");
    let answer = server.get_with(&path(&server, "1"), &[FRAMES]);
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    let vary = answer.header("vary").to_ascii_lowercase();
    assert!(vary.contains("authorization"), "{vary}");
    let tag = answer.header("etag").to_owned();
    let known = [FRAMES, ("if-none-match", tag.as_str())];
    let same = server.get_with(&path(&server, "1"), &known);
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("etag"), tag);
    let other = [FRAMES, ("if-none-match", "\"other\"")];
    assert_eq!(server.get_with(&path(&server, "1"), &other).status, 200);
    let first = server.get("/v1/logs/todos/commits?limit=1").json();
    let stream = &first["commits"][0]["events"][0]["stream"];
    let erase = json!({ "stream": stream, "versions": [[1, 1]], "reason": "asked" });
    assert_eq!(server.post("/v1/logs/todos/erasures", &erase).status, 201);
    let again = server.get_with(&path(&server, "1"), &known);
    assert_eq!(
        again.status, 200,
        "a copy from before is not the segment any more"
    );
    assert_ne!(again.header("etag"), tag);
}

#[test]
fn what_names_no_segment_is_said() {
    let server = filled("17000");
    for number in ["2", "18446744073709551615"] {
        let answer = server.get_with(&path(&server, number), &[FRAMES]);
        answer.is_problem(404, "unknown_segment");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    for number in ["0", "-1", "x", "1.5"] {
        let answer = server.get_with(&path(&server, number), &[FRAMES]);
        answer.is_problem(400, "bad_request");
    }
    let other = "01900000-0000-7000-8000-00000000ffff";
    server
        .get(&format!("/v1/logs/todos/segments/{other}/1"))
        .is_problem(404, "unknown_segment");
    server
        .get(&format!("/v1/logs/none/segments/{other}/1"))
        .is_problem(404, "unknown_log");
    server
        .get_with(&path(&server, "1"), &[("accept", "application/json")])
        .is_problem(406, "not_acceptable");
}

#[test]
fn segments_ask_for_the_same_token_as_everything() {
    let server = filled("17000");
    let path = path(&server, "1");
    let directory = server.stop("TERM");
    std::fs::write(
        directory.path().join("tokens"),
        "todos ann-0123456789abcdef ann\nother ben-0123456789abcdef ben\n",
    )
    .expect("a file");
    let server = Server::start(
        directory,
        &["--tokens", "tokens", "--log", "todos", "--log", "other"],
    );
    let with = |token: &str| {
        let url = server.url(&path);
        let request = agent().get(&url).header("authorization", token);
        request.call().expect("an answer").status().as_u16()
    };
    assert_eq!(with("Bearer ann-0123456789abcdef"), 200);
    assert_eq!(with("Bearer ben-0123456789abcdef"), 404);
    assert_eq!(with("Bearer nobody-0123456789abcdef"), 401);
    server.get(&path).is_problem(401, "unauthorized");
}
