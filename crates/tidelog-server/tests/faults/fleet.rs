//! Writers and readers of one log, and where its servers are now.

use crate::harness::{Server, run_on, text};
use crate::readers::{self, Reader};
use crate::seen::Seen;
use crate::writers::Writer;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) const LOG: &str = "/v1/logs/todos/commits";
/// Only how long a test that fails takes: nothing at all has happened for so long.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a client waits before it asks again: much less than it is told, to be in the way.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that can be asked.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    number: u64,
    pub(crate) base: String,
}

#[derive(Debug, Default)]
struct Counted {
    acknowledged: u64,
    refused: BTreeMap<u16, u64>,
}

/// What writers, readers and whoever disturbs them share.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    addresses: Mutex<Vec<Address>>,
    next: AtomicU64,
    counted: Mutex<Counted>,
    counts: Condvar,
    is_over: AtomicBool,
    is_done: AtomicBool,
    pub(crate) seen: Seen,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fleet {
    /// From now on clients ask this server too. Gives the number by which it is taken away.
    pub(crate) fn add(&self, server: &Server) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let base = server.base.clone();
        lock(&self.addresses).push(Address { number, base });
        number
    }

    pub(crate) fn remove(&self, number: u64) {
        lock(&self.addresses).retain(|address| address.number != number);
    }

    /// A server to ask, another one than that which gave no answer if there is one; `None` if there is none now.
    pub(crate) fn pick(&self, turn: u64, gone: Option<&Address>) -> Option<Address> {
        let addresses = lock(&self.addresses);
        let is_other = |address: &&Address| gone.is_none_or(|gone| gone.number != address.number);
        let others: Vec<&Address> = addresses.iter().filter(is_other).collect();
        let all = if others.is_empty() {
            addresses.iter().collect()
        } else {
            others
        };
        let turn = usize::try_from(turn).unwrap_or(0);
        all.get(turn.checked_rem(all.len())?)
            .map(|&address| address.clone())
    }

    /// Rests for a moment, as a client does before it asks again.
    pub(crate) fn rest(&self) {
        std::thread::sleep(PAUSE);
    }

    /// Writers push what has no answer yet, and nothing new.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Nobody comes again.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Relaxed)
    }

    pub(crate) fn acknowledged(&self) {
        lock(&self.counted).acknowledged += 1;
        self.counts.notify_all();
    }

    /// Somebody was told by this status to come again.
    pub(crate) fn refused(&self, status: u16) {
        *lock(&self.counted).refused.entry(status).or_default() += 1;
        self.counts.notify_all();
    }

    /// How often anybody was told so.
    pub(crate) fn refusals(&self, status: u16) -> u64 {
        lock(&self.counted)
            .refused
            .get(&status)
            .copied()
            .unwrap_or(0)
    }

    /// Waits until so many more pushes were acknowledged.
    pub(crate) fn wait_for_pushes(&self, more: u64) {
        let wanted = lock(&self.counted).acknowledged + more;
        self.wait_until("pushes", |counted| counted.acknowledged >= wanted);
    }

    /// Waits until so many more requests were refused with this status.
    pub(crate) fn wait_for_refusals(&self, status: u16, more: u64) {
        let wanted = self.refusals(status) + more;
        self.wait_until("refusals", |counted| {
            counted
                .refused
                .get(&status)
                .is_some_and(|count| *count >= wanted)
        });
    }

    fn wait_until(&self, what: &str, is_so: impl Fn(&Counted) -> bool) {
        let mut counted = lock(&self.counted);
        while !is_so(&counted) {
            let waited = self.counts.wait_timeout(counted, PATIENCE);
            let (after, late) = waited.unwrap_or_else(PoisonError::into_inner);
            assert!(!late.timed_out(), "waited in vain for {what}: {after:?}");
            counted = after;
        }
    }
}

/// Ends clients even if the test fails.
struct Ending<'a>(&'a Fleet);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
        if std::thread::panicking() {
            self.0.is_done.store(true, Ordering::Relaxed);
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) acknowledged: usize,
    /// Commits that were answered with a conflict.
    pub(crate) refused: usize,
    /// How often a client was told 503 and 507.
    pub(crate) unavailable: u64,
    pub(crate) full: u64,
}

/// So many writers and four readers on the log `todos` of a database, while something is done to its servers. The server that is
/// left takes what was not answered yet, and shows everything to every reader; then it is compared with what they were told.
pub(crate) fn run(store: &str, writers: u64, disturb: impl FnOnce(&Fleet) -> Vec<Server>) -> Ended {
    let fleet = Fleet::default();
    let mut writers: Vec<Writer> = (0..writers).map(Writer::new).collect();
    std::thread::scope(|scope| {
        let ending = Ending(&fleet);
        let pushing: Vec<_> = writers
            .iter_mut()
            .map(|writer| scope.spawn(|| writer.push_on(&fleet)))
            .collect();
        let readers: Vec<Reader<'_>> = readers::KINDS
            .iter()
            .map(|kind| Reader::start(scope, &fleet, *kind))
            .collect();
        let servers = disturb(&fleet);
        drop(ending);
        for writer in pushing {
            writer.join().expect("a writer");
        }
        let head = servers.first().expect("a server that is left").head();
        for reader in &readers {
            reader.wait_for(head, PATIENCE);
        }
        fleet.is_done.store(true, Ordering::Relaxed);
        // What readers wait for ends with the servers.
        drop(servers);
    });
    compare(store, fleet, &writers)
}

/// Holds the log against what its writers were told and its readers saw.
fn compare(store: &str, fleet: Fleet, writers: &[Writer]) -> Ended {
    let server = Server::on(store);
    let whole = Seen::default();
    let (mut end, head) = (0, server.head());
    while end < head {
        let page = server.get(&format!("{LOG}?after={end}")).json();
        end = whole.follow(end, &page["commits"]);
    }
    drop(server);
    let whole = whole.into_inner();
    let (unavailable, full) = (fleet.refusals(503), fleet.refusals(507));
    let seen = fleet.seen.into_inner();
    assert_eq!(seen, whole, "what readers saw is what there is");
    let mut stored: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (first, placed) in &whole {
        let before = stored.insert(&placed.id, (*first, placed.last));
        assert_eq!(before, None, "commit {} is there twice", placed.id);
    }
    let (mut acknowledged, mut refused) = (0, 0);
    for writer in writers {
        for (id, positions) in &writer.receipts {
            assert_eq!(stored.get(id.as_str()), Some(positions), "commit {id}");
        }
        for id in &writer.refused {
            assert_eq!(stored.get(id.as_str()), None, "commit {id} was refused");
        }
        acknowledged += writer.receipts.len();
        refused += writer.refused.len();
    }
    assert_eq!(
        stored.len(),
        acknowledged,
        "and nothing that nobody was told of"
    );
    let verified = run_on(store, &["verify", "--log", "todos"]);
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    Ended {
        acknowledged,
        refused,
        unavailable,
        full,
    }
}
