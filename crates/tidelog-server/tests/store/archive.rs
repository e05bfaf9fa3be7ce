//! A log with history in an archive is the log that it was, for each store.

use crate::commits::{ALL, accepted, commit, exact, expecting, log, push, stream, verdicts};
use crate::suite::{Database, erase, ranges};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tidelog_core::protocol::PushResponse;
use tidelog_core::{ChainHash, Commit, Cursor, Payload, Position, Timestamp, Version};
use tidelog_server::store::{
    After, Archive, ArchiveAddress, Archiving, Direction, Erase, LogStore, Moved, PageCap, Segment,
    StoreError, StreamPage, StreamRange, Versions, Wanted,
};

/// Its archive, in a folder.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    /// With nothing fetched yet, as in another process.
    fn archive(&self) -> Archive {
        let address = ArchiveAddress::Folder(self.0.path().into());
        Archive::open(&address).expect("an archive")
    }

    /// The objects that are there, but for the marker.
    fn objects(&self) -> BTreeSet<PathBuf> {
        let mut objects = files(self.0.path());
        objects.remove(&self.marker());
        objects
    }

    /// What says whose it is.
    fn marker(&self) -> PathBuf {
        self.0.path().join("tidelog-archive.json")
    }

    /// While it lasts, nothing is mounted here.
    fn away(&self) -> Away<'_> {
        let elsewhere = TempDir::new().expect("a folder");
        std::fs::rename(self.0.path(), elsewhere.path().join("away")).expect("it is away");
        std::fs::create_dir(self.0.path()).expect("an empty folder");
        Away(self, elsewhere)
    }
}

struct Away<'a>(&'a Folder, TempDir);

impl Away<'_> {
    /// Nothing came there meanwhile, and the archive is mounted again.
    fn back(self) {
        let path = self.0.0.path();
        std::fs::remove_dir(path).expect("it is empty");
        std::fs::rename(self.path(), path).expect("it is back");
    }

    fn path(&self) -> PathBuf {
        self.1.path().join("away")
    }
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => BTreeSet::from([path]),
        })
        .collect()
}

/// Where an object is written before it is moved to its place.
fn unfinished(object: &Path) -> PathBuf {
    let mut path = object.as_os_str().to_owned();
    path.push("#1");
    path.into()
}

fn shelved<S: Archiving>(store: S, archive: Archive) -> S {
    store.with_archive(archive)
}

async fn archive(store: &impl Archiving, name: &str, wanted: Wanted) -> Result<Moved, StoreError> {
    store.archive(&log(name), wanted, |_| ()).await
}

async fn recall(store: &impl Archiving, name: &str, position: Position) -> Result<(), StoreError> {
    store.recall(&log(name), position).await
}

/// The `seq`th commit: of a thousand events on a few streams. Those of the second segment are large.
fn thousand(seq: u64) -> Commit {
    let stream = format!("todo/{}", seq % 3);
    let mut made = commit(1, seq, &vec![stream.as_str(); 1_000]);
    if (18..=27).contains(&seq) {
        let text = Payload::json(&format!("\"{}\"", "x".repeat(900)));
        made.events
            .iter_mut()
            .for_each(|event| event.data = text.clone());
    }
    made
}

/// How many commits the log `a` has: three segments, and some.
const COMMITS: u64 = 55;

async fn filled<D: Database>(database: &D) -> D::Store {
    with_commits(database, COMMITS).await
}

/// With one segment, and little more.
async fn short<D: Database>(database: &D) -> D::Store {
    with_commits(database, 17).await
}

async fn with_commits<D: Database>(database: &D, commits: u64) -> D::Store {
    let store = database.open().await;
    store.create(&log("a")).await.expect("a log");
    for seq in 1..=commits {
        let response = store.push(push("a", vec![thousand(seq)])).await;
        assert!(accepted(&response.expect("an answer")).is_some());
    }
    store
}

/// What a reader can be told of a log.
#[derive(Debug, PartialEq)]
struct Told {
    pages: Vec<String>,
    streams: Vec<String>,
    segments: Vec<Option<Segment>>,
    repeated: PushResponse,
}

