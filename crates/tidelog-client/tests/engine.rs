//! The log engine in a real browser, over a real IndexedDB and without a server.
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod browser;

use browser::{Tab, disk, draft, event, fresh, options, payloads, stream, until};
use tidelog_client::{Options, Outcome, Retain};
use tidelog_core::frame::{self, Body};
use tidelog_core::replica::{Draft, Phase};
use tidelog_core::store::Direction;
use tidelog_core::{Condition, Expected, Payload, Position, Timestamp, Version};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::Event as DomEvent;

wasm_bindgen_test_configure!(run_in_browser);

/// Appends events one commit at a time, each confirmed before the next.
async fn append(tab: &Tab, range: std::ops::Range<usize>) {
    for n in range {
        let draft = draft(n);
        tab.log.append(draft).unwrap();
        tab.reach(n as u64 + 1).await;
    }
}

/// Imports events in commits of fifty.
async fn import(tab: &Tab, range: std::ops::Range<usize>) {
    let all: Vec<usize> = range.collect();
    let commits = all
        .chunks(50)
        .map(|chunk| chunk.iter().map(|n| event(*n)).collect());
    tab.log.import_events(commits.collect()).await.unwrap();
}

fn expected(range: std::ops::Range<usize>) -> Vec<String> {
    range
        .map(|n| event(n).data.text().unwrap().to_owned())
        .collect()
}

#[wasm_bindgen_test]
async fn a_log_without_a_server_confirms_what_is_durable_and_keeps_it() {
    let name = fresh();
    let tab = Tab::open(&name).await;
    let one = draft(0);
    let id = one.id;
    tab.log.append(one).unwrap();
    tab.reach(1).await;
    assert_eq!(
        tab.log.outcome(id).await.unwrap(),
        Outcome::Confirmed(Position::new(1))
    );
    tab.log.close().await;

    let again = Tab::open(&name).await;
    assert_eq!(again.folded(), 1);
    assert_eq!(again.log.status().0.phase, Phase::Local);
    let events = again.read(Direction::Forward, 1).await;
    assert_eq!(events[0].event, event(0));
    assert_eq!(events[0].commit, id);
}

#[wasm_bindgen_test]
async fn the_log_reads_the_same_both_ways_before_and_after_compaction() {
    let name = fresh();
    let tab = Tab::open(&name).await;
    append(&tab, 0..40).await;
    let mut forward = tab.read(Direction::Forward, 1).await;
    assert_eq!(payloads(&forward), expected(0..40));

    tab.log.compact().await.unwrap();
    let after = tab.log.storage().await.unwrap();
    assert!(after.frames <= 8, "{after:?}");
    assert_eq!((after.events, after.oldest), (40, Position::new(1)));
    assert_eq!(tab.read(Direction::Forward, 1).await, forward);
    let mut backward = tab.read(Direction::Backward, 1).await;
    backward.reverse();
    assert_eq!(backward, forward);
    for (index, event) in forward.iter().enumerate() {
        assert_eq!(event.position.value(), index as u64 + 1);
        assert_eq!(event.version.value(), index as u64 / 10 + 1);
    }

    // A tab that opens afterwards sees the same.
    let other = Tab::open(&name).await;
    assert_eq!(
        other.folded(),
        40,
        "{:?} {:?}",
        other.log.status(),
        other.notices.borrow()
    );
    forward.retain(|recorded| recorded.event.stream == stream(3));
    assert_eq!(other.log.history(&stream(3)).await.unwrap(), forward);
}

#[wasm_bindgen_test]
async fn one_streams_events_come_in_pages_either_way_from_any_version() {
    let (third, none) = (stream(3), stream(77));
    let tab = Tab::open(&fresh()).await;
    import(&tab, 0..500).await;
    append(&tab, 500..520).await;
    tab.log.compact().await.unwrap();
    let all = tab.log.history(&stream(3)).await.unwrap();
    assert_eq!(all.len(), 52);
    assert!(all.iter().all(|event| event.event.stream == stream(3)));
    let whole = (Version::new(1), Version::new(u64::MAX));

    let mut paged = Vec::new();
    let mut next = whole.0;
    loop {
        let page = tab
            .log
            .read_stream(&third, next, whole.1, Direction::Forward, 7);
        let page = page.await.unwrap();
        assert!(page.events.len() <= 7);
        paged.extend(page.events);
        next = paged.last().unwrap().version.next();
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, all);

    let mut backward = Vec::new();
    let mut last = whole.1;
    loop {
        let page = tab
            .log
            .read_stream(&third, whole.0, last, Direction::Backward, 9);
        let page = page.await.unwrap();
        backward.extend(page.events);
        last = Version::new(backward.last().unwrap().version.value() - 1);
        if !page.more {
            break;
        }
    }
    backward.reverse();
    assert_eq!(backward, all);

    let (from, to) = (Version::new(10), Version::new(12));
    let some = tab
        .log
        .read_stream(&third, from, to, Direction::Forward, 100);
    assert_eq!(some.await.unwrap().events, &all[9..12]);
    let nothing = tab
        .log
        .read_stream(&none, whole.0, whole.1, Direction::Forward, 9);
    assert!(nothing.await.unwrap().events.is_empty());
}

