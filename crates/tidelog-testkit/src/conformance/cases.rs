//! What every store does: writing and reading back, one of several tabs winning, saying when it is gone.

use super::StoreFactory;
use super::tab::{
    Database, REPLICA, add_log, add_lost, add_pending, commit_id, cursor, positions, put_outcomes,
    put_parked, recorded,
};
use tidelog_core::number::Generation;
use tidelog_core::store::{
    Durability, Filters, FoldName, FoldSnapshot, Head, Outcome, ParkedRecord, PendingFrame,
    SnapshotSet, Store, StoreError, StoreOp, Written,
};
use tidelog_core::{Filter, Position, ReplicaId, Seq};

cases! { $ writing_cases

/// A new device starts empty, with the replica id that was minted for it.
async fn a_new_database_is_empty(database) {
    let tab = database.open().await;
    let loaded = tab.load_all().await;
    assert_eq!(loaded.replica, REPLICA);
    assert_eq!(loaded.head, Head::default());
    assert!(loaded.pending.is_empty() && loaded.parked.is_empty() && loaded.log.is_empty());
    assert!(!loaded.more);
    assert_eq!(tab.store.lost().await, Ok(vec![]));
    assert_eq!(tab.store.frames(&positions(&[1])).await, Ok(vec![]));
}

/// A replica id is used once: an existing database keeps its own.
async fn an_existing_database_keeps_its_replica_id(database) {
    drop(database.open().await);
    let tab = database.open_as(ReplicaId::from_bytes([1; 16])).await;
    assert_eq!(tab.load_all().await.replica, REPLICA);
}

/// What was appended offline is there, byte for byte, with the head that came with it.
async fn a_pending_frame_comes_back_as_it_was(database) {
    let mut tab = database.open().await;
    let mut batch = tab.batch(vec![add_pending(1, b"one", 2), add_pending(3, b"two", 1)]);
    batch.head.next_seq = Seq::new(4);
    assert_eq!(tab.commit(batch).await, Ok(Written::Done));

    let loaded = database.open().await.load_all().await;
    let expected = [(1, &b"one"[..], 2), (3, b"two", 1)].map(|(first, frame, commits)| {
        let outcomes = vec![Outcome::Pending; commits];
        PendingFrame { first: Seq::new(first), frame: frame.to_vec(), outcomes }
    });
    assert_eq!(loaded.pending, expected);
    assert_eq!(loaded.head.next_seq, Seq::new(4));
    assert_eq!(loaded.head.generation, Generation::new(1));
}

/// Pending frames come in the order of their sequence numbers, not of their writing or of their digits.
async fn pending_frames_come_in_the_order_of_their_numbers(database) {
    let mut tab = database.open().await;
    for first in [10, 9, 100, 2] {
        tab.done(vec![add_pending(first, b"frame", 1)]).await;
    }
    let loaded = tab.load_all().await;
    let firsts: Vec<u64> = loaded.pending.iter().map(|frame| frame.first.value()).collect();
    assert_eq!(firsts, [2, 9, 10, 100]);
}

/// A tab whose view is stale writes nothing and learns the generation that there is.
async fn a_stale_generation_writes_nothing(database) {
    let mut tab = database.open().await;
    let stale = tab.batch(vec![add_pending(1, b"stale", 1), add_lost(b"stale")]);
    tab.done(vec![]).await;
    tab.done(vec![add_pending(1, b"fresh", 1)]).await;

    let actual = Generation::new(2);
    assert_eq!(tab.store.write(stale.clone()).await, Ok(Written::Stale { actual }));
    let loaded = tab.load_all().await;
    assert_eq!(loaded.head, tab.head);
    assert_eq!(loaded.pending.len(), 1);
    assert_eq!(loaded.pending[0].frame, b"fresh");
    assert_eq!(tab.store.lost().await, Ok(vec![]));

    let mut future = stale;
    future.expected = Generation::new(7);
    future.head.generation = Generation::new(8);
    assert_eq!(tab.store.write(future).await, Ok(Written::Stale { actual }));
}

/// A writer that belongs to another database than this one must not write here.
async fn another_replica_is_refused(database) {
    let tab = database.open().await;
    let mut batch = tab.batch(vec![add_pending(1, b"frame", 1)]);
    batch.replica = ReplicaId::from_bytes([1; 16]);
    assert_eq!(tab.store.write(batch).await, Err(StoreError::Wiped));
    let loaded = database.open().await.load_all().await;
    assert!(loaded.pending.is_empty());
    assert_eq!(loaded.head, Head::default());
}

/// A copied profile gets a replica id of its own, and only writers that know it may write.
async fn a_new_replica_id_takes_over(database) {
    let mut tab = database.open().await;
    let new = ReplicaId::from_bytes([3; 16]);
    tab.done(vec![add_pending(1, b"frame", 1), StoreOp::SetReplica { replica: new }]).await;
    tab.replica = new;
    tab.done(vec![add_pending(2, b"frame", 1)]).await;
    let loaded = database.open().await.load_all().await;
    assert_eq!((loaded.replica, loaded.pending.len()), (new, 2));

    let mut old = tab.batch(vec![]);
    old.replica = REPLICA;
    assert_eq!(tab.store.write(old).await, Err(StoreError::Wiped));
}

/// Which part of the log the database holds stays when the log goes, and only a snapshot of that part is of use.
async fn filters_are_kept_and_snapshots_are_of_them(database) {
    let mut tab = database.open().await;
    assert_eq!(tab.load_all().await.filters, Filters::default());
    let filters = Filters {
        kept: Filter::new(["todo"], ["list/1 é"]).expect("valid names"),
        wanted: Filter::new(["todo"], [""; 0]).expect("a valid name"),
    };
    let set = StoreOp::SetFilters { filters: filters.clone() };
    tab.done(vec![set, add_log(1, b"log")]).await;
    tab.done(vec![StoreOp::ClearLog]).await;
    assert_eq!(database.open().await.load_all().await.filters, filters);

    let fold = FoldName { name: "rows".into(), version: 1 };
    let set = |filter: &Filter| SnapshotSet {
        replica: REPLICA,
        checkpoint: tab.head.cursor,
        filter: filter.clone(),
        folds: vec![FoldSnapshot {
            fold: fold.clone(),
            buckets: 1,
            changed: vec![],
            whole: true,
            base: Position::START,
        }],
    };
    assert_eq!(tab.store.save(set(&filters.wanted)).await, Ok(false));
    assert_eq!(tab.store.save(set(&filters.kept)).await, Ok(true));
    let found = tab.store.snapshots(std::slice::from_ref(&fold)).await.expect("it reads");
    let found = found.into_iter().flatten().map(|found| found.filter).collect::<Vec<_>>();
    assert_eq!(found, [filters.kept]);
}

/// Nothing is overwritten: a taken key takes the whole batch with it, before and behind it.
async fn a_taken_pending_key_aborts_the_whole_batch(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_pending(1, b"first", 1), put_parked(1, b"parked")]).await;
    tab.assert_aborts(vec![
        put_outcomes(1, &[Outcome::Settled]),
        add_log(1, b"log"),
        put_parked(2, b"parked"),
        StoreOp::RemoveParked { id: commit_id(1) },
        add_lost(b"lost"),
        add_pending(7, b"new", 1),
        add_pending(7, b"taken", 1),
        add_pending(8, b"new", 1),
    ]).await;
    tab.assert_aborts(vec![add_pending(1, b"taken", 1)]).await;
    tab.done(vec![add_pending(2, b"the store still works", 1)]).await;
}

