//! Files that are there whole or not at all, and their sums.

use super::Failure;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What was written to a file.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Adds up what goes through it.
struct Summing<T> {
    inner: T,
    sum: Sha256,
    bytes: u64,
}

impl<T> Summing<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            sum: Sha256::new(),
            bytes: 0,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.sum.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<T: Write> Write for Summing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.take(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn hex(sum: Sha256) -> String {
    sum.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(super) fn sum(bytes: &[u8]) -> String {
    hex(Sha256::new().chain_update(bytes))
}

/// The sum of a file, and its length.
pub(super) fn sum_of(path: &Path) -> io::Result<Written> {
    let (mut file, mut summing) = (File::open(path)?, Summing::new(io::sink()));
    let mut bytes = vec![0; 256 * 1024];
    loop {
        match file.read(&mut bytes)? {
            0 => break,
            read => summing.write_all(bytes.get(..read).unwrap_or_default())?,
        }
    }
    Ok(Written {
        bytes: summing.bytes,
        sha256: hex(summing.sum),
    })
}

/// A gzipped file that is being written.
pub(super) struct Writing {
    encoder: GzEncoder<Summing<BufWriter<File>>>,
    path: PathBuf,
}

impl Writing {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let file = File::create_new(path).map_err(at(path))?;
        let summing = Summing::new(BufWriter::new(file));
        Ok(Self {
            encoder: GzEncoder::new(summing, Compression::default()),
            path: path.to_owned(),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.encoder.write_all(bytes).map_err(at(&self.path))
    }

    /// Everything is on disk when it returns.
    pub(super) fn finish(self) -> Result<Written, Failure> {
        let at = at(&self.path);
        let summing = self.encoder.finish().map_err(&at)?;
        let file = summing.inner.into_inner();
        let file = file.map_err(|error| at(error.into_error()))?;
        file.sync_all().map_err(&at)?;
        Ok(Written {
            bytes: summing.bytes,
            sha256: hex(summing.sum),
        })
    }
}

/// Writes a file as it is; everything is on disk when it returns.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<Written, Failure> {
    let mut file = File::create_new(path).map_err(at(path))?;
    file.write_all(bytes).map_err(at(path))?;
    file.sync_all().map_err(at(path))?;
    Ok(Written {
        bytes: bytes.len() as u64,
        sha256: sum(bytes),
    })
}

/// Says at which file it went wrong.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::Failed(format!("{}: {error}", path.display()))
}

/// The folder that a path is in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses a path that is taken.
pub(super) fn demand_new(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(Failure::Refused(format!(
            "{} is there already; nothing is overwritten",
            path.display()
        ))),
        Err(_missing) => Ok(()),
    }
}

/// Gives a whole folder its name; both are on disk when it returns.
pub(super) fn put(folder: TempDir, path: &Path) -> Result<(), Failure> {
    let sync = |path: &Path| File::open(path).and_then(|folder| folder.sync_all());
    sync(folder.path()).map_err(at(folder.path()))?;
    demand_new(path)?;
    std::fs::rename(folder.path(), path).map_err(at(path))?;
    // What it names has moved away: there is nothing to remove.
    let _moved = folder.keep();
    sync(parent(path)).map_err(at(path))
}
