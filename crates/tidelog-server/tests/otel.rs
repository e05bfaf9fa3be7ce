//! Traces of a server that is built with the feature `otel`, as a collector receives them.
#![expect(
    clippy::expect_used,
    reason = "helpers of tests fail as tests do: loudly, and saying where"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

const BIN: &str = env!("CARGO_BIN_EXE_tidelog");
/// Only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where traces are sent, and each body that was.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (told, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let told = told.clone();
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while let Some((path, body)) = request(&mut stream) {
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                    if told.send((path, body)).is_err()
                        || stream.get_mut().write_all(answer.as_bytes()).is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    (address, heard)
}

/// The path and the body of a request; `None` at the end of the connection.
fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut lines = stream
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty());
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let length = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse().ok()).flatten()
        })
        .last()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn serve(directory: &TempDir, variables: &[(&str, &str)]) -> (Child, String) {
    let mut child = Command::new(BIN)
        .args(["serve", "--db", "tidelog.db", "--dev", "--log", "todos"])
        .args(["--listen", "127.0.0.1:0"])
        .envs(variables.iter().copied())
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line.trim().rsplit(' ').next().unwrap_or_default();
    (child, address.to_owned())
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_request_is_a_span_of_the_trace_that_its_caller_names() {
    let (endpoint, spans) = collector();
    let directory = TempDir::new().expect("a directory");
    // It waits longer than this test: what waits is sent when the server ends.
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
    ];
    let (mut child, server) = serve(&directory, &variables);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let answer = agent
        .get(format!("{server}/v1/logs/todos?secret=in-the-query"))
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .header("authorization", "Bearer somebody")
        .call()
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let id = child.id().to_string();
    let told = Command::new("kill").args(["-s", "TERM", &id]).status();
    assert!(told.expect("kill").success());
    assert!(child.wait().expect("it ends").success());
    let (path, body) = spans.recv_timeout(PATIENCE).expect("spans");
    assert_eq!(path, "/v1/traces");
    let number = u128::from_str_radix(trace, 16).expect("a number");
    let parent = 0x00f0_67aa_0ba9_02b7_u64;
    for part in [
        &number.to_be_bytes()[..],
        &parent.to_be_bytes()[..],
        b"GET /v1/logs/{log}",
        b"http.route",
        b"http.response.status_code",
        b"service.name",
        b"tidelog",
    ] {
        let shown = String::from_utf8_lossy(part);
        assert!(holds(&body, part), "no {shown:?} among the spans");
    }
    for part in ["in-the-query", "somebody"] {
        assert!(!holds(&body, part.as_bytes()), "{part} among the spans");
    }
}

#[test]
fn a_collector_that_is_none_stops_the_start_with_a_reason() {
    let directory = TempDir::new().expect("a directory");
    let output = Command::new(BIN)
        .args(["serve", "--db", "tidelog.db", "--dev"])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address")
        .current_dir(directory.path())
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{said}");
    assert!(!directory.path().join("tidelog.db").exists());
}

#[test]
fn a_collector_that_is_away_costs_no_answer() {
    let directory = TempDir::new().expect("a directory");
    let away = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", away.local_addr().expect("an address"));
    drop(away);
    let (mut child, server) = serve(
        &directory,
        &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)],
    );
    let answer = ureq::get(format!("{server}/readyz")).call();
    assert_eq!(answer.expect("an answer").status(), 200);
    let id = child.id().to_string();
    let told = Command::new("kill").args(["-s", "TERM", &id]).status();
    assert!(told.expect("kill").success());
    assert!(child.wait().expect("it ends").success());
}
