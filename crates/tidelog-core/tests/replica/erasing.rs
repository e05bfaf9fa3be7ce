//! What the log says is erased goes from the device: from its frames, its snapshots and what its tabs have folded.

use super::bench::{Bench, stream};
use super::dice::Dice;
use super::disk::{Disk, Fault};
use super::tab::Tab;
use tidelog_core::erasure::{VersionRange, version_ranges};
use tidelog_core::{Epoch, Position, Version, frame};

const SECRET: &str = "\"a secret\"";

fn versions(versions: &[u64]) -> Vec<VersionRange> {
    version_ranges(versions.iter().copied().map(Version::new))
}

/// A device whose tabs have confirmed a secret between other facts.
fn confirmed(tabs: usize) -> Bench {
    let mut bench = Bench::new(tabs);
    for data in ["\"a fact\"", SECRET, "\"another fact\""] {
        bench.note(0, "facts/0", data);
        bench.sync(0);
    }
    for tab in 1..tabs {
        bench.hint(tab);
    }
    bench
}

fn redact(bench: &mut Bench, named: &[u64]) {
    let id = bench.id();
    let now = bench.now;
    bench
        .server
        .redact(now, id, &stream("facts/0"), &versions(named));
}

fn erase(bench: &mut Bench, tab: usize) -> bool {
    let erased = bench.tabs[tab].erase(&mut bench.disk, Fault::None);
    bench.save(tab);
    erased
}

fn reopen(bench: &mut Bench) {
    bench.tabs[0] = Tab::open(90, 0, &bench.disk);
    bench.tabs[0].replica.handle_leadership(true);
    bench.save(0);
}

/// Do the log on disk and a tab's rows hold the secret?
fn holds(bench: &Bench, tab: usize) -> (bool, bool) {
    let rows = format!("{:?}", bench.tabs[tab].rows());
    (on_disk(&bench.disk), rows.contains("a secret"))
}

fn on_disk(disk: &Disk) -> bool {
    disk.frames().into_iter().any(|bytes| {
        let columns = frame::columns(bytes).unwrap();
        columns.payloads().contains("a secret")
    })
}

#[test]
fn every_tab_forgets_what_the_log_says_is_erased() {
    let mut bench = confirmed(2);
    assert_eq!(holds(&bench, 1), (true, true));
    redact(&mut bench, &[2]);
    bench.sync(0);
    assert!(bench.replica(0).is_to_erase());
    assert!(erase(&mut bench, 0));
    assert_eq!(holds(&bench, 0), (false, false));
    bench.hint(1);
    assert_eq!(holds(&bench, 1), (false, false));
    assert_eq!(bench.version(1, "facts/0"), 4, "versions stay as they were");
    assert!(!erase(&mut bench, 0) && !erase(&mut bench, 1), "it is done");
    // The chain of what is stored is the server's.
    bench.note(0, "facts/0", "\"later\"");
    bench.sync(0);
    reopen(&mut bench);
    assert_eq!(bench.version(0, "facts/0"), 5);
}

#[test]
fn frames_that_were_merged_lose_payloads_too_and_an_erasure_without_end_of_versions_ends() {
    let mut bench = confirmed(1);
    assert!(bench.disk.compact(0, 9));
    redact(&mut bench, &[1, 2]);
    redact(&mut bench, &[2, 3]);
    bench.sync(0);
    assert!(erase(&mut bench, 0));
    assert_eq!(holds(&bench, 0), (false, false));
    assert!(!bench.replica(0).is_to_erase(), "both at once");
}

#[test]
fn a_crash_before_the_erasure_leaves_it_to_the_next_start() {
    let mut bench = confirmed(1);
    redact(&mut bench, &[2]);
    bench.sync(0);
    let fault = Fault::Abort;
    assert!(!bench.tabs[0].erase(&mut bench.disk, fault));
    assert_eq!(holds(&bench, 0), (true, true));
    reopen(&mut bench);
    assert!(erase(&mut bench, 0));
    assert_eq!(holds(&bench, 0), (false, false));
    reopen(&mut bench);
    assert!(!bench.replica(0).is_to_erase(), "it is known to be done");
}

#[test]
fn no_snapshot_holds_what_is_to_be_erased_or_was() {
    let mut bench = confirmed(1);
    let save = |bench: &mut Bench| {
        let Bench {
            tabs, disk, oracle, ..
        } = bench;
        tabs[0].save(disk, oracle)
    };
    assert!(save(&mut bench));
    redact(&mut bench, &[2]);
    bench.sync(0);
    assert!(!save(&mut bench), "the folds still hold it");
    assert!(erase(&mut bench, 0));
    assert!(bench.disk.content.snapshot.is_none());
    assert!(save(&mut bench));
    reopen(&mut bench);
    assert_eq!(bench.position(0), Position::new(4));
    assert_eq!(holds(&bench, 0), (false, false));
}

#[test]
fn a_tab_that_read_a_snapshot_just_before_it_went_begins_again() {
    let mut bench = confirmed(1);
    assert!(bench.tabs[0].save(&mut bench.disk, &mut bench.oracle));
    let late = Tab::open(91, 0, &bench.disk);
    redact(&mut bench, &[2]);
    bench.sync(0);
    assert!(erase(&mut bench, 0));
    bench.tabs[0] = late;
    bench.save(0);
    assert_eq!(holds(&bench, 0), (false, false));
    assert_eq!(bench.version(0, "facts/0"), 4);
}