/// A confirmed frame is never replaced by another one.
async fn a_taken_log_key_aborts_the_whole_batch(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_log(1, b"first")]).await;
    tab.assert_aborts(vec![
        add_pending(1, b"new", 1),
        add_log(2, b"new"),
        add_log(1, b"taken"),
        StoreOp::ClearLog,
    ]).await;
    tab.done(vec![StoreOp::ClearLog, add_log(1, b"free again")]).await;
    assert_eq!(tab.load_all().await.log, [b"free again"]);
}

/// An acknowledgement survives a reload, commit by commit.
async fn outcomes_are_replaced(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_pending(1, b"frame", 3)]).await;
    let outcomes =
        [Outcome::Acked(Position::new(5_000_000_000)), Outcome::Settled, Outcome::Pending];
    tab.done(vec![put_outcomes(1, &outcomes)]).await;
    let loaded = database.open().await.load_all().await;
    assert_eq!(loaded.pending[0].outcomes, outcomes);
    assert_eq!(loaded.pending[0].frame, b"frame");
}

/// A frame goes when nothing in it waits any more, and its key is free again.
async fn a_settled_frame_goes(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_pending(1, b"one", 2), add_pending(3, b"two", 1)]).await;
    tab.done(vec![put_outcomes(1, &[Outcome::Settled, Outcome::Settled])]).await;
    let loaded = tab.load_all().await;
    assert_eq!(loaded.pending.len(), 1);
    assert_eq!(loaded.pending[0].first, Seq::new(3));
    tab.done(vec![add_pending(1, b"again", 1)]).await;
    assert_eq!(tab.load_all().await.pending[0].outcomes, [Outcome::Pending]);
}