/// Everything but the state, which a page has of the moment it was read at.
async fn page(store: &impl LogStore, after: After, cap: PageCap) -> String {
    match store.page(&log("a"), after, cap).await {
        Ok(page) => {
            let commits = page.commits.iter();
            let commits = commits.map(|one| {
                let recorded = &one.recorded;
                let last = recorded.last_position();
                let (id, data) = (
                    recorded.commit.id,
                    recorded.commit.events[0].data.text().map(str::len),
                );
                format!(
                    "{}-{last} {id:?} {} {} {data:?} {:?}",
                    recorded.position, one.chain, one.bytes, recorded.versions
                )
            });
            let commits: Vec<String> = commits.collect();
            format!("{:?} {} {commits:?}", page.state, page.chain_before)
        }
        Err(error) => error.to_string(),
    }
}

fn shown(page: &StreamPage) -> String {
    let events = page.events.iter().map(|event| {
        let position = event.commit.position;
        let text = event.commit.commit.events[event.index]
            .data
            .text()
            .map(str::len);
        format!("{}@{position}+{} {text:?}", event.version, event.index)
    });
    format!("{} {:?}", page.version, events.collect::<Vec<_>>())
}

async fn told(store: &impl LogStore) -> Told {
    let mut pages = Vec::new();
    let caps = [
        PageCap {
            bytes: 0,
            events: 1,
        },
        PageCap {
            bytes: 300_000,
            events: 10_000,
        },
        PageCap {
            bytes: usize::MAX,
            events: 17_000,
        },
    ];
    let chains = store
        .page(&log("a"), After::Position(Position::START), ALL)
        .await
        .expect("a page");
    for after in [
        0, 999, 16_384, 17_000, 25_500, 33_000, 54_500, 55_000, 60_000,
    ] {
        let position = Position::new(after);
        for cap in caps {
            pages.push(page(store, After::Position(position), cap).await);
        }
        let there = chains
            .commits
            .iter()
            .find(|one| one.recorded.last_position() == position);
        for chain in [
            there.map(|one| one.chain),
            Some(ChainHash::from_bytes([1; 32])),
        ] {
            let Some(chain) = chain else { continue };
            let epoch = chains.state.epoch;
            let cursor = After::Cursor(Cursor {
                epoch,
                position,
                chain,
            });
            pages.push(page(store, cursor, caps[1]).await);
        }
    }
    let mut streams = Vec::new();
    for name in ["todo/0", "todo/1", "todo/9"] {
        for direction in [Direction::Forward, Direction::Backward] {
            for from in [None, Some(1_500), Some(17_900), Some(99_999)] {
                for limit in [0, 1, 1_700] {
                    let range = StreamRange {
                        from: from.map(Version::new),
                        direction,
                        limit,
                    };
                    let read = store.stream(&log("a"), &stream(name), range).await;
                    streams.push(shown(&read.expect("a page")));
                }
            }
        }
    }
    let mut segments = Vec::new();
    for number in 0..=4 {
        segments.push(store.segment(&log("a"), number).await.expect("an answer"));
    }
    let mut other = thousand(2);
    other.events.truncate(1);
    let repeated = vec![thousand(1), thousand(20), other, thousand(COMMITS)];
    let repeated = store.push(push("a", repeated)).await.expect("an answer");
    assert_eq!(verdicts(&repeated), "ddrd");
    Told {
        pages,
        streams,
        segments,
        repeated,
    }
}

fn same(now: &Told, before: &Told) {
    for (now, before) in now.pages.iter().zip(&before.pages) {
        assert_eq!(now, before);
    }
    for (now, before) in now.streams.iter().zip(&before.streams) {
        assert_eq!(now, before);
    }
    assert_eq!(now, before);
}

/// Reads, segments and the receipts of old commits are the same before, between and after; and the log goes on.
pub(crate) async fn what_is_archived_is_told_as_before<D: Database>(database: &D) {
    let store = filled(database).await;
    let before = told(&store).await;
    assert!(
        before.segments[1].is_some()
            && before.segments[2].is_none()
            && before.segments[3].is_some()
    );
    let folder = Folder::new();
    let store = shelved(store, folder.archive());
    let keeping = |events| archive(&store, "a", Wanted::Keeping(events));
    let moved = keeping(30_000).await.expect("moved");
    assert_eq!(
        (moved.runs, moved.events, moved.through),
        (1, 17_000, Position::new(17_000))
    );
    same(&told(&store).await, &before);
    let moved = keeping(0).await.expect("moved");
    assert_eq!(
        (moved.events, moved.through),
        (33_000, Position::new(50_000))
    );
    assert!(
        moved.runs > 2,
        "a run of large events has several objects: {moved:?}"
    );
    assert!(moved.put < moved.freed / 2, "{moved:?}");
    same(&told(&store).await, &before);
    let other = shelved(database.open().await, folder.archive());
    same(&told(&other).await, &before);
    assert_eq!(keeping(0).await.expect("nothing to do").events, 0);
    store.verify(&log("a")).await.expect("a whole log");

    let more = expecting(commit(2, 1, &["todo/1"]), "todo/1", exact(19_000));
    let more = store.push(push("a", vec![more])).await.expect("an answer");
    assert_eq!(
        accepted(&more),
        Some((Position::new(55_001), Position::new(55_001)))
    );
    other.verify(&log("a")).await.expect("a whole log");
    store.shrink().await.expect("smaller");
    other.verify(&log("a")).await.expect("a whole log");
}

