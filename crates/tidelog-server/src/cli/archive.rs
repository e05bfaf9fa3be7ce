//! `tidelog archive`.

use super::progress::Progress;
use super::target::{Target, archive};
use super::{Failure, output};
use crate::store::{ArchiveAddress, Archiving, LogStore, Moved, SEGMENT_EVENTS, Wanted};
use clap::{ArgGroup, Args};
use tidelog_core::protocol::json::Instant;
use tidelog_core::{LogName, Position, Timestamp};

/// Move the older history of a log out of the database, to files in a folder or an S3-compatible bucket.
///
/// Everything can be read as before: pulls, streams, exports, backups and `verify` take it from there. For that every server and command
/// of this database needs --archive (or TIDELOG_ARCHIVE) from then on, so start the servers with it first.
///
/// It moves whole segments of 16384 positions, oldest first, and can run beside servers. Each is put, read back and compared before its
/// events leave the database, in one transaction; so it may be ended at any moment, and run again to go on. Logs can be archived at the same
/// time. Of two that archive one log at once, or beside an erasure, one may stop and say "run it again"; nothing is lost or moved twice.
///
/// An archive belongs to one database, as the tidelog-archive.json in it says: back up both, and copy that file with the rest. A database
/// that was restored by `tidelog restore` gets an archive of its own. What is archived can be appended to and its commits are still
/// recognised: only their content moves.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("wanted").required(true),
    after_help = "\
Examples:
  tidelog archive --db tidelog.db todos --to /mnt/history --before 2026-01-01
      What was recorded before this year.
  tidelog archive --db tidelog.db todos --to /mnt/history --keep 1000000 --shrink
      All but the newest million events, and make the file smaller.
  TIDELOG_STORE=postgres://tidelog@db.internal/tidelog TIDELOG_ARCHIVE=s3://history/tidelog tidelog archive todos --keep 0
      All that is sealed, to a bucket."
)]
pub(super) struct Archive {
    #[command(flatten)]
    target: Target,
    /// The log.
    #[arg(value_name = "LOG")]
    log: LogName,
    /// The archive: a folder, which is made if it is missing, or s3://bucket/folder. Always the same one for a database.
    #[arg(long, value_name = "URL", conflicts_with = "archive")]
    to: Option<ArchiveAddress>,
    /// Segments whose events were all recorded before this day or moment (UTC): 2026-01-31, or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "DATE", group = "wanted", value_parser = moment)]
    before: Option<Timestamp>,
    /// All segments but those of the newest events, so many at least.
    #[arg(long, value_name = "EVENTS", group = "wanted")]
    keep: Option<u64>,
    /// Then give the space back: an SQLite file gets smaller, which needs as much space again and keeps writers waiting meanwhile;
    /// PostgreSQL runs VACUUM. Without it, the space is for what is new.
    #[arg(long)]
    shrink: bool,
}

/// A day, which begins at midnight, or a moment.
fn moment(text: &str) -> Result<Timestamp, String> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00.000Z"),
        _ => text.to_owned(),
    };
    let parsed = Instant::try_from(whole);
    let parsed = parsed.map_err(|error| {
        format!("give a day, 2026-01-31, or a moment, 2026-01-31T12:00:00Z: {error}")
    })?;
    Ok(parsed.0)
}

impl Archive {
    pub(super) fn run(self) -> Result<(), Failure> {
        let wanted = match (self.before, self.keep) {
            (Some(before), _) => Wanted::Before(before),
            (None, keep) => Wanted::Keeping(keep.unwrap_or_default()),
        };
        let address = self.to.as_ref().or(self.target.archive());
        let Some(address) = address else {
            return Err(Failure::Refused(
                "to where? Give --to with a folder or s3://bucket/folder".into(),
            ));
        };
        super::runtime()?.block_on(async {
            // Without --archive: the folder that it names may be the one to make.
            let store = self.target.open_existing_alone().await?;
            let head = store.state(&self.log).await?.head.position;
            // No folder is made for a database or a log that is not there.
            if let ArchiveAddress::Folder(path) = address {
                if path.is_file() {
                    let path = path.display();
                    return Err(Failure::Refused(format!(
                        "{path} is a file, and an archive is a folder"
                    )));
                }
                std::fs::create_dir_all(path)
                    .map_err(|error| Failure::Refused(format!("{}: {error}", path.display())))?;
            }
            let store = store.with_archive(archive(address)?);
            let progress = Progress::of_events(head.value());
            let mut through = Position::START;
            let moved = store.archive(&self.log, wanted, |now| {
                let events = now.value().saturating_sub(through.value());
                progress.done(usize::try_from(events).unwrap_or(usize::MAX));
                through = now;
            });
            let moved = moved.await;
            progress.finish();
            let moved = moved?;
            if self.shrink {
                store.shrink().await?;
            }
            output::line(self.said(&moved, head));
            Ok(())
        })
    }

    fn said(&self, moved: &Moved, head: Position) -> String {
        let Moved {
            runs,
            events,
            freed,
            put,
            through,
            strays,
            ..
        } = moved;
        let left = head.value().saturating_sub(through.value());
        let mut said = format!(
            "log {}: {events} events moved in {runs} objects of {put} bytes, {freed} bytes freed; archived up to position {through}, \
             {left} events are in the database",
            self.log
        );
        if *events == 0 && left < SEGMENT_EVENTS {
            said.push_str(" (less than a segment)");
        }
        if *freed > 0 && !self.shrink {
            said.push_str("; the space is for what is new, and --shrink gives it back");
        }
        if *strays > 0 {
            said.push_str(&format!(
                "; {strays} objects of runs that ended in the middle were removed"
            ));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn a_day_begins_at_midnight() {
        let day = moment("2026-01-31");
        assert!(day.is_ok());
        assert_eq!(day, moment("2026-01-31T00:00:00.000Z"));
        for wrong in ["", "2026-13-01", "yesterday", "31.01.2026"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
