//! Version 1: the stores of the first release.

use super::stores::{
    DIRECTORY, LOG, LOST, META, OUTCOME, PARKED, PENDING, QUARANTINE, SNAPSHOTS, SPARE,
};
use rexie::{ObjectStore, Rexie, RexieBuilder};

/// The version as IndexedDB counts it. 1 is left free: whoever opens the name without a version makes an empty database
/// of version 1, and finding that must be an upgrade, not a database without stores.
pub(crate) const VERSION: u32 = 2;

/// Opens the database, and creates or upgrades it if it is not at this version.
pub(crate) fn builder(name: &str) -> RexieBuilder {
    let keyed = [
        PENDING, OUTCOME, LOG, SNAPSHOTS, DIRECTORY, PARKED, META, QUARANTINE, SPARE,
    ];
    keyed
        .into_iter()
        .fold(Rexie::builder(name).version(VERSION), |builder, store| {
            builder.add_object_store(ObjectStore::new(store))
        })
        .add_object_store(ObjectStore::new(LOST).auto_increment(true))
}
