//! `tidelog archive`, and servers of logs whose history was moved.

use crate::harness::{Answer, BIN, Server, commit, failure, name_database, output, uuid};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Two segments, and some.
const EVENTS: &str = "40000";

fn imported() -> TempDir {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("tidelog.db");
    output(&["import", "--log", "todos", "--generate", EVENTS], &db);
    directory
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path")
}

/// The objects that are there. One that is being put has another name until it is whole.
fn objects(folder: &Path) -> BTreeSet<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let below = paths.flat_map(|path| match path.is_dir() {
        true => objects(&path),
        false => BTreeSet::from([path]),
    });
    below
        .filter(|path| path.extension().is_some_and(|end| end == "gz"))
        .collect()
}

/// What a server answers of its log, but for the moment.
fn told(server: &Server) -> Vec<(u16, Vec<u8>)> {
    let epoch = server.get("/v1/logs/todos").json()["epoch"].clone();
    let epoch = epoch.as_str().expect("an epoch");
    let frames = [("accept", "application/vnd.tidelog.frames")];
    let packed = [frames[0], ("accept-encoding", "gzip")];
    let mut told: Vec<Answer> = Vec::new();
    for after in [0, 16_383, 16_384, 32_767, 32_768, 39_990] {
        let pull = format!("/v1/logs/todos/commits?after={after}&limit=5000");
        told.push(server.get(&pull));
        told.push(server.get_with(&pull, &frames));
    }
    for number in 1..=3 {
        let segment = format!("/v1/logs/todos/segments/{epoch}/{number}");
        told.push(server.get_with(&segment, &frames));
        told.push(server.get_with(&segment, &packed));
    }
    assert_eq!(told.iter().filter(|one| one.status == 200).count(), 16);
    told.into_iter().map(|one| (one.status, one.body)).collect()
}

#[test]
fn a_server_goes_on_while_history_is_moved_from_under_it() {
    let directory = imported();
    let folder = TempDir::new().expect("a directory");
    let server = Server::start(directory, &["--dev", "--archive", path(folder.path())]);
    let before = told(&server);
    let lines = output(&["export", "--log", "todos"], &server.db());
    let archive = |words: &[&str]| {
        let all = [&["archive", "todos", "--to", path(folder.path())], words].concat();
        output(&all, &server.db())
    };
    assert!(archive(&["--before", "1990-01-01"]).contains(" 0 events moved"));
    let said = archive(&["--keep", "20000"]);
    assert!(said.contains("moved in 1 objects"), "{said}");
    assert_eq!(told(&server), before);
    let said = archive(&["--keep", "0", "--shrink"]);
    assert!(said.contains("moved in 1 objects"), "{said}");
    assert_eq!(told(&server), before);
    assert!(archive(&["--keep", "0"]).contains(" 0 events moved"));
    let pushed = server.push(&uuid(), &[commit(1, "todo/new", &json!("noStream"))]);
    assert_eq!(pushed[0]["verdict"], "accepted");
    assert_eq!(server.get("/readyz").status, 200);

    let with = ["--archive", path(folder.path())];
    let other = folder.path().join("backup");
    let of = |words: &[&str]| output(&[words, &with].concat(), &server.db());
    assert!(of(&["verify", "--log", "todos"]).contains("is whole"));
    assert!(of(&["export", "--log", "todos"]).starts_with(&lines));
    of(&["backup", "--log", "todos", "-o", path(&other)]);
    let restored = TempDir::new().expect("a directory");
    let restored = restored.path().join("tidelog.db");
    std::fs::create_dir_all(restored.parent().expect("a folder")).expect("a folder");
    output(&["restore", path(&other)], &restored);
    let again = output(&["export", "--log", "todos"], &restored);
    assert!(again.starts_with(&lines), "a restored log needs no archive");
    let stats = of(&["stats", "--log", "todos", "--json"]);
    let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
    assert_eq!(stats["events"], 40_001);
    let moved = objects(folder.path()).into_iter();
    let moved = moved.filter(|path| !path.starts_with(&other));
    let moved: Vec<u64> = moved
        .map(|path| path.metadata().expect("an object").len())
        .collect();
    assert_eq!(stats["archivedObjects"], moved.len());
    assert_eq!(stats["archivedBytes"], moved.iter().sum::<u64>());
    let events = stats["archivedEvents"].as_u64().expect("a number");
    assert!((32_768..40_000).contains(&events), "{stats}");
    assert!(of(&["stats"]).contains(&format!("{events} events in 2 objects")));
}