#[wasm_bindgen_test]
async fn a_time_leads_to_the_last_position_recorded_by_then() {
    let tab = Tab::open(&fresh()).await;
    assert_eq!(
        tab.log.position_at(tidelog_client::now()).await.unwrap(),
        Position::START
    );
    append(&tab, 0..12).await;
    tab.log.compact().await.unwrap();
    append(&tab, 12..15).await;
    let events = tab.read(Direction::Forward, 1).await;
    for probe in &events {
        let last = events
            .iter()
            .filter(|event| event.recorded_at <= probe.recorded_at)
            .map(|event| event.position)
            .max();
        let found = tab.log.position_at(probe.recorded_at).await.unwrap();
        assert_eq!(Some(found), last);
    }
    let before = Timestamp::from_millis(events[0].recorded_at.millis() - 1);
    assert_eq!(tab.log.position_at(before).await.unwrap(), Position::START);
}

#[wasm_bindgen_test]
async fn an_import_is_sealed_into_segments_and_found_whole_in_another_log() {
    let name = fresh();
    let tab = Tab::open(&name).await;
    import(&tab, 0..20_000).await;
    tab.log.compact().await.unwrap();
    let storage = tab.log.storage().await.unwrap();
    assert!(storage.segments > 0 && storage.segments <= storage.frames);
    assert_eq!(storage.events, 20_000);
    assert!(storage.bytes > 20_000 * 10 && storage.usage.is_some());

    let copy = Tab::open(&fresh()).await;
    let mut next = Position::new(1);
    let mut taken = 0;
    while let Some((frames, last)) = tab.log.frames_from(next, 200_000).await.unwrap() {
        taken += copy.log.import_frames(&frames).await.unwrap().events;
        let again = copy.log.import_frames(&frames).await.unwrap();
        assert_eq!((again.events, again.commits), (0, 0));
        assert!(again.skipped > 0);
        next = last.next();
    }
    assert_eq!(taken, 20_000);
    assert_eq!(
        copy.read(Direction::Forward, 1 << 20).await,
        tab.read(Direction::Forward, 1 << 20).await
    );
    let mut from = Position::new(1);
    loop {
        let verified = copy.log.verify(from, 300_000).await.unwrap();
        from = verified.position.next();
        if verified.done {
            break;
        }
    }
    assert_eq!(from.value(), 20_001);
}

#[wasm_bindgen_test]
async fn frames_of_another_history_are_refused_and_change_nothing() {
    let (one, two) = (Tab::open(&fresh()).await, Tab::open(&fresh()).await);
    import(&one, 0..100).await;
    import(&two, 0..100).await;
    let (frames, _) = one
        .log
        .frames_from(Position::new(1), 1 << 20)
        .await
        .unwrap()
        .unwrap();
    let error = two.log.import_frames(&frames).await.unwrap_err();
    assert_eq!(error.code(), "import_mismatch");
    let error = two
        .log
        .import_frames(b"no frames at all")
        .await
        .unwrap_err();
    assert_eq!(error.code(), "import_mismatch");
    assert_eq!(two.log.position(), Position::new(100));
}

#[wasm_bindgen_test]
async fn what_is_not_confirmed_is_exported_and_taken_in_elsewhere_once() {
    let synced = |name: &str| Options {
        url: Some("http://127.0.0.1:9/v1/logs/none".into()),
        ..options(name)
    };
    let tab = Tab::with(synced(&fresh())).await;
    for n in 0..30 {
        tab.log.append(draft(n)).unwrap();
    }
    let work = tab.log.unconfirmed();
    let other = Tab::with(synced(&fresh())).await;
    let imported = other.log.import_frames(&work).await.unwrap();
    assert_eq!(
        (imported.events, imported.commits, imported.skipped),
        (30, 30, 0)
    );
    let ids = |tab: &Tab| -> Vec<_> {
        tab.log
            .with_queue(|queue| queue.map(|queued| queued.local.commit.id).collect())
    };
    assert_eq!(ids(&other), ids(&tab));
    let durable = other
        .log
        .with_queue(|queue| queue.map(|queued| queued.durable).collect::<Vec<_>>());
    assert_eq!(durable, [true; 30]);
    let again = other.log.import_frames(&work).await.unwrap();
    assert_eq!((again.commits, again.skipped), (0, 30));
    assert!(Tab::open(&fresh()).await.log.unconfirmed().is_empty());
}

