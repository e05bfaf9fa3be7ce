//! import, export and verify.

use crate::harness::{failure, output, run, text};
use rusqlite::Connection;
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;

fn generated(directory: &TempDir) -> (PathBuf, String) {
    let db = directory.path().join("a.db");
    output(&["import", "--log", "loans", "--generate", "2050"], &db);
    let lines = output(&["export", "--log", "loans"], &db);
    (db, lines)
}

#[test]
fn import_export_and_verify_agree() {
    let directory = TempDir::new().expect("a directory");
    let (db, lines) = generated(&directory);
    assert_eq!(lines.lines().count(), 2_050);
    assert!(output(&["verify", "--log", "loans"], &db).contains("2050 events"));

    let gzipped = directory.path().join("lines.ndjson.gz");
    let file = std::fs::File::create(&gzipped).expect("a file");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(lines.as_bytes()).expect("written");
    encoder.finish().expect("written");
    let gzipped = gzipped.to_str().expect("a path");
    let other = directory.path().join("b.db");
    // Another grouping first: the same lines must be found whatever commits they were put into.
    let first = output(
        &["import", "--log", "loans", "--limit", "150", gzipped],
        &other,
    );
    assert!(first.contains("150 new, 0 already there"), "{first}");
    let second = output(&["import", "--log", "loans", gzipped], &other);
    assert!(second.contains("1900 new, 150 already there"), "{second}");
    let third = output(&["import", "--log", "loans", gzipped], &other);
    assert!(third.contains("0 new, 2050 already there"), "{third}");
    assert_eq!(output(&["export", "--log", "loans"], &other), lines);

    let frames = directory.path().join("frames");
    let path = frames.to_str().expect("a path");
    output(
        &["export", "--log", "loans", "--format", "frames", "-o", path],
        &db,
    );
    let bytes = std::fs::read(&frames).expect("frames");
    let events: u32 = tidelog_core::frame::split(&bytes)
        .expect("whole frames")
        .into_iter()
        .map(|frame| tidelog_core::frame::header(frame).expect("a header").events)
        .sum();
    assert_eq!(events, 2_050);
}

#[test]
fn a_wrong_line_is_named_and_what_came_before_it_is_stored() {
    let directory = TempDir::new().expect("a directory");
    let (_, lines) = generated(&directory);
    let lines: Vec<&str> = lines.lines().collect();
    let import = |name: &str, lines: &[&str]| {
        let file = directory.path().join(name);
        std::fs::write(&file, lines.join("\n")).expect("a file");
        let db = directory.path().join(format!("{name}.db"));
        let said = failure(
            &["import", "--log", "loans", file.to_str().expect("a path")],
            &db,
            1,
        );
        (said, output(&["verify", "--log", "loans"], &db))
    };
    let mut broken = lines.clone();
    broken[1_234] = "{\"stream\":";
    let (said, verified) = import("broken", &broken);
    assert!(
        said.contains("line 1235") && said.contains("1234 new events were committed"),
        "{said}"
    );
    assert!(verified.contains("1234 events"), "{verified}");

    let mut unknown = lines.clone();
    let extra = lines[7].replacen('{', "{\"position\":1,", 1);
    unknown[7] = &extra;
    assert!(import("unknown", &unknown).0.contains("line 8"));

    // The first line that continues a stream loses what it continues.
    let stream = |line: &str| line.split(',').next().unwrap_or_default().to_owned();
    let later = lines
        .iter()
        .position(|line| line.contains("\"version\":2"))
        .expect("a second event");
    let first = lines
        .iter()
        .position(|line| stream(line) == stream(lines[later]))
        .expect("a first");
    let mut gap = lines.clone();
    gap.remove(first);
    let (said, verified) = import("gap", &gap);
    assert!(said.contains(&format!("line {later}:")), "{said}");
    assert!(
        verified.contains(&format!("{} events", later - 1)),
        "{verified}"
    );
}

#[test]
fn a_line_that_contradicts_the_log_is_an_error() {
    let directory = TempDir::new().expect("a directory");
    let (db, lines) = generated(&directory);
    let changed = lines.replacen("\"resource\":\"", "\"resource\":\"x", 1);
    let file = directory.path().join("changed");
    std::fs::write(&file, changed).expect("a file");
    let said = failure(
        &["import", "--log", "loans", file.to_str().expect("a path")],
        &db,
        1,
    );
    assert!(
        said.contains("line 1") && said.contains("another event"),
        "{said}"
    );
}

#[test]
fn verify_names_the_first_bad_position() {
    let directory = TempDir::new().expect("a directory");
    let (db, _) = generated(&directory);
    for (sql, position) in [
        (
            "UPDATE commits SET frame = CAST(substr(frame, 1, length(frame) - 1) || '!' AS BLOB) WHERE first = 501",
            501,
        ),
        (
            "UPDATE commits SET actor = 'somebody' WHERE first = 501",
            501,
        ),
        (
            "UPDATE commits SET chain = zeroblob(32) WHERE first = 501",
            501,
        ),
        ("UPDATE commits SET seq = 9999 WHERE first = 501", 501),
        ("DELETE FROM commits WHERE first = 501", 501),
        ("DELETE FROM stream_commits WHERE position = 501", 501),
        (
            "UPDATE streams SET version = version + 1 WHERE id = 1",
            2_051,
        ),
        ("UPDATE logs SET head = head - 1", 2_051),
        ("UPDATE logs SET chain = zeroblob(32)", 2_051),
    ] {
        let copy = directory.path().join("copy.db");
        std::fs::copy(&db, &copy).expect("a copy");
        let changed = Connection::open(&copy)
            .expect("a database")
            .execute(sql, [])
            .expect("changed");
        assert!(changed > 0, "{sql}");
        let said = failure(&["verify", "--log", "loans"], &copy, 1);
        assert!(
            said.contains(&format!("at position {position}:")),
            "{sql}: {said}"
        );
    }
}

