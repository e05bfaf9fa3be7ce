//! A small app: bounded counters, titles, and sets of facts that commute.

use crate::dice::Dice;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::replica::Decision;
use tidelog_core::{
    Command, Event, EventId, EventType, Meta, Payload, SchemaVersion, StreamHead, StreamId,
    Timestamp, Version,
};

const LIMIT: i64 = 6;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    pub version: Version,
    pub last: Option<EventId>,
    count: i64,
    title: String,
    facts: BTreeSet<String>,
}

/// Every stream's row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows(pub BTreeMap<StreamId, Row>);

impl Rows {
    pub fn apply(&mut self, event: &Event, id: EventId) {
        let row = self.0.entry(event.stream.clone()).or_default();
        row.version = row.version.next();
        row.last = Some(id);
        let data = event.data.text().unwrap_or_default();
        match event.event_type.as_str() {
            "counter.added" => row.count += data.parse::<i64>().unwrap(),
            "todo.renamed" => row.title = String::from(data),
            "facts.learnt" => {
                row.facts.insert(String::from(data));
            }
            other => panic!("an event that nobody wrote: {other}"),
        }
    }

    pub fn head(&self, stream: &StreamId) -> Option<StreamHead> {
        let row = self.0.get(stream)?;
        let last = row.last?;
        let version = row.version;
        Some(StreamHead { version, last })
    }

    fn row(&self, stream: &StreamId) -> Row {
        self.0.get(stream).cloned().unwrap_or_default()
    }

    /// What becomes of events that collided with others: they are kept, unless a counter would leave its bounds.
    pub fn merge(&self, events: Vec<Event>, id: EventId) -> Decision {
        let mut merged = self.clone();
        for event in &events {
            merged.apply(event, id);
        }
        let out_of_bounds = |event: &Event| !(0..=LIMIT).contains(&merged.row(&event.stream).count);
        match id.commit.as_bytes()[15] % 4 {
            0 => Decision::Ask,
            1 => Decision::Events(Vec::new()),
            _ if events.iter().any(out_of_bounds) => Decision::Ask,
            _ => Decision::Events(events),
        }
    }

    /// What a command causes here.
    pub fn decide(&self, command: &Command) -> Decision {
        let refuse = |code: &str| Decision::Refused {
            code: String::from(code),
            message: format!("the counter must stay within 0 and {LIMIT}"),
        };
        let row = self.row(&command.stream);
        let args = command.args.as_str();
        let one = |name: &str| vec![event(&command.stream, name, args)];
        match command.name.as_str() {
            "counter.add" => {
                let by: i64 = args.parse().unwrap();
                match row.count + by {
                    0..=LIMIT => Decision::Events(one("counter.added")),
                    _ => refuse("out_of_bounds"),
                }
            }
            "counter.move" => {
                let other = StreamId::new("counter/0").unwrap();
                if row.count == 0 || self.row(&other).count == LIMIT {
                    return refuse("out_of_bounds");
                }
                Decision::Events(vec![
                    event(&command.stream, "counter.added", "-1"),
                    event(&other, "counter.added", "1"),
                ])
            }
            "todo.rename" if row.title == args => Decision::Events(Vec::new()),
            "todo.rename" => Decision::Events(one("todo.renamed")),
            "facts.learn" if row.facts.contains(args) => Decision::Events(Vec::new()),
            "facts.learn" => Decision::Events(one("facts.learnt")),
            _ => Decision::UnknownCommand,
        }
    }
}

pub fn event(stream: &StreamId, name: &str, data: &str) -> Event {
    Event {
        stream: stream.clone(),
        event_type: EventType::new(name).unwrap(),
        schema: SchemaVersion::FIRST,
        data: Payload::json(data),
        occurred_at: Timestamp::from_millis(0),
        tags: Vec::new(),
        meta: Meta::default(),
    }
}

pub fn command(stream: &StreamId, name: &str, args: &str) -> Command {
    Command {
        stream: stream.clone(),
        name: EventType::new(name).unwrap(),
        args: args.into(),
    }
}

/// Something a user might do.
pub fn any_command(dice: &mut Dice) -> Command {
    let key = dice.below(2);
    let (kind, name, args) = match dice.below(8) {
        0..3 => (
            "counter",
            "counter.add",
            String::from(["1", "-1", "2"][dice.below(3)]),
        ),
        3 => ("counter", "counter.move", String::from("0")),
        4..6 => ("todo", "todo.rename", format!("\"t{}\"", dice.below(3))),
        _ => ("facts", "facts.learn", format!("\"f{}\"", dice.below(9))),
    };
    let key = if name == "counter.move" { 1 } else { key };
    command(
        &StreamId::new(format!("{kind}/{key}")).unwrap(),
        name,
        &args,
    )
}

/// An event of the kind that a stream has.
pub fn any_event(dice: &mut Dice) -> Event {
    let key = dice.below(2);
    let (kind, name, data) = match dice.below(3) {
        0 => ("counter", "counter.added", String::from("0")),
        1 => ("todo", "todo.renamed", format!("\"r{}\"", dice.below(5))),
        _ => ("facts", "facts.learnt", format!("\"g{}\"", dice.below(9))),
    };
    event(
        &StreamId::new(format!("{kind}/{key}")).unwrap(),
        name,
        &data,
    )
}
