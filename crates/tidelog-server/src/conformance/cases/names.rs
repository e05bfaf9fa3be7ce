//! How names, UUIDs, numbers and times are written: what is not refuses the whole push.

use crate::conformance::case::{Done, Ended, cases};
use crate::conformance::target::Target;
use crate::conformance::writer::{Writer, changed, condition, event, id, stream};
use serde_json::{Value, json};

/// Control characters, of ASCII and beyond.
const CONTROLS: [char; 4] = ['\u{0}', '\n', '\u{7f}', '\u{85}'];

cases! { "names":

"whatever may stand in names is taken, and comes back" => |target| {
    let (writer, head) = (target.writer()?, target.head()?);
    let a = format!("0a.B_c-9/{}//a b\u{e9}\u{1F95B}:%2F\"\\", id()?);
    let rich = changed(event(&a, 1), json!({
        "type": "Anything \u{e9}/:{}",
        "tags": [" ", "a b", "\u{1F95B}"],
        "meta": { "correlationId": "a b", "causationId": "\u{e9}", "device": "\u{200b}" },
    }));
    writer.accepted(&writer.commit(&[condition(&a, "noStream")], std::slice::from_ref(&rich))?)?;
    let answer = target.get(&format!("/commits?after={head}"))?.is(200)?;
    for field in ["stream", "type", "tags", "meta"] {
        answer.at(&format!("/commits/0/events/0/{field}"), &rich[field])?;
    }
    answer.at("/commits/0/conditions/0/stream", &json!(a))
};

"a stream that cannot be is refused, be it only in a condition" => |target| {
    let kinds = ["", "a b", "\u{e9}", "a:b", "_a", "-a", ".a"].map(|kind| format!("{kind}/x"));
    let keys = CONTROLS.map(|char| format!("case/a{char}b"));
    let neither = ["", "case", "case/"].map(str::to_owned);
    for stream in kinds.into_iter().chain(keys).chain(neither) {
        let what = format!("the stream {stream:?}");
        refused(target, &what, |writer| writer.commit(&[], &[event(&stream, 1)]))?;
        let what = format!("a condition on the stream {stream:?}");
        refused(target, &what, |writer| writer.commit(&[condition(&stream, "any")], &[event("case/a", 1)]))?;
    }
    Ok(())
};

"a type, tag or reference that is empty or has a control character is refused" => |target| {
    let names = CONTROLS.map(|char| format!("a{char}b"));
    for name in names.into_iter().chain([String::new()]) {
        for fields in [
            json!({ "type": name }),
            json!({ "tags": ["a", name] }),
            json!({ "meta": { "correlationId": name } }),
            json!({ "meta": { "causationId": name } }),
            json!({ "meta": { "device": name } }),
        ] {
            refused_with(target, fields)?;
        }
    }
    Ok(())
};

"tags and meta of another shape are refused" => |target| {
    for fields in [
        json!({ "tags": "a" }),
        json!({ "tags": [1] }),
        json!({ "meta": { "other": "a" } }),
        json!({ "meta": { "device": 1 } }),
    ] {
        refused_with(target, fields)?;
    }
    Ok(())
};

"a UUID that is not in lower case with hyphens is refused" => |target| {
    let ways: [fn(&str) -> String; 4] = [
        |id| id.to_uppercase(),
        |id| id.replace('-', ""),
        |id| format!("{{{id}}}"),
        |id| format!("urn:uuid:{id}"),
    ];
    for way in ways {
        // One digit at least is a letter.
        let id = way(&id()?.replacen('7', "a", 1));
        refused(target, &format!("the commit id {id}"), |writer| {
            Ok(changed(writer.on(&stream()?, "any")?, json!({ "id": id })))
        })?;
        let (head, commit) = (target.head()?, target.writer()?.on(&stream()?, "any")?);
        let answer = target.writer_named(&id).send(&[commit])?;
        let about = |ended: Ended| ended.about(format_args!("the replica {id}"));
        answer.problem(400, "bad_request").map_err(about)?;
        target.nothing_stored_since(head, &answer).map_err(about)?;
    }
    Ok(())
};

"a number with a fraction or in quotes is refused" => |target| {
    for fields in [json!({ "seq": 1.5 }), json!({ "seq": "1" }), json!({ "attempt": 1.5 }), json!({ "attempt": -1 })] {
        refused(target, &fields.to_string(), |writer| Ok(changed(writer.on(&stream()?, "any")?, fields.clone())))?;
    }
    for fields in [json!({ "schema": 1.5 }), json!({ "schema": "1" })] {
        refused_with(target, fields)?;
    }
    Ok(())
};

"a time without its offset, or that is none, is refused" => |target| {
    for time in ["2026-01-01", "2026-01-01T12:00:00", "2026-13-01T12:00:00Z", "12:00:00Z"] {
        refused_with(target, json!({ "occurredAt": time }))?;
    }
    Ok(())
};

}

/// Demands that a push with an event that has these fields is refused.
fn refused_with(target: &Target, fields: Value) -> Done {
    refused(target, &fields.to_string(), |writer| {
        writer.commit(&[], &[changed(event(&stream()?, 1), fields.clone())])
    })
}

/// Demands that a push is refused whole in which this commit stands behind one as it should be.
fn refused(
    target: &Target,
    what: &str,
    commit: impl Fn(&Writer<'_>) -> Result<Value, Ended>,
) -> Done {
    let (writer, head) = (target.writer()?, target.head()?);
    let answer = writer.send(&[writer.on(&stream()?, "any")?, commit(&writer)?])?;
    let about = |ended: Ended| ended.about(what);
    answer.problem(400, "bad_request").map_err(about)?;
    target.nothing_stored_since(head, &answer).map_err(about)
}
