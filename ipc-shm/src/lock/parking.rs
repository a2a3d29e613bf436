//! Waiting for a word to change: a short spin, then sleep in slices, each ending with a look at who
//! is dead.
//!
//! No wait is unbounded: who should wake us may have been killed just before, or a wake-up may have
//! gone to somebody who was killed just after. A slice makes up for both. A deadline is kept to the
//! instant; slices are those of the channels ([`Slices`]).

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
    /// The word is another one.
    Changed,
    /// It is the same as before: time to look who is dead.
    Elapsed,
    /// The deadline is here.
    TimedOut,
}

/// One wait.
pub(crate) struct Parking {
    deadline: Deadline,
    slices: Slices,
    spins: u32,
    /// How often to spin anew after each sleep: who was woken often finds the lock taken for a
    /// moment.
    most_spins: u32,
    /// Whether this wait has slept: then others may sleep too.
    pub(crate) slept: bool,
}

impl Parking {
    pub(crate) fn new(env: &impl LockEnv, deadline: Deadline) -> Parking {
        let spins = env.spins();
        Parking { deadline, slices: Slices::new(), spins, most_spins: spins, slept: false }
    }

    /// Whether to look once more instead of sleeping; pauses if so.
    #[inline]
    pub(crate) fn spin(&mut self) -> bool {
        let again = self.spins > 0;
        if again {
            self.spins -= 1;
            std::hint::spin_loop();
        }
        again
    }

    /// Sleeps until the low half of `word` is no longer that of `seen`, for a slice at most.
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
        // Relaxed: the caller looks again, with the ordering that it needs.
        if word.load(Relaxed) as u32 != seen as u32 {
            self.spins = self.most_spins;
            return Parked::Changed;
        }
        // What the sleep took, and not its timeout: a signal may have ended it.
        self.slices.elapsed(began.map_or(timeout, |began| began.elapsed()));
        Parked::Elapsed
    }
}

/// In a model there is no clock.
fn now() -> Option<Instant> {
    if cfg!(loom) { None } else { Some(Instant::now()) }
}
