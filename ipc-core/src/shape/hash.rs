//! The hash of shapes.

/// A 64-bit FNV-1a hash.
///
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
#[derive(Clone, Copy)]
pub(crate) struct Hash(pub(crate) u64);

impl Hash {
    pub(crate) const fn new() -> Self {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    /// Bytes, and where they end.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.word(bytes.len() as u64)
    }

    pub(crate) fn word(mut self, word: u64) -> Self {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }
}
