//! The security cases, each by the number that the project gives it, and where it is tested: on SQLite by `--test server`, on
//! PostgreSQL by `--test server_on_postgres`, which compiles the same files.
//!
//! | # | input | tests |
//! |---|---|---|
//! | 1 | tokens that choose how they are checked, are of others, expired, too early, or name keys to fetch | `jwt::a_token_cannot_choose_how_it_is_checked`, `jwt::a_token_that_is_not_right_in_every_way_is_refused`, `jwt::nothing_is_fetched_because_of_a_token`, `jwks::no_other_address_is_asked` |
//! | 2 | another tenant's log or stream | `access::a_foreign_log_and_a_missing_one_look_the_same`, `rights::a_stream_that_may_not_be_read_is_answered_as_a_log_that_is_not_there` |
//! | 3 | a push that mixes own and foreign streams | `jwt::a_push_with_one_foreign_stream_is_refused_whole`, `rights::a_push_cannot_ask_how_far_a_stream_is_that_may_not_be_read` |
//! | 4 | what is the server's to set, set by the client | `a_client_cannot_set_what_is_the_servers` |
//! | 5 | one commit, 100 times at once | `one_commit_a_hundred_times_at_once_is_stored_once` |
//! | 6 | one id with other content, or of another tenant | `an_id_cannot_be_taken_from_others` |
//! | 7 | 64 writers expect one version | `of_64_writers_who_expect_one_version_one_is_accepted` |
//! | 8 | a small body that unpacks to a large one | `a_body_that_unpacks_to_gigabytes_is_refused_and_takes_no_memory` |
//! | 9 | JSON that is deep, has keys twice, large numbers, no numbers | `json_that_no_parser_likes_is_refused_or_kept_exactly`, `caps::bodies_of_other_kinds_are_not_taken` |
//! | 10 | one more than each cap | `caps` |
//! | 11 | sockets that send slowly, and live streams that idle | `slow_sockets_end_and_others_are_served_meanwhile`, `live_connections_of_one_subject_are_capped` |
//! | 12 | ten times the rate | `access::who_asks_too_often_is_told_when_to_come_again_and_nobody_else_is` |
//! | 13 | cursors that are none | `a_cursor_that_is_none_is_refused_at_once` |
//! | 14 | cross-site requests | `a_page_of_another_origin_gets_nothing` |
//! | 15 | a token that ends while something is open | `jwt::what_a_token_opened_is_closed_when_it_expires`, `rights::a_token_that_is_taken_out_of_the_file_is_refused_and_what_it_opened_is_closed` |
//! | 16 | names with NUL, other directions, other normal forms, dots, quotes | `names_are_opaque_or_refused_and_never_merged` |
//! | 17 | a server that lies | the replica's: `tidelog-core/tests/replica`, and the simulator |

use crate::harness::{Answer, Server, agent, commit, event, send, uuid};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use tempfile::TempDir;

const PATH: &str = "/v1/logs/todos/commits";
const ANN: &str = "ann-0123456789abcdef";
const BEN: &str = "ben-0123456789abcdef";

fn tokens(more: &[&str]) -> Server {
    let directory = TempDir::new().expect("a directory");
    let lines = format!("todos {ANN} ann\ntodos {BEN} ben\n");
    std::fs::write(directory.path().join("tokens"), lines).expect("a file");
    let arguments = ["--tokens", "tokens", "--log", "todos"];
    Server::start(directory, &[&arguments[..], more].concat())
}

fn push_as(server: &Server, token: &str, replica: &str, commits: &[Value]) -> Answer {
    let bearer = format!("Bearer {token}");
    let body = json!({ "replica": replica, "commits": commits }).to_string();
    server.post_with(PATH, &[("authorization", &bearer)], body.as_bytes())
}

#[test]
fn a_client_cannot_set_what_is_the_servers() {
    let server = Server::dev();
    for field in ["position", "version", "recordedAt", "actor", "log", "chain"] {
        let mut outside =
            json!({ "replica": uuid(), "commits": [commit(1, "todo/1", &json!("any"))] });
        let mut inside = outside.clone();
        let mut within = outside.clone();
        outside[field] = json!("1");
        inside["commits"][0][field] = json!("1");
        within["commits"][0]["events"][0][field] = json!("1");
        for body in [outside, inside, within] {
            server.post(PATH, &body).is_problem(400, "bad_request");
        }
        let mut one = json!({ "type": "t", "data": 1 });
        one[field] = json!("1");
        let path = "/v1/logs/todos/streams/todo/1";
        server.post(path, &one).is_problem(400, "bad_request");
    }
    assert_eq!(server.head(), 0);
}

