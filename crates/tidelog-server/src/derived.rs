//! Ids that follow from what they name, so that doing a thing again names it the same.

use tidelog_core::Digest;

/// A UUID of version 8 (RFC 9562) from the SHA-256 of some bytes.
pub(crate) fn derived_uuid(bytes: &[u8]) -> [u8; 16] {
    let digest = Digest::of(bytes);
    let mut uuid = [0; 16];
    uuid.iter_mut()
        .zip(digest.as_bytes())
        .for_each(|(to, from)| *to = *from);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut uuid;
    *version = *version & 0x0f | 0x80;
    *variant = *variant & 0x3f | 0x80;
    uuid
}
