//! CRC-32C (Castagnoli, RFC 3720), as hardware and every ecosystem have it.

use alloc::boxed::Box;
use crc::{CRC_32_ISCSI, Crc, Table};
use once_cell::race::OnceBox;

type Castagnoli = Crc<u32, Table<16>>;

/// Sixteen bytes a step take a table of 16 KiB. It is computed on first use: as a constant it would be a tenth of the
/// Wasm that every page loads, and it takes microseconds to make.
static TABLE: OnceBox<Castagnoli> = OnceBox::new();

/// The checksum of some bytes.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    of_parts([bytes, &[]])
}

/// The checksum of two parts, one after the other.
pub(super) fn of_parts(parts: [&[u8]; 2]) -> u32 {
    let mut digest = TABLE.get_or_init(table).digest();
    for part in parts {
        digest.update(part);
    }
    digest.finalize()
}

#[inline(never)]
fn table() -> Box<Castagnoli> {
    // Hidden from the optimiser, which would otherwise run it and keep what comes out.
    Box::new(Crc::<u32, Table<16>>::new(core::hint::black_box(
        &CRC_32_ISCSI,
    )))
}
