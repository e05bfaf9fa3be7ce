//! The servers, and the suite against one of them.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

const BIN: &str = env!("CARGO_BIN_EXE_tidelog");
const TOKENS: &str = "conformance first-token-of-the-suite ann append erase\nconformance other-token-of-the-suite bob\n";

/// Processes that serve the log `conformance`; they end with this.
pub(crate) struct Running {
    children: Vec<Child>,
    pub(crate) urls: Vec<String>,
    arguments: &'static [&'static str],
    _directory: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What the suite found, as the program says it.
pub(crate) struct Suite {
    report: Value,
    ended: std::process::ExitStatus,
}

/// How many cases.
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Suite {
    pub(crate) fn run(server: &Running) -> Self {
        Self::of(server, &[])
    }

    /// With more words for the program.
    pub(crate) fn of(server: &Running, words: &[&str]) -> Self {
        let output = Command::new(BIN)
            .args(["conformance", "--json"])
            .args(&server.urls)
            .args(server.arguments)
            .args(words)
            .stderr(Stdio::inherit())
            .output()
            .expect("the suite runs");
        let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Self {
            report,
            ended: output.status,
        }
    }

    /// The cases that failed, by name.
    pub(crate) fn failures(&self) -> Vec<String> {
        let cases = self.cases().filter(|case| case["outcome"] == "failed");
        cases
            .map(|case| case["case"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn cases(&self) -> impl Iterator<Item = &Value> {
        self.report["cases"].as_array().into_iter().flatten()
    }

    /// Prints what failed; gives the counts. A run that checked nothing, or ended otherwise than it says, has failed.
    pub(crate) fn shown(&self) -> Counts {
        for case in self.cases().filter(|case| case["outcome"] == "failed") {
            println!("  FAILED {}: {}", case["group"], case["case"]);
            for field in ["sent", "expected", "got"] {
                println!("    {field:<9} {}", case["detail"][field]);
            }
        }
        let count = |name: &str| self.report["counts"][name].as_u64().unwrap_or(0);
        let (passed, mut failed) = (count("passed"), count("failed"));
        println!(
            "  {passed} passed, {failed} failed, {} skipped",
            count("skipped")
        );
        if (failed == 0) != self.ended.success() || passed == 0 {
            println!("  the suite ended with {}", self.ended);
            failed += 1;
        }
        Counts { passed, failed }
    }
}

pub(crate) fn sqlite() -> Running {
    served(&[(&["--db", "tidelog.db"], &["--dev"])], &[])
}

/// Two subjects, each with a token.
pub(crate) fn with_tokens() -> Running {
    let words: &[&str] = &["--tokens", "tokens.txt"];
    let mut server = served(&[(&["--db", "tidelog.db"], words)], &[]);
    server.arguments = &[
        "--token",
        "first-token-of-the-suite",
        "--other-token",
        "other-token-of-the-suite",
    ];
    server
}

#[cfg(feature = "postgres")]
pub(crate) fn postgres() -> Running {
    let database = crate::cluster::Database::fresh(crate::cluster::Fsync(false));
    served(&[(&[], &["--dev"])], &[database.url()])
}

/// Two processes on one database, asked in turn.
#[cfg(feature = "postgres")]
pub(crate) fn two_on_postgres() -> Running {
    let database = crate::cluster::Database::fresh(crate::cluster::Fsync(false));
    let one: (&[&str], &[&str]) = (&[], &["--dev"]);
    served(&[one, one], &[database.url(), database.url()])
}

/// The reference of teams with a server of their own.
pub(crate) fn minimal_backend() -> Running {
    backend(&minimal_source())
}

pub(crate) fn minimal_source() -> String {
    std::fs::read_to_string(minimal_path()).expect("the minimal backend")
}

fn minimal_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/protocol/minimal-backend.mjs")
}

/// A backend with this source, run by Node.
pub(crate) fn backend(source: &str) -> Running {
    let directory = TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("backend.mjs"), source).expect("its source");
    let start = "import { backend } from './backend.mjs';\n\
                 const server = backend(['conformance']);\n\
                 server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));\n";
    std::fs::write(directory.path().join("start.mjs"), start).expect("what starts it");
    let mut node = Command::new("node");
    node.arg("start.mjs").current_dir(directory.path());
    started(vec![node], directory)
}

/// `tidelog serve` once for each list of words, each on the address of a database if there is one for it.
fn served(processes: &[(&[&str], &[&str])], stores: &[String]) -> Running {
    let directory = TempDir::new().expect("a directory");
    std::fs::write(directory.path().join("tokens.txt"), TOKENS).expect("tokens");
    let commands = processes
        .iter()
        .enumerate()
        .map(|(number, (store, words))| {
            let mut serve = Command::new(BIN);
            serve
                .arg("serve")
                .args(*store)
                .args(*words)
                .args(["--listen", "127.0.0.1:0", "--log", "conformance"])
                .current_dir(directory.path());
            if let Some(store) = stores.get(number) {
                serve.env("TIDELOG_STORE", store);
            }
            serve
        });
    let commands = commands.collect();
    started(commands, directory)
}

/// Starts each and reads from its first line where it listens.
fn started(commands: Vec<Command>, directory: TempDir) -> Running {
    let mut running = Running {
        children: Vec::new(),
        urls: Vec::new(),
        arguments: &[],
        _directory: directory,
    };
    for mut command in commands {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        let read = BufReader::new(out).read_line(&mut line);
        running.children.push(child);
        read.expect("its first line");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        running.urls.push(url.expect("where it listens").to_owned());
    }
    running
}
