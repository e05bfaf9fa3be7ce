//! JSON Web Tokens: who signs them, what they allow, and what is none. The keys in `keys` are for these tests only.

use crate::harness::{Answer, Server, commit, event, open_live, uuid};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
pub(crate) const ISSUER: &str = "https://id.example";

pub(crate) fn ed25519() -> EncodingKey {
    EncodingKey::from_ed_der(include_bytes!("keys/ed25519.der"))
}

pub(crate) fn p256() -> EncodingKey {
    EncodingKey::from_ec_der(include_bytes!("keys/p256.der"))
}

fn rsa2048() -> EncodingKey {
    EncodingKey::from_rsa_der(include_bytes!("keys/rsa2048.der"))
}

pub(crate) fn secret() -> EncodingKey {
    EncodingKey::from_secret(SECRET)
}

/// The public part of a key under this name.
pub(crate) fn public(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).expect("a key");
    jwk.common.key_id = Some(kid.into());
    let mut value = serde_json::to_value(jwk).expect("JSON");
    value["use"] = json!("sig");
    value
}

fn keys() -> Value {
    json!({ "keys": [
        public(&ed25519(), Algorithm::EdDSA, "ed"),
        public(&p256(), Algorithm::ES256, "ec"),
        public(&rsa2048(), Algorithm::RS256, "rsa"),
        public(&secret(), Algorithm::HS256, "hs"),
    ] })
}

fn server_with(keys: &Value) -> Server {
    let directory = TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("keys.json"), keys.to_string()).expect("a file");
    let arguments = [
        ["--jwt-keys", "keys.json"],
        ["--jwt-issuer", ISSUER],
        ["--jwt-audience", "tidelog"],
        ["--log", "todos"],
        ["--log", "news"],
        ["--log", "acme-1"],
        ["--log", "acme-secret"],
        ["--log", "acme-shop"],
    ];
    Server::start(directory, arguments.as_flattened())
}

fn in_seconds(seconds: i64) -> i64 {
    tidelog_server::clock::now().millis().div_euclid(1_000) + seconds
}

pub(crate) fn claims() -> Value {
    json!({
        "sub": "ann", "iss": ISSUER, "aud": "tidelog", "exp": in_seconds(600),
        "tidelog": {
            "todos": "append", "news": "read",
            "acme-*": { "append": ["order"] }, "acme-secret*": {"append": []},
            "acme-shop": { "read": ["price"], "append": ["order"] },
        },
    })
}

pub(crate) fn header(algorithm: Algorithm, kid: &str) -> Header {
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.into());
    header
}

fn signed(claims: &Value) -> String {
    encode(&header(Algorithm::EdDSA, "ed"), claims, &ed25519()).expect("a token")
}

fn read(server: &Server, log: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    server.get_with(&format!("/v1/logs/{log}"), &[("authorization", &bearer)])
}

fn push(server: &Server, log: &str, token: &str, commits: &[Value]) -> Answer {
    let bearer = format!("Bearer {token}");
    let body = json!({ "replica": uuid(), "commits": commits }).to_string();
    let path = format!("/v1/logs/{log}/commits");
    server.post_with(&path, &[("authorization", &bearer)], body.as_bytes())
}

#[test]
fn each_algorithm_of_the_keys_is_taken() {
    let server = server_with(&keys());
    for (algorithm, kid, key) in [
        (Algorithm::EdDSA, "ed", ed25519()),
        (Algorithm::ES256, "ec", p256()),
        (Algorithm::RS256, "rsa", rsa2048()),
        (Algorithm::HS256, "hs", secret()),
    ] {
        let token = encode(&header(algorithm, kid), &claims(), &key).expect("a token");
        let answer = push(
            &server,
            "todos",
            &token,
            &[commit(1, "todo/1", &json!("any"))],
        );
        assert_eq!(answer.status, 200, "{kid}");
        assert_eq!(answer.json()["results"][0]["verdict"], "accepted", "{kid}");
    }
    let bearer = format!("Bearer {}", signed(&claims()));
    let stream = server.get_with(
        "/v1/logs/todos/streams/todo/1",
        &[("authorization", &bearer)],
    );
    assert_eq!(stream.json()["events"][3]["actor"], "ann");
}

