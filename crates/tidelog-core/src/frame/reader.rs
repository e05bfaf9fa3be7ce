//! Reading sections of bytes that nobody vouches for.

use super::FrameError;
use crate::id::{CommitId, ReplicaId};
use crate::stream::StreamId;
use crate::text::TextError;
use alloc::sync::Arc;
use alloc::vec::Vec;

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) const fn bad(&self, field: &'static str) -> FrameError {
        FrameError::Malformed { field, at: self.at }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn take(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], FrameError> {
        let end = self.at.checked_add(n).ok_or_else(|| self.bad(field))?;
        let taken = self
            .bytes
            .get(self.at..end)
            .ok_or_else(|| self.bad(field))?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], FrameError> {
        let at = self.at;
        self.take(N, field)?
            .try_into()
            .map_err(|_cause| FrameError::Malformed { field, at })
    }

    pub(crate) fn byte(&mut self, field: &'static str) -> Result<u8, FrameError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// LEB128 of at most 64 bits, in its shortest form.
    pub(crate) fn varint(&mut self, field: &'static str) -> Result<u64, FrameError> {
        // Most have one byte.
        if let Some(byte @ 0..0x80) = self.bytes.get(self.at) {
            self.at += 1;
            return Ok(u64::from(*byte));
        }
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(field)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.bad(field));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 {
                    Err(self.bad(field))
                } else {
                    Ok(value)
                };
            }
        }
        Err(self.bad(field))
    }

    pub(crate) fn small(&mut self, field: &'static str) -> Result<u32, FrameError> {
        let value = self.varint(field)?;
        u32::try_from(value).map_err(|_cause| self.bad(field))
    }

    #[allow(clippy::cast_possible_wrap, reason = "undoes the zigzag of the writer")]
    pub(crate) fn signed(&mut self, field: &'static str) -> Result<i64, FrameError> {
        let value = self.varint(field)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The number that is told by how far it is from another.
    #[allow(clippy::cast_sign_loss, reason = "undoes the wrapped difference")]
    pub(crate) fn difference(&mut self, from: u64, field: &'static str) -> Result<u64, FrameError> {
        Ok(from.wrapping_add(self.signed(field)? as u64))
    }

    /// A number of things, each of which takes at least one more byte here: so no small input asks for much memory.
    pub(crate) fn count(&mut self, field: &'static str) -> Result<usize, FrameError> {
        let count = self.length(field)?;
        if count > self.left() {
            return Err(self.bad(field));
        }
        Ok(count)
    }

    /// How many bytes are left: an upper bound of how many things can still follow.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) fn length(&mut self, field: &'static str) -> Result<usize, FrameError> {
        let value = self.varint(field)?;
        usize::try_from(value).map_err(|_cause| self.bad(field))
    }

    pub(crate) fn id(&mut self, field: &'static str) -> Result<CommitId, FrameError> {
        self.array(field).map(CommitId::from_bytes)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }

    pub(crate) fn end(&self, field: &'static str) -> Result<(), FrameError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.bad(field))
        }
    }
}

/// The texts and replicas of a frame by their numbers.
#[derive(Debug)]
pub(crate) struct Names {
    texts: Vec<Arc<str>>,
    /// The streams among the texts, as far as they were asked for: most stand in several places.
    streams: Vec<Option<StreamId>>,
    replicas: Vec<ReplicaId>,
}

impl Names {
    pub(crate) fn read(mut section: Reader<'_>) -> Result<Self, FrameError> {
        let count = section.count("number of replicas")?;
        let mut replicas = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            replicas.push(ReplicaId::from_bytes(section.array("replica")?));
        }
        let count = section.count("number of texts")?;
        let mut texts = Vec::with_capacity(count.min(65_536));
        for _ in 0..count {
            let length = section.length("length of a text")?;
            let bytes = section.take(length, "text")?;
            let text =
                core::str::from_utf8(bytes).map_err(|_cause| section.bad("text (not UTF-8)"))?;
            texts.push(Arc::from(text));
        }
        section.end("dictionary")?;
        let streams = alloc::vec![None; texts.len()];
        Ok(Self {
            texts,
            streams,
            replicas,
        })
    }

    pub(crate) fn replica(&self, number: usize) -> Option<ReplicaId> {
        self.replicas.get(number).copied()
    }

    /// A text and its number.
    pub(crate) fn text<T>(
        &self,
        from: &mut Reader<'_>,
        field: &'static str,
        parse: impl Fn(&Arc<str>) -> Result<T, TextError>,
    ) -> Result<(u64, T), FrameError> {
        let at = from.length(field)?;
        let text = self.texts.get(at).ok_or_else(|| from.bad(field))?;
        Ok((at as u64, parse(text)?))
    }

    /// A stream and the number of its name.
    pub(crate) fn stream(&mut self, from: &mut Reader<'_>) -> Result<(u64, StreamId), FrameError> {
        let at = from.length("stream")?;
        let (text, known) = self
            .texts
            .get(at)
            .zip(self.streams.get_mut(at))
            .ok_or_else(|| from.bad("stream"))?;
        let stream = match known {
            Some(stream) => stream.clone(),
            None => known.insert(StreamId::from_shared(text)?).clone(),
        };
        Ok((at as u64, stream))
    }

    pub(crate) fn optional<T>(
        &self,
        from: &mut Reader<'_>,
        field: &'static str,
        parse: impl Fn(&Arc<str>) -> Result<T, TextError>,
    ) -> Result<Option<T>, FrameError> {
        match from.length(field)? {
            0 => Ok(None),
            at => {
                let text = self.texts.get(at - 1).ok_or_else(|| from.bad(field))?;
                Ok(Some(parse(text)?))
            }
        }
    }
}
