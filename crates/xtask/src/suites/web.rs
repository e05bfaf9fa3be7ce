//! TypeScript: style, types and unit tests; the protocol from outside; the package as consumed.

use crate::project::Project;
use crate::run::{command, tee};
use crate::tally::{self, Tally};
use crate::{Outcome, build, setup};

/// Biome and the types of each npm workspace (one check each), then the unit tests.
pub(crate) fn ts(project: &Project, extra: &[String]) -> Outcome<Tally> {
    setup::for_build(project)?;
    build::package(project)?;
    let mut tally = Tally::default();
    if extra.is_empty() {
        let biome = tee(command(
            &project.root,
            "node_modules/.bin/biome",
            ["ci", "--error-on-warnings"],
        ))?;
        tally.add(Tally::one(biome.success));
        for workspace in ["js", "www", "tests"] {
            let types = ["run", "--silent", "check", "-w", workspace];
            tally.add(Tally::one(
                tee(command(&project.root, "npm", types))?.success,
            ));
        }
    }
    for workspace in ["js", "www"] {
        let vitest = project.path("node_modules/.bin/vitest");
        let mut unit = command(&project.path(workspace), vitest, ["run"]);
        if workspace == "js" {
            unit.arg("--typecheck");
        }
        let heard = tee({
            unit.args(extra);
            unit
        })?;
        tally.add(tally::vitest(&heard.text).judged(heard.success));
        if !extra.is_empty() {
            break;
        }
    }
    Ok(tally)
}

/// The HTTP protocol against the server binary, by plain `fetch`.
pub(crate) fn protocol(project: &Project, extra: &[String]) -> Outcome<Tally> {
    setup::for_build(project)?;
    let server = build::server(project, false)?;
    let mut node = node_test(project, "protocol", extra)?;
    node.env("TIDELOG_SERVER", server);
    let heard = tee(node)?;
    Ok(tally::tap(&heard.text).judged(heard.success))
}

/// `tidelog conformance` against every server of the protocol that there is here, or those named in `extra`.
pub(crate) fn conformance(project: &Project, extra: &[String]) -> Outcome<Tally> {
    setup::postgres(project)?;
    let words = [
        "test",
        "-p",
        "tidelog-server",
        "--test",
        "conformance",
        "--",
    ];
    let mut cargo = command(&project.root, "cargo", words);
    cargo.args(extra);
    let heard = tee(cargo)?;
    Ok(tally::last_line(&heard.text).judged(heard.success))
}

/// The packed npm package in fresh consumers.
pub(crate) fn packaging(project: &Project, extra: &[String]) -> Outcome<Tally> {
    setup::all(project)?;
    build::package(project)?;
    let heard = tee(node_test(project, "packaging", extra)?)?;
    Ok(tally::tap(&heard.text).judged(heard.success))
}

/// `node --test` over the files of a folder below `tests`. They are listed here because Node 20
/// takes neither a folder nor a glob.
fn node_test(project: &Project, folder: &str, extra: &[String]) -> Outcome<std::process::Command> {
    let path = project.path("tests").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|file| file.to_string_lossy().ends_with(".spec.mjs"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("there is no *.spec.mjs in {}", path.display()));
    }
    let mut node = command(
        &project.path("tests"),
        "node",
        ["--test", "--test-reporter=tap"],
    );
    node.args(extra).args(files);
    Ok(node)
}
