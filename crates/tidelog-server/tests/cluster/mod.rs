//! A PostgreSQL of this test process's own, on a socket in a temporary folder. Ends with the process, whatever ends it.

#![allow(dead_code, reason = "not every test stops it, or takes its disk away")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// Is a commit on disk before it is answered? No test takes the power away, so it is off where many databases are made:
/// what was flushed takes a file system long to delete.
pub(crate) struct Fsync(pub(crate) bool);

pub(crate) struct Cluster {
    programs: PathBuf,
    pub(crate) directory: PathBuf,
    /// Its input ends with this process, and then it ends the cluster.
    keeper: Child,
}

/// How PostgreSQL is stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    /// Transactions are rolled back, and all is written.
    Fast,
    /// As in a crash.
    Immediate,
}

/// A database that nobody else uses.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    programs: PathBuf,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicUsize = AtomicUsize::new(1);

impl Database {
    /// An empty one in this process's cluster, which the first call starts.
    pub(crate) fn fresh(fsync: Fsync) -> Self {
        Self::with(fsync, "ENCODING 'UTF8'")
    }

    /// With words of `CREATE DATABASE`.
    pub(crate) fn with(fsync: Fsync, words: &str) -> Self {
        let cluster = CLUSTER.get_or_init(|| Cluster::start(&fsync));
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        cluster.database("postgres").sql(&format!(
            "CREATE DATABASE {name} TEMPLATE template0 {words}"
        ));
        cluster.database(&name)
    }

    pub(crate) fn url(&self) -> String {
        let directory = self.directory.display();
        format!(
            "postgres:///{}?host={directory}&user=postgres&sslmode=disable",
            self.name
        )
    }

    /// Runs statements and gives what they print, without decoration.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-h",
            ])
            .arg(&self.directory)
            .args(["-d", &self.name, "-c", statements])
            .output()
            .expect("psql runs");
        assert!(
            output.status.success(),
            "{statements}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Cluster {
    /// One more, for a test that stops it or sets it up otherwise.
    pub(crate) fn start(fsync: &Fsync) -> Self {
        Self::start_with(fsync, |_directory, _keeper| {})
    }

    /// With more in its folder, or in its environment.
    pub(crate) fn start_with(fsync: &Fsync, set_up: impl FnOnce(&Path, &mut Command)) -> Self {
        let programs = programs();
        let directory = TempDir::with_prefix("tidelog-pg-")
            .expect("a directory")
            .keep();
        let mut keeper = Command::new("sh");
        set_up(&directory, &mut keeper);
        let mut keeper = keeper
            .arg("-c")
            .arg(include_str!("cluster.sh"))
            .arg("cluster")
            .arg(&directory)
            .arg(&programs)
            .arg(if fsync.0 { "on" } else { "off" })
            // What ends the test process from a terminal must not end the one that cleans up after it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut said = String::new();
        let stdout = keeper.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut said).expect("a line");
        assert_eq!(said, "ready\n", "PostgreSQL did not start");
        Self {
            programs,
            directory,
            keeper,
        }
    }

    /// The database of this name.
    pub(crate) fn database(&self, name: &str) -> Database {
        Database {
            name: name.into(),
            directory: self.directory.clone(),
            programs: self.programs.clone(),
        }
    }

    /// Tells it to stop, and does not wait.
    pub(crate) fn stop(&mut self, how: Stop) {
        self.tell(match how {
            Stop::Fast => "INT",
            Stop::Immediate => "QUIT",
        });
    }

    /// Tells it to run again when it has stopped, and does not wait.
    pub(crate) fn run_again(&mut self) {
        self.tell("run");
    }

    fn tell(&mut self, word: &str) {
        let words = self.keeper.stdin.as_mut().expect("a pipe");
        writeln!(words, "{word}").expect("the keeper is there");
    }
}

/// Where Debian keeps the newest installed version's programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let versions = versions.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest = versions.filter_map(|name| name.parse::<u32>().ok()).max();
    let newest = newest.expect("PostgreSQL is installed (`cargo xtask setup` does it)");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}
