//! The one exported class.

mod importing;
mod keeping;
mod reading;

use crate::batch::set;
use crate::draft::{self, DraftError, Flat};
use crate::error::{invalid, number, throw};
use crate::event::EventJs;
use crate::{notice, parked};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Array, Function, Object, Promise};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use tidelog_client::{
    ClientError, FieldError, Fields, Log, Options, Outcome, Retain, TAKE_OVER_MILLIS,
    new_commit_id, now,
};
use tidelog_core::map::{Map, Set};
use tidelog_core::replica::{Decision, Draft, Notice, Question, Queued, ReceiptState};
use tidelog_core::store::Durability;
use tidelog_core::{Attempt, CommitId, Filter, LogName, Position, StreamId, Subject, Version};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

/// One log in one tab. See `js/src/log.ts` for what it is made into.
#[wasm_bindgen]
#[derive(Debug)]
pub struct LogCore {
    inner: Log,
    /// Polled already, to see whether it belongs to what was told before it.
    next: RefCell<Option<Notice>>,
    /// The queue as of the last call, as long as nothing changes it.
    queued: RefCell<Option<Queue>>,
    /// What the mirror of the queue was told: each commit and its attempt, in order.
    told: RefCell<Vec<(CommitId, Attempt)>>,
}

/// Where each commit of the queue stands, and the versions that its events are shown with. Made once for all that JavaScript asks
/// about one state of the queue.
#[derive(Debug)]
struct Queue(Map<CommitId, (usize, Vec<u64>)>);

impl Queue {
    fn of(log: &Log) -> Self {
        let mut counted: Map<StreamId, u64> = Map::new();
        let mut commits: Vec<(CommitId, Vec<u64>)> = Vec::new();
        log.with_queue(|queue| {
            for queued in queue {
                let events = queued.local.commit.events.iter();
                let places = events.map(|event| {
                    let count = counted.entry(event.stream.clone()).or_default();
                    *count += 1;
                    *count
                });
                commits.push((queued.local.commit.id, places.collect()));
            }
        });
        // Counted so far from the confirmed end of each stream; what is shown begins there.
        let mut index = 0;
        let mut shown = Map::new();
        log.with_queue(|queue| {
            for (queued, (id, mut versions)) in queue.zip(commits) {
                for (event, version) in queued.local.commit.events.iter().zip(&mut versions) {
                    let end = log.head(&event.stream);
                    let end = end.map_or(0, |head| head.version.value());
                    let all = counted.get(&event.stream).copied().unwrap_or_default();
                    *version += end.saturating_sub(all);
                }
                shown.insert(id, (index, versions));
                index += 1;
            }
        });
        Self(shown)
    }
}

fn commit_id(id: &str) -> Result<CommitId, JsValue> {
    id.parse().map_err(|error| invalid("commit id", &error))
}

fn stream_id(stream: &str) -> Result<StreamId, JsValue> {
    StreamId::new(stream).map_err(|error| invalid("stream", &error))
}

/// A future as a promise. It is boxed, so that what drives it is there once and not for each function.
fn promise(work: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Promise {
    let work: Pin<Box<dyn Future<Output = Result<JsValue, JsValue>>>> = Box::pin(work);
    future_to_promise(work)
}

/// A position or a version as JavaScript counts it; anything else saturates.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number that came from here; anything else saturates"
)]
const fn position(of: f64) -> Position {
    Position::new(of as u64)
}

/// Which part of the log to keep.
fn retain(of: &JsValue) -> Result<Retain, FieldError> {
    if of.is_undefined() {
        return Ok(Retain::All);
    }
    let of = Fields::of(of);
    Ok(match of.value("newest").is_undefined() {
        false => Retain::Newest(of.whole("newest")?),
        true => Retain::Since(draft::timestamp(of.number("since")?)),
    })
}