#[test]
fn a_token_that_is_not_right_in_every_way_is_refused() {
    let server = server_with(&keys());
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims();
        change(&mut claims);
        signed(&claims)
    };
    let without = |claim: &str| {
        with(&|claims: &mut Value| {
            claims.as_object_mut().expect("an object").remove(claim);
        })
    };
    let typed = |typ: &str| {
        let mut header = header(Algorithm::EdDSA, "ed");
        header.typ = Some(typ.into());
        encode(&header, &claims(), &ed25519()).expect("a token")
    };
    let cut = signed(&claims());
    let unknown = encode(&header(Algorithm::EdDSA, "no"), &claims(), &ed25519()).expect("a token");
    let nameless = encode(&Header::new(Algorithm::EdDSA), &claims(), &ed25519()).expect("a token");
    for (token, says) in [
        (
            with(&|claims| claims["iss"] = json!("https://evil.example")),
            "another issuer",
        ),
        (
            with(&|claims| claims["aud"] = json!("mail")),
            "another audience",
        ),
        (
            with(&|claims| claims["aud"] = json!(["mail", "chat"])),
            "another audience",
        ),
        (without("exp"), "exp"),
        (without("iss"), "does not have iss"),
        (without("aud"), "does not have aud"),
        (without("sub"), "sub"),
        (
            with(&|claims| claims["exp"] = json!(in_seconds(-3_600))),
            "has expired: get a new one",
        ),
        (
            with(&|claims| claims["exp"] = json!(in_seconds(-61))),
            "has expired",
        ),
        (
            with(&|claims| claims["nbf"] = json!(in_seconds(3_600))),
            "not valid yet",
        ),
        (
            with(&|claims| claims["nbf"] = json!(in_seconds(61))),
            "not valid yet",
        ),
        (
            with(&|claims| claims["sub"] = json!("")),
            "claims are not as they should be",
        ),
        (
            with(&|claims| claims["tidelog"] = json!({ "todos": "write" })),
            r#"a log is given "read", "append""#,
        ),
        (
            with(&|claims| claims["tidelog"] = json!({ "todos": { "read": ["a/b"] } })),
            r#"a log is given "read", "append""#,
        ),
        (typed("id+jwt"), "not an access token"),
        (unknown, "a key that is not known here"),
        (nameless, "a key that is not known here"),
        (cut[..cut.len() - 4].to_owned(), "not valid here"),
        ("x".repeat(10_000), "longer than 8192 bytes"),
        ("a.b.c".into(), "not valid here"),
    ] {
        let answer = read(&server, "todos", &token);
        let problem = answer.is_problem(401, "unauthorized");
        let detail = problem["detail"].as_str().expect("text");
        assert!(detail.contains(says), "{detail:?} should say {says:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    for right in [
        with(&|claims| claims["aud"] = json!(["mail", "tidelog"])),
        with(&|claims| claims["exp"] = json!(in_seconds(-5))),
        with(&|claims| claims["nbf"] = json!(in_seconds(5))),
        typed("at+jwt"),
    ] {
        assert_eq!(read(&server, "todos", &right).status, 200);
    }
}

/// RFC 8725, 3.1 and 3.2: what is signed says how, and nobody may believe it.
#[test]
fn a_token_cannot_choose_how_it_is_checked() {
    let server = server_with(&keys());
    let base64 = |value: &Value| {
        // What is between the dots of a token that was made of it.
        let token = encode(&Header::new(Algorithm::HS256), value, &secret()).expect("a token");
        token.split('.').nth(1).expect("three parts").to_owned()
    };
    let body = base64(&claims());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        for kid in ["ed", "hs"] {
            let head = base64(&json!({ "typ": "JWT", "alg": alg, "kid": kid }));
            for token in [format!("{head}.{body}."), format!("{head}.{body}")] {
                read(&server, "todos", &token).is_problem(401, "unauthorized");
            }
        }
    }
    // The public key, in every form that it has, as the secret of an HMAC.
    let rsa = public(&rsa2048(), Algorithm::RS256, "rsa");
    let ed = public(&ed25519(), Algorithm::EdDSA, "ed");
    for (kid, bytes) in [
        ("rsa", rsa["n"].as_str().expect("text").as_bytes().to_vec()),
        ("rsa", rsa.to_string().into_bytes()),
        ("ed", ed["x"].as_str().expect("text").as_bytes().to_vec()),
        ("ed", ed.to_string().into_bytes()),
    ] {
        let key = EncodingKey::from_secret(&bytes);
        let token = encode(&header(Algorithm::HS256, kid), &claims(), &key).expect("a token");
        read(&server, "todos", &token).is_problem(401, "unauthorized");
    }
    // A good signature of another of our keys, under a wrong name.
    let token = encode(&header(Algorithm::HS256, "ed"), &claims(), &secret()).expect("a token");
    read(&server, "todos", &token).is_problem(401, "unauthorized");
    let token = encode(&header(Algorithm::EdDSA, "hs"), &claims(), &ed25519()).expect("a token");
    read(&server, "todos", &token).is_problem(401, "unauthorized");
}

