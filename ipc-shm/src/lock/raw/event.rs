//! An event: `{ seq, waiters, set }` in the low half of a word.
//!
//! ```text
//!   clear ──set──▶ set ──clear──▶ clear        manual: all who wait are let through
//!                   └──wait──▶ clear           auto: one who waits takes it
//! ```
//!
//! `seq` moves with each `set`: who waits for a manual event is let through even if it is cleared
//! again before he looks.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | EVENT-E1 | set → wait | `state` | Release / Acquire | what was done before the set |
//!
//! # If a process dies
//!
//! Having set, before it woke: those who sleep find it at the end of their slice. Woken, before it
//! has taken an auto event: it is still set, and the next slice of another takes it. Having taken
//! it: taken.

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::word::LockEnv;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};

const SET: u64 = 1;
const WAITERS: u64 = 2;
const SEQ: u64 = 4;
/// Nothing else is in the word.
const ALL: u64 = u32::MAX as u64;

/// The word of an event, and which kind it is.
#[derive(Clone, Copy)]
pub(crate) struct RawEvent<'a> {
    pub(crate) state: &'a AtomicU64,
    pub(crate) auto: bool,
}

impl RawEvent<'_> {
    pub(crate) fn is_set(&self) -> bool {
        self.state.load(Acquire) & SET != 0 // Acquire: EVENT-E1.
    }

    pub(crate) fn set(&self, env: &impl LockEnv) {
        let mut w = self.state.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            kill_point!("event.set");
            // AcqRel: EVENT-E1, also for who waits after one that set it before us.
            let to = (w | SET).wrapping_add(SEQ) & !WAITERS & ALL;
            match self.state.compare_exchange(w, to, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => w = now,
            }
        }
        kill_point!("event.wake");
        if w & WAITERS != 0 {
            env.wake(self.state, if self.auto { 1 } else { u32::MAX });
            kill_point!("event.woken");
        }
    }

    pub(crate) fn clear(&self) {
        let mut w = self.state.load(Relaxed); // Relaxed: the CAS decides.
        while w & SET != 0 {
            kill_point!("event.clear");
            // AcqRel: between those who set it before, and those who do after.
            match self.state.compare_exchange(w, w & !SET, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => w = now,
            }
        }
    }

    /// Waits until it is set; takes it if it is an auto event. False if the time is over.
    pub(crate) fn wait(&self, env: &impl LockEnv, deadline: Deadline) -> bool {
        let mut parking = Parking::new(env, deadline);
        let mut w = self.state.load(Acquire); // Acquire: EVENT-E1.
        let began = w & !(SET | WAITERS);
        loop {
            if self.auto && w & SET != 0 {
                // Others may sleep too, if we have slept.
                let to = w & !SET | if parking.slept { WAITERS } else { 0 };
                kill_point!("event.take");
                // AcqRel: EVENT-E1, and for who waits after us.
                match self.state.compare_exchange(w, to, AcqRel, Acquire) {
                    Ok(_) => return true,
                    Err(now) => w = now,
                }
                continue;
            }
            if !self.auto && (w & SET != 0 || w & !(SET | WAITERS) != began) {
                return true;
            }
            if deadline == Deadline::Now {
                return false;
            }
            if !parking.spin() {
                if w & WAITERS == 0 {
                    kill_point!("event.announce");
                    // Acquire on failure: EVENT-E1.
                    if let Err(now) = self.state.compare_exchange(w, w | WAITERS, Acquire, Acquire)
                    {
                        w = now;
                        continue;
                    }
                    kill_point!("event.announced");
                }
                if parking.park(env, self.state, w | WAITERS) == Parked::TimedOut {
                    // One more look: a wake-up that came meanwhile is not ours to lose.
                    let now = self.state.load(Acquire);
                    if now == w | WAITERS {
                        return false;
                    }
                    w = now;
                    if w & SET == 0 && w & !(SET | WAITERS) == began {
                        return false;
                    }
                    continue;
                }
            }
            w = self.state.load(Acquire); // Acquire: EVENT-E1.
        }
    }
}
