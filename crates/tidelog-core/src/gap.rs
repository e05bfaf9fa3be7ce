//! What a log leaves out, and why: never in silence.

use crate::hash::ChainHash;
use crate::number::Position;
use alloc::vec::Vec;

/// A range of positions whose events are not held here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first position that is left out.
    pub from: Position,
    /// The last one.
    pub to: Position,
    /// Why.
    pub reason: GapReason,
}

/// A gap where it stands in the log: between two commits, or at an end of what was read. What is left out cannot be hashed, so
/// the chain hash behind it is told, and what follows chains from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GapRecord {
    /// What is left out, and why.
    pub gap: Gap,
    /// The chain hash at its last position.
    pub chain: ChainHash,
}

impl GapRecord {
    /// Puts a gap behind others. One that continues the last one, for the same reason, makes it longer.
    pub fn push(self, behind: &mut Vec<Self>) {
        match behind.last_mut() {
            Some(last)
                if last.gap.to.next() == self.gap.from && last.gap.reason == self.gap.reason =>
            {
                last.gap.to = self.gap.to;
                last.chain = self.chain;
            }
            _ => behind.push(self),
        }
    }
}

/// Why events are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapReason {
    /// This device keeps only newer events; the server has them.
    Retention,
    /// This replica asked for other streams only.
    Filter,
    /// They were erased.
    Redaction,
}

impl GapReason {
    /// Its name, the same in every language.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Filter => "filter",
            Self::Redaction => "redaction",
        }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Retention => 1,
            Self::Filter => 2,
            Self::Redaction => 3,
        }
    }

    pub(crate) const fn of_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Retention),
            2 => Some(Self::Filter),
            3 => Some(Self::Redaction),
            _ => None,
        }
    }
}

/// Gaps as numbers, three for each: from, to, and 1 retention, 2 filter, 3 redaction.
#[must_use]
pub fn encode(gaps: &[Gap]) -> Vec<u64> {
    gaps.iter()
        .flat_map(|gap| {
            [
                gap.from.value(),
                gap.to.value(),
                u64::from(gap.reason.number()),
            ]
        })
        .collect()
}

/// The inverse of [`encode`]; `None` if these numbers are no gaps in ascending order.
#[must_use]
pub fn decode(numbers: &[u64]) -> Option<Vec<Gap>> {
    let mut gaps = Vec::new();
    let mut last = 0;
    let (triples, rest) = numbers.as_chunks::<3>();
    for &[from, to, reason] in triples {
        if from <= last || to < from {
            return None;
        }
        last = to;
        gaps.push(Gap {
            from: Position::new(from),
            to: Position::new(to),
            reason: GapReason::of_number(reason)?,
        });
    }
    rest.is_empty().then_some(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_come_back_and_nonsense_does_not() {
        let gap = |from, to, reason| Gap {
            from: Position::new(from),
            to: Position::new(to),
            reason,
        };
        let gaps = [
            gap(1, 5, GapReason::Retention),
            gap(7, 7, GapReason::Redaction),
        ];
        assert_eq!(decode(&encode(&gaps)).as_deref(), Some(&gaps[..]));
        assert_eq!(decode(&[]), Some(Vec::new()));
        for wrong in [
            &[1_u64, 2][..],
            &[0, 2, 1],
            &[3, 2, 1],
            &[1, 2, 9],
            &[1, 5, 1, 5, 6, 1],
        ] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
