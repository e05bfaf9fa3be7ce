//! What a server says of a log, and of what is not there.

use crate::conformance::case::cases;
use crate::conformance::http::Call;
use crate::conformance::writer::{id, stream};
use serde_json::json;
use tidelog_core::protocol::{CLIENT_HEADER, EPOCH_HEADER, HEAD_HEADER};

cases! { "description":

"a log names itself, its history and end, what is kept, the caps and the features" => |target| {
    let answer = target.get("")?.is(200)?;
    answer.at("/log", &json!(target.log))?;
    let body = answer.json()?;
    let is_uuid = body["epoch"].as_str().is_some_and(|epoch| epoch.parse::<tidelog_core::Epoch>().is_ok());
    let is_told = body["head"]["position"].is_u64()
        && body["horizon"].as_u64().is_some_and(|horizon| horizon >= 1)
        && body["caps"].is_object()
        && body["features"].is_array()
        && body["minClient"].is_u64();
    match is_uuid && is_told {
        true => Ok(()),
        false => Err(answer.unlike("log, epoch (a UUID), head.position, horizon, caps, features, minClient")),
    }
};

"every answer about a log names its epoch and end in headers" => |target| {
    let writer = target.writer()?;
    let (pushed, _) = writer.verdict(&writer.on(&stream()?, "any")?)?;
    for answer in [pushed, target.get("")?.is(200)?, target.get("/commits?after=0&limit=1")?.is(200)?] {
        let body = answer.json()?;
        let (epoch, head) = (&body["epoch"], &body["head"]["position"]);
        answer.has_header(EPOCH_HEADER, epoch.as_str().unwrap_or_default())?;
        answer.has_header(HEAD_HEADER, &head.to_string())?;
    }
    Ok(())
};

"a log that is not there is unknown_log on every call" => |target| {
    let none = format!("/v1/logs/none-{}", id()?);
    let calls = [
        Call::new("GET", none.clone()),
        Call::new("GET", format!("{none}/commits?after=0")),
        Call::new("POST", format!("{none}/commits")).json(&target.writer()?.body(&[])),
    ];
    for call in calls {
        target.send(call)?.problem(404, "unknown_log")?;
    }
    Ok(())
};

"a path that is not there is not_found" => |target| {
    target.send(Call::new("GET", "/v1/nothing"))?.problem(404, "not_found").map(drop)
};

"a method that a path does not take is method_not_allowed" => |target| {
    for of in ["", "/commits"] {
        target.send(Call::new("DELETE", target.path(of)))?.problem(405, "method_not_allowed")?;
    }
    Ok(())
};

"a client below minClient is client_too_old, and one that is not is served" => |target| {
    let least = target.get("")?.is(200)?.json()?["minClient"].as_u64().unwrap_or(0);
    let ask = |version: u64| target.send(Call::new("GET", target.path("")).header(CLIENT_HEADER, version.to_string()));
    ask(least)?.is(200)?;
    match least.checked_sub(1) {
        Some(older) => ask(older)?.problem(426, "client_too_old").map(drop),
        None => Ok(()),
    }
};

}
