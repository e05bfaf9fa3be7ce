//! A PostgreSQL of this test process's own, on a socket in a temporary folder. Ends with the process, whatever ends it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// Is a commit on disk before it is answered? No test takes the power away, so it is off where many databases are made:
/// what was flushed takes a file system long to delete.
pub(crate) struct Fsync(pub(crate) bool);

pub(crate) struct Cluster {
    programs: PathBuf,
    directory: PathBuf,
    /// Its input ends with this process, and then it ends the cluster.
    _keeper: Child,
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
        let (directory, programs) = (cluster.directory.clone(), cluster.programs.clone());
        let made = Self {
            name: name.clone(),
            directory: directory.clone(),
            programs: programs.clone(),
        };
        let postgres = Self {
            name: "postgres".into(),
            directory,
            programs,
        };
        postgres.sql(&format!(
            "CREATE DATABASE {name} TEMPLATE template0 {words}"
        ));
        made
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
    fn start(fsync: &Fsync) -> Self {
        let programs = programs();
        let directory = TempDir::with_prefix("tidelog-pg-")
            .expect("a directory")
            .keep();
        let mut keeper = Command::new("sh")
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
            _keeper: keeper,
        }
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
