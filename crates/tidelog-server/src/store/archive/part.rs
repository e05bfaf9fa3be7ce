//! What an object holds: frames of the format for the disk, one after the other, gzipped.

use crate::store::Stored;
use flate2::read::GzDecoder;
use std::io::Read;
use tidelog_core::{ChainHash, Epoch, Position, frame};

/// The decoded commits take about so many times the bytes of their frames.
const WEIGHT: u64 = 3;

/// The commits of a run.
#[derive(Debug)]
pub(in crate::store) struct Part {
    epoch: Epoch,
    chain_before: ChainHash,
    commits: Vec<Stored>,
}

impl Part {
    /// Unpacks and decodes an object. The chain is computed over all of it.
    pub(super) fn decode(gzip: &[u8]) -> Result<Self, String> {
        let mut bytes = Vec::new();
        GzDecoder::new(gzip)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        let mut part: Option<Self> = None;
        for one in frame::split(&bytes).map_err(|error| error.to_string())? {
            let decoded = frame::decode(one).map_err(|error| error.to_string())?;
            let frame::Body::Recorded(commits) = decoded.body else {
                return Err("it holds commits that are not confirmed".into());
            };
            let part = part.get_or_insert_with(|| Self {
                epoch: decoded.epoch,
                chain_before: decoded.chain_before,
                commits: Vec::new(),
            });
            if decoded.chain_before != part.chain() || decoded.epoch != part.epoch {
                return Err("its frames do not follow each other".into());
            }
            for recorded in commits {
                let before = part.chain();
                let chain = before.after(&recorded);
                let alone = std::slice::from_ref(&recorded);
                let bytes = frame::encode_recorded(part.epoch, before, alone).len();
                part.commits.push(Stored {
                    recorded,
                    chain,
                    bytes,
                });
            }
        }
        part.ok_or_else(|| "it is empty".into())
    }

    fn chain(&self) -> ChainHash {
        self.commits
            .last()
            .map_or(self.chain_before, |stored| stored.chain)
    }

    /// Its first and its last position.
    pub(super) fn bounds(&self) -> Option<(Position, Position)> {
        let (first, last) = (self.commits.first()?, self.commits.last()?);
        Some((first.recorded.position, last.recorded.last_position()))
    }

    pub(super) fn weight(&self) -> u64 {
        let bytes: usize = self.commits.iter().map(|stored| stored.bytes).sum();
        WEIGHT * bytes as u64
    }

    /// Its commits from the one that holds a position, and the chain hash before them.
    pub(super) fn from(&self, position: Position) -> (&[Stored], ChainHash) {
        let index = self
            .commits
            .partition_point(|stored| stored.recorded.last_position() < position);
        let (before, rest) = self.commits.split_at(index);
        let chain = before.last().map_or(self.chain_before, |one| one.chain);
        (rest, chain)
    }

    /// The commit that begins at a position, and the chain hash before it.
    pub(in crate::store) fn commit(&self, first: Position) -> Option<(&Stored, ChainHash)> {
        let (rest, chain) = self.from(first);
        let found = rest.first().filter(|one| one.recorded.position == first)?;
        Some((found, chain))
    }

    /// The frame that the database has, or had, of the commit that begins at a position.
    pub(in crate::store) fn frame(&self, first: Position) -> Option<Vec<u8>> {
        let (stored, chain) = self.commit(first)?;
        let alone = std::slice::from_ref(&stored.recorded);
        Some(frame::encode_recorded(self.epoch, chain, alone))
    }

    /// The frames, each with the position that its commit begins at.
    pub(in crate::store) fn frames(&self) -> impl Iterator<Item = (Position, Vec<u8>)> {
        let mut chain = self.chain_before;
        self.commits.iter().map(move |stored| {
            let alone = std::slice::from_ref(&stored.recorded);
            let frame = frame::encode_recorded(self.epoch, chain, alone);
            chain = stored.chain;
            (stored.recorded.position, frame)
        })
    }

    pub(super) const fn len(&self) -> usize {
        self.commits.len()
    }
}
