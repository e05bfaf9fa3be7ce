//! Keys that whoever issues tokens publishes at a URL.

use crate::harness::{Answer, BIN, Server, text};
use crate::jwt::{ISSUER, claims, ed25519, header, p256, public, secret};
use jsonwebtoken::{Algorithm, EncodingKey, encode};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Only how long a test that fails takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What answers at the URL, and how often it was asked.
#[derive(Clone)]
pub(crate) struct Issuer {
    url: String,
    says: Arc<Mutex<(String, usize)>>,
}

impl Issuer {
    fn new(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let says = Arc::new(Mutex::new((answer, 0)));
        let said = Arc::clone(&says);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let answer = {
                    let mut said = said.lock().expect("a lock");
                    said.1 += 1;
                    said.0.clone()
                };
                // Whoever asked may be gone.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, says }
    }

    pub(crate) fn keys(keys: &[Value]) -> String {
        let body = json!({ "keys": keys }).to_string();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn say(&self, answer: String) {
        self.says.lock().expect("a lock").0 = answer;
    }

    fn asked(&self) -> usize {
        self.says.lock().expect("a lock").1
    }

    fn server(&self) -> Server {
        let arguments = [
            ["--jwt-jwks", self.url.as_str()],
            ["--jwt-issuer", ISSUER],
            ["--jwt-audience", "tidelog"],
            ["--log", "todos"],
        ];
        Server::start(
            TempDir::new().expect("a directory"),
            arguments.as_flattened(),
        )
    }
}

pub(crate) fn token(algorithm: Algorithm, kid: &str, key: &EncodingKey) -> String {
    encode(&header(algorithm, kid), &claims(), key).expect("a token")
}

pub(crate) fn read(server: &Server, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    server.get_with("/v1/logs/todos", &[("authorization", &bearer)])
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn published_keys_are_taken_and_new_ones_are_found() {
    let ed = public(&ed25519(), Algorithm::EdDSA, "ed");
    let mut unnamed = ed.clone();
    unnamed.as_object_mut().expect("an object").remove("alg");
    // What is for others does not matter, and a secret that is published is none.
    let foreign =
        json!({ "kty": "EC", "crv": "P-521", "kid": "big", "alg": "ES512", "x": "AA", "y": "AA" });
    let shared = public(&secret(), Algorithm::HS256, "hs");
    let issuer = Issuer::new(Issuer::keys(&[foreign, shared, unnamed]));
    let server = issuer.server();
    assert_eq!(
        read(&server, &token(Algorithm::EdDSA, "ed", &ed25519())).status,
        200
    );
    let forged = token(Algorithm::HS256, "hs", &secret());
    read(&server, &forged).is_problem(401, "unauthorized");
    let new = token(Algorithm::ES256, "ec", &p256());
    issuer.say(Issuer::keys(&[ed, public(&p256(), Algorithm::ES256, "ec")]));
    until("the new key is not taken", || {
        read(&server, &new).status == 200
    });
    // The same key under a wrong algorithm is another question.
    let confused = token(Algorithm::EdDSA, "ec", &ed25519());
    read(&server, &confused).is_problem(401, "unauthorized");
}

#[test]
fn unknown_keys_do_not_make_it_ask_more_often_and_old_keys_outlast_the_issuer() {
    let ed = public(&ed25519(), Algorithm::EdDSA, "ed");
    let issuer = Issuer::new(Issuer::keys(&[ed]));
    let server = issuer.server();
    let good = token(Algorithm::EdDSA, "ed", &ed25519());
    let begun = Instant::now();
    for number in 0..100 {
        let unknown = token(Algorithm::EdDSA, &format!("no-{number}"), &ed25519());
        read(&server, &unknown).is_problem(401, "unauthorized");
    }
    // Once at the start, and then once in 5 seconds at most, however long this took.
    let most = 2 + usize::try_from(begun.elapsed().as_secs() / 5).expect("a number");
    assert!(issuer.asked() <= most, "asked {} times", issuer.asked());
    for broken in [
        "HTTP/1.1 500 Oops\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
        Issuer::keys(&[]),
        format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}",
            "x".repeat(300_000)
        ),
    ] {
        issuer.say(broken);
        let asked = issuer.asked();
        let unknown = token(Algorithm::EdDSA, "no", &ed25519());
        until("it does not ask again", || {
            read(&server, &unknown).is_problem(401, "unauthorized");
            issuer.asked() > asked
        });
        assert_eq!(read(&server, &good).status, 200);
    }
    let log = std::fs::read_to_string(server.directory.path().join("stderr")).expect("a log");
    assert!(log.contains("the old keys stay"), "{log}");
}

#[test]
fn no_other_address_is_asked() {
    let ed = public(&ed25519(), Algorithm::EdDSA, "ed");
    let bait = Issuer::new(Issuer::keys(std::slice::from_ref(&ed)));
    let issuer = Issuer::new(Issuer::keys(&[ed]));
    let server = issuer.server();
    issuer.say(format!(
        "HTTP/1.1 302 Found\r\nlocation: {}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        bait.url
    ));
    let mut header = header(Algorithm::EdDSA, "elsewhere");
    header.jku = Some(bait.url.clone());
    header.x5u = Some(bait.url.clone());
    let token = encode(&header, &claims(), &ed25519()).expect("a token");
    let asked = issuer.asked();
    until("it does not ask again", || {
        read(&server, &token).is_problem(401, "unauthorized");
        issuer.asked() > asked
    });
    read(&server, &token).is_problem(401, "unauthorized");
    assert_eq!(bait.asked(), 0);
}

#[test]
fn an_address_that_is_not_fit_for_use_is_refused_at_the_start() {
    let directory = TempDir::new().expect("a directory");
    let empty = Issuer::new(Issuer::keys(&[]));
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}/keys", listener.local_addr().expect("an address"))
    };
    for (url, says) in [
        ("http://id.example/keys", "https://"),
        ("nonsense", "https://"),
        (empty.url.as_str(), "holds no key"),
        (closed.as_str(), "cannot be fetched"),
    ] {
        let output = Command::new(BIN)
            .args(["serve", "--listen", "127.0.0.1:0", "--db"])
            .arg(directory.path().join("x.db"))
            .args([
                "--jwt-issuer",
                ISSUER,
                "--jwt-audience",
                "tidelog",
                "--jwt-jwks",
                url,
            ])
            .output()
            .expect("it runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said:?} should say {says:?}");
    }
}
