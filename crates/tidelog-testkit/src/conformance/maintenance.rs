//! Compaction, pruning, cutting and quarantine: what is stored otherwise says the same, and what goes is what was asked.

use super::StoreFactory;
use super::tab::{
    Database, REPLICA, Tab, add_log, add_lost, cursor, fill, position, positions, recorded,
};
use tidelog_core::number::Generation;
use tidelog_core::store::{
    Compaction, Direction, Loaded, Pruning, Store, StoreError, StoreOp, Usage, Written,
};
use tidelog_core::{Epoch, Gap, GapReason, ReplicaId};

fn compaction(covered: &[u64], segment: Option<Vec<u8>>, directory: Option<&[u8]>) -> Compaction {
    Compaction {
        replica: REPLICA,
        covered: positions(covered),
        segment,
        directory: directory.map(<[u8]>::to_vec),
        erased: Generation::default(),
    }
}

fn gap(from: u64, to: u64) -> Gap {
    Gap {
        from: position(from),
        to: position(to),
        reason: GapReason::Retention,
    }
}

fn pruning(through: u64) -> Pruning {
    Pruning {
        replica: REPLICA,
        epoch: cursor(0).epoch,
        through: position(through),
        gaps: vec![gap(1, through)],
    }
}

/// Everything that a store gives out, to be compared.
async fn all<S: Store>(tab: &Tab<S>) -> (Loaded, Vec<(u64, Vec<u8>)>, Vec<Vec<u8>>, Usage) {
    let directory = tab.store.directory(position(0)).await.expect("it is read");
    let directory = directory
        .into_iter()
        .map(|(first, says)| (first.value(), says));
    (
        tab.load_all().await,
        directory.collect(),
        tab.store.quarantined().await.expect("it is read"),
        tab.store.usage().await.expect("it is counted"),
    )
}

cases! { $ maintenance_cases

/// Small frames become one that stands in their place; readers get it wherever they have come to.
async fn a_compaction_puts_one_frame_in_the_place_of_several(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 4), (5, 6), (7, 10), (11, 20)]).await;
    let head = tab.load_all().await.head;
    let segment = recorded(1, 10);
    let done = tab.store.compact(compaction(&[1, 5, 7], Some(segment.clone()), None)).await;
    assert_eq!(done, Ok(true));

    let tab = database.open().await;
    let loaded = tab.load_all().await;
    assert_eq!(loaded.log, [segment.clone(), frames[3].clone()]);
    assert_eq!(loaded.head, head, "a compaction is no news");
    for after in [1, 4, 5, 9] {
        assert_eq!(tab.load(after, usize::MAX).await.log.len(), 2, "after {after}");
    }
    assert_eq!(tab.load(10, usize::MAX).await.log, [frames[3].clone()]);
    assert_eq!(tab.store.frames(&positions(&[5, 7])).await, Ok(vec![segment]));
    assert_eq!(tab.store.directory(position(0)).await, Ok(vec![]), "it is not sealed");
}

/// A sealed segment has a directory record and is never merged again.
async fn a_sealed_segment_stays_as_it_is(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 6), (7, 10), (11, 20)]).await;
    assert_eq!(tab.store.last_sealed().await, Ok(None));
    let sealing = compaction(&[1, 5], Some(recorded(1, 6)), Some(b"one to six"));
    assert_eq!(tab.store.compact(sealing).await, Ok(true));
    assert_eq!(tab.store.compact(compaction(&[7], None, Some(b"seven to ten"))).await, Ok(true));

    let before = all(&tab).await;
    for covered in [&[1_u64, 7][..], &[7, 11], &[1], &[7]] {
        let last = if covered.contains(&11) { 20 } else { 10 };
        let segment = (covered.len() > 1).then(|| recorded(covered[0], last));
        let refused = tab.store.compact(compaction(covered, segment, Some(b"again"))).await;
        assert_eq!(refused, Ok(false), "{covered:?}");
    }
    assert_eq!(all(&tab).await, before);
    let directory = |at, says: &[u8]| (position(at), says.to_vec());
    let (first, second) = (directory(1, b"one to six"), directory(7, b"seven to ten"));
    assert_eq!(tab.store.directory(position(0)).await, Ok(vec![first, second.clone()]));
    assert_eq!(tab.store.directory(position(1)).await, Ok(vec![second.clone()]));
    assert_eq!(tab.store.directory(position(7)).await, Ok(vec![]));
    assert_eq!(tab.store.last_sealed().await, Ok(Some(second)));
}

