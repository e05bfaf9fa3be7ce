//! What must hold of any bytes that a decoder is given. Shared with `tests/fuzz.rs`.

use tidelog_core::directory::DirectoryRecord;
use tidelog_core::frame::{self, Body, Columns, Frame};
use tidelog_core::{Meta, Payload, Seq};

/// Makes a frame's length and checksum true, so that the decoder behind them is reached.
pub fn repair_frame(bytes: &mut [u8]) {
    let Ok(length) = u32::try_from(bytes.len()) else {
        return;
    };
    if let Some((head, tail)) = bytes.split_at_mut_checked(16) {
        head[8..12].copy_from_slice(&length.to_le_bytes());
        let crc = crc32c(&[&head[..12], tail]);
        head[12..16].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Makes a directory record's checksum true.
pub fn repair_record(bytes: &mut [u8]) {
    if let Some((head, body)) = bytes.split_at_mut_checked(5) {
        head[1..5].copy_from_slice(&crc32c(&[body]).to_le_bytes());
    }
}

/// CRC-32C bit by bit, as RFC 3720 appendix B.4 gives it.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in parts.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}

/// What decodes encodes again, in both formats, to what decodes to the same.
pub fn decode(bytes: &[u8]) -> bool {
    let Ok(frame) = frame::decode(bytes) else {
        return false;
    };
    let first = frame::header(bytes).expect("a frame has a header").first;
    let encoded = match &frame.body {
        Body::Recorded(_) if !frame.gaps.is_empty() => {
            let again = with_gaps(&frame);
            let back = frame::decode(&again).expect("what was encoded decodes");
            assert_eq!((&back.body, &back.gaps), (&frame.body, &frame.gaps));
            let steps = |frame: &Frame| {
                let steps = frame.steps().map(|step| (step.first(), step.last()));
                steps.collect::<Vec<_>>()
            };
            assert_eq!(steps(&back), steps(&frame));
            vec![again]
        }
        Body::Recorded(commits) => vec![
            frame::encode_recorded(frame.epoch, frame.chain_before, commits),
            with_gaps(&frame),
        ],
        Body::Local(commits) => vec![frame::encode_local(Seq::new(first), commits)],
    };
    for again in encoded {
        let back = frame::decode(&again).expect("what was encoded decodes");
        assert_eq!(back.body, frame.body);
        if frame.epoch != back.epoch {
            assert!(matches!(frame.body, Body::Local(_)));
        }
    }
    true
}

fn with_gaps(frame: &Frame) -> Vec<u8> {
    let Body::Recorded(commits) = &frame.body else {
        panic!("a local frame has no gaps");
    };
    frame::encode_with_gaps(frame.epoch, frame.chain_before, commits, &frame.gaps)
}

/// What decodes has columns, and they say the same; what has columns may be asked anything.
pub fn columns(bytes: &[u8]) -> bool {
    let columns = frame::columns(bytes.to_vec());
    if let Ok(columns) = &columns {
        consistent(columns);
    }
    if let Ok(frame) = frame::decode(bytes)
        && let Body::Recorded(commits) = &frame.body
    {
        consistent(columns.as_ref().expect("what decodes has columns"));
        // A dictionary may name a text twice where no encoder wrote it: so they are compared after encoding.
        let mut encoded = vec![with_gaps(&frame)];
        if frame.gaps.is_empty() {
            encoded.push(frame::encode_recorded(
                frame.epoch,
                frame.chain_before,
                commits,
            ));
        }
        for again in encoded {
            same(
                &frame::columns(again).expect("what was encoded has columns"),
                &frame,
            );
        }
    }
    columns.is_ok()
}

fn consistent(columns: &Columns) {
    let (events, commits) = (columns.stream().len(), columns.commits());
    assert_eq!(events, columns.header().events as usize);
    assert_eq!(commits, columns.header().commits as usize);
    for column in [columns.event_type(), columns.schema(), columns.commit()] {
        assert_eq!(column.len(), events);
    }
    assert_eq!(columns.version().len(), events);
    assert_eq!(columns.occurred_at().len(), events);
    assert_eq!(columns.recorded_at().len(), commits);
    assert_eq!(columns.actor().len(), commits);
    assert_eq!(columns.commit_ids_text().len(), commits * 36);
    assert!(columns.commit_end().is_sorted());
    let mut after = None;
    for event in 0..events {
        let position = columns.position(event);
        assert!(after < Some(position) && position <= columns.last_position());
        after = Some(position);
    }
    let payloads: Vec<&str> = (0..events)
        .map(|event| {
            assert_ne!(
                columns.payload(event).is_some(),
                columns.erased(event).is_some()
            );
            columns.payload(event).unwrap_or("null")
        })
        .collect();
    assert_eq!(payloads.join(","), columns.payloads());
    for name in columns.stream().iter().chain(columns.event_type()) {
        assert!((*name as usize) < columns.names());
    }
    for extra in columns.extras() {
        assert!(extra.event < events);
    }
    let mut seen = 0;
    for end in columns.streams() {
        assert_eq!(columns.name(end.name), end.stream);
        seen += 1;
    }
    assert!(seen <= events);
    let record = DirectoryRecord::of(columns);
    assert_eq!(DirectoryRecord::decode(&record.encode()), Ok(record));
}

#[allow(
    clippy::cast_precision_loss,
    reason = "columns hold versions and times as doubles"
)]
fn same(columns: &Columns, frame: &Frame) {
    let Body::Recorded(commits) = &frame.body else {
        return;
    };
    assert_eq!(columns.payloads(), &*frame.payloads);
    let mut event = 0;
    let mut extras = columns.extras();
    for (number, recorded) in commits.iter().enumerate() {
        assert_eq!(columns.commit_id(number), recorded.commit.id);
        assert_eq!(columns.attempt(number), recorded.commit.attempt);
        assert_eq!(columns.replica(number), recorded.commit.replica);
        assert_eq!(
            columns.recorded_at()[number],
            recorded.recorded_at.millis() as f64
        );
        for (one, version) in recorded.commit.events.iter().zip(recorded.event_versions()) {
            assert_eq!(columns.name(columns.stream()[event]), one.stream.as_str());
            assert_eq!(
                columns.name(columns.event_type()[event]),
                one.event_type.as_str()
            );
            assert_eq!(columns.version()[event], version.value() as f64);
            assert_eq!(
                columns.occurred_at()[event],
                one.occurred_at.millis() as f64
            );
            assert_eq!(columns.payload(event), one.data.text());
            if let Payload::Erased(digest) = one.data {
                assert_eq!(columns.erased(event), Some(digest));
            }
            if !one.tags.is_empty() || one.meta != Meta::default() {
                let extra = extras.next().expect("an event with labels or references");
                assert_eq!((extra.event, extra.tags.len()), (event, one.tags.len()));
            }
            event += 1;
        }
    }
    assert!(extras.next().is_none());
}

/// A sequence of frames splits into itself; what merges says the same as its parts.
pub fn merge(bytes: &[u8]) -> bool {
    let Ok(parts) = frame::split(bytes) else {
        return false;
    };
    assert_eq!(parts.concat(), bytes);
    let Ok(merged) = frame::merge(&parts) else {
        return false;
    };
    let commits = |bytes: &[u8]| match frame::decode(bytes).expect("merged parts decode").body {
        Body::Recorded(commits) => commits,
        Body::Local(_) => panic!("a local frame was merged"),
    };
    let all: Vec<_> = parts.iter().flat_map(|part| commits(part)).collect();
    assert_eq!(commits(&merged.frame), all);
    assert_eq!(frame::chain_after(&merged.frame), Ok(merged.chain_after));
    true
}

/// What decodes encodes to the same bytes.
pub fn directory(bytes: &[u8]) -> bool {
    match DirectoryRecord::decode(bytes) {
        Ok(record) => {
            assert_eq!(record.encode(), bytes);
            true
        }
        Err(_) => false,
    }
}
