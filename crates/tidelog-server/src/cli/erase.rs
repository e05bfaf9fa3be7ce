//! `tidelog redact` and `tidelog tombstone`.

use super::target::Target;
use super::{Failure, output};
use crate::store::{Erase, ErasureRecord, LogStore, Versions};
use clap::{ArgGroup, Args};
use tidelog_core::erasure::{Reason, VersionRange};
use tidelog_core::{LogName, StreamId, Subject, Version};

/// Erase payloads of a stream for good, and say so in the log.
///
/// What stays: positions, versions, ids, types, times, tags and the hash chain, so that every copy of the log can still be verified. The
/// log gets an event of the type `tidelog.redacted`, and each device that reads it erases the same payloads of its own copy. It cannot be
/// undone, and it can be asked for again without harm. A server may go on with the same database meanwhile.
///
/// Out of reach are copies that nobody tells: backups, archived write-ahead logs, devices that never come back, and what people copied.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("which").required(true),
    after_help = "\
Examples:
  tidelog redact --db tidelog.db loans person/4711 --all --reason 'asked by the person, 2026-03-01'
  tidelog redact --db tidelog.db loans person/4711 --versions 3-4,7 --reason 'an address in a comment'"
)]
pub(super) struct Redact {
    #[command(flatten)]
    what: What,
    /// The versions whose payloads go, such as `3-4,7`.
    #[arg(
        long,
        value_name = "RANGES",
        value_parser = ranges,
        group = "which"
    )]
    versions: Option<Ranges>,
    /// Erase the payloads of all events that the stream has.
    #[arg(long, group = "which")]
    all: bool,
}

/// Close a stream for ever: nothing is appended to it again.
///
/// The log gets an event of the type `tidelog.tombstoned`. Whoever appends to the stream afterwards is refused with `stream_tombstoned`;
/// what is there stays and can be read, unless --redact erases it too. It cannot be undone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog tombstone --db tidelog.db loans person/4711 --reason 'left'
  tidelog tombstone --db tidelog.db loans person/4711 --redact --reason 'asked by the person, 2026-03-01'")]
pub(super) struct Tombstone {
    #[command(flatten)]
    what: What,
    /// Erase the payloads of all its events, too.
    #[arg(long)]
    redact: bool,
}

/// Which stream, and why.
#[derive(Debug, Args)]
struct What {
    #[command(flatten)]
    target: Target,
    /// The log.
    #[arg(value_name = "LOG")]
    log: LogName,
    /// The stream.
    #[arg(value_name = "KIND/KEY")]
    stream: StreamId,
    /// Why. It stays in the log, where everybody reads it: do not repeat what is to be erased.
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    /// Who erases, as the log shall name them; nobody if it is left out.
    #[arg(long = "as", value_name = "SUBJECT")]
    actor: Option<Subject>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Ranges(Vec<VersionRange>);

/// `3-4,7`.
fn ranges(text: &str) -> Result<Ranges, String> {
    let range = |part: &str| -> Option<VersionRange> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let version = |text: &str| Some(Version::new(text.trim().parse().ok()?));
        let (first, last) = (version(first)?, version(last)?);
        (first > Version::NONE && first <= last).then_some(VersionRange { first, last })
    };
    let ranges: Option<Vec<VersionRange>> = text.split(',').map(range).collect();
    ranges
        .map(Ranges)
        .ok_or_else(|| "give versions from 1 and ranges of them, such as 3-4,7".into())
}

impl Redact {
    pub(super) fn run(self) -> Result<(), Failure> {
        let versions = match self.versions {
            Some(Ranges(ranges)) => Versions::Ranges(ranges),
            None => Versions::All,
        };
        self.what.erase(versions, false)
    }
}

impl Tombstone {
    pub(super) fn run(self) -> Result<(), Failure> {
        let versions = match self.redact {
            true => Versions::All,
            false => Versions::None,
        };
        self.what.erase(versions, true)
    }
}

impl What {
    fn erase(self, versions: Versions, tombstone: bool) -> Result<(), Failure> {
        let runtime = super::runtime()?;
        let store = runtime.block_on(self.target.open_existing())?;
        let erased = runtime.block_on(store.erase(Erase {
            log: self.log.clone(),
            stream: self.stream.clone(),
            versions,
            tombstone,
            reason: self.reason,
            actor: self.actor,
        }))?;
        match &erased.record {
            Some(record) => output::line(format_args!(
                "log {}: {}, at position {}",
                self.log,
                told(record),
                record.position
            )),
            None => output::line(format_args!(
                "log {}: nothing left to do for {}",
                self.log, self.stream
            )),
        }
        Ok(())
    }
}

/// What an erasure did, in words.
pub(super) fn told(record: &ErasureRecord) -> String {
    let events: u64 = record
        .versions
        .iter()
        .map(|range| range.last.value() - range.first.value() + 1)
        .sum();
    let ranges: Vec<String> = record.versions.iter().map(range).collect();
    let payloads = match events {
        1 => "payload".to_owned(),
        _ => format!("{events} payloads"),
    };
    let redacted = (events > 0).then(|| format!("{payloads} erased ({})", ranges.join(",")));
    let closed = record.tombstoned.then(|| "closed".to_owned());
    let done: Vec<String> = redacted.into_iter().chain(closed).collect();
    format!("{} {}", record.stream, done.join(", "))
}

fn range(range: &VersionRange) -> String {
    match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    }
}

#[cfg(test)]
mod tests {
    use super::{range, ranges};

    #[test]
    fn ranges_are_read_as_they_are_shown() {
        let read = |text| ranges(text).map(|found| found.0.iter().map(range).collect::<Vec<_>>());
        assert_eq!(read("3-4,7"), Ok(vec!["3-4".into(), "7".into()]));
        for wrong in ["", "0", "4-3", "3-", "a", "1,,2", "-1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
