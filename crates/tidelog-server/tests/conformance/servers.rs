//! The servers, and what the suite is given to ask them with.

use crate::archiving::Archiving;
#[cfg(feature = "postgres")]
use crate::cluster::{Database, Fsync};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_tidelog");
const FIRST: &str = "first-token-of-the-suite";
const OTHER: &str = "other-token-of-the-suite";
const GUEST: &str = "guest-token-of-the-suite";
/// A layout of the database that this build does not know yet.
const NEWER_LAYOUT: i64 = 99;

/// Processes that serve the log `conformance`; they end with this.
pub(crate) struct Running {
    children: Vec<Child>,
    pub(crate) urls: Vec<String>,
    /// More words for the suite.
    pub(crate) arguments: Vec<String>,
    archiving: Option<Archiving>,
    directory: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.archiving = None;
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where a server keeps its logs.
pub(crate) enum Store {
    File(PathBuf),
    #[cfg(feature = "postgres")]
    Database(Database),
}

impl Store {
    fn address(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Database(database) => database.url(),
        }
    }

    /// Nothing can be stored from now on: a newer build has laid it out.
    fn fail(&self) {
        match self {
            Self::File(path) => rusqlite::Connection::open(path)
                .and_then(|file| file.pragma_update(None, "user_version", NEWER_LAYOUT))
                .expect("the layout is another one"),
            #[cfg(feature = "postgres")]
            Self::Database(database) => {
                database.sql(&format!(
                    "CREATE OR REPLACE FUNCTION tidelog.oldest_writer() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT {NEWER_LAYOUT}::bigint'"
                ));
            }
        }
    }
}

/// How servers that have all that the suite can ask for are set up.
pub(crate) struct SetUp {
    /// Who has the second token.
    pub(crate) other: &'static str,
    /// What the guest may do.
    pub(crate) guest: &'static str,
    /// Words for the server that checks payloads.
    pub(crate) checking: &'static [&'static str],
    /// Words for the one that lets nobody ask often.
    pub(crate) limiting: &'static [&'static str],
    /// Can the one that should not be able to store anything not?
    pub(crate) is_failing: bool,
}

/// As it should be.
pub(crate) const RIGHT: SetUp = SetUp {
    other: "bob",
    guest: "append:open read:shown",
    checking: &["--schemas", "schemas"],
    limiting: &["--rate-limit", "1"],
    is_failing: true,
};

impl Running {
    fn none() -> Self {
        Self {
            children: Vec::new(),
            urls: Vec::new(),
            arguments: Vec::new(),
            archiving: None,
            directory: TempDir::new().expect("a directory"),
        }
    }

    /// Starts one more in the folder and reads from its first line where it listens.
    pub(crate) fn start(&mut self, mut command: Command) -> String {
        let mut child = command
            .current_dir(self.directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        let read = BufReader::new(out).read_line(&mut line);
        self.children.push(child);
        read.expect("its first line");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        url.expect("where it listens").to_owned()
    }

    fn serve(&mut self, store: &Store, words: &[&str]) -> String {
        let mut serve = Command::new(BIN);
        serve
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "conformance"])
            .args(words)
            .env("TIDELOG_STORE", store.address());
        self.start(serve)
    }

    fn say(&mut self, option: &str, value: &str) {
        self.arguments.extend([option.to_owned(), value.to_owned()]);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// For development: everybody may do everything.
pub(crate) fn sqlite() -> Running {
    let mut running = Running::none();
    let store = Store::File(running.path("tidelog.db"));
    let url = running.serve(&store, &["--dev"]);
    running.urls.push(url);
    running
}

/// A log most of which is in an archive, where more of it goes while it is asked.
pub(crate) fn archived() -> Running {
    let mut running = Running::none();
    running.archiving = Some(Archiving::start(running.directory.path()));
    let store = Store::File(running.path("tidelog.db"));
    let url = running.serve(&store, &["--dev", "--archive", "history"]);
    running.urls.push(url);
    running
}

/// With everything that a server can be told to demand of its callers.
pub(crate) fn with_tokens() -> Running {
    set_up(&RIGHT, |name, running| Store::File(running.path(name)))
}

#[cfg(feature = "postgres")]
pub(crate) fn postgres() -> Running {
    set_up(&RIGHT, |_name, _running| fresh())
}

#[cfg(feature = "postgres")]
fn fresh() -> Store {
    Store::Database(Database::fresh(Fsync(false)))
}

/// Two processes on one database, asked in turn.
#[cfg(feature = "postgres")]
pub(crate) fn two_on_postgres() -> Running {
    let mut running = Running::none();
    let store = fresh();
    for _ in 0..2 {
        let url = running.serve(&store, &["--dev"]);
        running.urls.push(url);
    }
    running
}

/// A server with all, one with low limits, and one that cannot store anything.
pub(crate) fn set_up(of: &SetUp, store: impl Fn(&str, &Running) -> Store) -> Running {
    let mut running = Running::none();
    let tokens = format!(
        "conformance {FIRST} ann append erase\nconformance {OTHER} {}\nconformance {GUEST} guest {}\n",
        of.other, of.guest
    );
    std::fs::write(running.path("tokens.txt"), tokens).expect("tokens");
    std::fs::create_dir(running.path("schemas")).expect("a folder");
    let schema = r#"{ "type": "object", "properties": { "title": { "type": "string" } } }"#;
    std::fs::write(running.path("schemas/case.checked.1.json"), schema).expect("a schema");
    let payloads =
        r#"{ "type": "case.checked", "taken": { "title": "Milk" }, "refused": { "title": 7 } }"#;
    for (option, value) in [
        ("--token", FIRST),
        ("--other-token", OTHER),
        ("--guest-token", GUEST),
        ("--payloads", payloads),
    ] {
        running.say(option, value);
    }
    let tokens: &[&str] = &["--tokens", "tokens.txt"];
    let first = store("tidelog.db", &running);
    let url = running.serve(&first, &[tokens, of.checking].concat());
    running.urls.push(url);
    let second = store("limited.db", &running);
    let url = running.serve(&second, &[tokens, of.limiting].concat());
    running.say("--limited", &url);
    let third = store("failing.db", &running);
    let url = running.serve(&third, tokens);
    if of.is_failing {
        third.fail();
    }
    running.say("--failing", &url);
    running
}

/// The reference of teams with a server of their own.
pub(crate) fn minimal_backend() -> Running {
    backend(&minimal_source())
}

pub(crate) fn minimal_source() -> String {
    let path = "../../tests/protocol/minimal-backend.mjs";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).expect("the minimal backend")
}

/// A backend with this source, run by Node.
pub(crate) fn backend(source: &str) -> Running {
    let mut running = Running::none();
    std::fs::write(running.path("backend.mjs"), source).expect("its source");
    let start = "import { backend } from './backend.mjs';\n\
                 const server = backend(['conformance']);\n\
                 server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));\n";
    std::fs::write(running.path("start.mjs"), start).expect("what starts it");
    let mut node = Command::new("node");
    node.arg("start.mjs");
    let url = running.start(node);
    running.urls.push(url);
    running
}