/// A run that comes back lies between others: everything is told as before, its object is gone, and it can go again.
pub(crate) async fn a_run_comes_back_and_goes_again<D: Database>(database: &D) {
    let store = filled(database).await;
    let before = told(&store).await;
    let folder = Folder::new();
    let store = shelved(store, folder.archive());
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    let other = shelved(database.open().await, folder.archive());
    same(&told(&other).await, &before);
    let objects = folder.objects();
    for position in [20_000, 20_000, 55_000] {
        recall(&store, "a", Position::new(position))
            .await
            .expect("it is back");
    }
    assert_eq!(folder.objects().len(), objects.len() - 1);
    assert_eq!(database.rows("archived"), folder.objects().len() as u64);
    for store in [&store, &other] {
        same(&told(store).await, &before);
        store.verify(&log("a")).await.expect("a whole log");
    }
    let first = recall(&other, "a", Position::new(1));
    first.await.expect("it is back");
    same(&told(&store).await, &before);
    let moved = archive(&store, "a", Wanted::Keeping(0)).await;
    assert_eq!(moved.expect("moved").through, Position::new(50_000));
    assert_eq!(folder.objects().len(), objects.len());
    assert!(folder.objects().intersection(&objects).count() < objects.len());
    same(&told(&other).await, &before);
    other.verify(&log("a")).await.expect("a whole log");
}

/// What is not asked to go stays: by the time it was recorded, or by the number of events.
pub(crate) async fn only_what_is_wanted_is_moved<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    let before = |millis| archive(&store, "a", Wanted::Before(Timestamp::from_millis(millis)));
    assert_eq!(before(0).await.expect("an answer").events, 0);
    let keeping = |events| archive(&store, "a", Wanted::Keeping(events));
    assert_eq!(keeping(38_617).await.expect("an answer").events, 0);
    assert_eq!(keeping(38_616).await.expect("an answer").events, 17_000);
    assert_eq!(
        before(i64::MAX).await.expect("an answer").through,
        Position::new(50_000)
    );
    let unknown = archive(&store, "b", Wanted::Keeping(0)).await;
    assert_eq!(
        unknown.map(|_| ()),
        Err(StoreError::UnknownLog { log: log("b") })
    );
}

/// Who has no archive is told so by name, can append, and reads what is not archived.
pub(crate) async fn without_its_archive_a_log_says_so<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    archive(&store, "a", Wanted::Keeping(30_000))
        .await
        .expect("moved");
    store.ready().await.expect("ready");
    let without = database.open().await;
    let is_typed = |error: StoreError| {
        let says = error.to_string();
        assert!(
            matches!(error, StoreError::ArchiveUnavailable { .. }) && says.contains("--archive"),
            "{says}"
        );
    };
    let start = After::Position(Position::START);
    is_typed(
        without
            .page(&log("a"), start, ALL)
            .await
            .expect_err("archived"),
    );
    is_typed(without.segment(&log("a"), 1).await.expect_err("archived"));
    is_typed(without.verify(&log("a")).await.expect_err("archived"));
    is_typed(without.ready().await.expect_err("not ready"));
    is_typed(
        archive(&without, "a", Wanted::Keeping(0))
            .await
            .expect_err("no archive"),
    );
    let range = StreamRange {
        from: None,
        direction: Direction::Forward,
        limit: 1,
    };
    let old = without.stream(&log("a"), &stream("todo/1"), range).await;
    is_typed(old.expect_err("archived"));
    let new = StreamRange {
        direction: Direction::Backward,
        ..range
    };
    without
        .stream(&log("a"), &stream("todo/1"), new)
        .await
        .expect("what is new");
    let rest = without
        .page(&log("a"), After::Position(Position::new(17_000)), ALL)
        .await;
    assert_eq!(rest.expect("what is new").commits.len(), 38);
    let pushed = without
        .push(push("a", vec![thousand(1), thousand(COMMITS + 1)]))
        .await;
    assert_eq!(verdicts(&pushed.expect("an answer")), "da");
}

