//! Frames that follow each other as one frame, and the chain that proves that they do.

use super::{Body, Frame, FrameError, decode, encode_with_gaps, gaps};
use crate::commit::Recorded;
use crate::gap::GapRecord;
use crate::hash::ChainHash;
use crate::number::Position;
use alloc::vec::Vec;

/// Several recorded frames as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The one frame. Payload bytes are as they were.
    pub frame: Vec<u8>,
    /// The chain hash behind its last commit.
    pub chain_after: ChainHash,
}

/// Why frames do not make one frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is neither a commit nor a gap in any of them.
    #[error("there is nothing to merge: no frame holds a commit or a gap")]
    Empty,
    /// One of them is damaged, or holds commits that are not confirmed.
    #[error("one of the frames cannot be read: {0}")]
    Frame(#[from] FrameError),
    /// A frame does not begin where the one before ends.
    #[error("a frame begins at position {found} and should begin at {expected}")]
    NotContiguous {
        /// The position behind the frame before.
        expected: Position,
        /// Where the frame begins.
        found: Position,
    },
    /// Two of them belong to different histories of the log.
    #[error("the frame at position {position} belongs to another epoch than the ones before it")]
    Epoch {
        /// Where the frame begins.
        position: Position,
    },
    /// A frame's chain hash is not the one of the commits before it: they were changed after they were taken in.
    #[error("the hash chain breaks at position {position}: what is stored before it was changed")]
    Chain {
        /// Where the frame begins.
        position: Position,
    },
}

pub(super) fn merge(frames: &[&[u8]]) -> Result<Merged, MergeError> {
    let mut merged: Option<(Frame, Vec<Recorded>)> = None;
    let mut all_gaps = Vec::new();
    let mut next = Position::START;
    let mut chain = ChainHash::default();
    for bytes in frames {
        let (frame, commits) = recorded(bytes)?;
        let Some(first) = gaps::steps(&commits, &frame.gaps).next() else {
            continue;
        };
        let position = first.first();
        if let Some((before, _)) = &merged {
            if position != next {
                return Err(MergeError::NotContiguous {
                    expected: next,
                    found: position,
                });
            }
            if frame.epoch != before.epoch {
                return Err(MergeError::Epoch { position });
            }
            if frame.chain_before != chain {
                return Err(MergeError::Chain { position });
            }
        }
        chain = end(frame.chain_before, &commits, &frame.gaps);
        for step in gaps::steps(&commits, &frame.gaps) {
            next = step.last().next();
        }
        // They stay apart, because a reader may stand between them, by the chain hash there.
        all_gaps.extend(&frame.gaps);
        match &mut merged {
            Some((_, all)) => all.extend(commits),
            None => merged = Some((frame, commits)),
        }
    }
    let (first, commits) = merged.ok_or(MergeError::Empty)?;
    Ok(Merged {
        frame: encode_with_gaps(first.epoch, first.chain_before, &commits, &all_gaps),
        chain_after: chain,
    })
}

pub(super) fn chain_after(bytes: &[u8]) -> Result<ChainHash, FrameError> {
    let (frame, commits) = recorded(bytes)?;
    Ok(end(frame.chain_before, &commits, &frame.gaps))
}

fn recorded(bytes: &[u8]) -> Result<(Frame, Vec<Recorded>), FrameError> {
    let mut frame = decode(bytes)?;
    match core::mem::replace(&mut frame.body, Body::Recorded(Vec::new())) {
        Body::Recorded(commits) => Ok((frame, commits)),
        Body::Local(_) => Err(FrameError::NotRecorded),
    }
}

fn end(before: ChainHash, commits: &[Recorded], gaps: &[GapRecord]) -> ChainHash {
    gaps::steps(commits, gaps).fold(before, |chain, step| step.chain_after(chain))
}
