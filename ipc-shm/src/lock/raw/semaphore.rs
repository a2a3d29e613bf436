//! The semaphore protocol: counted permits that are recovered when their holder dies.
//!
//! # Words
//!
//! ```text
//!   grant        63    52 51        27 26  25 24       23        0
//!                ┌───────┬────────────┬──────┬─────────┬──────────┐
//!                │ id    │ operation  │ kind │ waiters │ permits  │
//!                └───────┴────────────┴──────┴─────────┴──────────┘
//!   held         per participant { operation, permits it holds }
//!   generations  per participant: the generation that `held` belongs to
//! ```
//!
//! An operation changes two numbers: the permits that are left, and the permits that its
//! participant holds. A process may be killed between any two writes. So an operation is one CAS of
//! `grant`, which says both: how many permits are left, and which participant did what.
//!
//! The next operation on `grant` first *settles* the previous one. That is, it brings that
//! participant's word up to the operation that `grant` names. Usually the participant itself
//! settles at once. Settling twice has no effect, because each operation of a participant has a
//! number. The ring signs its claims in the same way ([`ring`](crate::channel::ring)).
//!
//! ```text
//!   take         permits - 1   held + 1
//!   give         permits + 1   held - 1
//!   forget       permits       held - 1        the permit is gone
//!   reclaim      permits + h   held = 0        of a dead participant
//!   add          permits + n                   settles, and changes no participant's word
//! ```
//!
//! While `grant` is unchanged, so are all the words. So what was read after settling is true if the
//! CAS succeeds. (Operations are counted in 25 bits. To be misled, a thread would have to sleep
//! between its load and its CAS through exactly 2^25 operations of the participant that did the
//! last one.)
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | SEMAPHORE-E1 | give, add → take | `grant` | AcqRel chain | what was done while the permit was held |
//! | SEMAPHORE-E2 | settle → settle | `held` | AcqRel | the next operation builds on the last |
//!
//! Reclaiming comes after DEATH-E1 ([`word`](crate::lock::word)), which carries nothing here: a
//! permit protects no data of the semaphore.
//!
//! # If a process dies
//!
//! | the process is killed | it leaves | the others |
//! |---|---|---|
//! | before its CAS of `grant` | nothing | – |
//! | after the CAS | an operation that is not settled | settle it before their own |
//! | holding permits | its count | a waiter, or the next participant with its id, reclaims them |
//! | after it has given, before it has woken, or after it was woken | sleeping waiters | see the permit at the end of their slices |

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::poison::{LockAttemptError, Refused};
use crate::lock::raw::of_id;
use crate::lock::word::{Liveness, LockEnv, generation, id, owner};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The maximum number of permits.
pub(crate) const MAX_PERMITS: u32 = (1 << 24) - 1;
/// The maximum number of participants.
pub(crate) const MAX_PARTICIPANTS: usize = (1 << 12) - 1;

const PERMITS: u64 = MAX_PERMITS as u64;
const WAITERS: u64 = 1 << 24;
const KIND_SHIFT: u32 = 25;
const OPERATION_SHIFT: u32 = 27;
const OPERATIONS: u64 = (1 << 25) - 1;
const ID_SHIFT: u32 = 52;

const NOTHING: u64 = 0;
const TAKE: u64 = 1;
/// The operation that gives a permit back, or forgets it.
const LOSE: u64 = 2;
const RECLAIM: u64 = 3;

const fn grant(permits: u64, waiters: u64, kind: u64, operation: u64, id: u64) -> u64 {
    permits | waiters | kind << KIND_SHIFT | operation << OPERATION_SHIFT | id << ID_SHIFT
}
const fn kind(grant: u64) -> u64 {
    grant >> KIND_SHIFT & 3
}
const fn operation(grant: u64) -> u64 {
    grant >> OPERATION_SHIFT & OPERATIONS
}

const HELD_SHIFT: u32 = 32;
const fn held(operation: u64, permits: u64) -> u64 {
    operation << HELD_SHIFT | permits
}
const fn after(held: u64) -> u64 {
    ((held >> HELD_SHIFT) + 1) & OPERATIONS
}

