//! Who asks: with `--token`, and between two subjects with `--other-token`.

use crate::conformance::case::cases;
use crate::conformance::http::Call;
use crate::conformance::writer::stream;

cases! { "subjects":

"without a token, or with one that is none, a call is unauthorized" => |target| {
    target.token()?;
    let head = target.head()?;
    let (writer, a) = (target.writer()?, stream()?);
    let calls = || -> Result<[Call; 3], crate::conformance::Ended> {
        Ok([
            Call::new("GET", target.path("")),
            Call::new("GET", target.path("/commits?after=0")),
            Call::new("POST", target.path("/commits")).json(&writer.body(&[writer.on(&a, "any")?])),
        ])
    };
    for call in calls()? {
        target.send_bare(&call)?.problem(401, "unauthorized")?;
    }
    for header in ["Bearer", "Bearer nobody-has-this-token", "Basic YTpi"] {
        for call in calls()? {
            let answer = target.send(call.header("authorization", header))?;
            answer.problem(401, "unauthorized")?;
            target.nothing_stored_since(head, &answer)?;
        }
    }
    Ok(())
};

"a commit id that somebody else has is id_taken" => |target| {
    let other = format!("Bearer {}", target.other_token()?);
    let (writer, stranger, a) = (target.writer()?, target.writer()?, stream()?);
    let commit = writer.on(&a, "any")?;
    writer.accepted(&commit)?;
    let head = target.head()?;
    let call = Call::new("POST", target.path("/commits")).json(&stranger.body(&[commit]));
    let answer = target.send(call.header("authorization", other))?.is(200)?;
    answer.rejected(0, "id_taken")?;
    target.nothing_stored_since(head, &answer)
};

"a replica belongs to whoever first pushed with it" => |target| {
    let other = format!("Bearer {}", target.other_token()?);
    let (writer, a) = (target.writer()?, stream()?);
    writer.fill(&a, 1)?;
    let head = target.head()?;
    let call = Call::new("POST", target.path("/commits")).json(&writer.body(&[writer.on(&a, "any")?]));
    let answer = target.send(call.header("authorization", other))?;
    answer.problem(403, "replica_bound")?;
    target.nothing_stored_since(head, &answer)
};

}
