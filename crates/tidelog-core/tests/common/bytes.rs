//! Frames taken apart as bytes, by the table in the documentation of `frame` and not by the code under test.

/// Makes the length and the checksum of a damaged frame true again, so that the decoder behind them is reached.
pub fn repair(frame: &mut [u8]) {
    if frame.len() < 16 {
        return;
    }
    let length = u32::try_from(frame.len()).unwrap();
    frame[8..12].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32c(&frame[..12], &frame[16..]);
    frame[12..16].copy_from_slice(&checksum.to_le_bytes());
}

/// CRC-32C bit by bit, as RFC 3720 appendix B.4 gives it: slow, and independent of the crate that core uses.
pub fn crc32c(head: &[u8], tail: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in head.iter().chain(tail) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

/// A frame written by hand: a header that claims these counts, then these sections.
pub fn assemble(recorded: bool, first: u64, counts: (u32, u32), sections: [&[u8]; 4]) -> Vec<u8> {
    let mut frame = Vec::from(*b"TIDE");
    frame.extend([1, u8::from(recorded), 0, 0]);
    frame.extend([0; 24]);
    frame.extend(first.to_le_bytes());
    frame.extend(counts.0.to_le_bytes());
    frame.extend(counts.1.to_le_bytes());
    frame.extend([0; 32]);
    for section in sections {
        varint(&mut frame, section.len() as u64);
        frame.extend(section);
    }
    repair(&mut frame);
    frame
}

/// LEB128.
pub fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}
