//! The lock word, `{ generation, id, thread, flags }`, and what a protocol of this module asks of
//! its environment.
//!
//! ```text
//!   63        32 31      16 15       3 2     0
//!   ┌───────────┬──────────┬──────────┬───────┐
//!   │ generation│ id       │ thread   │ flags │   the futex is the low half
//!   └───────────┴──────────┴──────────┴───────┘
//!     └─ owner, 48 bits ─┘
//! ```
//!
//! - *owner*: the participant of the segment, never 0 for one that is there. An id that is given
//!   out anew has a new generation, so a word that names a dead owner names him for ever: taking a
//!   lock over is one CAS of the whole word, and nothing needs to be searched when a process dies.
//! - *thread*: which thread of that process ([`thread`](super::thread)), or 0 if it has no number.
//! - *flags*: what each lock says.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | DEATH-E1 | last store of a process → `Liveness::Dead` of its owner | its lease | the kernel's lock | everything that the process has written |
//!
//! The kernel ends a lease after the last store of its process, under a lock that the query of the
//! lease takes too.

use std::time::Duration;

use crate::sync::AtomicU64;

pub(crate) const FLAGS: u64 = 0b111;
/// The highest number a thread can have.
pub(crate) const THREADS: u64 = (1 << 13) - 1;

const OWNER_SHIFT: u32 = 16;
const THREAD_SHIFT: u32 = 3;

/// Somebody sleeps, or is about to: who frees the lock wakes.
pub(crate) const CONTENDED: u64 = 1;

/// Who holds: owner and thread, without flags.
pub(crate) const fn holder(word: u64) -> u64 {
    word & !FLAGS
}

/// The owner, `{ generation, id }`; 0 if there is none.
pub(crate) const fn owner(word: u64) -> u64 {
    word >> OWNER_SHIFT
}

/// A holder.
pub(crate) const fn held(owner: u64, thread: u64) -> u64 {
    owner << OWNER_SHIFT | (thread & THREADS) << THREAD_SHIFT
}

/// The owner's id.
pub(crate) const fn id(owner: u64) -> u16 {
    owner as u16
}

/// The owner's generation.
pub(crate) const fn generation(owner: u64) -> u32 {
    (owner >> 16) as u32
}

/// Whether the thread of this word is known, so that two equal words mean one thread.
pub(crate) const fn names_a_thread(word: u64) -> bool {
    (word >> THREAD_SHIFT) & THREADS != 0
}

/// What is known of an owner that a word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// Its lease is held, or that cannot be told.
    Alive,
    /// The kernel says that its lease is free, or the id has a new owner.
    Dead,
    /// No participant has or had such an id: somebody has scribbled.
    Unknown,
}

/// What the protocols ask of the participants of a segment and of the kernel.
pub(crate) trait LockEnv {
    /// The calling thread as a holder.
    fn me(&self) -> u64;
    /// Whether an owner lives. In doubt it does: nobody alive is ever taken for dead.
    ///
    /// A caller that gets `Dead` sees every store of the dead process: DEATH-E1.
    fn liveness(&self, owner: u64) -> Liveness;
    /// How many have died, as far as anybody has looked: more at each look after a death.
    fn deaths(&self) -> u64;
    /// The same, after checking the leases of some participants in turn. A caller that gets a
    /// higher count than before sees every store of the dead: DEATH-E1.
    fn look_for_deaths(&self, turn: usize) -> u64;
    /// The same, after looking at all of them, at most about once a millisecond.
    fn look_for_deaths_throttled(&self) -> u64;
    /// The pid of an owner, 0 if it is not known any more.
    fn pid(&self, owner: u64) -> u32;
    /// How many ids there can be, and so how many words a lock has that keeps one for each.
    fn max_participants(&self) -> usize;
    /// Sleeps while the word's low half is that of `seen`, or less long.
    fn sleep(&self, word: &AtomicU64, seen: u64, timeout: Duration);
    /// Wakes at most `n` that sleep on the word, and returns how many.
    fn wake(&self, word: &AtomicU64, n: u32) -> usize;
    /// How often to look again before sleeping is thought of.
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
