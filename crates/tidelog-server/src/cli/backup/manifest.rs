//! What a backup holds, and the sums that prove it.

use crate::cli::Failure;
use crate::cli::files::{self, Written};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tidelog_core::protocol::LogHead;
use tidelog_core::protocol::json::Instant;
use tidelog_core::{Epoch, LogName};

const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";
const VERSION: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Manifest {
    /// Of the backup's form.
    tidelog_backup: u32,
    made_at: Instant,
    pub(super) logs: Vec<BackedUp>,
}

/// One log of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BackedUp {
    pub(super) log: LogName,
    pub(super) file: String,
    /// The history that was copied; what is restored begins another one.
    pub(super) epoch: Epoch,
    pub(super) head: LogHead,
    pub(super) commits: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) const fn new(made_at: Instant) -> Self {
        Self {
            tidelog_backup: VERSION,
            made_at,
            logs: Vec::new(),
        }
    }

    /// Writes itself and the sums of all files, itself included.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Failure> {
        let mut json = serde_json::to_vec_pretty(self).map_err(Failure::failed)?;
        json.push(b'\n');
        let Written { sha256, .. } = files::write(&folder.join(MANIFEST), &json)?;
        let logs = self.logs.iter().map(|one| (&one.sha256, &one.file));
        let manifest = MANIFEST.to_owned();
        let sums: String = logs
            .chain([(&sha256, &manifest)])
            .map(|(sum, file)| format!("{sum}  {file}\n"))
            .collect();
        files::write(&folder.join(SUMS), sums.as_bytes())?;
        Ok(())
    }

    /// Reads the manifest of a backup and compares it with its sum.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let no_backup = |error: &dyn std::fmt::Display| {
            Failure::Refused(format!("{} is no backup: {error}", folder.display()))
        };
        let sums = std::fs::read_to_string(folder.join(SUMS)).map_err(|error| no_backup(&error))?;
        let json = std::fs::read(folder.join(MANIFEST)).map_err(|error| no_backup(&error))?;
        let expected = sums.lines().find_map(|line| {
            let (sum, file) = line.split_once("  ")?;
            (file == MANIFEST).then_some(sum)
        });
        if expected != Some(&files::sum(&json)) {
            return Err(Failure::Failed(format!(
                "{MANIFEST} is not what was written: its SHA-256 is another than in {SUMS}"
            )));
        }
        let manifest: Self = serde_json::from_slice(&json).map_err(|error| no_backup(&error))?;
        if manifest.tidelog_backup != VERSION {
            return Err(Failure::Refused(format!(
                "the backup has form {}, and this build reads form {VERSION}; use a newer tidelog",
                manifest.tidelog_backup
            )));
        }
        Ok(manifest)
    }
}
