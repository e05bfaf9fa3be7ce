//! Growing byte sections and the dictionary.

use crate::id::{CommitId, ReplicaId};
use crate::map::Map;
use alloc::vec::Vec;
use core::hash::BuildHasherDefault;
use hashbrown::HashMap;
use rustc_hash::FxHasher;

#[derive(Debug, Default)]
pub(crate) struct Section(pub(crate) Vec<u8>);

impl Section {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// LEB128.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "seven bits are taken at a time"
    )]
    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn length(&mut self, length: usize) {
        self.varint(length as u64);
    }

    /// Zigzag, then LEB128.
    #[allow(
        clippy::cast_sign_loss,
        reason = "zigzag maps every signed number to an unsigned one"
    )]
    pub(crate) fn signed(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// How far a number is from another, modulo 2^64.
    #[allow(
        clippy::cast_possible_wrap,
        reason = "a wrapped difference is undone by wrapping addition"
    )]
    pub(crate) fn difference(&mut self, number: u64, from: u64) {
        self.signed(number.wrapping_sub(from) as i64);
    }

    pub(crate) fn id(&mut self, id: &CommitId) {
        self.bytes(id.as_bytes());
    }
}

/// Gives each text and each replica of a frame a number, in the order of first use.
#[derive(Debug, Default)]
pub(crate) struct Dictionary<'a> {
    /// For lookups only: its order shows nowhere.
    texts: HashMap<&'a str, u64, BuildHasherDefault<FxHasher>>,
    replicas: Map<ReplicaId, u64>,
    text_bytes: Section,
    replica_bytes: Section,
}

impl<'a> Dictionary<'a> {
    pub(crate) fn text(&mut self, text: &'a str) -> u64 {
        let next = self.texts.len() as u64;
        let bytes = &mut self.text_bytes;
        *self.texts.entry(text).or_insert_with(|| {
            bytes.length(text.len());
            bytes.bytes(text.as_bytes());
            next
        })
    }

    /// 0 for none, else the text's number plus one.
    pub(crate) fn optional(&mut self, text: Option<&'a str>) -> u64 {
        text.map_or(0, |text| self.text(text) + 1)
    }

    pub(crate) fn replica(&mut self, replica: ReplicaId) -> u64 {
        let next = self.replicas.len() as u64;
        let bytes = &mut self.replica_bytes;
        *self.replicas.entry(replica).or_insert_with(|| {
            bytes.bytes(replica.as_bytes());
            next
        })
    }

    pub(crate) fn finish(self) -> Section {
        let mut section = Section::default();
        section.length(self.replicas.len());
        section.bytes(&self.replica_bytes.0);
        section.length(self.texts.len());
        section.bytes(&self.text_bytes.0);
        section
    }
}
