//! What to compact next: a pure function of the frames that are not sealed yet.
//!
//! Frames grow by merging neighbours until they are segments. A run at the end is merged only if it has [`FEWEST`] frames
//! and its oldest is not larger than all newer ones together, so the oldest ends in a frame at least twice as large, and
//! what is left before the run is larger than all that follows. A byte is therefore written at most 2 + log₂(segment /
//! smallest frame) times: 11 for frames of 256 bytes and segments of 128 KiB, usually 4, as eight or more are merged at
//! once. What is left unmerged is at most `FEWEST` frames and one for each doubling: 1,000 single appends become about a
//! dozen frames.

/// A recorded frame that is not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Its bytes.
    pub(crate) bytes: usize,
}

/// One slice of work on the oldest frames of the tail, or on some at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The first frame is large enough: it becomes a segment as it is.
    Seal,
    /// The first `frames` frames become one segment.
    Segment {
        /// How many.
        frames: usize,
    },
    /// These frames become one, which is not sealed.
    Merge {
        /// The first of them.
        from: usize,
        /// The one behind the last.
        to: usize,
    },
}

/// So few frames are not merged unless they fill a segment.
pub(crate) const FEWEST: usize = 8;

/// The next step for these frames, oldest first, none sealed; `None` if they are best left as they are. `target` is the size
/// of a segment in bytes. A segment has between three and five quarters of it, unless its neighbours are larger.
pub(crate) fn next(tail: &[Tail], target: usize) -> Option<Step> {
    let least = target / 4 * 3;
    let most = target / 4 * 5;
    let first = tail.first()?;
    if first.bytes >= least {
        return Some(Step::Seal);
    }
    let mut sum = 0_usize;
    for (frames, frame) in tail.iter().enumerate() {
        if sum + frame.bytes > most {
            return Some(if frames == 1 {
                Step::Seal
            } else {
                Step::Segment { frames }
            });
        }
        sum += frame.bytes;
        if sum >= target {
            return Some(Step::Segment { frames: frames + 1 });
        }
    }
    let mut newer = sum;
    for (from, frame) in tail.iter().enumerate() {
        newer -= frame.bytes;
        if tail.len() - from < FEWEST {
            return None;
        }
        if frame.bytes <= newer {
            return Some(Step::Merge {
                from,
                to: tail.len(),
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: usize = 256 * 1024;

    fn tail(sizes: &[usize]) -> Vec<Tail> {
        sizes.iter().map(|bytes| Tail { bytes: *bytes }).collect()
    }

    /// Runs steps until nothing is left. Gives the unsealed sizes, the sealed ones and the bytes written.
    fn settle(mut sizes: Vec<usize>) -> (Vec<usize>, Vec<usize>, usize) {
        let mut sealed = Vec::new();
        let mut written = 0;
        while let Some(step) = next(&tail(&sizes), TARGET) {
            match step {
                Step::Seal => sealed.push(sizes.remove(0)),
                Step::Segment { frames } => {
                    let sum = sizes.drain(..frames).sum();
                    written += sum;
                    sealed.push(sum);
                }
                Step::Merge { from, to } => {
                    let sum = sizes.drain(from..to).sum();
                    written += sum;
                    sizes.insert(from, sum);
                }
            }
        }
        (sizes, sealed, written)
    }

    #[test]
    fn nothing_is_done_to_nothing_and_to_a_few_small_frames() {
        assert_eq!(next(&[], TARGET), None);
        assert_eq!(next(&tail(&[300; FEWEST - 1]), TARGET), None);
    }

    #[test]
    fn a_large_frame_is_sealed_as_it_is() {
        for large in [TARGET * 3 / 4, TARGET, TARGET * 4] {
            assert_eq!(next(&tail(&[large, 10]), TARGET), Some(Step::Seal));
        }
    }

    #[test]
    fn a_prefix_that_fills_a_segment_becomes_one() {
        let quarter = TARGET / 4;
        assert_eq!(
            next(&tail(&[quarter; 6]), TARGET),
            Some(Step::Segment { frames: 4 })
        );
        // The third would make it too large.
        assert_eq!(
            next(&tail(&[quarter, quarter, TARGET, 10]), TARGET),
            Some(Step::Segment { frames: 2 })
        );
        assert_eq!(next(&tail(&[10, TARGET * 2]), TARGET), Some(Step::Seal));
    }

    #[test]
    fn a_thousand_single_appends_become_a_few_frames_by_few_rewrites() {
        let mut sizes = Vec::new();
        let (mut appended, mut written) = (0, 0);
        for _ in 0..1_000 {
            sizes.push(300);
            appended += 300;
            let (left, sealed, rewritten) = settle(sizes);
            assert!(left.len() <= FEWEST + 10, "{left:?}");
            written += rewritten;
            sizes = left;
            if !sealed.is_empty() {
                assert!(sealed.iter().all(|bytes| *bytes >= TARGET / 4 * 3));
            }
        }
        assert!(written <= appended * 10, "{written} for {appended}");
    }

    #[test]
    fn every_mix_of_sizes_settles_and_keeps_every_byte() {
        let mut seed = 7_u64;
        for _ in 0..200 {
            let sizes: Vec<usize> = (0..60)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let size = 100_u64 << ((seed >> 40) % 13);
                    usize::try_from(size).unwrap_or(100)
                })
                .collect();
            let all: usize = sizes.iter().sum();
            let (left, sealed, _) = settle(sizes);
            assert_eq!(
                left.iter().sum::<usize>() + sealed.iter().sum::<usize>(),
                all
            );
            assert!(left.iter().sum::<usize>() < TARGET);
            assert!(left.len() <= FEWEST + 12);
        }
    }
}