#[test]
fn one_commit_a_hundred_times_at_once_is_stored_once() {
    let server = Server::dev();
    let body = json!({ "replica": uuid(), "commits": [commit(1, "todo/1", &json!("noStream"))] });
    let receipts: Vec<Value> = std::thread::scope(|scope| {
        let (server, body) = (&server, &body);
        let threads: Vec<_> = (0..100)
            .map(|_| scope.spawn(move || server.post(PATH, body)))
            .collect();
        let answers = threads
            .into_iter()
            .map(|thread| thread.join().expect("an answer"));
        answers
            .map(|answer| answer.json()["results"][0].clone())
            .collect()
    });
    let accepted = receipts
        .iter()
        .filter(|one| one["verdict"] == "accepted")
        .count();
    let same =
        |one: &Value| ["positions", "versions", "acceptedAttempt"].map(|field| one[field].clone());
    assert_eq!(accepted, 1);
    assert!(receipts.iter().all(|one| same(one) == same(&receipts[0])));
    assert_eq!(server.head(), 1);
}

#[test]
fn an_id_cannot_be_taken_from_others() {
    let server = tokens(&[]);
    let (ann, ben) = (uuid(), uuid());
    let first = commit(1, "todo/1", &json!("any"));
    let mut other = first.clone();
    other["events"][0]["data"] = json!("other");
    let code = |answer: Answer| {
        assert_eq!(answer.status, 200);
        let result = answer.json()["results"][0].clone();
        result.get("code").unwrap_or(&result["verdict"]).clone()
    };
    assert_eq!(
        code(push_as(&server, ANN, &ann, std::slice::from_ref(&first))),
        "accepted"
    );
    assert_eq!(
        code(push_as(&server, ANN, &ann, std::slice::from_ref(&other))),
        "attempt_mismatch"
    );
    for commit in [&first, &other] {
        assert_eq!(
            code(push_as(&server, BEN, &ben, std::slice::from_ref(commit))),
            "id_taken"
        );
    }
    push_as(&server, BEN, &ann, &[commit(2, "todo/1", &json!("any"))])
        .is_problem(403, "replica_bound");
    assert_eq!(code(push_as(&server, ANN, &ann, &[first])), "duplicate");
}

#[test]
fn of_64_writers_who_expect_one_version_one_is_accepted() {
    let server = Server::dev();
    let verdicts: Vec<Value> = std::thread::scope(|scope| {
        let server = &server;
        let threads: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(move || {
                    server.push(&uuid(), &[commit(1, "todo/1", &json!("noStream"))])[0]["verdict"].clone()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a verdict"))
            .collect()
    });
    let count = |verdict: &str| verdicts.iter().filter(|one| *one == verdict).count();
    assert_eq!((count("accepted"), count("conflict")), (1, 63));
    assert_eq!(server.head(), 1);
}

/// The most memory that a process has had, in KiB.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

#[test]
fn a_body_that_unpacks_to_gigabytes_is_refused_and_takes_no_memory() {
    let server = Server::dev();
    let packed = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("packed");
        encoder.finish().expect("packed")
    };
    let gzip = [("content-encoding", "gzip")];
    let good = json!({ "replica": uuid(), "commits": [commit(1, "todo/1", &json!("any"))] });
    let good = packed(good.to_string().as_bytes());
    assert_eq!(server.post_with(PATH, &gzip, &good).status, 200);
    let before = peak(&server);
    // 8 MiB of it are 8 GiB of blanks: the same small stream many times, which is one stream for gzip.
    let blanks = packed(&vec![b' '; 8 * 1024 * 1024]);
    let bomb = blanks.repeat(8 * 1024 * 1024 / blanks.len());
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let small = server.post_with(PATH, &gzip, &blanks.repeat(2));
                small.is_problem(413, "payload_too_large");
            });
        }
    });
    let answer = server.post_with(PATH, &gzip, &bomb);
    assert_eq!(
        answer.is_problem(413, "payload_too_large")["max"],
        8 * 1024 * 1024
    );
    let grown = peak(&server).saturating_sub(before);
    // Eight bodies of 8 MiB may be unpacked at once, and what arrived is there, too.
    assert!(grown < 400 * 1024, "{grown} KiB more");
    for encoding in ["br", "zstd", "deflate", "gzip, gzip"] {
        let answer = server.post_with(PATH, &[("content-encoding", encoding)], &good);
        answer.is_problem(415, "unsupported_media_type");
        assert_eq!(answer.header("accept-encoding"), "gzip");
    }
    server
        .post_with(PATH, &gzip, b"no gzip")
        .is_problem(400, "bad_request");
    assert_eq!(server.head(), 1);
}