/// Outcomes of commits that are not there are a mistake, not a new entry.
async fn outcomes_of_a_missing_frame_abort(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_pending(1, b"frame", 2)]).await;
    tab.assert_aborts(vec![add_lost(b"lost"), put_outcomes(2, &[Outcome::Pending])]).await;
    tab.assert_aborts(vec![put_outcomes(1, &[Outcome::Settled])]).await;
    tab.assert_aborts(vec![put_outcomes(1, &[])]).await;
    tab.done(vec![add_pending(3, b"frame", 1), put_outcomes(3, &[Outcome::Settled])]).await;
    assert_eq!(tab.load_all().await.pending.len(), 1);
}

/// The confirmed log comes in the order of its positions, from where the reader has got to.
async fn the_log_comes_in_order_after_a_position(database) {
    let mut tab = database.open().await;
    let frames = [recorded(1, 8), recorded(9, 9), recorded(10, 99), recorded(100, 101)];
    tab.done(vec![add_log(100, &frames[3]), add_log(1, &frames[0])]).await;
    tab.done(vec![add_log(10, &frames[2]), add_log(9, &frames[1])]).await;
    for (after, from) in [(0, 0), (8, 1), (9, 2), (99, 3), (101, 4), (5_000_000_000, 4)] {
        let loaded = tab.load(after, usize::MAX).await;
        assert_eq!(loaded.log, frames[from..], "after {after}");
        assert!(!loaded.more);
    }
}

/// A reader in the middle of a frame gets that frame: the rest of it must not be skipped.
async fn a_frame_that_straddles_the_position_is_not_skipped(database) {
    let mut tab = database.open().await;
    let frames = [recorded(1, 10), recorded(11, 20)];
    tab.done(vec![add_log(1, &frames[0]), add_log(11, &frames[1])]).await;
    for (after, from) in [(1, 0), (9, 0), (10, 1), (11, 1), (19, 1), (20, 2)] {
        assert_eq!(tab.load(after, usize::MAX).await.log, frames[from..], "after {after}");
    }
    let page = tab.load(5, 1).await;
    assert_eq!((page.log, page.more), (frames[..1].to_vec(), true));
}

/// A damaged frame is handed to the reader, who can tell; it is never left out in silence.
async fn a_damaged_frame_is_not_skipped(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_log(1, b"not a frame"), add_log(11, &recorded(11, 20))]).await;
    let loaded = tab.load(5, usize::MAX).await;
    assert_eq!(loaded.log.len(), 2);
    assert_eq!(loaded.log[0], b"not a frame");
    assert_eq!(tab.load(10, usize::MAX).await.log.len(), 1, "it ends where the next one begins");
}

