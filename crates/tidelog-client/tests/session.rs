//! The Rust API in a real browser, over a real IndexedDB and without a server.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::cell::Cell;
use std::rc::Rc;
use tidelog_client::{
    ExecuteError, Model, Options, Outcome, Retain, Session, Settled, new_commit_id,
};
use tidelog_core::decider::Decider;
use tidelog_core::replica::{Draft, Phase};
use tidelog_core::store::Durability;
use tidelog_core::{
    Condition, Event, EventType, Expected, LogName, Meta, Payload, Policy, SchemaVersion, StreamId,
    Subject, Timestamp, Version,
};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// A counter that never goes above its limit.
#[derive(Debug)]
struct Counter {
    limit: u32,
}

impl Decider for Counter {
    type State = u32;
    type Command = u32;
    type Event = u32;
    type Refusal = &'static str;

    fn initial(&self) -> u32 {
        0
    }

    fn decide(&self, state: &u32, add: &u32) -> Result<Vec<u32>, &'static str> {
        match add {
            0 => Ok(Vec::new()),
            add if state + add > self.limit => Err("full"),
            add => Ok(vec![*add]),
        }
    }

    fn evolve(&self, state: u32, added: &u32) -> u32 {
        state + added
    }
}

impl Model for Counter {
    const KIND: &'static str = "counter";

    fn write_event(&self, added: &u32) -> (String, u32, String) {
        ("counter.added".into(), 1, added.to_string())
    }

    fn read_event(&self, event_type: &str, _schema: u32, data: &str) -> Option<u32> {
        (event_type == "counter.added").then(|| data.parse().ok())?
    }

    fn write_command(&self, add: &u32) -> (String, String) {
        ("add".into(), add.to_string())
    }

    fn read_command(&self, name: &str, args: &str) -> Option<u32> {
        (name == "add").then(|| args.parse().ok())?
    }

    fn describe(&self, refusal: &&'static str) -> (String, String) {
        (
            (*refusal).to_owned(),
            "the counter would pass its limit".to_owned(),
        )
    }
}

fn options(log: &str) -> Options {
    Options {
        log: LogName::new(log).unwrap(),
        user: Subject::new("tester").unwrap(),
        url: None,
        token: None,
        durability: Durability::Strict,
        retain: Retain::All,
        snapshots: true,
        folds: vec![],
        wake: Rc::new(|| {}),
    }
}

/// A name that no other test and no earlier run has used.
fn fresh() -> String {
    format!("test-{}", new_commit_id())
}

async fn open(log: &str) -> Session<Counter> {
    Session::open(Counter { limit: 10 }, options(log))
        .await
        .unwrap()
}

fn added(value: u32) -> Event {
    Event {
        stream: StreamId::new("counter/a").unwrap(),
        event_type: EventType::new("counter.added").unwrap(),
        schema: SchemaVersion::FIRST,
        data: Payload::json(&value.to_string()),
        occurred_at: Timestamp::from_millis(0),
        tags: vec![],
        meta: Meta::default(),
    }
}

#[wasm_bindgen_test]
async fn a_command_shows_before_it_is_durable_and_survives_reopening() {
    let log = fresh();
    let session = open(&log).await;
    let mut receipt = session.execute("a", &3).unwrap();
    assert_eq!(session.state("a"), 3);
    assert!(receipt.durable().await);
    let commit = receipt.commit.unwrap();
    assert_eq!(
        session.log().outcome(commit).await.unwrap(),
        Outcome::Durable
    );
    session.log().close().await;

    let again = open(&log).await;
    assert_eq!(again.state("a"), 3);
    assert_eq!(again.log().outcome(commit).await.unwrap(), Outcome::Durable);
    assert_eq!(again.log().status().0.phase, Phase::Local);
}

#[wasm_bindgen_test]
async fn what_the_decider_refuses_changes_nothing() {
    let session = open(&fresh()).await;
    session.execute("a", &8).unwrap();
    assert!(matches!(
        session.execute("a", &3),
        Err(ExecuteError::Refused("full"))
    ));
    assert_eq!(session.state("a"), 8);
    let mut nothing = session.execute("a", &0).unwrap();
    assert_eq!(nothing.commit, None);
    assert_eq!(nothing.settled().await, Settled::Confirmed);
}

#[wasm_bindgen_test]
async fn appends_of_one_turn_share_a_transaction() {
    let session = open(&fresh()).await;
    let before = session.log().generation();
    let mut receipts: Vec<_> = (0..8).map(|_| session.execute("a", &1).unwrap()).collect();
    for receipt in &mut receipts {
        assert!(receipt.durable().await);
    }
    assert_eq!(session.log().generation().value(), before.value() + 1);
}

#[wasm_bindgen_test]
async fn two_tabs_decide_on_each_others_events() {
    let log = fresh();
    let (one, two) = (open(&log).await, open(&log).await);
    // Neither knows of the other's command when it decides its own; together they pass the limit.
    let mut first = one.execute("a", &6).unwrap();
    let mut second = two.execute("a", &6).unwrap();
    assert!(first.durable().await && second.durable().await);
    let told = Rc::new(Cell::new(0));
    let counted = Rc::clone(&told);
    let _subscription = one.subscribe(move || counted.set(counted.get() + 1));
    one.log().kick();
    two.log().kick();
    let mut third = one.execute("b", &1).unwrap();
    assert!(third.durable().await);
    assert!(told.get() > 0);
    // One of them was decided again and refused: it is parked with the reason, and the limit holds everywhere.
    assert_eq!(one.state("a"), 6);
    let parked = one.log().parked().await.unwrap();
    assert_eq!(parked.len(), 1);
}

#[wasm_bindgen_test]
async fn a_raw_append_with_a_wrong_version_is_refused_at_once() {
    let session = open(&fresh()).await;
    session.execute("a", &1).unwrap();
    let draft = |expected| Draft {
        id: new_commit_id(),
        conditions: vec![Condition {
            stream: StreamId::new("counter/a").unwrap(),
            expected,
        }],
        events: vec![added(2)],
        command: None,
        policy: Policy::Ask,
    };
    let stale = Expected::Exact {
        exact: Version::new(7),
        event: None,
    };
    let error = session.log().append(draft(stale)).unwrap_err();
    assert_eq!(error.code(), "version_conflict");
    assert_eq!(session.state("a"), 1);
    let right = Expected::Exact {
        exact: Version::new(1),
        event: None,
    };
    assert_eq!(
        session.log().append(draft(right)).unwrap(),
        [Version::new(2)]
    );
}

#[wasm_bindgen_test]
async fn a_closed_log_says_so() {
    let session = open(&fresh()).await;
    session.log().close().await;
    let error = session.execute("a", &1).unwrap_err();
    assert!(matches!(error, ExecuteError::Client(ref error) if error.code() == "closed"));
}
