//! What tells that a log has grown.

use crate::conformance::case::{cases, same};
use crate::conformance::http::Call;
use crate::conformance::writer::stream;
use serde_json::{Value, json};

cases! { "news":

["live"] "a line tells where the log ends, whenever it is not where the caller was told" => |target| {
    let (writer, head) = (target.writer()?, target.head()?);
    let asked = json!({ "logs": [{ "log": target.log, "cursor": head.to_string() }] });
    let mut lines = target.open(Call::new("POST", "/v1/live").json(&asked))?;
    lines.find("a sign of life", |line| (line == "{}").then_some(()))?;
    for moved in 1..=2 {
        writer.fill(&stream()?, 1)?;
        let notice = lines.find("a line with the head", notice)?;
        same(&lines.sent, "log", &json!(target.log), &notice["log"])?;
        same(&lines.sent, "head.position", &json!(head + moved), &notice["head"]["position"])?;
    }
    Ok(())
};

["live"] "a caller who is behind is told at once" => |target| {
    target.writer()?.fill(&stream()?, 1)?;
    let head = target.head()?;
    let asked = json!({ "logs": [{ "log": target.log, "cursor": (head - 1).to_string() }] });
    let mut lines = target.open(Call::new("POST", "/v1/live").json(&asked))?;
    let notice = lines.find("a line with the head", notice)?;
    same(&lines.sent, "head.position", &json!(head), &notice["head"]["position"])
};

["live"] "of a log that is not there, and with a body that cannot be, nothing is told" => |target| {
    let ask = |body: Value| target.send(Call::new("POST", "/v1/live").json(&body));
    ask(json!({ "logs": [{ "log": format!("none-{}", crate::conformance::writer::id()?) }] }))?.problem(404, "unknown_log")?;
    ask(json!({ "logs": [{ "log": target.log, "cursor": "x" }] }))?.problem(400, "invalid_cursor")?;
    for body in [json!({}), json!({ "logs": 1 }), json!({ "logs": [] }), json!({ "logs": [], "else": 1 })] {
        ask(body)?.problem(400, "bad_request")?;
    }
    let cap = target.cap("liveLogs")?;
    let logs: Vec<Value> = (0..=cap).map(|_| json!({ "log": target.log })).collect();
    ask(json!({ "logs": logs }))?.problem(400, "bad_request").map(drop)
};

["liveCommits"] "a line carries what is new to whoever asks for it" => |target| {
    let (writer, head) = (target.writer()?, target.head()?);
    let asked = json!({ "logs": [{ "log": target.log, "cursor": head.to_string() }], "commits": "json" });
    let mut lines = target.open(Call::new("POST", "/v1/live").json(&asked))?;
    lines.find("a sign of life", |line| (line == "{}").then_some(()))?;
    let commit = writer.on(&stream()?, "noStream")?;
    writer.accepted(&commit)?;
    let notice = lines.find("a line with the head", notice)?;
    same(&lines.sent, "head.position", &json!(head + 1), &notice["head"]["position"])?;
    same(&lines.sent, "commits[0].id", &commit["id"], &notice["commits"][0]["id"])
};

["sse"] "every commit comes as an event, from a place on" => |target| {
    let (writer, head) = (target.writer()?, target.head()?);
    let commits = [writer.on(&stream()?, "any")?, writer.on(&stream()?, "any")?];
    writer.push(&commits)?;
    let path = target.path(&format!("/live?after={head}"));
    let mut lines = target.open(Call::new("GET", path.clone()))?;
    for (commit, position) in commits.iter().zip(head + 1..) {
        lines.find("event: commits", |line| (line.replace(' ', "") == "event:commits").then_some(()))?;
        let id = lines.find("an id", |line| line.strip_prefix("id:").map(|id| id.trim().to_owned()))?;
        same(&lines.sent, "id", &json!(position.to_string()), &json!(id))?;
        let data = lines.find("data", |line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok())?;
        same(&lines.sent, "data.id", &commit["id"], &data["id"])?;
    }
    let again = Call::new("GET", path).header("last-event-id", (head + 1).to_string());
    let mut lines = target.open(again)?;
    let id = lines.find("an id", |line| line.strip_prefix("id:").map(|id| id.trim().to_owned()))?;
    same(&lines.sent, "id after Last-Event-ID", &json!((head + 2).to_string()), &json!(id))
};

["sse"] "a place that cannot be is a problem, not a stream" => |target| {
    target.get("/live?after=x")?.problem(400, "invalid_cursor")?;
    let ahead = target.head()? + 1;
    target.get(&format!("/live?after={ahead}"))?.problem(409, "cursor_ahead").map(drop)
};

}

fn notice(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    line.get("head").is_some().then_some(line)
}
