//! An archive that goes on being filled while its server is asked.

use crate::servers::BIN;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long there is between two looks for what is sealed by then.
const PAUSE: Duration = Duration::from_millis(100);
/// Three segments, but for the events that the first cases append.
const EVENTS: &str = "49100";
const DATABASE: [&str; 4] = ["--db", "tidelog.db", "--archive", "history"];

/// A log whose older history is in a folder, where what is sealed goes until this is dropped.
pub(crate) struct Archiving {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Archiving {
    /// Makes the log `conformance` in this folder.
    pub(crate) fn start(folder: &Path) -> Self {
        std::fs::create_dir(folder.join("history")).expect("a folder");
        let import = ["import", "--log", "conformance", "--generate", EVENTS];
        demand(&tidelog(folder, &import));
        demand(&tidelog(folder, &["archive", "conformance", "--keep", "0"]));
        let ends = Arc::new(AtomicBool::new(false));
        let (folder, asked) = (PathBuf::from(folder), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                let moved = tidelog(&folder, &["archive", "conformance", "--keep", "0"]);
                // What was erased meanwhile is moved the next time.
                if !String::from_utf8_lossy(&moved.stderr).contains("un it again") {
                    demand(&moved);
                }
                std::thread::park_timeout(PAUSE);
            }
            demand(&tidelog(
                &folder,
                &["archive", "conformance", "--keep", "0"],
            ));
            demand(&tidelog(&folder, &["verify", "--log", "conformance"]));
            let stats = tidelog(&folder, &["stats", "--log", "conformance", "--json"]);
            let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).expect("JSON");
            let objects = stats["archivedObjects"].as_u64();
            assert!(objects >= Some(3), "more has gone there meanwhile: {stats}");
        });
        Self {
            ends,
            thread: Some(thread),
        }
    }
}

impl Drop for Archiving {
    /// What failed there fails the run.
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else {
            return;
        };
        thread.thread().unpark();
        let ended = thread.join();
        if !std::thread::panicking() {
            ended.expect("the log is archived, and whole");
        }
    }
}

fn tidelog(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(BIN);
    command.args(words).args(DATABASE).current_dir(folder);
    command.output().expect("the program runs")
}

fn demand(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
