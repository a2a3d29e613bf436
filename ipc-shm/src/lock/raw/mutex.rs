//! Mutual exclusion: one word that names the holder, one that says whether what it protects is
//! poisoned.
//!
//! # Life of the word
//!
//! ```text
//!          ┌───────────── unlock (CAS, or swap) ◀──────────────┐
//!          ▼                                                   │
//!        free ──lock (CAS)──▶ held by A ──contend──▶ held by A, contended ──▶ (unlock wakes one)
//!                                │ A dies                │ A dies
//!                                └──────┬────────────────┘
//!                                       ▼ take over (CAS of the whole word, after the kernel's verdict)
//!                              held by B, contended; poisoned, unless A was updating
//! ```
//!
//! A waiter sets *contended* before it sleeps, and takes the lock as contended once it has slept,
//! since others may sleep too: Drepper's second mutex, <https://akkadia.org/drepper/futex.pdf>.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | MUTEX-E1 | unlock → lock | `state` | Release / Acquire | what the mutex protects, and the mark |
//!
//! Taking over uses DEATH-E1 ([`word`](crate::lock::word)): it carries what the dead holder had
//! written.
//!
//! # If a process dies
//!
//! | it is killed | it leaves | who comes next |
//! |---|---|---|
//! | before its CAS to lock, or after it has unlocked | nothing | takes the lock |
//! | holding | its name in the word | takes over: by one CAS, so one of those who try; marks it poisoned |
//! | holding, to update | its name, *updating* | takes over; nothing is poisoned: see `Mutex::update` |
//! | having taken over, before it has marked | its own name | takes over from it, and marks |
//! | between unlocking and waking | a free lock, sleepers | sleepers find it at the end of their slice |
//! | woken, before it looked | as above | as above |

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::poison::{LockAttemptError, PoisonedBy, Refused, mark};
use crate::lock::word::{CONTENDED, Liveness, LockEnv, holder, names_a_thread, owner};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// The holder changes nothing that others see but by one flip: its death spoils nothing.
pub(crate) const UPDATING: u64 = 2;

/// The words of a mutex.
#[derive(Clone, Copy)]
pub(crate) struct RawMutex<'a> {
    pub(crate) state: &'a AtomicU64,
    pub(crate) mark: &'a AtomicU64,
}

pub(crate) const CORRUPT: &str = "a lock word names a participant that there cannot be";

