//! Backends that are broken on purpose: the suite has to fail each of them, or it does not see.

use crate::servers;
use crate::suite::Suite;

/// What is changed in the minimal backend, and in which group of cases that must show.
const FAULTS: &[(&str, &str, &str, &str)] = &[
    (
        "a retry is stored again",
        "this.accepted.get(id);",
        "undefined;",
        "push",
    ),
    (
        "a retry is refused by its number",
        r#"if (known) return answer("duplicate", known.receipt);"#,
        "",
        "push",
    ),
    (
        "other content counts as a retry",
        "&& known.content !== content",
        "&& false",
        "push",
    ),
    (
        "a retry gets a receipt of today",
        r#"answer("duplicate", known.receipt)"#,
        r#"answer("duplicate", { ...known.receipt, positions: { first: this.position, last: this.position } })"#,
        "push",
    ),
    (
        "an exact version is off by one",
        "exact === actual &&",
        "exact <= actual &&",
        "expected",
    ),
    (
        "noStream checks nothing",
        "noStream: actual === 0",
        "noStream: true",
        "expected",
    ),
    (
        "exists checks nothing",
        "exists: actual > 0",
        "exists: true",
        "expected",
    ),
    (
        "the id of the event that was seen does not count",
        "[undefined, actual && last].includes(event)",
        "true",
        "expected",
    ),
    (
        "positions have holes",
        "this.position += 1;",
        "this.position += 1 + (index > 0);",
        "push",
    ),
    (
        "versions are those of the log",
        "const version = (this.streams.get(stream)?.version ?? 0) + 1;",
        "const version = this.position + 1;",
        "push",
    ),
    (
        "only the first broken condition is named",
        r#"answer("conflict", { conflicts })"#,
        r#"answer("conflict", { conflicts: conflicts.slice(0, 1) })"#,
        "push",
    ),
    (
        "a commit that conflicts takes its number",
        "const conflicts = conditions",
        "this.numbers.add(`${replica}/${seq}`);\n    const conflicts = conditions",
        "push",
    ),
    (
        "a number may be used twice",
        "this.numbers.has(`${replica}/${seq}`)",
        "false",
        "push",
    ),
    (
        "what is the server's to set is taken",
        "Object.hasOwn(fields, name)",
        "true",
        "push",
    ),
    (
        "the attempt that was accepted is forgotten",
        "acceptedAttempt: attempt,",
        "acceptedAttempt: 1,",
        "push",
    ),
    (
        "a push of another history is taken",
        "if (isOther) throw",
        "if (false) throw",
        "push",
    ),
    (
        "a place that is not reached is taken",
        "if (Number(digits) > this.position) throw",
        "if (false) throw",
        "pull",
    ),
    (
        "commits come in another order",
        "log.commits.filter(isAsked)",
        "log.commits.filter(isAsked).reverse()",
        "pull",
    ),
    (
        "a page begins a commit too late",
        "first.position > position &&",
        "first.position > position + 1 &&",
        "pull",
    ),
    (
        "a packed body is read as if it were not",
        "zip || ",
        "",
        "packed",
    ),
    (
        "two conditions on one stream are taken",
        "isZero || isTwice",
        "isZero",
        "push",
    ),
    (
        "schema version 0 is taken",
        ", ...events.map(({ schema }) => schema)",
        "",
        "push",
    ),
    (
        "half a cursor does for a push",
        r"{36}:\d+:[0-9a-f]{64}$/",
        r"{36}:\d+/",
        "push",
    ),
    (
        "names are any text",
        r"like(/^\P{Cc}+$/u)",
        "like(/^/)",
        "names",
    ),
    (
        "kinds of streams are any text",
        r"[A-Za-z0-9][\w.-]*",
        "[^/]+",
        "names",
    ),
    (
        "UUIDs are in upper case, too",
        "{3}-[0-9a-f]{12}$/",
        "{3}-[0-9a-f]{12}$/i",
        "names",
    ),
    (
        "a time needs no offset",
        r"(Z|[+-]\d\d:\d\d)$/",
        "/",
        "names",
    ),
    (
        "a number may begin with zeros",
        r"(0|[1-9]\d{0,14})",
        r"(\d{1,15})",
        "pull",
    ),
    (
        "a parameter that is there twice counts once",
        "isTwice || !(",
        "!(",
        "pull",
    ),
    (
        "errors are no problem documents",
        r#"say(body.status, "application/problem+json", body)"#,
        r#"say(body.status, "application/json", body)"#,
        "description",
    ),
];

/// How many faults the suite saw, and how many it missed.
pub(crate) fn run() -> (u64, u64) {
    let source = servers::minimal_source();
    let (mut seen, mut missed) = (0, 0);
    for (name, place, change, group) in FAULTS {
        let broken = source.replacen(place, change, 1);
        let is_changed = broken != source;
        let failures = match is_changed {
            true => Suite::of(&servers::backend(&broken), &["--group", group]).failures(),
            false => Vec::new(),
        };
        match failures.first() {
            Some(first) => {
                seen += 1;
                println!("  seen    {name}: {} cases, {first:?}", failures.len());
            }
            None if is_changed => {
                missed += 1;
                println!("  MISSED  {name}");
            }
            None => {
                missed += 1;
                println!("  MISSED  {name}: the minimal backend has no {place:?} any more");
            }
        }
    }
    (seen, missed)
}
