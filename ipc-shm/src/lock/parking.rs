//! Waiting for a word to change: a short spin, then sleep in slices, each with a check for deaths.
//!
//! No sleep is unbounded. The process that should wake this thread may have been killed just
//! before, or a wake may have reached a thread that was killed just after. The end of a slice makes
//! up for both. A wait ends exactly at its deadline. The slices are those of the channels
//! ([`Slices`]).

use std::time::Instant;

use ipc_core::__private::wait::Slices;
use ipc_core::Deadline;

use super::word::LockEnv;
use crate::killpoint::kill_point;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// The word has changed.
    Changed,
    /// The word is unchanged at the end of the slice: the caller checks for deaths.
    Elapsed,
    /// The deadline has passed.
    TimedOut,
}

/// The state of one wait.
pub(crate) struct Parking {
    deadline: Deadline,
    slices: Slices,
    spins: u32,
    /// How many times to spin again after each sleep, because a woken thread often finds the lock
    /// taken for a moment.
    most_spins: u32,
    /// Whether this wait has slept. If so, other threads may sleep too.
    pub(crate) slept: bool,
}

impl Parking {
    pub(crate) fn new(env: &impl LockEnv, deadline: Deadline) -> Parking {
        let spins = env.spins();
        Parking { deadline, slices: Slices::new(), spins, most_spins: spins, slept: false }
    }

    /// Returns whether the caller should read the word again instead of sleeping. Pauses if so.
    #[inline]
    pub(crate) fn spin(&mut self) -> bool {
        let again = self.spins > 0;
        if again {
            self.spins -= 1;
            std::hint::spin_loop();
        }
        again
    }

    /// Sleeps until the low half of `word` differs from that of `seen`, at most for a slice.
    #[cold]
    pub(crate) fn park(&mut self, env: &impl LockEnv, word: &AtomicU64, seen: u64) -> Parked {
        let Some(timeout) = self.deadline.left(self.slices.current()) else {
            return Parked::TimedOut;
        };
        self.slept = true;
        let began = now();
        kill_point!("park.sleep");
        env.sleep(word, seen, timeout);
        kill_point!("park.woken");
        // Relaxed: the caller loads the word again, with the ordering that it needs.
        if word.load(Relaxed) as u32 != seen as u32 {
            self.spins = self.most_spins;
            return Parked::Changed;
        }
        // The duration of the sleep, not its timeout, because a signal may have ended it.
        self.slices.elapsed(began.map_or(timeout, |began| began.elapsed()));
        Parked::Elapsed
    }
}

/// Returns the time, or `None` in a model, which has no clock.
fn now() -> Option<Instant> {
    if cfg!(loom) { None } else { Some(Instant::now()) }
}
