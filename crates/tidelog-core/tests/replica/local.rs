//! A log without a server: the tab that leads confirms what is durable.

use super::app::{any_command, command, event};
use super::bench::{Bench, stream};
use super::dice::Dice;
use super::disk::{Disk, Fault};
use super::oracle::{Oracle, Origin};
use super::tab::Tab;
use std::collections::{BTreeMap, BTreeSet};
use tidelog_core::erasure::{Erasure, Reason, version_ranges};
use tidelog_core::frame::{self, Body};
use tidelog_core::hash::ChainHash;
use tidelog_core::replica::{
    AppendError, Decision, Draft, ImportError, InconsistentLog, Phase, ReceiptState,
};
use tidelog_core::{
    Commit, CommitId, Condition, Digest, Epoch, Expected, Payload, Policy, Position, Recorded,
    ReplicaId, Timestamp, Version,
};

/// A device whose log has no server.
struct Device {
    disk: Disk,
    tabs: Vec<Tab>,
    oracle: Oracle,
    now: i64,
    dice: Dice,
    uid: u64,
}

impl Device {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            disk: Disk::new(ReplicaId::from_bytes(dice.id())),
            tabs: Vec::new(),
            oracle: Oracle::default(),
            now: 1_000,
            dice,
            uid: 0,
        }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn open(&mut self) {
        self.uid += 1;
        self.tabs.push(Tab::open_as(self.uid, 0, &self.disk, false));
        self.lead();
    }

    /// The first tab leads.
    fn lead(&mut self) {
        for (at, tab) in self.tabs.iter_mut().enumerate() {
            tab.replica.handle_leadership(at == 0);
        }
    }

    fn look(&mut self, tab: usize) {
        self.oracle.histories = BTreeMap::from([(Epoch::from_bytes([0xee; 16]), self.chains())]);
        self.tabs[tab].drain(&mut self.oracle);
        self.tabs[tab].check(Timestamp::from_millis(self.now), &self.oracle);
    }

    /// The chain after each commit on disk, which must be whole.
    fn chains(&self) -> BTreeMap<Position, ChainHash> {
        let mut chain = ChainHash::default();
        let mut chains = BTreeMap::from([(Position::START, chain)]);
        for recorded in self.log() {
            chain = chain.after(&recorded);
            chains.insert(recorded.last_position(), chain);
        }
        assert_eq!(chain, self.disk.content.head.cursor.chain);
        chains
    }

    fn log(&self) -> Vec<Recorded> {
        let frames = self.disk.content.log.values();
        let bodies = frames.map(|(bytes, _)| frame::decode(bytes).unwrap().body);
        bodies
            .flat_map(|body| match body {
                Body::Recorded(commits) => commits,
                Body::Local(_) => panic!("a local frame in the log"),
            })
            .collect()
    }

    /// One store request, from its asking to its answer.
    fn store(&mut self, tab: usize, fault: Fault) -> bool {
        self.look(tab);
        let time = self.time();
        if !self.tabs[tab].ask(time) {
            return false;
        }
        while self.tabs[tab].is_asking() {
            self.tabs[tab].progress(time, &mut self.disk, fault, 500);
            self.oracle.check_disk(0, &self.disk);
        }
        self.look(tab);
        true
    }

    fn append(&mut self, tab: usize, draft: Draft) -> Option<CommitId> {
        let id = draft.id;
        let tab = &mut self.tabs[tab];
        tab.replica.append(draft).ok()?;
        let origin = Origin {
            device: 0,
            tab: tab.uid,
            ordinal: tab.created,
        };
        tab.created += 1;
        self.oracle.created.insert(id, origin);
        Some(id)
    }

    fn fact(&mut self, tab: usize, on: &str, data: &str) -> CommitId {
        let draft = Draft {
            id: CommitId::from_bytes(self.dice.id()),
            conditions: Vec::new(),
            events: vec![event(&stream(on), "facts.learnt", data)],
            command: None,
            policy: Policy::Rebase,
        };
        self.append(tab, draft).expect("it is open")
    }

    /// Until nothing is left to do.
    fn rest(&mut self) {
        for _ in 0..500 {
            let mut moved = false;
            for tab in 0..self.tabs.len() {
                let generation = self.disk.content.head.generation;
                self.tabs[tab].replica.handle_hint(generation);
                moved |= self.store(tab, Fault::None);
            }
            let wake = self
                .tabs
                .iter()
                .filter_map(|tab| tab.replica.poll_timeout());
            match wake.min() {
                _ if moved => {}
                Some(at) => self.now = self.now.max(at.millis()),
                None => return,
            }
        }
        for tab in &self.tabs {
            println!("{} {:?}", tab.summary(), tab.replica);
        }
        panic!("no rest");
    }
}

