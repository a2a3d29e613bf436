//! Sleeping on a word of memory.
//!
//! The word is the low half of 64 bits. Sleepers and wakers are different processes, or threads of
//! one process. The latter use the functions named *private*, which neither wake the sleepers of
//! the others nor are woken by them.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::os::futex as os;
pub use crate::types::futex::{Address, Waited, Word};

contract! {
    /// Sleeps while the low half of `word` is `seq`, at most as long as `timeout`.
    ///
    /// May return early, so the caller must check the word again. (`FUTEX_WAIT`)
    pub fn wait(word: &AtomicU64, seq: u32, timeout: Duration);

    /// Wakes at most `n` sleepers of `word`, and returns how many. (`FUTEX_WAKE`)
    pub fn wake(word: &AtomicU64, n: u32) -> usize;

    /// Sleeps as [`wait`], in memory that only the threads of this process use.
    pub fn wait_private(word: &AtomicU64, seq: u32, timeout: Duration);

    /// Wakes sleepers as [`wake`], which called [`wait_private`].
    pub fn wake_private(word: &AtomicU64, n: u32) -> usize;
}

impl Word<'_> {
    /// Sleeps while the word has not changed, at most as long as `timeout`. May return early.
    #[inline]
    pub fn wait(&self, timeout: Duration) {
        os::wait_word(self, timeout)
    }
}

contract! {
    /// Returns whether [`wait_any`] works, as far as that is known.
    pub fn waits_for_any() -> bool;

    /// Sleeps while none of up to 128 words has changed, at most as long as `timeout`.
    ///
    /// May return early. Returns false, without sleeping, if the system cannot. (`futex_waitv`,
    /// Linux
    /// 5.16)
    pub fn wait_any(words: &[Word<'_>], timeout: Duration) -> bool;
}

impl Address {
    /// Returns whether the word has changed, or is gone. (`FUTEX_CMP_REQUEUE`, of no sleeper)
    #[must_use]
    pub fn has_changed(&self) -> bool {
        os::has_changed(self)
    }

    /// Wakes one sleeper, if the word is still there.
    pub fn wake_one(&self) {
        os::wake_address(self)
    }

    /// Sleeps while the word has not changed, at most as long as `timeout`. May return early.
    pub fn wait(&self, timeout: Option<Duration>) {
        os::wait_address(self, timeout)
    }
}

/// Sleeps until one of up to 128 words changes, at most as long as `timeout`. (`futex_waitv`, Linux
/// 5.16)
#[must_use]
pub fn wait_any_address(words: &[Address], timeout: Option<Duration>) -> Waited {
    os::wait_any_address(words, timeout)
}
