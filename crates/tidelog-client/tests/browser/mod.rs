//! What the browser tests share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses some of it, and is a crate of its own"
)]

pub mod disk;

use gloo_timers::future::TimeoutFuture;
use std::cell::RefCell;
use std::rc::Rc;
use tidelog_client::{Log, Options, RecordedEvent, Retain, TAKE_OVER_MILLIS, new_commit_id};
use tidelog_core::replica::{Draft, Notice};
use tidelog_core::store::{Direction, Durability};
use tidelog_core::{
    Event, EventType, Filter, LogName, Meta, Payload, Policy, Position, SchemaVersion, StreamId,
    Subject, Tag, Timestamp,
};

/// A name that no other test and no earlier run has used.
pub fn fresh() -> String {
    format!("test-{}", new_commit_id())
}

pub fn options(log: &str) -> Options {
    Options {
        log: LogName::new(log).unwrap(),
        user: Subject::new("tester").unwrap(),
        url: None,
        token: None,
        filter: Filter::default(),
        detached: false,
        take_over_after: TAKE_OVER_MILLIS,
        durability: Durability::Strict,
        retain: Retain::All,
        snapshots: true,
        folds: vec![],
        wake: Rc::new(|| {}),
    }
}

/// An open log whose notices are all taken.
pub struct Tab {
    pub log: Log,
    pub notices: Rc<RefCell<Vec<Notice>>>,
}

impl Tab {
    pub async fn open(log: &str) -> Self {
        Self::with(options(log)).await
    }

    pub async fn with(options: Options) -> Self {
        Self::try_with(options).await.unwrap()
    }

    pub async fn try_with(mut options: Options) -> Result<Self, tidelog_client::ClientError> {
        let held: Rc<RefCell<Option<Log>>> = Rc::default();
        let notices: Rc<RefCell<Vec<Notice>>> = Rc::default();
        let (log, told) = (Rc::clone(&held), Rc::clone(&notices));
        options.wake = Rc::new(move || {
            let log = log.borrow().clone();
            while let Some(notice) = log.as_ref().and_then(Log::poll_notice) {
                told.borrow_mut().push(notice);
            }
        });
        let log = Log::new(options);
        *held.borrow_mut() = Some(log.clone());
        log.open().await?;
        Ok(Self { log, notices })
    }

    /// How many events were told as confirmed.
    pub fn folded(&self) -> usize {
        let notices = self.notices.borrow();
        let events = notices.iter().map(|notice| match notice {
            Notice::Confirmed { frame, skip, .. } => frame.stream().len() - skip,
            _ => 0,
        });
        events.sum()
    }

    /// Waits until this much is confirmed here.
    pub async fn reach(&self, position: u64) {
        until(|| self.log.position().value() >= position).await;
    }

    /// All confirmed events, read page by page.
    pub async fn read(&self, direction: Direction, max_bytes: usize) -> Vec<RecordedEvent> {
        let (mut from, mut to) = (Position::new(1), self.log.position());
        let mut events = Vec::new();
        loop {
            let page = self.log.read(from, to, direction, max_bytes).await.unwrap();
            let mut found = page.events(from, to).unwrap();
            if direction == Direction::Backward {
                found.reverse();
            }
            events.extend(found);
            match (page.frames.last(), direction) {
                (Some(last), Direction::Forward) if page.more => from = last.last_position().next(),
                (Some(last), Direction::Backward) if page.more => {
                    to = Position::new(last.first_position().value() - 1);
                }
                _ => return events,
            }
        }
    }
}

/// Waits for a condition.
pub async fn until(condition: impl Fn() -> bool) {
    for _ in 0..4_000 {
        if condition() {
            return;
        }
        TimeoutFuture::new(5).await;
    }
    panic!("it did not come to that");
}

pub fn stream(number: usize) -> StreamId {
    StreamId::new(format!("todo/{number}")).unwrap()
}

/// The n-th event of a test: ten streams take turns.
pub fn event(n: usize) -> Event {
    Event {
        stream: stream(n % 10),
        event_type: EventType::new("todo.added").unwrap(),
        schema: SchemaVersion::FIRST,
        data: Payload::json(&format!(r#"{{"n":{n},"title":"Größe {n}"}}"#)),
        occurred_at: Timestamp::from_millis(1_000 + i64::try_from(n).unwrap()),
        tags: match n % 7 {
            0 => vec![Tag::new("seventh").unwrap()],
            _ => vec![],
        },
        meta: Meta::default(),
    }
}

pub fn draft(n: usize) -> Draft {
    Draft {
        id: new_commit_id(),
        conditions: vec![],
        events: vec![event(n)],
        command: None,
        policy: Policy::Ask,
    }
}

pub fn payloads(events: &[RecordedEvent]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event.event.data.text().unwrap())
        .collect()
}
