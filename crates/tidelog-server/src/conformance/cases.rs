//! The cases, a file for each part of PROTOCOL.md.

mod append;
mod caps;
mod chain;
mod description;
mod erasure;
mod expected;
mod filter;
mod frames;
mod news;
mod packed;
mod pull;
mod push;
mod subjects;

use super::Case;

pub(super) fn all() -> Vec<Case> {
    [
        description::all(),
        push::all(),
        packed::all(),
        expected::all(),
        pull::all(),
        caps::all(),
        chain::all(),
        frames::all(),
        filter::all(),
        append::all(),
        erasure::all(),
        news::all(),
        subjects::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
