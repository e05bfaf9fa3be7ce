//! Mutation fuzzing on a stable compiler: every seed of `fuzz/corpus`, every fixture, and many mutations of them go through
//! every decoder, through a replica whose host lies, and through the admission rule. The same seeds give the same mutations. `fuzz/README.md` says how to fuzz for longer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail by panicking"
)]

#[path = "../fuzz/src/authority.rs"]
#[allow(unreachable_pub, reason = "the fuzz targets use it too")]
mod authority;
#[path = "../fuzz/src/checks.rs"]
#[allow(unreachable_pub, reason = "the fuzz targets use it too")]
mod checks;
#[path = "../fuzz/src/choices.rs"]
#[allow(unreachable_pub, reason = "the fuzz targets use it too")]
mod choices;
mod common;
#[path = "../fuzz/src/replica.rs"]
#[allow(unreachable_pub, reason = "the fuzz targets use it too")]
mod replica;

use common::server as admission;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use tidelog_core::directory::DirectoryRecord;
use tidelog_core::*;

/// Mutations of each seed of a decoder, of which there are few.
const MUTATIONS: usize = 400;
/// Mutations of each seed that is a whole story, of which there are hundreds.
const STORIES: usize = 1;

fn place(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files of a folder with this extension (none: any), by name.
fn files(folder: &str, extension: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(place(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(extension))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} holds no seeds");
    files
}

fn frames() -> Vec<(String, Vec<u8>)> {
    [
        files("fuzz/corpus/frames", ""),
        files("../../tests/fixtures/v1", ".frame"),
        files("../../tests/fixtures/v2", ".frame"),
    ]
    .concat()
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end.max(1) as u64) as usize
    }
}

/// One to four changes: bytes set, flipped, removed, repeated or taken from another seed.
fn mutate(dice: &mut Dice, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let length = dice.below(9).min(bytes.len() - at);
        match dice.below(7) {
            0 if at < bytes.len() => bytes[at] = dice.roll() as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 if at < bytes.len() => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][dice.below(6)],
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let run = bytes[at..at + length].to_vec();
                bytes.splice(at..at, run);
            }
            5 => bytes.truncate(at),
            _ => {
                let from = dice.below(other.len());
                let part = &other[from..(from + 64).min(other.len())];
                let end = (at + part.len()).min(bytes.len());
                bytes.splice(at..end, part.iter().copied());
            }
        }
    }
    bytes
}

/// Runs a check over all seeds and their mutations; how many of the mutations it let through and how many it refused.
fn run(
    seeds: &[(String, Vec<u8>)],
    repair: fn(&mut [u8]),
    check: impl Fn(&[u8]) -> bool,
) -> (usize, usize) {
    run_some(seeds, MUTATIONS, repair, check)
}

fn run_some(
    seeds: &[(String, Vec<u8>)],
    mutations: usize,
    repair: fn(&mut [u8]),
    check: impl Fn(&[u8]) -> bool,
) -> (usize, usize) {
    let (mut passed, mut refused) = (0, 0);
    let mut dice = Dice(1);
    for (name, seed) in seeds {
        for round in 0..mutations {
            let other = &seeds[dice.below(seeds.len())].1;
            let mut bytes = mutate(&mut dice, seed, other);
            // Some damage meets the checksum, most of it what is behind.
            if round % 8 > 0 {
                repair(&mut bytes);
            }
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&bytes)));
            match outcome {
                Ok(true) => passed += 1,
                Ok(false) => refused += 1,
                Err(_) => panic!("mutation {round} of {name} is not handled: {bytes:02x?}"),
            }
        }
    }
    (passed, refused)
}

/// The mutations reach what is behind the checksum: some are valid, and many are not.
fn reached((passed, refused): (usize, usize)) {
    assert!(
        passed > refused / 100,
        "only {passed} mutations were valid, {refused} were not"
    );
    assert!(
        refused > passed / 100,
        "only {refused} mutations were refused"
    );
}

#[test]
fn any_frame_decodes_or_says_why_not() {
    for (name, seed) in frames() {
        assert!(checks::decode(&seed), "{name}");
    }
    reached(run(&frames(), checks::repair_frame, checks::decode));
}

#[test]
fn any_frame_has_columns_or_says_why_not() {
    reached(run(&frames(), checks::repair_frame, checks::columns));
}

