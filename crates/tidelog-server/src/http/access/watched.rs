//! A file that is read again when it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Stamp = Option<(SystemTime, u64)>;

/// What a file says, as it was last fit for use: one that cannot be read any more changes nothing, and the log says so.
pub(super) struct Watched<T> {
    file: Option<PathBuf>,
    current: Mutex<Current<T>>,
}

struct Current<T> {
    value: Arc<T>,
    stamp: Stamp,
    looked: Instant,
}

impl<T> Watched<T> {
    /// What stays as it is.
    pub(super) fn fixed(value: T) -> Self {
        Self::new(None, None, value)
    }

    /// What this file says.
    pub(super) fn file<E: From<std::io::Error>>(
        file: &Path,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Self, E> {
        // Before it is read: a change after this is seen at the next look.
        let stamp = stamp(file);
        let value = parse(&fs::read_to_string(file)?)?;
        Ok(Self::new(Some(file.to_owned()), stamp, value))
    }

    fn new(file: Option<PathBuf>, stamp: Stamp, value: T) -> Self {
        let current = Mutex::new(Current {
            value: Arc::new(value),
            stamp,
            looked: Instant::now(),
        });
        Self { file, current }
    }

    /// What counts now.
    pub(super) fn get<E: From<std::io::Error> + std::fmt::Display>(
        &self,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Arc<T> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &self.file
            && current.looked.elapsed() >= LOOK_AGAIN
        {
            current.looked = Instant::now();
            let stamp = stamp(file);
            if stamp != current.stamp {
                current.stamp = stamp;
                let read = fs::read_to_string(file).map_err(E::from);
                match read.and_then(|text| parse(&text)) {
                    Ok(value) => current.value = Arc::new(value),
                    Err(error) => {
                        let file = file.display();
                        tracing::error!(%file, %error, "the file is not fit for use; what it said before stays");
                    }
                }
            }
        }
        Arc::clone(&current.value)
    }
}

/// What tells that a file is another than it was.
fn stamp(file: &Path) -> Stamp {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
