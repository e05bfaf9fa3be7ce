//! The border as JavaScript meets it, in a real browser: shapes, codes, and what a refusal leaves behind.
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test stops at the first surprise, and its numbers are small"
)]

use gloo_timers::future::TimeoutFuture;
use js_sys::{
    Array, Float64Array, Function, JSON, Object, Promise, Reflect, Uint8Array, Uint32Array,
};
use tidelog_wasm::LogCore;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

fn options(log: &str) -> JsValue {
    let options = parse(&format!(
        r#"{{"log":{log:?},"user":"tester","durability":"strict","snapshots":true,"folds":[{{"name":"todo","version":1}}]}}"#
    ));
    Reflect::set(&options, &"wake".into(), &Function::new_no_args("")).unwrap();
    options
}

fn parse(json: &str) -> JsValue {
    JSON::parse(json).unwrap()
}

fn get(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &name.into()).unwrap()
}

fn text(value: &JsValue, name: &str) -> String {
    get(value, name).as_string().unwrap_or_default()
}

/// An open log that no other test and no earlier run has used.
async fn open() -> LogCore {
    let probe = LogCore::new(options("probe")).unwrap();
    let core = LogCore::new(options(&format!("test-{}", probe.new_commit_id()))).unwrap();
    JsFuture::from(core.open()).await.unwrap();
    core
}

fn draft(core: &LogCore, expected: &str) -> JsValue {
    let id = core.new_commit_id();
    parse(&format!(
        r#"{{"id":"{id}","occurredAt":1000,"policy":"ask",
            "conditions":[{{"stream":"todo/1","expected":{expected}}}],
            "events":[{{"stream":"todo/1","type":"todo.added","schema":1,"data":"{{\"title\":\"Milk\"}}"}}]}}"#
    ))
}

/// The first notice of this kind; those before it are dropped.
fn notice(core: &LogCore, kind: &str) -> Option<JsValue> {
    std::iter::repeat_with(|| core.poll())
        .take_while(|notice| !notice.is_undefined())
        .find(|notice| text(notice, "kind") == kind)
}