#[test]
fn what_is_durable_becomes_confirmed_with_positions_and_versions() {
    let mut device = Device::new(1);
    device.open();
    device.rest();
    let ids: Vec<_> = ["a", "b", "a"]
        .map(|key| device.fact(0, &format!("facts/{key}"), "\"f\""))
        .into();
    device.rest();
    let log = device.log();
    let seen: Vec<_> = log.iter().map(|recorded| recorded.commit.id).collect();
    assert_eq!(seen, ids, "in local order");
    assert_eq!(log[2].position, Position::new(3));
    assert_eq!(log[2].versions[0].first.value(), 2);
    assert!(device.disk.content.pending.is_empty());
    for id in ids {
        let receipt = device.tabs[0].receipts.get(&id);
        assert!(
            matches!(receipt, Some(ReceiptState::Confirmed(_))),
            "{receipt:?}"
        );
    }
    assert_eq!(device.tabs[0].replica.status().phase, Phase::Local);
}

#[test]
fn only_the_tab_that_leads_confirms() {
    let mut device = Device::new(2);
    device.open();
    device.open();
    device.rest();
    device.fact(1, "facts/a", "\"f\"");
    while device.store(1, Fault::None) {}
    device.now += 10_000;
    assert!(!device.store(1, Fault::None), "it does not lead");
    assert!(device.log().is_empty());
    device.rest();
    assert_eq!(device.log().len(), 1);
}

#[test]
fn a_reload_finds_it_confirmed() {
    let mut device = Device::new(3);
    device.open();
    device.rest();
    device.fact(0, "facts/a", "\"f\"");
    device.rest();
    device.tabs.clear();
    device.open();
    device.rest();
    assert_eq!(
        device.tabs[0].replica.head().cursor.position,
        Position::new(1)
    );
    assert_eq!(device.tabs[0].replica.queue().count(), 0);
}

fn commits(device: &mut Device, count: usize) -> Vec<Commit> {
    (0..count)
        .map(|number| Commit {
            id: CommitId::from_bytes(device.dice.id()),
            attempt: tidelog_core::Attempt::FIRST,
            replica: ReplicaId::default(),
            seq: tidelog_core::Seq::default(),
            conditions: Vec::new(),
            events: vec![event(
                &stream(&format!("facts/{}", number % 3)),
                "facts.learnt",
                "\"x\"",
            )],
        })
        .collect()
}

#[test]
fn commits_are_recorded_in_one_write_and_frames_of_another_log_go_on_where_they_end() {
    let mut device = Device::new(4);
    device.open();
    device.rest();
    let time = device.time();
    let batch = commits(&mut device, 7);
    device.tabs[0].replica.record(time, batch).unwrap();
    let again = commits(&mut device, 1);
    let busy = device.tabs[0].replica.record(time, again);
    assert_eq!(busy, Err(ImportError::Busy), "one at a time");
    device.rest();
    assert_eq!(device.log().len(), 7);
    let frames: Vec<_> = device.disk.frames();

    let mut copy = Device::new(5);
    copy.open();
    copy.rest();
    copy.tabs[0].replica.import(frames.clone()).unwrap();
    copy.rest();
    assert_eq!(copy.log(), device.log());
    let again = copy.tabs[0].replica.import(frames.clone());
    assert!(
        matches!(
            again,
            Err(ImportError::Mismatch(InconsistentLog::Chain { .. }))
        ),
        "{again:?}"
    );
    let mut changed = frames;
    let last = changed[0].len() - 1;
    changed[0][last] ^= 1;
    let mut third = Device::new(6);
    third.open();
    third.rest();
    let damaged = third.tabs[0].replica.import(changed);
    assert!(
        matches!(
            damaged,
            Err(ImportError::Mismatch(InconsistentLog::Frame(_)))
        ),
        "{damaged:?}"
    );
    third.rest();
    assert!(third.log().is_empty());
}

