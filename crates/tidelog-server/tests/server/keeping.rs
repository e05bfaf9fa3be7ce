//! backup, restore, stats and verify of all logs.

use crate::harness::{Server, commit, failure, output, run, text, uuid};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A database with the logs `loans` and `empty`, and a backup of it.
fn backed_up(directory: &TempDir) -> (PathBuf, PathBuf) {
    let db = directory.path().join("a.db");
    output(&["import", "--log", "loans", "--generate", "2050"], &db);
    output(&["import", "--log", "empty", "--generate", "0"], &db);
    let folder = directory.path().join("backup");
    let said = output(&["backup", "-o", path(&folder)], &db);
    assert!(said.contains("2050 events of 2 logs"), "{said}");
    (db, folder)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path")
}

fn stats(db: &Path) -> Vec<Value> {
    let lines = output(&["stats", "--json"], db);
    let parsed = lines.lines().map(serde_json::from_str);
    parsed.map(|line| line.expect("JSON")).collect()
}

#[test]
fn a_backup_brings_back_every_byte_as_another_epoch() {
    let directory = TempDir::new().expect("a directory");
    let (db, folder) = backed_up(&directory);
    let mut files: Vec<String> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|file| text(file.expect("a file").file_name().as_encoded_bytes()))
        .collect();
    files.sort();
    assert_eq!(
        files,
        [
            "SHA256SUMS",
            "empty.frames.gz",
            "loans.frames.gz",
            "manifest.json"
        ]
    );
    let sums = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&folder)
        .output()
        .expect("sha256sum");
    assert!(sums.status.success(), "{}", text(&sums.stdout));

    let other = directory.path().join("b.db");
    let said = output(&["restore", path(&folder)], &other);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(output(&["verify"], &other).contains("log loans is whole: 2050 events"));
    let lines = |db: &Path| output(&["export", "--log", "loans"], db);
    assert_eq!(lines(&db), lines(&other));
    let (before, after) = (stats(&db), stats(&other));
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(
            before["epoch"], after["epoch"],
            "a restored log is another history"
        );
        for same in [
            "log", "head", "commits", "streams", "replicas", "oldest", "newest",
        ] {
            assert_eq!(before[same], after[same], "{same}");
        }
    }
    // What was imported before is known by its commits, as on the server it came from.
    let again = output(&["import", "--log", "loans", "--generate", "2060"], &other);
    assert!(again.contains("10 new, 2050 already there"), "{again}");
    output(&["verify"], &other);
}

#[test]
fn a_replica_stays_its_subject_s_and_a_repeated_push_a_duplicate() {
    let server = Server::dev();
    let replica = uuid();
    let one = commit(1, "todo/1", &json!("noStream"));
    server.push(&replica, std::slice::from_ref(&one));
    let folder = server.directory.path().join("backup");
    output(&["backup", "-o", path(&folder)], &server.db());
    let restored = ["restore", "--as", "todos", path(&folder)];
    let other = Server::on_restored(&restored);
    let results = other.push(&replica, &[one]);
    assert_eq!(results[0]["verdict"], "duplicate");
    let body = json!({ "replica": replica, "commits": [commit(2, "todo/1", &json!("any"))] });
    let stranger = [("authorization", "Bearer somebody-else")];
    other
        .post_with(
            "/v1/logs/todos/commits",
            &stranger,
            body.to_string().as_bytes(),
        )
        .is_problem(403, "replica_bound");
}

#[test]
fn a_backup_of_a_log_in_use_ends_at_one_moment() {
    let server = Server::dev();
    let folder = server.directory.path().join("backup");
    let replica = uuid();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for seq in 1..=60 {
                server.push(&replica, &[commit(seq, "todo/1", &json!("any"))]);
            }
        });
        output(
            &["backup", "-o", path(&folder), "--log", "todos"],
            &server.db(),
        );
        writing.join().expect("written");
    });
    let other = server.directory.path().join("b.db");
    output(&["restore", path(&folder)], &other);
    let restored = stats(&other)[0]["events"].as_u64().expect("a count");
    assert!(restored <= 60);
    let verified = output(&["verify"], &other);
    assert!(
        verified.contains(&format!("{restored} events")),
        "{verified}"
    );
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_half_done() {
    let directory = TempDir::new().expect("a directory");
    let (db, folder) = backed_up(&directory);
    let said = failure(&["backup", "-o", path(&folder)], &db, 2);
    assert!(said.contains("is there already"), "{said}");
    let said = failure(&["restore", path(&folder)], &db, 2);
    assert!(said.contains("there is a log empty already"), "{said}");
    assert_eq!(stats(&db).len(), 2, "no trace of the attempt");
    let other = directory.path().join("other");
    let said = failure(&["backup", "-o", path(&other), "--log", "none"], &db, 1);
    assert!(said.contains("there is no log none"), "{said}");
    let left: Vec<_> = fs::read_dir(directory.path())
        .expect("a folder")
        .map(|entry| text(entry.expect("an entry").file_name().as_encoded_bytes()))
        .filter(|name| name.contains("backup-") || name == "other")
        .collect();
    assert_eq!(left, [""; 0], "no folder of an attempt that failed");
}