/// A long log is read in pages that fit memory, and every page gets further.
async fn the_log_comes_in_pages(database) {
    let mut tab = database.open().await;
    let frames: Vec<Vec<u8>> = (0..200_u8).map(|n| vec![n; 100]).collect();
    let ops = (1..).zip(&frames).map(|(first, frame)| add_log(first, frame)).collect();
    tab.done(ops).await;
    for (max_bytes, count) in [(0, 1), (99, 1), (199, 1), (200, 2), (9_999, 99), (20_000, 200)] {
        let page = tab.load(0, max_bytes).await;
        assert_eq!(page.log, frames[..count], "{max_bytes} bytes");
        assert_eq!(page.more, count < frames.len(), "{max_bytes} bytes");
    }
}

/// A larger frame than a page is still delivered, alone.
async fn at_least_one_frame_is_loaded(database) {
    let mut tab = database.open().await;
    let large = vec![7; 300_000];
    tab.done(vec![add_log(1, &large), add_log(2, b"small")]).await;
    let page = tab.load(0, 1_000).await;
    assert_eq!((page.log.len(), page.more), (1, true));
    assert_eq!(page.log[0], large);
}

/// Another history of the server starts from an empty log; what is pending stays.
async fn clearing_the_log_leaves_the_rest(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_log(1, b"old"), add_log(2, b"old"), add_pending(1, b"mine", 1)]).await;
    tab.done(vec![add_lost(b"old"), StoreOp::ClearLog, add_log(1, b"new")]).await;
    let loaded = tab.load_all().await;
    assert_eq!(loaded.log, [b"new"]);
    assert_eq!(loaded.pending.len(), 1);
    tab.done(vec![StoreOp::ClearLog]).await;
    assert!(tab.load_all().await.log.is_empty());
}

/// A parked commit stays until it is resolved.
async fn parked_commits_are_put_replaced_and_removed(database) {
    let mut tab = database.open().await;
    tab.done(vec![put_parked(0xFF, b"last"), put_parked(2, b"two"), put_parked(1, b"one")]).await;
    tab.done(vec![put_parked(2, b"two, edited")]).await;
    let record = |id, record: &[u8]| ParkedRecord { id: commit_id(id), record: record.to_vec() };
    let expected = [record(1, b"one"), record(2, b"two, edited"), record(0xFF, b"last")];
    assert_eq!(database.open().await.load_all().await.parked, expected);

    let remove = |id| StoreOp::RemoveParked { id: commit_id(id) };
    tab.done(vec![remove(2), remove(3)]).await;
    let parked = tab.load_all().await.parked;
    assert_eq!(parked, [record(1, b"one"), record(0xFF, b"last")]);
}

/// What the server has lost is kept, in order, even if two frames are equal.
async fn lost_frames_are_kept(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_lost(b"b"), add_lost(b"a")]).await;
    tab.done(vec![add_lost(b"b")]).await;
    let lost = database.open().await.store.lost().await;
    assert_eq!(lost, Ok(vec![b"b".to_vec(), b"a".to_vec(), b"b".to_vec()]));
}

/// Frames are found by any position that they hold, in the order of the log and each once, also after others were merged.
async fn frames_are_found_by_position(database) {
    let mut tab = database.open().await;
    let frames = [recorded(1, 10), recorded(11, 20), recorded(31, 40)];
    let ops = [1, 11, 31].iter().zip(&frames).map(|(first, frame)| add_log(*first, frame));
    tab.done(ops.collect()).await;
    let found = async |asked: &[u64]| {
        tab.store.frames(&positions(asked)).await.expect("frames are read")
    };
    assert_eq!(found(&[1, 31]).await, [&frames[0][..], &frames[2]]);
    assert_eq!(found(&[5, 10, 11]).await, frames[..2]);
    assert_eq!(found(&[40, 20, 1]).await, frames);
    assert!(found(&[0, 21, 30, 41, 5_000_000_000]).await.is_empty());
    assert!(found(&[]).await.is_empty());
}

/// Two tabs share one database: each sees what the other wrote.
async fn tabs_see_each_others_writes(database) {
    let mut left = database.open().await;
    let mut right = database.open().await;
    left.done(vec![add_pending(1, b"left", 1)]).await;
    right.head = right.load_all().await.head;
    right.done(vec![add_pending(2, b"right", 1)]).await;
    let (seen_left, seen_right) = (left.load_all().await, right.load_all().await);
    assert_eq!(seen_left, seen_right);
    assert_eq!(seen_left.pending.len(), 2);
}

