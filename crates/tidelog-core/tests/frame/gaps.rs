//! Frames that leave something out: positions, chain and columns are those of the whole log.

use crate::common::{self, agree, bytes::repair};
use proptest::prelude::*;
use tidelog_core::frame::{self, Body, FrameError, Step};
use tidelog_core::*;

const EPOCH: Epoch = Epoch::from_bytes([5; 16]);
const BEFORE: ChainHash = ChainHash::from_bytes([3; 32]);

/// A log of which some commits are left out: what stays, the gaps, and the chain behind it all.
fn parted(commits: &[Recorded], left: &[bool]) -> (Vec<Recorded>, Vec<GapRecord>, ChainHash) {
    let mut chain = BEFORE;
    let (mut kept, mut gaps) = (Vec::new(), Vec::new());
    for (recorded, left) in commits
        .iter()
        .zip(left.iter().chain(std::iter::repeat(&false)))
    {
        chain = chain.after(recorded);
        if !left {
            kept.push(recorded.clone());
            continue;
        }
        let gap = Gap {
            from: recorded.position,
            to: recorded.last_position(),
            reason: GapReason::Filter,
        };
        GapRecord { gap, chain }.push(&mut gaps);
    }
    (kept, gaps, chain)
}

proptest! {
    #[test]
    fn a_frame_with_gaps_says_of_each_commit_what_the_whole_log_does(
        streams in proptest::collection::vec(proptest::collection::vec(0..4_u8, 1..4), 1..9),
        left in proptest::collection::vec(any::<bool>(), 0..9),
        cut in any::<proptest::sample::Index>(),
    ) {
        let commits = common::run(&streams);
        let (kept, gaps, chain) = parted(&commits, &left);
        let bytes = frame::encode_with_gaps(EPOCH, BEFORE, &kept, &gaps);
        let header = frame::header(&bytes).unwrap();
        prop_assert_eq!(header.format, if gaps.is_empty() { 2 } else { 3 });
        prop_assert_eq!(header.first_position(), commits[0].position);
        prop_assert_eq!(header.last_position(), commits[commits.len() - 1].last_position());
        let decoded = frame::decode(&bytes).unwrap();
        prop_assert_eq!(&decoded.body, &Body::Recorded(kept.clone()));
        prop_assert_eq!(&decoded.gaps, &gaps);
        prop_assert_eq!(frame::chain_after(&bytes).unwrap(), chain);
        // Commits and gaps together are the log, without a hole.
        let mut next = commits[0].position;
        for step in decoded.steps() {
            prop_assert_eq!(step.first(), next);
            next = step.last().next();
            if let Step::Gap(record) = step {
                prop_assert!(record.gap.from <= record.gap.to);
            }
        }
        let columns = agree::check(&bytes);
        prop_assert_eq!(columns.gaps().copied().collect::<Vec<_>>(), gaps.clone());
        for position in 0..next.value() + 2 {
            let position = Position::new(position);
            let until = (0..columns.stream().len()).filter(|event| columns.position(*event) <= position);
            prop_assert_eq!(columns.events_until(position), until.count());
        }
        // Merged from two parts it says the same, though the gaps stay as they were read.
        let at = cut.index(commits.len() + 1);
        let (left_one, left_two) = left.split_at(at.min(left.len()));
        let (one, one_gaps, middle) = parted(&commits[..at], left_one);
        let (two, two_gaps, _) = parted(&commits[at..], left_two);
        let two_gaps: Vec<GapRecord> = two_gaps
            .into_iter()
            .map(|record| {
                let whole = gaps.iter().find(|whole| whole.gap.to == record.gap.to);
                GapRecord { chain: whole.map_or(record.chain, |whole| whole.chain), ..record }
            })
            .collect();
        let parts = [
            frame::encode_with_gaps(EPOCH, BEFORE, &one, &one_gaps),
            frame::encode_with_gaps(EPOCH, middle, &two, &two_gaps),
        ];
        let merged = frame::merge(&[&parts[0], &parts[1]]).unwrap();
        prop_assert_eq!(merged.chain_after, chain);
        let merged = frame::decode(&merged.frame).unwrap();
        prop_assert_eq!(merged.body, Body::Recorded(kept));
        prop_assert_eq!(merged.gaps, [one_gaps, two_gaps].concat());
    }

    #[test]
    fn changed_bytes_of_a_gap_are_an_error_or_another_frame(
        left in proptest::collection::vec(any::<bool>(), 4), at in 80..140_usize, to in any::<u8>(),
    ) {
        let commits = common::run(&[vec![0], vec![1], vec![0], vec![2]]);
        let (kept, gaps, _) = parted(&commits, &left);
        let mut bytes = frame::encode_with_gaps(EPOCH, BEFORE, &kept, &gaps);
        let at = at.min(bytes.len() - 1);
        bytes[at] = to;
        repair(&mut bytes);
        let columns = frame::columns(bytes.clone());
        if let Ok(decoded) = frame::decode(&bytes) {
            let covered: u64 = decoded.steps().map(|step| step.last().value() - step.first().value() + 1).sum();
            let header = frame::header(&bytes).unwrap();
            prop_assert_eq!(covered, header.last_position().value() - header.first_position().value() + 1);
            prop_assert!(columns.is_ok());
        }
    }
}

#[test]
fn a_frame_may_be_one_gap() {
    let record = GapRecord {
        gap: Gap {
            from: Position::new(4),
            to: Position::new(1 << 40),
            reason: GapReason::Filter,
        },
        chain: ChainHash::from_bytes([9; 32]),
    };
    let bytes = frame::encode_with_gaps(EPOCH, BEFORE, &[], &[record]);
    let header = frame::header(&bytes).unwrap();
    assert_eq!(
        (header.first_position(), header.last_position()),
        (record.gap.from, record.gap.to)
    );
    assert_eq!((header.commits, header.events), (0, 0));
    assert_eq!(frame::decode(&bytes).unwrap().gaps, [record]);
    assert_eq!(frame::chain_after(&bytes), Ok(record.chain));
    let columns = frame::columns(bytes).unwrap();
    assert_eq!(columns.events_until(Position::new(99)), 0);
}

#[test]
fn gaps_that_reach_beyond_all_positions_are_refused() {
    let record = |from, to| GapRecord {
        gap: Gap {
            from: Position::new(from),
            to: Position::new(to),
            reason: GapReason::Filter,
        },
        chain: BEFORE,
    };
    let bytes = frame::encode_with_gaps(EPOCH, BEFORE, &[], &[record(9, u64::MAX - 1)]);
    assert!(frame::decode(&bytes).is_ok());
    let mut beyond = bytes;
    beyond[32] = 10;
    repair(&mut beyond);
    assert!(matches!(
        frame::decode(&beyond),
        Err(FrameError::Malformed { .. })
    ));
}
