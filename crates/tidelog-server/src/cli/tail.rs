//! `tidelog tail`.

mod source;

use super::target::Target;
use super::{Failure, output};
use clap::Args;
use source::{Read, Source, Trouble};
use std::io::Write;
use std::time::Duration;
use tidelog_core::protocol::json::{self, Instant};
use tidelog_core::{Event, LogName, Position, Recorded, StreamId, Version};

/// How long to wait before a server that is away is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Follow a log in the terminal: a line for each event, as it comes.
///
/// It reads a database, also one that a server uses, or asks a server (--url, and --token if it needs one) as any client
/// would. It ends with Ctrl-C, or at the log's end with --no-follow.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidelog tail --db tidelog.db --log todos
  tidelog tail --url https://sync.example --log todos --kind todo --type todo.completed
  tidelog tail --db tidelog.db --log todos --from 1 --no-follow --json | jq .data")]
pub(super) struct Tail {
    #[command(flatten)]
    target: Target,
    /// Ask this server instead of reading a database: its address, without the path of a log.
    #[arg(long, value_name = "URL", conflicts_with = "db")]
    url: Option<String>,
    /// The token to ask with; give it by the variable, since arguments can be seen by others.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TIDELOG_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
    /// The log.
    #[arg(long, value_name = "NAME")]
    log: LogName,
    /// Begin with the event at this position.
    #[arg(long, value_name = "POSITION", conflicts_with = "last")]
    from: Option<u64>,
    /// Begin so many events before the end.
    #[arg(short = 'n', long, value_name = "EVENTS", default_value_t = 10)]
    last: u64,
    /// Show streams of this kind, as often as one likes.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Show this stream, as often as one likes.
    #[arg(long = "stream", value_name = "KIND/KEY")]
    streams: Vec<StreamId>,
    /// Show events of this type, as often as one likes.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// A line of JSON for each event, as in a pull.
    #[arg(long)]
    json: bool,
    /// End at the log's end instead of waiting for more.
    #[arg(long)]
    no_follow: bool,
}

impl Tail {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut source = match &self.url {
            Some(url) => Source::server(url, self.token.as_deref(), &self.log)?,
            None => Source::database(&self.target, &self.log)?,
        };
        let end = source.end().map_err(Trouble::into_failure)?;
        let first = match self.from {
            Some(first) => first.max(1),
            None => end.value().saturating_sub(self.last) + 1,
        };
        // What is asked for may not be there yet.
        let mut after = Position::new(first.saturating_sub(1)).min(end);
        let mut is_away = false;
        loop {
            match source.read(after, !self.no_follow) {
                Ok(Read { commits, end }) => {
                    if std::mem::take(&mut is_away) {
                        output::note("the server is back");
                    }
                    for recorded in &commits {
                        if !self.show(recorded, Position::new(first))? {
                            return Ok(());
                        }
                    }
                    if end == after && self.no_follow {
                        return Ok(());
                    }
                    after = end;
                }
                Err(Trouble::Passing(why)) if !self.no_follow => {
                    if !std::mem::replace(&mut is_away, true) {
                        output::note(format_args!("the server cannot be asked now: {why}"));
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(trouble) => return Err(trouble.into_failure()),
            }
        }
    }

    /// Writes the lines of a commit. `false`: nobody reads them any more.
    fn show(&self, recorded: &Recorded, first: Position) -> Result<bool, Failure> {
        let json = match self.json {
            true => json::recorded_events(recorded).map_err(Failure::failed)?,
            false => Vec::new(),
        };
        let mut lines = String::new();
        let versions = recorded.event_versions();
        for (index, (event, version)) in recorded.commit.events.iter().zip(versions).enumerate() {
            let position = recorded.position.plus(index as u64);
            if position < first || !self.wants(event) {
                continue;
            }
            match json.get(index) {
                Some(event) => {
                    lines.push_str(&serde_json::to_string(event).map_err(Failure::failed)?);
                }
                None => lines.push_str(&readable(recorded, event, version, position)),
            }
            lines.push('\n');
        }
        let mut to = std::io::stdout().lock();
        Ok(to
            .write_all(lines.as_bytes())
            .and_then(|()| to.flush())
            .is_ok())
    }

    fn wants(&self, event: &Event) -> bool {
        let anywhere = self.kinds.is_empty() && self.streams.is_empty();
        let stream = &event.stream;
        let here = self.kinds.iter().any(|kind| kind == stream.kind());
        let of_type = |name: &String| name == event.event_type.as_str();
        (anywhere || here || self.streams.contains(stream))
            && (self.types.is_empty() || self.types.iter().any(of_type))
    }
}

/// An event for people. What a terminal would take for a command is spelled out.
fn readable(recorded: &Recorded, event: &Event, version: Version, position: Position) -> String {
    let actor = recorded.actor.as_ref();
    let by = actor.map_or_else(String::new, |actor| format!("  by {actor}"));
    let line = format!(
        "{}  {position}  {}@{version}  {}  {}{by}",
        String::from(Instant(recorded.recorded_at)),
        event.stream,
        event.event_type,
        event.data.text().unwrap_or("(erased)"),
    );
    let spelled = |c: char| match c.is_control() {
        true => c.escape_unicode().to_string(),
        false => c.to_string(),
    };
    line.chars().map(spelled).collect()
}