/// Two tabs write at once: one wins, the other writes nothing and can try again.
async fn one_of_two_racing_tabs_wins(database) {
    let left = database.open().await;
    let mut right = database.open().await;
    let first = left.store.write(left.batch(vec![add_pending(1, b"left", 1)]));
    let second = right.store.write(right.batch(vec![add_pending(1, b"right", 1)]));
    let results = super::tab::both(first, second).await;
    let stale = Ok(Written::Stale { actual: Generation::new(1) });
    let (winner, loser) = match results {
        (Ok(Written::Done), other) => (&b"left"[..], other),
        (other, Ok(Written::Done)) => (&b"right"[..], other),
        neither => panic!("nobody won: {neither:?}"),
    };
    assert_eq!(loser, stale);
    let loaded = right.load_all().await;
    assert_eq!(loaded.pending.len(), 1);
    assert_eq!(loaded.pending[0].frame, winner);
    right.head = loaded.head;
    right.done(vec![add_pending(2, b"again", 1)]).await;
}

/// A new visit finds all that was stored.
async fn reopening_keeps_everything(database) {
    let mut tab = database.open().await;
    let ops = vec![
        add_pending(1, b"pending", 1),
        add_log(1, b"log"),
        put_parked(1, b"parked"),
        add_lost(b"lost"),
    ];
    let mut batch = tab.batch(ops);
    batch.head.next_seq = Seq::new(2);
    batch.head.cursor = cursor(1);
    batch.durability = Durability::Relaxed;
    assert_eq!(tab.commit(batch).await, Ok(Written::Done));
    let before = tab.load_all().await;
    drop(tab);

    let tab = database.open().await;
    let after = tab.load_all().await;
    assert_eq!(after, before);
    assert_eq!(after.head.cursor, cursor(1));
    assert_eq!(tab.store.lost().await, Ok(vec![b"lost".to_vec()]));
}

/// The head moves without any change: a pull of nothing, or a restamp.
async fn a_batch_without_changes_moves_the_head(database) {
    let mut tab = database.open().await;
    let mut batch = tab.batch(vec![]);
    batch.head.cursor = cursor(17);
    assert_eq!(tab.commit(batch.clone()).await, Ok(Written::Done));
    let loaded = tab.load_all().await;
    assert_eq!(loaded.head, batch.head);
    assert!(loaded.pending.is_empty() && loaded.log.is_empty());
}

/// The generation rises by one with each write and never otherwise.
async fn the_generation_rises_by_one(database) {
    let mut tab = database.open().await;
    let mut batch = tab.batch(vec![add_pending(1, b"frame", 1)]);
    batch.head.generation = Generation::new(5);
    let result = tab.store.write(batch).await;
    assert!(matches!(result, Err(StoreError::Aborted { .. })), "aborted, not {result:?}");
    assert_eq!(tab.load_all().await.head, Head::default());
    for _ in 0..3 {
        tab.done(vec![]).await;
    }
    assert_eq!(tab.load_all().await.head.generation, Generation::new(3));
}

