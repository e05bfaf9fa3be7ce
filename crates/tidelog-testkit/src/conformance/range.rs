//! Reading a part of the log, in either direction.

use super::StoreFactory;
use super::tab::{Database, Tab, add_log, fill, position, recorded};
use tidelog_core::Position;
use tidelog_core::store::{Direction, Page, Store};

async fn range<S: Store>(
    tab: &Tab<S>,
    (from, to): (u64, u64),
    direction: Direction,
    max_bytes: usize,
) -> Page {
    let page = tab
        .store
        .range(position(from), position(to), direction, max_bytes);
    page.await.expect("the range is read")
}

cases! { $ range_cases

/// A range gives the frames that hold its positions, whole, in the order that was asked for.
async fn a_range_comes_in_either_direction(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 10), (11, 20), (21, 21), (31, 40)]).await;
    let cases = [
        ((1, 40), 0..4),
        ((0, u64::MAX), 0..4),
        ((1, 1), 0..1),
        ((10, 11), 0..2),
        ((5, 5), 0..1),
        ((15, 21), 1..3),
        ((20, 30), 1..3),
        ((22, 30), 0..0),
        ((22, 31), 3..4),
        ((41, 90), 0..0),
        ((40, u64::MAX), 3..4),
        ((12, 11), 0..0),
        ((0, 0), 0..0),
    ];
    for (asked, expected) in cases {
        let mut expected = frames[expected].to_vec();
        let page = range(&tab, asked, Direction::Forward, usize::MAX).await;
        assert_eq!((page.frames, page.more), (expected.clone(), false), "forward {asked:?}");
        expected.reverse();
        let page = range(&tab, asked, Direction::Backward, usize::MAX).await;
        assert_eq!((page.frames, page.more), (expected, false), "backward {asked:?}");
    }
}

/// A page ends before it holds more bytes than asked for, holds one frame at least, and says whether there are more.
async fn a_range_comes_in_pages(database) {
    let mut tab = database.open().await;
    let frames = fill(&mut tab, &[(1, 10), (11, 20), (21, 30), (31, 40)]).await;
    let size = frames[1].len();
    for (max_bytes, count) in [(0, 1), (size, 1), (2 * size + size / 2, 2), (4 * size, 4)] {
        let more = count < 3;
        let page = range(&tab, (11, 40), Direction::Forward, max_bytes).await;
        assert_eq!((page.frames, page.more), (frames[1..4.min(1 + count)].to_vec(), more));
        let page = range(&tab, (1, 30), Direction::Backward, max_bytes).await;
        let expected: Vec<_> = frames[..3].iter().rev().take(count).cloned().collect();
        assert_eq!((page.frames, page.more), (expected, more));
    }
}

/// Pages one after the other give every frame once, however small the pages and the frames are.
async fn pages_of_a_range_give_every_frame_once(database) {
    let mut tab = database.open().await;
    let spans: Vec<(u64, u64)> = (0..300).map(|n| (n * 3 + 1, n * 3 + 3)).collect();
    let frames = fill(&mut tab, &spans).await;
    for max_bytes in [1_usize, 2_000, 40_000] {
        let (mut forward, mut from) = (Vec::new(), 2);
        loop {
            let page = range(&tab, (from, 899), Direction::Forward, max_bytes).await;
            from += 3 * page.frames.len() as u64;
            from -= (from - 1) % 3;
            forward.extend(page.frames);
            if !page.more {
                break;
            }
        }
        assert!(forward == frames, "{max_bytes} bytes forward");
        let (mut backward, mut to) = (Vec::new(), 899_u64);
        loop {
            let page = range(&tab, (2, to), Direction::Backward, max_bytes).await;
            backward.extend(page.frames);
            to = 900_u64.saturating_sub(3 * backward.len() as u64);
            if !page.more {
                break;
            }
        }
        backward.reverse();
        assert!(backward == frames, "{max_bytes} bytes backward");
    }
}

/// A damaged frame at the edge of a range is handed to the reader, who can tell.
async fn a_range_does_not_hide_damage(database) {
    let mut tab = database.open().await;
    tab.done(vec![add_log(1, b"not a frame"), add_log(11, &recorded(11, 20))]).await;
    for direction in [Direction::Forward, Direction::Backward] {
        let page = range(&tab, (5, 12), direction, usize::MAX).await;
        assert_eq!(page.frames.len(), 2);
        assert!(page.frames.contains(&b"not a frame".to_vec()));
    }
    let found = tab.store.frames(&[Position::new(7)]).await;
    assert_eq!(found, Ok(vec![b"not a frame".to_vec()]));
}

}
