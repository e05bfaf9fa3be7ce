//! What keys and values look like in the database: plain numbers, texts and bytes, legible in a browser's tools.

use crate::error::Failure;
use crate::schema::meta::{ERASED, FILTERS, HEAD};
use crate::schema::stores::{META, PENDING};
use crate::term::Term;
use js_sys::{Array, Object, Reflect, Uint8Array};
use tidelog_core::number::Generation;
use tidelog_core::store::{Erased, Filters, Head, Outcome, STORE_FORMAT, StoreError};
use tidelog_core::{Gap, Position, ReplicaId, Seq, gap};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::IdbKeyRange;

/// The largest key: numbers in JavaScript are doubles, and above this two of them become one.
pub(crate) const MAX_KEY: u64 = (1 << 53) - 1;

const WAITING: f64 = 0.0;
const SETTLED: f64 = -1.0;

/// A key from 1 to [`MAX_KEY`].
pub(crate) fn key(number: u64) -> Result<JsValue, Failure> {
    match number {
        1..=MAX_KEY => exact(number),
        _ => Err(Failure::refused(format!(
            "{number} is not a key: keys are 1 to {MAX_KEY}"
        ))),
    }
}

/// A number that a double holds exactly.
fn exact(number: u64) -> Result<JsValue, Failure> {
    if number > MAX_KEY {
        return Err(Failure::refused(format!("{number} is more than {MAX_KEY}")));
    }
    #[allow(
        clippy::cast_precision_loss,
        reason = "a double holds every integer up to MAX_KEY"
    )]
    Ok(JsValue::from_f64(number as f64))
}

/// The inverse of [`exact`].
pub(crate) fn number(value: &JsValue) -> Option<u64> {
    let number = value.as_f64()?;
    #[allow(
        clippy::cast_precision_loss,
        reason = "a double holds every integer up to MAX_KEY"
    )]
    let in_range = (0.0..=MAX_KEY as f64).contains(&number) && number.fract() == 0.0;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a whole number from 0 to MAX_KEY"
    )]
    in_range.then_some(number as u64)
}

/// A range of keys, both ends in it.
pub(crate) fn between(low: u64, high: u64) -> Result<JsValue, Failure> {
    ranged(IdbKeyRange::bound(&key(low)?, &key(high)?))
}

/// All keys from one on; `open` leaves that one out. 0 is before all keys.
pub(crate) fn from(low: u64, open: bool) -> Result<JsValue, Failure> {
    ranged(IdbKeyRange::lower_bound_with_open(&exact(low)?, open))
}

/// All keys up to one; `open` leaves that one out.
pub(crate) fn until(high: u64, open: bool) -> Result<JsValue, Failure> {
    ranged(IdbKeyRange::upper_bound_with_open(&key(high)?, open))
}

/// A range as the argument of a request.
pub(crate) fn ranged(range: Result<IdbKeyRange, JsValue>) -> Result<JsValue, Failure> {
    range
        .map(JsValue::from)
        .map_err(|thrown| Failure::of(&thrown))
}

/// A copy in memory of JavaScript's: structured clone of a view over wasm memory would copy all of that memory.
pub(crate) fn bytes(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// The inverse of [`bytes`].
pub(crate) fn read_bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}

/// The outcomes of a frame: 0 pending, -1 settled, otherwise the position that acked it.
pub(crate) fn outcomes(outcomes: &[Outcome]) -> Result<JsValue, Failure> {
    if outcomes.is_empty() {
        return Err(Failure::refused("a pending frame has at least one commit"));
    }
    let array = Array::new();
    for outcome in outcomes {
        array.push(&match outcome {
            Outcome::Pending => JsValue::from_f64(WAITING),
            Outcome::Settled => JsValue::from_f64(SETTLED),
            Outcome::Acked(position) => key(position.value())?,
        });
    }
    Ok(array.into())
}

/// The inverse of [`outcomes`].
pub(crate) fn read_outcomes(value: &JsValue) -> Option<Vec<Outcome>> {
    let outcome = |value: JsValue| match value.as_f64()? {
        SETTLED => Some(Outcome::Settled),
        WAITING => Some(Outcome::Pending),
        _ => number(&value).map(Position::new).map(Outcome::Acked),
    };
    value.dyn_ref::<Array>()?.iter().map(outcome).collect()
}

