//! Where lines come from.

use crate::cli::generate::Applications;
use crate::cli::ndjson::Line;
use crate::cli::progress::Progress;
use flate2::read::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};
use tidelog_core::{Event, Version};

/// The longest line: a commit's cap and room for escapes.
const MAX_LINE: u64 = 8 * 1024 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A line that was read and understood.
#[derive(Debug)]
pub(super) struct Numbered {
    /// Which line, from 1.
    pub(super) line: usize,
    pub(super) event: Event,
    pub(super) version: Version,
}

/// Why an import cannot go on, with the line it is about.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {wrong}")]
pub(super) struct LineError {
    pub(super) line: usize,
    pub(super) wrong: String,
}

/// Lines, one after the other.
pub(super) struct Source {
    lines: Box<dyn Iterator<Item = io::Result<Vec<u8>>>>,
    line: usize,
}

impl Source {
    pub(super) fn generated(events: usize) -> Self {
        let lines = Applications::default()
            .take(events)
            .map(|line| Ok(line.into_bytes()));
        Self {
            lines: Box::new(lines),
            line: 0,
        }
    }

    /// Lines of a file, gzipped or not: its first bytes tell.
    pub(super) fn open(file: impl Read + 'static, progress: &Progress) -> io::Result<Self> {
        let mut bytes = BufReader::with_capacity(256 * 1024, progress.bar().wrap_read(file));
        let is_gzip = bytes.fill_buf()?.starts_with(&GZIP_MAGIC);
        let lines: Box<dyn BufRead> = match is_gzip {
            true => Box::new(BufReader::with_capacity(
                256 * 1024,
                MultiGzDecoder::new(bytes),
            )),
            false => Box::new(bytes),
        };
        Ok(Self {
            lines: Box::new(Lines(lines)),
            line: 0,
        })
    }
}

impl Iterator for Source {
    type Item = Result<Numbered, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.line += 1;
            let line = self.line;
            let wrong = |wrong: String| LineError { line, wrong };
            let parsed = match self.lines.next()? {
                Err(error) => Err(wrong(format!("cannot be read: {error}"))),
                Ok(bytes) if bytes.trim_ascii().is_empty() => continue,
                Ok(bytes) => std::str::from_utf8(&bytes)
                    .map_err(|error| wrong(error.to_string()))
                    .and_then(|text| Line::parse(text).map_err(wrong)),
            };
            return Some(parsed.map(|(event, version)| Numbered {
                line,
                event,
                version,
            }));
        }
    }
}

/// Lines that cannot fill the memory.
struct Lines(Box<dyn BufRead>);

impl Iterator for Lines {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match self.0.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") => Some(Err(
                io::Error::other(format!("longer than {MAX_LINE} bytes")),
            )),
            Ok(_) => Some(Ok(line)),
            Err(error) => Some(Err(error)),
        }
    }
}
