//! Erased payloads: the frames that held them are replaced, what was folded from them is gone, and nothing brings them back.

use super::StoreFactory;
use super::tab::{Database, REPLICA, Tab, add_log, cursor, fill, position, positions, recorded};
use tidelog_core::number::Generation;
use tidelog_core::store::{
    Compaction, Erased, ErasedFrame, ErasedLost, FoldName, FoldSnapshot, LostPage, SnapshotSet,
    Store, StoreOp, Written,
};
use tidelog_core::{ChainHash, Cursor, Epoch, Filter, Payload, frame};

/// The frame of [`recorded`] without its payloads.
fn without_payloads(first: u64, last: u64) -> Vec<u8> {
    let frame::Body::Recorded(mut commits) =
        frame::decode(&recorded(first, last)).expect("a frame").body
    else {
        panic!("a recorded frame");
    };
    for event in commits
        .iter_mut()
        .flat_map(|recorded| &mut recorded.commit.events)
    {
        event.data = Payload::Erased(event.data.digest());
    }
    frame::encode_segment(cursor(0).epoch, ChainHash::default(), &commits)
}

fn erase(from: u64, through: u64, frames: &[(u64, u64)]) -> StoreOp {
    let frames = frames.iter().map(|(first, last)| ErasedFrame {
        first: position(*first),
        frame: without_payloads(*first, *last),
        directory: b"erased".to_vec(),
    });
    StoreOp::Erase {
        from: position(from),
        through: position(through),
        frames: frames.collect(),
        lost: Vec::new(),
    }
}

fn erase_lost(lost: &[(u64, Option<&[u8]>)]) -> StoreOp {
    let lost = lost.iter().map(|(number, frame)| ErasedLost {
        number: *number,
        frame: frame.map(<[u8]>::to_vec),
    });
    StoreOp::Erase {
        from: position(1),
        through: position(1),
        frames: Vec::new(),
        lost: lost.collect(),
    }
}

/// A snapshot of one fold at a position.
async fn save<S: Store>(tab: &Tab<S>, name: &str, at: u64) {
    assert_eq!(tab.store.save(set(name, at)).await, Ok(true));
}

fn set(name: &str, at: u64) -> SnapshotSet {
    let fold = FoldSnapshot {
        fold: fold(name),
        buckets: 2,
        changed: vec![(0, b"zero".to_vec()), (1, b"one".to_vec())],
        whole: true,
        base: position(0),
    };
    SnapshotSet {
        replica: REPLICA,
        checkpoint: cursor(at),
        filter: Filter::default(),
        folds: vec![fold],
    }
}

fn fold(name: &str) -> FoldName {
    FoldName {
        name: name.into(),
        version: 1,
    }
}

/// Which of these folds have a snapshot.
async fn kept<'n, S: Store>(tab: &Tab<S>, names: &[&'n str]) -> Vec<&'n str> {
    let folds: Vec<FoldName> = names.iter().map(|name| fold(name)).collect();
    let found = tab
        .store
        .snapshots(&folds)
        .await
        .expect("snapshots are read");
    let kept = names.iter().zip(found).filter(|(_, found)| found.is_some());
    kept.map(|(name, _)| *name).collect()
}

