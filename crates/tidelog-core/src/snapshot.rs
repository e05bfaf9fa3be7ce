//! Snapshots of folds: what Tidelog itself adds to the bytes that a store keeps.
//!
//! A snapshot can always be built again from the log, so damage is no error: a bucket that does not open makes its fold
//! one that has no snapshot.

use crate::frame;
use alloc::vec::Vec;

/// The name of Tidelog's own fold: where every stream ends. It is part of every set.
pub const HEADS: &str = "#heads";
/// The version of [`HEADS`].
pub const HEADS_VERSION: u32 = 1;

/// A bucket's bytes behind their CRC-32C (4 bytes, little-endian).
#[must_use]
pub fn seal(data: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(4 + data.len());
    sealed.extend_from_slice(&frame::crc32c(data).to_le_bytes());
    sealed.extend_from_slice(data);
    sealed
}

/// What was sealed; `None` if the bytes were changed.
#[must_use]
pub fn open(sealed: &[u8]) -> Option<&[u8]> {
    let (checksum, data) = sealed.split_first_chunk()?;
    (u32::from_le_bytes(*checksum) == frame::crc32c(data)).then_some(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_what_was_changed_does_not() {
        let sealed = seal(b"rows");
        assert_eq!(open(&sealed), Some(&b"rows"[..]));
        assert_eq!(open(&seal(b"")), Some(&b""[..]));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 4;
            assert_eq!(open(&changed), None, "byte {at}");
            assert_eq!(open(&sealed[..at]), None, "cut at {at}");
        }
    }
}
