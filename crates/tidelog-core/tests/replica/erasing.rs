//! What the log says is erased goes from the device: from its frames, its snapshots and what its tabs have folded.

use super::app::event;
use super::bench::{Bench, stream};
use super::dice::Dice;
use super::disk::{Disk, Fault};
use super::tab::Tab;
use std::rc::Rc;
use tidelog_core::erasure::{VersionRange, version_ranges};
use tidelog_core::store::Erased;
use tidelog_core::{Epoch, Policy, Position, Version, frame};

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

/// Does any frame of this device hold the secret: of the log, of a lost history, or not confirmed?
fn anywhere(bench: &Bench) -> bool {
    let content = &bench.disk.content;
    let lost = content.lost.values().map(|frame| frame.to_vec());
    let loaded = bench.disk.load(Position::START, usize::MAX);
    let pending = loaded.pending.into_iter().map(|pending| pending.frame);
    let mut frames = bench.disk.frames().into_iter().chain(lost).chain(pending);
    frames.any(|bytes| frame::decode(&bytes).unwrap().payloads.contains("a secret"))
}

fn restore(bench: &mut Bench, epoch: u8, commits: usize) {
    bench.server = bench
        .server
        .restored(Epoch::from_bytes([epoch; 16]), commits);
    bench.sync(0);
}

#[test]
fn what_a_lost_history_holds_is_erased_with_the_same_event_at_another_version() {
    let mut bench = Bench::new(1);
    bench.stranger("facts/0", "facts.learnt", "\"only here\"");
    bench.sync(0);
    let secret = event(&stream("facts/0"), "facts.learnt", SECRET);
    bench.append(0, Vec::new(), vec![secret], None, Policy::Rebase);
    bench.sync(0);
    restore(&mut bench, 7, 0);
    assert_eq!(
        bench.version(0, "facts/0"),
        1,
        "the stranger's fact is lost"
    );
    redact(&mut bench, &[1]);
    bench.sync(0);
    assert!(anywhere(&bench));
    assert!(erase(&mut bench, 0));
    assert!(!anywhere(&bench));
    let lost: Vec<_> = bench.disk.content.lost.values().collect();
    let decoded = lost.iter().map(|frame| frame::decode(frame).unwrap());
    let payloads: String = decoded.map(|frame| frame.payloads.to_string()).collect();
    assert!(
        payloads.contains("only here"),
        "nobody named that: {payloads}"
    );
    // The frames are the lost history still: its chain is what it was.
    assert!(frame::merge(&lost.iter().map(|frame| &***frame).collect::<Vec<_>>()).is_ok());
}

#[test]
fn what_a_lost_history_holds_is_erased_with_a_later_attempt_of_its_commit_on_another_stream() {
    let mut bench = Bench::new(1);
    let secret = bench.note(0, "facts/0", SECRET);
    let other = bench.note(0, "facts/1", "\"only here\"");
    bench.sync(0);
    bench.server = bench.server.restored(Epoch::from_bytes([7; 16]), 0);
    bench.stranger("facts/0", "facts.learnt", "\"a stranger was first\"");
    bench.sync(0);
    let merged = event(&stream("facts/2"), "facts.learnt", SECRET);
    assert!(bench.replica(0).replace(secret, vec![merged]).is_ok());
    bench.sync(0);
    assert!([secret, other].iter().all(|id| bench.server.has(*id)));
    let (id, now) = (bench.id(), bench.now);
    let erased = stream("facts/2");
    bench.server.redact(now, id, &erased, &versions(&[1]));
    bench.sync(0);
    assert!(anywhere(&bench));
    assert!(erase(&mut bench, 0));
    assert!(!anywhere(&bench));
    let lost = bench.disk.content.lost.values();
    let decoded = lost.map(|frame| frame::decode(frame).unwrap());
    let payloads: String = decoded.map(|frame| frame.payloads.to_string()).collect();
    assert!(
        payloads.contains("only here"),
        "nobody named that: {payloads}"
    );
}

