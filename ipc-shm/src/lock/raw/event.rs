//! The event protocol: `{ seq, waiters, set }` in the low half of one word.
//!
//! ```text
//!   clear ──set──▶ set ──clear──▶ clear        manual: every waiter returns
//!                   └──wait──▶ clear           auto: one waiter takes the event
//! ```
//!
//! Each `set` increments `seq`. So a waiter of a manual event returns even if another thread clears
//! the event before the waiter reads it.
//!
//! A waiter that waits for other things too [registers](RawEvent::register), and
//! [passes on](RawEvent::pass_on) what it was woken for when it stops waiting.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | EVENT-E1 | set → wait | `state` | Release / Acquire | what was done before the set |
//!
//! # If a process dies
//!
//! | the process is killed | the others |
//! |---|---|
//! | after it has set, before it has woken | sleeping waiters see the event at the end of their slices |
//! | after it was woken, before it has taken an auto event or passed it on | the event is still set, and another waiter takes it at the end of its slice |
//! | after it has taken an auto event | the event stays taken |

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::word::LockEnv;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};

const SET: u64 = 1;
const WAITERS: u64 = 2;
const SEQ: u64 = 4;
/// The bits of the word that are used.
const ALL: u64 = u32::MAX as u64;

/// The word of an event, and which kind it is.
#[derive(Clone, Copy)]
pub(crate) struct RawEvent<'a> {
    /// `{ seq, waiters, set }`.
    pub(crate) state: &'a AtomicU64,
    /// Whether one waiter takes the event, and clears it by that.
    pub(crate) auto: bool,
}

impl RawEvent<'_> {
    /// Returns whether the event is set.
    pub(crate) fn is_set(&self) -> bool {
        self.state.load(Acquire) & SET != 0 // Acquire: EVENT-E1.
    }

    /// Sets the event, and wakes the waiters: every one, or one of an auto event.
    pub(crate) fn set(&self, env: &impl LockEnv) {
        let mut w = self.state.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            kill_point!("event.set");
            // AcqRel: EVENT-E1. The Acquire keeps an earlier `set` visible to the waiters of this
            // one.
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

    /// Clears the event.
    pub(crate) fn clear(&self) {
        let mut w = self.state.load(Relaxed); // Relaxed: the CAS decides.
        while w & SET != 0 {
            kill_point!("event.clear");
            // AcqRel: orders the earlier `set` before the later ones.
            match self.state.compare_exchange(w, w & !SET, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => w = now,
            }
        }
    }

    /// Returns how often the event was set: where a wait begins.
    pub(crate) fn begin(&self) -> u64 {
        self.state.load(Acquire) & !(SET | WAITERS) // Acquire: EVENT-E1.
    }

    /// Returns whether a wait that began at `began` may end. An auto event can be taken then.
    pub(crate) fn is_due(&self, began: u64) -> bool {
        let w = self.state.load(Acquire); // Acquire: EVENT-E1.
        w & SET != 0 || !self.auto && w & !(SET | WAITERS) != began
    }

    /// Takes an auto event if it is set.
    pub(crate) fn take(&self) -> bool {
        let mut w = self.state.load(Acquire); // Acquire: EVENT-E1.
        while w & SET != 0 {
            kill_point!("event.take");
            // AcqRel: EVENT-E1, also for the threads that wait after this one.
            match self.state.compare_exchange(w, w & !SET, AcqRel, Acquire) {
                Ok(_) => return true,
                Err(now) => w = now,
            }
        }
        false
    }

    /// Registers a waiter that may wait for other things too, and returns the word on which it
    /// sleeps. It tries again before it sleeps.
    pub(crate) fn register(&self) -> u64 {
        let mut w = self.state.load(Acquire); // Acquire: EVENT-E1.
        while w & (SET | WAITERS) == 0 {
            kill_point!("event.register");
            // Acquire: EVENT-E1.
            match self.state.compare_exchange(w, w | WAITERS, Acquire, Acquire) {
                Ok(_) => {
                    kill_point!("event.registered");
                    return w | WAITERS;
                }
                Err(now) => w = now,
            }
        }
        w
    }

    /// Ends the wait of a waiter that has [registered](RawEvent::register). The wake-up for an auto
    /// event may have reached it while others sleep: they wait for the next `set`, or one of them
    /// takes the event.
    pub(crate) fn pass_on(&self, env: &impl LockEnv) {
        let mut w = self.state.load(Relaxed); // Relaxed: the CAS decides, or the woken waiter.
        while self.auto && w & WAITERS == 0 {
            if w & SET != 0 {
                kill_point!("event.wake");
                env.wake(self.state, 1);
                kill_point!("event.woken");
                return;
            }
            kill_point!("event.register");
            // Relaxed: this CAS publishes nothing.
            match self.state.compare_exchange(w, w | WAITERS, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => w = now,
            }
        }
    }

    /// Waits until the event is set, and takes it if it is an auto event.
    ///
    /// Returns false at the deadline.
    pub(crate) fn wait(&self, env: &impl LockEnv, deadline: Deadline) -> bool {
        let mut parking = Parking::new(env, deadline);
        let mut w = self.state.load(Acquire); // Acquire: EVENT-E1.
        let began = w & !(SET | WAITERS);
        loop {
            if self.auto && w & SET != 0 {
                // Others may still sleep if this thread has slept.
                let to = w & !SET | if parking.slept { WAITERS } else { 0 };
                kill_point!("event.take");
                // AcqRel: EVENT-E1, also for the threads that wait after this one.
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
                    kill_point!("event.register");
                    // Acquire on failure: EVENT-E1.
                    if let Err(now) = self.state.compare_exchange(w, w | WAITERS, Acquire, Acquire)
                    {
                        w = now;
                        continue;
                    }
                    kill_point!("event.registered");
                }
                if parking.park(env, self.state, w | WAITERS) == Parked::TimedOut {
                    // Read once more, so that a wake that came meanwhile is not lost.
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
