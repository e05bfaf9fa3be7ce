//! Bodies that are packed.

use crate::conformance::Ended;
use crate::conformance::case::{Mismatch, cases};
use crate::conformance::http::Call;
use crate::conformance::writer::stream;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::Write;

cases! { "packed":

"a body in gzip counts as what it unpacks to, or is unsupported_media_type as every other encoding" => |target| {
    let (writer, head) = (target.writer()?, target.head()?);
    let body = writer.body(&[writer.on(&stream()?, "any")?]).to_string();
    let send = |encoding: &str, packed: Vec<u8>| {
        let call = Call::new("POST", target.path("/commits")).bytes("application/json", packed);
        target.send(call.header("content-encoding", encoding))
    };
    for encoding in ["br", "x-none"] {
        let answer = send(encoding, body.clone().into_bytes())?;
        answer.problem(415, "unsupported_media_type")?;
        target.nothing_stored_since(head, &answer)?;
    }
    let answer = send("gzip", packed(&body)?)?;
    if answer.status != 200 {
        answer.problem(415, "unsupported_media_type")?;
        return target.nothing_stored_since(head, &answer);
    }
    answer.at("/results/0/verdict", &json!("accepted"))?;
    let blanks = " ".repeat(target.cap("bodyBytes")?);
    let answer = send("gzip", packed(&(body + &blanks))?)?;
    answer.problem(413, "payload_too_large")?;
    target.nothing_stored_since(head + 1, &answer)
};

}

fn packed(text: &str) -> Result<Vec<u8>, Ended> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let done = encoder.write_all(text.as_bytes());
    done.and_then(|()| encoder.finish())
        .map_err(|error| Mismatch::ended("", "a body in gzip", error))
}
