//! Sealed history outside of the database: runs of a log whose frames lie as objects in a folder or a bucket.
//!
//! A run is a segment ([`super::segment`]) as it is sent to devices, or a part of one that is too large to be sent. Runs lie one
//! behind the other from the beginning of the log, but for those that came back. Of the commits in them the database keeps every row, with a stub in place of the frame
//! ([`super::stored`]): all that admission looks at stays where it was.
//!
//! Invariants:
//! - A run comes back whole ([`Archiving::recall`]) before anything of it is changed, and its object is removed before that is answered.
//! - A frame leaves the database only in the transaction that records the run, and only after the object was read back and gave every
//!   frame of it byte for byte.
//! - The name of an object is used once. One that is not recorded is in the table `strays`, from before anything is read for it until it is
//!   removed and nobody can put it any more ([`strays`]): so nothing is left behind for ever, and nobody removes what is recorded.
//! - Before an erasure is answered, nobody can record any more what was read of the log before it, and what was put of that is removed.
//! - What is not there counts as removed only in the archive that says it is this database's ([`marker`]).
//! - What is fetched is compared with its recorded hash. An object that is missing or another is [`StoreError::Damaged`].
//! - Objects are fetched while neither a connection nor the writer is held.

mod archiving;
mod marker;
mod moving;
mod objects;
mod part;
mod reading;
mod shelf;
mod strays;
mod whole;

pub use archiving::Archiving;
pub(super) use marker::{ArchiveId, Marker};
pub use moving::{Moved, Wanted};
pub use objects::{ArchiveAddress, ArchiveError};
pub(super) use part::Part;
pub(super) use reading::{
    Frames, NOT_CONFIGURED, Paged, Place, Source, lost, page, segment, stream,
};
pub(super) use shelf::{Row, Run, Shelf, Stray, names};
pub(super) use whole::{erase, verify};

use super::StoreError;
use objects::Objects;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use tidelog_core::LogName;

/// About how many bytes of what was fetched are kept in memory.
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Runs in a folder or a bucket, and a bounded cache of those that were read. Cheap to clone.
#[derive(Clone)]
pub struct Archive {
    objects: Objects,
    cache: Arc<Cache<Key, Fetched, Weight>>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the archive {:?}", self.objects)
    }
}

/// An object as it is, or decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    decoded: bool,
}

#[derive(Clone)]
enum Fetched {
    Bytes(Arc<[u8]>),
    Part(Arc<Part>),
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Fetched> for Weight {
    fn weight(&self, _: &Key, fetched: &Fetched) -> u64 {
        match fetched {
            Fetched::Bytes(bytes) => bytes.len() as u64,
            Fetched::Part(part) => part.weight(),
        }
    }
}

/// Why a run could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// There is no object of its name.
    Missing,
    /// What the caller is told.
    Because(StoreError),
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self::Because(error)
    }
}

impl Unread {
    /// Where the run is still recorded, its object should be there.
    pub(super) fn of(self, log: &LogName, run: &Run) -> StoreError {
        match self {
            Self::Because(error) => error,
            Self::Missing => damaged(
                log,
                run,
                format!(
                    "its run is not in the archive as {}; is it the archive that it was moved to?",
                    run.name
                ),
            ),
        }
    }
}

fn unavailable(detail: String) -> StoreError {
    StoreError::Unavailable { detail }
}

fn archive_unavailable(log: &LogName, run: &Run, detail: String) -> StoreError {
    StoreError::ArchiveUnavailable {
        log: log.clone(),
        position: run.first,
        detail,
    }
}

fn damaged(log: &LogName, run: &Run, detail: String) -> StoreError {
    StoreError::Damaged {
        log: log.clone(),
        position: run.first,
        detail,
    }
}

impl Archive {
    /// An archive that is there.
    ///
    /// # Errors
    /// [`ArchiveError`] if its address is of no known kind or does not lead anywhere. Whether a bucket answers is seen later.
    pub fn open(address: &ArchiveAddress) -> Result<Self, ArchiveError> {
        // One shard: what is larger than a shard's share would not be kept.
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(64)
            .weight_capacity(CACHE_BYTES)
            .build()
            .map_err(|error| ArchiveError::Refused {
                detail: error.to_string(),
            })?;
        let cache = Cache::with_options(
            options,
            Weight,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Ok(Self {
            objects: Objects::open(address)?,
            cache: Arc::new(cache),
        })
    }

    /// The object of a run, checked.
    pub(super) async fn bytes(&self, log: &LogName, run: &Run) -> Result<Arc<[u8]>, Unread> {
        let key = Key {
            name: run.name.clone(),
            decoded: false,
        };
        let fetch = async { Ok::<_, Unread>(Fetched::Bytes(self.fetch(log, run).await?)) };
        match self.cache.get_or_insert_async(&key, fetch).await? {
            Fetched::Bytes(bytes) => Ok(bytes),
            Fetched::Part(_) => self.fetch(log, run).await,
        }
    }

    /// The commits of a run.
    pub(super) async fn part(&self, log: &LogName, run: &Run) -> Result<Arc<Part>, Unread> {
        let key = Key {
            name: run.name.clone(),
            decoded: true,
        };
        let fetch = async {
            let bytes = self.fetch(log, run).await?;
            let part = decode(log, run, bytes).await?;
            Ok::<_, Unread>(Fetched::Part(Arc::new(part)))
        };
        match self.cache.get_or_insert_async(&key, fetch).await? {
            Fetched::Part(part) => Ok(part),
            Fetched::Bytes(bytes) => Ok(Arc::new(decode(log, run, bytes).await?)),
        }
    }

    /// Keeps nothing of an object in memory.
    fn forget(&self, name: &str) {
        for decoded in [false, true] {
            let name = name.to_owned();
            self.cache.remove(&Key { name, decoded });
        }
    }

    async fn fetch(&self, log: &LogName, run: &Run) -> Result<Arc<[u8]>, Unread> {
        let found = self.objects.get(&run.name, run.bytes).await;
        let found = found.map_err(|detail| archive_unavailable(log, run, detail))?;
        let bytes = found.ok_or(Unread::Missing)?;
        let is_same = bytes.len() as u64 == run.bytes
            && <[u8; 32]>::from(Sha256::digest(&bytes)) == run.sha256;
        match is_same {
            true => Ok(bytes),
            false => {
                let detail = format!("the archive's {} is not what was put there", run.name);
                Err(damaged(log, run, detail).into())
            }
        }
    }
}

/// Decoding takes some time, so it has a thread of its own.
async fn decode(log: &LogName, run: &Run, bytes: Arc<[u8]>) -> Result<Part, StoreError> {
    let (name, of) = (log.clone(), run.clone());
    let decoded = tokio::task::spawn_blocking(move || Part::decode(&bytes));
    let decoded = decoded.await.map_err(|error| StoreError::Unavailable {
        detail: error.to_string(),
    })?;
    let part = decoded.map_err(|detail| damaged(&name, &of, detail))?;
    match part.bounds() == Some((run.first, run.last)) {
        true => Ok(part),
        false => Err(damaged(
            log,
            run,
            format!("{} holds other positions", run.name),
        )),
    }
}