/// An object that is gone, cut off or another's is damage at a position, and never silence.
pub(crate) async fn damage_in_the_archive_is_named<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    let objects: Vec<PathBuf> = folder.objects().into_iter().collect();
    let whole = std::fs::read(&objects[0]).expect("an object");
    let (mut flipped, mut longer) = (whole.clone(), whole.clone());
    flipped[200] ^= 1;
    longer.push(0);
    let foreign = std::fs::read(&objects[1]).expect("an object");
    for bad in [
        None,
        Some(&flipped[..]),
        Some(&whole[..100]),
        Some(&longer),
        Some(&foreign),
    ] {
        match bad {
            None => std::fs::remove_file(&objects[0]).expect("removed"),
            Some(bytes) => std::fs::write(&objects[0], bytes).expect("written"),
        }
        let fresh = shelved(database.open().await, folder.archive());
        let start = After::Position(Position::START);
        let told = [
            fresh.page(&log("a"), start, ALL).await.map(|_| ()),
            fresh.segment(&log("a"), 1).await.map(|_| ()),
            fresh.verify(&log("a")).await.map(|_| ()),
        ];
        for told in told {
            match told {
                Err(StoreError::Damaged { position, .. }) => assert_eq!(position, Position::new(1)),
                other => panic!("{other:?}"),
            }
        }
        let behind = fresh
            .page(&log("a"), After::Position(Position::new(40_000)), ALL)
            .await;
        assert_eq!(behind.expect("another run").commits.len(), 15);
    }
    std::fs::write(&objects[0], &whole).expect("written");
    let fresh = shelved(database.open().await, folder.archive());
    fresh.verify(&log("a")).await.expect("whole again");
    let elsewhere = Folder::new();
    let fresh = shelved(fresh, elsewhere.archive());
    let refused = archive(&fresh, "a", Wanted::Keeping(0))
        .await
        .expect_err("another archive");
    assert!(
        refused.to_string().contains("is it the archive"),
        "{refused}"
    );
}

/// Two that archive one log at once, beside a writer: one of them may give up, and nothing is lost, twice there or left over.
pub(crate) async fn archiving_at_once_loses_nothing<D: Database>(database: &D) {
    let store = filled(database).await;
    let folder = Folder::new();
    let [one, two] = [(); 2].map(|()| folder.archive());
    let one = shelved(store.clone(), one);
    let two = shelved(database.open().await, two);
    let written = async {
        for seq in COMMITS + 1..=COMMITS + 10 {
            let response = store.push(push("a", vec![thousand(seq)])).await;
            assert!(accepted(&response.expect("an answer")).is_some());
        }
    };
    let keeping = |store| archive(store, "a", Wanted::Keeping(0));
    let (first, second, ()) = tokio::join!(keeping(&one), keeping(&two), written);
    for gave_up in [first, second].into_iter().filter_map(Result::err) {
        assert!(
            matches!(gave_up, StoreError::Unavailable { .. }),
            "{gave_up:?}"
        );
    }
    keeping(&one).await.expect("the rest");
    let moved = keeping(&one).await.expect("nothing to do");
    assert_eq!(
        (moved.events, moved.strays, moved.through),
        (0, 0, Position::new(50_000))
    );
    let verified = two.verify(&log("a")).await.expect("a whole log");
    assert_eq!(verified.commits, COMMITS + 10);
    assert_eq!(database.rows("archived"), folder.objects().len() as u64);
}

/// What a run that was ended has put and not recorded is removed by the next, and only that.
pub(crate) async fn what_an_ended_run_left_is_removed<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    archive(&store, "a", Wanted::Keeping(30_000))
        .await
        .expect("moved");
    let kept = folder.objects();
    std::fs::write(folder.0.path().join("left"), "half of it").expect("an object");
    database.announce(&["left", "never/put"]);
    let moved: Moved = archive(&store, "a", Wanted::Keeping(30_000))
        .await
        .expect("cleaned");
    assert_eq!((moved.events, moved.strays), (0, 1));
    assert_eq!(database.rows("strays"), 0);
    assert_eq!(folder.objects(), kept);
    store.verify(&log("a")).await.expect("a whole log");
}