#[test]
fn verify_sees_an_index_that_has_lost_a_stream() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("a.db");
    output(&["import", "--log", "loans", "--generate", "100"], &db);
    let (page, size, name): (u32, u32, String) = Connection::open(&db)
        .expect("a database")
        .query_row(
            "SELECT rootpage, (SELECT page_size FROM pragma_page_size), (SELECT name FROM streams LIMIT 1)
             FROM sqlite_schema WHERE name = 'sqlite_autoindex_streams_1'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .expect("an index");
    let mut bytes = std::fs::read(&db).expect("a file");
    let start = usize::try_from((page - 1) * size).expect("a place");
    let end = start + usize::try_from(size).expect("a size");
    let at = bytes[start..end]
        .windows(name.len())
        .position(|found| found == name.as_bytes())
        .expect("its name");
    bytes[start + at + name.len() - 1] ^= 0x40;
    std::fs::write(&db, bytes).expect("written");
    let said = failure(&["verify"], &db, 1);
    assert!(said.contains("missing from index"), "{said}");
    assert!(said.contains("tidelog backup"), "{said}");
}

#[test]
fn what_is_not_there_is_said() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("missing.db");
    for command in ["verify", "export"] {
        let output = run(&[command, "--log", "loans"], &missing);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(!missing.exists());
    }
    let (db, _) = generated(&directory);
    assert!(failure(&["verify", "--log", "none"], &db, 1).contains("there is no log none"));
    let foreign = directory.path().join("foreign.db");
    std::fs::write(&foreign, "this is a text").expect("a file");
    let said = failure(&["verify", "--log", "loans"], &foreign, 1);
    assert!(said.contains("foreign.db: "), "{said}");
    let nowhere = directory.path().join("nowhere");
    for command in [
        &["serve", "--dev"][..],
        &["verify"],
        &["import", "--log", "a", "--generate", "1"],
    ] {
        let said = failure(command, directory.path(), 2);
        assert!(said.contains("is a folder"), "{said}");
        let said = failure(command, &nowhere.join("a.db"), 2);
        assert!(said.contains("there is no folder"), "{said}");
    }
    let to = directory.path().join("archive");
    let archive = ["archive", "none", "--keep", "0", "--to"];
    let archive = [&archive[..], &[to.to_str().expect("a path")]].concat();
    failure(&archive, &missing, 2);
    assert!(failure(&archive, &db, 1).contains("there is no log none"));
    assert!(!to.exists(), "a folder was made for nothing");
    std::fs::write(&to, "a file").expect("a file");
    let archive = [&archive[..1], &["loans"], &archive[2..]].concat();
    assert!(failure(&archive, &db, 2).contains("is a file, and an archive is a folder"));
    let backup = nowhere.join("backup");
    let backup = ["backup", "-o", backup.to_str().expect("a path")];
    assert!(failure(&backup, &db, 2).contains("nowhere"));
}

#[test]
fn an_option_that_cannot_work_is_refused_with_one_that_can() {
    let directory = TempDir::new().expect("a directory");
    let db = directory.path().join("a.db");
    for (option, value, says) in [
        ("--listen", "localhost", "such as 127.0.0.1:8080"),
        ("--metrics-listen", "9090", "such as 127.0.0.1:8080"),
        ("--allow-origin", "*", "an origin is https://app.example"),
        (
            "--allow-origin",
            "app.example",
            "an origin is https://app.example",
        ),
        (
            "--allow-origin",
            "https://app.example/",
            "nothing behind it",
        ),
        ("--allow-origin", "https://App.example", "in small letters"),
    ] {
        let said = failure(&["serve", "--dev", option, value], &db, 2);
        assert!(said.contains(says), "{option} {value}: {said}");
    }
    let redact = ["redact", "loans", "person/1", "--reason", "asked"];
    let said = failure(&redact, &db, 2);
    assert!(said.contains("--versions <RANGES>|--all"), "{said}");
    let archive = ["archive", "loans", "--to", "a", "--before", "31.01.2026"];
    assert!(failure(&archive, &db, 2).contains("give a day, 2026-01-31"));
    let config = directory.path().join("tidelog.toml");
    std::fs::write(&config, "dev = true\nlog = ['a/b']").expect("a file");
    let config = config.to_str().expect("a path");
    let said = failure(&["serve", "--config", config], &db, 2);
    assert!(
        said.contains("options are in") && said.contains("tidelog.toml"),
        "{said}"
    );
    assert!(!db.exists());
}
