//! Columns say the same as decoded commits.

use tidelog_core::frame::{self, Body, Columns};
use tidelog_core::*;

/// Checks every column of a frame that an encoder wrote against [`frame::decode`].
#[allow(
    clippy::cast_precision_loss,
    reason = "columns hold versions and times as doubles"
)]
pub fn check(bytes: &[u8]) -> Columns {
    let columns = frame::columns(bytes.to_vec()).unwrap();
    let decoded = frame::decode(bytes).unwrap();
    let Body::Recorded(commits) = &decoded.body else {
        panic!("a local frame has columns");
    };
    assert_eq!(columns.bytes(), bytes);
    assert_eq!(*columns.header(), frame::header(bytes).unwrap());
    assert_eq!(columns.payloads(), &*decoded.payloads);
    assert_eq!(columns.commits(), commits.len());
    let names = 0..u32::try_from(columns.names()).unwrap();
    let names: Vec<&str> = names.map(|name| columns.name(name)).collect();
    assert_eq!(columns.names_text(), names.join("\n"));
    let mut extras = columns.extras().peekable();
    let mut ends: Vec<(StreamId, Version, EventId)> = Vec::new();
    let (mut event, mut ids) = (0, String::new());
    for (number, recorded) in commits.iter().enumerate() {
        let commit = &recorded.commit;
        ids.push_str(&commit.id.to_string());
        assert_eq!(columns.commit_id(number), commit.id);
        assert_eq!(columns.attempt(number), commit.attempt);
        assert_eq!(columns.replica(number), commit.replica);
        assert_eq!(
            columns.recorded_at()[number],
            recorded.recorded_at.millis() as f64
        );
        let actor = columns.actor()[number]
            .checked_sub(1)
            .map(|name| columns.name(name));
        assert_eq!(actor, recorded.actor.as_ref().map(Subject::as_str));
        let versions = recorded.event_versions();
        for (index, (one, version)) in commit.events.iter().zip(versions).enumerate() {
            assert_eq!(
                columns.position(event),
                recorded.position.plus(index as u64)
            );
            assert_eq!(columns.commit()[event] as usize, number);
            assert_eq!(columns.name(columns.stream()[event]), one.stream.as_str());
            assert_eq!(
                columns.name(columns.event_type()[event]),
                one.event_type.as_str()
            );
            assert_eq!(columns.schema()[event], one.schema.value());
            assert_eq!(columns.version()[event], version.value() as f64);
            assert_eq!(
                columns.occurred_at()[event],
                one.occurred_at.millis() as f64
            );
            assert_eq!(columns.payload(event), one.data.text());
            let rest = &columns.payloads()[columns.payload_at()[event] as usize..];
            assert!(rest.starts_with(one.data.text().unwrap_or("null")));
            let erased = one.data.text().is_none().then(|| one.data.digest());
            assert_eq!(columns.erased(event), erased);
            if !one.tags.is_empty() || one.meta != Meta::default() {
                let extra = extras.next().unwrap();
                assert_eq!(columns.extra(event).as_ref(), Some(&extra));
                assert_eq!(extra.event, event);
                let tags: Vec<&str> = one.tags.iter().map(Tag::as_str).collect();
                assert_eq!(extra.tags, tags);
                for (told, reference) in [
                    (extra.correlation_id, &one.meta.correlation_id),
                    (extra.causation_id, &one.meta.causation_id),
                    (extra.device, &one.meta.device),
                ] {
                    assert_eq!(told, reference.as_ref().map(AsRef::as_ref));
                }
            } else {
                assert_eq!(columns.extra(event), None);
            }
            ends.retain(|(stream, ..)| *stream != one.stream);
            ends.push((one.stream.clone(), version, commit.event_id(index)));
            event += 1;
        }
        assert_eq!(columns.commit_end()[number] as usize, event);
    }
    assert!(extras.next().is_none());
    drop(extras);
    assert_eq!(columns.stream().len(), event);
    assert_eq!(columns.payload(event), None);
    assert_eq!(columns.commit_ids_text(), ids);
    ends.sort();
    let mut told: Vec<(StreamId, Version, EventId)> = columns
        .streams()
        .map(|end| {
            assert_eq!(columns.name(end.name), end.stream);
            (StreamId::new(end.stream).unwrap(), end.last, end.event)
        })
        .collect();
    told.sort();
    assert_eq!(told, ends);
    columns
}
