//! The condition protocol: each waiter registers its name in a place.
//!
//! # Life of a place
//!
//! ```text
//!   free ──register (CAS)──▶ A arrives ──▶ A waits ──notify (CAS)──▶ A notified ──▶ free
//!    ▲                         │ A dies      │ A dies, or its time is over   │ A dies   ▲
//!    └─────────────────────────┴─────────────┴───────────────────────────────┘          │
//!                                            └──a participant has died: A itself────────┘
//! ```
//!
//! A notifier that wakes one waiter chooses the live waiter with the oldest *ticket*. It wakes this
//! waiter through the place's own word, so no other thread wakes up.
//!
//! A process that dies may have changed what others wait for, and not have notified them. Or it was
//! notified, and has not acted on that. So a waiter checks for deaths at the end of each slice and
//! at its deadline. If a participant has died since the waiter registered, the waiter wakes up as
//! if it were notified. Its caller then checks its condition again, once for each death. Earlier
//! deaths do not matter: the waiter registered with the mutex held, so it has seen what those
//! processes did.
//!
//! When all [`PLACES`] are taken, later waiters wait together on `overflow_waiters`. This word is
//! `{ any waiter, seq }`. They are served after the others. Sometimes they are woken spuriously, as
//! `std` allows.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | CONDVAR-E1 | arrive → notify | `place` | Release / Acquire | the ticket |
//! | CONDVAR-E2 | notify → wait | `place` | AcqRel / Acquire | what the notifier did, also without the mutex |
//!
//! The mutex orders *wait* before *notify*. So a notifier that has held the user's mutex sees the
//! place of every waiter that released the mutex before. Freeing the place of a dead waiter comes
//! after DEATH-E1 ([`word`](crate::lock::word)), which carries nothing here.
//!
//! # If a process dies
//!
//! | the process is killed | it leaves | the others |
//! |---|---|---|
//! | registering or waiting | a place | the next notifier, or a waiter that needs a place, frees it |
//! | notified, before it has the mutex | a notification | all waiters wake up, at the end of their slices |
//! | before it has notified | sleeping waiters | the same |
//! | after it has notified, before it has woken | a notified sleeper | this waiter sees the notification at the end of its slice |

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::poison::Refused;
use crate::lock::word::{Liveness, LockEnv, holder, owner};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

const WAITS: u64 = 2;
const NOTIFIED: u64 = 4;

/// How many threads can each wait in a place of their own.
pub(crate) const PLACES: usize = 64;

const ANY_WAITER: u64 = 1 << 32;

/// The words of a condition.
#[derive(Clone, Copy)]
pub(crate) struct RawCondvar<'a> {
    /// Places from this index on were never used.
    pub(crate) used: &'a AtomicU64,
    /// The next ticket.
    pub(crate) tickets: &'a AtomicU64,
    /// `{ any waiter, seq }`, on which waiters without a place sleep.
    pub(crate) overflow_waiters: &'a AtomicU64,
    /// The holder in each place, and whether it waits or is notified.
    pub(crate) places: &'a [AtomicU64],
    /// The ticket of each place's waiter.
    pub(crate) since: &'a [AtomicU64],
}

/// A registered waiter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    Place { index: usize, me: u64, deaths: u64 },
    Overflow { seen: u64, deaths: u64 },
}

/// Bounds the retries, because a hostile peer may change words as fast as they are read.
const TRIES: usize = 1000;

