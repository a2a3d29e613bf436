//! Words to sleep on.

use std::sync::atomic::{AtomicU64, Ordering};

/// A word to sleep on, together with others.
#[derive(Clone, Copy, Debug)]
pub struct Word<'a> {
    /// The word, of which the low half counts.
    pub word: &'a AtomicU64,
    /// Sleep while the low half is this.
    pub seen: u32,
    /// Whether the word lies in memory that processes share.
    pub shared: bool,
}

impl Word<'_> {
    /// Returns whether the low half has changed.
    #[inline]
    pub fn changed(&self) -> bool {
        // Acquire: what the waker did before it changed the word is seen.
        self.word.load(Ordering::Acquire) as u32 != self.seen
    }
}

/// The address of a word to sleep on, which may be unmapped meanwhile. Only the kernel uses it.
#[cfg_attr(unsupported, allow(dead_code, reason = "only a system that can sleep on it reads it"))]
#[derive(Clone, Copy, Debug)]
pub struct Address {
    /// Of the low half.
    pub(crate) address: usize,
    pub(crate) seen: u32,
    pub(crate) shared: bool,
}

impl Address {
    /// The address of `word`, to sleep there while its low half is `seen`.
    #[must_use]
    pub fn new(word: &AtomicU64, seen: u32, shared: bool) -> Address {
        let high_first = if cfg!(target_endian = "big") { size_of::<u32>() } else { 0 };
        Address { address: std::ptr::from_ref(word).expose_provenance() + high_first, seen, shared }
    }
}

/// How a sleep on several addresses ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// By a wake-up of the word with this index, and maybe of others.
    Woken(usize),
    /// One of the words had changed before, or is gone.
    Changed,
    /// The time is over, or a signal came.
    Elapsed,
    /// The system cannot sleep on several words.
    Unsupported,
}