cases! { $ erasing_cases

/// What was erased is gone from the log, its directory, what was folded and what was kept aside; everything else stays.
async fn erasing_leaves_nothing_that_held_the_payloads(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 4), (5, 8), (9, 12), (13, 14)]).await;
    assert_eq!(tab.load_all().await.erased, Erased::default());
    for first in [1, 5] {
        let sealing = Compaction {
            replica: REPLICA,
            covered: positions(&[first]),
            segment: None,
            directory: Some(b"sealed".to_vec()),
            erased: Generation::default(),
        };
        assert_eq!(tab.store.compact(sealing).await, Ok(true));
    }
    for (name, at) in [("before", 5), ("at", 6), ("behind", 13), ("after", 14)] {
        save(&tab, name, at).await;
    }
    tab.done(vec![StoreOp::Quarantine { first: position(13) }, add_log(13, &frames[3])]).await;
    tab.done(vec![erase(6, 14, &[(5, 8), (9, 12)])]).await;

    let tab = database.open().await;
    let loaded = tab.load_all().await;
    let erased = [frames[0].clone(), without_payloads(5, 8), without_payloads(9, 12), frames[3].clone()];
    assert_eq!(loaded.log, erased);
    assert_eq!(loaded.erased, Erased { through: position(14), generation: loaded.head.generation });
    let directory = vec![(position(1), b"sealed".to_vec()), (position(5), b"erased".to_vec())];
    assert_eq!(tab.store.directory(position(0)).await, Ok(directory), "what is not sealed stays so");
    assert_eq!(kept(&tab, &["before", "at", "behind", "after"]).await, ["before", "after"]);
    let found = tab.store.snapshots(&[fold("after")]).await.expect("snapshots are read").remove(0);
    let found = found.map(|found| (found.unfollowed, found.erased));
    assert_eq!(found, Some((false, loaded.erased.generation)), "what was erased before it was read");
    assert_eq!(tab.store.quarantined().await, Ok(vec![]));
}

/// What a lost history held goes in the same transaction, and each frame keeps its place among the others.
async fn erasing_reaches_lost_histories(database) {
    let mut tab = database.open().await;
    let lost = |frame: &str| StoreOp::AddLost { frame: frame.as_bytes().to_vec() };
    tab.done(["one", "two", "three"].map(lost).into()).await;
    let all = tab.store.lost_after(0, usize::MAX).await.expect("lost frames are read");
    let numbers: Vec<u64> = all.frames.iter().map(|lost| lost.number).collect();
    let page = tab.store.lost_after(numbers[0], 1).await.expect("lost frames are read");
    assert_eq!((page.frames.as_slice(), page.more), (&all.frames[1..2], true));
    tab.done(vec![erase_lost(&[(numbers[0], None), (numbers[1], Some(b"2"))])]).await;
    let tab = database.open().await;
    assert_eq!(tab.store.lost().await, Ok(vec![b"2".to_vec(), b"three".to_vec()]));
    let last = tab.store.lost_after(numbers[1], 1).await.expect("lost frames are read");
    assert_eq!((last.frames.as_slice(), last.more), (&all.frames[2..], false));
    let gone = tab.store.lost_after(numbers[2], 1).await;
    assert_eq!(gone, Ok(LostPage::default()));
}

/// What an erasure leaves of earlier histories stays when the log is put aside with them.
async fn erasing_reaches_lost_histories_when_another_one_is_lost(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 4)]).await;
    tab.done(vec![StoreOp::AddLost { frame: b"one".to_vec() }]).await;
    let page = tab.store.lost_after(0, 1).await.expect("lost frames are read");
    let erased = erase_lost(&[(page.frames[0].number, Some(b"1"))]);
    let mut batch = tab.batch(vec![erased, StoreOp::ClearLog, StoreOp::AddLost { frame: frames[0].clone() }]);
    batch.head.cursor = Cursor::default();
    assert_eq!(tab.commit(batch).await, Ok(Written::Done));
    let tab = database.open().await;
    assert_eq!(tab.store.lost().await, Ok(vec![b"1".to_vec(), frames[0].clone()]));
    let loaded = tab.load_all().await;
    let erased = Erased { through: position(0), generation: loaded.head.generation };
    assert_eq!((loaded.log.len(), loaded.erased), (0, erased));
}

/// A frame that is not there is not made.
async fn erasing_in_a_lost_history_that_is_not_there_does_nothing(database) {
    let mut tab = database.open().await;
    tab.done(vec![StoreOp::AddLost { frame: b"one".to_vec() }]).await;
    let page = tab.store.lost_after(0, 1).await.expect("lost frames are read");
    let number = page.frames[0].number;
    tab.assert_aborts(vec![erase_lost(&[(number, Some(b"1")), (number + 1, Some(b"2"))])]).await;
    assert_eq!(tab.store.lost().await, Ok(vec![b"one".to_vec()]));
}