fn payloads(batch: &JsValue) -> String {
    let bytes: Uint8Array = get(batch, "payloads").unchecked_into();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[wasm_bindgen_test]
async fn an_append_gives_versions_then_a_durable_receipt() {
    let core = open().await;
    let draft = draft(&core, r#""noStream""#);
    let id = text(&draft, "id");
    let appended = core.append(draft).unwrap();
    let versions: Array = get(&appended, "versions").unchecked_into();
    assert_eq!(versions.get(0).as_f64(), Some(1.0));
    assert_eq!(core.version("todo/1").unwrap(), 1.0);
    let queued = Array::from(&core.queue()).get(0);
    assert_eq!(text(&queued, "id"), id);
    assert_eq!(text(&queued, "state"), "local");

    // Resolves only once the commit is no longer only in memory.
    let outcome = JsFuture::from(core.outcome(&id)).await.unwrap();
    assert_eq!(text(&outcome, "state"), "durable");
    let durable = notice(&core, "durable").unwrap();
    assert_eq!(text(&durable, "ids"), id);
    let commit = core.commit(&id).unwrap();
    let event = Array::from(&get(&commit, "events")).get(0);
    assert_eq!(text(&event, "data"), r#"{"title":"Milk"}"#);
    assert_eq!(get(&event, "version").as_f64(), Some(1.0));
}

#[wasm_bindgen_test]
async fn a_version_conflict_names_stream_expected_and_actual_and_changes_nothing() {
    let core = open().await;
    core.append(draft(&core, "0")).unwrap();
    let error = core.append(draft(&core, "7")).unwrap_err();
    assert_eq!(text(&error, "code"), "version_conflict");
    assert_eq!(text(&error, "stream"), "todo/1");
    assert_eq!(get(&error, "expected").as_f64(), Some(7.0));
    assert_eq!(get(&error, "actual").as_f64(), Some(1.0));
    assert_eq!(Array::from(&core.queue()).length(), 1);
}

#[wasm_bindgen_test]
async fn a_stream_that_is_not_synced_is_refused_by_name() {
    let probe = LogCore::new(options("probe")).unwrap();
    let options = options(&format!("test-{}", probe.new_commit_id()));
    let set =
        |name: &str, value: &str| Reflect::set(&options, &name.into(), &value.into()).unwrap();
    set("url", "http://127.0.0.1:9/v1/logs/none");
    set("only", "list\nnote/1");
    let core = LogCore::new(options.clone()).unwrap();
    JsFuture::from(core.open()).await.unwrap();
    assert!(core.keeps("list/7").unwrap() && core.keeps("note/1").unwrap());
    assert!(!core.keeps("todo/1").unwrap());
    let error = core.append(draft(&core, "0")).unwrap_err();
    assert_eq!(text(&error, "code"), "outside_filter");
    assert_eq!(text(&error, "stream"), "todo/1");
    assert_eq!(text(&error, "only"), "list\nnote/1");
    assert_eq!(Array::from(&core.queue()).length(), 0);
    let storage = JsFuture::from(core.storage()).await.unwrap();
    assert_eq!(get(&storage, "leftOut").as_f64(), Some(0.0));
    JsFuture::from(core.close()).await.unwrap();
    set("only", "no kind");
    let error = LogCore::new(options).unwrap_err();
    assert_eq!(text(&error, "code"), "invalid_argument");
}

#[wasm_bindgen_test]
async fn wrong_input_is_an_object_with_a_code_and_words() {
    let core = open().await;
    let wrong = [
        core.append(JsValue::NULL).unwrap_err(),
        core.append(draft(&core, r#""sometimes""#)).unwrap_err(),
        core.append(draft(&core, "-1")).unwrap_err(),
        core.append(draft(&core, "1.5")).unwrap_err(),
        core.version("no-slash").unwrap_err(),
        core.commit("no-uuid").unwrap_err(),
        LogCore::new(options("")).unwrap_err(),
        LogCore::new(Object::new().into()).unwrap_err(),
        JsFuture::from(core.retry("no-uuid")).await.unwrap_err(),
        JsFuture::from(core.read_stream("no-slash", 1.0, 9.0, false, 9))
            .await
            .unwrap_err(),
    ];
    for error in wrong {
        assert_eq!(text(&error, "code"), "invalid_argument");
        assert!(!text(&error, "message").is_empty());
    }
    assert_eq!(Array::from(&core.queue()).length(), 0);
}

/// Waits until the log has confirmed this much; drops the notices.
async fn reach(core: &LogCore, position: f64) {
    while get(&core.status(), "position").as_f64() < Some(position) {
        while !core.poll().is_undefined() {}
        TimeoutFuture::new(5).await;
    }
}

async fn settle(promise: Promise) -> JsValue {
    JsFuture::from(promise).await.unwrap()
}

/// As the border's numbers say it.
const ANY: f64 = -1.0;
const EXISTS: f64 = -2.0;

fn append_flat(core: &LogCore, stream: &str, expected: f64) -> Result<f64, JsValue> {
    let id = core.new_commit_id();
    core.append_flat(
        &id,
        1_000.0,
        0,
        expected,
        stream,
        "todo.added",
        1,
        r#"{"title":"Öl"}"#,
        Some("add".into()),
        Some("{}".into()),
    )
}

fn floats(value: &JsValue, name: &str) -> Vec<f64> {
    Array::from(&get(value, name))
        .iter()
        .map(|one| one.as_f64().unwrap())
        .collect()
}

#[wasm_bindgen_test]
async fn a_flat_append_is_an_append() {
    let core = open().await;
    let error = append_flat(&core, "todo/1", EXISTS).unwrap_err();
    assert_eq!(text(&error, "code"), "version_conflict");
    assert_eq!(append_flat(&core, "todo/1", ANY).unwrap(), 1.0);
    assert_eq!(append_flat(&core, "todo/1", 1.0).unwrap(), 2.0);
    let error = append_flat(&core, "todo/1", 0.0).unwrap_err();
    assert_eq!(text(&error, "code"), "version_conflict");
    for (stream, expected) in [("no-slash", ANY), ("todo/1", -3.0), ("todo/1", 1.5)] {
        let error = append_flat(&core, stream, expected).unwrap_err();
        assert_eq!(text(&error, "code"), "invalid_argument");
    }
    let queued = Array::from(&core.queue()).get(1);
    let commit = core.commit(&text(&queued, "id")).unwrap();
    assert_eq!(text(&get(&commit, "command"), "name"), "add");
    let event = Array::from(&get(&commit, "events")).get(0);
    assert_eq!(get(&event, "version").as_f64(), Some(2.0));
    assert_eq!(append_flat(&core, "todo/1", EXISTS).unwrap(), 3.0);
    let commit = core.commit(&text(&queued, "id")).unwrap();
    let event = Array::from(&get(&commit, "events")).get(0);
    assert_eq!(get(&event, "version").as_f64(), Some(2.0));
    assert_eq!(text(&event, "data"), r#"{"title":"Öl"}"#);
}

/// The place of the first change, and how many commits stand there and behind.
fn changes(core: &LogCore, known: usize) -> (Option<f64>, u32) {
    let changes = core.queue_changes(known);
    let entries = Array::from(&get(&changes, "entries"));
    (get(&changes, "from").as_f64(), entries.length())
}

#[wasm_bindgen_test]
async fn a_mirror_of_the_queue_is_told_only_what_it_does_not_know() {
    let core = open().await;
    append_flat(&core, "todo/1", ANY).unwrap();
    append_flat(&core, "todo/2", ANY).unwrap();
    assert_eq!(
        changes(&core, 2),
        (Some(2.0), 0),
        "it knows what it appended"
    );
    assert_eq!(changes(&core, 0), (Some(0.0), 2), "it begins anew");
    append_flat(&core, "todo/1", ANY).unwrap();
    assert_eq!(changes(&core, 2), (Some(0.0), 3), "it has lost one");
    reach(&core, 3.0).await;
    assert_eq!(changes(&core, 0), (Some(0.0), 0), "they were settled");
}

#[wasm_bindgen_test]
async fn confirmed_events_come_as_columns() {
    let core = open().await;
    append_flat(&core, "todo/1", ANY).unwrap();
    append_flat(&core, "todo/2", ANY).unwrap();
    append_flat(&core, "todo/1", ANY).unwrap();
    let told = loop {
        match notice(&core, "batch") {
            Some(told) => break told,
            None => TimeoutFuture::new(5).await,
        }
    };
    let batch = get(&told, "batch");
    assert_eq!(get(&batch, "count").as_f64(), Some(3.0));
    assert_eq!(get(&batch, "firstPosition").as_f64(), Some(1.0));
    assert_eq!(get(&batch, "skip").as_f64(), Some(0.0));
    let names = text(&batch, "names");
    let names: Vec<&str> = names.split('\n').collect();
    let streams: Vec<&str> = floats(&batch, "stream")
        .iter()
        .map(|at| names[*at as usize])
        .collect();
    assert_eq!(streams, ["todo/1", "todo/2", "todo/1"]);
    assert_eq!(floats(&batch, "version"), [1.0, 1.0, 2.0]);
    assert_eq!(floats(&batch, "commitEnd"), [1.0, 2.0, 3.0]);
    assert_eq!(text(&batch, "commitIds").len(), 3 * 36);
    let data = parse(&format!("[{}]", payloads(&batch)));
    assert_eq!(text(&Array::from(&data).get(2), "title"), "Öl");
    let starts = floats(&batch, "payloadAt");
    let last = payloads(&batch)
        .get(starts[2] as usize..)
        .map(str::to_owned);
    assert_eq!(text(&parse(&last.unwrap()), "title"), "Öl");

    let page = settle(core.read_log(1.0, 9.0, true, 1 << 20)).await;
    assert_eq!(get(&page, "more").as_bool(), Some(false));
    let page = settle(core.read_stream("todo/1", 2.0, 9.0, false, 10)).await;
    let batch = Array::from(&get(&page, "batches")).get(0);
    assert_eq!(floats(&batch, "positions"), [3.0]);
    assert_eq!(floats(&batch, "version"), [2.0]);
    let now = settle(core.position_at(js_sys::Date::now())).await;
    assert_eq!(now.as_f64(), Some(3.0));
    let none = settle(core.frames_from(4.0, 1_000)).await;
    assert!(none.is_undefined());
}

#[wasm_bindgen_test]
async fn imported_columns_keep_text_tags_and_commits() {
    let core = open().await;
    let batch = parse(
        r#"{"streams":["todo/1","todo/2"],"types":["todo.added"],
            "data":"{\"t\":\"Größe 🎈\"},{\"t\":2},null",
            "extras":[{"event":1,"tags":["red"],"meta":{"device":"phone"}}]}"#,
    );
    let digest = "0a".repeat(32);
    let erased = parse(&format!(r#"{{"event":2,"erased":"{digest}"}}"#));
    let extras = Array::from(&get(&batch, "extras"));
    extras.push(&erased);
    Reflect::set(&batch, &"extras".into(), &extras).unwrap();
    let ends: Vec<u32> = [r#"{"t":"Größe 🎈"}"#, r#"{"t":2}"#, "null"]
        .iter()
        .scan(0, |end, part| {
            let this = *end + part.encode_utf16().count() as u32;
            *end = this + 1;
            Some(this)
        })
        .collect();
    let columns: [(&str, &[u32]); 5] = [
        ("stream", &[0, 1, 0]),
        ("type", &[0, 0, 0]),
        ("schema", &[1, 1, 3]),
        ("ends", &ends),
        ("commitEnd", &[2, 3]),
    ];
    for (name, values) in columns {
        Reflect::set(&batch, &name.into(), &Uint32Array::from(values)).unwrap();
    }
    let times = Float64Array::from(&[5.0, 6.0, 7.0][..]);
    Reflect::set(&batch, &"occurredAt".into(), &times).unwrap();
    let imported = settle(core.import_events(batch.clone())).await;
    assert_eq!(get(&imported, "events").as_f64(), Some(3.0));
    assert_eq!(get(&imported, "commits").as_f64(), Some(2.0));
    let page = settle(core.read_log(1.0, 3.0, false, 1 << 20)).await;
    let read = Array::from(&get(&page, "batches")).get(0);
    assert_eq!(payloads(&read), text(&batch, "data"));
    assert_eq!(floats(&read, "commitEnd"), [2.0, 3.0]);
    assert_eq!(floats(&read, "occurredAt"), [5.0, 6.0, 7.0]);
    let extra = Array::from(&get(&read, "extras")).get(0);
    assert_eq!(get(&extra, "event").as_f64(), Some(1.0));
    assert_eq!(Array::from(&get(&extra, "tags")).get(0), "red");
    assert_eq!(text(&get(&extra, "meta"), "device"), "phone");
    assert_eq!(floats(&read, "erased"), [2.0]);
    assert_eq!(text(&read, "digests"), digest);

    Reflect::set(&batch, &"commitEnd".into(), &Uint32Array::from(&[2][..])).unwrap();
    let error = JsFuture::from(core.import_events(batch)).await.unwrap_err();
    assert_eq!(text(&error, "code"), "invalid_argument");
    let error = JsFuture::from(core.import_frames(b"none".to_vec()))
        .await
        .unwrap_err();
    assert_eq!(text(&error, "code"), "import_mismatch");
}

#[wasm_bindgen_test]
async fn a_saved_state_is_told_before_anything_else_when_the_log_is_opened() {
    let probe = LogCore::new(options("probe")).unwrap();
    let name = format!("test-{}", probe.new_commit_id());
    let core = LogCore::new(options(&name)).unwrap();
    settle(core.open()).await;
    append_flat(&core, "todo/1", ANY).unwrap();
    append_flat(&core, "todo/2", ANY).unwrap();
    reach(&core, 2.0).await;
    assert_eq!(core.snapshot_due(), 0.0);
    while core.snapshot_now() == 0.0 {
        while !core.poll().is_undefined() {}
        TimeoutFuture::new(5).await;
    }
    assert_eq!(core.snapshot_now(), 2.0);
    let fold = |whole| {
        parse(&format!(
            r#"{{"name":"todo","version":1,"buckets":2,"whole":{whole},
                "changed":[{{"bucket":1,"data":"Größe"}}]}}"#
        ))
    };
    // Only whole states can be first, and only where the log stands.
    assert_eq!(
        settle(core.save_snapshot(1.0, vec![fold(true)])).await,
        false
    );
    assert_eq!(
        settle(core.save_snapshot(2.0, vec![fold(false)])).await,
        false
    );
    assert_eq!(
        settle(core.save_snapshot(2.0, vec![fold(true)])).await,
        true
    );
    settle(core.close()).await;

    let again = LogCore::new(options(&name)).unwrap();
    settle(again.open()).await;
    let told = again.poll();
    assert_eq!(text(&told, "kind"), "snapshot");
    assert_eq!(text(&told, "name"), "todo");
    assert_eq!(get(&told, "position").as_f64(), Some(2.0));
    assert_eq!(get(&told, "last").as_bool(), Some(true));
    assert_eq!(Array::from(&get(&told, "buckets")).get(0), "Größe");
    assert!(notice(&again, "batch").is_none());
    assert_eq!(again.version("todo/1").unwrap(), 1.0);
    settle(again.forget_snapshots()).await;
    settle(again.close()).await;
    let third = LogCore::new(options(&name)).unwrap();
    settle(third.open()).await;
    assert!(notice(&third, "batch").is_some());
}

#[wasm_bindgen_test]
async fn storage_verification_and_export_have_the_fields_of_their_types() {
    let core = open().await;
    append_flat(&core, "todo/1", ANY).unwrap();
    let unconfirmed: Uint8Array = settle(core.unconfirmed()).await.unchecked_into();
    assert!(unconfirmed.length() > 80);
    reach(&core, 1.0).await;
    let storage = settle(core.storage()).await;
    for name in ["events", "oldest", "frames"] {
        assert_eq!(get(&storage, name).as_f64(), Some(1.0), "{name}");
    }
    for name in ["segments", "quarantined", "lost"] {
        assert_eq!(get(&storage, name).as_f64(), Some(0.0), "{name}");
    }
    assert!(get(&storage, "bytes").as_f64() > Some(80.0));
    assert_eq!(Array::from(&get(&storage, "gaps")).length(), 0);
    let compacted = settle(core.compact()).await;
    assert_eq!(get(&compacted, "sealed").as_f64(), Some(0.0));
    let verified = settle(core.verify(1.0, 1_000)).await;
    assert_eq!(get(&verified, "position").as_f64(), Some(1.0));
    assert_eq!(get(&verified, "done").as_bool(), Some(true));
    let lost: Uint8Array = settle(core.lost()).await.unchecked_into();
    assert_eq!(lost.length(), 0);
    let persisted = settle(core.persist()).await;
    assert!(persisted.as_bool().is_some());
}

#[wasm_bindgen_test]
async fn what_is_not_parked_cannot_be_resolved() {
    let core = open().await;
    let id = core.new_commit_id();
    for resolved in [core.retry(&id), core.rebase(&id), core.discard(&id)] {
        let error = JsFuture::from(resolved).await.unwrap_err();
        assert_eq!(text(&error, "code"), "not_parked");
    }
}

#[wasm_bindgen_test]
async fn a_log_that_is_not_open_and_one_that_is_closed_say_so() {
    let core = LogCore::new(options("never-opened")).unwrap();
    assert_eq!(
        text(&core.append(draft(&core, "0")).unwrap_err(), "code"),
        "not_ready"
    );
    let core = open().await;
    JsFuture::from(core.close()).await.unwrap();
    assert_eq!(
        text(&core.append(draft(&core, "0")).unwrap_err(), "code"),
        "closed"
    );
    assert_eq!(text(&core.status(), "phase"), "closed");
}

#[wasm_bindgen_test]
async fn the_status_has_the_fields_of_its_type() {
    let core = open().await;
    core.append(draft(&core, "0")).unwrap();
    let status = core.status();
    assert_eq!(text(&status, "phase"), "local");
    assert_eq!(get(&status, "pending").as_f64(), Some(1.0));
    assert_eq!(get(&status, "parked").as_f64(), Some(0.0));
    assert_eq!(get(&status, "position").as_f64(), Some(0.0));
    assert!(get(&status, "leader").as_bool().is_some());
    assert!(get(&status, "error").is_undefined());
}
