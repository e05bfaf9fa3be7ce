//! Merging: frames that follow each other become one that says the same, and what was changed at rest shows.

use crate::common::{self, agree, bytes::repair};
use proptest::prelude::*;
use tidelog_core::frame::{self, Body, MergeError};
use tidelog_core::*;

const EPOCH: Epoch = Epoch::from_bytes([5; 16]);

/// Each group of commits as a frame, chained; and the chain behind the last.
fn frames(groups: &[&[Recorded]]) -> (Vec<Vec<u8>>, ChainHash) {
    let mut chain = ChainHash::from_bytes([3; 32]);
    let encode = |group: &&[Recorded]| {
        let bytes = frame::encode_recorded(EPOCH, chain, group);
        for recorded in *group {
            chain = chain.after(recorded);
        }
        bytes
    };
    let frames = groups.iter().map(encode).collect();
    (frames, chain)
}

fn merge(frames: &[Vec<u8>]) -> Result<frame::Merged, MergeError> {
    let parts: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    frame::merge(&parts)
}

proptest! {
    #[test]
    fn a_merged_frame_is_the_frame_of_all_commits(
        streams in proptest::collection::vec(proptest::collection::vec(0..4_u8, 1..4), 1..9),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
    ) {
        let commits = common::run(&streams);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(commits.len())).collect();
        cuts.extend([0, commits.len()]);
        cuts.sort_unstable();
        let groups: Vec<&[Recorded]> = cuts.windows(2).map(|cut| &commits[cut[0]..cut[1]]).collect();
        let (frames, chain) = frames(&groups);
        let merged = merge(&frames).unwrap();
        prop_assert_eq!(merged.chain_after, chain);
        prop_assert_eq!(frame::chain_after(&merged.frame).unwrap(), chain);
        prop_assert_eq!(&merged.frame, &frame::encode_segment(EPOCH, ChainHash::from_bytes([3; 32]), &commits));
        agree::check(&merged.frame);
        // In steps it comes to the same.
        if frames.len() > 2 && !groups[0].is_empty() {
            let first = merge(&frames[..2]).unwrap().frame;
            let rest = [&[first], &frames[2..]].concat();
            prop_assert_eq!(merge(&rest).unwrap(), merged);
        }
    }
}

#[test]
fn payload_bytes_and_erased_payloads_stay_as_they_are() {
    let mut commits = common::run(&[vec![0, 1], vec![1]]);
    commits[0].commit.events[0].data = Payload::json("{ \"n\":1e400,\"é\" : 1.0 }");
    commits[1].commit.events[0].data = Payload::Erased(Digest::of(b"gone"));
    let (frames, chain) = frames(&[&commits[..1], &commits[1..]]);
    let merged = merge(&frames).unwrap();
    assert_eq!(merged.chain_after, chain);
    let Body::Recorded(back) = frame::decode(&merged.frame).unwrap().body else {
        panic!("not recorded");
    };
    assert_eq!(back, commits);
}

#[test]
fn a_change_at_rest_shows_though_every_checksum_is_true() {
    let commits = common::run(&[vec![0], vec![1], vec![0]]);
    let (mut frames, _) = frames(&[&commits[..1], &commits[1..]]);
    let at = frames[0]
        .windows(2)
        .rposition(|window| window == b"{}")
        .unwrap();
    frames[0][at..at + 2].copy_from_slice(b"[]");
    repair(&mut frames[0]);
    assert!(frame::decode(&frames[0]).is_ok());
    assert_eq!(
        merge(&frames),
        Err(MergeError::Chain {
            position: Position::new(2)
        })
    );
}

#[test]
fn what_does_not_follow_is_refused() {
    let commits = common::run(&[vec![0], vec![1, 2], vec![0]]);
    let (frames, _) = frames(&[&commits[..1], &commits[1..2], &commits[2..]]);
    let [one, two, three] = <[Vec<u8>; 3]>::try_from(frames).unwrap();
    assert_eq!(
        merge(&[one.clone(), three.clone()]),
        Err(MergeError::NotContiguous {
            expected: Position::new(2),
            found: Position::new(4)
        })
    );
    assert_eq!(
        merge(&[two.clone(), two.clone()]),
        Err(MergeError::NotContiguous {
            expected: Position::new(4),
            found: Position::new(2)
        })
    );
    let mut other = two.clone();
    other[16] ^= 1;
    repair(&mut other);
    assert_eq!(
        merge(&[one.clone(), other]),
        Err(MergeError::Epoch {
            position: Position::new(2)
        })
    );
    let mut damaged = two;
    damaged[90] ^= 1;
    assert!(matches!(merge(&[one, damaged]), Err(MergeError::Frame(_))));
    let local = frame::encode_local(Seq::new(1), &[]);
    assert_eq!(
        merge(&[local]),
        Err(MergeError::Frame(frame::FrameError::NotRecorded))
    );
    assert_eq!(merge(&[]), Err(MergeError::Empty));
    let empty = frame::encode_recorded(EPOCH, ChainHash::default(), &[]);
    assert_eq!(merge(&[empty]), Err(MergeError::Empty));
}
