//! Snapshots: whole sets, never backwards, never of a history or an end that the log does not have.

use super::StoreFactory;
use super::tab::{Database, REPLICA, Tab, cursor, fill, position};
use tidelog_core::number::Generation;
use tidelog_core::store::{
    FoldName, FoldSnapshot, SnapshotSet, Store, StoreError, StoreOp, StoredSnapshot, Written,
};
use tidelog_core::{ChainHash, Cursor, Epoch, Filter, ReplicaId};

fn fold(name: &str, version: u32) -> FoldName {
    FoldName {
        name: name.into(),
        version,
    }
}

/// A whole state, or changes of the one at position 8.
fn state(name: &FoldName, whole: bool, changed: &[(u32, &[u8])]) -> FoldSnapshot {
    FoldSnapshot {
        fold: name.clone(),
        buckets: 8,
        changed: changed
            .iter()
            .map(|(at, bytes)| (*at, bytes.to_vec()))
            .collect(),
        whole,
        base: position(8),
    }
}

fn set(checkpoint: Cursor, folds: Vec<FoldSnapshot>) -> SnapshotSet {
    SnapshotSet {
        replica: REPLICA,
        checkpoint,
        filter: Filter::default(),
        folds,
    }
}

fn stored(checkpoint: Cursor, filled: &[(u32, &[u8])]) -> Option<StoredSnapshot> {
    let filled = filled
        .iter()
        .map(|(at, bytes)| (*at, bytes.to_vec()))
        .collect();
    Some(StoredSnapshot {
        checkpoint,
        filter: Filter::default(),
        buckets: 8,
        filled,
        unfollowed: false,
        erased: Generation::default(),
    })
}

async fn read<S: Store>(tab: &Tab<S>, fold: &FoldName) -> Option<StoredSnapshot> {
    let read = tab.store.snapshots(std::slice::from_ref(fold)).await;
    let read = read.expect("snapshots are read").remove(0);
    // What it is, `erasing.rs` says.
    read.map(|read| StoredSnapshot {
        erased: Generation::default(),
        ..read
    })
}

cases! { $ snapshot_cases

/// A snapshot comes back as it was saved, and only what changed is written again.
async fn a_snapshot_is_saved_in_buckets(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 8)]).await;
    let (heads, todo) = (fold("#heads", 1), fold("todo", 3));
    assert_eq!(tab.store.snapshots(&[heads.clone(), todo.clone()]).await, Ok(vec![None, None]));
    let first = set(cursor(4), vec![
        state(&heads, true, &[(0, b"h0"), (7, b"h7")]),
        state(&todo, true, &[(1, b""), (2, b"t2")]),
    ]);
    assert_eq!(tab.store.save(first).await, Ok(true));
    let mut second = set(cursor(8), vec![state(&heads, false, &[(3, b"h3"), (7, b"new")])]);
    second.folds[0].base = position(4);
    assert_eq!(tab.store.save(second).await, Ok(true));

    let tab = database.open().await;
    let expected = vec![
        stored(cursor(4), &[(1, b""), (2, b"t2")]),
        None,
        stored(cursor(8), &[(0, b"h0"), (3, b"h3"), (7, b"new")]),
    ];
    let asked = [todo, fold("todo", 2), heads];
    assert_eq!(tab.store.snapshots(&asked).await, Ok(expected));
}

/// Folds whose names look alike do not mix, whatever characters they have.
async fn folds_do_not_mix(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4)]).await;
    let folds = [
        fold("a", 1), fold("a", 2), fold("a", 10), fold("a@1", 1), fold("a@1#0", 1), fold("a#", 1),
        fold("", 1), fold("é", 1), fold("a\u{0}", 1),
    ];
    for (at, fold) in (0_u8..).zip(&folds) {
        let saved = tab.store.save(set(cursor(4), vec![state(fold, true, &[(u32::from(at) % 8, &[at])])]));
        assert_eq!(saved.await, Ok(true));
    }
    for (at, fold) in (0_u8..).zip(&folds) {
        let expected = stored(cursor(4), &[(u32::from(at) % 8, &[at])]);
        assert_eq!(read(&tab, fold).await, expected, "{fold:?}");
    }
}

/// Whoever is behind does not undo what another tab has saved; the whole set is refused.
async fn a_snapshot_never_moves_backwards(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 8)]).await;
    let (a, b) = (fold("a", 1), fold("b", 1));
    assert_eq!(tab.store.save(set(cursor(8), vec![state(&a, true, &[(0, b"new")])])).await, Ok(true));
    let older = set(cursor(4), vec![state(&b, true, &[(0, b"b")]), state(&a, true, &[(0, b"old")])]);
    assert_eq!(tab.store.save(older).await, Ok(false));
    assert_eq!(read(&tab, &a).await, stored(cursor(8), &[(0, b"new")]));
    assert_eq!(read(&tab, &b).await, None, "all of the set or nothing");
    let again = set(cursor(8), vec![state(&a, false, &[(1, b"same place")])]);
    assert_eq!(tab.store.save(again).await, Ok(true));
}

