//! A small app: bounded counters, titles that are done once, sets of facts that commute, seats that depend on a stream they
//! only read, and notes of a schema that older builds cannot fold.

use crate::dice::Dice;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tidelog_core::erasure::{REDACTED, TOMBSTONED};
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
    /// What was added last and is not undone.
    added: Option<i64>,
    title: String,
    done: bool,
    facts: BTreeSet<String>,
    /// It has an event that older builds cannot fold: there it refuses commands.
    newer: bool,
}

impl Row {
    fn apply(&mut self, event: &Event, id: EventId) {
        self.version = self.version.next();
        self.last = Some(id);
        let Some(data) = event.data.text() else {
            return;
        };
        self.newer |= event.schema > SchemaVersion::FIRST;
        match event.event_type.as_str() {
            "counter.added" => {
                let by = data.parse::<i64>().unwrap();
                self.count += by;
                self.added = Some(by);
            }
            "counter.undone" => {
                self.count -= data.parse::<i64>().unwrap();
                self.added = None;
            }
            "todo.renamed" | "seat.taken" | "note.written" => self.title = String::from(data),
            "todo.done" => self.done = true,
            "facts.learnt" => {
                self.facts.insert(String::from(data));
            }
            REDACTED | TOMBSTONED => {}
            other => panic!("an event that nobody wrote: {other}"),
        }
    }
}

/// Every stream's row: what is confirmed, and over it what is not.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Copies share it until one of them folds on.
    confirmed: Rc<BTreeMap<StreamId, Rc<Row>>>,
    over: BTreeMap<StreamId, Row>,
    /// An older build: it knows no notes and no schema after the first.
    pub old: bool,
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.difference(other).is_none()
    }
}

impl Rows {
    /// As an older build or the newest one sees them.
    #[must_use]
    pub fn of_build(old: bool) -> Self {
        Self {
            old,
            ..Self::default()
        }
    }

    /// A confirmed event.
    pub fn fold(&mut self, event: &Event, id: EventId) {
        let confirmed = Rc::make_mut(&mut self.confirmed);
        match confirmed.get_mut(&event.stream) {
            Some(row) => Rc::make_mut(row).apply(event, id),
            None => {
                let mut row = Row::default();
                row.apply(event, id);
                confirmed.insert(event.stream.clone(), Rc::new(row));
            }
        }
    }

    /// An event over what is confirmed.
    pub fn apply(&mut self, event: &Event, id: EventId) {
        if let Some(row) = self.over.get_mut(&event.stream) {
            return row.apply(event, id);
        }
        let row = self.confirmed.get(&event.stream);
        let mut row = row.map_or_else(Row::default, |row| Row::clone(row));
        row.apply(event, id);
        self.over.insert(event.stream.clone(), row);
    }

    fn get(&self, stream: &StreamId) -> Option<&Row> {
        let over = self.over.get(stream);
        over.or_else(|| self.confirmed.get(stream).map(Rc::as_ref))
    }

    #[must_use]
    pub fn head(&self, stream: &StreamId) -> Option<StreamHead> {
        let row = self.get(stream)?;
        let last = row.last?;
        let version = row.version;
        Some(StreamHead { version, last })
    }

    /// Every stream that has a row, those with a confirmed event first.
    pub fn streams(&self) -> impl Iterator<Item = &StreamId> {
        let fresh = self.over.keys();
        let fresh = fresh.filter(|stream| !self.confirmed.contains_key(*stream));
        self.confirmed.keys().chain(fresh)
    }

    /// Do both show the same of a stream?
    #[must_use]
    pub fn agree(&self, other: &Self, stream: &StreamId) -> bool {
        self.get(stream) == other.get(stream)
    }

    /// A stream of which others show something else, and both rows.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let mut streams = self.streams().chain(other.streams());
        let stream = streams.find(|stream| !self.agree(other, stream))?;
        let (this, that) = (self.get(stream), other.get(stream));
        Some(format!("{stream} is {this:?}, not {that:?}"))
    }

    fn row(&self, stream: &StreamId) -> Cow<'_, Row> {
        self.get(stream)
            .map_or_else(|| Cow::Owned(Row::default()), Cow::Borrowed)
    }

    /// What becomes of events that collided with others: they are kept, unless a counter would leave its bounds. The last
    /// byte of the commit's id says how merges end that could end in several ways.
    #[must_use]
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
    #[must_use]
    pub fn decide(&self, command: &Command) -> Decision {
        let refuse = |code: &str| Decision::Refused {
            code: String::from(code),
            message: format!("the counter must stay within 0 and {LIMIT}"),
        };
        let row = self.row(&command.stream);
        let args = command.args.as_str();
        let one = |name: &str| vec![event(&command.stream, name, args)];
        if self.old && row.newer {
            return refuse("unreadable");
        }
        match command.name.as_str() {
            "counter.add" => {
                let by: i64 = args.parse().unwrap();
                match row.count + by {
                    0..=LIMIT => Decision::Events(one("counter.added")),
                    _ => refuse("out_of_bounds"),
                }
            }
            "counter.undo" => match row.added {
                None => refuse("nothing_to_undo"),
                Some(by) if (0..=LIMIT).contains(&(row.count - by)) => {
                    Decision::Events(vec![event(
                        &command.stream,
                        "counter.undone",
                        &by.to_string(),
                    )])
                }
                Some(_) => refuse("out_of_bounds"),
            },
            "counter.move" => {
                let other = StreamId::new("counter/0").unwrap();
                if row.count == 0 || self.row(&other).count == LIMIT || command.stream == other {
                    return refuse("out_of_bounds");
                }
                Decision::Events(vec![
                    event(&command.stream, "counter.added", "-1"),
                    event(&other, "counter.added", "1"),
                ])
            }
            "todo.rename" if row.title == args => Decision::Events(Vec::new()),
            "todo.rename" => Decision::Events(one("todo.renamed")),
            "todo.tick" if row.done => Decision::Events(Vec::new()),
            "todo.tick" => Decision::Events(one("todo.done")),
            "facts.learn" if row.facts.contains(args) => Decision::Events(Vec::new()),
            "facts.learn" => Decision::Events(one("facts.learnt")),
            // Free while the counter that rules over seats is even; the counter itself is only read.
            "seat.take" if self.row(&seat_rule()).count % 2 == 0 => {
                Decision::Events(one("seat.taken"))
            }
            "seat.take" => refuse("closed"),
            "note.write" if !self.old => {
                let mut events = one("note.written");
                events[0].schema = SchemaVersion::new(2);
                Decision::Events(events)
            }
            _ => Decision::UnknownCommand,
        }
    }
}