/// A compaction that was made for a log which has changed since changes nothing: it would lose or double events.
async fn a_compaction_of_a_changed_log_does_nothing(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 6), (7, 10)]).await;
    let before = all(&tab).await;
    let stale = [
        (&[1_u64, 7][..], recorded(1, 10), "a frame between them"),
        (&[1, 5, 8], recorded(1, 10), "one is not there"),
        (&[2, 5], recorded(2, 6), "the first is not there"),
        (&[5, 7, 11], recorded(5, 20), "the last is not there"),
        (&[1, 5], recorded(1, 7), "it ends later than what it covers"),
        (&[1, 5], recorded(1, 5), "it ends earlier than what it covers"),
        (&[1, 5], recorded(2, 6), "it begins later than what it covers"),
    ];
    for (covered, segment, why) in stale {
        let done = tab.store.compact(compaction(covered, Some(segment), Some(b"x"))).await;
        assert_eq!(done, Ok(false), "{why}");
    }
    assert_eq!(all(&tab).await, before);

    // Another history under the same keys.
    let mut other = recorded(1, 6);
    other[16..32].fill(7);
    assert_eq!(tab.store.compact(compaction(&[1, 5], Some(other), None)).await, Ok(false));
    assert_eq!(all(&tab).await, before);
}

/// A compaction that makes no sense is refused aloud, and one of another database too.
async fn a_compaction_without_sense_aborts(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 6)]).await;
    let before = all(&tab).await;
    let wrong = [
        compaction(&[], Some(recorded(1, 6)), None),
        compaction(&[5, 1], Some(recorded(1, 6)), None),
        compaction(&[1, 1], Some(recorded(1, 6)), None),
        compaction(&[1, 5], None, Some(b"directory")),
        compaction(&[1, 5], Some(b"not a frame".to_vec()), None),
        compaction(&[0, 1], Some(recorded(1, 6)), None),
    ];
    for compaction in wrong {
        let result = tab.store.compact(compaction.clone()).await;
        assert!(matches!(result, Err(StoreError::Aborted { .. })), "{compaction:?}: {result:?}");
    }
    assert_eq!(all(&tab).await, before);
    let mut foreign = compaction(&[1, 5], Some(recorded(1, 6)), None);
    foreign.replica = ReplicaId::from_bytes([1; 16]);
    assert_eq!(tab.store.compact(foreign).await, Err(StoreError::Wiped));
    assert_eq!(all(&database.open().await).await, before);
}

/// Two tabs compact at once: one does it, the other finds that it is done.
async fn of_two_tabs_that_compact_one_does(database) {
    let mut left = database.open().await;
    fill(&mut left, &[(1, 4), (5, 6)]).await;
    let right = database.open().await;
    let make = || compaction(&[1, 5], Some(recorded(1, 6)), Some(b"sealed"));
    let results = super::tab::both(left.store.compact(make()), right.store.compact(make())).await;
    assert!(matches!(results, (Ok(true), Ok(false)) | (Ok(false), Ok(true))), "{results:?}");
    assert_eq!(left.load_all().await.log, [recorded(1, 6)]);
}

/// Old segments go, and the gap says so; the generation moves on, because readers see something else now.
async fn pruning_removes_old_segments(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 4), (5, 8), (9, 12), (13, 14)]).await;
    for (first, says) in [(1, b"a"), (5, b"b"), (9, b"c")] {
        assert_eq!(tab.store.compact(compaction(&[first], None, Some(says))).await, Ok(true));
    }
    assert_eq!(tab.store.prune(pruning(8)).await, Ok(true));
    let tab = database.open().await;
    let loaded = tab.load_all().await;
    assert_eq!(loaded.log, frames[2..]);
    assert_eq!(loaded.gaps, [gap(1, 8)]);
    assert_eq!(loaded.head.cursor, cursor(14));
    let directory = tab.store.directory(position(0)).await;
    assert_eq!(directory, Ok(vec![(position(9), b"c".to_vec())]));
    let backward = tab.store.range(position(1), position(14), Direction::Backward, usize::MAX).await;
    assert_eq!(backward.map(|page| page.frames.len()), Ok(2));
    assert_eq!(tab.store.usage().await.map(|usage| usage.oldest), Ok(Some(position(9))));
}

/// Nothing goes that is not sealed, not whole or of another history.
async fn pruning_that_is_not_right_does_nothing(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 8), (9, 12)]).await;
    assert_eq!(tab.store.compact(compaction(&[1], None, Some(b"a"))).await, Ok(true));
    assert_eq!(tab.store.compact(compaction(&[9], None, Some(b"c"))).await, Ok(true));
    let before = all(&tab).await;
    let mut other = pruning(4);
    other.epoch = Epoch::from_bytes([1; 16]);
    for (pruning, why) in [
        (pruning(8), "the second is not sealed"),
        (pruning(12), "one before the last is not sealed"),
        (pruning(3), "a frame straddles the place"),
        (other, "another history"),
    ] {
        assert_eq!(tab.store.prune(pruning).await, Ok(false), "{why}");
    }
    let mut wrong = pruning(4);
    wrong.gaps = vec![gap(5, 6), gap(1, 2)];
    let result = tab.store.prune(wrong).await;
    assert!(matches!(result, Err(StoreError::Aborted { .. })), "not {result:?}");
    assert_eq!(all(&tab).await, before);
    let mut foreign = pruning(4);
    foreign.replica = ReplicaId::from_bytes([1; 16]);
    assert_eq!(tab.store.prune(foreign).await, Err(StoreError::Wiped));
    assert_eq!(all(&database.open().await).await, before);
}

