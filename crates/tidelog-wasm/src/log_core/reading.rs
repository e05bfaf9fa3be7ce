//! Reading and exporting the confirmed log.

use super::{LogCore, position, promise, stream_id};
use crate::batch::{self, set};
use crate::error::{number, throw};
use crate::notice;
use js_sys::{Object, Promise, Uint8Array};
use tidelog_core::store::Direction;
use tidelog_core::{Filter, Timestamp, Version};
use wasm_bindgen::prelude::*;

const fn direction(backward: bool) -> Direction {
    if backward {
        Direction::Backward
    } else {
        Direction::Forward
    }
}

#[wasm_bindgen]
impl LogCore {
    /// Frames with positions in a range, whole, as `{ batches, more }`.
    ///
    /// # Errors
    /// `history_not_available`, or a store error's code.
    #[wasm_bindgen(js_name = readLog)]
    pub fn read_log(&self, from: f64, to: f64, backward: bool, max_bytes: u32) -> Promise {
        let log = self.inner.clone();
        let (from, to) = (position(from), position(to));
        promise(async move {
            let page = log
                .read(from, to, direction(backward), max_bytes as usize)
                .await
                .map_err(throw)?;
            let filter = log.filter();
            let frames = page.frames.iter();
            let batches = frames.map(|frame| batch::of_frame(frame, 0, &filter));
            Ok(batch::page(batches, page.more))
        })
    }

    /// Events of one stream with versions in a range, as `{ batches, more }`.
    ///
    /// # Errors
    /// `invalid_argument` if the stream's id is not valid, `history_not_available`, or a store error's code.
    #[wasm_bindgen(js_name = readStream)]
    pub fn read_stream(
        &self,
        stream: &str,
        from: f64,
        to: f64,
        backward: bool,
        limit: u32,
    ) -> Promise {
        let log = self.inner.clone();
        let stream = stream_id(stream);
        let version = |of: f64| Version::new(position(of).value());
        let (from, to) = (version(from), version(to));
        promise(async move {
            let page = log
                .read_stream(&stream?, from, to, direction(backward), limit as usize)
                .await
                .map_err(throw)?;
            let batch = (!page.events.is_empty()).then(|| batch::of_events(&page.events));
            Ok(batch::page(batch, page.more))
        })
    }

    /// The last position recorded at or before a time in milliseconds.
    ///
    /// # Errors
    /// `history_not_available`, or a store error's code.
    #[wasm_bindgen(js_name = positionAt)]
    pub fn position_at(&self, millis: f64) -> Promise {
        let log = self.inner.clone();
        #[allow(
            clippy::cast_possible_truncation,
            reason = "whole milliseconds; anything else saturates"
        )]
        let time = Timestamp::from_millis(millis.floor() as i64);
        promise(async move {
            let position = log.position_at(time).await.map_err(throw)?;
            Ok(number(position.value()).into())
        })
    }

    /// Raw recorded frames from the one that holds a position, or undefined past the end.
    ///
    /// # Errors
    /// `history_not_available`, or a store error's code.
    #[wasm_bindgen(js_name = framesFrom)]
    pub fn frames_from(&self, from: f64, max_bytes: u32) -> Promise {
        let log = self.inner.clone();
        let from = position(from);
        promise(async move {
            let frames = log.frames_from(from, max_bytes as usize).await;
            let frames = frames.map_err(throw)?;
            Ok(frames.map_or(JsValue::UNDEFINED, |(bytes, _)| {
                Uint8Array::from(bytes.as_slice()).into()
            }))
        })
    }

    /// What is not confirmed, as frames of this device.
    ///
    /// # Errors
    /// None; it is a promise for the sake of later.
    pub fn unconfirmed(&self) -> Promise {
        let bytes = self.inner.unconfirmed();
        let bytes: JsValue = Uint8Array::from(bytes.as_slice()).into();
        Promise::resolve(&bytes)
    }

    /// Frames of lost histories and damaged ones.
    ///
    /// # Errors
    /// A store error's code.
    pub fn lost(&self) -> Promise {
        let log = self.inner.clone();
        promise(async move {
            let frames = log.lost().await.map_err(throw)?;
            Ok(Uint8Array::from(frames.concat().as_slice()).into())
        })
    }

    /// Frames of lost histories that can be read, as `{ batches, more }`.
    ///
    /// # Errors
    /// A store error's code.
    #[wasm_bindgen(js_name = lostBatches)]
    pub fn lost_batches(&self) -> Promise {
        let log = self.inner.clone();
        promise(async move {
            let frames = log.lost_history().await.map_err(throw)?;
            let whole = Filter::default();
            let frames = frames.iter();
            let batches = frames.map(|frame| batch::of_frame(frame, 0, &whole));
            Ok(batch::page(batches, false))
        })
    }

    /// Recomputes checksums and the hash chain of a slice, as `{ position, done }`.
    ///
    /// # Errors
    /// `log_tampered` with the position, `database_corrupt`, or another store error's code.
    pub fn verify(&self, from: f64, max_bytes: u32) -> Promise {
        let log = self.inner.clone();
        let from = position(from);
        promise(async move {
            let verified = log.verify(from, max_bytes as usize).await.map_err(throw)?;
            let object = Object::new();
            set(
                &object,
                "position",
                &number(verified.position.value()).into(),
            );
            set(&object, "done", &verified.done.into());
            Ok(object.into())
        })
    }

    /// What the log takes on this device.
    ///
    /// # Errors
    /// A store error's code.
    pub fn storage(&self) -> Promise {
        let log = self.inner.clone();
        promise(async move {
            let storage = log.storage().await.map_err(throw)?;
            Ok(notice::storage(&storage))
        })
    }

    /// Asks the browser not to delete this origin's data by itself.
    pub fn persist(&self) -> Promise {
        let log = self.inner.clone();
        promise(async move { Ok(log.persist().await.into()) })
    }
}
