//! `tidelog stats`.

use super::backup::is_being_restored;
use super::target::Target;
use super::{Failure, output};
use crate::store::{Stats as Counted, sealed};
use clap::Args;
use serde::Serialize;
use tidelog_core::protocol::LogHead;
use tidelog_core::protocol::json::Instant;
use tidelog_core::{Epoch, LogName};

/// Count what logs hold: events, commits, streams, devices, bytes, here and in the archive, and from when to when.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog stats --db tidelog.db
  tidelog stats --db tidelog.db --log todos --json")]
pub(super) struct Stats {
    #[command(flatten)]
    target: Target,
    /// A log, as often as one likes; all of them if it is left out.
    #[arg(long = "log", value_name = "NAME")]
    logs: Vec<LogName>,
    /// A line of JSON for each log.
    #[arg(long)]
    json: bool,
}

/// A log's line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    log: LogName,
    /// Of a log that a restore fills, or has left behind when it was cut off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    restoring: bool,
    epoch: Epoch,
    head: LogHead,
    events: u64,
    commits: u64,
    streams: u64,
    replicas: u64,
    /// Of what the database holds of commits, without what is archived and without its own.
    bytes: u64,
    /// Sealed runs that are there, those of them that are kept encoded, and what these take.
    segments: u64,
    segments_kept: u64,
    segment_bytes: u64,
    /// Events whose content is in the archive, in so many objects, and what these take there.
    archived_events: u64,
    archived_objects: u64,
    archived_bytes: u64,
    oldest: Option<Instant>,
    newest: Option<Instant>,
}

impl Line {
    fn new(log: LogName, counted: &Counted) -> Self {
        let head = counted.state.head;
        Self {
            restoring: is_being_restored(&log),
            log,
            epoch: counted.state.epoch,
            head,
            events: head.position.value(),
            commits: counted.commits,
            streams: counted.streams,
            replicas: counted.replicas,
            bytes: counted.bytes,
            segments: sealed(head.position),
            segments_kept: counted.segments,
            segment_bytes: counted.segment_bytes,
            archived_events: counted.archived_events,
            archived_objects: counted.archived,
            archived_bytes: counted.archived_bytes,
            oldest: counted.oldest.map(Instant),
            newest: counted.newest.map(Instant),
        }
    }

    fn readable(&self) -> String {
        let time = |time: Option<Instant>| time.map_or_else(|| "–".into(), String::from);
        let rows = [
            ("epoch", self.epoch.to_string()),
            (
                "head",
                format!("position {}, chain {}", self.head.position, self.head.chain),
            ),
            (
                "events",
                format!(
                    "{} in {} commits over {} streams",
                    self.events, self.commits, self.streams
                ),
            ),
            ("replicas", self.replicas.to_string()),
            ("bytes", self.bytes.to_string()),
            (
                "segments",
                format!(
                    "{}, {} of them kept in {} bytes",
                    self.segments, self.segments_kept, self.segment_bytes
                ),
            ),
            (
                "archived",
                format!(
                    "{} events in {} objects of {} bytes",
                    self.archived_events, self.archived_objects, self.archived_bytes
                ),
            ),
            (
                "recorded",
                format!("{} to {}", time(self.oldest), time(self.newest)),
            ),
        ];
        let rows = rows.map(|(name, value)| format!("\n  {name:<9} {value}"));
        let restoring = match self.restoring {
            true => {
                "\n  restoring nobody sees it: a restore fills it, or was cut off and begins anew when it is asked for again"
            }
            false => "",
        };
        format!("{}{restoring}{}", self.log, rows.concat())
    }
}

impl Stats {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = super::runtime()?;
        runtime.block_on(async {
            let store = self.target.open_to_read().await?;
            let logs = match &self.logs[..] {
                [] => store.logs().await?,
                asked => asked.to_vec(),
            };
            for log in logs {
                let line = Line::new(log.clone(), &store.stats(&log).await?);
                match self.json {
                    true => output::line(serde_json::to_string(&line).map_err(Failure::failed)?),
                    false => output::line(line.readable()),
                }
            }
            Ok(())
        })
    }
}
