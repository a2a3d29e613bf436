//! The description of shared memory, by which a process knows what it is.

use ipc_core::__private::shape;

use crate::sync::{AtomicU64, Ordering};

/// The number of words that each kind of memory defines for itself.
const OWN: usize = 6;

/// What shared memory is: a magic number, a version, sizes, and a checksum.
///
/// It is written once, before any other process can attach, its magic number last. A process copies
/// and checks it once, and never reads it again.
#[repr(C, align(128))]
pub(crate) struct Description {
    magic: AtomicU64,
    version: AtomicU64,
    words: [AtomicU64; OWN],
    checksum: AtomicU64,
}

impl Description {
    /// Bytes of the words.
    pub(crate) const BYTES: usize = 8 * (3 + OWN);

    /// Makes one in the memory of a model.
    #[cfg(any(loom, fuzzing, test))]
    pub(crate) fn new() -> Description {
        let word = || AtomicU64::new(0);
        let words = std::array::from_fn(|_| word());
        Description { magic: word(), version: word(), words, checksum: word() }
    }

    /// Describes new memory.
    pub(crate) fn write(&self, magic: u64, version: u64, words: [u64; OWN]) {
        // Relaxed: no other process has the memory yet. The magic number's Release publishes the
        // words to the processes that open it.
        self.version.store(version, Ordering::Relaxed);
        for (to, word) in self.words.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
        self.checksum.store(checksum(magic, version, words), Ordering::Relaxed);
        self.magic.store(magic, Ordering::Release);
    }

    /// Returns the magic number in a copy of a description.
    pub(crate) fn magic(copy: &[u8; Self::BYTES]) -> u64 {
        copied(copy)[0]
    }

    /// Checks a copy of a description, and returns the words of its kind of memory.
    ///
    /// # Errors
    ///
    /// Returns why it is refused.
    pub(crate) fn check(
        copy: &[u8; Self::BYTES],
        version: u64,
    ) -> Result<[u64; OWN], &'static str> {
        let [magic, made_by, words @ .., sum] = copied(copy);
        if made_by != version {
            return Err("made by another version of this library");
        }
        if sum != checksum(magic, version, words) {
            return Err("its description is damaged (checksum)");
        }
        Ok(words)
    }
}

fn copied(copy: &[u8; Description::BYTES]) -> [u64; 3 + OWN] {
    let word = |index| copy[8 * index..][..8].try_into().expect("eight bytes");
    std::array::from_fn(|index| u64::from_ne_bytes(word(index)))
}

fn checksum(magic: u64, version: u64, words: [u64; OWN]) -> u64 {
    Fingerprint::new().words(&[magic, version]).words(&words).0
}

/// A 64-bit FNV-1a hash of what two programs must have in common to meet.
///
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint(pub(crate) u64);

impl Fingerprint {
    pub(crate) const fn new() -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }

    pub(crate) fn words(mut self, words: &[u64]) -> Self {
        for word in words {
            self = self.bytes(&word.to_le_bytes());
        }
        self
    }

    /// Returns the fingerprint of a type of plain data.
    ///
    /// It covers the name without the path, the size and the alignment, which programs that are
    /// built separately have in common.
    pub(crate) fn of<T>(layout: &str) -> u64 {
        shape::plain_fingerprint::<T>(layout)
    }
}