#[test]
fn what_a_restore_left_behind_is_said_and_not_backed_up() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("a.db");
    let left = "restoring.01900000-0000-7000-8000-000000000001";
    output(&["import", "--log", left, "--generate", "20"], &db);
    output(&["import", "--log", "loans", "--generate", "10"], &db);
    assert!(output(&["stats", "--log", left], &db).contains("begins anew"));
    assert!(!output(&["stats", "--log", "loans"], &db).contains("begins anew"));
    let lines = stats(&db);
    let said: Vec<_> = lines
        .iter()
        .map(|line| line.get("restoring").is_some())
        .collect();
    assert_eq!(said, [false, true]);
    let folder = directory.path().join("folder");
    let said = output(&["backup", "-o", path(&folder)], &db);
    assert!(said.contains("10 events of 1 logs"), "{said}");
}

#[test]
fn a_damaged_backup_is_refused_before_anything_is_written() {
    let directory = TempDir::new().expect("a directory");
    let (_, folder) = backed_up(&directory);
    let other = directory.path().join("b.db");
    let frames = folder.join("loans.frames.gz");
    let whole = fs::read(&frames).expect("frames");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for wrong in [&flipped[..], &whole[..whole.len() - 1], &[]] {
        fs::write(&frames, wrong).expect("written");
        let said = failure(&["restore", path(&folder)], &other, 1);
        assert!(
            said.contains("loans.frames.gz is not what was written"),
            "{said}"
        );
    }
    fs::write(&frames, &whole).expect("written");
    let manifest = folder.join("manifest.json");
    let json = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(
        &manifest,
        json.replacen("\"position\": 2050", "\"position\": 2049", 1),
    )
    .expect("written");
    let said = failure(&["restore", path(&folder)], &other, 1);
    assert!(
        said.contains("manifest.json is not what was written"),
        "{said}"
    );
    fs::remove_file(&manifest).expect("removed");
    let said = failure(&["restore", path(&folder)], &other, 2);
    assert!(said.contains("is no backup"), "{said}");
    let said = failure(&["restore", path(directory.path())], &other, 2);
    assert!(said.contains("is no backup"), "{said}");
    let logs = run(&["stats", "--json"], &other);
    assert_eq!(text(&logs.stdout), "", "nothing was made");
}

#[test]
fn one_log_can_be_brought_back_under_another_name() {
    let directory = TempDir::new().expect("a directory");
    let (db, folder) = backed_up(&directory);
    let said = failure(&["restore", "--as", "x", path(&folder)], &db, 2);
    assert!(said.contains("--as names one log"), "{said}");
    let said = failure(&["restore", "--log", "none", path(&folder)], &db, 2);
    assert!(said.contains("it has empty, loans"), "{said}");
    let arguments = [
        "restore",
        "--log",
        "loans",
        "--as",
        "loans-before",
        path(&folder),
    ];
    output(&arguments, &db);
    let names: Vec<_> = stats(&db).iter().map(|line| line["log"].clone()).collect();
    assert_eq!(names, ["empty", "loans", "loans-before"]);
    let verified = output(&["verify"], &db);
    assert_eq!(verified.lines().count(), 3, "{verified}");
}

#[test]
fn stats_count_what_is_there() {
    let server = Server::dev();
    let (ann, ben) = (uuid(), uuid());
    server.push(
        &ann,
        &[
            commit(1, "todo/1", &json!("any")),
            commit(2, "todo/2", &json!("any")),
        ],
    );
    server.push(&ben, &[commit(1, "todo/2", &json!("any"))]);
    let line = &stats(&server.db())[0];
    for (field, expected) in [
        ("events", 3),
        ("commits", 3),
        ("streams", 2),
        ("replicas", 2),
        ("segments", 0),
    ] {
        assert_eq!(line[field], expected, "{field}");
    }
    assert_eq!(line["head"], server.get("/v1/logs/todos").json()["head"]);
    let said = output(&["stats", "--log", "todos"], &server.db());
    assert!(said.contains("3 in 3 commits over 2 streams"), "{said}");
    assert!(failure(&["stats", "--log", "none"], &server.db(), 1).contains("there is no log none"));
}

#[test]
fn an_export_that_fails_leaves_the_file_that_was_there() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("a.db");
    output(&["import", "--log", "loans", "--generate", "300"], &db);
    let file = directory.path().join("loans.ndjson");
    let export = |log: &'static str| ["export", "--log", log, "-o", path(&file)];
    output(&export("loans"), &db);
    let whole = fs::read(&file).expect("a file");
    assert_eq!(text(&whole).lines().count(), 300);
    let said = failure(&export("none"), &db, 1);
    assert!(said.contains("there is no log none"), "{said}");
    assert_eq!(fs::read(&file).expect("a file"), whole);
    output(&["import", "--log", "loans", "--generate", "301"], &db);
    output(&export("loans"), &db);
    let longer = fs::read(&file).expect("a file");
    assert_eq!(text(&longer).lines().count(), 301);
    let missing = directory.path().join("missing/loans.ndjson");
    failure(&["export", "--log", "loans", "-o", path(&missing)], &db, 2);
    let left = fs::read_dir(directory.path()).expect("a folder");
    let left = left.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        text(name.as_encoded_bytes()).contains("tidelog-export")
    });
    assert_eq!(left.count(), 0);
    // What is no file is written to as it is.
    output(&["export", "--log", "loans", "-o", "/dev/null"], &db);
    let null = fs::metadata("/dev/null").expect("the device");
    assert!(!null.is_file());
}
