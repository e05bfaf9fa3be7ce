//! Frames and commits as the models read them.
//!
//! The device and each of its tabs read the same bytes, so a frame of the confirmed log is decoded once in a world and its chain
//! hashes are made once; and a commit that is written, sent, sent again and stored is hashed once. What the replicas and the
//! admission rule do with the same is their own affair: they check, decode and hash each time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tidelog_core::frame::{self, Body, Frame, Step};
use tidelog_core::hash::commit_digest;
use tidelog_core::{Attempt, ChainHash, Commit, CommitId, Digest, Recorded};

/// No more frames, and no more commits, than this are remembered.
const MOST: usize = 4_096;

/// A frame as it reads.
#[derive(Debug)]
pub struct Run {
    frame: Frame,
    /// Before the first commit or gap, and after each.
    chains: Vec<ChainHash>,
}

impl Run {
    /// Its commits in the order of their positions.
    #[must_use]
    pub fn commits(&self) -> &[Recorded] {
        match &self.frame.body {
            Body::Recorded(commits) => commits,
            Body::Local(_) => panic!("a local frame where confirmed commits are"),
        }
    }

    /// Its commits and gaps.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.frame.steps()
    }

    /// The chain hash behind the first `steps`.
    #[must_use]
    pub fn chain_after(&self, steps: usize) -> ChainHash {
        self.chains[steps]
    }

    /// The ids of its commits.
    #[must_use]
    pub fn ids(&self) -> Vec<CommitId> {
        let commits = self.commits().iter();
        commits.map(|recorded| recorded.commit.id).collect()
    }
}

/// Frames by their checksums. A frame is known by all of its bytes, because the checksum of one that was damaged stays.
type Known = BTreeMap<[u8; 4], Vec<(Rc<[u8]>, Rc<Run>)>>;

/// The digests of commits by id and attempt. A commit is known by all that its digest covers.
type Hashed = BTreeMap<(CommitId, Attempt), Vec<(Commit, Digest)>>;

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
    static HASHED: RefCell<Hashed> = RefCell::default();
}

/// Another world begins.
pub(crate) fn forget() {
    KNOWN.with_borrow_mut(BTreeMap::clear);
    HASHED.with_borrow_mut(BTreeMap::clear);
}

/// The digest of a commit.
#[must_use]
pub fn digest(commit: &Commit) -> Digest {
    HASHED.with_borrow_mut(|hashed| {
        if hashed.len() > MOST {
            hashed.clear();
        }
        let alike = hashed.entry((commit.id, commit.attempt)).or_default();
        let known = alike.iter().find(|(known, _)| {
            known.conditions == commit.conditions && known.events == commit.events
        });
        if let Some((_, digest)) = known {
            return *digest;
        }
        let digest = commit_digest(commit);
        alike.push((commit.clone(), digest));
        digest
    })
}

/// The commits of a recorded frame, which has to be whole.
#[must_use]
pub fn recorded(bytes: &[u8]) -> Rc<Run> {
    let checksum = *bytes[12..].first_chunk().unwrap();
    KNOWN.with_borrow_mut(|known| {
        if known.len() > MOST {
            known.clear();
        }
        let alike = known.entry(checksum).or_default();
        if let Some((_, run)) = alike.iter().find(|(known, _)| **known == *bytes) {
            return Rc::clone(run);
        }
        let run = Rc::new(decode(bytes));
        alike.push((bytes.into(), Rc::clone(&run)));
        run
    })
}

fn decode(bytes: &[u8]) -> Run {
    let frame = frame::decode(bytes).unwrap();
    let mut chains = vec![frame.chain_before];
    for step in frame.steps() {
        chains.push(step.chain_after(chains[chains.len() - 1]));
    }
    Run { frame, chains }
}