#[test]
fn what_another_log_had_erased_stays_erased_and_what_says_so_is_followed() {
    let mut device = Device::new(9);
    device.open();
    device.rest();
    device.fact(0, "facts/a", "\"a secret\"");
    let kept = device.fact(0, "facts/b", "\"kept\"");
    device.rest();
    let on = stream("facts/a");
    let mut erased = event(&on, "facts.learnt", "null");
    let digest = Digest::of(b"gone before");
    erased.data = Payload::Erased(digest);
    let named = version_ranges([1, 2].map(Version::new));
    let reason = Reason::new("asked for").unwrap();
    let said = Erasure::Redacted(named).event(&on, &reason, device.time());
    let mut imported = commits(&mut device, 2);
    imported[0].events = vec![erased];
    imported[1].events = vec![said];
    let time = device.time();
    device.tabs[0].replica.record(time, imported).unwrap();
    device.rest();
    assert!(device.tabs[0].replica.is_to_erase());
    assert!(device.tabs[0].erase(&mut device.disk, Fault::None));
    device.rest();
    let log = device.log();
    let of_a = log.iter().map(|recorded| &recorded.commit.events[0]);
    let of_a: Vec<_> = of_a.filter(|event| event.stream == on).collect();
    let secret = Digest::of(b"\"a secret\"");
    assert_eq!(of_a[0].data, Payload::Erased(secret));
    assert_eq!(of_a[1].data, Payload::Erased(digest));

    // A server that is added later is sent what it can take, and nothing else.
    let mut bench = Bench::new(1);
    let local = (Epoch::from_bytes([0xee; 16]), device.chains());
    bench.oracle.histories.insert(local.0, local.1);
    bench.disk = device.disk;
    bench.tabs[0] = Tab::open(99, 0, &bench.disk);
    bench.tabs[0].replica.handle_leadership(true);
    bench.hang_up(0);
    bench.sync(0);
    let server = bench.server.log.iter().map(|recorded| recorded.commit.id);
    assert_eq!(server.collect::<Vec<_>>(), [kept]);
    assert!(bench.replica(0).parked().is_empty());
}

#[test]
fn a_log_with_a_server_takes_no_positions_from_here() {
    let mut bench = Bench::new(1);
    let time = bench.time();
    let refused = bench.replica(0).record(time, Vec::new());
    assert_eq!(refused, Err(ImportError::Synced));
    assert_eq!(
        bench.replica(0).import(Vec::new()),
        Err(ImportError::Synced)
    );
}

#[test]
fn damage_without_a_server_is_told_and_nothing_is_touched() {
    let mut device = Device::new(8);
    device.open();
    device.rest();
    for _ in 0..3 {
        device.fact(0, "facts/a", "\"f\"");
        device.rest();
    }
    device.tabs.clear();
    device.disk.damage(1, 3);
    let before = device.disk.frames();
    device.uid += 1;
    device
        .tabs
        .push(Tab::open_as(device.uid, 0, &device.disk, false));
    let time = device.time();
    for _ in 0..20 {
        if device.tabs[0].ask(time) {
            while device.tabs[0].is_asking() {
                device.tabs[0].progress(time, &mut device.disk, Fault::None, 500);
            }
        }
    }
    let status = device.tabs[0].replica.status();
    let error = status.store_error.expect("it says so").to_string();
    assert!(error.contains("after position 1"), "{error}");
    assert_eq!(device.disk.frames(), before);
    let refused = device.tabs[0].replica.append(Draft {
        id: CommitId::from_bytes([9; 16]),
        conditions: Vec::new(),
        events: vec![event(&stream("facts/a"), "facts.learnt", "\"f\"")],
        command: None,
        policy: Policy::Rebase,
    });
    assert_eq!(refused, Err(AppendError::NotReady));
}

