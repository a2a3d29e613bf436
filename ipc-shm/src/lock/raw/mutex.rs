//! The mutex protocol: one word names the holder, one word holds the poison mark.
//!
//! # Life of the word `state`
//!
//! ```text
//!          ┌───────────── unlock (CAS, or swap) ◀──────────────┐
//!          ▼                                                   │
//!        free ──lock (CAS)──▶ held by A ──contend──▶ held by A, contended ──▶ (unlock wakes one)
//!                                │ A dies                │ A dies
//!                                └──────┬────────────────┘
//!                                       ▼ take over: one CAS of the whole word,
//!                                       │ after the kernel's verdict
//!                              held by B, contended; poisoned, unless A was updating
//! ```
//!
//! A waiter sets *contended* before it sleeps. A waiter that has slept acquires the lock as
//! contended, because other waiters may still sleep. This is Drepper's second mutex,
//! <https://akkadia.org/drepper/futex.pdf>.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | MUTEX-E1 | unlock → lock | `state` | Release / Acquire | what the mutex protects, and the mark |
//!
//! Taking over uses DEATH-E1 ([`word`](crate::lock::word)), which carries every store of the dead
//! holder.
//!
//! # If a process dies
//!
//! | the process is killed | it leaves | the next process that locks |
//! |---|---|---|
//! | before its CAS to lock, or after it has unlocked | nothing | acquires the lock |
//! | holding | its name in the word | takes over by one CAS, so only one waiter succeeds, and marks the lock poisoned |
//! | holding, to update | its name, *updating* | takes over, and poisons nothing: see `Mutex::update` |
//! | after it has taken over, before it has marked | its own name | takes over from it, and marks |
//! | between unlocking and waking | a free lock and sleeping waiters | finds the lock free; each sleeper does at the end of its slice |
//! | after it was woken, before it has read the word | the same | the same |

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::poison::{LockAttemptError, PoisonedBy, Refused, mark};
use crate::lock::word::{CONTENDED, Liveness, LockEnv, holder, names_a_thread, owner};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// The flag of a holder that changes what others see by one flip only. Its death damages nothing,
/// so it poisons nothing.
pub(crate) const UPDATING: u64 = 2;

/// The words of a mutex.
#[derive(Clone, Copy)]
pub(crate) struct RawMutex<'a> {
    /// The lock word: the holder and its flags, or 0 while the lock is free.
    pub(crate) state: &'a AtomicU64,
    /// The poison mark ([`mark`]).
    pub(crate) mark: &'a AtomicU64,
}

pub(crate) const CORRUPT: &str = "a lock word names a participant that there cannot be";