#[test]
fn of_a_stream_that_is_closed_and_empty_nothing_is_left_of_lost_histories_either() {
    let mut bench = Bench::new(1);
    bench.note(0, "facts/0", "\"a fact\"");
    bench.sync(0);
    bench.stranger("facts/0", "facts.learnt", SECRET);
    bench.sync(0);
    restore(&mut bench, 7, 1);
    redact(&mut bench, &[1]);
    bench.sync(0);
    assert!(erase(&mut bench, 0));
    assert!(anywhere(&bench), "nobody named it");
    let (id, now) = (bench.id(), bench.now);
    bench.server.tombstone(now, id, &stream("facts/0"));
    bench.sync(0);
    assert!(erase(&mut bench, 0));
    assert!(!anywhere(&bench), "and nobody can any more");
}

#[test]
fn what_the_log_no_longer_shows_is_erased_by_its_version() {
    let mut bench = confirmed(1);
    restore(&mut bench, 7, 3);
    let Bench {
        tabs, disk, oracle, ..
    } = &mut bench;
    assert!(tabs[0].save(disk, oracle));
    disk.prune(9);
    bench.hint(0);
    redact(&mut bench, &[2]);
    bench.sync(0);
    assert!(anywhere(&bench));
    assert!(erase(&mut bench, 0));
    assert!(!anywhere(&bench));
}

#[test]
fn an_erasure_that_was_read_and_not_followed_before_a_restore_is_followed_with_it() {
    let mut bench = Bench::new(1);
    let first = bench.note(0, "facts/0", "\"a fact\"");
    bench.sync(0);
    let secret = bench.note(0, "facts/0", SECRET);
    bench.sync(0);
    redact(&mut bench, &[2]);
    bench.sync(0);
    assert!(bench.replica(0).is_to_erase() && anywhere(&bench));
    bench.oracle.excused.insert(secret);
    restore(&mut bench, 7, 1);
    assert!(!anywhere(&bench));
    let has = [first, secret].map(|id| bench.server.has(id));
    assert_eq!(has, [true, false], "it is not sent again");
}

#[test]
fn an_erasure_that_a_restore_loses_is_followed_in_what_earlier_ones_left() {
    let mut bench = Bench::new(1);
    bench.note(0, "facts/0", "\"a fact\"");
    bench.sync(0);
    bench.stranger("facts/0", "facts.learnt", SECRET);
    bench.sync(0);
    restore(&mut bench, 7, 2);
    assert!(!bench.disk.content.lost.is_empty());
    redact(&mut bench, &[2]);
    bench.sync(0);
    assert!(bench.replica(0).is_to_erase());
    // The next copy knows neither the secret nor that it was erased.
    restore(&mut bench, 8, 1);
    assert_eq!(bench.position(0), Position::new(1));
    assert!(!anywhere(&bench));
}