/// Tabs append, crash, take over, compact and save, and writes fail: what was durable is confirmed once or parked.
#[test]
fn every_local_world_keeps_what_was_durable() {
    for seed in 0..150 {
        let mut device = Device::new(1_000 + seed);
        device.open();
        for _ in 0..300 {
            device.now += device.dice.below(40) as i64;
            if device.tabs.is_empty() {
                device.open();
            }
            let tab = device.dice.below(device.tabs.len());
            match device.dice.below(20) {
                0..6 if device.tabs[tab].replica.is_ready() => random_append(&mut device, tab),
                6..15 => {
                    let fault = match device.dice.below(20) {
                        0 => Fault::Quota,
                        1 => Fault::Abort,
                        2 => Fault::LostBefore,
                        3 => Fault::LostAfter,
                        _ => Fault::None,
                    };
                    device.store(tab, fault);
                }
                15 if device.tabs.len() < 3 => device.open(),
                16 => {
                    let gone = device.tabs.swap_remove(tab);
                    let promised = device.oracle.promised.entry(0).or_default();
                    let own = device.oracle.created.iter();
                    let own =
                        own.filter(|(id, origin)| origin.tab == gone.uid && !promised.contains(id));
                    let own: Vec<_> = own.map(|(id, _)| *id).collect();
                    device.oracle.excused.extend(own);
                    device.lead();
                }
                17 => {
                    let frames = device.disk.content.log.len();
                    if frames > 1 {
                        let from = device.dice.below(frames - 1);
                        assert!(device.disk.compact(from, 3));
                    }
                }
                18 => {
                    let mut disk = device.disk.clone();
                    device.tabs[tab].save(&mut disk, &mut device.oracle);
                    device.disk = disk;
                }
                _ => {
                    let generation = device.disk.content.head.generation;
                    device.tabs[tab].replica.handle_hint(generation);
                }
            }
        }
        if device.tabs.is_empty() {
            device.open();
        }
        device.rest();
        let log = device.log();
        let ids: BTreeSet<_> = log.iter().map(|recorded| recorded.commit.id).collect();
        assert_eq!(ids.len(), log.len(), "seed {seed}: confirmed twice");
        for id in device.oracle.promised.get(&0).into_iter().flatten() {
            let parked = device.disk.content.parked.contains_key(id);
            let satisfied = device.oracle.satisfied.contains(id);
            assert!(
                ids.contains(id) || parked || satisfied,
                "seed {seed}: {id} is gone"
            );
        }
        for tab in &device.tabs {
            let counts = tab.replica.counts();
            assert_eq!(
                counts.unwritten + counts.pending,
                0,
                "seed {seed}: {counts:?}"
            );
        }
    }
}

fn random_append(device: &mut Device, tab: usize) {
    let given = any_command(&mut device.dice);
    let Decision::Events(events) = device.tabs[tab].shown(None).decide(&given) else {
        return;
    };
    if events.is_empty() {
        return;
    }
    let mut conditions: Vec<Condition> = Vec::new();
    for event in &events {
        if conditions
            .iter()
            .all(|condition| condition.stream != event.stream)
        {
            let head = device.tabs[tab].replica.shown_head(&event.stream);
            conditions.push(Condition {
                stream: event.stream.clone(),
                expected: Expected::seen(head.as_ref()),
            });
        }
    }
    let again = command(&given.stream, given.name.as_str(), given.args.as_str());
    let draft = Draft {
        id: CommitId::from_bytes(device.dice.id()),
        conditions,
        events,
        command: Some(again),
        policy: Policy::Rerun,
    };
    device.append(tab, draft);
}