#[test]
fn a_server_without_the_archive_says_what_is_missing() {
    let directory = imported();
    let db = directory.path().join("tidelog.db");
    let folder = TempDir::new().expect("a directory");
    output(
        &[
            "archive",
            "todos",
            "--to",
            path(folder.path()),
            "--keep",
            "0",
        ],
        &db,
    );
    let said = failure(&["export", "--log", "todos"], &db, 1);
    assert!(said.contains("--archive"), "{said}");
    let said = failure(&["verify"], &db, 1);
    assert!(said.contains("--archive"), "{said}");
    let nowhere = directory.path().join("nowhere");
    let said = failure(&["verify", "--archive", path(&nowhere)], &db, 2);
    assert!(said.contains("there is no folder"), "{said}");
    let server = Server::start(directory, &["--dev"]);
    let gone = server.get("/v1/logs/todos/commits?after=0");
    assert_eq!(gone.is_problem(503, "archive_unavailable")["position"], 1);
    assert_eq!(gone.header("retry-after"), "1");
    server.get("/readyz").is_problem(503, "archive_unavailable");
    assert_eq!(server.get("/v1/logs/todos/commits?after=39000").status, 200);
    let pushed = server.push(&uuid(), &[commit(1, "todo/new", &json!("noStream"))]);
    assert_eq!(pushed[0]["verdict"], "accepted");
}

/// What is archived is not erased where the archive is another database's. The caller is told no more than that it cannot be now.
#[test]
fn a_server_with_the_archive_of_another_database_erases_nothing_of_it() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("tidelog.db");
    output(&["import", "--log", "todos", "--generate", "17000"], &db);
    let lines = output(&["export", "--log", "todos"], &db);
    let first: serde_json::Value =
        serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    let [folder, other] = [(); 2].map(|()| TempDir::new().expect("a directory"));
    let to = path(folder.path());
    output(&["archive", "todos", "--to", to, "--keep", "0"], &db);
    let marker = json!({ "archive": "ab".repeat(16), "about": "of another" }).to_string();
    std::fs::write(other.path().join("tidelog-archive.json"), marker).expect("a marker");
    let server = Server::start(directory, &["--dev", "--archive", path(other.path())]);
    let erase = json!({ "stream": first["stream"], "versions": [[1, 1]], "reason": "asked" });
    let refused = server.post("/v1/logs/todos/erasures", &erase);
    let problem = refused.is_problem(503, "archive_unavailable");
    assert!(
        !problem.to_string().contains(path(other.path())),
        "{problem}"
    );
    let listed = server.get("/v1/logs/todos/erasures").json();
    assert_eq!(listed["erasures"], json!([]), "nothing was stored");
    assert_eq!(objects(folder.path()).len(), 1);
}

#[test]
fn an_archive_that_is_killed_loses_nothing_and_is_gone_on_with() {
    let directory = imported();
    let db = directory.path().join("tidelog.db");
    let lines = output(&["export", "--log", "todos"], &db);
    let folder = TempDir::new().expect("a directory");
    let archive = [
        "archive",
        "todos",
        "--keep",
        "0",
        "--to",
        path(folder.path()),
    ];
    // Killed when an object has just come: before it is recorded, or after.
    for _ in 0..3 {
        let mut command = Command::new(BIN);
        command.args(archive);
        name_database(&mut command, &db);
        let there = objects(folder.path());
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        while objects(folder.path()) == there && child.try_wait().expect("a state").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("it is killed, or has ended");
        child.wait().expect("it ends");
        let with = ["--archive", path(folder.path())];
        let read = output(&[&["export", "--log", "todos"][..], &with].concat(), &db);
        assert!(read == lines, "the export is another");
        output(&[&["verify"][..], &with].concat(), &db);
    }
    output(&archive, &db);
    assert!(output(&archive, &db).contains(" 0 events moved"));
    assert_eq!(objects(folder.path()).len(), 2);
}