/// What is erased is gone from the archive too: the runs that hold it come back, and go again without it.
pub(crate) async fn what_is_erased_leaves_the_archive<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    let before = folder.objects();
    let one = erase("todo/1", Versions::Ranges(ranges(&[(1, 2)])), false);
    let erased = store.erase(one.clone()).await.expect("erased");
    assert!(erased.record.is_some());
    let left = folder.objects();
    assert!(left.is_subset(&before) && left.len() < before.len());
    assert_eq!(database.rows("archived"), left.len() as u64);
    let range = StreamRange {
        from: None,
        direction: Direction::Forward,
        limit: 3,
    };
    let is_erased = || async {
        let page = store.stream(&log("a"), &stream("todo/1"), range).await;
        let events = page.expect("a stream").events;
        let texts = events.iter().map(|event| {
            event.commit.commit.events[event.index]
                .data
                .text()
                .is_none()
        });
        texts.collect::<Vec<_>>()
    };
    assert_eq!(is_erased().await, [true, true, false]);
    store.verify(&log("a")).await.expect("a whole log");
    let after = told(&store).await;
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved again");
    same(&told(&store).await, &after);
    assert_eq!(is_erased().await, [true, true, false]);
    store.verify(&log("a")).await.expect("a whole log");
    assert_eq!(
        store.erase(one.clone()).await.expect("no error").record,
        None
    );

    // A server without the archive erases nothing of it, and says why.
    let without = database.open().await;
    let more = Erase {
        versions: Versions::All,
        ..one
    };
    assert!(matches!(
        without.erase(more).await,
        Err(StoreError::ArchiveUnavailable { .. })
    ));
}

/// An erasure is not answered as done while an object that held what is erased is still there, however often it is asked for.
pub(crate) async fn an_erasure_waits_for_its_object_to_go<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    let range = StreamRange {
        from: None,
        direction: Direction::Forward,
        limit: 3,
    };
    // From here on it is in memory.
    let read = store.stream(&log("a"), &stream("todo/1"), range).await;
    assert_eq!(read.expect("a stream").events.len(), 3);
    // A folder cannot be removed as a file is, and each of these is in the way.
    let objects = folder.objects();
    for object in &objects {
        std::fs::create_dir(unfinished(object)).expect("a folder");
    }
    for _ in 0..2 {
        let one = erase("todo/1", Versions::Ranges(ranges(&[(1, 2)])), false);
        let error = store.erase(one).await.expect_err("the object is there");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
    for object in &objects {
        std::fs::remove_dir(unfinished(object)).expect("a folder");
    }
    let one = erase("todo/1", Versions::Ranges(ranges(&[(1, 2)])), false);
    store.erase(one).await.expect("erased");
    assert_eq!(folder.objects().len(), objects.len() - 1);
}

/// Where an archive is not reached, nothing of it counts as removed, not even what is still in memory.
pub(crate) async fn an_erasure_is_refused_where_its_archive_is_not<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    // From here on it is in memory.
    let range = StreamRange {
        from: None,
        direction: Direction::Forward,
        limit: 3,
    };
    let read = store.stream(&log("a"), &stream("todo/1"), range).await;
    assert_eq!(read.expect("a stream").events.len(), 3);
    let objects = folder.objects();
    let away = folder.away();
    let archived = erase("todo/1", Versions::Ranges(ranges(&[(1, 2)])), false);
    let refused = store.erase(archived.clone()).await.expect_err("not there");
    assert!(
        matches!(refused, StoreError::ArchiveUnavailable { .. })
            && refused.to_string().contains("is it the"),
        "{refused}"
    );
    // What is in the database, while an object of the log may be on its way.
    let epoch = store.state(&log("a")).await.expect("a state").epoch;
    let name = format!("{epoch}/0000000001/1-0-put.gz");
    let put = away.path().join(&name);
    std::fs::write(&put, "erased by then").expect("an object");
    database.announce(&[&name]);
    let newest = erase(
        "todo/1",
        Versions::Ranges(ranges(&[(19_000, 19_000)])),
        false,
    );
    let refused = store.erase(newest.clone()).await.expect_err("not there");
    assert!(
        matches!(refused, StoreError::ArchiveUnavailable { .. }),
        "{refused}"
    );
    let rows = (database.rows("archived"), database.rows("strays"));
    assert_eq!(rows, (objects.len() as u64, 1), "nothing counts as removed");

    away.back();
    store.erase(newest).await.expect("erased before");
    assert_eq!(folder.objects(), objects);
    store.erase(archived).await.expect("erased");
    assert!(folder.objects().len() < objects.len());
    assert_eq!(database.rows("strays"), 0);
    store.verify(&log("a")).await.expect("a whole log");
}

