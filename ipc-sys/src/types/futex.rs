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