#[test]
fn any_frames_merge_or_say_why_not() {
    let seeds = frames();
    let pair = files("fuzz/corpus/frames", "following.frame");
    let [(_, second)] = &pair[..] else {
        panic!("one seed follows another");
    };
    let first = fs::read(place("fuzz/corpus/frames/single.frame")).unwrap();
    assert!(checks::merge(&[&first[..], second].concat()));
    reached(run(&seeds, checks::repair_frame, |bytes| {
        checks::merge(&[&first[..], bytes].concat());
        checks::merge(&[bytes, &second[..]].concat());
        checks::merge(bytes)
    }));
}

#[test]
fn any_directory_record_decodes_or_says_why_not() {
    let seeds = files("fuzz/corpus/directory", "");
    for (name, seed) in &seeds {
        assert!(checks::directory(seed), "{name}");
    }
    reached(run(&seeds, checks::repair_record, checks::directory));
}

/// What the seeds of a folder reach; every mutation of them runs, too.
fn reaches(folder: &str, run_input: fn(&[u8]) -> BTreeSet<&'static str>) -> BTreeSet<&'static str> {
    let seeds = files(folder, "");
    let reached = seeds.iter().flat_map(|(_, seed)| run_input(seed)).collect();
    run_some(
        &seeds,
        STORIES,
        |_| (),
        |bytes| !run_input(bytes).is_empty(),
    );
    reached
}

#[test]
fn no_input_makes_a_replica_panic() {
    let reached = reaches("fuzz/corpus/replica", replica::run);
    for state in [
        "a page refused",
        "acked",
        "asked",
        "compacted",
        "confirmed",
        "damaged",
        "durable",
        "failed",
        "head",
        "load",
        "log",
        "parked",
        "pull",
        "push",
        "reopen",
        "reset",
        "resolved",
        "snapshot",
        "unknown",
        "write",
    ] {
        assert!(reached.contains(state), "no seed reaches: {state}");
    }
}

#[test]
fn no_push_makes_the_admission_rule_panic_or_break_its_word() {
    let reached = reaches("fuzz/corpus/authority", authority::run);
    for verdict in ["accepted", "conflict", "duplicate", "rejected"] {
        assert!(reached.contains(verdict), "no seed reaches: {verdict}");
    }
}

#[test]
#[ignore = "writes seeds that do not exist yet"]
fn write_missing_seeds() {
    let commits = common::run(&[vec![0], vec![1, 0], vec![1], vec![2, 3, 0]]);
    let (epoch, chain) = (Epoch::from_bytes([5; 16]), ChainHash::from_bytes([3; 32]));
    let chain_after = commits[..3]
        .iter()
        .fold(chain, |chain, recorded| chain.after(recorded));
    let mut erased = common::full();
    erased.commit.events[1].data = Payload::Erased(Digest::of(b"gone"));
    let local = Local {
        commit: common::full().commit,
        command: Some(Command {
            stream: common::stream("todo/a"),
            name: EventType::new("complete").unwrap(),
            args: r#"{"why":"done"}"#.into(),
        }),
        policy: Policy::Ask,
    };
    let full = [common::full()];
    let record =
        |bytes: &[u8]| DirectoryRecord::of(&frame::columns(bytes.to_vec()).unwrap()).encode();
    let single = frame::encode_recorded(epoch, chain, &commits[..3]);
    let segment = frame::encode_segment(epoch, chain, &commits);
    let seeds = [
        (
            "directory/small",
            record(&frame::encode_recorded(epoch, chain, &full)),
        ),
        ("directory/four", record(&segment)),
        (
            "directory/empty",
            record(&frame::encode_segment(epoch, chain, &[])),
        ),
        (
            "frames/following.frame",
            frame::encode_recorded(epoch, chain_after, &commits[3..]),
        ),
        ("frames/single.frame", single),
        ("frames/segment.frame", segment),
        (
            "frames/full-segment.frame",
            frame::encode_segment(epoch, chain, &full),
        ),
        (
            "frames/erased-segment.frame",
            frame::encode_segment(epoch, chain, &[erased]),
        ),
        (
            "frames/empty-segment.frame",
            frame::encode_segment(epoch, chain, &[]),
        ),
        (
            "frames/local.frame",
            frame::encode_local(Seq::new(7), &[local]),
        ),
    ];
    for (name, bytes) in seeds {
        let place = place("fuzz/corpus").join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        if !place.exists() {
            fs::write(place, bytes).unwrap();
        }
    }
}
