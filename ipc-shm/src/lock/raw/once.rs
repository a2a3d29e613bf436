//! Once: a word that names who runs the initialiser.
//!
//! ```text
//!   incomplete ──begin (CAS)──▶ A runs ──end──▶ complete
//!        ▲                        │ │ └──panic──▶ poisoned ──begin, forced──▶ A runs
//!        └──── given up ──────────┘ │ A dies
//!                                   └──take over (CAS)──▶ B runs
//! ```
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | ONCE-E1 | end → begin, done | `state` | Release / Acquire | what the initialiser wrote |
//!
//! Taking over uses DEATH-E1 ([`word`](crate::lock::word)): it carries what the dead initialiser
//! had written.
//!
//! # If a process dies
//!
//! Running, it leaves its name: who waits finds it dead and runs the initialiser itself, over
//! whatever was half written, which nobody has seen. Having ended, before it woke the others: they
//! look at the end of their slice.

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::poison::{LockAttemptError, Refused};
use crate::lock::raw::mutex::CORRUPT;
use crate::lock::word::{CONTENDED, Liveness, LockEnv, holder, names_a_thread, owner};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

const COMPLETE: u64 = 2;
const POISONED: u64 = 4;

/// The word of a once.
#[derive(Clone, Copy)]
pub(crate) struct RawOnce<'a> {
    pub(crate) state: &'a AtomicU64,
}

/// What [`begin`](RawOnce::begin) finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It has been done.
    Complete,
    /// It is ours to do, and then to [`end`](RawOnce::end).
    Ours { poisoned: bool },
    /// The last one panicked, and the caller does not force it.
    Poisoned,
}

/// How an initialiser ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    /// As if it had not begun.
    Incomplete,
    Poisoned,
}

impl RawOnce<'_> {
    #[inline(always)]
    pub(crate) fn is_complete(&self) -> bool {
        self.state.load(Acquire) & !CONTENDED == COMPLETE // Acquire: ONCE-E1.
    }

    /// Waits until it is done, or ours to do.
    #[cold]
    pub(crate) fn begin(
        &self,
        env: &impl LockEnv,
        me: u64,
        force: bool,
        deadline: Deadline,
    ) -> Result<Begin, LockAttemptError> {
        let mut parking = Parking::new(env, deadline);
        loop {
            let w = self.state.load(Acquire); // Acquire: ONCE-E1.
            if holder(w) == 0 {
                if w & COMPLETE != 0 {
                    return Ok(Begin::Complete);
                }
                let poisoned = w & POISONED != 0;
                if poisoned && !force {
                    return Ok(Begin::Poisoned);
                }
                kill_point!("once.claim");
                // Acquire: ONCE-E1, of one who gave up.
                let mine = holder(me) | w & CONTENDED;
                if self.state.compare_exchange(w, mine, Acquire, Relaxed).is_ok() {
                    kill_point!("once.claimed");
                    return Ok(Begin::Ours { poisoned });
                }
                continue;
            }
            if holder(w) == holder(me) && names_a_thread(me) {
                return Err(Refused::WouldDeadlock.into());
            }
            if w & CONTENDED == 0 {
                if parking.spin() {
                    continue;
                }
                kill_point!("once.contend");
                // Relaxed: nothing rides on it.
                if self.state.compare_exchange(w, w | CONTENDED, Relaxed, Relaxed).is_err() {
                    continue;
                }
                kill_point!("once.contended");
            }
            let parked = parking.park(env, self.state, w | CONTENDED);
            if parked == Parked::Changed {
                continue;
            }
            match env.liveness(owner(w)) {
                Liveness::Alive if parked == Parked::TimedOut => {
                    return Err(LockAttemptError::Busy);
                }
                Liveness::Alive => {}
                Liveness::Unknown => return Err(Refused::Corrupt(CORRUPT).into()),
                Liveness::Dead => {
                    kill_point!("once.take_over");
                    // Acquire: DEATH-E1. It may have been poisoned before: that was forced already.
                    let mine = holder(me) | CONTENDED;
                    if self.state.compare_exchange(w | CONTENDED, mine, Acquire, Relaxed).is_ok() {
                        kill_point!("once.taken_over");
                        return Ok(Begin::Ours { poisoned: false });
                    }
                }
            }
        }
    }

    /// Waits until somebody has done it, or, unless that is to be gone over, has panicked: false
    /// then.
    pub(crate) fn wait(&self, env: &impl LockEnv, past_poison: bool) -> Result<bool, Refused> {
        let mut parking = Parking::new(env, Deadline::Never);
        loop {
            let w = self.state.load(Acquire); // Acquire: ONCE-E1.
            if w & COMPLETE != 0 && holder(w) == 0 {
                return Ok(true);
            }
            if w & POISONED != 0 && holder(w) == 0 && !past_poison {
                return Ok(false);
            }
            if w & CONTENDED == 0 {
                kill_point!("once.contend");
                // Relaxed: nothing rides on it.
                if self.state.compare_exchange(w, w | CONTENDED, Relaxed, Relaxed).is_err() {
                    continue;
                }
            }
            // A dead initialiser is for the next one that runs: we wait for that.
            parking.park(env, self.state, w | CONTENDED);
        }
    }

    /// Ends what [`begin`](RawOnce::begin) gave us, and wakes all who wait.
    pub(crate) fn end(&self, env: &impl LockEnv, me: u64, how: End) -> Result<(), Refused> {
        // Relaxed: our own name was written by this thread.
        if holder(self.state.load(Relaxed)) != holder(me) {
            return Err(Refused::NotOwner);
        }
        let to = match how {
            End::Complete => COMPLETE,
            End::Incomplete => 0,
            End::Poisoned => POISONED,
        };
        kill_point!("once.end");
        // Release: ONCE-E1.
        let w = self.state.swap(to, Release);
        kill_point!("once.ended");
        if w & CONTENDED != 0 {
            env.wake(self.state, u32::MAX);
            kill_point!("once.woken");
        }
        Ok(())
    }
}
