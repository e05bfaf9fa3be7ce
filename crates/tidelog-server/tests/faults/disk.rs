//! A disk that is full, read-only, or cannot say that it has written.

use crate::cluster::{Cluster, Fsync};
use crate::fleet;
use crate::harness::{BIN, Server, output, text};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const WRITERS: u64 = 12;

/// What the disk below a folder is, for processes that were started with the library of `disk.c`: real calls of real files
/// fail as the kernel would fail them.
struct Disk {
    folder: PathBuf,
    library: PathBuf,
}

impl Disk {
    /// Compiles the library; whoever has compiled SQLite has a compiler.
    fn new(folder: PathBuf, library: PathBuf) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/disk.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .status()
            .expect("a C compiler");
        assert!(compiled.success());
        Self { folder, library }
    }

    /// `full`, `read-only`, `unsynced`, `directories`: from the next call on.
    fn is(&self, fault: &str) {
        std::fs::write(self.switch(), fault).expect("a file");
    }

    fn is_well(&self) {
        std::fs::remove_file(self.switch()).expect("a file");
    }

    fn switch(&self) -> PathBuf {
        self.folder.with_extension("fault")
    }
}

/// Pushes are refused with this status while the disk is so, reads are answered, and all goes on when it is well again.
fn bears(
    fleet: &fleet::Fleet,
    server: &Server,
    status: u16,
    be_so: impl FnOnce(),
    end: impl FnOnce(),
) {
    fleet.wait_for_pushes(100);
    be_so();
    fleet.wait_for_refusals(status, WRITERS);
    let head = server.head();
    let page = server.get(&format!("{}?after={}", fleet::LOG, head.saturating_sub(10)));
    assert_eq!(page.status, 200, "reads go on");
    end();
    fleet.wait_for_pushes(100);
}

#[test]
fn sqlite_says_what_is_wrong_with_its_disk_and_goes_on_when_it_is_well() {
    let directory = TempDir::new().expect("a directory");
    let folder = directory.path().join("disk");
    std::fs::create_dir(&folder).expect("a folder");
    let disk = Disk::new(folder.clone(), directory.path().join("disk.so"));
    let store = folder.join("tidelog.db").display().to_string();
    let ended = fleet::run(&store, WRITERS, |fleet| {
        let mut serve = Command::new(BIN);
        serve
            .arg("serve")
            .env("TIDELOG_STORE", &store)
            .env("LD_PRELOAD", &disk.library)
            .env("FAULTY_DISK", &disk.folder);
        let own = TempDir::new().expect("a directory");
        let server = Server::spawn(serve, own, &["--dev", "--log", "todos"]);
        fleet.add(&server);
        for (fault, status) in [("full", 507), ("read-only", 503), ("unsynced", 503)] {
            bears(fleet, &server, status, || disk.is(fault), || disk.is_well());
        }
        vec![server]
    });
    assert!(ended.full >= WRITERS && ended.unavailable >= 2 * WRITERS);
}

/// An object of the archive that was removed comes back after a power cut if its folder was not synced; but where folders cannot be, waiting for
/// that would be for ever.
#[test]
fn an_erasure_waits_until_its_object_s_removal_is_on_disk() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("tidelog.db");
    let folder = directory.path().join("disk");
    std::fs::create_dir(&folder).expect("a folder");
    let disk = Disk::new(folder.clone(), directory.path().join("disk.so"));
    output(&["import", "--log", "todos", "--generate", "17000"], &db);
    let lines = output(&["export", "--log", "todos"], &db);
    let first: serde_json::Value =
        serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    let history = folder.join("history");
    let history = history.to_str().expect("a path");
    output(&["archive", "todos", "--keep", "0", "--to", history], &db);
    let redact = || {
        let stream = first["stream"].as_str().expect("a stream");
        let done = Command::new(BIN)
            .args(["redact", "todos", stream, "--all", "--reason", "asked"])
            .args(["--archive", history])
            .arg("--db")
            .arg(&db)
            .env("LD_PRELOAD", &disk.library)
            .env("FAULTY_DISK", &disk.folder)
            .output()
            .expect("it runs");
        (done.status.success(), text(&done.stderr))
    };
    disk.is("unsynced");
    for _ in 0..2 {
        let (is_done, said) = redact();
        assert!(!is_done, "{said}");
    }
    disk.is("directories");
    let (is_done, said) = redact();
    assert!(is_done, "{said}");
    disk.is_well();
    output(&["verify", "--archive", history], &db);
}

#[test]
fn postgres_without_room_or_leave_to_write_is_said_and_all_goes_on_afterwards() {
    let mut disk = None;
    let cluster = Cluster::start_with(&Fsync(false), |directory, keeper| {
        // The files of tables: without room for its journal PostgreSQL ends, which is another test.
        let made = Disk::new(directory.join("data/base"), directory.join("disk.so"));
        keeper
            .env("PRELOAD", &made.library)
            .env("FAULTY_DISK", &made.folder);
        disk = Some(made);
    });
    let (disk, database) = (disk.expect("a disk"), cluster.database("postgres"));
    let store = database.url();
    let ended = fleet::run(&store, WRITERS, |fleet| {
        let server = Server::on(&store);
        fleet.add(&server);
        bears(fleet, &server, 507, || disk.is("full"), || disk.is_well());
        let read_only = |value: &str| {
            database.sql(&format!(
                "ALTER SYSTEM SET default_transaction_read_only = {value}"
            ));
            database.sql("SELECT pg_reload_conf()");
        };
        let end = || {
            server.get("/readyz").is_problem(503, "unavailable");
            read_only("off");
        };
        bears(fleet, &server, 503, || read_only("on"), end);
        vec![server]
    });
    assert!(ended.full >= WRITERS && ended.unavailable >= WRITERS);
}
