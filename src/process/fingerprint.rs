//! Hashes by which two processes find that they run the same program.

use ipc_sys::spawn::CodeRange;

/// The layout of the executable's code, without its addresses.
pub(super) fn fingerprint(ranges: &[CodeRange]) -> u64 {
    ranges.iter().fold(FNV_START, |hash, range| {
        let hash = fnv(hash, &range.offset.to_le_bytes());
        fnv(hash, &(range.end - range.start).to_le_bytes())
    })
}

pub(super) const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash FNV-1a.
pub(super) fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