#[test]
fn a_log_that_was_read_before_an_erasure_is_read_anew_before_it_counts_as_lost() {
    let mut bench = confirmed(2);
    redact(&mut bench, &[2]);
    bench.sync(0);
    bench.server = bench.server.restored(Epoch::from_bytes([7; 16]), 1);
    assert!(bench.pull(0), "the history is another");
    // The log is read; before it is put aside, another tab erases.
    assert!(bench.store(0, Fault::None));
    bench.tabs[1].replica.handle_leadership(true);
    bench.hint(1);
    assert!(erase(&mut bench, 1));
    bench.hint(0);
    bench.sync(0);
    assert!(!bench.disk.content.lost.is_empty());
    assert!(!anywhere(&bench));
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

/// A log on a state of a build that did not erase: it has folded the event that says so, and what that names. Its first frames
/// are pruned.
fn unfollowed(pruned: usize) -> Bench {
    let mut bench = confirmed(1);
    redact(&mut bench, &[2]);
    bench.sync(0);
    let rows = bench.tabs[0].rows().clone();
    let log = bench.disk.content.log.clone();
    assert!(erase(&mut bench, 0));
    assert!(bench.tabs[0].save(&mut bench.disk, &mut bench.oracle));
    let saved = bench.disk.content.snapshot.clone().expect("it is saved");
    let mut older = Rc::unwrap_or_clone(saved);
    older.rows = rows;
    older.unfollowed = true;
    bench.disk.content.snapshot = Some(Rc::new(older));
    bench.disk.content.erased = Erased::default();
    bench.disk.content.log = log;
    bench.disk.prune(pruned);
    reopen(&mut bench);
    bench
}

#[test]
fn what_an_older_build_left_of_a_whole_log_is_read_from_the_log() {
    let mut bench = unfollowed(0);
    assert_eq!(bench.version(0, "facts/0"), 4);
    assert!(erase(&mut bench, 0));
    assert_eq!(holds(&bench, 0), (false, false));
    assert!(bench.tabs[0].save(&mut bench.disk, &mut bench.oracle));
}

#[test]
fn what_an_older_build_left_of_a_lost_history_is_erased_and_not_sent_again() {
    let mut bench = unfollowed(1);
    let secret = bench.server.log[1].commit.id;
    assert!(anywhere(&bench));
    bench.oracle.excused.insert(secret);
    restore(&mut bench, 7, 1);
    assert!(!bench.server.has(secret));
    assert!(!anywhere(&bench));
    assert!(!bench.disk.content.lost.is_empty(), "what is left of it");
    assert_eq!(holds(&bench, 0), (false, false));
}

#[test]
fn a_tab_that_slept_while_a_pruned_log_was_pulled_again_and_pruned_again_follows_it() {
    let mut bench = unfollowed(4);
    bench.tabs.push(Tab::open(91, 1, &bench.disk));
    bench.save(1);
    assert!(holds(&bench, 1).1);
    bench.sync(0);
    erase(&mut bench, 0);
    assert!(bench.tabs[0].save(&mut bench.disk, &mut bench.oracle));
    bench.disk.prune(9);
    bench.hint(1);
    assert_eq!(holds(&bench, 1), (false, false));
    assert_eq!(bench.version(1, "facts/0"), 4);
    assert!(!bench.replica(1).is_to_erase());
}

#[test]
fn a_tab_that_read_a_snapshot_just_before_the_log_was_pulled_anew_begins_again() {
    let mut bench = confirmed(1);
    assert!(bench.tabs[0].save(&mut bench.disk, &mut bench.oracle));
    let late = Tab::open(91, 0, &bench.disk);
    redact(&mut bench, &[2]);
    bench.disk.prune(9);
    bench.disk.content.snapshot = None;
    reopen(&mut bench);
    bench.sync(0);
    assert_eq!(bench.position(0), Position::new(4));
    bench.tabs[0] = late;
    bench.save(0);
    bench.tabs[0].replica.handle_leadership(true);
    bench.save(0);
    assert_eq!(bench.position(0), Position::new(4));
    assert_eq!(holds(&bench, 0), (false, false));
}

/// The only tab is one of a log without a server.
fn reopen_alone(bench: &mut Bench) {
    bench.tabs[0] = Tab::open_as(92, 0, &bench.disk, false);
    bench.save(0);
}

#[test]
fn a_log_without_a_server_that_nothing_stands_for_is_left_as_it_is() {
    let mut bench = confirmed(1);
    assert!(bench.tabs[0].save(&mut bench.disk, &mut bench.oracle));
    bench.disk.prune(1);
    bench.disk.content.snapshot = None;
    let frames = bench.disk.frames();
    assert_eq!(frames.len(), 2);
    for _ in 0..2 {
        reopen_alone(&mut bench);
        assert_eq!(bench.disk.frames(), frames);
        assert!(bench.replica(0).status().store_error.is_some());
        // It is looked at again, because another tab may have mended it.
        bench.now += 2_000;
        bench.save(0);
        assert!(!bench.replica(0).is_ready());
    }
    bench.disk.content.gaps.clear();
    reopen(&mut bench);
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 3, "a server has it");
}