#[wasm_bindgen_test]
async fn work_that_conflicts_where_it_is_imported_is_parked_and_not_lost() {
    let (tab, other) = (Tab::open(&fresh()).await, Tab::open(&fresh()).await);
    let first = || Draft {
        conditions: vec![Condition {
            stream: stream(0),
            expected: Expected::NoStream,
        }],
        ..draft(0)
    };
    let work = first();
    let id = work.id;
    tab.log.append(work).unwrap();
    let bytes = tab.log.unconfirmed();
    other.log.append(first()).unwrap();
    other.reach(1).await;
    let imported = other.log.import_frames(&bytes).await.unwrap();
    assert_eq!((imported.commits, imported.skipped), (1, 0));
    until(|| other.log.status().0.counts.parked == 1).await;
    assert_eq!(other.log.outcome(id).await.unwrap(), Outcome::Parked);
    let parked = other.log.parked().await.unwrap();
    assert_eq!(parked[0].1.len(), 1, "both sides are told");
}

#[wasm_bindgen_test]
async fn keeping_less_needs_a_server() {
    let retain = Retain::Newest(10);
    let local = Options {
        retain,
        ..options(&fresh())
    };
    let error = Tab::try_with(local).await.err().unwrap();
    assert_eq!(error.code(), "invalid_argument");
}

#[wasm_bindgen_test]
async fn a_change_on_disk_is_found_by_verifying_even_if_its_checksum_fits() {
    let name = fresh();
    let tab = Tab::open(&name).await;
    import(&tab, 0..100).await;
    import(&tab, 100..200).await;
    assert!(
        tab.log
            .verify(Position::new(1), 1 << 20)
            .await
            .unwrap()
            .done
    );
    let frames = disk::frames(&name).await;
    let mut changed = frame::decode(&frames[0]).unwrap();
    let Body::Recorded(commits) = &mut changed.body else {
        panic!("a recorded frame");
    };
    commits[0].commit.events[0].data = Payload::json("{\"n\":666}");
    let bytes = frame::encode_recorded(changed.epoch, changed.chain_before, commits);
    disk::replace(&name, 0, &bytes).await;
    let error = tab.log.verify(Position::new(1), 1 << 20).await.unwrap_err();
    assert_eq!(error.code(), "log_tampered");
}

#[wasm_bindgen_test]
async fn a_damaged_frame_of_a_log_without_a_server_is_named_and_the_rest_can_be_had() {
    let name = fresh();
    let tab = Tab::open(&name).await;
    import(&tab, 0..100).await;
    import(&tab, 100..200).await;
    let frames = disk::frames(&name).await;
    let mut damaged = frames[1].clone();
    let end = damaged.len() - 1;
    damaged[end] ^= 1;
    disk::replace(&name, 1, &damaged).await;
    let intact = tab.log.frames_from(Position::new(1), 1 << 20).await;
    let (bytes, last) = intact.unwrap().unwrap();
    assert_eq!(bytes, frames[0]);
    let error = tab.log.frames_from(last.next(), 1 << 20).await.unwrap_err();
    assert_eq!(error.code(), "database_corrupt");
    let error = tab.log.verify(Position::new(1), 1 << 20).await.unwrap_err();
    assert_eq!(error.code(), "database_corrupt");
    tab.log.close().await;
    let error = Tab::try_with(options(&name)).await.err().unwrap();
    assert_eq!(error.code(), "database_corrupt");
}

#[wasm_bindgen_test]
async fn a_frozen_page_gives_the_lead_to_another_tab() {
    let name = fresh();
    let document = web_sys::window().unwrap().document().unwrap();
    let first = Tab::open(&name).await;
    until(|| first.log.status().0.leader).await;
    // Both tabs of this page hear the event; the second one opens after it.
    document
        .dispatch_event(&DomEvent::new("freeze").unwrap())
        .unwrap();
    assert!(!first.log.status().0.leader);
    let second = Tab::open(&name).await;
    until(|| second.log.status().0.leader).await;
    first.log.append(draft(0)).unwrap();
    second.reach(1).await;
    second.log.close().await;
    document
        .dispatch_event(&DomEvent::new("resume").unwrap())
        .unwrap();
    until(|| first.log.status().0.leader).await;
    first.log.append(draft(1)).unwrap();
    first.reach(2).await;
}

#[wasm_bindgen_test]
async fn maintenance_runs_by_itself_when_there_is_nothing_else_to_do() {
    let tab = Tab::open(&fresh()).await;
    append(&tab, 0..40).await;
    let store = tab.log.clone();
    for _ in 0..400 {
        let storage = store.storage().await.unwrap();
        if storage.frames <= 12 {
            assert_eq!(
                payloads(&tab.read(Direction::Forward, 1).await),
                expected(0..40)
            );
            return;
        }
        gloo_timers::future::TimeoutFuture::new(10).await;
    }
    panic!("the frames stay as small as they were written");
}
