//! Bytes as a row of choices: where the input ends, every choice is the first.

use tidelog_core::*;

/// What is left of the input.
pub struct Choices<'b>(pub &'b [u8]);

impl Choices<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    pub fn coin(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Mostly a small number, sometimes an edge.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..0xf0 => u64::from(small % 16),
            0xf0..0xf8 => u64::MAX,
            0xf8..0xfc => u64::MAX - 1,
            _ => 1 << 53,
        }
    }

    /// One near this one, or any.
    pub fn near(&mut self, number: u64) -> u64 {
        match self.below(6) {
            0 => number.wrapping_add(1),
            1 => number.wrapping_sub(1),
            2 => self.number(),
            _ => number,
        }
    }

    /// As many bytes as the next one says.
    pub fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }

    pub fn id(&mut self) -> [u8; 16] {
        [self.byte() % 8; 16]
    }

    pub fn stream(&mut self) -> StreamId {
        let names = ["todo/1", "todo/2", "facts/1", "facts/🦀", "a/..", "todo/é"];
        StreamId::new(names[self.below(6)]).expect("a stream")
    }

    pub fn event(&mut self) -> Event {
        let (stream, kind) = (self.stream(), self.byte());
        Event {
            stream,
            event_type: EventType::new(["added", "done"][usize::from(kind & 1)]).expect("a type"),
            schema: SchemaVersion::new(u32::from(kind >> 6).max(1)),
            data: Payload::json(["{}", "1", "\"é\"", "null"][usize::from(kind >> 1 & 3)]),
            occurred_at: Timestamp::from_millis(match kind >> 3 & 7 {
                0 => i64::MIN,
                1 => i64::MAX,
                other => i64::from(other),
            }),
            tags: Vec::new(),
            meta: Meta::default(),
        }
    }

    pub fn events(&mut self) -> Vec<Event> {
        (0..1 + self.below(3)).map(|_| self.event()).collect()
    }

    pub fn expected(&mut self, head: Option<StreamHead>) -> Expected {
        match self.below(8) {
            0 => Expected::Any,
            1 => Expected::NoStream,
            2 => Expected::Exists,
            3 => Expected::Exact {
                exact: Version::new(self.number()),
                event: None,
            },
            4 => Expected::Exact {
                exact: Version::new(self.number()),
                event: Some(EventId {
                    commit: CommitId::from_bytes(self.id()),
                    attempt: Attempt::FIRST,
                    index: 0,
                }),
            },
            _ => Expected::seen(head.as_ref()),
        }
    }

    pub fn policy(&mut self) -> Policy {
        [Policy::Rerun, Policy::Rebase, Policy::Ask, Policy::Merge][self.below(4)]
    }

    /// Changes bytes somewhere.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = usize::from(self.byte()) << 8 | usize::from(self.byte());
        let at = at % bytes.len().max(1);
        match self.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_slice(&self.bytes()),
            _ => {
                let flip = self.byte();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= flip;
                }
            }
        }
    }
}
