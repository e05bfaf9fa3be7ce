//! Servers that cannot answer now, and say when to come again: with `--limited` and `--failing`.

use crate::conformance::case::{Done, Mismatch, cases};
use crate::conformance::http::{Answer, Call};
use crate::conformance::target::{TOO_OFTEN, Target};
use crate::conformance::writer::stream;
use serde_json::json;
use std::thread;

/// How many requests are more than a server lets anybody make at once that was started for these cases.
const TOO_MANY: usize = 300;
/// How often a push may come just when it is time again.
const TRIES: usize = 10;

cases! { "refusals":

"whoever asks too often is rate_limited and told when to ask again, and is served then" => |target| {
    let writer = target.writer()?;
    for _ in 0..TRIES {
        let body = writer.body(&[writer.on(&stream()?, "noStream")?]);
        let push = || target.send_limited(Call::new("POST", target.path("/commits")).json(&body));
        too_often(target)?;
        let answer = push()?;
        if answer.status == TOO_OFTEN {
            answer.problem(TOO_OFTEN, "rate_limited")?;
            thread::sleep(answer.retry_after()?);
            // Had the first one been stored, this would be a duplicate.
            return push()?.is(200)?.at("/results/0/verdict", &json!("accepted"));
        }
        answer.is(200)?;
    }
    Err(Mismatch::ended("a push after a request that came too often", "status 429", "status 200"))
};

"somebody else is served meanwhile" => |target| {
    let other = format!("Bearer {}", target.other_token()?);
    too_often(target)?;
    let call = Call::new("GET", target.path(""));
    target.send_limited(call.header("authorization", other))?.is(200).map(drop)
};

"a push that cannot be stored now is unavailable and told when to come again" => |target| {
    let writer = target.writer()?;
    let call = Call::new("POST", target.path("/commits")).json(&writer.body(&[writer.on(&stream()?, "any")?]));
    unavailable(&target.send_failing(call)?)
};

["append"] "one event that cannot be stored now is unavailable and told when to come again" => |target| {
    let path = target.path(&format!("/streams/{}", stream()?.replace('/', "%2F")));
    let body = json!({ "type": "case.happened", "data": 1 });
    unavailable(&target.send_failing(Call::new("POST", path).json(&body))?)
};

}

/// Asks until it is too often; the answer to that is as it should be.
fn too_often(target: &Target) -> Done {
    for _ in 0..TOO_MANY {
        let answer = target.send_limited(Call::new("GET", target.path("")))?;
        if answer.status == TOO_OFTEN {
            answer.problem(TOO_OFTEN, "rate_limited")?;
            return answer.retry_after().map(drop);
        }
        answer.is(200)?;
    }
    let sent = format!("{TOO_MANY} requests, one after the other");
    Err(Mismatch::ended(sent, "status 429 at last", "status 200"))
}

fn unavailable(answer: &Answer) -> Done {
    answer.problem(503, "unavailable")?;
    answer.retry_after().map(drop)
}