/// The words of a semaphore.
#[derive(Clone, Copy)]
pub(crate) struct RawSemaphore<'a> {
    pub(crate) grant: &'a AtomicU64,
    pub(crate) held: &'a [AtomicU64],
    pub(crate) generations: &'a [AtomicU64],
    /// The maximum number of permits, left and held together.
    pub(crate) bound: u32,
}

const CORRUPT: &str = "a semaphore names a participant that there cannot be";

impl RawSemaphore<'_> {
    /// Returns the word of the participant with this id.
    fn held_by(&self, id: u64) -> Result<&AtomicU64, Refused> {
        of_id(self.held, id as u16).ok_or(Refused::Corrupt(CORRUPT))
    }

    /// Returns the generation that the word of this id belongs to.
    fn generation_of(&self, id: u64) -> Result<&AtomicU64, Refused> {
        of_id(self.generations, id as u16).ok_or(Refused::Corrupt(CORRUPT))
    }

    /// Brings the word of the participant that did the last operation up to it.
    fn settle(&self, g: u64) -> Result<(), Refused> {
        if kind(g) == NOTHING {
            return Ok(());
        }
        let word = self.held_by(g >> ID_SHIFT)?;
        let h = word.load(Acquire); // Acquire: SEMAPHORE-E2.
        if after(h) != operation(g) {
            return Ok(()); // Settled already.
        }
        let permits = h & PERMITS;
        let permits = match kind(g) {
            TAKE => (permits + 1).min(PERMITS),
            LOSE => permits.saturating_sub(1),
            _ => 0,
        };
        kill_point!("semaphore.settle");
        // AcqRel: SEMAPHORE-E2. If it fails, another has settled the operation.
        let _ = word.compare_exchange(h, held(operation(g), permits), AcqRel, Relaxed);
        kill_point!("semaphore.settled");
        Ok(())
    }

    /// Settles the last operation, and returns `grant`.
    fn settled(&self) -> Result<u64, Refused> {
        let g = self.grant.load(Acquire); // Acquire: SEMAPHORE-E1, SEMAPHORE-E2.
        self.settle(g)?;
        Ok(g)
    }

    /// Registers this participant as the owner of its id's words, and returns the id.
    ///
    /// Reclaims the permits of the participant that had the id before.
    fn claim_words(&self, env: &impl LockEnv, me: u64) -> Result<u64, Refused> {
        let id = u64::from(id(owner(me)));
        let ours = u64::from(generation(owner(me)));
        let word = self.generation_of(id)?;
        loop {
            // Acquire: after the reclaiming by the participant that wrote it.
            let found = word.load(Acquire);
            if found == ours {
                return Ok(id);
            }
            self.reclaim(env, id, found)?;
            kill_point!("semaphore.claim");
            // AcqRel: before the operations of this participant, after the reclaiming.
            let _ = word.compare_exchange(found, ours, AcqRel, Relaxed);
            kill_point!("semaphore.claimed");
        }
    }

    /// Reclaims the permits of a dead participant. Returns whether it had any.
    fn reclaim(&self, env: &impl LockEnv, id: u64, whose: u64) -> Result<bool, Refused> {
        loop {
            let g = self.settled()?;
            // Loaded after `grant`. If the id has a new participant by now, this load sees it, or
            // the CAS below fails because `grant` has changed.
            if self.generation_of(id)?.load(Acquire) != whose {
                return Ok(false);
            }
            let h = self.held_by(id)?.load(Acquire); // Acquire: SEMAPHORE-E2.
            let back = h & PERMITS;
            if back == 0 {
                return Ok(false);
            }
            let permits = ((g & PERMITS) + back).min(u64::from(self.bound));
            let to = grant(permits, 0, RECLAIM, after(h), id);
            kill_point!("semaphore.reclaim");
            // AcqRel: SEMAPHORE-E1, SEMAPHORE-E2.
            if self.grant.compare_exchange(g, to, AcqRel, Relaxed).is_ok() {
                kill_point!("semaphore.reclaimed");
                self.settle(to)?;
                self.wake(env, g, back);
                return Ok(true);
            }
        }
    }

    /// Takes a permit if there is one. Never waits, and does not look for dead holders.
    pub(crate) fn take_now(&self, env: &impl LockEnv, me: u64) -> Result<bool, Refused> {
        loop {
            let g = self.settled()?;
            if g & PERMITS == 0 {
                return Ok(false);
            }
            if self.take_one(env, me, g, false)? {
                return Ok(true);
            }
        }
    }

    /// Takes one of the permits that `g` says are left. Returns false if `grant` has changed.
    fn take_one(&self, env: &impl LockEnv, me: u64, g: u64, slept: bool) -> Result<bool, Refused> {
        let id = self.claim_words(env, me)?;
        let h = self.held_by(id)?.load(Acquire); // Acquire: SEMAPHORE-E2.
        // Others may still sleep if this thread has slept.
        let waiters = if slept { WAITERS } else { g & WAITERS };
        let to = grant((g & PERMITS) - 1, waiters, TAKE, after(h), id);
        kill_point!("semaphore.take");
        // AcqRel: SEMAPHORE-E1, SEMAPHORE-E2.
        if self.grant.compare_exchange(g, to, AcqRel, Relaxed).is_err() {
            return Ok(false);
        }
        kill_point!("semaphore.taken");
        self.settle(to)?;
        if slept && to & PERMITS > 0 {
            // The wake for the next permit may have reached this thread.
            self.wake(env, to, 1);
        }
        Ok(true)
    }

    /// Registers a waiter that may wait for other things too, and returns the word on which it
    /// sleeps. It tries again before it sleeps.
    pub(crate) fn register(&self) -> Result<u64, Refused> {
        loop {
            let g = self.settled()?;
            if g & PERMITS != 0 {
                // Another word than this one, so that the waiter does not sleep. The permit may be
                // taken and given back before it does: the low half may be the same again then.
                return Ok(!g);
            }
            if g & WAITERS != 0 || self.add_waiters(g) {
                return Ok(g | WAITERS);
            }
        }
    }

    /// Notes in `grant` that there are waiters, if it is still `g`.
    fn add_waiters(&self, g: u64) -> bool {
        kill_point!("semaphore.register");
        // AcqRel: continues the chain of SEMAPHORE-E1; this CAS publishes nothing itself.
        let registered = self.grant.compare_exchange(g, g | WAITERS, AcqRel, Relaxed).is_ok();
        if registered {
            kill_point!("semaphore.registered");
        }
        registered
    }

    /// Ends the wait of a waiter that has [registered](RawSemaphore::register). The wake-up for a
    /// permit may have reached it while others sleep: one of them takes the permit, or they wait
    /// for the next one.
    pub(crate) fn pass_on(&self, env: &impl LockEnv) {
        loop {
            // Relaxed: the woken waiter reads it again, or the CAS decides.
            let g = self.grant.load(Relaxed);
            if g & (PERMITS | WAITERS) == WAITERS {
                return;
            }
            if g & PERMITS > 0 {
                env.wake(self.grant, 1);
                kill_point!("semaphore.woken");
                return;
            }
            if self.add_waiters(g) {
                return;
            }
        }
    }

    /// Takes a permit, and waits for one until the deadline.
    pub(crate) fn take(
        &self,
        env: &impl LockEnv,
        me: u64,
        deadline: Deadline,
    ) -> Result<(), LockAttemptError> {
        let mut parking = None;
        loop {
            let g = self.settled()?;
            if g & PERMITS > 0 {
                let slept = parking.as_ref().is_some_and(|parking: &Parking| parking.slept);
                if self.take_one(env, me, g, slept)? {
                    return Ok(());
                }
                continue;
            }
            if deadline == Deadline::Now {
                if self.reclaim_dead_permits(env)? {
                    continue;
                }
                return Err(LockAttemptError::Busy);
            }
            let parking = parking.get_or_insert_with(|| Parking::new(env, deadline));
            if g & WAITERS == 0 {
                if parking.spin() {
                    continue;
                }
                if !self.add_waiters(g) {
                    continue;
                }
            }
            let parked = parking.park(env, self.grant, g | WAITERS);
            if parked == Parked::Changed {
                continue;
            }
            if !self.reclaim_dead_permits(env)? && parked == Parked::TimedOut {
                return Err(LockAttemptError::Busy);
            }
        }
    }

    /// Reclaims the permits of every dead participant. Returns whether there were any.
    pub(crate) fn reclaim_dead_permits(&self, env: &impl LockEnv) -> Result<bool, Refused> {
        self.settled()?;
        let mut any = false;
        for id in 1..=env.max_participants().min(MAX_PARTICIPANTS) as u64 {
            let Some(word) = of_id(self.held, id as u16) else { break };
            if word.load(Relaxed) & PERMITS == 0 {
                continue; // Relaxed: a hint.
            }
            let whose = self.generation_of(id)?.load(Acquire); // Acquire: as in `claim_words`.
            if env.liveness(whose << 16 | id) == Liveness::Dead {
                any |= self.reclaim(env, id, whose)?;
            }
        }
        Ok(any)
    }

    /// Gives a permit of the caller back, or with `back` false removes it for good.
    pub(crate) fn give(&self, env: &impl LockEnv, me: u64, back: bool) -> Result<(), Refused> {
        let (id, ours) = (u64::from(id(owner(me))), u64::from(generation(owner(me))));
        loop {
            let g = self.settled()?;
            let h = self.held_by(id)?.load(Acquire); // Acquire: SEMAPHORE-E2.
            if self.generation_of(id)?.load(Acquire) != ours || h & PERMITS == 0 {
                return Err(Refused::NotOwner);
            }
            let (permits, waiters) = if back {
                (((g & PERMITS) + 1).min(PERMITS), 0)
            } else {
                (g & PERMITS, g & WAITERS)
            };
            let to = grant(permits, waiters, LOSE, after(h), id);
            kill_point!("semaphore.give");
            // AcqRel: SEMAPHORE-E1, SEMAPHORE-E2.
            if self.grant.compare_exchange(g, to, AcqRel, Relaxed).is_ok() {
                kill_point!("semaphore.given");
                self.settle(to)?;
                if back {
                    self.wake(env, g, 1);
                }
                return Ok(());
            }
        }
    }

    /// Adds permits that no participant holds.
    pub(crate) fn add(&self, env: &impl LockEnv, n: u32) -> Result<(), Refused> {
        loop {
            let g = self.settled()?;
            // All permits, left and held.
            let all = (1..=self.held.len() as u16)
                .filter_map(|id| of_id(self.held, id))
                // Acquire: SEMAPHORE-E2.
                .fold(g & PERMITS, |all, word| all + (word.load(Acquire) & PERMITS));
            if all + u64::from(n) > u64::from(self.bound) {
                return Err(Refused::TooMany);
            }
            kill_point!("semaphore.add");
            // AcqRel: SEMAPHORE-E1. The word keeps naming the last operation, which is settled and
            // stays so.
            let to = g & !(PERMITS | WAITERS) | ((g & PERMITS) + u64::from(n)) & PERMITS;
            if self.grant.compare_exchange(g, to, AcqRel, Relaxed).is_ok() {
                kill_point!("semaphore.added");
                self.wake(env, g, u64::from(n));
                return Ok(());
            }
        }
    }

    /// Returns how many permits are left.
    pub(crate) fn permits(&self) -> u32 {
        // Relaxed: the number may be old when it is returned.
        (self.grant.load(Relaxed) & PERMITS) as u32
    }

    /// Wakes up to `n` waiters, if `g` says that there may be any.
    fn wake(&self, env: &impl LockEnv, g: u64, n: u64) {
        if g & WAITERS != 0 {
            env.wake(self.grant, n.min(u64::from(u32::MAX)) as u32);
            kill_point!("semaphore.woken");
        }
    }

    /// Initialises the words of a new semaphore.
    pub(crate) fn initialise(&self, permits: u32) {
        self.grant.store(u64::from(permits), Release); // Release: before other threads get it.
    }
}
