//! Our own server, set up wrongly or behind somebody who changes what it says: for the cases that the minimal backend is too small for.

use crate::servers::{self, RIGHT, Running, SetUp, Store};
use crate::suite::Suite;
use std::process::Command;

/// What is wrong with it.
enum Wrong {
    /// It is not as the suite is told.
    SetUp(SetUp),
    /// Of what the server at this option (or at the address itself) answers, somebody takes this header away.
    Without(&'static str, &'static str),
    /// Somebody puts other words for these into every answer.
    Saying(&'static str, &'static str),
}

/// What is wrong, and in which group which case must show it.
const MISTAKES: &[(&str, &str, &str, Wrong)] = &[
    (
        "the guest reads everything",
        "kinds",
        "a commit that names a stream of another kind is a gap, be it in a condition",
        Wrong::SetUp(SetUp {
            guest: "append:open",
            ..RIGHT
        }),
    ),
    (
        "the guest appends to what it may only read",
        "kinds",
        "a push that writes one stream of another kind is forbidden whole",
        Wrong::SetUp(SetUp {
            guest: "append:open,shown read:open",
            ..RIGHT
        }),
    ),
    (
        "the guest reads only what it may append to",
        "kinds",
        "a commit that names a stream of another kind is a gap, be it in a condition",
        Wrong::SetUp(SetUp {
            guest: "append:open read:open",
            ..RIGHT
        }),
    ),
    (
        "the guest erases",
        "kinds",
        "erasing takes a right of its own, and the list has what may be read",
        Wrong::SetUp(SetUp {
            guest: "append:open read:shown erase:open",
            ..RIGHT
        }),
    ),
    (
        "payloads are not looked at",
        "payloads",
        "a commit with one wrong payload is invalid_payload whole, and others are stored",
        Wrong::SetUp(SetUp {
            checking: &[],
            ..RIGHT
        }),
    ),
    (
        "what has no schema is refused",
        "payloads",
        "a type that it demands nothing of is taken with any payload",
        Wrong::SetUp(SetUp {
            checking: &["--schemas", "schemas", "--schemas-strict"],
            ..RIGHT
        }),
    ),
    (
        "nobody asks too often",
        "refusals",
        "whoever asks too often is rate_limited and told when to ask again, and is served then",
        Wrong::SetUp(SetUp {
            limiting: &["--rate-limit", "0"],
            ..RIGHT
        }),
    ),
    (
        "two subjects share a limit",
        "refusals",
        "somebody else is served meanwhile",
        Wrong::SetUp(SetUp {
            other: "ann",
            ..RIGHT
        }),
    ),
    (
        "who asks too often is not told when to ask again",
        "refusals",
        "whoever asks too often is rate_limited and told when to ask again, and is served then",
        Wrong::Without("--limited", "retry-after"),
    ),
    (
        "what should fail is stored",
        "refusals",
        "a push that cannot be stored now is unavailable and told when to come again",
        Wrong::SetUp(SetUp {
            is_failing: false,
            ..RIGHT
        }),
    ),
    (
        "who asks in vain is not told when to ask again",
        "refusals",
        "a push that cannot be stored now is unavailable and told when to come again",
        Wrong::Without("--failing", "retry-after"),
    ),
    (
        "a segment has no tag",
        "segments",
        "it may be kept by who asked, who is told while it is the same",
        Wrong::Without("", "etag"),
    ),
    (
        "a pull does not say where segments end",
        "segments",
        "the first segment is the log's first commits, whole, up to the position it stands for",
        Wrong::Without("", "tidelog-segments"),
    ),
    (
        "a segment is said to be longer than it is",
        "segments",
        "the first segment is the log's first commits, whole, up to the position it stands for",
        Wrong::Saying(r#""events":16384,"#, r#""events":16385,"#),
    ),
    (
        "the list of erasures does not say where it goes on",
        "erasure",
        "the list comes in pages, each from where the one before ended",
        Wrong::Saying(r#""next":"#, r#""further":"#),
    ),
    (
        "the list of erasures leads back to its beginning",
        "erasure",
        "the list comes in pages, each from where the one before ended",
        Wrong::Saying(
            r#"{"erasures":["#,
            r#"{"next":"0.0.01900000-0000-7000-8000-000000000000","erasures":["#,
        ),
    ),
    (
        "more erasures are listed than it says",
        "caps",
        "erasures",
        Wrong::Saying(r#""erasures":1000"#, r#""erasures":0"#),
    ),
    (
        "a pull has more bytes than it says",
        "caps",
        "pullBytes",
        Wrong::Saying(r#""pullBytes":1048576"#, r#""pullBytes":104857"#),
    ),
    (
        "a stream is read further than it says",
        "caps",
        "streamEvents",
        Wrong::Saying(r#""streamEvents":1000"#, r#""streamEvents":999"#),
    ),
    (
        "a filter may have more terms than it says",
        "caps",
        "filterTerms",
        Wrong::Saying(r#""filterTerms":64"#, r#""filterTerms":63"#),
    ),
    (
        "a filter may be longer than it says",
        "caps",
        "filterBytes",
        Wrong::Saying(r#""filterBytes":2000"#, r#""filterBytes":1900"#),
    ),
];

/// Stands before a server and passes everything on, but for one header and some words.
const BETWEEN: &str = r#"
import { createServer, request } from "node:http";
const [to, header, from, into] = process.argv.slice(2);
const { hostname, port } = new URL(to);
createServer((asked, answered) => {
  const { url: path, method, headers } = asked;
  asked.pipe(request({ hostname, port, path, method, headers }, async (answer) => {
    const { [header]: _taken, "content-length": _length, "transfer-encoding": _how, ...kept } = answer.headers;
    const body = Buffer.concat(await answer.toArray()).toString("latin1").replace(from, into);
    answered.writeHead(answer.statusCode, kept).end(body, "latin1");
  }));
}).listen(0, "127.0.0.1", function () { console.log(`http://127.0.0.1:${this.address().port}`); });
"#;

/// How many mistakes the suite saw, and how many it missed.
pub(crate) fn run() -> (u64, u64) {
    let (mut seen, mut missed) = (0, 0);
    for (name, group, case, wrong) in MISTAKES {
        let failures = Suite::of(&wrong.server(), &["--group", group]).failures();
        if failures.iter().any(|failed| failed == case) {
            seen += 1;
            println!("  seen    {name}: {} cases, {case:?}", failures.len());
        } else {
            missed += 1;
            println!("  MISSED  {name}: {case:?} did not fail, but {failures:?}");
        }
    }
    (seen, missed)
}

impl Wrong {
    fn server(&self) -> Running {
        let file = |name: &str, running: &Running| Store::File(running.path(name));
        match self {
            Self::SetUp(set_up) => servers::set_up(set_up, file),
            Self::Without(option, header) => {
                let mut running = servers::set_up(&RIGHT, file);
                running.put_between(option, [header, "", ""]);
                running
            }
            Self::Saying(words, others) => {
                let mut running = servers::set_up(&RIGHT, file);
                running.put_between("", ["", words, others]);
                running
            }
        }
    }
}

impl Running {
    /// Puts somebody before the server at this option; before the one at the address itself, without one.
    fn put_between(&mut self, option: &str, words: [&str; 3]) {
        let file = self.path("between.mjs");
        std::fs::write(&file, BETWEEN).expect("its source");
        let place = self.arguments.iter().position(|word| word == option);
        let place = place.and_then(|place| place.checked_add(1));
        let to = match place {
            Some(place) => &self.arguments[place],
            None => &self.urls[0],
        };
        let mut node = Command::new("node");
        node.arg(file).arg(to).args(words);
        let url = self.start(node);
        match place {
            Some(place) => self.arguments[place] = url,
            None => self.urls = vec![url],
        }
    }
}