impl RawMutex<'_> {
    /// Takes the lock for `me`, a holder with its flags, if it is free: one CAS.
    #[inline(always)]
    pub(crate) fn try_now(&self, me: u64) -> bool {
        kill_point!("lock.claim");
        // Acquire: MUTEX-E1. Relaxed on failure: nothing was learnt.
        let taken = self.state.compare_exchange(0, me, Acquire, Relaxed).is_ok();
        kill_point!("lock.claimed");
        taken
    }

    /// Takes the lock; then [`cause`](RawMutex::cause) says whether it is poisoned.
    #[cold]
    pub(crate) fn lock(
        &self,
        env: &impl LockEnv,
        me: u64,
        deadline: Deadline,
    ) -> Result<(), LockAttemptError> {
        let mut parking = Parking::new(env, deadline);
        loop {
            let w = self.state.load(Relaxed); // Relaxed: the CAS decides.
            if holder(w) == 0 {
                let me = if parking.slept { me | CONTENDED } else { me };
                kill_point!("lock.claim");
                // Acquire: MUTEX-E1.
                if self.state.compare_exchange(w, me, Acquire, Relaxed).is_ok() {
                    kill_point!("lock.claimed");
                    return Ok(());
                }
                continue;
            }
            if deadline == Deadline::Now {
                match self.look(env, w, me)? {
                    Look::Ours => return Ok(()),
                    Look::Lives => return Err(LockAttemptError::Busy),
                    Look::Again => continue,
                }
            }
            if holder(w) == holder(me) && names_a_thread(me) {
                return Err(Refused::WouldDeadlock.into());
            }
            if w & CONTENDED == 0 {
                if parking.spin() {
                    continue;
                }
                kill_point!("lock.contend");
                // Relaxed: it publishes nothing. MUTEX-E1 is between the unlocking and the
                // locking CAS.
                if self.state.compare_exchange(w, w | CONTENDED, Relaxed, Relaxed).is_err() {
                    continue;
                }
                kill_point!("lock.contended");
            }
            let parked = parking.park(env, self.state, w | CONTENDED);
            if parked == Parked::Changed {
                continue;
            }
            match self.look(env, w | CONTENDED, me)? {
                Look::Ours => return Ok(()),
                Look::Lives if parked == Parked::TimedOut => return Err(LockAttemptError::Busy),
                Look::Lives | Look::Again => {}
            }
        }
    }

    /// Looks whether the holder in `w` is dead, and takes over if so.
    fn look(&self, env: &impl LockEnv, w: u64, me: u64) -> Result<Look, Refused> {
        match env.liveness(owner(w)) {
            Liveness::Alive => Ok(Look::Lives),
            Liveness::Unknown => Err(Refused::Corrupt(CORRUPT)),
            Liveness::Dead => Ok(if self.take_over(env, w, me) { Look::Ours } else { Look::Again }),
        }
    }

    fn take_over(&self, env: &impl LockEnv, w: u64, me: u64) -> bool {
        let pid = env.pid(owner(w));
        let updating = w & UPDATING != 0;
        // Not as updating, where there is something to mark: if we die before we have, the next one
        // does.
        let mine = if updating { me } else { holder(me) };
        kill_point!("lock.take_over");
        // Acquire: MUTEX-E1 for what holders before the dead one wrote, DEATH-E1 for what it wrote.
        // The word names one owner for ever, so this is the death that `life` reported.
        if self.state.compare_exchange(w, mine | CONTENDED, Acquire, Relaxed).is_err() {
            return false;
        }
        kill_point!("lock.taken_over");
        if !updating {
            // Relaxed: the lock is ours; MUTEX-E1 carries it.
            self.mark.store(mark::of(PoisonedBy::OwnerDied { pid }), Relaxed);
            kill_point!("lock.marked");
        }
        true
    }

    /// Why it is poisoned, if it is. Exact for the holder; others may be told late.
    #[inline(always)]
    pub(crate) fn cause(&self) -> Option<PoisonedBy> {
        mark::cause(self.mark.load(Relaxed)) // Relaxed: MUTEX-E1 carries it.
    }

    /// Says that it is poisoned, or no more.
    pub(crate) fn set_cause(&self, cause: Option<PoisonedBy>) {
        kill_point!("lock.mark");
        self.mark.store(cause.map_or(0, mark::of), Relaxed); // Relaxed: MUTEX-E1 carries it.
    }

    /// Whether `me` holds it.
    #[inline]
    pub(crate) fn is_held_by(&self, me: u64) -> bool {
        // Relaxed: our own name there was written by this thread.
        holder(self.state.load(Relaxed)) == holder(me)
    }

    /// Whether a process that is not dead holds it.
    pub(crate) fn is_locked(&self, env: &impl LockEnv) -> bool {
        let w = self.state.load(Relaxed); // Relaxed: the answer may be old when it is returned.
        holder(w) != 0 && env.liveness(owner(w)) == Liveness::Alive
    }

    /// Gives it back, and wakes one waiter if there may be one.
    #[inline(always)]
    pub(crate) fn unlock(&self, env: &impl LockEnv, me: u64) -> Result<(), Refused> {
        kill_point!("unlock.free");
        // Release: MUTEX-E1. Relaxed on failure: looked at again.
        if self.state.compare_exchange(me, 0, Release, Relaxed).is_ok() {
            kill_point!("unlock.freed");
            return Ok(());
        }
        self.unlock_contended(env, me)
    }

    #[cold]
    fn unlock_contended(&self, env: &impl LockEnv, me: u64) -> Result<(), Refused> {
        if !self.is_held_by(me) {
            return Err(Refused::NotOwner);
        }
        kill_point!("unlock.swap");
        // Release: MUTEX-E1. Since `state` was read, only *contended* can have been added: this
        // process lives, so no other took the lock over.
        let w = self.state.swap(0, Release);
        kill_point!("unlock.swapped");
        if w & CONTENDED != 0 {
            self.wake(env);
        }
        Ok(())
    }

    #[cold]
    fn wake(&self, env: &impl LockEnv) {
        env.wake(self.state, 1);
        kill_point!("unlock.woken");
    }
}

enum Look {
    Ours,
    Lives,
    Again,
}
