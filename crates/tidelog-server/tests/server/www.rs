//! Files beside the protocol.

use crate::harness::{Server, send};
use tempfile::TempDir;

fn server() -> Server {
    let directory = TempDir::new().expect("a directory");
    for (path, content) in [
        ("www/todomvc/index.html", "<!doctype html>todos"),
        ("www/todomvc/assets/app-1a2b3c.js", "let a;"),
        ("www/todomvc/assets/core.wasm", "\0asm"),
        ("www/todomvc/assets/app-1a2b3c.js.gz", "gzipped"),
        ("www/v1/secret", "never"),
        ("outside", "never"),
    ] {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, content).expect("a file");
    }
    Server::start(directory, &["--dev", "--log", "todos", "--www", "www"])
}

#[test]
fn pages_assets_and_wasm_have_the_right_headers() {
    let server = server();
    let page = server.get("/todomvc/");
    assert_eq!(page.body, b"<!doctype html>todos");
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(page.header("cache-control"), "no-cache");
    assert!(
        page.header("content-security-policy")
            .contains("script-src 'self' 'wasm-unsafe-eval';")
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let script = server.get("/todomvc/assets/app-1a2b3c.js");
    assert!(script.header("cache-control").contains("immutable"));
    let gzipped = server.get_with(
        "/todomvc/assets/app-1a2b3c.js",
        &[("accept-encoding", "gzip")],
    );
    assert_eq!(
        (gzipped.header("content-encoding"), &gzipped.body[..]),
        ("gzip", &b"gzipped"[..])
    );
    assert_eq!(
        gzipped.header("content-type"),
        script.header("content-type")
    );
    assert_eq!(
        server
            .get("/todomvc/assets/core.wasm")
            .header("content-type"),
        "application/wasm"
    );
}

#[test]
fn nothing_else_is_served() {
    let server = server();
    for path in [
        "/missing",
        "/../outside",
        "/%2e%2e/outside",
        "/v1/secret",
        "/todomvc/assets/none.js",
    ] {
        server.get(path).is_problem(404, "not_found");
    }
    assert_eq!(
        server
            .get("/todomvc/assets/none.js")
            .header("cache-control"),
        "no-cache"
    );
}

#[test]
fn files_are_for_pages_of_their_own_origin() {
    let server = server();
    let from = [("origin", "https://app.example")];
    for path in ["/todomvc/", "/todomvc/assets/app-1a2b3c.js", "/missing"] {
        let answer = server.get_with(path, &from);
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        assert!(!answer.header("vary").contains("origin"), "{path}");
        assert_ne!(answer.header("x-request-id"), "", "{path}");
    }
    let asked = send("OPTIONS", &server.url("/todomvc/"), &from, None);
    assert_eq!(asked.expect("an answer").status, 405);
}
