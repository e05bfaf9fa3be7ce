//! The Rust API in a real browser, over a real IndexedDB and without a server.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod browser;

use browser::{disk, fresh, options, until};
use std::cell::Cell;
use std::rc::Rc;
use tidelog_client::{
    Changed, ExecuteError, Model, Outcome, Session, Settled, Sides, new_commit_id,
};
use tidelog_core::decider::Decider;
use tidelog_core::replica::{Draft, Phase};
use tidelog_core::{
    Condition, Event, EventType, Expected, Meta, Payload, Policy, SchemaVersion, StreamId,
    Timestamp, Version,
};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

/// A counter that never goes above its limit, and counts how often it is folded.
#[derive(Debug, Clone)]
struct Counter<const VERSION: u32 = 1> {
    limit: u32,
    folded: Rc<Cell<u32>>,
}

impl<const VERSION: u32> Counter<VERSION> {
    fn new(limit: u32) -> Self {
        Self {
            limit,
            folded: Rc::default(),
        }
    }
}

impl<const VERSION: u32> Decider for Counter<VERSION> {
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
        self.folded.set(self.folded.get() + 1);
        state + added
    }
}

impl<const VERSION: u32> Model for Counter<VERSION> {
    const KIND: &'static str = "counter";
    const VERSION: u32 = VERSION;

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

    fn write_state(&self, state: &u32) -> Option<Vec<u8>> {
        Some(state.to_le_bytes().to_vec())
    }

    fn read_state(&self, bytes: &[u8]) -> Option<u32> {
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }
}

async fn open(log: &str) -> Session<Counter> {
    Session::open(Counter::new(10), options(log)).await.unwrap()
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

/// A session with 300 counters of 3 each, confirmed by three commits; gives the states.
async fn filled(log: &str) -> (Session<Counter>, Vec<(String, u32)>) {
    let session = Session::open(Counter::new(10), options(log)).await.unwrap();
    let commit = || -> Vec<Event> {
        let event = |n: u32| Event {
            stream: StreamId::new(format!("counter/{n}")).unwrap(),
            ..added(1)
        };
        (0..300).map(event).collect()
    };
    let commits = vec![commit(), commit(), commit()];
    session.log().import_events(commits).await.unwrap();
    until(|| session.state("299") == 3).await;
    let states = session.states();
    assert_eq!(states.len(), 300);
    (session, states)
}

async fn snapshot(session: &Session<Counter>) {
    until(|| session.log().snapshot_now().is_some()).await;
    assert!(session.snapshot().await.unwrap());
}

#[wasm_bindgen_test]
async fn a_snapshot_spares_folding_and_what_came_after_it_is_folded() {
    let log = fresh();
    let (session, states) = filled(&log).await;
    snapshot(&session).await;
    session.execute("7", &2).unwrap();
    until(|| session.log().position().value() == 901).await;
    session.log().close().await;

    let model = Counter::<1>::new(10);
    let again = Session::open(model.clone(), options(&log)).await.unwrap();
    assert_eq!(model.folded.get(), 1);
    let mut expected = states;
    for (key, state) in &mut expected {
        if key == "7" {
            *state = 5;
        }
    }
    assert_eq!(again.states(), expected);

    // The next one rewrites what changed, and holds as much.
    snapshot(&again).await;
    again.log().close().await;
    let model = Counter::<1>::new(10);
    let third = Session::open(model.clone(), options(&log)).await.unwrap();
    assert_eq!((model.folded.get(), third.states()), (0, expected));
}

#[wasm_bindgen_test]
async fn a_new_version_of_the_fold_is_built_from_the_log() {
    let log = fresh();
    let (session, states) = filled(&log).await;
    snapshot(&session).await;
    session.log().close().await;
    let model = Counter::<2>::new(10);
    let again = Session::open(model.clone(), options(&log)).await.unwrap();
    assert_eq!((again.states(), model.folded.get()), (states, 900));
    assert_eq!(again.progress(), None);
    again.execute("7", &1).unwrap();
    assert_eq!(again.state("7"), 4);
}

#[wasm_bindgen_test]
async fn a_damaged_snapshot_counts_as_none() {
    let log = fresh();
    let (session, states) = filled(&log).await;
    snapshot(&session).await;
    session.log().close().await;
    assert!(disk::spoil_snapshots(&log).await > 1.0);
    let model = Counter::<1>::new(10);
    let again = Session::open(model.clone(), options(&log)).await.unwrap();
    assert_eq!((again.states(), model.folded.get()), (states, 900));
    snapshot(&again).await;
}

#[wasm_bindgen_test]
async fn snapshots_that_were_forgotten_are_made_again_whole() {
    let log = fresh();
    let (session, states) = filled(&log).await;
    snapshot(&session).await;
    session.log().forget_snapshots().await.unwrap();
    session.execute("7", &1).unwrap();
    until(|| session.log().position().value() == 901).await;
    // The first one finds that what it would change is gone, the second is whole.
    until(|| session.log().snapshot_now().is_some()).await;
    let first = session.snapshot().await.unwrap();
    assert!(first || session.snapshot().await.unwrap());
    session.log().close().await;
    let model = Counter::<1>::new(10);
    let again = Session::open(model.clone(), options(&log)).await.unwrap();
    assert_eq!(
        (again.states().len(), model.folded.get()),
        (states.len(), 0)
    );
    assert_eq!(again.state("7"), 4);
}

#[wasm_bindgen_test]
async fn a_fold_is_rebuilt_beside_the_one_that_is_shown() {
    let log = fresh();
    let (session, states) = filled(&log).await;
    session.execute("7", &1).unwrap();
    let seen = Rc::new(Cell::new(u32::MAX));
    let least = Rc::clone(&seen);
    let watched = session.clone();
    let _subscription = session.subscribe(move || least.set(least.get().min(watched.state("7"))));
    session.rebuild().await.unwrap();
    assert_eq!(session.state("7"), 4);
    assert_eq!(seen.get(), 4, "a half state was shown");
    assert_eq!(session.states().len(), states.len());
}

/// A counter that merges: both additions count.
#[derive(Debug, Clone)]
struct Merging {
    counter: Counter,
    /// Base, theirs and mine of each merge.
    merges: Rc<std::cell::RefCell<Vec<[u32; 3]>>>,
}

impl Decider for Merging {
    type State = u32;
    type Command = u32;
    type Event = u32;
    type Refusal = &'static str;

    fn initial(&self) -> u32 {
        self.counter.initial()
    }

    fn decide(&self, state: &u32, add: &u32) -> Result<Vec<u32>, &'static str> {
        self.counter.decide(state, add)
    }

    fn evolve(&self, state: u32, added: &u32) -> u32 {
        self.counter.evolve(state, added)
    }
}

