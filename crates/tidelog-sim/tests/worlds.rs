//! A few worlds, the ones that once failed, and that the oracle sees. Many worlds are `cargo xtask sim`'s.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop at what it did not expect, and says which known failures it left out"
)]

use std::collections::BTreeMap;
use tidelog_sim::canary::Canary;
use tidelog_sim::options::{Hazard, Options};
use tidelog_sim::run::{play, play_twice};

/// Marks a file of a failure that is known and not mended yet; the reason follows.
const KNOWN: &str = "# known: ";

#[test]
fn worlds_keep_the_invariants_and_come_to_rest() {
    for seed in 0..24 {
        let options = Options::draw(seed, 400);
        let ending = play_twice(&options);
        assert!(
            ending.violation.is_none(),
            "{:?} in\n{options}",
            ending.violation
        );
    }
}

/// Also where servers are put back, which is how what was erased could come back.
#[test]
fn worlds_whose_server_erases_leave_nothing_of_it() {
    let mut sometimes: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..16 {
        let options = Options::draw_erasing(1_000 + seed, 400);
        let ending = play(&options, 0);
        let violation = &ending.violation;
        assert!(violation.is_none(), "{violation:?} in\n{options}");
        for (what, count) in ending.sometimes {
            *sometimes.entry(what).or_default() += count;
        }
    }
    for what in [
        "redacted",
        "closed for good",
        "erased on disk",
        "erased",
        "restored",
        "a state that an older build left",
    ] {
        assert!(sometimes.contains_key(what), "no world had: {what}");
    }
}

#[test]
fn worlds_that_once_broke_an_invariant_do_not_any_more() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        files += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let options: Options = text.parse().unwrap();
        let violation = play(&options, 0).violation;
        match text.lines().find_map(|line| line.strip_prefix(KNOWN)) {
            None => assert!(violation.is_none(), "{}: {violation:?}", path.display()),
            Some(reason) => {
                println!("known failure {}: {reason}", path.display());
                assert!(
                    violation.is_some(),
                    "{} fails no more: take its mark away",
                    path.display()
                );
            }
        }
    }
    assert!(files > 0, "there are no regressions in {folder}");
}

#[test]
fn options_are_read_back_as_they_were_written() {
    for seed in 0..100 {
        let mut options = Options::draw(seed, 2_000);
        options.canary = Canary::all().nth(usize::try_from(seed % 8).unwrap());
        assert_eq!(options.to_string().parse(), Ok(options));
    }
    assert!("seed 1\nno-such-thing 3".parse::<Options>().is_err());
}

#[test]
fn a_seed_tells_one_story_and_another_seed_another() {
    let hash = |seed| play(&Options::draw(seed, 200), 0).hash;
    assert_eq!(hash(5), hash(5));
    assert_ne!(hash(5), hash(6));
}

/// Each is caught by what it breaks, not by chance: within a few worlds.
#[test]
fn planted_bugs_of_the_models_are_caught() {
    for canary in Canary::all().filter(|canary| canary.in_model()) {
        let caught = (0..200).find(|seed| {
            let mut options = Options::draw(*seed, 600);
            options.set(Hazard::PowerLoss, 30);
            options.set(Hazard::ServerPowerLoss, 15);
            options.canary = Some(canary);
            play(&options, 0).violation.is_some()
        });
        assert!(caught.is_some(), "no world of 200 showed {}", canary.name());
    }
}
