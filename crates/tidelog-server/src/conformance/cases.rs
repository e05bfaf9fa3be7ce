//! The cases, a file for each part of PROTOCOL.md.

mod append;
mod caps;
mod chain;
mod description;
mod erasure;
mod expected;
mod filter;
mod frames;
mod kinds;
mod names;
mod news;
mod packed;
mod payloads;
mod pull;
mod push;
mod refusals;
mod segments;
mod subjects;

use super::Case;

pub(super) fn all() -> Vec<Case> {
    [
        description::all(),
        push::all(),
        names::all(),
        packed::all(),
        expected::all(),
        payloads::all(),
        pull::all(),
        caps::all(),
        chain::all(),
        frames::all(),
        segments::all(),
        filter::all(),
        append::all(),
        erasure::all(),
        news::all(),
        subjects::all(),
        kinds::all(),
        refusals::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
