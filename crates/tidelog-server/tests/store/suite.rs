//! The contract of [`LogStore`], one case per promise.
//!
//! [`store_suite!`] registers all of them for an implementation; a case is defined and registered by one macro, so none
//! can be left out. Each gets a database of its own, and after it every log there is verified from its first byte.
//!
//! [`Database::open`] gives another handle on the same database: what another process would have.

use crate::commits::{
    ALL, accepted, commit, event, exact, expecting, id, log, push, replica, stream, subject,
    verdicts,
};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io::Read;
use tidelog_core::authority::RejectionCode;
use tidelog_core::erasure::{Reason, VersionRange};
use tidelog_core::protocol::{PushResponse, Verdict};
use tidelog_core::{
    Attempt, ChainHash, CommitId, Cursor, Epoch, EventId, Expected, Payload, Position, Recorded,
    Seq, Version, frame,
};
use tidelog_server::store::{
    After, Archiving, Candidate, Direction, Erase, ErasureRecord, LogStore, Numbering, Page,
    PageCap, Push, SEGMENT_EVENTS, Segment, StoreError, StreamPage, StreamRange, Versions,
};

pub(crate) fn ranges(of: &[(u64, u64)]) -> Vec<VersionRange> {
    let range = |&(first, last)| VersionRange {
        first: Version::new(first),
        last: Version::new(last),
    };
    of.iter().map(range).collect()
}

/// Ann erases in a stream of the log `a`.
pub(crate) fn erase(name: &str, versions: Versions, tombstone: bool) -> Erase {
    Erase {
        log: log("a"),
        stream: stream(name),
        versions,
        tombstone,
        reason: Reason::new("asked").expect("a reason"),
        actor: Some(subject("ann")),
    }
}

/// Which events have no payload: the index of the commit, and of the event there.
fn erased_places(commits: &[Recorded]) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    for (at, recorded) in commits.iter().enumerate() {
        for (index, event) in recorded.commit.events.iter().enumerate() {
            if event.data.text().is_none() {
                places.push((at, index));
            }
        }
    }
    places
}

/// A database that nobody else uses.
pub(crate) trait Database: Send + Sync + Sized + 'static {
    /// The implementation under test.
    type Store: LogStore + Archiving + Clone;

    /// An empty one.
    fn fresh() -> impl Future<Output = Self> + Send;

    /// Another handle on it.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;

    /// How many rows a table has.
    fn rows(&self, table: &str) -> u64;

    /// Runs SQL that every database understands whenever a row has come into a table, which it knows as `NEW`: what another process might
    /// do just then.
    fn on_insert(&self, table: &str, sql: &str);

    /// No more of that.
    fn on_insert_no_more(&self, table: &str);

    /// Runs SQL that every database understands.
    fn run(&self, sql: &str);

    /// Notes objects as a run does that puts them and ends before they are recorded.
    fn announce(&self, names: &[&str]);
}

/// The logs that a case may make.
const NAMES: [&str; 3] = ["a", "b", "c"];

/// A handle on the database with these logs made.
async fn opened<D: Database>(database: &D, names: &[&str]) -> D::Store {
    let store = database.open().await;
    for name in names {
        store.create(&log(name)).await.expect("a log");
    }
    store
}

/// Every log that a case has left behind is whole.
pub(crate) async fn verify_all<D: Database>(database: &D) {
    let store = database.open().await;
    for name in NAMES {
        match store.verify(&log(name)).await {
            Ok(_) | Err(StoreError::UnknownLog { .. }) => {}
            Err(error) => panic!("log {name}: {error}"),
        }
    }
}

async fn everything(store: &impl LogStore, name: &str) -> Page {
    let start = After::Position(Position::START);
    store.page(&log(name), start, ALL).await.expect("a page")
}

async fn pushed(store: &impl LogStore, push: Push) -> PushResponse {
    store.push(push).await.expect("an answer")
}

async fn head(store: &impl LogStore, name: &str) -> u64 {
    let state = store.state(&log(name)).await.expect("a state");
    state.head.position.value()
}

fn rejection(response: &PushResponse) -> RejectionCode {
    match &response.results[0].verdict {
        Verdict::Rejected(rejection) => rejection.code,
        verdict => panic!("{verdict:?}"),
    }
}

/// Demands that these commits follow on `after` without a hole and chain, and gives what comes after them.
fn follow(commits: &[Recorded], after: Position, chain: ChainHash) -> (Position, ChainHash) {
    commits
        .iter()
        .fold((after, chain), |(after, chain), recorded| {
            assert_eq!(recorded.position, after.next());
            (recorded.last_position(), chain.after(recorded))
        })
}

fn recorded(page: &Page) -> Vec<Recorded> {
    page.commits
        .iter()
        .map(|stored| stored.recorded.clone())
        .collect()
}

fn unpacked(segment: &Segment) -> Vec<u8> {
    let mut frames = Vec::new();
    flate2::read::GzDecoder::new(&*segment.gzip)
        .read_to_end(&mut frames)
        .expect("gzip");
    frames
}

