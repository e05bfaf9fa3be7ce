//! Plain JavaScript objects, read field by field.
//!
//! What Rust gives to JavaScript goes by `serde-wasm-bindgen`. The other way, each type that derives `Deserialize` costs a
//! kilobyte of Wasm or two, and one number among them brings the formatting of floats for an error nobody meets.

use js_sys::{Array, Number, Reflect};
use wasm_bindgen::JsValue;

/// A JavaScript value of which named fields are asked. Fields of what is no object are all `undefined`.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a JsValue);

/// A field does not have the type it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the field {field} is missing or is not {form}")]
pub struct FieldError {
    /// The field's name.
    pub field: &'static str,
    /// What it should be.
    pub form: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields of this value.
    #[must_use]
    pub const fn of(value: &'a JsValue) -> Self {
        Self(value)
    }

    /// A field as it is; `undefined` if there is none, or if it was `null`.
    #[must_use]
    pub fn value(self, field: &'static str) -> JsValue {
        let value = Reflect::get(self.0, &JsValue::from_str(field)).unwrap_or_default();
        if value.is_null() {
            JsValue::UNDEFINED
        } else {
            value
        }
    }

    /// Is there a field of this name, even if it is `null`?
    #[must_use]
    pub fn has(self, field: &'static str) -> bool {
        Reflect::has(self.0, &JsValue::from_str(field)).unwrap_or(false)
    }

    /// A field as it is, `null` included.
    #[must_use]
    pub fn raw(self, field: &'static str) -> JsValue {
        Reflect::get(self.0, &JsValue::from_str(field)).unwrap_or_default()
    }

    /// A text.
    ///
    /// # Errors
    /// [`FieldError`] if it is none.
    pub fn text(self, field: &'static str) -> Result<String, FieldError> {
        let form = "a text";
        let text = self.value(field).as_string();
        text.ok_or(FieldError { field, form })
    }

    /// A text that may be left out.
    ///
    /// # Errors
    /// [`FieldError`] if it is there and no text.
    pub fn optional_text(self, field: &'static str) -> Result<Option<String>, FieldError> {
        if self.value(field).is_undefined() {
            return Ok(None);
        }
        self.text(field).map(Some)
    }

    /// A number.
    ///
    /// # Errors
    /// [`FieldError`] if it is none.
    pub fn number(self, field: &'static str) -> Result<f64, FieldError> {
        let form = "a number";
        let number = self.value(field).as_f64();
        number.ok_or(FieldError { field, form })
    }

    /// A whole number from 0 that a double holds exactly.
    ///
    /// # Errors
    /// [`FieldError`] if it is none.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole, safe and not negative"
    )]
    pub fn whole(self, field: &'static str) -> Result<u64, FieldError> {
        let form = "a whole number";
        let value = self.value(field);
        match value.as_f64() {
            Some(number) if Number::is_safe_integer(&value) && number >= 0.0 => Ok(number as u64),
            _ => Err(FieldError { field, form }),
        }
    }

    /// A whole number below 2^32.
    ///
    /// # Errors
    /// [`FieldError`] if it is none.
    pub fn small(self, field: &'static str) -> Result<u32, FieldError> {
        let form = "a whole number below 2^32";
        let number = self.whole(field)?;
        u32::try_from(number).map_err(|_large| FieldError { field, form })
    }

    /// The elements of a list; none if it is left out.
    ///
    /// # Errors
    /// [`FieldError`] if it is there and no list.
    pub fn list(self, field: &'static str) -> Result<Vec<JsValue>, FieldError> {
        let form = "a list";
        let value = self.value(field);
        if value.is_undefined() {
            return Ok(Vec::new());
        }
        if !Array::is_array(&value) {
            return Err(FieldError { field, form });
        }
        Ok(Array::from(&value).to_vec())
    }
}
