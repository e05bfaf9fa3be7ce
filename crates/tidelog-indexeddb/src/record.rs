//! What keys and values look like in the database: plain numbers, texts and bytes, legible in a browser's tools.

use crate::error::Failure;
use js_sys::{Array, Object, Reflect, Uint8Array};
use tidelog_core::number::Generation;
use tidelog_core::store::{Head, Outcome, StoreError};
use tidelog_core::{Cursor, Gap, Position, Seq, gap};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::IdbKeyRange;

/// The largest key: numbers in JavaScript are doubles, and above this two of them become one.
pub(crate) const MAX_KEY: u64 = (1 << 53) - 1;

const PENDING: f64 = 0.0;
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
            Outcome::Pending => JsValue::from_f64(PENDING),
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
        PENDING => Some(Outcome::Pending),
        _ => number(&value).map(Position::new).map(Outcome::Acked),
    };
    value.dyn_ref::<Array>()?.iter().map(outcome).collect()
}

/// `{nextSeq, cursor, generation}`.
pub(crate) fn head(head: &Head) -> Result<JsValue, Failure> {
    let object = Object::new();
    for (name, value) in [
        ("nextSeq", key(head.next_seq.value())?),
        ("cursor", JsValue::from_str(&head.cursor.to_string())),
        ("generation", exact(head.generation.value())?),
    ] {
        Reflect::set(&object, &name.into(), &value).map_err(|thrown| Failure::of(&thrown))?;
    }
    Ok(object.into())
}

/// The inverse of [`head`].
pub(crate) fn read_head(value: &JsValue) -> Option<Head> {
    let field = |name: &str| Reflect::get(value, &name.into()).ok();
    Some(Head {
        next_seq: Seq::new(number(&field("nextSeq")?)?),
        cursor: field("cursor")?.as_string()?.parse::<Cursor>().ok()?,
        generation: Generation::new(number(&field("generation")?)?),
    })
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
pub(crate) fn read_gaps(array: &Array) -> Option<Vec<Gap>> {
    let numbers: Option<Vec<u64>> = array.iter().map(|value| number(&value)).collect();
    gap::decode(&numbers?)
}

/// A value that has not the form it was stored in.
pub(crate) fn corrupt(store: &str, key: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        place: format!("{store} {key}"),
        detail: "the value does not have the form in which it is stored".into(),
    }
}