#[test]
fn json_that_no_parser_likes_is_refused_or_kept_exactly() {
    let server = Server::dev();
    let body = |data: &str| {
        format!(
            r#"{{"replica":"{}","commits":[{{"id":"{}","seq":1,"events":[{{"stream":"todo/1","type":"t","data":{data},"occurredAt":"2026-01-01T00:00:00Z"}}]}}]}}"#,
            uuid(),
            uuid()
        )
    };
    let kept = [
        "9007199254740993",
        "-0",
        "1e400",
        "123456789012345678901234567890",
        r#"{"a":1,"a":2}"#,
        r#""\u0000\ud83d\ude00""#,
    ];
    for data in kept {
        let answer = server.post_with(PATH, &[], body(data).as_bytes());
        assert_eq!(answer.json()["results"][0]["verdict"], "accepted", "{data}");
    }
    let page = server.get(PATH);
    let page = String::from_utf8(page.body).expect("text");
    for data in kept {
        assert!(
            page.contains(&format!("\"data\":{data}")),
            "{data} is not in {page}"
        );
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for data in ["NaN", "Infinity", "01", "'a'", deep.as_str()] {
        let answer = server.post_with(PATH, &[], body(data).as_bytes());
        match answer.status {
            200 => assert_eq!(answer.json()["results"][0]["code"], "invalid_payload"),
            _ => drop(answer.is_problem(400, "bad_request")),
        }
    }
    let twice = r#"{"replica":"01900000-0000-7000-8000-000000000001","replica":"01900000-0000-7000-8000-000000000002","commits":[]}"#;
    server
        .post_with(PATH, &[], twice.as_bytes())
        .is_problem(400, "bad_request");
    assert_eq!(server.head(), kept.len() as u64);
}

#[test]
fn slow_sockets_end_and_others_are_served_meanwhile() {
    let server = Server::start(
        TempDir::new().expect("a directory"),
        &["--dev", "--log", "todos", "--max-connections", "64"],
    );
    let address = server.base.trim_start_matches("http://");
    // As many as there may be but one, each with a head that does not end.
    let mut slow: Vec<TcpStream> = (0..63)
        .map(|_| {
            let mut socket = TcpStream::connect(address).expect("a connection");
            socket
                .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ")
                .expect("sent");
            socket
        })
        .collect();
    let asked = send(
        "GET",
        &server.url("/v1/logs/todos"),
        &[("connection", "close")],
        None,
    );
    assert_eq!(asked.expect("an answer").status, 200);
    // One more takes the last place, and the next ones wait until the slow ones are ended: by the server alone.
    slow.push(TcpStream::connect(address).expect("a connection"));
    let waiting = send(
        "GET",
        &server.url("/healthz"),
        &[("connection", "close")],
        None,
    );
    assert_eq!(waiting.expect("an answer").status, 200);
    for mut socket in slow {
        let mut rest = Vec::new();
        // Closed or reset: ended either way.
        let _ = socket.read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    }
}

#[test]
fn live_connections_of_one_subject_are_capped() {
    let server = tokens(&["--live-limit", "3"]);
    let open = |token: &str| {
        let request = ureq::http::Request::post(server.url("/v1/live"))
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(json!({ "logs": [{ "log": "todos" }] }).to_string());
        agent().run(request.expect("a request")).expect("an answer")
    };
    let held: Vec<_> = (0..3).map(|_| open(ANN)).collect();
    assert!(held.iter().all(|one| one.status() == 200));
    let bearer = format!("Bearer {ANN}");
    let headers = [("authorization", bearer.as_str())];
    let refused = server.get_with("/v1/logs/todos/live", &headers);
    let problem = refused.is_problem(429, "rate_limited");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("3 live connections"))
    );
    assert_eq!(refused.header("retry-after"), "10");
    assert_eq!(open(ANN).status(), 429);
    assert_eq!(open(BEN).status(), 200, "others are not concerned");
    assert_eq!(server.get_with(PATH, &headers).status, 200, "nor are pulls");
    drop(held);
    // That they are gone shows when there is something to send.
    loop {
        let pushed = push_as(&server, ANN, &uuid(), &[commit(1, "todo/1", &json!("any"))]);
        assert_eq!(pushed.status, 200);
        if open(ANN).status() == 200 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_cursor_that_is_none_is_refused_at_once() {
    let server = Server::dev();
    server.push(&uuid(), &[commit(1, "todo/1", &json!("any"))]);
    let epoch = server.get("/v1/logs/todos").json()["epoch"]
        .as_str()
        .expect("text")
        .to_owned();
    let zeros = "0".repeat(64);
    for (after, status, code) in [
        ("-1".to_owned(), 400, "invalid_cursor"),
        ("1e3".to_owned(), 400, "invalid_cursor"),
        ("18446744073709551616".to_owned(), 400, "invalid_cursor"),
        (format!("{epoch}:-1:{zeros}"), 400, "invalid_cursor"),
        (format!("{epoch}:1:zz"), 400, "invalid_cursor"),
        ("9223372036854775808".to_owned(), 409, "cursor_ahead"),
        ("18446744073709551615".to_owned(), 409, "cursor_ahead"),
        ("2".to_owned(), 409, "cursor_ahead"),
        (
            format!("{epoch}:9223372036854775808:{zeros}"),
            409,
            "cursor_ahead",
        ),
        (format!("{epoch}:1:{zeros}"), 409, "cursor_mismatch"),
        (format!("{}:1:{zeros}", uuid()), 409, "cursor_mismatch"),
    ] {
        for path in [PATH, "/v1/logs/todos/live"] {
            server
                .get(&format!("{path}?after={after}"))
                .is_problem(status, code);
        }
    }
}

#[test]
fn a_page_of_another_origin_gets_nothing() {
    let server = tokens(&["--allow-origin", "https://app.example"]);
    let bearer = format!("Bearer {ANN}");
    let body =
        json!({ "replica": uuid(), "commits": [commit(1, "todo/1", &json!("any"))] }).to_string();
    let from = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,content-type",
            ),
        ];
        let answer = send("OPTIONS", &server.url(PATH), &headers, None).expect("an answer");
        answer.header("access-control-allow-origin").to_owned()
    };
    assert_eq!(from("https://app.example"), "https://app.example");
    for evil in [
        "https://evil.example",
        "https://app.example.evil.example",
        "null",
    ] {
        assert_eq!(from(evil), "", "{evil}");
        let headers = [("origin", evil), ("authorization", bearer.as_str())];
        let read = server.get_with("/v1/logs/todos", &headers);
        assert_eq!(read.header("access-control-allow-origin"), "");
    }
    // What a form can send without being asked about: a cookie, and a text.
    for headers in [
        &[
            ("cookie", "session=ann"),
            ("origin", "https://evil.example"),
        ][..],
        &[("cookie", "session=ann"), ("content-type", "text/plain")],
    ] {
        server
            .post_with(PATH, headers, body.as_bytes())
            .is_problem(401, "unauthorized");
    }
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "text/plain"),
    ];
    server
        .post_with(PATH, &headers, body.as_bytes())
        .is_problem(415, "unsupported_media_type");
    let head = server.get_with("/v1/logs/todos", &[("authorization", bearer.as_str())]);
    assert_eq!(head.json()["head"]["position"], 0);
}

