//! What happened, as one number that two runs of a seed can be compared by, and in words if somebody wants to read it.

use std::collections::VecDeque;

/// The story of a world.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    hash: u64,
    /// The newest lines, and how many to keep: none unless they are asked for, because words cost more than the world.
    lines: Option<(VecDeque<String>, usize)>,
}

impl Trace {
    /// A trace that keeps the newest `lines` in words.
    #[must_use]
    pub fn telling(lines: usize) -> Self {
        let lines = (lines > 0).then(|| (VecDeque::with_capacity(lines.min(4096)), lines));
        Self { hash: 0, lines }
    }

    /// Takes a number into the hash (the mixing step of wyhash, Wang Yi 2019).
    pub fn mark(&mut self, word: u64) {
        let wide = u128::from(self.hash ^ 0xa076_1d64_78bd_642f)
            * u128::from(word ^ 0xe703_7ed1_a0b4_28db);
        self.hash = (wide as u64) ^ ((wide >> 64) as u64) ^ self.hash.rotate_left(29);
    }

    /// Takes bytes into the hash.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.mark(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mark(u64::from_le_bytes(word));
        }
    }

    /// Keeps a line, if lines are kept.
    pub fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some((lines, most)) = &mut self.lines {
            let line = line();
            if lines.back() == Some(&line) {
                return;
            }
            if lines.len() == *most {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }

    /// Are lines kept?
    #[must_use]
    pub const fn tells(&self) -> bool {
        self.lines.is_some()
    }

    /// The number so far.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// The newest lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .flat_map(|(lines, _)| lines)
            .map(String::as_str)
    }
}