/// A log that begins again has neither gaps nor segments nor snapshots of what it was.
async fn clearing_the_log_clears_what_is_about_it(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 8)]).await;
    assert_eq!(tab.store.compact(compaction(&[1], None, Some(b"a"))).await, Ok(true));
    assert_eq!(tab.store.prune(pruning(4)).await, Ok(true));
    tab.head = tab.load_all().await.head;
    tab.done(vec![StoreOp::ClearLog]).await;
    let (loaded, directory, quarantined, usage) = all(&tab).await;
    assert!(loaded.log.is_empty() && loaded.gaps.is_empty() && directory.is_empty());
    assert!(quarantined.is_empty());
    assert_eq!(usage, Usage::default());
}

/// A log that is cut keeps what lies before, and says the gaps that it was given.
async fn a_cut_log_keeps_what_lies_before(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 4), (5, 8), (9, 12)]).await;
    for (first, says) in [(1, b"a"), (5, b"b")] {
        assert_eq!(tab.store.compact(compaction(&[first], None, Some(says))).await, Ok(true));
    }
    let gaps = vec![gap(2, 3)];
    let cut = |after, gaps: &[Gap]| StoreOp::TruncateLog { after: position(after), gaps: gaps.to_vec() };
    let mut batch = tab.batch(vec![cut(4, &gaps)]);
    batch.head.cursor = cursor(4);
    assert_eq!(tab.commit(batch).await, Ok(Written::Done));
    let (loaded, directory, _, usage) = all(&tab).await;
    assert_eq!((loaded.log, loaded.gaps), (frames[..1].to_vec(), gaps));
    assert_eq!(directory, [(1, b"a".to_vec())]);
    assert_eq!((usage.frames, usage.segments), (1, 1));
    tab.done(vec![add_log(5, &frames[1])]).await;
    tab.done(vec![cut(0, &[])]).await;
    let (loaded, directory, ..) = all(&tab).await;
    assert!(loaded.log.is_empty() && loaded.gaps.is_empty() && directory.is_empty());
    tab.assert_aborts(vec![add_lost(b"lost"), cut(0, &[gap(5, 6), gap(1, 2)])]).await;
}

/// A damaged frame leaves the log and its bytes are kept, so that somebody can look at them.
async fn a_damaged_frame_is_kept_aside(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 4), (9, 12)]).await;
    tab.done(vec![add_log(5, b"damaged")]).await;
    assert_eq!(tab.store.compact(compaction(&[5], None, Some(b"of the damaged"))).await, Ok(true));
    let quarantine = |first| StoreOp::Quarantine { first: position(first) };
    tab.done(vec![quarantine(5), quarantine(77)]).await;
    let tab = database.open().await;
    let (loaded, directory, quarantined, usage) = all(&tab).await;
    assert_eq!((loaded.log, directory), (frames, vec![]));
    assert_eq!(quarantined, [b"damaged".to_vec()]);
    assert_eq!(usage.quarantined, 1);
}

/// What a person is shown of the space that is used.
async fn usage_counts_what_is_there(database) {
    let mut tab = database.open().await;
    assert_eq!(tab.store.usage().await, Ok(Usage::default()));
    fill(&mut tab, &[(3, 4), (5, 8), (9, 12)]).await;
    tab.done(vec![add_lost(b"a"), add_lost(b"b")]).await;
    assert_eq!(tab.store.compact(compaction(&[3], None, Some(b"a"))).await, Ok(true));
    tab.done(vec![StoreOp::Quarantine { first: position(9) }]).await;
    let usage = Usage { frames: 2, segments: 1, oldest: Some(position(3)), quarantined: 1, lost: 2 };
    assert_eq!(tab.store.usage().await, Ok(usage));
}

/// A handle whose database was deleted says so to every question.
async fn maintenance_of_a_wiped_database_says_so(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4)]).await;
    database.wipe().await;
    let wiped = StoreError::Wiped;
    let store = &tab.store;
    assert_eq!(store.compact(compaction(&[1], None, Some(b"a"))).await, Err(wiped.clone()));
    assert_eq!(store.prune(pruning(4)).await, Err(wiped.clone()));
    assert_eq!(store.forget(&[]).await, Err(wiped.clone()));
    assert_eq!(store.snapshots(&[]).await, Err(wiped.clone()));
    assert_eq!(store.directory(position(0)).await, Err(wiped.clone()));
    assert_eq!(store.last_sealed().await, Err(wiped.clone()));
    assert_eq!(store.usage().await, Err(wiped.clone()));
    assert_eq!(store.quarantined().await, Err(wiped.clone()));
    let range = store.range(position(1), position(4), Direction::Forward, 1).await;
    assert_eq!(range, Err(wiped));
}

}