macro_rules! suite {
    ($d:tt $( $(#[$doc:meta])* async fn $case:ident($database:ident) $body:block )*) => {
        $(
            $(#[$doc])*
            pub(crate) async fn $case<D: Database>($database: &D) $body
        )*

        /// Registers every case as a test of a [`Database`](crate::suite::Database).
        macro_rules! store_suite {
            ($d database:ty) => {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let database = <$d database as $crate::suite::Database>::fresh().await;
                        $crate::suite::$case(&database).await;
                        $crate::suite::verify_all(&database).await;
                    }
                )*
            };
        }
    };
}

suite! { $
    /// A log that is asked for twice, even by two processes at once, is one log with one history.
    async fn a_log_is_made_once(database) {
        let (store, other) = (database.open().await, database.open().await);
        let name = log("a");
        let (made, again) = tokio::join!(store.create(&name), other.create(&name));
        let made = made.expect("a log");
        assert_eq!(again.expect("a log"), made);
        assert_eq!(store.state(&name).await, Ok(made));
        assert_eq!(made.cursor().position, Position::START);
        assert_eq!(made.cursor().chain, ChainHash::default());
        let b = store.create(&log("b")).await.expect("a log");
        assert_ne!(b.epoch, made.epoch, "each log has a history of its own");
    }

    /// What is asked of a log that nobody made is answered with its name, and does not make it.
    async fn a_log_that_was_never_made_is_unknown(database) {
        let store = opened(database, &["b"]).await;
        let name = log("a");
        let unknown = StoreError::UnknownLog { log: name.clone() };
        let range = StreamRange { from: None, direction: Direction::Forward, limit: 1 };
        for _ in 0..2 {
            assert_eq!(store.state(&name).await, Err(unknown.clone()));
            assert_eq!(store.push(push("a", vec![commit(1, 1, &["todo/1"])])).await, Err(unknown.clone()));
            assert_eq!(store.verify(&name).await, Err(unknown.clone()));
            let page = store.page(&name, After::Position(Position::START), ALL).await;
            assert_eq!(page.expect_err("unknown"), unknown);
            let page = store.stream(&name, &stream("todo/1"), range).await;
            assert_eq!(page.expect_err("unknown"), unknown);
        }
        assert!(store.ready().await.is_ok());
    }

    /// Positions of the log and versions of each stream are counted without holes, over commits of several streams.
    async fn commits_over_several_streams_are_counted_in_each(database) {
        let store = opened(database, &["a"]).await;
        let made = push("a", vec![
            commit(1, 1, &["todo/1", "list/1", "todo/1"]),
            commit(1, 2, &["list/1"]),
            commit(1, 3, &["todo/2", "todo/1"]),
        ]);
        let response = pushed(&store, made).await;
        assert_eq!(verdicts(&response), "aaa");
        let page = everything(&store, "a").await;
        assert_eq!(page.state.head, response.head);
        let commits = recorded(&page);
        let (end, chain) = follow(&commits, Position::START, page.chain_before);
        assert_eq!((end, chain), (response.head.position, response.head.chain));
        let versions: Vec<Vec<u64>> = commits.iter()
            .map(|one| one.event_versions().into_iter().map(Version::value).collect())
            .collect();
        assert_eq!(versions, [vec![1, 1, 2], vec![2], vec![1, 3]]);
        let times: Vec<_> = commits.iter().map(|one| one.recorded_at).collect();
        assert!(times.is_sorted());
    }

    /// Commits of one push see each other, and one that cannot be stored holds up none of the others.
    async fn each_commit_of_a_push_gets_a_verdict_of_its_own(database) {
        let store = opened(database, &["a"]).await;
        let mut no_json = commit(1, 4, &["todo/2"]);
        no_json.events[0].data = Payload::json("{");
        let mut empty = commit(1, 5, &[]);
        empty.events.clear();
        let response = pushed(&store, push("a", vec![
            expecting(commit(1, 1, &["todo/1"]), "todo/1", Expected::NoStream),
            expecting(commit(1, 2, &["todo/1"]), "todo/1", exact(1)),
            expecting(commit(1, 3, &["todo/1"]), "todo/1", Expected::NoStream),
            no_json,
            empty,
            expecting(commit(1, 6, &["todo/2"]), "todo/1", exact(2)),
            commit(1, 1, &["todo/1"]),
        ])).await;
        // The last has the id of the first and another content.
        assert_eq!(verdicts(&response), "aacrrar");
        assert_eq!(response.head.position.value(), 3);
        let empty = pushed(&store, push("a", vec![])).await;
        assert_eq!((empty.head, empty.results.len()), (response.head, 0));
    }

    /// An own retry never conflicts and never stores twice: it gets the first receipt, whatever came between.
    async fn a_repeated_push_gets_the_first_receipt(database) {
        let store = opened(database, &["a"]).await;
        let first = || expecting(commit(1, 1, &["todo/1", "todo/2"]), "todo/1", Expected::NoStream);
        let response = pushed(&store, push("a", vec![first(), first()])).await;
        assert_eq!(verdicts(&response), "ad");
        pushed(&store, push("a", vec![commit(1, 2, &["todo/1"])])).await;
        let again = pushed(&database.open().await, push("a", vec![first()])).await;
        assert_eq!(again.head.position.value(), 3);
        let Verdict::Accepted { accepted_attempt, positions, versions } = response.results[0].verdict.clone() else {
            panic!("{response:?}")
        };
        let receipt = Verdict::Duplicate { accepted_attempt, positions, versions };
        assert_eq!(again.results[0].verdict, receipt);

        let mut later = commit(1, 9, &["todo/7"]);
        later.id = first().id;
        later.attempt = Attempt::new(2);
        let later = pushed(&store, push("a", vec![later])).await;
        assert_eq!(later.results[0].verdict, receipt, "the first accepted attempt wins");
    }

    /// The same id and attempt with other bytes, somebody else's id and a copied profile are refused by name.
    async fn identities_are_not_taken_over(database) {
        let store = opened(database, &["a", "b"]).await;
        pushed(&store, push("a", vec![commit(1, 1, &["todo/1"])])).await;
        let mut other_bytes = commit(1, 1, &["todo/1"]);
        other_bytes.events[0] = event("todo/1", "2");
        let response = pushed(&store, push("a", vec![other_bytes])).await;
        assert_eq!(rejection(&response), RejectionCode::AttemptMismatch);

        let mut stolen = push("a", vec![commit(2, 1, &["todo/1"])]);
        stolen.commits = vec![Candidate::new(tidelog_core::Commit {
            id: CommitId::from_bytes(id(1 << 32 | 1)), ..commit(2, 1, &["todo/1"])
        })];
        stolen.actor = Some(subject("eve"));
        assert_eq!(rejection(&pushed(&store, stolen).await), RejectionCode::IdTaken);

        let mut copied = commit(1, 1, &["todo/1"]);
        copied.id = CommitId::from_bytes(id(99));
        let response = pushed(&store, push("a", vec![copied.clone()])).await;
        assert_eq!(rejection(&response), RejectionCode::SeqReused);
        let other_log = pushed(&store, push("b", vec![commit(1, 1, &["todo/1"])])).await;
        assert_eq!(verdicts(&other_log), "a", "another log knows nothing of it");
        assert_eq!(head(&store, "a").await, 1);
    }

    /// Within one push too: the second commit under a sequence number is a copy.
    async fn a_sequence_number_is_used_once_within_a_push(database) {
        let store = opened(database, &["a"]).await;
        let mut copied = commit(1, 1, &["todo/1"]);
        copied.id = CommitId::from_bytes(id(99));
        let response = pushed(&store, push("a", vec![commit(1, 1, &["todo/1"]), copied])).await;
        assert_eq!(verdicts(&response), "ar");
    }

    /// Where the store numbers, numbers go on after the highest of the replica, for each commit of a push.
    async fn the_store_numbers_for_those_who_do_not(database) {
        let store = opened(database, &["a"]).await;
        pushed(&store, push("a", vec![commit(1, 41, &["todo/1"])])).await;
        let numbered = |ids: [u64; 2]| {
            let commits = ids.map(|n| {
                let mut commit = commit(1, n, &["todo/1"]);
                commit.seq = Seq::default();
                commit
            });
            Push { numbering: Numbering::Store, ..push("a", commits.into()) }
        };
        assert_eq!(verdicts(&pushed(&store, numbered([5, 6])).await), "aa");
        assert_eq!(verdicts(&pushed(&store, numbered([6, 7])).await), "da");
        let seqs: Vec<u64> = recorded(&everything(&store, "a").await).iter()
            .map(|one| one.commit.seq.value())
            .collect();
        assert_eq!(seqs, [41, 42, 43, 44]);
    }

    /// The truth table of expectations; a stale one always conflicts, and tells what it found.
    async fn a_stale_expectation_always_conflicts(database) {
        let store = opened(database, &["a"]).await;
        pushed(&store, push("a", vec![commit(200, 1, &["todo/1"]), commit(200, 2, &["todo/1"])])).await;
        let last = EventId { commit: commit(200, 2, &[]).id, attempt: Attempt::FIRST, index: 0 };
        let stranger = EventId { index: 1, ..last };
        let with = |event| Expected::Exact { exact: Version::new(2), event: Some(event) };
        for (n, (name, expected, holds)) in [
            ("todo/1", Expected::Any, true),
            ("todo/1", Expected::NoStream, false),
            ("todo/1", Expected::Exists, true),
            ("todo/1", exact(1), false),
            ("todo/1", exact(2), true),
            ("todo/1", exact(3), false),
            ("todo/1", with(last), true),
            ("todo/1", with(stranger), false),
            ("todo/0", Expected::Any, true),
            ("todo/0", Expected::NoStream, true),
            ("todo/0", Expected::Exists, false),
            ("todo/0", exact(1), false),
        ].into_iter().enumerate() {
            let n = n as u64 + 1;
            // The stream that is written is another than the one that is read.
            let one = expecting(commit(n, 1, &["list/1"]), name, expected);
            let response = pushed(&store, push("a", vec![one])).await;
            match &response.results[0].verdict {
                Verdict::Accepted { .. } => assert!(holds, "{name} {expected}"),
                Verdict::Conflict { conflicts } => {
                    assert!(!holds, "{name} {expected}");
                    assert_eq!(conflicts.len(), 1);
                    assert_eq!((conflicts[0].check_index, &conflicts[0].stream), (0, &stream(name)));
                    let actual = if name == "todo/1" { 2 } else { 0 };
                    assert_eq!(conflicts[0].actual.value(), actual);
                }
                verdict => panic!("{verdict:?}"),
            }
        }
        assert_eq!(head(&store, "a").await, 2 + 6);
    }

    /// A replica belongs to the subject of its first stored commit: nobody else writes under its name.
    async fn a_replica_belongs_to_the_subject_of_its_first_commit(database) {
        let store = opened(database, &["a", "b"]).await;
        let by = |name: &str, commit| Push { actor: Some(subject(name)), ..push("a", vec![commit]) };
        let conflict = expecting(commit(1, 1, &["todo/1"]), "todo/1", Expected::Exists);
        assert_eq!(verdicts(&pushed(&store, by("eve", conflict)).await), "c", "nothing was stored");
        assert_eq!(verdicts(&pushed(&store, by("ann", commit(1, 1, &["todo/1"]))).await), "a");
        let bound = Err(StoreError::ReplicaBound { replica: replica(1) });
        assert_eq!(store.push(by("eve", commit(1, 2, &["todo/1"]))).await, bound);
        assert_eq!(store.push(push("a", vec![commit(1, 2, &["todo/1"])])).await, bound);
        assert_eq!(verdicts(&pushed(&database.open().await, by("ann", commit(1, 2, &["todo/1"]))).await), "a");
        let elsewhere = Push { log: log("b"), ..by("eve", commit(1, 2, &["todo/1"])) };
        assert_eq!(verdicts(&pushed(&store, elsewhere).await), "a", "in another log it is another replica");
        let recorded = recorded(&everything(&store, "a").await);
        assert!(recorded.iter().all(|one| one.actor == Some(subject("ann"))));
    }

    /// A cursor is a place in one history. Nothing is read from or stored on top of another one.
    async fn a_cursor_of_another_history_is_refused(database) {
        let store = opened(database, &["a"]).await;
        let mut ends = vec![store.state(&log("a")).await.expect("a state").cursor()];
        for n in 1..=3 {
            let response = pushed(&store, push("a", vec![commit(1, n, &["todo/1", "todo/2"])])).await;
            ends.push(Cursor { epoch: response.epoch, position: response.head.position, chain: response.head.chain });
        }
        let state = store.state(&log("a")).await.expect("a state");
        let (mismatch, middle) = (StoreError::CursorMismatch { state }, ends[2]);
        let ahead = StoreError::CursorAhead { position: Position::new(7), state };
        let at = |position| Position::new(position);
        for (cursor, refused) in [
            (ends[0], None),
            (ends[1], None),
            (ends[3], None),
            (Cursor::default(), None),
            (Cursor { chain: ends[1].chain, ..middle }, Some(&mismatch)),
            (Cursor { chain: middle.chain, ..ends[3] }, Some(&mismatch)),
            (Cursor { chain: middle.chain, ..ends[0] }, Some(&mismatch)),
            (Cursor { epoch: Epoch::from_bytes([3; 16]), ..middle }, Some(&mismatch)),
            (Cursor { position: at(3), ..middle }, Some(&mismatch)),
            (Cursor { position: at(7), ..middle }, Some(&ahead)),
        ] {
            let page = store.page(&log("a"), After::Cursor(cursor), ALL).await;
            let pushed = store.push(Push { cursor, ..push("a", vec![]) }).await;
            match refused {
                None => {
                    assert_eq!(pushed.expect("an answer").head, state.head);
                    let page = page.expect("a page");
                    let (end, _) = follow(&recorded(&page), cursor.position, page.chain_before);
                    assert_eq!(end, state.head.position);
                }
                Some(error) => {
                    assert_eq!(page.as_ref().expect_err("refused"), error, "{cursor:?}");
                    assert_eq!(pushed.as_ref().expect_err("refused"), error, "{cursor:?}");
                }
            }
        }
        let ahead = store.page(&log("a"), After::Position(at(7)), ALL).await;
        assert!(matches!(ahead, Err(StoreError::CursorAhead { .. })));
        let mut refused = push("a", vec![commit(1, 9, &["todo/1"])]);
        refused.cursor = Cursor { chain: ends[1].chain, ..middle };
        assert_eq!(store.push(refused).await, Err(mismatch));
        assert_eq!(head(&store, "a").await, 6, "nothing was stored");
    }

    /// Pages hold whole commits within their caps, at least one, and put together they are the log.
    async fn pages_put_together_are_the_log(database) {
        let store = opened(database, &["a", "b"]).await;
        for n in 1..=20 {
            let streams = vec!["todo/1"; 1 + usize::try_from(n % 3).expect("small")];
            pushed(&store, push("a", vec![commit(1, n, &streams)])).await;
            pushed(&store, push("b", vec![commit(1, n, &["todo/1"])])).await;
        }
        let whole = everything(&store, "a").await;
        let total: usize = whole.commits.iter().map(|one| one.bytes).sum();
        for (cap, pages) in [
            (PageCap { events: 1, ..ALL }, 20..=20),
            (PageCap { events: 6, ..ALL }, 7..=9),
            (PageCap { bytes: 0, ..ALL }, 20..=20),
            (PageCap { bytes: total / 3, ..ALL }, 3..=5),
        ] {
            let (mut after, mut chain) = (Position::START, ChainHash::default());
            let (mut read, mut count) = (Vec::new(), 0);
            loop {
                let page = store.page(&log("a"), After::Position(after), cap).await.expect("a page");
                assert_eq!(page.chain_before, chain);
                if page.commits.is_empty() {
                    break;
                }
                count += 1;
                let commits = recorded(&page);
                (after, chain) = follow(&commits, after, chain);
                assert_eq!(page.commits.last().expect("one").chain, chain);
                read.extend(commits);
            }
            assert!(pages.contains(&count), "{cap:?}: {count} pages");
            assert_eq!(read, recorded(&whole));
        }
        // Positions 2 and 3 are one commit, and 4 to 6.
        let inside = store.page(&log("a"), After::Position(Position::new(2)), ALL).await.expect("a page");
        let commits = recorded(&inside);
        assert!(commits[0].position <= Position::new(3) && commits[0].last_position() >= Position::new(3));
        follow(&commits, Position::new(commits[0].position.value() - 1), inside.chain_before);
    }

    /// A stream is read from either end, from any version, as far as asked; an absent one is empty.
    async fn a_stream_is_read_either_way(database) {
        let store = opened(database, &["a"]).await;
        for n in 1..=5 {
            pushed(&store, push("a", vec![commit(1, n, &["todo/1", "todo/2", "todo/1"])])).await;
        }
        let read = async |name: &str, from: Option<u64>, direction, limit| -> (u64, Vec<u64>) {
            let range = StreamRange { from: from.map(Version::new), direction, limit };
            let page: StreamPage = store.stream(&log("a"), &stream(name), range).await.expect("a page");
            for found in &page.events {
                assert_eq!(found.commit.commit.events[found.index].stream, stream(name));
                assert_eq!(found.commit.event_versions()[found.index], found.version);
            }
            (page.version.value(), page.events.iter().map(|found| found.version.value()).collect())
        };
        let (forward, backward) = (Direction::Forward, Direction::Backward);
        let upwards: Vec<u64> = (1..=10).collect();
        let downwards: Vec<u64> = (1..=10).rev().collect();
        assert_eq!(read("todo/1", None, forward, 100).await, (10, upwards));
        assert_eq!(read("todo/1", None, backward, 100).await, (10, downwards));
        assert_eq!(read("todo/1", Some(4), forward, 3).await, (10, vec![4, 5, 6]));
        assert_eq!(read("todo/1", Some(4), backward, 3).await, (10, vec![4, 3, 2]));
        assert_eq!(read("todo/1", Some(11), forward, 3).await, (10, vec![]));
        assert_eq!(read("todo/1", Some(99), backward, 1).await, (10, vec![10]));
        assert_eq!(read("todo/2", Some(2), forward, 2).await, (5, vec![2, 3]));
        assert_eq!(read("todo/2", None, forward, 0).await, (5, vec![]));
        assert_eq!(read("todo/3", None, forward, 9).await, (0, vec![]));
    }

    /// Names and payloads are kept byte for byte; two that only look the same are two.
    async fn texts_are_kept_byte_for_byte(database) {
        let store = opened(database, &["a"]).await;
        let names = [
            "todo/\u{e9}", "todo/e\u{301}", "todo/E\u{301}", "todo/..", "todo/';--", "todo/\u{1f600}",
            "todo/\u{202e}x", "todo/%_\\", "todo/ a ", "todo/a",
        ];
        for (n, name) in (1..).zip(names) {
            let mut one = expecting(commit(1, n, &[name]), name, Expected::NoStream);
            one.events[0] = event(name, &format!(r#"{{"b": 1.0,  "a":"{name}"}}"#).replace('\\', "\\\\"));
            let response = pushed(&store, Push { actor: Some(subject(name)), replica: replica(n), ..push("a", vec![
                tidelog_core::Commit { replica: replica(n), ..one }
            ]) }).await;
            assert_eq!(verdicts(&response), "a", "{name}");
        }
        for (one, name) in recorded(&everything(&store, "a").await).iter().zip(names) {
            let event = &one.commit.events[0];
            assert_eq!((event.stream.as_str(), one.versions[0].stream.as_str()), (name, name));
            assert_eq!(one.actor.as_ref().map(|actor| actor.as_str()), Some(name));
            let text = format!(r#"{{"b": 1.0,  "a":"{name}"}}"#).replace('\\', "\\\\");
            assert_eq!(event.data.text(), Some(text.as_str()));
        }
    }

    /// The largest commit that is allowed comes back as it was, and one larger is refused alone.
    async fn a_commit_of_a_megabyte_comes_back(database) {
        let store = opened(database, &["a"]).await;
        let sized = |seq, bytes: usize| {
            let mut commit = commit(1, seq, &["todo/1"]);
            commit.events[0] = event("todo/1", &format!("\"{}\"", "x".repeat(bytes)));
            commit
        };
        let large = sized(1, 1024 * 1024 - 200);
        let response = pushed(&store, push("a", vec![large.clone(), sized(2, 1024 * 1024), sized(3, 1)])).await;
        assert_eq!(verdicts(&response), "ara");
        let commits = recorded(&everything(&store, "a").await);
        assert_eq!(commits[0].commit, large);
    }

    /// 64 writers that saw the same version, on two handles: one is accepted, 63 are told of the conflict.
    async fn of_many_writers_on_one_version_one_is_accepted(database) {
        let handles = [opened(database, &["a"]).await, database.open().await];
        pushed(&handles[0], push("a", vec![commit(100, 1, &["todo/1"])])).await;
        let writers: Vec<_> = (1..=64).map(|n| {
            let store = handles[usize::try_from(n % 2).expect("small")].clone();
            let one = expecting(commit(n, 1, &["todo/1"]), "todo/1", exact(1));
            tokio::spawn(async move { store.push(push("a", vec![one])).await })
        }).collect();
        let mut counts = BTreeMap::new();
        for writer in writers {
            let response = writer.await.expect("a task").expect("an answer");
            *counts.entry(verdicts(&response)).or_insert(0) += 1;
        }
        assert_eq!(counts, BTreeMap::from([("a".to_owned(), 1), ("c".to_owned(), 63)]));
        assert_eq!(head(&handles[0], "a").await, 2);
    }

    /// The same commit a hundred times at once, on two handles: stored once, a hundred equal receipts.
    async fn the_same_commit_a_hundred_times_is_stored_once(database) {
        let handles = [opened(database, &["a"]).await, database.open().await];
        let pushes: Vec<_> = (0..100).map(|n| {
            let store = handles[n % 2].clone();
            let one = expecting(commit(1, 1, &["todo/1"]), "todo/1", Expected::NoStream);
            tokio::spawn(async move { store.push(push("a", vec![one])).await })
        }).collect();
        let (mut accepted, mut receipts) = (0, BTreeSet::new());
        for pushed in pushes {
            let response = pushed.await.expect("a task").expect("an answer");
            let (Verdict::Accepted { positions, versions, .. } | Verdict::Duplicate { positions, versions, .. }) =
                &response.results[0].verdict else { panic!("{response:?}") };
            accepted += usize::from(verdicts(&response) == "a");
            receipts.insert(format!("{positions:?} {versions:?}"));
        }
        assert_eq!((accepted, receipts.len()), (1, 1));
        assert_eq!(head(&handles[0], "a").await, 1);
    }

    /// What a handle has seen of a log is not what it decides on when another one has written.
    async fn a_handle_decides_on_what_another_one_has_stored(database) {
        let [ours, theirs] = [opened(database, &["a"]).await, database.open().await];
        let one = |seq, versions| expecting(commit(1, seq, &["todo/1"]), "todo/1", exact(versions));
        assert_eq!(verdicts(&pushed(&ours, push("a", vec![commit(1, 1, &["todo/1"])])).await), "a");
        assert_eq!(verdicts(&pushed(&theirs, push("a", vec![commit(2, 1, &["todo/1"])])).await), "a");
        assert_eq!(verdicts(&pushed(&ours, push("a", vec![one(2, 1)])).await), "c");
        assert_eq!(verdicts(&pushed(&theirs, push("a", vec![one(2, 2)])).await), "a");
        assert_eq!(verdicts(&pushed(&ours, push("a", vec![one(2, 2), one(3, 3)])).await), "da");
        theirs.erase(erase("todo/1", Versions::All, true)).await.expect("closed");
        assert_eq!(verdicts(&pushed(&ours, push("a", vec![commit(1, 4, &["todo/1"])])).await), "r");
        assert_eq!(verdicts(&pushed(&ours, push("a", vec![commit(1, 4, &["todo/2"])])).await), "a");
        ours.erase(erase("todo/2", Versions::All, true)).await.expect("closed");
        assert_eq!(verdicts(&pushed(&ours, push("a", vec![commit(1, 5, &["todo/2"])])).await), "r");
    }

    /// What a new handle has not asked for is not what is not there.
    async fn what_was_stored_before_a_handle_was_opened_counts(database) {
        let before = opened(database, &["a"]).await;
        for n in 1..=3 {
            assert_eq!(verdicts(&pushed(&before, push("a", vec![commit(1, n, &[&format!("todo/{n}")])])).await), "a");
        }
        let store = database.open().await;
        let exactly = |n, name: &str, versions| expecting(commit(2, n, &[name]), name, exact(versions));
        assert_eq!(verdicts(&pushed(&store, push("a", vec![exactly(1, "todo/1", 1)])).await), "a");
        assert_eq!(verdicts(&pushed(&store, push("a", vec![exactly(2, "todo/2", 1)])).await), "a");
        assert_eq!(verdicts(&pushed(&store, push("a", vec![expecting(commit(2, 3, &["todo/3"]), "todo/3", Expected::NoStream)])).await), "c");
        assert_eq!(verdicts(&pushed(&store, push("a", vec![commit(1, 2, &["todo/2"]), commit(1, 4, &["todo/4"])])).await), "da");
        assert_eq!(verdicts(&pushed(&store, push("a", vec![exactly(1, "todo/1", 1)])).await), "d");
        assert_eq!(head(&store, "a").await, 6);
    }

    /// Those who know all of a log push together: that one was stored before the others makes none of them belong elsewhere.
    async fn pushes_from_the_same_place_wait_together(database) {
        let store = opened(database, &["a"]).await;
        pushed(&store, push("a", vec![commit(100, 1, &["todo/1"])])).await;
        for round in 1..=4 {
            let cursor = store.state(&log("a")).await.expect("a state").cursor();
            // While it is decided on, the others come together behind it.
            let nothing = tokio::spawn({
                let store = store.clone();
                async move { store.push(push("a", vec![])).await }
            });
            let writers: Vec<_> = (1..=32).map(|n| {
                let (store, own) = (store.clone(), format!("todo/{n}"));
                let push = Push { cursor, ..push("a", vec![commit(n, round, &[&own])]) };
                tokio::spawn(async move { store.push(push).await })
            }).collect();
            for writer in writers {
                assert_eq!(verdicts(&writer.await.expect("a task").expect("an answer")), "a");
            }
            nothing.await.expect("a task").expect("an answer");
        }
        assert_eq!(head(&store, "a").await, 1 + 4 * 32);
    }

    /// No database has room for all numbers as they are.
    async fn the_highest_sequence_numbers_are_used_once_too(database) {
        let store = opened(database, &["a"]).await;
        let numbered = |n, seq| {
            let mut commit = commit(1, n, &["todo/1"]);
            commit.seq = Seq::new(seq);
            push("a", vec![commit])
        };
        for (n, seq) in [(1, 1), (2, u64::MAX), (3, 1 << 63), (4, (1 << 63) - 1)] {
            assert_eq!(verdicts(&pushed(&store, numbered(n, seq)).await), "a", "{seq}");
        }
        for (n, seq) in [(5, u64::MAX), (6, 1 << 63), (7, (1 << 63) - 1), (8, 1)] {
            assert_eq!(rejection(&pushed(&store, numbered(n, seq)).await), RejectionCode::SeqReused, "{seq}");
        }
        assert_eq!(verdicts(&pushed(&store, numbered(9, 7)).await), "a");
        // Where the store numbers, there is none left.
        for n in [10, 11] {
            let push = Push { numbering: Numbering::Store, ..numbered(n, 0) };
            assert_eq!(rejection(&pushed(&store, push).await), RejectionCode::SeqReused);
        }
        let known = Push { numbering: Numbering::Store, ..numbered(9, 0) };
        assert_eq!(verdicts(&pushed(&store, known).await), "d");
    }

    /// Writers on several logs and two handles, and readers that read on meanwhile: positions are given once, and nobody
    /// ever sees an event appear below a position already read.
    async fn nothing_appears_below_a_position_already_read(database) {
        const WRITERS: u64 = 8;
        const EACH: u64 = 12;
        let handles = [opened(database, &["a", "b"]).await, database.open().await];
        let total = WRITERS / 2 * EACH * 2;
        let readers: Vec<_> = [("a", 0), ("a", 1), ("b", 1)].map(|(name, at)| {
            let store = handles[at].clone();
            tokio::spawn(async move {
                let (mut end, mut read) = ((Position::START, ChainHash::default()), Vec::new());
                let mut watch = store.watch(&log(name));
                while end.0.value() < total {
                    watch.mark_unchanged();
                    let page = store.page(&log(name), After::Position(end.0), PageCap { events: 7, ..ALL }).await;
                    let page = page.expect("a page");
                    let commits = recorded(&page);
                    end = follow(&commits, end.0, page.chain_before);
                    read.extend(commits);
                    assert!(end.0 <= page.state.head.position);
                    if page.commits.is_empty() {
                        watch.changed().await.expect("news");
                    }
                }
                (name, read)
            })
        }).into();
        let writers: Vec<_> = (0..WRITERS).map(|n| {
            let store = handles[usize::try_from(n / 2 % 2).expect("small")].clone();
            let name = ["a", "b"][usize::try_from(n % 2).expect("small")];
            tokio::spawn(async move {
                let mut places = Vec::new();
                for seq in 1..=EACH {
                    let own = format!("todo/{n}");
                    let response = store.push(push(name, vec![commit(n + 1, seq, &[&own, "todo/all"])])).await;
                    let place = accepted(&response.expect("an answer")).expect("accepted");
                    places.push((name, place, n + 1, seq));
                }
                places
            })
        }).collect();
        let mut acknowledged = BTreeMap::new();
        for writer in writers {
            for (name, place, n, seq) in writer.await.expect("a task") {
                assert_eq!(acknowledged.insert((name, place), (n, seq)), None, "given twice");
            }
        }
        assert_eq!(u64::try_from(acknowledged.len()).expect("few"), WRITERS * EACH);
        for reader in readers {
            let (name, read) = reader.await.expect("a task");
            assert_eq!(read, recorded(&everything(&handles[0], name).await), "log {name}");
            for one in read {
                let place = (name, (one.position, one.last_position()));
                let (n, seq) = acknowledged.get(&place).expect("acknowledged");
                assert_eq!(one.commit.id, commit(*n, *seq, &[]).id);
            }
        }
    }

    /// Whoever watches a log is woken by a push, on the handle that took it and on any other, and not by other logs'.
    async fn a_watch_wakes_on_every_handle(database) {
        let store = opened(database, &["a", "b"]).await;
        let other = database.open().await;
        let (mut here, mut there, b) = (store.watch(&log("a")), other.watch(&log("a")), store.watch(&log("b")));
        for n in 1..=3 {
            pushed(&store, push("a", vec![commit(1, n, &["todo/1"])])).await;
            for watch in [&mut here, &mut there] {
                watch.wait_for(|head| head.value() >= n).await.expect("news");
            }
        }
        assert!(!b.has_changed().expect("a sender"));
    }

    /// What was answered is there after every handle is gone.
    async fn a_database_outlives_its_handles(database) {
        let store = opened(database, &["a"]).await;
        let response = pushed(&store, push("a", vec![commit(1, 1, &["todo/1"])])).await;
        drop(store);
        let store = database.open().await;
        let again = store.create(&log("a")).await.expect("a log");
        assert_eq!((again.epoch, again.head), (response.epoch, response.head));
        let again = pushed(&store, push("a", vec![commit(1, 1, &["todo/1"])])).await;
        assert_eq!(verdicts(&again), "d");
    }

    /// Pushes that wait together are answered each for itself: a wrong one leaves the others alone.
    async fn a_refused_push_leaves_others_alone(database) {
        let store = opened(database, &["a"]).await;
        let wrong = || {
            let mut wrong = push("a", vec![commit(50, 1, &["todo/1"])]);
            wrong.cursor = Cursor { position: Position::new(1_000_000), ..Cursor::default() };
            wrong
        };
        let pushes: Vec<_> = (1..=40).map(|n| {
            let one = match n % 4 {
                0 => wrong(),
                1 => push("c", vec![commit(n, 1, &["todo/1"])]),
                _ => push("a", vec![commit(n, 1, &["todo/1"])]),
            };
            let store = store.clone();
            tokio::spawn(async move { (n, store.push(one).await) })
        }).collect();
        for pushed in pushes {
            let (n, answer) = pushed.await.expect("a task");
            match n % 4 {
                0 => assert!(matches!(answer, Err(StoreError::CursorMismatch { .. })), "{answer:?}"),
                1 => assert_eq!(answer, Err(StoreError::UnknownLog { log: log("c") })),
                _ => assert!(accepted(&answer.expect("an answer")).is_some()),
            }
        }
        assert_eq!(head(&store, "a").await, 20);
    }

    /// Segments cut a log at the same commits whoever asks and whenever: each ends with the commit that holds its last position.
    async fn segments_are_whole_commits_that_follow_each_other(database) {
        let store = opened(database, &["a", "b"]).await;
        // Commits of a thousand events lie across the ends; one of the other log ends exactly there.
        for seq in 1..=33 {
            let stream = format!("todo/{}", seq % 9);
            let streams = vec![stream.as_str(); 1_000];
            pushed(&store, push("a", vec![commit(1, seq, &streams)])).await;
            if seq == 16 {
                assert_eq!(store.segment(&log("a"), 1).await, Ok(None), "not sealed yet");
                pushed(&store, push("b", vec![commit(2, seq, &streams)])).await;
            } else if seq < 17 {
                pushed(&store, push("b", vec![commit(2, seq, &streams)])).await;
            }
        }
        pushed(&store, push("b", vec![commit(3, 1, &["todo/1"; 384])])).await;
        let other = database.open().await;
        let (mut after, mut chain) = (Position::START, ChainHash::default());
        for (number, end) in [(1, 17_000), (2, 33_000)] {
            let segment = store.segment(&log("a"), number).await.expect("an answer").expect("a segment");
            assert_eq!((segment.first, segment.last), (after.next(), Position::new(end)));
            let frames = unpacked(&segment);
            for bytes in frame::split(&frames).expect("whole frames") {
                let decoded = frame::decode(bytes).expect("a frame");
                assert_eq!(decoded.chain_before, chain);
                let frame::Body::Recorded(commits) = decoded.body else { panic!("a local frame") };
                (after, chain) = follow(&commits, after, chain);
            }
            assert_eq!(after, segment.last);
            for store in [&store, &other] {
                let again = store.segment(&log("a"), number).await.expect("an answer");
                assert_eq!(again.as_ref(), Some(&segment), "byte for byte");
            }
        }
        let state = store.state(&log("a")).await.expect("a state");
        assert_eq!((state.head.position, state.head.chain), (after, chain));
        let exact = other.segment(&log("b"), 1).await.expect("an answer").expect("a segment");
        assert_eq!(exact.last, Position::new(SEGMENT_EVENTS));
        for (name, number) in [("a", 0), ("a", 3), ("a", u64::MAX), ("b", 2)] {
            assert_eq!(store.segment(&log(name), number).await, Ok(None), "{name} {number}");
        }
        let unknown = store.segment(&log("c"), 1).await;
        assert_eq!(unknown, Err(StoreError::UnknownLog { log: log("c") }));
    }

    /// What is erased is gone from every way to read it, and everything else stays: positions, versions, the chain, and what a
    /// retry is answered.
    async fn what_is_erased_is_gone_and_all_else_stays(database) {
        let store = opened(database, &["a", "b"]).await;
        for seq in 1..=3 {
            for name in ["a", "b"] {
                let mut one = commit(1, seq, &["person/1", "todo/1", "person/1"]);
                one.events[0].data = Payload::json("\"secret\"");
                pushed(&store, push(name, vec![one])).await;
            }
        }
        let before = recorded(&everything(&store, "a").await);
        let chain = store.state(&log("a")).await.expect("a state").head.chain;
        let erased = store.erase(erase("person/1", Versions::Ranges(ranges(&[(1, 2), (5, 5)])), false)).await;
        let erased = erased.expect("erased");
        let record = erased.record.expect("a record");
        assert_eq!(record.versions, ranges(&[(1, 2), (5, 5)]));
        assert_eq!((record.position, record.tombstoned), (Position::new(10), false));
        assert_eq!(record.actor, Some(subject("ann")));
        for store in [&store, &database.open().await] {
            let page = everything(store, "a").await;
            assert_eq!(page.state, erased.state);
            let after = recorded(&page);
            assert_eq!(after.len(), 4);
            let (end, _) = follow(&after, Position::START, ChainHash::default());
            assert_eq!(end, Position::new(10));
            for (before, after) in before.iter().zip(&after) {
                for (was, is) in before.commit.events.iter().zip(&after.commit.events) {
                    assert_eq!(was.data.digest(), is.data.digest());
                }
            }
            let gone: Vec<(usize, usize)> = erased_places(&after);
            assert_eq!(gone, [(0, 0), (0, 2), (2, 0)]);
            let last = &after[3];
            assert_eq!(chain.after(last), page.state.head.chain);
            assert_eq!(last.actor, Some(subject("ann")));
            assert_eq!(last.versions[0].first, Version::new(7));
            let event = &last.commit.events[0];
            assert_eq!(event.event_type.as_str(), "tidelog.redacted");
            assert_eq!(event.data.text(), Some(r#"{"versions":[[1,2],[5,5]],"reason":"asked"}"#));
            let range = StreamRange { from: None, direction: Direction::Backward, limit: 3 };
            let found = store.stream(&log("a"), &stream("person/1"), range).await.expect("a page");
            let texts: Vec<bool> = found.events.iter().map(|one| {
                one.commit.commit.events[one.index].data.text().is_some()
            }).collect();
            assert_eq!((found.version, texts), (Version::new(7), vec![true, true, false]));
            assert!(erased_places(&recorded(&everything(store, "b").await)).is_empty());
            assert_eq!(store.erasures(&log("a"), None, 9).await, Ok(vec![record.clone()]));
            assert_eq!(store.erasures(&log("b"), None, 9).await, Ok(vec![]));
            assert_eq!(store.revision(&log("a")).await, Ok(1));
        }
        let mut again = commit(1, 1, &["person/1", "todo/1", "person/1"]);
        again.events[0].data = Payload::json("\"secret\"");
        assert_eq!(verdicts(&pushed(&store, push("a", vec![again])).await), "d");
        let stale = expecting(commit(2, 1, &["person/1"]), "person/1", exact(6));
        assert_eq!(verdicts(&pushed(&store, push("a", vec![stale])).await), "c");
        let next = expecting(commit(2, 2, &["person/1"]), "person/1", exact(7));
        assert_eq!(verdicts(&pushed(&store, push("a", vec![next])).await), "a");
    }

    /// What was erased is listed page by page, each thing once, in the same order by every handle; of one log and no other.
    async fn erasures_are_listed_in_pages(database) {
        let store = opened(database, &["a", "b"]).await;
        let streams: Vec<String> = (0..5).map(|number| format!("person/{number}")).collect();
        for (at, name) in (1..).zip(&streams) {
            pushed(&store, push("a", vec![commit(at, at, &[name.as_str()])])).await;
        }
        for name in &streams {
            let erased = store.erase(erase(name, Versions::All, false)).await;
            assert!(erased.expect("erased").record.is_some());
        }
        let all = store.erasures(&log("a"), None, 9).await.expect("a list");
        let named: Vec<&str> = all.iter().map(|one| one.stream.as_str()).collect();
        assert_eq!(named, streams);
        for limit in 1..=6 {
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let page = store.erasures(&log("a"), after, limit).await.expect("a page");
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some(last.place());
                paged.extend(page);
            }
            assert_eq!(paged, all, "in pages of {limit}");
        }
        let after = all.first().map(ErasureRecord::place);
        assert_eq!(store.erasures(&log("b"), after, 9).await, Ok(vec![]));

        // Of one moment and place, as logs may be that were restored: where a page ends between them, the next one goes on.
        database.run("UPDATE erasures SET recorded_at = 5, position = 7");
        let all = store.erasures(&log("a"), None, 9).await.expect("a list");
        assert_eq!(all.len(), streams.len());
        assert!(all.windows(2).all(|two| two[0].commit < two[1].commit));
        for limit in 1..=3 {
            let (mut paged, mut after) = (Vec::new(), None);
            while let Some(last) = {
                let page = store.erasures(&log("a"), after, limit).await.expect("a page");
                let last = page.last().map(ErasureRecord::place);
                paged.extend(page);
                last
            } {
                after = Some(last);
            }
            assert_eq!(paged, all, "in pages of {limit}");
        }
    }

    /// Erasing again says nothing twice, and names only what it erased itself.
    async fn erasing_again_adds_only_what_is_new(database) {
        let store = opened(database, &["a"]).await;
        pushed(&store, push("a", vec![commit(1, 1, &["person/1"; 4])])).await;
        let one = |versions, tombstone| store.erase(erase("person/1", versions, tombstone));
        let first = one(Versions::Ranges(ranges(&[(2, 2)])), false).await.expect("erased");
        assert!(first.record.is_some());
        let again = one(Versions::Ranges(ranges(&[(2, 2)])), false).await.expect("an answer");
        assert_eq!((again.record, again.state), (None, first.state));
        let all = one(Versions::All, true).await.expect("erased").record.expect("a record");
        assert_eq!((all.versions, all.tombstoned), (ranges(&[(1, 1), (3, 4)]), true));
        let again = one(Versions::All, true).await.expect("an answer");
        assert_eq!((again.record, again.state.head.position), (None, Position::new(7)));
        assert_eq!(store.erasures(&log("a"), None, 9).await.expect("a list").len(), 2);
        // Each is of a replica of its own, so nobody can take that before.
        let commits = recorded(&everything(&store, "a").await);
        let replicas: BTreeSet<_> = commits.iter().map(|one| one.commit.replica).collect();
        assert_eq!((commits.len(), replicas.len()), (3, 3));
    }

    /// A closed stream takes nothing from anybody, whichever handle they have; it can still be read, expected and erased in.
    async fn a_closed_stream_takes_nothing(database) {
        let (store, other) = (opened(database, &["a"]).await, database.open().await);
        pushed(&store, push("a", vec![commit(1, 1, &["person/1", "person/1"])])).await;
        // The other handle has pushed here before, and knows how.
        pushed(&other, push("a", vec![commit(2, 1, &["todo/1"])])).await;
        let closed = store.erase(erase("person/1", Versions::None, true)).await.expect("closed");
        let record = closed.record.expect("a record");
        assert_eq!((record.versions, record.tombstoned), (vec![], true));
        assert_eq!(store.revision(&log("a")).await, Ok(0), "nothing was erased");
        for (n, store) in [(3, &store), (4, &other)] {
            let response = pushed(store, push("a", vec![
                commit(n, 1, &["todo/1", "person/1"]),
                expecting(commit(n, 2, &["todo/1"]), "person/1", exact(3)),
            ])).await;
            assert_eq!(verdicts(&response), "ra");
            assert_eq!(rejection(&response), RejectionCode::StreamTombstoned);
        }
        let again = pushed(&other, push("a", vec![commit(1, 1, &["person/1", "person/1"])])).await;
        assert_eq!(verdicts(&again), "d");
        let erased = other.erase(erase("person/1", Versions::All, true)).await.expect("erased");
        let record = erased.record.expect("a record");
        assert_eq!((record.versions, record.tombstoned), (ranges(&[(1, 2)]), false));
    }

    /// What cannot be erased is named, and nothing of the rest is.
    async fn what_cannot_be_erased_is_named_and_nothing_changes(database) {
        let store = opened(database, &["a"]).await;
        pushed(&store, push("a", vec![commit(1, 1, &["person/1", "person/1"])])).await;
        let one = |name, versions| store.erase(erase(name, versions, false));
        one("person/1", Versions::Ranges(ranges(&[(1, 1)]))).await.expect("erased");
        let state = store.state(&log("a")).await;
        let unknown = one("person/2", Versions::All).await;
        assert_eq!(unknown, Err(StoreError::UnknownStream { stream: stream("person/2") }));
        let beyond = one("person/1", Versions::Ranges(ranges(&[(2, 2), (4, u64::MAX)]))).await;
        assert_eq!(beyond, Err(StoreError::UnknownVersions {
            stream: stream("person/1"),
            range: ranges(&[(4, u64::MAX)])[0],
            newest: Version::new(3),
        }));
        let itself = one("person/1", Versions::Ranges(ranges(&[(2, 3)]))).await;
        assert_eq!(itself, Err(StoreError::NotErasable {
            stream: stream("person/1"),
            version: Version::new(3),
        }));
        let mut elsewhere = erase("person/1", Versions::All, false);
        elsewhere.log = log("c");
        assert_eq!(store.erase(elsewhere).await, Err(StoreError::UnknownLog { log: log("c") }));
        assert_eq!(store.state(&log("a")).await, state);
        assert_eq!(erased_places(&recorded(&everything(&store, "a").await)), [(0, 0)]);
    }

    /// A sealed run is made anew when a payload in it was erased, also where another process has the old one at hand; the
    /// others stay byte for byte.
    async fn a_segment_forgets_what_was_erased(database) {
        let (store, other) = (opened(database, &["a"]).await, database.open().await);
        for seq in 1..=33 {
            let mut one = commit(1, seq, &["todo/1"; 1_000]);
            one.events[7].stream = stream(&format!("person/{seq}"));
            pushed(&store, push("a", vec![one])).await;
        }
        let of = async |store: &D::Store, number| {
            store.segment(&log("a"), number).await.expect("an answer").expect("a segment")
        };
        let (first, second) = (of(&store, 1).await, of(&store, 2).await);
        // The commit that lies across the end belongs to the first.
        store.erase(erase("person/17", Versions::All, false)).await.expect("erased");
        for store in [&store, &other] {
            assert_eq!(of(store, 2).await, second);
            let again = of(store, 1).await;
            assert_eq!((again.first, again.last), (first.first, first.last));
            assert_eq!((first.revision, again.revision), (0, 1));
            let frames = unpacked(&again);
            let mut gone = Vec::new();
            for bytes in frame::split(&frames).expect("whole frames") {
                let frame::Body::Recorded(commits) = frame::decode(bytes).expect("a frame").body else {
                    panic!("a local frame")
                };
                gone.extend(erased_places(&commits).into_iter().map(|(at, index)| {
                    commits[at].event_versions()[index].value() + commits[at].position.value()
                }));
            }
            assert_eq!(gone, [16_002]);
        }
        store.erase(erase("person/18", Versions::All, false)).await.expect("erased");
        assert_eq!(of(&other, 1).await.revision, 1);
        assert_eq!(of(&other, 2).await.revision, 2);
    }

    /// Pushes and erasures at once: each push is answered as what it is, and the log stays whole.
    async fn erasing_under_writers_keeps_the_log_whole(database) {
        let store = opened(database, &["a"]).await;
        pushed(&store, push("a", vec![commit(9, 1, &["person/1"; 40])])).await;
        let mut tasks = Vec::new();
        for n in 1..=4 {
            let store = database.open().await;
            tasks.push(tokio::spawn(async move {
                for seq in 1..=10 {
                    let one = commit(n, seq, &["person/1", "todo/1"]);
                    assert_eq!(verdicts(&pushed(&store, push("a", vec![one])).await), "a");
                }
            }));
        }
        for version in 1..=10 {
            let versions = Versions::Ranges(ranges(&[(version * 3, version * 3)]));
            let erased = store.erase(erase("person/1", versions, false)).await;
            assert!(erased.expect("erased").record.is_some());
        }
        for task in tasks {
            task.await.expect("a task");
        }
        assert_eq!(head(&store, "a").await, 40 + 80 + 10);
        assert_eq!(store.revision(&log("a")).await, Ok(10));
    }

    /// A run of large events is no segment, today or tomorrow; the one behind it is.
    async fn a_segment_that_would_be_too_large_is_none(database) {
        let store = opened(database, &["a"]).await;
        let text = format!("\"{}\"", "x".repeat(900));
        for seq in 1..=33 {
            let mut one = commit(1, seq, &["todo/1"; 1_000]);
            if seq <= 10 {
                one.events.iter_mut().for_each(|event| event.data = Payload::json(text.as_str()));
            }
            pushed(&store, push("a", vec![one])).await;
        }
        for _ in 0..2 {
            assert_eq!(store.segment(&log("a"), 1).await, Ok(None));
        }
        assert!(store.segment(&log("a"), 2).await.expect("an answer").is_some());
    }
}