/// Which database this is and how far it has come: all that a write must know, so that one request reads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    pub(crate) replica: ReplicaId,
    pub(crate) head: Head,
    /// Who may append without a look ([`crate::term`]).
    pub(crate) term: Term,
}

/// `{format, replica, nextSeq, cursor, generation, term}`.
pub(crate) fn meta(meta: &Meta) -> Result<JsValue, Failure> {
    object([
        ("format", JsValue::from(STORE_FORMAT)),
        ("replica", JsValue::from_str(&meta.replica.to_string())),
        ("nextSeq", key(meta.head.next_seq.value())?),
        ("cursor", JsValue::from_str(&meta.head.cursor.to_string())),
        ("generation", exact(meta.head.generation.value())?),
        ("term", exact(meta.term.value())?),
    ])
}

/// The inverse of [`meta`].
pub(crate) fn read_meta(value: &JsValue) -> Result<Meta, StoreError> {
    let damaged = || corrupt(META, HEAD);
    let format = number_in(value, "format").ok_or_else(damaged)?;
    if format > u64::from(STORE_FORMAT) {
        return Err(StoreError::TooNew {
            found: u32::try_from(format).unwrap_or(u32::MAX),
            newest: STORE_FORMAT,
        });
    }
    let read = || {
        let text = |name| field(value, name)?.as_string();
        Some(Meta {
            replica: text("replica")?.parse().ok()?,
            head: Head {
                next_seq: Seq::new(number_in(value, "nextSeq")?),
                cursor: text("cursor")?.parse().ok()?,
                generation: Generation::new(number_in(value, "generation")?),
            },
            term: Term::new(number_in(value, "term")?),
        })
    };
    read().ok_or_else(damaged)
}

/// A pending frame as stored. The head is there if the frame was appended without a look at [`META`]: it is newer than
/// what stands there, if its generation is.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) first: u64,
    pub(crate) key: JsValue,
    pub(crate) frame: JsValue,
    pub(crate) commits: usize,
    pub(crate) head: Option<(Seq, Generation)>,
}

impl Pending {
    /// The head after this frame, if the frame is newer.
    pub(crate) fn advance(&self, head: &mut Head) {
        if let Some((next_seq, generation)) = self.head
            && generation > head.generation
        {
            head.next_seq = next_seq;
            head.generation = generation;
        }
    }
}

/// `[first, term]`, so that two who append at the same place do not take the same key, and a fence is nobody's frame.
pub(crate) fn pending_key(first: u64, term: Term) -> Result<JsValue, Failure> {
    Ok(Array::of2(&key(first)?, &exact(term.value())?).into())
}

/// All keys that [`pending_key`] gives for a sequence number: in the order of keys, lists come behind all numbers.
pub(crate) fn pending_at(first: u64) -> Result<JsValue, Failure> {
    let first = key(first)?;
    let end = Array::of2(&first, &Array::new());
    ranged(IdbKeyRange::bound(&Array::of1(&first), &end))
}

/// `{frame, commits}`, and `{nextSeq, generation}` too of a frame that brings its head along.
pub(crate) fn pending(
    frame: &[u8],
    commits: usize,
    head: Option<&Head>,
) -> Result<JsValue, Failure> {
    #[allow(clippy::cast_precision_loss, reason = "a frame has far fewer commits")]
    let commits = JsValue::from_f64(commits as f64);
    let fields = [("frame", bytes(frame)), ("commits", commits)];
    match head {
        None => object(fields),
        Some(head) => {
            let next = ("nextSeq", key(head.next_seq.value())?);
            let generation = ("generation", exact(head.generation.value())?);
            object(fields.into_iter().chain([next, generation]))
        }
    }
}

/// What stands where a frame of a term that was taken away would go.
pub(crate) fn fence() -> JsValue {
    JsValue::from_f64(0.0)
}

/// The inverse of [`pending`] and its key; `Ok(None)` is a fence.
pub(crate) fn read_pending(key: JsValue, value: &JsValue) -> Result<Option<Pending>, StoreError> {
    if value.as_f64().is_some() {
        return Ok(None);
    }
    let first = key.dyn_ref::<Array>().map(|key| key.get(0));
    let first = first
        .and_then(|first| number(&first))
        .ok_or_else(|| corrupt(PENDING, format_args!("{key:?}")))?;
    let head = number_in(value, "nextSeq").zip(number_in(value, "generation"));
    let read = || {
        let frame = field(value, "frame")?;
        let commits = usize::try_from(number_in(value, "commits")?).ok()?;
        let bytes = frame.is_instance_of::<Uint8Array>();
        (bytes && commits > 0).then_some((frame, commits))
    };
    let (frame, commits) = read().ok_or_else(|| corrupt(PENDING, first))?;
    Ok(Some(Pending {
        first,
        key,
        frame,
        commits,
        head: head.map(|(next, generation)| (Seq::new(next), Generation::new(generation))),
    }))
}