/// Asks JavaScript for a token; anything but text means none. What it throws or rejects with says why it cannot tell.
fn token_source(source: Function) -> tidelog_client::TokenSource {
    Rc::new(move |another| {
        let asked = source.call1(&JsValue::UNDEFINED, &another.into());
        Box::pin(async move {
            let answer = match asked {
                Ok(asked) => JsFuture::from(Promise::resolve(&asked)).await,
                Err(thrown) => Err(thrown),
            };
            match answer {
                Ok(token) => Ok(token.as_string()),
                Err(thrown) => {
                    let why = Fields::of(&thrown).text("message");
                    Err(why.unwrap_or_else(|_untold| String::from("no details")))
                }
            }
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
        let mut folds = Vec::new();
        for fold in fields.list("folds").map_err(bad)? {
            folds.push(keeping::fold_name(Fields::of(&fold)).map_err(bad)?);
        }
        let inner = Log::new(Options {
            log: LogName::new(text("log")?).map_err(|error| invalid("log name", &error))?,
            user: Subject::new(text("user")?).map_err(|error| invalid("user", &error))?,
            url: fields.optional_text("url").map_err(bad)?,
            filter: match fields.optional_text("only").map_err(bad)? {
                Some(only) => only.parse().map_err(|error| invalid("sync.only", &error))?,
                None => Filter::default(),
            },
            token: token.ok().map(token_source),
            detached: fields.value("detached").is_truthy(),
            take_over_after: match fields.value("takeOverAfter").is_undefined() {
                true => TAKE_OVER_MILLIS,
                false => fields.small("takeOverAfter").map_err(bad)?,
            },
            durability: match text("durability")?.as_str() {
                "strict" => Durability::Strict,
                "relaxed" => Durability::Relaxed,
                _ => return Err(invalid("options", &"durability is strict or relaxed")),
            },
            retain: retain(&fields.value("retain")).map_err(bad)?,
            snapshots: fields.value("snapshots").is_truthy(),
            folds,
            wake: Rc::new(move || {
                // What a callback throws is its own affair; it must not stop the log.
                let _thrown = wake.call0(&JsValue::UNDEFINED);
            }),
        });
        Ok(Self {
            inner,
            next: RefCell::default(),
            queued: RefCell::default(),
            told: RefCell::default(),
        })
    }

    /// Opens and replays the local database.
    ///
    /// # Errors
    /// A store error's code, such as `storage_unavailable`.
    pub fn open(&self) -> Promise {
        let log = self.inner.clone();
        promise(async move {
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
        let versions = self.put(draft)?;
        let appended = Object::new();
        let versions: Array = versions
            .into_iter()
            .map(|version| JsValue::from_f64(number(version.value())))
            .collect();
        set(&appended, "versions", &versions);
        Ok(appended.into())
    }

    /// Appends a commit of one event on its own stream; gives the event's version as shown.
    ///
    /// # Errors
    /// As [`LogCore::append`].
    #[wasm_bindgen(js_name = appendFlat)]
    #[allow(
        clippy::too_many_arguments,
        reason = "an object would cost more than the append itself"
    )]
    pub fn append_flat(
        &self,
        id: &str,
        occurred_at: f64,
        policy: u8,
        expected: f64,
        stream: &str,
        event_type: &str,
        schema: u32,
        data: &str,
        command_name: Option<String>,
        command_args: Option<String>,
    ) -> Result<f64, JsValue> {
        let command = command_name.as_deref().zip(command_args.as_deref());
        let flat = Flat {
            id,
            occurred_at,
            policy,
            expected,
            stream,
            event_type,
            schema,
            data,
            command,
        };
        let draft = flat.draft().map_err(|error| invalid("draft", &error))?;
        let versions = self.put(draft)?;
        let version = versions.first().map_or(0, |version| version.value());
        Ok(number(version))
    }

    /// The next notice, or undefined.
    #[must_use]
    pub fn poll(&self) -> JsValue {
        self.queued.take();
        if let Some(part) = self.inner.poll_snapshot() {
            return notice::snapshot(&part);
        }
        let next = self.next.take().or_else(|| self.inner.poll_notice());
        if let Some(Notice::Confirmed { settled, .. }) = &next
            && !settled.is_empty()
        {
            let settled: Set<CommitId> = settled.iter().copied().collect();
            let mut told = self.told.borrow_mut();
            told.retain(|(id, _)| !settled.contains(id));
        }
        let Some(Notice::Receipt {
            id,
            state: ReceiptState::Durable,
        }) = next
        else {
            return next.map_or(JsValue::UNDEFINED, |next| {
                notice::notice(next, || self.inner.filter())
            });
        };
        let mut ids = vec![id];
        while let Some(next) = self.inner.poll_notice() {
            match next {
                Notice::Receipt {
                    id,
                    state: ReceiptState::Durable,
                } => ids.push(id),
                other => {
                    *self.next.borrow_mut() = Some(other);
                    break;
                }
            }
        }
        notice::durable(&ids)
    }

    /// The commits that are not confirmed: id, attempt and state, in order.
    #[must_use]
    pub fn queue(&self) -> JsValue {
        self.queued.take();
        self.inner.with_queue(notice::queue)
    }

    /// The same for the mirror that knows so many: from the first one on that is not as it was told.
    #[wasm_bindgen(js_name = queueChanges)]
    #[must_use]
    pub fn queue_changes(&self, known: usize) -> JsValue {
        self.queued.take();
        let mut told = self.told.borrow_mut();
        if told.len() != known {
            told.clear();
        }
        let from = self.inner.with_queue(|queue| {
            let same = queue.zip(told.iter()).take_while(|(queued, told)| {
                let commit = &queued.local.commit;
                (commit.id, commit.attempt) == **told
            });
            same.count()
        });
        told.truncate(from);
        let entries = self.inner.with_queue(|queue| {
            notice::queue(&mut queue.skip(from).inspect(|queued| {
                let commit = &queued.local.commit;
                told.push((commit.id, commit.attempt));
            }))
        });
        let changes = Object::new();
        set(&changes, "from", &number(from as u64).into());
        set(&changes, "entries", &entries);
        changes.into()
    }

    /// The versions that the events of a commit of the queue are shown with.
    ///
    /// # Errors
    /// `invalid_argument` if the id is none.
    #[wasm_bindgen(js_name = queuedVersions)]
    #[allow(clippy::cast_precision_loss, reason = "versions stay below 2^53")]
    pub fn queued_versions(&self, id: &str) -> Result<Option<Vec<f64>>, JsValue> {
        let id = commit_id(id)?;
        let mut queued = self.queued.borrow_mut();
        let queued = queued.get_or_insert_with(|| Queue::of(&self.inner));
        let versions = queued.0.get(&id).map(|(_, versions)| versions);
        Ok(versions.map(|all| all.iter().map(|version| *version as f64).collect()))
    }

    /// A commit of the queue, whole.
    ///
    /// # Errors
    /// `invalid_argument` if the id is none.
    pub fn commit(&self, id: &str) -> Result<JsValue, JsValue> {
        let id = commit_id(id)?;
        let mut queued = self.queued.borrow_mut();
        let queued = queued.get_or_insert_with(|| Queue::of(&self.inner));
        let Some((index, versions)) = queued.0.get(&id) else {
            return Ok(JsValue::UNDEFINED);
        };
        let commit = |queued: Queued<'_>| notice::commit(queued.local, versions);
        Ok(self.inner.with_queued(*index, commit).unwrap_or_default())
    }

    /// The answer to a rerun or merge notice.
    ///
    /// # Errors
    /// `invalid_argument` if the decision is not valid; the commit is then refused with that.
    pub fn decide(&self, id: &str, question: u32, decision: JsValue) -> Result<(), JsValue> {
        self.answer(id, question, draft::decision(&decision, now()))
    }

    fn answer(
        &self,
        id: &str,
        question: u32,
        decision: Result<Decision, DraftError>,
    ) -> Result<(), JsValue> {
        self.queued.take();
        let question = Question {
            id: commit_id(id)?,
            number: question,
        };
        match decision {
            Ok(decision) => {
                self.inner.decide(question, decision);
                Ok(())
            }
            Err(error) => {
                let refused = Decision::Refused {
                    code: "invalid_argument".into(),
                    message: "the command's events are not valid".into(),
                };
                self.inner.decide(question, refused);
                Err(invalid("decision", &error))
            }
        }
    }

    /// The usual decision: one event, decided on its own stream alone.
    ///
    /// # Errors
    /// As [`LogCore::decide`].
    #[wasm_bindgen(js_name = decideFlat)]
    #[allow(
        clippy::too_many_arguments,
        reason = "reading an object would cost more than the decision itself"
    )]
    pub fn decide_flat(
        &self,
        id: &str,
        question: u32,
        occurred_at: f64,
        stream: &str,
        event_type: &str,
        schema: u32,
        data: &str,
    ) -> Result<(), JsValue> {
        let event = draft::flat_event(occurred_at, stream, event_type, schema, data);
        self.answer(
            id,
            question,
            event.map(|event| Decision::Events(vec![event])),
        )
    }

    /// Events of a stream from commits of the queue before this one; all of them if it is not in the queue. Their versions are 0.
    ///
    /// # Errors
    /// `invalid_argument` if the commit's or the stream's id is none.
    #[wasm_bindgen(js_name = queuedBefore)]
    pub fn queued_before(&self, id: &str, stream: &str) -> Result<JsValue, JsValue> {
        let (id, stream) = (commit_id(id)?, stream_id(stream)?);
        Ok(self.inner.with_queued_before(id, &stream, |events| {
            let events = events.map(|(id, event)| EventJs::pending(event, id.commit, 0));
            notice::js(&events.collect::<Vec<_>>())
        }))
    }

    /// Is a stream synced to this device?
    ///
    /// # Errors
    /// `invalid_argument` if the stream's id is not valid.
    pub fn keeps(&self, stream: &str) -> Result<bool, JsValue> {
        Ok(self.inner.keeps(&stream_id(stream)?))
    }

    /// A stream's version as shown.
    ///
    /// # Errors
    /// `invalid_argument` if the stream's id is not valid.
    pub fn version(&self, stream: &str) -> Result<f64, JsValue> {
        let head = self.inner.head(&stream_id(stream)?);
        Ok(head.map_or(0.0, |head| number(head.version.value())))
    }

    /// The parked commits, each with its own events and those it collided with.
    ///
    /// # Errors
    /// A store error's code.
    pub fn parked(&self) -> Promise {
        let log = self.inner.clone();
        promise(async move {
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

    /// Appends events in place of those of a parked commit: `{ events, occurredAt }`.
    ///
    /// # Errors
    /// `not_parked` if nothing of this id is parked; `invalid_argument` and what `append` throws for events that are no commit.
    pub fn replace(&self, id: &str, replacement: JsValue) -> Promise {
        match draft::replacement(&replacement) {
            Ok(events) => self.resolve(id, |log, id| log.replace(id, events.clone())),
            Err(error) => Promise::reject(&invalid("replacement", &error)),
        }
    }

    fn put(&self, draft: Draft) -> Result<Vec<Version>, JsValue> {
        self.queued.take();
        let id = draft.id;
        let versions = self.inner.append_shown(draft).map_err(throw)?;
        self.told.borrow_mut().push((id, Attempt::FIRST));
        Ok(versions)
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
        promise(async move {
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
        promise(async move {
            log.close().await;
            Ok(JsValue::UNDEFINED)
        })
    }
}