impl RawCondvar<'_> {
    /// Registers the caller as a waiter. The caller still holds the mutex.
    pub(crate) fn register(&self, env: &impl LockEnv, me: u64) -> Waiter {
        let me = holder(me);
        // Read before the mutex is released: the caller has seen what the processes did that are
        // dead by now.
        let deaths = env.deaths();
        for check_deaths in [false, true] {
            for (index, place) in self.places.iter().enumerate() {
                if self.is_free(env, place, check_deaths) {
                    kill_point!("condvar.register");
                    // Acquire: after the previous waiter in this place freed it.
                    if place.compare_exchange(0, me, Acquire, Relaxed).is_ok() {
                        self.arrive(index, me);
                        return Waiter::Place { index, me, deaths };
                    }
                }
            }
        }
        kill_point!("condvar.overflow");
        let mut w = self.overflow_waiters.load(Relaxed); // Relaxed: the CAS decides.
        // AcqRel: CONDVAR-E1.
        while let Err(now) =
            self.overflow_waiters.compare_exchange(w, w | ANY_WAITER, AcqRel, Relaxed)
        {
            w = now;
        }
        Waiter::Overflow { seen: w | ANY_WAITER, deaths }
    }

    /// Returns whether a place is free.
    ///
    /// With `check_deaths`, frees it first if its owner is not alive.
    fn is_free(&self, env: &impl LockEnv, place: &AtomicU64, check_deaths: bool) -> bool {
        let w = place.load(Relaxed); // Relaxed: a CAS follows.
        if w == 0 || !check_deaths || env.liveness(owner(w)) == Liveness::Alive {
            return w == 0;
        }
        kill_point!("condvar.free");
        place.compare_exchange(w, 0, AcqRel, Relaxed).is_ok() // AcqRel: as the owner would have.
    }

    /// Takes a ticket, and shows the place to notifiers.
    fn arrive(&self, index: usize, me: u64) {
        kill_point!("condvar.ticket");
        // Relaxed: tickets only order the waiters by age.
        let ticket = self.tickets.fetch_add(1, Relaxed);
        self.since[index].store(ticket, Relaxed); // Relaxed: CONDVAR-E1.
        let mut used = self.used.load(Relaxed); // Relaxed: the CAS decides.
        while used < index as u64 + 1 {
            kill_point!("condvar.use");
            // AcqRel: seen by every thread that acquires the mutex after this one.
            match self.used.compare_exchange(used, index as u64 + 1, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => used = now,
            }
        }
        kill_point!("condvar.arrive");
        self.places[index].store(me | WAITS, Release); // Release: CONDVAR-E1.
        kill_point!("condvar.arrived");
    }

    /// Waits until notified, and returns true, or returns false at the deadline.
    ///
    /// After true, the caller calls [`unregister`](RawCondvar::unregister) or
    /// [`give_up`](RawCondvar::give_up).
    pub(crate) fn wait(
        &self,
        env: &impl LockEnv,
        waiter: Waiter,
        deadline: Deadline,
    ) -> Result<bool, Refused> {
        let mut parking = Parking::new(env, deadline);
        let (Waiter::Place { deaths, .. } | Waiter::Overflow { deaths, .. }) = waiter;
        let mut slices = 0..;
        let mut peer_died =
            || slices.next().is_some_and(|turn| env.look_for_deaths(turn) != deaths);
        let (index, me) = match waiter {
            Waiter::Place { index, me, .. } => (index, me),
            Waiter::Overflow { seen, .. } => loop {
                // Relaxed: the caller locks a mutex next.
                if self.overflow_waiters.load(Relaxed) as u32 != seen as u32 {
                    return Ok(true);
                }
                match parking.park(env, self.overflow_waiters, seen) {
                    Parked::Elapsed if peer_died() => return Ok(true),
                    Parked::TimedOut if env.look_for_deaths_throttled() != deaths => {
                        return Ok(true);
                    }
                    Parked::Changed | Parked::Elapsed => {}
                    Parked::TimedOut => return Ok(false),
                }
            },
        };
        let place = &self.places[index];
        loop {
            let w = place.load(Acquire); // Acquire: CONDVAR-E2.
            if w == me | NOTIFIED {
                return Ok(true);
            }
            if w != me | WAITS {
                return Err(Refused::Corrupt("a place of a condition is another's"));
            }
            match parking.park(env, place, w) {
                Parked::Elapsed if peer_died() => {
                    Self::notify_itself(place, w, me);
                }
                // On a busy machine a short wait may end before its first slice does.
                Parked::TimedOut if env.look_for_deaths_throttled() != deaths => {
                    Self::notify_itself(place, w, me);
                }
                Parked::Changed | Parked::Elapsed => {}
                Parked::TimedOut => {
                    kill_point!("condvar.leave");
                    // Acquire on failure: CONDVAR-E2.
                    if place.compare_exchange(w, 0, AcqRel, Acquire).is_ok() {
                        kill_point!("condvar.left");
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Notifies the calling waiter itself, because of a death.
    fn notify_itself(place: &AtomicU64, w: u64, me: u64) {
        kill_point!("condvar.notify_itself");
        // Relaxed: the caller locks a mutex next. If the CAS fails, another has notified this
        // waiter.
        let _ = place.compare_exchange(w, me | NOTIFIED, Relaxed, Relaxed);
        kill_point!("condvar.notified_itself");
    }

    /// Unregisters a notified waiter that holds the mutex, so it acts on the notification.
    pub(crate) fn unregister(&self, waiter: Waiter) {
        let Waiter::Place { index, me, .. } = waiter else { return };
        self.free(&self.places[index], me | NOTIFIED);
    }

    /// Unregisters a waiter that stops waiting. Forwards a notification that it already has.
    pub(crate) fn give_up(&self, env: &impl LockEnv, waiter: Waiter) {
        let Waiter::Place { index, me, .. } = waiter else { return };
        let place = &self.places[index];
        // AcqRel: as at the deadline in `wait`.
        if place.compare_exchange(me | WAITS, 0, AcqRel, Relaxed).is_err() {
            self.free(place, me | NOTIFIED);
            self.notify_one(env);
        }
    }

    /// Frees the place of the calling waiter.
    fn free(&self, place: &AtomicU64, w: u64) {
        kill_point!("condvar.unregister");
        // AcqRel: the next waiter uses the place. This fails only if a peer breaks the protocol.
        let _ = place.compare_exchange(w, 0, AcqRel, Relaxed);
        kill_point!("condvar.unregistered");
    }

    /// Returns the places that were ever used.
    fn used_places(&self) -> impl Iterator<Item = (usize, &AtomicU64)> {
        // Acquire: after the waiters that used them, where no mutex orders that.
        let used = (self.used.load(Acquire) as usize).min(self.places.len());
        self.places[..used].iter().enumerate()
    }

    /// Notifies the waiter that has waited longest. Returns whether one was notified.
    pub(crate) fn notify_one(&self, env: &impl LockEnv) -> bool {
        for _ in 0..TRIES {
            let waiting = self.used_places().filter_map(|(index, place)| {
                let w = place.load(Acquire); // Acquire: CONDVAR-E1.
                // Relaxed: CONDVAR-E1.
                (w & WAITS != 0).then(|| (self.since[index].load(Relaxed), place, w))
            });
            let Some((_, place, w)) = waiting.min_by_key(|(since, ..)| *since) else {
                return self.notify_overflow(env, 1) > 0;
            };
            if env.liveness(owner(w)) != Liveness::Alive {
                kill_point!("condvar.skip");
                // AcqRel: as the owner would have.
                let _ = place.compare_exchange(w, 0, AcqRel, Relaxed);
                continue;
            }
            if self.notify(env, place, w) {
                return true;
            }
        }
        false
    }

    /// Notifies every waiter, and returns how many it notified.
    ///
    /// The number counts each waiter with a place, and those on `overflow_waiters` that sleep.
    pub(crate) fn notify_all(&self, env: &impl LockEnv) -> usize {
        let mut notified = 0;
        for (_, place) in self.used_places() {
            let w = place.load(Acquire); // Acquire: CONDVAR-E1.
            if w & WAITS != 0 {
                // If this fails, the waiter has reached its deadline, or another has notified it.
                notified += usize::from(self.notify(env, place, w));
            }
        }
        notified + self.notify_overflow(env, u32::MAX)
    }

    /// Notifies the waiter in a place, and wakes it. Returns whether it was still waiting.
    fn notify(&self, env: &impl LockEnv, place: &AtomicU64, w: u64) -> bool {
        kill_point!("condvar.notify");
        // AcqRel: CONDVAR-E2.
        let notified = place.compare_exchange(w, holder(w) | NOTIFIED, AcqRel, Relaxed).is_ok();
        if notified {
            kill_point!("condvar.wake");
            env.wake(place, 1);
            kill_point!("condvar.woken");
        }
        notified
    }

    /// Wakes at most `n` of `overflow_waiters`, and returns how many it woke.
    fn notify_overflow(&self, env: &impl LockEnv, n: u32) -> usize {
        let mut w = self.overflow_waiters.load(Acquire); // Acquire: after the waiters registered.
        while w & ANY_WAITER != 0 {
            // A waiter that is woken spuriously waits again, and sets `ANY_WAITER` again.
            let any_waiter = if n == 1 { ANY_WAITER } else { 0 };
            let to = any_waiter | u64::from((w as u32).wrapping_add(1));
            kill_point!("condvar.notify_overflow");
            match self.overflow_waiters.compare_exchange(w, to, AcqRel, Acquire) {
                Ok(_) => {
                    let woken = env.wake(self.overflow_waiters, n);
                    kill_point!("condvar.notified_overflow");
                    return woken;
                }
                Err(now) => w = now,
            }
        }
        0
    }
}