/// A plain object of these fields.
pub(crate) fn object(
    fields: impl IntoIterator<Item = (&'static str, JsValue)>,
) -> Result<JsValue, Failure> {
    let object = Object::new();
    for (name, value) in fields {
        Reflect::set(&object, &name.into(), &value).map_err(|thrown| Failure::of(&thrown))?;
    }
    Ok(object.into())
}

/// A field of an object; nothing of what is none.
pub(crate) fn field(value: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(value, &name.into()).ok()
}

/// A field that is a whole number.
pub(crate) fn number_in(value: &JsValue, name: &str) -> Option<u64> {
    number(&field(value, name)?)
}

/// The gaps of a log as numbers, three for each.
pub(crate) fn gaps(gaps: &[Gap]) -> Result<JsValue, Failure> {
    let numbers = gap::encode(gaps);
    if gap::decode(&numbers).is_none() {
        return Err(Failure::refused("the gaps are not in ascending order"));
    }
    let array: Array = numbers.into_iter().map(exact).collect::<Result<_, _>>()?;
    Ok(array.into())
}

/// The inverse of [`gaps`].
pub(crate) fn read_gaps(value: &JsValue) -> Option<Vec<Gap>> {
    let array = value.dyn_ref::<Array>()?;
    let numbers: Option<Vec<u64>> = array.iter().map(|value| number(&value)).collect();
    gap::decode(&numbers?)
}

/// `[through, generation, true]`. The last says that lost histories were looked through, too.
pub(crate) fn erased(erased: &Erased) -> Result<JsValue, Failure> {
    let through = exact(erased.through.value())?;
    let generation = exact(erased.generation.value())?;
    Ok(Array::of3(&through, &generation, &JsValue::TRUE).into())
}

/// The mark of a log that an older build folded and that begins again in part: what is kept of it is followed once more.
pub(crate) fn erased_in_log_only(generation: Generation) -> Result<JsValue, Failure> {
    let generation = exact(generation.value())?;
    Ok(Array::of2(&JsValue::from(1), &generation).into())
}

/// Is this the mark of an older build, which followed erasures in the log alone?
pub(crate) fn followed_in_log_only(value: &JsValue) -> bool {
    let pair = value.dyn_ref::<Array>();
    pair.is_some_and(|pair| pair.get(2) != JsValue::TRUE && number(&pair.get(0)) != Some(0))
}

/// The inverse of [`erased`]; what is not there is none. What an older build followed is followed once more.
pub(crate) fn read_erased(value: &JsValue) -> Result<Erased, StoreError> {
    if value.is_undefined() {
        return Ok(Erased::default());
    }
    let read = || {
        let pair = value.dyn_ref::<Array>()?;
        let through = Position::new(number(&pair.get(0))?);
        Some(Erased {
            through: match followed_in_log_only(value) {
                true => Position::START,
                false => through,
            },
            generation: Generation::new(number(&pair.get(1))?),
        })
    };
    read().ok_or_else(|| corrupt(META, ERASED))
}

/// `{kept, wanted}`, each a filter's canonical text.
pub(crate) fn filters(filters: &Filters) -> Result<JsValue, Failure> {
    object([
        ("kept", JsValue::from_str(&filters.kept.canonical())),
        ("wanted", JsValue::from_str(&filters.wanted.canonical())),
    ])
}

/// The inverse of [`filters`]; what is not there is everything.
pub(crate) fn read_filters(value: &JsValue) -> Result<Filters, StoreError> {
    if value.is_undefined() {
        return Ok(Filters::default());
    }
    let filter = |name| field(value, name)?.as_string()?.parse().ok();
    let read = || {
        Some(Filters {
            kept: filter("kept")?,
            wanted: filter("wanted")?,
        })
    };
    read().ok_or_else(|| corrupt(META, FILTERS))
}

/// A value that has not the form it was stored in.
pub(crate) fn corrupt(store: &str, key: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        place: format!("{store} {key}"),
        detail: "the value does not have the form in which it is stored".into(),
    }
}