#[test]
fn nothing_is_fetched_because_of_a_token() {
    let server = server_with(&keys());
    let bait = TcpListener::bind("127.0.0.1:0").expect("a port");
    bait.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}/keys", bait.local_addr().expect("an address"));
    let stranger = EncodingKey::from_secret(b"the secret of a stranger, thirty-two");
    for kid in [
        "hs",
        "../../etc/passwd",
        "' OR 1=1 --",
        "\u{0}",
        url.as_str(),
    ] {
        let mut header = header(Algorithm::HS256, kid);
        header.jku = Some(url.clone());
        header.x5u = Some(url.clone());
        header.jwk = serde_json::from_value(public(&stranger, Algorithm::HS256, kid)).ok();
        let token = encode(&header, &claims(), &stranger).expect("a token");
        read(&server, "todos", &token).is_problem(401, "unauthorized");
    }
    let called = bait.accept();
    assert!(called.is_err(), "the server called {url}");
}

#[test]
fn a_token_allows_what_it_says_and_no_more() {
    let server = server_with(&keys());
    let token = signed(&claims());
    let order = || commit(1, "order/1", &json!("any"));
    let todo = || commit(2, "todo/1", &json!("any"));
    assert_eq!(push(&server, "todos", &token, &[todo()]).status, 200);
    assert_eq!(read(&server, "news", &token).status, 200);
    push(&server, "news", &token, &[todo()]).is_problem(403, "forbidden");
    // By the beginning of the name, and by the longest that fits.
    assert_eq!(push(&server, "acme-1", &token, &[order()]).status, 200);
    push(&server, "acme-secret", &token, &[order()]).is_problem(403, "forbidden");
    assert_eq!(read(&server, "acme-secret", &token).status, 200);
    read(&server, "acme-2", &token).is_problem(404, "unknown_log");
    // Prices and orders may be read there, and orders appended to.
    assert_eq!(push(&server, "acme-shop", &token, &[order()]).status, 200);
    let price = commit(3, "price/1", &json!("any"));
    push(&server, "acme-shop", &token, &[price]).is_problem(403, "forbidden");
    for (stream, status) in [("price/1", 200), ("order/1", 200), ("invoice/1", 404)] {
        let answer = read(&server, &format!("acme-shop/streams/{stream}"), &token);
        assert_eq!(answer.status, status, "{stream}");
    }
    let none = signed(&json!({
        "sub": "ann", "iss": ISSUER, "aud": "tidelog", "exp": in_seconds(600),
    }));
    read(&server, "todos", &none).is_problem(404, "unknown_log");
}

#[test]
fn a_push_with_one_foreign_stream_is_refused_whole() {
    let server = server_with(&keys());
    let token = signed(&claims());
    let mut mixed = commit(2, "order/1", &json!("any"));
    mixed["events"] = json!([event("order/1", &json!(1)), event("invoice/1", &json!(1))]);
    for commits in [
        vec![
            commit(1, "order/1", &json!("any")),
            commit(2, "invoice/1", &json!("any")),
        ],
        vec![mixed],
    ] {
        let problem = push(&server, "acme-1", &token, &commits).is_problem(403, "forbidden");
        assert_eq!(problem["stream"], "invoice/1");
        assert!(
            problem["detail"]
                .as_str()
                .expect("text")
                .contains("nothing was stored")
        );
    }
    let bearer = format!("Bearer {token}");
    let append = json!({ "type": "t", "data": 1 }).to_string();
    let path = "/v1/logs/acme-1/streams/invoice/1";
    server
        .post_with(path, &[("authorization", &bearer)], append.as_bytes())
        .is_problem(403, "forbidden");
    assert_eq!(
        read(&server, "acme-1", &token).json()["head"]["position"],
        0
    );
}

