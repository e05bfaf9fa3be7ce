//! The border as JavaScript meets it, in a real browser: shapes, codes, and what a refusal leaves behind.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use js_sys::{Array, Function, JSON, Object, Reflect};
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
    assert_eq!(get(&status, "leader").as_bool(), Some(false));
    assert!(get(&status, "error").is_undefined());
}
