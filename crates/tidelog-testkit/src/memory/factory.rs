//! Memory databases by name, for the conformance suite.

use super::{MemoryDatabase, MemoryStore};
use crate::conformance::StoreFactory;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tidelog_core::ReplicaId;
use tidelog_core::store::StoreError;

/// Databases by name, as an origin has them.
#[derive(Debug, Default)]
pub struct MemoryFactory {
    databases: Mutex<BTreeMap<String, MemoryDatabase>>,
}

impl MemoryFactory {
    /// The database of this name.
    #[must_use]
    pub fn database(&self, name: &str) -> MemoryDatabase {
        super::lock(&self.databases)
            .entry(name.into())
            .or_default()
            .clone()
    }
}

impl StoreFactory for MemoryFactory {
    type Store = MemoryStore;

    async fn open(&self, name: &str, replica: ReplicaId) -> Result<MemoryStore, StoreError> {
        Ok(self.database(name).open(replica))
    }

    async fn wipe(&self, name: &str) {
        self.database(name).wipe();
    }
}