#[test]
fn what_a_token_opened_is_closed_when_it_expires() {
    let server = server_with(&keys());
    let mut soon = claims();
    soon["exp"] = json!(in_seconds(2));
    for mut stream in open_live(&server, &signed(&soon)) {
        let ended = std::io::copy(&mut stream, &mut std::io::sink());
        assert!(ended.is_ok(), "{ended:?}");
    }
}

#[test]
fn keys_can_be_changed_while_the_server_runs() {
    let ed = public(&ed25519(), Algorithm::EdDSA, "ed");
    let hs = public(&secret(), Algorithm::HS256, "hs");
    let server = server_with(&json!({ "keys": [ed] }));
    let old = signed(&claims());
    let new = encode(&header(Algorithm::HS256, "hs"), &claims(), &secret()).expect("a token");
    let nameless = encode(&Header::new(Algorithm::EdDSA), &claims(), &ed25519()).expect("a token");
    assert_eq!(
        read(&server, "todos", &nameless).status,
        200,
        "there is but one key"
    );
    assert_eq!(read(&server, "todos", &old).status, 200);
    read(&server, "todos", &new).is_problem(401, "unauthorized");
    let put = |text: &str| {
        std::fs::write(server.directory.path().join("keys.json"), text).expect("a file")
    };
    put(&json!({ "keys": [hs] }).to_string());
    let patience = Instant::now() + Duration::from_secs(60);
    while read(&server, "todos", &new).status != 200 {
        assert!(Instant::now() < patience, "the new key is not taken");
        std::thread::sleep(Duration::from_millis(50));
    }
    read(&server, "todos", &old).is_problem(401, "unauthorized");
    // What is not fit for use changes nothing.
    put("nonsense");
    let said = || std::fs::read_to_string(server.directory.path().join("stderr")).expect("a file");
    while !said().contains("what it said before stays") {
        assert!(Instant::now() < patience, "nothing is said of it");
        assert_eq!(read(&server, "todos", &new).status, 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(read(&server, "todos", &new).status, 200);
}

#[test]
fn keys_that_are_not_fit_for_use_are_refused_by_name() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("keys.json");
    let ed = || public(&ed25519(), Algorithm::EdDSA, "ed");
    let with = |mut key: Value, field: &str, value: Value| {
        key[field] = value;
        json!({ "keys": [key] }).to_string()
    };
    let short = EncodingKey::from_secret(b"too short");
    for (text, says) in [
        ("nonsense".into(), "not a JWK set"),
        (json!({ "keys": [] }).to_string(), "holds no key"),
        (
            json!({ "keys": [ed(), ed()] }).to_string(),
            "key 2 has the kid of another one",
        ),
        (with(ed(), "kid", Value::Null), "key 1 has no kid"),
        (with(ed(), "alg", Value::Null), "key 1 has no alg"),
        (
            with(ed(), "alg", json!("HS256")),
            "a kty that does not fit it",
        ),
        (with(ed(), "alg", json!("RS512")), "another alg than"),
        (with(ed(), "use", json!("enc")), "not for signatures"),
        (with(ed(), "d", json!("AAAA")), "a private one"),
        (with(ed(), "crv", json!("X25519")), "key 1"),
        (
            with(
                public(&rsa2048(), Algorithm::RS256, "rsa"),
                "n",
                json!("AQAB"),
            ),
            "shorter than 2048 bits",
        ),
        (
            json!({ "keys": [public(&short, Algorithm::HS256, "hs")] }).to_string(),
            "shorter than 32 bytes",
        ),
    ] {
        std::fs::write(&file, text).expect("a file");
        let output = Command::new(crate::harness::BIN)
            .args(["serve", "--listen", "127.0.0.1:0", "--db"])
            .arg(directory.path().join("tidelog.db"))
            .args([
                "--jwt-issuer",
                ISSUER,
                "--jwt-audience",
                "tidelog",
                "--jwt-keys",
            ])
            .arg(&file)
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(said.contains(says), "{said:?} should say {says:?}");
    }
}