/// Where nothing held the payloads only the mark moves, so nobody folds the log again.
async fn erasing_what_is_not_there_is_no_news(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 4), (5, 8)]).await;
    save(&tab, "after", 8).await;
    tab.done(vec![StoreOp::Quarantine { first: position(5) }, add_log(5, &frames[1])]).await;
    tab.done(vec![erase(2, 8, &[])]).await;
    let erased = Erased { through: position(8), generation: Generation::default() };
    assert_eq!(tab.store.quarantined().await, Ok(vec![]), "nobody can tell what it held");
    assert_eq!(tab.load_all().await.erased, erased);
    assert_eq!(kept(&tab, &["after"]).await, ["after"]);
    // A snapshot that had folded it is reason enough.
    tab.done(vec![erase(2, 9, &[])]).await;
    let erased = Erased { through: position(9), generation: tab.head.generation };
    assert_eq!(database.open().await.load_all().await.erased, erased);
    assert!(kept(&tab, &["after"]).await.is_empty());
}

/// A state of a history that is no more is not given out, and goes all the same.
async fn erasing_forgets_states_of_other_histories(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4)]).await;
    save(&tab, "old", 4).await;
    let mut other = tab.batch(vec![]);
    other.head.cursor.epoch = Epoch::from_bytes([3; 16]);
    assert_eq!(tab.commit(other).await, Ok(Written::Done));
    tab.done(vec![erase(1, 4, &[])]).await;
    let mut back = tab.batch(vec![]);
    back.head.cursor = cursor(4);
    assert_eq!(tab.commit(back).await, Ok(Written::Done));
    assert!(kept(&tab, &["old"]).await.is_empty());
}

/// Frames that another tab has merged meanwhile are not overwritten by parts of them.
async fn erasing_of_a_changed_log_does_nothing(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 8)]).await;
    save(&tab, "state", 4).await;
    let merged = Compaction {
        replica: REPLICA,
        covered: positions(&[1, 5]),
        segment: Some(recorded(1, 8)),
        directory: None,
        erased: Generation::default(),
    };
    assert_eq!(tab.store.compact(merged).await, Ok(true));
    tab.assert_aborts(vec![erase(1, 8, &[(1, 4)])]).await;
    tab.assert_aborts(vec![erase(1, 8, &[(5, 8)])]).await;
    assert_eq!(kept(&tab, &["state"]).await, ["state"]);
}

/// A compaction of frames that were read before they lost payloads would bring them back.
async fn a_compaction_never_brings_back_what_was_erased(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 8)]).await;
    let compaction = |erased| Compaction {
        replica: REPLICA,
        covered: positions(&[1, 5]),
        segment: Some(recorded(1, 8)),
        directory: None,
        erased,
    };
    tab.done(vec![erase(1, 8, &[(1, 4)])]).await;
    assert_eq!(tab.store.compact(compaction(Generation::default())).await, Ok(false));
    assert_eq!(tab.load_all().await.log, [without_payloads(1, 4), recorded(5, 8)]);
    assert_eq!(tab.store.compact(compaction(tab.head.generation)).await, Ok(true));
}

/// A tab that has not heard of an erasure saves nothing that it folded before.
async fn a_state_from_before_an_erasure_is_not_saved(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 8)]).await;
    tab.done(vec![erase(1, 8, &[(1, 4)])]).await;
    let late = set("state", 7);
    assert_eq!(tab.store.save(late).await, Ok(false));
    save(&tab, "state", 8).await;
}

/// In a log that begins again the erasures come again, and who folded it before learns that it was read anew.
async fn a_log_that_begins_again_follows_its_erasures_again(database) {
    let mut tab = database.open().await;
    fill(&mut tab, &[(1, 4), (5, 8)]).await;
    tab.done(vec![erase(1, 8, &[(1, 4)])]).await;
    tab.done(vec![StoreOp::TruncateLog { after: position(4), gaps: vec![] }]).await;
    let erased = |generation| Erased { through: position(0), generation };
    assert_eq!(tab.load_all().await.erased, erased(tab.head.generation));
    tab.done(vec![erase(5, 8, &[])]).await;
    tab.done(vec![StoreOp::ClearLog]).await;
    assert_eq!(database.open().await.load_all().await.erased, erased(tab.head.generation));
}

}
