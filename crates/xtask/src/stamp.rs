//! Whether a step's inputs changed since it last succeeded.
//!
//! A stamp is the hash of the contents of every input. Contents, not times: a fresh clone, a
//! switched branch or a touched file must not lie. It is written only after the step succeeded.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::project::Project;
use crate::run::say;

/// Folders that hold results, never inputs.
const RESULTS: [&str; 5] = ["node_modules", "dist", "target", ".vite", "test-results"];

/// Runs `step` unless the contents of `inputs` are those of its last success and `output` is there.
pub(crate) fn unless_fresh(
    project: &Project,
    name: &str,
    inputs: &[PathBuf],
    output: &Path,
    step: impl FnOnce() -> Outcome,
) -> Outcome {
    let file = project.data().join("stamps").join(name);
    let now = hash(inputs)?;
    if output.exists() && fs::read_to_string(&file).is_ok_and(|before| before == now) {
        say(&format!("{name}: up to date"));
        return Ok(());
    }
    step()?;
    let folder = file.parent().unwrap_or(&project.root);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, now))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))
}

fn hash(inputs: &[PathBuf]) -> Outcome<String> {
    let mut hasher = DefaultHasher::new();
    for input in inputs {
        add(input, &mut hasher).map_err(|error| format!("{}: {error}", input.display()))?;
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Adds the file `path`, or every file below the folder `path`; a missing path counts as such.
fn add(path: &Path, hasher: &mut DefaultHasher) -> std::io::Result<()> {
    path.hash(hasher);
    if path.is_dir() {
        let mut children: Vec<PathBuf> = fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?;
        children.sort();
        for child in children {
            let named = child.file_name().and_then(|name| name.to_str());
            if !named.is_some_and(|name| RESULTS.contains(&name)) {
                add(&child, hasher)?;
            }
        }
    } else if path.is_file() {
        fs::read(path)?.hash(hasher);
    }
    Ok(())
}