#[test]
fn a_damaged_log_without_a_server_opens_from_what_an_older_build_saved_behind_the_damage() {
    let mut bench = unfollowed(0);
    bench.disk.damage(1, 0);
    let frames = bench.disk.frames();
    for opened in 1..3 {
        reopen_alone(&mut bench);
        assert_eq!(bench.version(0, "facts/0"), 4);
        assert_eq!(bench.oracle.sometimes.get("damaged"), Some(&opened));
        assert_eq!(bench.disk.frames(), frames, "it is the only copy");
        assert!(bench.replica(0).heads().is_none(), "nothing is saved on it");
    }
    bench.disk.content.snapshot = None;
    reopen_alone(&mut bench);
    assert!(!bench.replica(0).is_ready());
    assert!(bench.replica(0).status().store_error.is_some());
    assert_eq!(bench.disk.frames(), frames);
}

#[test]
fn damage_behind_all_that_was_saved_keeps_a_log_without_a_server_closed() {
    let mut bench = confirmed(1);
    assert!(bench.tabs[0].save(&mut bench.disk, &mut bench.oracle));
    bench.note(0, "facts/0", "\"later\"");
    bench.sync(0);
    bench.disk.damage(3, 0);
    reopen_alone(&mut bench);
    assert!(!bench.replica(0).is_ready());
    assert!(bench.replica(0).status().store_error.is_some());
}

#[test]
fn what_an_older_build_left_of_a_pruned_log_stays_until_the_server_answers() {
    let mut bench = unfollowed(4);
    bench.note(0, "facts/0", "\"pending\"");
    for _ in 0..2 {
        assert_eq!(bench.version(0, "facts/0"), 5, "with what is pending");
        assert_eq!(bench.replica(0).head().cursor.position, Position::new(4));
        assert!(holds(&bench, 0).1, "nobody knows better");
        assert!(bench.replica(0).is_to_erase());
        assert!(!erase(&mut bench, 0), "the snapshot would go");
        assert!(bench.replica(0).heads().is_none(), "nothing is saved on it");
        reopen(&mut bench);
    }
    bench.sync(0);
    assert_eq!(bench.version(0, "facts/0"), 5);
    assert!(bench.disk.content.gaps.is_empty());
    assert_eq!(bench.disk.content.log_ids().count(), 5);
    erase(&mut bench, 0);
    assert_eq!(holds(&bench, 0), (false, false));
    assert!(!bench.replica(0).is_to_erase());
    assert!(bench.tabs[0].save(&mut bench.disk, &mut bench.oracle));
    reopen(&mut bench);
    assert_eq!(holds(&bench, 0), (false, false));
    assert_eq!(bench.version(0, "facts/0"), 5);
}

#[test]
fn a_tab_beside_one_that_pulled_a_pruned_log_again_follows_it() {
    let mut bench = unfollowed(4);
    bench.tabs.push(Tab::open(91, 1, &bench.disk));
    bench.save(1);
    assert!(holds(&bench, 1).1);
    bench.sync(0);
    bench.hint(1);
    assert_eq!(holds(&bench, 1), (false, false));
    assert_eq!(bench.version(1, "facts/0"), 4);
}

#[test]
fn a_tab_that_slept_while_the_log_was_pulled_anew_folds_it_again() {
    let mut bench = confirmed(2);
    redact(&mut bench, &[2]);
    let Bench {
        tabs, disk, oracle, ..
    } = &mut bench;
    assert!(tabs[0].save(disk, oracle));
    disk.prune(9);
    // A browser may drop what can be made again.
    disk.content.snapshot = None;
    reopen(&mut bench);
    bench.sync(0);
    bench.note(0, "facts/0", "\"later\"");
    bench.sync(0);
    assert!(erase(&mut bench, 0));
    assert_eq!(holds(&bench, 0), (false, false));
    assert!(holds(&bench, 1).1, "it has not looked yet");
    bench.hint(1);
    assert_eq!(bench.version(1, "facts/0"), 5);
    assert_eq!(holds(&bench, 1), (false, false));
}