#[test]
fn names_are_opaque_or_refused_and_never_merged() {
    let server = Server::dev();
    let taken = [
        "todo/caf\u{e9}",
        "todo/cafe\u{301}",
        "todo/\u{1f600}",
        "todo/..",
        "todo/a'b\"c",
        "todo/A",
        "todo/a",
        "todo/a/b",
        "todo/%2e",
        "todo/a\u{202e}b",
    ];
    for stream in taken {
        let body = json!({ "replica": uuid(), "commits": [commit(1, stream, &json!("noStream"))] });
        let answer = server.post(PATH, &body);
        assert_eq!(
            answer.json()["results"][0]["verdict"],
            "accepted",
            "{stream:?}"
        );
    }
    for stream in taken {
        let path: String = stream.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let found = server.get(&format!("/v1/logs/todos/streams/{path}")).json();
        assert_eq!(
            (&found["stream"], &found["version"]),
            (&json!(stream), &json!(1))
        );
    }
    for stream in [
        "todo/\u{0}",
        "todo/a\nb",
        "todo/",
        "/a",
        "todo",
        "to do/1",
        "t\u{f6}do\u{200f}/1",
    ] {
        let body = json!({ "replica": uuid(), "commits": [json!({ "id": uuid(), "seq": 1, "events": [event(stream, &json!(1))] })] });
        server.post(PATH, &body).is_problem(400, "bad_request");
    }
    assert_eq!(server.head(), taken.len() as u64);
}