#[test]
fn a_device_that_gets_the_log_without_the_payloads_has_nothing_to_fold_again() {
    let mut bench = confirmed(1);
    redact(&mut bench, &[2]);
    bench.sync(0);
    assert!(erase(&mut bench, 0));
    let server = bench.server.clone();
    let mut other = Bench::new(1);
    other.server = server;
    other.sync(0);
    assert_eq!(holds(&other, 0), (false, false));
    let before = other.oracle.sometimes.get("erased").copied();
    assert!(erase(&mut other, 0));
    assert!(!other.replica(0).is_to_erase());
    assert_eq!(other.oracle.sometimes.get("erased").copied(), before);
    reopen(&mut other);
    assert!(!other.replica(0).is_to_erase());
}

#[test]
fn what_was_erased_is_not_sent_again_to_a_server_that_was_restored() {
    let mut bench = Bench::new(1);
    let first = bench.note(0, "facts/0", "\"a fact\"");
    bench.sync(0);
    let secret = bench.note(0, "facts/0", SECRET);
    let other = bench.note(0, "facts/1", "\"another fact\"");
    bench.sync(0);
    redact(&mut bench, &[2]);
    bench.sync(0);
    assert!(erase(&mut bench, 0));
    bench.server = bench.server.restored(Epoch::from_bytes([7; 16]), 1);
    bench.oracle.excused.insert(secret);
    bench.sync(0);
    let has = [first, secret, other].map(|id| bench.server.has(id));
    assert_eq!(has, [true, false, true]);
    assert_eq!(bench.replica(0).counts().pending, 0);
    assert!(!bench.disk.content.lost.is_empty(), "what is left of it");
}

/// Stories of two tabs that compact, save, prune, crash and are opened again while a server erases now and then.
#[test]
fn whatever_happens_meanwhile_nothing_that_was_erased_is_left() {
    let (mut redactions, mut refolded) = (0, 0);
    for seed in 0..80 {
        let mut dice = Dice::new(seed);
        let mut bench = Bench::new(2);
        let mut gone: Vec<String> = Vec::new();
        for step in 0..60 {
            let tab = dice.below(2);
            match dice.below(12) {
                0..4 => {
                    let on = format!("facts/{}", dice.below(2));
                    bench.note(tab, &on, &format!("\"secret {step}.\""));
                }
                4 | 5 => bench.sync(0),
                6 => bench.hint(tab),
                7 => gone.extend(redact_one(&mut bench, &mut dice)),
                8 => {
                    let faults = [
                        Fault::None,
                        Fault::Abort,
                        Fault::LostBefore,
                        Fault::LostAfter,
                    ];
                    let fault = faults[dice.below(4)];
                    bench.tabs[0].erase(&mut bench.disk, fault);
                    bench.save(0);
                }
                9 => _ = bench.disk.compact(0, 2 + dice.below(4)),
                10 => {
                    let Bench {
                        tabs, disk, oracle, ..
                    } = &mut bench;
                    tabs[tab].save(disk, oracle);
                    if dice.percent(30) {
                        disk.prune(1);
                    }
                }
                _ => {
                    bench.save(0);
                    reopen(&mut bench);
                }
            }
        }
        for _ in 0..8 {
            bench.sync(0);
            bench.save(0);
            erase(&mut bench, 0);
            bench.hint(1);
        }
        redactions += gone.len();
        refolded += bench
            .oracle
            .sometimes
            .get("erased")
            .copied()
            .unwrap_or_default();
        let mut left = vec![format!("{:?}", bench.disk.content.snapshot)];
        for bytes in bench.disk.frames() {
            left.push(frame::columns(bytes).unwrap().payloads().to_owned());
        }
        left.extend(bench.tabs.iter().map(|tab| format!("{:?}", tab.rows())));
        for secret in gone {
            let holds = left.iter().position(|text| text.contains(&secret));
            assert_eq!(holds, None, "seed {seed}: {secret} is still there");
        }
        assert!(!bench.replica(0).is_to_erase(), "seed {seed}");
    }
    assert!(redactions > 80, "{redactions} payloads were erased");
    assert!(refolded > 30, "tabs folded again {refolded} times");
}

/// The server erases one payload that it has. Gives it.
fn redact_one(bench: &mut Bench, dice: &mut Dice) -> Option<String> {
    let log = bench.server.log.iter();
    let events = log.flat_map(|recorded| {
        let versions = recorded.event_versions();
        recorded.commit.events.iter().zip(versions)
    });
    let events: Vec<_> = events
        .filter_map(|(event, version)| {
            let text = event.data.text().filter(|text| text.contains("secret"))?;
            Some((event.stream.clone(), version, text.to_owned()))
        })
        .collect();
    let (on, version, text) = events.get(dice.below(events.len().max(1)))?.clone();
    let (id, now) = (bench.id(), bench.now);
    let ranges = version_ranges([version]);
    bench.server.redact(now, id, &on, &ranges);
    Some(text.trim_matches('"').to_owned())
}