/// What is refused when it is to be recorded leaves neither its object nor the name of it, even if somebody who cleaned has removed that.
pub(crate) async fn what_is_not_recorded_is_removed<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    for (table, sql) in [
        // No database takes it.
        ("archived", "UPDATE logs SET epoch = NULL"),
        (
            "strays",
            "DELETE FROM strays WHERE name = NEW.name AND NOT doomed",
        ),
    ] {
        database.on_insert(table, sql);
        let refused = archive(&store, "a", Wanted::Keeping(0)).await;
        let refused = refused.expect_err("refused");
        assert!(
            matches!(refused, StoreError::Unavailable { .. }),
            "{refused:?}"
        );
        assert_eq!(folder.objects(), BTreeSet::new(), "{table}");
        assert_eq!((database.rows("archived"), database.rows("strays")), (0, 0));
        database.on_insert_no_more(table);
    }
    let moved = archive(&store, "a", Wanted::Keeping(0)).await;
    assert_eq!(moved.expect("moved").through, Position::new(50_000));
    assert_eq!(database.rows("strays"), 0);
    store.verify(&log("a")).await.expect("a whole log");
}

/// What is erased while a run of it is read is no damage. It is not moved, and moves the next time.
pub(crate) async fn what_changes_while_it_is_read_is_not_damaged<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    // Between the segment, which is kept when it is made, and the rows.
    database.on_insert(
        "segments",
        "UPDATE commits SET frame = (SELECT frame FROM commits WHERE first = 1001) WHERE first = 1;
         UPDATE logs SET revision = revision + 1",
    );
    let refused = archive(&store, "a", Wanted::Keeping(0)).await;
    let refused = refused.expect_err("another by now");
    assert!(
        matches!(refused, StoreError::Unavailable { .. }),
        "{refused:?}"
    );
    assert_eq!(folder.objects(), BTreeSet::new());
    // The same without an erasure is damage.
    database.on_insert_no_more("segments");
    let refused = archive(&store, "a", Wanted::Keeping(0)).await;
    assert!(
        matches!(refused, Err(StoreError::Damaged { .. })),
        "{refused:?}"
    );
    assert_eq!(folder.objects(), BTreeSet::new());
}

/// Before an erasure is answered, what was announced of its log and not recorded is gone; what somebody slow puts even so goes at the next.
pub(crate) async fn what_is_erased_is_in_no_stray_object<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    let epoch = store.state(&log("a")).await.expect("a state").epoch;
    // Made so late that they may come for ever.
    let of_the_log = |what: &str| format!("{epoch}/0000000001/1-9999999999999-{what}.gz");
    let (put, late, other) = (of_the_log("put"), of_the_log("late"), "other/put.gz");
    let half = of_the_log("half");
    let path = |name: &str| folder.0.path().join(name);
    let come = |name: &str| {
        let path = path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, "erased by then").expect("an object");
    };
    come(&put);
    come(other);
    // Whoever put it was ended while it wrote.
    come(&format!("{half}#1"));
    database.announce(&[&put, &late, &half, other]);
    let one = erase("todo/1", Versions::Ranges(ranges(&[(1, 2)])), false);
    let without = database.open().await.erase(one.clone()).await;
    assert!(
        matches!(without, Err(StoreError::ArchiveUnavailable { .. })),
        "{without:?}"
    );
    store.erase(one.clone()).await.expect("erased");
    assert_eq!(folder.objects(), BTreeSet::from([path(other)]));
    come(&late);
    store.erase(one.clone()).await.expect("erased before");
    assert_eq!(folder.objects(), BTreeSet::from([path(other)]));
    // A folder cannot be removed as a file is.
    std::fs::create_dir(path(&late)).expect("a folder");
    let error = store.erase(one).await.expect_err("something is there");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
}