/// The streams that deciding a command looks at, besides its own.
#[must_use]
pub fn reads(command: &Command) -> Vec<StreamId> {
    match command.name.as_str() {
        "counter.move" => vec![StreamId::new("counter/0").unwrap()],
        "seat.take" => vec![seat_rule()],
        _ => Vec::new(),
    }
}

/// The stream that taking a seat looks at.
#[must_use]
pub fn seat_rule() -> StreamId {
    StreamId::new("counter/0").unwrap()
}

#[must_use]
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

#[must_use]
pub fn command(stream: &StreamId, name: &str, args: &str) -> Command {
    Command {
        stream: stream.clone(),
        name: EventType::new(name).unwrap(),
        args: args.into(),
    }
}

/// How streams are named and how much there is to say.
#[derive(Debug, Clone, Copy)]
pub struct Variety {
    /// How many streams of each kind.
    pub keys: u32,
    /// Percent of keys beyond ASCII.
    pub unicode: u32,
    /// Percent of large payloads.
    pub large: u32,
}

impl Default for Variety {
    fn default() -> Self {
        Self {
            keys: 2,
            unicode: 0,
            large: 0,
        }
    }
}

impl Variety {
    fn stream(&self, dice: &mut Dice, kind: &str) -> StreamId {
        let key = dice.below(self.keys as usize);
        let name = if dice.percent(self.unicode) {
            // The same letters composed and decomposed, right to left, and beyond the basic plane: never merged.
            let exotic = ["é", "e\u{301}", "שלום", "日本", "🦀", "..", "a/b", "'\";--"];
            format!("{kind}/{}{key}", exotic[dice.below(exotic.len())])
        } else {
            format!("{kind}/{key}")
        };
        StreamId::new(name).unwrap()
    }

    fn text(&self, dice: &mut Dice, short: &str) -> String {
        if dice.percent(self.large) {
            let bytes = 1 << (8 + dice.below(8));
            return format!("\"{}{short}\"", "x".repeat(bytes));
        }
        format!("\"{short}\"")
    }

    /// Something a user might do.
    pub fn command(&self, dice: &mut Dice) -> Command {
        let (kind, name) = match dice.below(16) {
            0..5 => ("counter", "counter.add"),
            5 => ("counter", "counter.undo"),
            6..8 => ("counter", "counter.move"),
            8..10 => ("todo", "todo.rename"),
            10 => ("todo", "todo.tick"),
            11..14 => ("facts", "facts.learn"),
            14 => ("seat", "seat.take"),
            _ => ("note", "note.write"),
        };
        let args = match name {
            "counter.add" => String::from(["1", "-1", "2"][dice.below(3)]),
            "todo.rename" => {
                let title = format!("t{}", dice.below(3));
                self.text(dice, &title)
            }
            "facts.learn" => {
                let fact = format!("f{}", dice.below(9));
                self.text(dice, &fact)
            }
            "note.write" => self.text(dice, "n"),
            _ => String::from("0"),
        };
        command(&self.stream(dice, kind), name, &args)
    }

    /// An event of the kind that a stream has.
    pub fn event(&self, dice: &mut Dice) -> Event {
        let (kind, name, data) = match dice.below(3) {
            0 => ("counter", "counter.added", String::from("0")),
            1 => ("todo", "todo.renamed", format!("r{}", dice.below(5))),
            _ => ("facts", "facts.learnt", format!("g{}", dice.below(9))),
        };
        let data = match name {
            "counter.added" => data,
            _ => self.text(dice, &data),
        };
        event(&self.stream(dice, kind), name, &data)
    }
}

/// Something a user might do.
pub fn any_command(dice: &mut Dice) -> Command {
    Variety::default().command(dice)
}

/// An event of the kind that a stream has.
pub fn any_event(dice: &mut Dice) -> Event {
    Variety::default().event(dice)
}