/// The largest commit is stored and read back whole.
async fn a_frame_of_a_mebibyte_survives(database) {
    let mut tab = database.open().await;
    let frame: Vec<u8> = (0..1_048_576_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    tab.done(vec![add_pending(1, &frame, 1), add_log(1, &frame)]).await;
    let loaded = database.open().await.load_all().await;
    assert!(loaded.pending[0].frame == frame, "the pending frame is as it was");
    assert!(loaded.log[0] == frame, "the recorded frame is as it was");
}

/// No byte means anything to a store.
async fn every_byte_value_survives(database) {
    let mut tab = database.open().await;
    let bytes: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    tab.done(vec![
        add_pending(1, &bytes, 1),
        add_log(1, &bytes),
        put_parked(1, &bytes),
        add_lost(&bytes),
        add_pending(2, b"", 1),
    ]).await;
    let loaded = database.open().await.load_all().await;
    assert_eq!(loaded.pending[0].frame, bytes);
    assert_eq!(loaded.pending[1].frame, b"");
    assert_eq!(loaded.log.concat(), bytes);
    assert_eq!(loaded.parked[0].record, bytes);
    assert_eq!(tab.store.lost().await, Ok(vec![bytes]));
}

/// Numbers do not end at 32 bits.
async fn numbers_beyond_32_bits_survive(database) {
    const LARGE: u64 = 9_007_199_254_740_990;
    let mut tab = database.open().await;
    let mut batch = tab.batch(vec![
        add_pending(4_294_967_296, b"a", 1),
        add_pending(4_294_967_297, b"b", 1),
        add_pending(LARGE, b"c", 1),
        add_log(4_294_967_297, &recorded(4_294_967_297, 4_294_967_299)),
        add_log(LARGE, &recorded(LARGE, LARGE)),
        put_outcomes(LARGE, &[Outcome::Acked(Position::new(LARGE))]),
    ]);
    batch.head.next_seq = Seq::new(LARGE + 1);
    batch.head.cursor = cursor(LARGE);
    assert_eq!(tab.commit(batch).await, Ok(Written::Done));

    let tab = database.open().await;
    let loaded = tab.load(4_294_967_298, usize::MAX).await;
    let firsts: Vec<u64> = loaded.pending.iter().map(|frame| frame.first.value()).collect();
    assert_eq!(firsts, [4_294_967_296, 4_294_967_297, LARGE]);
    assert_eq!(loaded.pending[2].outcomes, [Outcome::Acked(Position::new(LARGE))]);
    assert_eq!(loaded.log.len(), 2);
    assert_eq!((loaded.head.next_seq, loaded.head.cursor), (Seq::new(LARGE + 1), cursor(LARGE)));
    assert_eq!(tab.load(LARGE, usize::MAX).await.log.len(), 0);
    assert_eq!(tab.store.frames(&positions(&[LARGE])).await.map(|frames| frames.len()), Ok(1));
}

/// A number that a key cannot hold exactly is refused, never rounded onto another one.
async fn numbers_that_no_key_holds_are_refused(database) {
    const ROUNDED: u64 = 9_007_199_254_740_993;
    let mut tab = database.open().await;
    for key in [0, ROUNDED, u64::MAX] {
        tab.assert_aborts(vec![add_lost(b"lost"), add_pending(key, b"frame", 1)]).await;
        tab.assert_aborts(vec![add_lost(b"lost"), add_log(key, b"frame")]).await;
    }
    tab.done(vec![add_pending(1, b"frame", 1)]).await;
    tab.assert_aborts(vec![put_outcomes(1, &[Outcome::Acked(Position::new(ROUNDED))])]).await;
    assert_eq!(tab.store.frames(&positions(&[0, ROUNDED, u64::MAX])).await, Ok(vec![]));
    assert!(tab.load(u64::MAX, usize::MAX).await.log.is_empty());
}

/// A handle whose database was deleted says so, and does not make a new one behind everybody's back.
async fn a_wiped_database_says_so(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_pending(1, b"frame", 1)]).await;
    database.wipe().await;
    assert_eq!(tab.write(vec![add_pending(2, b"frame", 1)]).await, Err(StoreError::Wiped));
    assert_eq!(tab.store.load(Position::START, 1).await, Err(StoreError::Wiped));
    assert_eq!(tab.store.frames(&[]).await, Err(StoreError::Wiped));
    assert_eq!(tab.store.lost().await, Err(StoreError::Wiped));

    let new = ReplicaId::from_bytes([2; 16]);
    let mut again = database.open_as(new).await;
    let loaded = again.load_all().await;
    assert_eq!((loaded.replica, loaded.head, loaded.pending.len()), (new, Head::default(), 0));
    again.done(vec![add_pending(1, b"frame", 1)]).await;
    assert_eq!(tab.write(vec![]).await, Err(StoreError::Wiped), "the old handle stays dead");
}

}