impl Model for Merging {
    const KIND: &'static str = "counter";

    fn write_event(&self, added: &u32) -> (String, u32, String) {
        self.counter.write_event(added)
    }

    fn read_event(&self, event_type: &str, schema: u32, data: &str) -> Option<u32> {
        self.counter.read_event(event_type, schema, data)
    }

    fn write_command(&self, add: &u32) -> (String, String) {
        self.counter.write_command(add)
    }

    fn read_command(&self, name: &str, args: &str) -> Option<u32> {
        self.counter.read_command(name, args)
    }

    fn describe(&self, refusal: &&'static str) -> (String, String) {
        self.counter.describe(refusal)
    }

    fn policy(&self, _add: &u32) -> Policy {
        Policy::Merge
    }

    fn merge(&self, sides: &Sides<'_, Self>) -> Option<Vec<u32>> {
        let Sides {
            base, theirs, mine, ..
        } = sides;
        self.merges.borrow_mut().push([**base, **theirs, **mine]);
        Some(vec![*mine - *base])
    }
}

#[wasm_bindgen_test]
async fn a_commit_of_another_tab_is_merged_with_from_the_state_that_both_began_with() {
    let log = fresh();
    let model = Merging {
        counter: Counter::new(10),
        merges: Rc::default(),
    };
    let a = Session::open(model.clone(), options(&log)).await.unwrap();
    a.execute("1", &2).unwrap();
    until(|| a.log().position().value() == 1).await;
    let b = Session::open(model.clone(), options(&log)).await.unwrap();
    assert_eq!(b.state("1"), 2);
    let receipts = [a.execute("1", &1).unwrap(), b.execute("1", &3).unwrap()];
    for mut receipt in receipts {
        assert_eq!(receipt.settled().await, Settled::Confirmed);
    }
    until(|| a.state("1") == 6 && b.state("1") == 6).await;
    // Whoever was slower.
    let merges = model.merges.borrow().clone();
    assert!(
        matches!(merges.last(), Some([2, 3, 5] | [2, 5, 3])),
        "{merges:?}"
    );
}

#[wasm_bindgen_test]
async fn subscribers_hear_which_states_changed() {
    let session = open(&fresh()).await;
    let heard: Rc<std::cell::RefCell<Vec<Changed>>> = Rc::default();
    let told = Rc::clone(&heard);
    let _subscription = session.subscribe_changes(move |changed| {
        told.borrow_mut().push(changed.clone());
    });
    session.execute("a", &1).unwrap();
    session.execute("b", &1).unwrap();
    let keys = |key: &str| Changed::Keys([key.to_owned()].into());
    assert_eq!(*heard.borrow(), [keys("a"), keys("b")]);
}