/// One object that was lost stands in the way of what lies in it, and of nothing else.
pub(crate) async fn a_lost_object_blocks_nothing_else<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(filled(database).await, folder.archive());
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    let newest = |version| {
        let ranges = ranges(&[(version, version)]);
        erase("todo/1", Versions::Ranges(ranges), false)
    };
    let epoch = store.state(&log("a")).await.expect("a state").epoch;
    for (at, object) in (0..).zip(folder.objects()) {
        let bytes = std::fs::read(&object).expect("an object");
        std::fs::remove_file(&object).expect("lost");
        let name = format!("{epoch}/0000000001/9-0-{at}.gz");
        std::fs::write(folder.0.path().join(&name), "left over").expect("an object");
        database.announce(&[&name]);
        store.erase(newest(19_000 - at)).await.expect("erased");
        assert!(!folder.0.path().join(&name).exists(), "{name}");
        archive(&store, "a", Wanted::Keeping(0))
            .await
            .expect("nothing to do");
        std::fs::write(&object, bytes).expect("found again");
    }
    store.verify(&log("a")).await.expect("a whole log");

    // A marker that was lost comes again, for what is recorded is there.
    std::fs::remove_file(folder.marker()).expect("lost");
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("nothing to do");
    assert!(folder.marker().exists());
}

/// A folder where nothing is mounted is not the archive, even if nothing but left overs are to be looked for in it; nor does anything go there.
pub(crate) async fn an_empty_folder_is_not_the_archive<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(short(database).await, folder.archive());
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    recall(&store, "a", Position::new(1))
        .await
        .expect("it is back");
    assert_eq!(database.rows("archived"), 0);
    let epoch = store.state(&log("a")).await.expect("a state").epoch;
    let name = format!("{epoch}/0000000001/1-0-put.gz");
    std::fs::write(folder.0.path().join(&name), "erased by then").expect("an object");
    database.announce(&[&name]);
    let away = folder.away();
    let newest = erase("todo/1", Versions::Ranges(ranges(&[(9, 9)])), false);
    let refused = [
        store.erase(newest.clone()).await.map(|_| ()),
        archive(&store, "a", Wanted::Keeping(0)).await.map(|_| ()),
    ];
    for refused in refused {
        assert!(
            matches!(refused, Err(StoreError::ArchiveUnavailable { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(database.rows("strays"), 1, "nothing counts as removed");
    away.back();
    store.erase(newest).await.expect("erased before");
    assert_eq!(folder.objects(), BTreeSet::new());
    assert_eq!(database.rows("strays"), 0);
    // Nothing is anywhere: a new archive takes the place of the old one.
    let other = Folder::new();
    let store = shelved(store, other.archive());
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    assert!(folder.objects().is_empty() && !other.objects().is_empty());
}

/// Two databases do not fill one archive, nor clean in it, also if both begin at once; a copy of an archive is as good as it.
pub(crate) async fn an_archive_belongs_to_one_database<D: Database>(database: &D) {
    let folder = Folder::new();
    let theirs = D::fresh().await;
    let stores = tokio::join!(short(database), short(&theirs));
    let one = shelved(stores.0, folder.archive());
    let two = shelved(stores.1, folder.archive());
    let began = tokio::join!(
        archive(&one, "a", Wanted::Keeping(0)),
        archive(&two, "a", Wanted::Keeping(0))
    );
    let (ours, other) = match began {
        (Ok(_), Err(refused)) => ((one, database.rows("archived")), (two, &theirs, refused)),
        (Err(refused), Ok(_)) => ((two, theirs.rows("archived")), (one, database, refused)),
        both => panic!("one of both has it: {both:?}"),
    };
    let (store, runs) = ours;
    let (other, others, refused) = other;
    let is_refused = |refused: StoreError| {
        let says = refused.to_string();
        assert!(
            matches!(refused, StoreError::ArchiveOfAnother { .. })
                && says.contains("belongs to another database"),
            "{says}"
        );
    };
    is_refused(refused);
    assert_eq!(runs, 1);
    assert_eq!((others.rows("archived"), others.rows("strays")), (0, 0));
    let objects = folder.objects();
    assert_eq!(objects.len(), 1);
    let name = "left/over.gz";
    std::fs::create_dir(folder.0.path().join("left")).expect("a folder");
    std::fs::write(folder.0.path().join(name), "of whoever").expect("an object");
    others.announce(&[name]);
    is_refused(
        archive(&other, "a", Wanted::Keeping(0))
            .await
            .expect_err("not its own"),
    );
    assert!(folder.0.path().join(name).exists());
    let own = Folder::new();
    let other = shelved(other, own.archive());
    archive(&other, "a", Wanted::Keeping(0))
        .await
        .expect("moved");

    // What is copied there is the same archive, and what cannot be read is nobody's.
    let copied = own.0.path().join("tidelog-archive.json");
    let copy = Folder::new();
    for file in objects.iter().chain([&folder.marker()]) {
        let to = copy
            .0
            .path()
            .join(file.strip_prefix(folder.0.path()).expect("below it"));
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        std::fs::copy(file, to).expect("copied");
    }
    let store = shelved(store, copy.archive());
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    store.verify(&log("a")).await.expect("a whole log");
    std::fs::write(copied, "{}").expect("damaged");
    let refused = archive(&other, "a", Wanted::Keeping(0)).await;
    assert!(
        matches!(&refused, Err(StoreError::ArchiveOfAnother { detail, .. }) if detail.contains("cannot be read")),
        "{refused:?}"
    );
}

/// Whoever was ended between its own note and the marker's putting goes on where it was.
pub(crate) async fn a_marker_that_was_not_put_is_put<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(short(database).await, folder.archive());
    // No file is put where a folder is.
    std::fs::create_dir(folder.marker()).expect("a folder");
    let refused = archive(&store, "a", Wanted::Keeping(0)).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable { .. })),
        "{refused:?}"
    );
    assert_eq!((database.rows("marker"), database.rows("strays")), (1, 0));
    std::fs::remove_dir(folder.marker()).expect("it is empty");
    archive(&store, "a", Wanted::Keeping(0))
        .await
        .expect("moved");
    assert!(folder.marker().is_file());
}

