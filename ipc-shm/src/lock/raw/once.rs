//! The once protocol: one word names the thread that runs the initialiser.
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
//! Taking over uses DEATH-E1 ([`word`](crate::lock::word)), which carries every store of the dead
//! initialiser.
//!
//! # If a process dies
//!
//! | the process is killed | it leaves | the others |
//! |---|---|---|
//! | running the initialiser | its name | a caller that waits in `begin` takes over and runs the initialiser itself, over the half-written data, which no thread has seen |
//! | after the end, before it has woken | sleeping waiters | see the end at the end of their slices |

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

/// The result of [`begin`](RawOnce::begin).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// The initialiser has completed.
    Complete,
    /// The caller runs the initialiser, and then calls [`end`](RawOnce::end).
    Ours { poisoned: bool },
    /// The last initialiser panicked, and the caller does not force another run.
    Poisoned,
}

/// How an initialiser ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    /// The initialiser gave up, as if it had not begun.
    Incomplete,
    Poisoned,
}

impl RawOnce<'_> {
    /// Returns whether the initialiser has completed.
    #[inline(always)]
    pub(crate) fn is_complete(&self) -> bool {
        self.state.load(Acquire) & !CONTENDED == COMPLETE // Acquire: ONCE-E1.
    }

    /// Waits until the initialiser has completed, or the caller is to run it.
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
                // Acquire: ONCE-E1, from an initialiser that gave up.
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
                // Relaxed: this CAS publishes nothing.
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
                    // Acquire: DEATH-E1. If the once was poisoned before, the dead caller had
                    // forced it already.
                    let mine = holder(me) | CONTENDED;
                    if self.state.compare_exchange(w | CONTENDED, mine, Acquire, Relaxed).is_ok() {
                        kill_point!("once.taken_over");
                        return Ok(Begin::Ours { poisoned: false });
                    }
                }
            }
        }
    }

    /// Waits until the initialiser has completed, and returns true.
    ///
    /// Returns false if the initialiser panicked, unless `past_poison` says to wait on.
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
                // Relaxed: this CAS publishes nothing.
                if self.state.compare_exchange(w, w | CONTENDED, Relaxed, Relaxed).is_err() {
                    continue;
                }
            }
            // This thread does not take over from a dead initialiser. It waits until a caller of
            // `begin` has.
            parking.park(env, self.state, w | CONTENDED);
        }
    }

    /// Ends the run that [`begin`](RawOnce::begin) started, and wakes every waiter.
    pub(crate) fn end(&self, env: &impl LockEnv, me: u64, how: End) -> Result<(), Refused> {
        // Relaxed: if the word names this thread, this thread wrote it.
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
