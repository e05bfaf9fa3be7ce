//! One behaviour of the replica at a time, on the models of [`tidelog_sim`].

mod appending;
mod conflicts;
mod crash;
mod erasing;
mod filtering;
mod local;
mod network;
mod parked;
mod recovery;
mod syncing;
mod upkeep;

use tidelog_sim::{app, bench, dice, disk, oracle, tab};