impl RawMutex<'_> {
    /// Acquires the lock if it is free, by one CAS. `me` is a holder with its flags.
    #[inline(always)]
    pub(crate) fn try_now(&self, me: u64) -> bool {
        kill_point!("lock.claim");
        // Acquire: MUTEX-E1. Relaxed on failure: the value is not used.
        let taken = self.state.compare_exchange(0, me, Acquire, Relaxed).is_ok();
        kill_point!("lock.claimed");
        taken
    }

    /// Acquires the lock. Afterwards [`cause`](RawMutex::cause) returns whether it is poisoned.
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
                match self.check_holder(env, w, me)? {
                    HolderCheck::TakenOver => return Ok(()),
                    HolderCheck::Alive => return Err(LockAttemptError::Busy),
                    HolderCheck::Changed => continue,
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
                // Relaxed: this CAS publishes nothing. MUTEX-E1 is between the unlocking and the
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
            match self.check_holder(env, w | CONTENDED, me)? {
                HolderCheck::TakenOver => return Ok(()),
                HolderCheck::Alive if parked == Parked::TimedOut => {
                    return Err(LockAttemptError::Busy);
                }
                HolderCheck::Alive | HolderCheck::Changed => {}
            }
        }
    }

    /// Asks whether the holder that `w` names is dead, and takes the lock over if so.
    fn check_holder(&self, env: &impl LockEnv, w: u64, me: u64) -> Result<HolderCheck, Refused> {
        match env.liveness(owner(w)) {
            Liveness::Alive => Ok(HolderCheck::Alive),
            Liveness::Unknown => Err(Refused::Corrupt(CORRUPT)),
            Liveness::Dead => Ok(if self.take_over(env, w, me) {
                HolderCheck::TakenOver
            } else {
                HolderCheck::Changed
            }),
        }
    }

    /// Takes the lock over from the dead holder that `w` names. Returns whether this thread did.
    fn take_over(&self, env: &impl LockEnv, w: u64, me: u64) -> bool {
        let pid = env.pid(owner(w));
        let updating = w & UPDATING != 0;
        // Without *updating* if the lock is to be marked: if this process dies before it has
        // marked, the next process that takes over does.
        let mine = if updating { me } else { holder(me) };
        kill_point!("lock.take_over");
        // Acquire: MUTEX-E1 for what the earlier holders wrote, DEATH-E1 for what the dead holder
        // wrote. The word names one owner for ever, so its owner is the one that `liveness` found
        // dead.
        if self.state.compare_exchange(w, mine | CONTENDED, Acquire, Relaxed).is_err() {
            return false;
        }
        kill_point!("lock.taken_over");
        if !updating {
            // Relaxed: this thread holds the lock, and MUTEX-E1 carries the mark.
            self.mark.store(mark::of(PoisonedBy::OwnerDied { pid }), Relaxed);
            kill_point!("lock.marked");
        }
        true
    }

    /// Registers a waiter that may wait for other things too, and returns the word on which it
    /// sleeps. It tries again before it sleeps.
    pub(crate) fn register(&self) -> u64 {
        self.contend().unwrap_or(AWAKE)
    }

    fn contend(&self) -> Option<u64> {
        contend(self.state, |w| holder(w) != 0)
    }

    /// Ends the wait of a waiter that has [registered](RawMutex::register), and that may have the
    /// lock now. The wake-up may have reached it while others sleep: one of them gets the lock, or
    /// the holder wakes one.
    pub(crate) fn pass_on(&self, env: &impl LockEnv) {
        if self.contend().is_none() {
            self.wake(env);
        }
    }

    /// Returns whether an attempt may succeed.
    pub(crate) fn is_free(&self) -> bool {
        holder(self.state.load(Relaxed)) == 0 // Relaxed: a hint, and the next attempt decides.
    }

    /// Returns whether the holder is dead, so that the next attempt takes the lock over.
    pub(crate) fn is_orphaned(&self, env: &impl LockEnv) -> bool {
        is_orphaned(env, self.state)
    }

    /// Returns why the lock is poisoned, if it is. Exact for the holder. Other callers may read an
    /// old value.
    #[inline(always)]
    pub(crate) fn cause(&self) -> Option<PoisonedBy> {
        mark::cause(self.mark.load(Relaxed)) // Relaxed: MUTEX-E1 carries it.
    }

    /// Poisons the lock, or ends the poisoning.
    pub(crate) fn set_cause(&self, cause: Option<PoisonedBy>) {
        kill_point!("lock.mark");
        self.mark.store(cause.map_or(0, mark::of), Relaxed); // Relaxed: MUTEX-E1 carries it.
    }

    /// Returns whether `me` holds the lock.
    #[inline]
    pub(crate) fn is_held_by(&self, me: u64) -> bool {
        // Relaxed: if the word names this thread, this thread wrote it.
        holder(self.state.load(Relaxed)) == holder(me)
    }

    /// Returns whether a process that is not dead holds the lock.
    pub(crate) fn is_locked(&self, env: &impl LockEnv) -> bool {
        let w = self.state.load(Relaxed); // Relaxed: the answer may be old when it is returned.
        holder(w) != 0 && env.liveness(owner(w)) == Liveness::Alive
    }

    /// Releases the lock, and wakes one waiter if there may be one.
    #[inline(always)]
    pub(crate) fn unlock(&self, env: &impl LockEnv, me: u64) -> Result<(), Refused> {
        kill_point!("unlock.free");
        // Release: MUTEX-E1. Relaxed on failure: the slow path reads the word again.
        if self.state.compare_exchange(me, 0, Release, Relaxed).is_ok() {
            kill_point!("unlock.freed");
            return Ok(());
        }
        self.unlock_contended(env, me)
    }

    /// Releases a lock that has waiters, and wakes one.
    #[cold]
    fn unlock_contended(&self, env: &impl LockEnv, me: u64) -> Result<(), Refused> {
        if !self.is_held_by(me) {
            return Err(Refused::NotOwner);
        }
        kill_point!("unlock.swap");
        // Release: MUTEX-E1. Since this thread read `state`, another can only have added
        // *contended*: this process lives, so no other process has taken the lock over.
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

/// What a waiter sleeps on that has found the lock free: no word names such a holder, so it does
/// not sleep. The free word would not do. If another thread takes the lock and releases it before
/// this one sleeps, the word is the same again, and nothing wakes this thread.
pub(crate) const AWAKE: u64 = u64::MAX;

/// Sets *contended* in a lock word if it keeps waiters out, and returns the word then.
pub(crate) fn contend(word: &AtomicU64, keeps_out: impl Fn(u64) -> bool) -> Option<u64> {
    let mut w = word.load(Relaxed); // Relaxed: the CAS decides, or the next attempt.
    while keeps_out(w) && w & CONTENDED == 0 {
        kill_point!("lock.contend");
        // Relaxed: this CAS publishes nothing.
        match word.compare_exchange(w, w | CONTENDED, Relaxed, Relaxed) {
            Ok(_) => {
                kill_point!("lock.contended");
                return Some(w | CONTENDED);
            }
            Err(now) => w = now,
        }
    }
    keeps_out(w).then_some(w)
}

/// Returns whether a lock word names a dead holder.
pub(crate) fn is_orphaned(env: &impl LockEnv, word: &AtomicU64) -> bool {
    let w = word.load(Relaxed); // Relaxed: a hint, and the next attempt decides.
    holder(w) != 0 && env.liveness(owner(w)) == Liveness::Dead
}

/// What a check of the holder found.
enum HolderCheck {
    /// The holder is dead, and this thread has taken the lock over.
    TakenOver,
    /// The holder is alive.
    Alive,
    /// The word has changed, so the caller reads it again.
    Changed,
}