/// Who archives one log leaves what is on its way of another, and removes what that has left.
pub(crate) async fn archiving_leaves_what_is_announced_of_other_logs<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(database.open().await, folder.archive());
    for name in ["a", "b"] {
        store.create(&log(name)).await.expect("a log");
    }
    let other = store.state(&log("b")).await.expect("a state").epoch;
    let epoch = store.state(&log("a")).await.expect("a state").epoch;
    let named = |epoch, made: u64| format!("{epoch}/0000000001/1-{made}-0.gz");
    // Made so late that it may come for ever, and so early that nobody can be that slow.
    let (young, old, own) = (
        named(other, 9_999_999_999_999),
        named(other, 1),
        named(epoch, 1),
    );
    database.announce(&[&young, &old, &own]);
    archive(&store, "a", Wanted::Before(Timestamp::from_millis(0)))
        .await
        .expect("cleaned");
    assert_eq!(database.rows("strays WHERE NOT doomed"), 1);
    assert_eq!(database.rows(&format!("strays WHERE name = '{young}'")), 1);
    archive(&store, "b", Wanted::Before(Timestamp::from_millis(0)))
        .await
        .expect("cleaned");
    assert_eq!(database.rows("strays WHERE NOT doomed"), 0);
}

/// What was doomed while it was put is recorded no more, also if nobody has removed it yet.
pub(crate) async fn what_is_doomed_is_not_recorded<D: Database>(database: &D) {
    let folder = Folder::new();
    let store = shelved(short(database).await, folder.archive());
    database.on_insert(
        "strays",
        "UPDATE strays SET doomed = NOT false WHERE name = NEW.name",
    );
    let refused = archive(&store, "a", Wanted::Keeping(0)).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable { .. })),
        "{refused:?}"
    );
    assert_eq!((database.rows("archived"), folder.objects().len()), (0, 0));
    store.verify(&log("a")).await.expect("a whole log");
}

/// Registers every case as a test of a [`Database`].
macro_rules! archive_suite {
    ($database:ty: $($case:ident)*) => {
        mod archive {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let database = <$database as Database>::fresh().await;
                    crate::archive::$case(&database).await;
                }
            )*
        }
    };
    ($database:ty) => {
        archive_suite! { $database:
            what_is_archived_is_told_as_before
            a_run_comes_back_and_goes_again
            only_what_is_wanted_is_moved
            without_its_archive_a_log_says_so
            damage_in_the_archive_is_named
            archiving_at_once_loses_nothing
            what_an_ended_run_left_is_removed
            what_is_not_recorded_is_removed
            what_changes_while_it_is_read_is_not_damaged
            what_is_erased_is_in_no_stray_object
            what_is_erased_leaves_the_archive
            an_erasure_waits_for_its_object_to_go
            an_erasure_is_refused_where_its_archive_is_not
            a_lost_object_blocks_nothing_else
            an_empty_folder_is_not_the_archive
            an_archive_belongs_to_one_database
            a_marker_that_was_not_put_is_put
            archiving_leaves_what_is_announced_of_other_logs
            what_is_doomed_is_not_recorded
        }
    };
}
