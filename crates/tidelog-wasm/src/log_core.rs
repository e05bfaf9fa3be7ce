//! The one exported class.

use crate::batch::{self, set};
use crate::draft;
use crate::error::{invalid, number, throw};
use crate::{notice, parked};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Array, Function, Object, Promise};
use std::rc::Rc;
use tidelog_client::{ClientError, Fields, Log, Options, Outcome, new_commit_id, now};
use tidelog_core::map::Map;
use tidelog_core::store::Durability;
use tidelog_core::{CommitId, LogName, Position, StreamId, Subject};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

/// One log in one tab. See `js/src/log.ts` for what it is made into.
#[wasm_bindgen]
#[derive(Debug)]
pub struct LogCore {
    inner: Log,
}

fn commit_id(id: &str) -> Result<CommitId, JsValue> {
    id.parse().map_err(|error| invalid("commit id", &error))
}

fn stream_id(stream: &str) -> Result<StreamId, JsValue> {
    StreamId::new(stream).map_err(|error| invalid("stream", &error))
}

/// Asks JavaScript for a token; anything but text means none.
fn token_source(source: Function) -> tidelog_client::TokenSource {
    Rc::new(move || {
        let asked = source.call0(&JsValue::UNDEFINED);
        Box::pin(async move {
            let token = JsFuture::from(Promise::resolve(&asked.ok()?)).await.ok()?;
            token.as_string()
        })
    })
}

