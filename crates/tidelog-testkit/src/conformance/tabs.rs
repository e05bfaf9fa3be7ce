//! Several tabs on one database: whoever knows all that was written may write, and nobody else.

use super::StoreFactory;
use super::tab::{Database, Tab, add_log, add_pending, put_outcomes, put_parked, recorded};
use tidelog_core::number::Generation;
use tidelog_core::store::{Outcome, Pruning, Store, StoreOp, Written};
use tidelog_core::{Position, Seq};

/// A batch that appends as a replica does: at the next sequence number, which moves on.
fn appending<S: Store>(tab: &Tab<S>, frames: &[(&[u8], u64)]) -> tidelog_core::store::WriteBatch {
    let mut next = tab.head.next_seq.value();
    let mut ops = Vec::new();
    for (frame, commits) in frames {
        let count = usize::try_from(*commits).expect("a few commits");
        ops.push(add_pending(next, frame, count));
        next += commits;
    }
    let mut batch = tab.batch(ops);
    batch.head.next_seq = Seq::new(next);
    batch
}

async fn append<S: Store>(tab: &mut Tab<S>, frame: &[u8]) {
    let batch = appending(tab, &[(frame, 1)]);
    assert_eq!(tab.commit(batch).await, Ok(Written::Done));
}

cases! { $ tabs_cases

/// A run of appends is there as if each had been the only one: frames, outcomes, and the head of the last.
async fn a_run_of_appends_moves_the_head(database) {
    let mut tab = database.open().await;
    for frame in [b"one", b"two", b"six"] {
        append(&mut tab, frame).await;
    }
    let batch = appending(&tab, &[(b"four and five", 2), (b"seven", 1)]);
    assert_eq!(tab.commit(batch).await, Ok(Written::Done));
    for loaded in [tab.load_all().await, database.open().await.load_all().await] {
        assert_eq!((loaded.head.next_seq, loaded.head.generation), (Seq::new(7), Generation::new(4)));
        let firsts: Vec<u64> = loaded.pending.iter().map(|frame| frame.first.value()).collect();
        assert_eq!(firsts, [1, 2, 3, 4, 6]);
        assert_eq!(loaded.pending[3].outcomes, [Outcome::Pending; 2]);
        assert_eq!(loaded.pending[4].frame, b"seven");
    }
}

/// A tab in the middle of a run of appends notices any write of another one, whatever it was.
async fn a_run_of_appends_ends_at_another_tabs_write(database) {
    let writes: [Vec<StoreOp>; 5] = [
        vec![],
        vec![put_parked(1, b"parked")],
        vec![put_outcomes(1, &[Outcome::Acked(Position::new(1))])],
        vec![put_outcomes(2, &[Outcome::Settled]), add_log(1, &recorded(1, 1))],
        vec![StoreOp::ClearLog],
    ];
    let (mut left, mut right) = (database.open().await, database.open().await);
    append(&mut left, b"one").await;
    append(&mut left, b"two").await;
    for (round, ops) in writes.into_iter().enumerate() {
        append(&mut left, b"before").await;
        right.head = right.load_all().await.head;
        right.done(ops).await;
        let actual = right.head.generation;
        let head = left.store.head().await.map(|(_, head)| head);
        assert_eq!(head, Ok(right.head), "a look shows it, round {round}");
        for attempt in 0..2 {
            let written = left.store.write(appending(&left, &[(b"stale", 1)])).await;
            assert_eq!(written, Ok(Written::Stale { actual }), "round {round}, attempt {attempt}");
        }
        let loaded = left.load_all().await;
        assert_eq!(loaded, right.load_all().await);
        assert!(loaded.pending.iter().all(|pending| pending.frame != b"stale"));
        left.head = loaded.head;
    }
}

/// Removing old history is a write too: a tab that appends on must load the gap first.
async fn a_run_of_appends_ends_at_a_pruning(database) {
    let (mut left, mut right) = (database.open().await, database.open().await);
    for (pruner, same) in [(false, false), (true, true)] {
        append(&mut left, b"before").await;
        let head = left.head;
        let pruning = Pruning {
            replica: left.replica,
            epoch: head.cursor.epoch,
            through: Position::new(1),
            gaps: vec![],
        };
        let store = if pruner { &left.store } else { &right.store };
        assert_eq!(store.prune(pruning).await, Ok(true));
        let actual = head.generation.next();
        let written = left.store.write(appending(&left, &[(b"stale", 1)])).await;
        assert_eq!(written, Ok(Written::Stale { actual }), "pruned by itself: {same}");
        left.head = left.load_all().await.head;
        right.head = left.head;
        append(&mut right, b"after").await;
        left.head = left.load_all().await.head;
    }
}

/// Two tabs append at once in the middle of a run: one wins, however often.
async fn of_two_tabs_that_append_at_once_one_wins(database) {
    let (mut left, mut right) = (database.open().await, database.open().await);
    for round in 0..12_u8 {
        left.head = left.load_all().await.head;
        right.head = left.head;
        // Now and then one of them is in a run, now and then neither.
        if round % 3 > 0 {
            let ahead = if round % 2 == 0 { &mut left } else { &mut right };
            append(ahead, b"ahead").await;
            left.head = left.load_all().await.head;
            right.head = left.head;
        }
        let before = left.load_all().await.pending.len();
        let first = left.store.write(appending(&left, &[(b"left", 1)]));
        let second = right.store.write(appending(&right, &[(b"right", 1)]));
        let results = super::tab::both(first, second).await;
        let actual = left.head.generation.next();
        let stale = Ok(Written::Stale { actual });
        assert!(
            results == (Ok(Written::Done), stale.clone()) || results == (stale, Ok(Written::Done)),
            "round {round}: {results:?}"
        );
        assert_eq!(left.load_all().await.pending.len(), before + 1);
    }
}

/// One tab issues several writes without waiting: those that were made for an older head write nothing.
async fn of_two_writes_of_one_tab_the_second_is_stale(database) {
    let mut tab = database.open().await;
    for round in 0..4_u64 {
        let park = |id| tab.batch(vec![put_parked(id, b"parked")]);
        let append = || appending(&tab, &[(b"frame", 1)]);
        let (first, second) = match round {
            0 => (append(), append()),
            1 => (append(), park(1)),
            2 => (park(2), append()),
            _ => (append(), append()),
        };
        let results = super::tab::both(tab.store.write(first), tab.store.write(second)).await;
        let actual = tab.head.generation.next();
        assert_eq!(results, (Ok(Written::Done), Ok(Written::Stale { actual })), "round {round}");
        tab.head = tab.load_all().await.head;
        assert_eq!(tab.head.generation, actual);
    }
}

/// Three tabs that write, look and write without looking in any order: a write is stored if and only if its tab knew of
/// everything before, and what is stored is what a single tab would have stored.
async fn no_order_of_tabs_lets_a_stale_write_through(database) {
    let mut tabs = [database.open().await, database.open().await, database.open().await];
    let (mut dice, mut truth) = (0x2545_F491_u32, database.open().await.load_all().await);
    let (mut stored, mut stale) = (0, 0);
    for step in 0..400_u32 {
        dice ^= dice << 13;
        dice ^= dice >> 17;
        dice ^= dice << 5;
        let tab = &mut tabs[(dice >> 8) as usize % 3];
        let knows = tab.head == truth.head;
        let frame = step.to_le_bytes();
        let oldest = truth.pending.first().map(|pending| pending.first);
        let settle = oldest.filter(|_| dice % 16 < 4 && knows);
        let batch = match (dice % 16, settle) {
            (0..4, Some(first)) => tab.batch(vec![put_outcomes(first.value(), &[Outcome::Settled])]),
            (0..6, _) => tab.batch(vec![put_parked(frame[0] % 4, &frame)]),
            (6..9, _) => {
                tab.head = tab.load_all().await.head;
                assert_eq!(tab.head, truth.head, "step {step}");
                continue;
            }
            _ => appending(tab, &[(&frame, 1)]),
        };
        let expected = if knows {
            stored += 1;
            Written::Done
        } else {
            stale += 1;
            Written::Stale { actual: truth.head.generation }
        };
        assert_eq!(tab.commit(batch.clone()).await, Ok(expected), "step {step}");
        if knows {
            truth.head = batch.head;
            for op in batch.ops {
                match op {
                    StoreOp::AddPending { first, frame, outcomes } => {
                        truth.pending.push(tidelog_core::store::PendingFrame { first, frame, outcomes });
                    }
                    StoreOp::PutOutcomes { first, .. } => {
                        truth.pending.retain(|pending| pending.first != first);
                    }
                    StoreOp::PutParked { id, record } => {
                        truth.parked.retain(|parked| parked.id != id);
                        truth.parked.push(tidelog_core::store::ParkedRecord { id, record });
                        truth.parked.sort_by_key(|parked| parked.id);
                    }
                    other => panic!("no step makes {other:?}"),
                }
            }
        }
        assert_eq!(tab.store.head().await, Ok((truth.replica, truth.head)), "step {step}");
        if step % 20 == 0 || !knows {
            assert_eq!(tab.load_all().await, truth, "step {step}");
        }
    }
    assert!(stored > 100 && stale > 50, "{stored} stored, {stale} stale: both happened often");
    assert_eq!(database.open().await.load_all().await, truth);
}

}
