//! The lock word, `{ generation, id, thread, flags }`, and the trait by which the protocols of this
//! module ask the kernel.
//!
//! ```text
//!   63        32 31      16 15       3 2     0
//!   ┌───────────┬──────────┬──────────┬───────┐
//!   │ generation│ id       │ thread   │ flags │   the futex is the low half
//!   └───────────┴──────────┴──────────┴───────┘
//!     └─ owner, 48 bits ─┘
//! ```
//!
//! - *owner*: the participant of the segment, never 0 for one that exists. An id that is assigned
//!   again has a new generation, so a word that names a dead owner names it for ever. Therefore
//!   taking a lock over is one CAS of the whole word, and a death needs no search.
//! - *thread*: the thread of that process ([`thread`](super::thread)), or 0 if it has no number.
//! - *flags*: defined by each lock.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | DEATH-E1 | last store of a process → `Liveness::Dead` of its owner | its lease | the kernel's lock | everything that the process has written |
//!
//! The kernel ends a lease after the last store of its process, under a lock. The query of the
//! lease takes the same lock.

use std::time::Duration;

use crate::sync::AtomicU64;

pub(crate) const FLAGS: u64 = 0b111;
/// The highest number that a thread can have.
pub(crate) const THREADS: u64 = (1 << 13) - 1;

const OWNER_SHIFT: u32 = 16;
const THREAD_SHIFT: u32 = 3;

/// The flag of a lock with sleeping waiters, or waiters about to sleep: the releasing thread wakes.
pub(crate) const CONTENDED: u64 = 1;

/// Returns the holder: owner and thread, without flags.
pub(crate) const fn holder(word: u64) -> u64 {
    word & !FLAGS
}

/// Returns the owner, `{ generation, id }`, or 0 if there is none.
pub(crate) const fn owner(word: u64) -> u64 {
    word >> OWNER_SHIFT
}

/// Returns the holder that is made of an owner and a thread.
pub(crate) const fn held(owner: u64, thread: u64) -> u64 {
    owner << OWNER_SHIFT | (thread & THREADS) << THREAD_SHIFT
}

/// Returns the owner's id.
pub(crate) const fn id(owner: u64) -> u16 {
    owner as u16
}

/// Returns the owner's generation.
pub(crate) const fn generation(owner: u64) -> u32 {
    (owner >> 16) as u32
}

/// Returns whether the word names a thread, so that two equal words mean one thread.
pub(crate) const fn names_a_thread(word: u64) -> bool {
    (word >> THREAD_SHIFT) & THREADS != 0
}

/// What is known of an owner that a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// The owner's lease is held, or this cannot be determined.
    Alive,
    /// The kernel reports the owner's lease as free, or the id has a new owner.
    Dead,
    /// No participant has or had such an id: a peer has written garbage.
    Unknown,
}

/// The questions of the protocols to the participants of a segment and to the kernel.
pub(crate) trait LockEnv {
    /// Returns the calling thread as a holder.
    fn me(&self) -> u64;
    /// Returns whether an owner is alive. A living process is never reported as dead.
    ///
    /// A caller that gets `Dead` sees every store of the dead process: DEATH-E1.
    fn liveness(&self, owner: u64) -> Liveness;
    /// Returns how many deaths were detected so far. Grows with each death that is detected.
    fn deaths(&self) -> u64;
    /// Returns the same after checking the leases of some participants in turn. A caller that gets
    /// a higher count than before sees every store of those that died: DEATH-E1.
    fn look_for_deaths(&self, turn: usize) -> u64;
    /// Returns the same after checking all leases, at most about once a millisecond.
    fn look_for_deaths_throttled(&self) -> u64;
    /// Returns the pid of an owner, or 0 if it is no longer known.
    fn pid(&self, owner: u64) -> u32;
    /// Returns the maximum number of participants, for locks that keep a word for each.
    fn max_participants(&self) -> usize;
    /// Sleeps while the low half of the word equals that of `seen`, at most for `timeout`.
    ///
    /// The sleep may end earlier.
    fn sleep(&self, word: &AtomicU64, seen: u64, timeout: Duration);
    /// Wakes at most `n` threads that sleep on the word, and returns how many.
    fn wake(&self, word: &AtomicU64, n: u32) -> usize;
    /// Returns how many times to read the word again before a sleep.
    fn spins(&self) -> u32;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_gives_back_what_it_is_made_of() {
        let owner_bits = 0xffff_fffe_u64 << 16 | 0xabcd;
        let word = held(owner_bits, THREADS) | CONTENDED;
        assert_eq!(owner(word), owner_bits);
        assert_eq!((id(owner_bits), generation(owner_bits)), (0xabcd, 0xffff_fffe));
        assert_eq!(holder(word), held(owner_bits, THREADS));
        assert!(names_a_thread(word) && !names_a_thread(held(owner_bits, 0)));
    }
}
