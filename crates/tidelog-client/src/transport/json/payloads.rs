//! Payloads as they stand in the text of a pull's answer.
//!
//! The text is known to be JSON, so that only what nests and what is quoted has to be told apart.

/// How deep the object of an event is: the answer, its `commits`, one of them, its `events`, one of them.
const EVENT: usize = 5;

/// The values of `data` of all events, in order, byte for byte.
pub(super) fn payloads(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    // The name that each object or list on the way to here has in the one around it.
    let mut way: Vec<&str> = Vec::new();
    let mut name = "";
    let mut begun: Option<(usize, usize)> = None;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                let mut is_escaped = false;
                let end = bytes.find(|(_, byte)| {
                    let ends = *byte == b'"' && !is_escaped;
                    is_escaped = *byte == b'\\' && !is_escaped;
                    ends
                });
                let end = end.map_or(text.len(), |(end, _)| end);
                let rest = text.get(end + 1..).unwrap_or_default().trim_start();
                if begun.is_none() && rest.starts_with(':') {
                    name = text.get(at + 1..end).unwrap_or_default();
                }
            }
            b':' if begun.is_none() && name == "data" && is_event(&way) => {
                begun = Some((at + 1, way.len()));
            }
            b'{' | b'[' => way.push(core::mem::take(&mut name)),
            b',' | b'}' | b']' => {
                if let Some((from, depth)) = begun
                    && depth == way.len()
                {
                    found.push(text.get(from..at).unwrap_or_default().trim());
                    begun = None;
                    name = "";
                }
                if byte != b',' {
                    way.pop();
                }
            }
            _ => {}
        }
    }
    found
}

fn is_event(way: &[&str]) -> bool {
    way.len() == EVENT && way.get(1) == Some(&"commits") && way.get(3) == Some(&"events")
}

#[cfg(test)]
mod tests {
    use super::payloads;

    #[test]
    fn payloads_are_what_stands_in_the_text() {
        let text = r#"{ "epoch": "e", "data": 1, "head": { "position": 3, "data": [2] }, "commits": [
            { "id": "1", "data": 3, "conditions": [{ "stream": "a/1", "data": 4 }], "events": [
                { "data" : { "a": 1.0, "data": ["}", "\"data\": 5"], "b": {} } , "stream": "a/\\" },
                { "stream": "data", "data":null},
                { "stream": "erased", "tags": ["data"] }
            ] },
            { "events": [{ "type": "x", "meta": { "data": 6 }, "data": "a \\\" , b" }, { "data": [ [1, 2], 1e400 ] }] }
        ], "gaps": [{ "from": 4, "data": 7 }] }"#;
        assert_eq!(
            payloads(text),
            [
                r#"{ "a": 1.0, "data": ["}", "\"data\": 5"], "b": {} }"#,
                "null",
                r#""a \\\" , b""#,
                "[ [1, 2], 1e400 ]",
            ]
        );
    }

    #[test]
    fn nothing_is_asked_of_what_is_no_answer() {
        for text in [
            "",
            "[]",
            "{",
            "\"",
            r#"{"commits":[{"events":[{"data":"#,
            "}}]]",
        ] {
            assert!(payloads(text).len() <= 1, "{text}");
        }
    }
}