/// A snapshot of what the log does not hold is neither saved nor given out: the log may turn out otherwise.
async fn a_snapshot_behind_the_end_of_the_log_is_not_used(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 4), (5, 8)]).await;
    let a = fold("a", 1);
    let ahead = set(cursor(9), vec![state(&a, true, &[(0, b"ahead")])]);
    assert_eq!(tab.store.save(ahead).await, Ok(false));
    assert_eq!(tab.store.save(set(cursor(8), vec![state(&a, true, &[(0, b"a")])])).await, Ok(true));

    let mut cut = tab.batch(vec![StoreOp::TruncateLog { after: position(4), gaps: vec![] }]);
    cut.head.cursor = cursor(4);
    assert_eq!(tab.commit(cut).await, Ok(Written::Done));
    assert_eq!(read(&tab, &a).await, None);
    assert_eq!(tab.store.save(set(cursor(4), vec![state(&a, true, &[(0, b"4")])])).await, Ok(false));
    let mut filled = tab.batch(vec![super::tab::add_log(5, &frames[1])]);
    filled.head.cursor = cursor(8);
    assert_eq!(tab.commit(filled).await, Ok(Written::Done));
    assert_eq!(read(&tab, &a).await, stored(cursor(8), &[(0, b"a")]));
}

/// Another history has snapshots of its own; one of the old history is neither used nor built upon.
async fn a_snapshot_of_another_history_is_replaced(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 8)]).await;
    let a = fold("a", 1);
    assert_eq!(tab.store.save(set(cursor(8), vec![state(&a, true, &[(0, b"old"), (1, b"old")])])).await, Ok(true));
    let other = Cursor { epoch: Epoch::from_bytes([3; 16]), position: position(5), chain: ChainHash::default() };
    assert_eq!(tab.store.save(set(other, vec![state(&a, true, &[])])).await, Ok(false));
    let mut moved = tab.batch(vec![]);
    moved.head.cursor = other;
    assert_eq!(tab.commit(moved).await, Ok(Written::Done));
    assert_eq!(read(&tab, &a).await, None);
    assert_eq!(tab.store.save(set(cursor(8), vec![state(&a, true, &[])])).await, Ok(false));
    assert_eq!(tab.store.save(set(other, vec![state(&a, false, &[(0, b"part")])])).await, Ok(false));
    assert_eq!(tab.store.save(set(other, vec![state(&a, true, &[(0, b"new")])])).await, Ok(true));
    assert_eq!(read(&tab, &a).await, stored(other, &[(0, b"new")]));
}

/// What changes only some buckets needs the others; a whole state needs nothing and keeps nothing.
async fn a_part_of_a_state_needs_the_rest(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 8)]).await;
    let a = fold("a", 1);
    assert_eq!(tab.store.save(set(cursor(8), vec![state(&a, false, &[(0, b"part")])])).await, Ok(false));
    assert_eq!(read(&tab, &a).await, None);
    assert_eq!(tab.store.save(set(cursor(8), vec![state(&a, true, &[(0, b"0"), (1, b"1")])])).await, Ok(true));
    let mut elsewhere = state(&a, false, &[(0, b"part")]);
    elsewhere.base = position(7);
    assert_eq!(tab.store.save(set(cursor(8), vec![elsewhere])).await, Ok(false), "of another base");
    let mut other_count = state(&a, false, &[(0, b"part")]);
    other_count.buckets = 4;
    assert_eq!(tab.store.save(set(cursor(8), vec![other_count.clone()])).await, Ok(false));
    other_count.whole = true;
    assert_eq!(tab.store.save(set(cursor(8), vec![other_count])).await, Ok(true));
    let read = read(&tab, &a).await.expect("it is there");
    assert_eq!((read.buckets, read.filled), (4, vec![(0, b"part".to_vec())]));
}

/// A bucket that cannot be is a mistake, and a set of another database is not written.
async fn a_snapshot_without_sense_aborts(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 8)]).await;
    let a = fold("a", 1);
    let result = tab.store.save(set(cursor(8), vec![state(&a, true, &[(0, b"a"), (8, b"8 of 8")])])).await;
    assert!(matches!(result, Err(StoreError::Aborted { .. })), "not {result:?}");
    assert_eq!(read(&tab, &a).await, None);
    let mut foreign = set(cursor(8), vec![state(&a, true, &[])]);
    foreign.replica = ReplicaId::from_bytes([1; 16]);
    assert_eq!(tab.store.save(foreign).await, Err(StoreError::Wiped));
    assert_eq!(read(&database.open().await, &a).await, None);
}

/// Folds that the app has no more go, the others stay.
async fn forgotten_snapshots_go(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 8)]).await;
    let folds = [fold("a", 1), fold("a", 2), fold("b", 1), fold("#heads", 1)];
    let states = folds.iter().map(|fold| state(fold, true, &[(0, b"0"), (7, b"7")]));
    assert_eq!(tab.store.save(set(cursor(8), states.collect())).await, Ok(true));
    assert_eq!(tab.store.forget(&[folds[1].clone(), folds[3].clone(), fold("c", 1)]).await, Ok(()));
    let left = tab.store.snapshots(&folds).await.expect("snapshots are read");
    let there: Vec<bool> = left.iter().map(Option::is_some).collect();
    assert_eq!(there, [false, true, false, true]);
    assert_eq!(left[1], stored(cursor(8), &[(0, b"0"), (7, b"7")]));
    assert_eq!(tab.store.forget(&[]).await, Ok(()));
    assert_eq!(tab.store.snapshots(&folds).await, Ok(vec![None; 4]));
    tab.done(vec![StoreOp::ClearLog]).await;
}

/// A log that begins again keeps no state of what it was.
async fn clearing_the_log_forgets_snapshots(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 8)]).await;
    let a = fold("a", 1);
    assert_eq!(tab.store.save(set(cursor(8), vec![state(&a, true, &[(0, b"0")])])).await, Ok(true));
    tab.done(vec![StoreOp::ClearLog]).await;
    assert_eq!(read(&tab, &a).await, None);
    assert_eq!(tab.store.save(set(cursor(8), vec![state(&a, false, &[])])).await, Ok(false));
}

}
