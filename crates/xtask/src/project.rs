//! Where things are: the checkout and cargo's target directory.

use std::env;
use std::path::{Path, PathBuf};

use crate::Outcome;

/// The checkout this program was started in.
#[derive(Debug)]
pub(crate) struct Project {
    /// The folder that holds the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo writes: `CARGO_TARGET_DIR`, else `target/` of the checkout.
    pub(crate) target: PathBuf,
}

impl Project {
    /// The checkout above the current folder, so that commands work from any folder inside it.
    pub(crate) fn find() -> Outcome<Self> {
        let here = env::current_dir().map_err(|error| format!("no current folder: {error}"))?;
        let root = here
            .ancestors()
            .find(|folder| folder.join("crates/xtask/Cargo.toml").is_file())
            .ok_or("run this inside a checkout of Tidelog")?
            .to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    /// A path of the checkout.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The binary `name` as cargo's `profile` folder (`debug`, `release`) has it.
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }

    /// The data folder of the demo: databases and stamps, never committed.
    pub(crate) fn data(&self) -> PathBuf {
        self.path(".data")
    }
}
