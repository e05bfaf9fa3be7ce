//! Does the harness still work? Little data, short times, no figure held against its bar.

use serde_json::Value;
use std::process::Command;

#[test]
fn every_figure_is_measured_on_a_little() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("load.json");
    let output = Command::new(env!("CARGO_BIN_EXE_tidelog-load"))
        .args(["--smoke", "--json"])
        .arg(&file)
        .output()
        .expect("the harness runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let rows: Vec<Value> =
        serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("rows");
    let figures: Vec<_> = rows
        .iter()
        .filter_map(|row| row["figure"].as_str())
        .collect();
    for part in [
        "SQLite",
        "PostgreSQL",
        "p99",
        "catch-up",
        "idle",
        "fan-out",
        "crowd",
        "restart",
        "soak",
    ] {
        assert!(
            figures.iter().any(|figure| figure.contains(part)),
            "{part}: {figures:?}"
        );
    }
    for row in &rows {
        assert!(row["value"].is_f64(), "{row}");
        assert!(
            ["unit", "bar", "note"]
                .iter()
                .all(|field| row[field].is_string()),
            "{row}"
        );
        assert_eq!(row["ok"], Value::Null, "a smoke run judges nothing");
        if row["figure"]
            .as_str()
            .is_some_and(|figure| figure.starts_with("durable"))
        {
            assert!(row["reference"].is_f64(), "{row}");
        }
    }
    // Outcomes that no load on this machine excuses.
    let value = |part: &str| {
        let row = rows.iter().find(|row| {
            row["figure"]
                .as_str()
                .is_some_and(|figure| figure.contains(part))
        });
        row.and_then(|row| row["value"].as_f64())
    };
    assert_eq!(value("errors of a soak"), Some(0.0), "{said}");
    assert_eq!(value("connections held"), Some(100.0), "{said}");
}

#[test]
fn a_figure_that_there_is_not_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_tidelog-load"))
        .args(["--only", "pushes"])
        .output()
        .expect("the harness runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("pushes") && said.contains("push-sqlite"),
        "{said}"
    );
}