#[wasm_bindgen]
impl LogCore {
    /// A log that is not open yet.
    ///
    /// # Errors
    /// `invalid_argument` if an option is not valid.
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue) -> Result<Self, JsValue> {
        let fields = Fields::of(&options);
        let bad = |error| invalid("options", &error);
        let text = |field| fields.text(field).map_err(bad);
        let wake = fields
            .value("wake")
            .dyn_into::<Function>()
            .map_err(|_other| invalid("options", &"wake is not a function"))?;
        let token = fields.value("token").dyn_into::<Function>();
        let inner = Log::new(Options {
            log: LogName::new(text("log")?).map_err(|error| invalid("log name", &error))?,
            user: Subject::new(text("user")?).map_err(|error| invalid("user", &error))?,
            url: fields.optional_text("url").map_err(bad)?,
            token: token.ok().map(token_source),
            durability: match text("durability")?.as_str() {
                "strict" => Durability::Strict,
                "relaxed" => Durability::Relaxed,
                _ => return Err(invalid("options", &"durability is strict or relaxed")),
            },
            wake: Rc::new(move || {
                // What a callback throws is its own affair; it must not stop the log.
                let _thrown = wake.call0(&JsValue::UNDEFINED);
            }),
        });
        Ok(Self { inner })
    }

    /// Opens and replays the local database.
    ///
    /// # Errors
    /// A store error's code, such as `storage_unavailable`.
    pub fn open(&self) -> Promise {
        let log = self.inner.clone();
        future_to_promise(async move {
            log.open().await.map_err(throw)?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// A new commit id.
    #[wasm_bindgen(js_name = newCommitId)]
    #[must_use]
    pub fn new_commit_id(&self) -> String {
        new_commit_id().to_string()
    }

    /// Appends; gives each event's version as shown.
    ///
    /// # Errors
    /// `version_conflict`, `commit_too_large`, `not_ready`, `closed`, `invalid_argument`, …
    pub fn append(&self, draft: JsValue) -> Result<JsValue, JsValue> {
        let draft = draft::draft(&draft).map_err(|error| invalid("draft", &error))?;
        let versions = self.inner.append(draft).map_err(throw)?;
        let appended = Object::new();
        let versions: Array = versions
            .into_iter()
            .map(|version| JsValue::from_f64(number(version.value())))
            .collect();
        set(&appended, "versions", &versions);
        Ok(appended.into())
    }

    /// The next notice, or undefined.
    #[must_use]
    pub fn poll(&self) -> JsValue {
        self.inner
            .poll_notice()
            .map_or(JsValue::UNDEFINED, notice::notice)
    }

    /// The commits that are not confirmed: id, attempt and state, in order.
    #[must_use]
    pub fn queue(&self) -> Array {
        self.inner.with_queue(|queue| {
            queue
                .map(|queued| {
                    let entry = Object::new();
                    let commit = &queued.local.commit;
                    let state = match (queued.acked, queued.durable) {
                        (Some(_), _) => "acked",
                        (None, true) => "pending",
                        (None, false) => "local",
                    };
                    set(&entry, "id", &JsValue::from_str(&commit.id.to_string()));
                    set(&entry, "attempt", &JsValue::from(commit.attempt.value()));
                    set(&entry, "state", &JsValue::from_str(state));
                    JsValue::from(entry)
                })
                .collect()
        })
    }

    /// A commit of the queue, whole.
    ///
    /// # Errors
    /// `invalid_argument` if the id is none.
    pub fn commit(&self, id: &str) -> Result<JsValue, JsValue> {
        let id = commit_id(id)?;
        let log = &self.inner;
        Ok(log.with_queue(|queue| {
            let mut later: Map<StreamId, u64> = Map::new();
            let mut found = None;
            for queued in queue {
                if queued.local.commit.id == id {
                    found = Some(queued.local.clone());
                    later.clear();
                }
                if found.is_some() {
                    for event in &queued.local.commit.events {
                        *later.entry(event.stream.clone()).or_default() += 1;
                    }
                }
            }
            let Some(local) = found else {
                return JsValue::UNDEFINED;
            };
            // Counted back from the end of each stream as shown.
            let versions: Vec<u64> = local
                .commit
                .events
                .iter()
                .map(|event| {
                    let left = later.get_mut(&event.stream).map_or(1, |left| {
                        *left -= 1;
                        *left + 1
                    });
                    let end = log
                        .head(&event.stream)
                        .map_or(0, |head| head.version.value());
                    (end + 1).saturating_sub(left)
                })
                .collect();
            notice::commit(&local, &versions)
        }))
    }

    /// The answer to a rerun notice.
    ///
    /// # Errors
    /// `invalid_argument` if the answer is not valid; the commit is then refused with that.
    #[wasm_bindgen(js_name = answerRerun)]
    pub fn answer_rerun(&self, id: &str, answer: JsValue) -> Result<(), JsValue> {
        let id = commit_id(id)?;
        match draft::answer(&answer, now()) {
            Ok(answer) => {
                self.inner.answer_rerun(id, answer);
                Ok(())
            }
            Err(error) => {
                self.inner.answer_rerun(
                    id,
                    tidelog_core::replica::RerunAnswer::Refused {
                        code: "invalid_argument".into(),
                        message: "the command's events are not valid".into(),
                    },
                );
                Err(invalid("answer", &error))
            }
        }
    }

    /// A stream's version as shown.
    ///
    /// # Errors
    /// `invalid_argument` if the stream's id is not valid.
    pub fn version(&self, stream: &str) -> Result<f64, JsValue> {
        let head = self.inner.head(&stream_id(stream)?);
        Ok(head.map_or(0.0, |head| number(head.version.value())))
    }

    /// The confirmed events of one stream, as an array of at most one batch.
    ///
    /// # Errors
    /// A store error's code.
    pub fn history(&self, stream: &str) -> Promise {
        let log = self.inner.clone();
        let stream = stream_id(stream);
        future_to_promise(async move {
            let events = log.history(&stream?).await.map_err(throw)?;
            let batches = Array::new();
            if !events.is_empty() {
                batches.push(&batch::of_events(&events));
            }
            Ok(batches.into())
        })
    }

    /// Confirmed events from a position on as one batch of whole commits, or undefined past the end.
    ///
    /// # Errors
    /// A store error's code.
    #[wasm_bindgen(js_name = logFrom)]
    pub fn log_from(&self, position: f64, limit: u32) -> Promise {
        let log = self.inner.clone();
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a position that came from here; anything else saturates"
        )]
        let before = Position::new((position as u64).saturating_sub(1));
        future_to_promise(async move {
            let events = log.after(before, limit as usize).await.map_err(throw)?;
            if events.is_empty() {
                return Ok(JsValue::UNDEFINED);
            }
            Ok(batch::of_events(&events))
        })
    }

    /// The parked commits, each with its own events and those it collided with.
    ///
    /// # Errors
    /// A store error's code.
    pub fn parked(&self) -> Promise {
        let log = self.inner.clone();
        future_to_promise(async move {
            let both = log.parked().await.map_err(throw)?;
            let parked: Array = both
                .iter()
                .map(|(commit, theirs)| parked::parked(commit, theirs))
                .collect();
            Ok(parked.into())
        })
    }

    /// Decides a parked command again.
    ///
    /// # Errors
    /// `not_parked` if nothing of this id is parked.
    pub fn retry(&self, id: &str) -> Promise {
        self.resolve(id, Log::retry)
    }

    /// Appends the events of a parked commit as they are.
    ///
    /// # Errors
    /// `not_parked` if nothing of this id is parked.
    pub fn rebase(&self, id: &str) -> Promise {
        self.resolve(id, Log::rebase)
    }

    /// Drops a parked commit for good.
    ///
    /// # Errors
    /// `not_parked` if nothing of this id is parked.
    pub fn discard(&self, id: &str) -> Promise {
        self.resolve(id, Log::discard)
    }

    fn resolve(
        &self,
        id: &str,
        how: impl Fn(&Log, CommitId) -> Result<(), ClientError>,
    ) -> Promise {
        let resolved = commit_id(id).and_then(|id| how(&self.inner, id).map_err(throw));
        match resolved {
            Ok(()) => Promise::resolve(&JsValue::UNDEFINED),
            Err(error) => Promise::reject(&error),
        }
    }

    /// What has become of a commit: `{ state, position? }`.
    ///
    /// # Errors
    /// A store error's code.
    pub fn outcome(&self, id: &str) -> Promise {
        let log = self.inner.clone();
        let id = commit_id(id);
        future_to_promise(async move {
            let id = id?;
            let mut outcome = log.outcome(id).await.map_err(throw)?;
            while outcome == Outcome::Local {
                TimeoutFuture::new(5).await;
                outcome = log.outcome(id).await.map_err(throw)?;
            }
            let (state, position) = match outcome {
                Outcome::Durable => ("durable", None),
                Outcome::Acked(position) => ("acked", Some(position)),
                Outcome::Confirmed(position) => ("confirmed", Some(position)),
                Outcome::Parked => ("parked", None),
                _ => ("absent", None),
            };
            let outcome = Object::new();
            set(&outcome, "state", &JsValue::from_str(state));
            if let Some(position) = position {
                set(
                    &outcome,
                    "position",
                    &JsValue::from_f64(number(position.value())),
                );
            }
            Ok(outcome.into())
        })
    }

    /// The state of health.
    #[must_use]
    pub fn status(&self) -> JsValue {
        let (status, peer) = self.inner.status();
        notice::status(&status, peer)
    }

    /// Look again now: at the database and at the server.
    pub fn kick(&self) {
        self.inner.kick();
    }

    /// Writes what is not on disk yet, then closes.
    pub fn close(&self) -> Promise {
        let log = self.inner.clone();
        future_to_promise(async move {
            log.close().await;
            Ok(JsValue::UNDEFINED)
        })
    }
}
