//! A condition: a place for each that waits, with its name in it.
//!
//! # Life of a place
//!
//! ```text
//!   free ──enter (CAS)──▶ A arrives ──▶ A waits ──notify (CAS)──▶ A notified ──▶ free
//!    ▲                      │ A dies      │ A dies, or its time is over   │ A dies   ▲
//!    └──────────────────────┴─────────────┴───────────────────────────────┘          │
//!                                         └──somebody has died: A itself─────────────┘
//! ```
//!
//! Who notifies one chooses, of those that wait and live, the one with the oldest *ticket*, and
//! wakes it through the place's own word: nobody else wakes up.
//!
//! Somebody who dies may have changed what others wait for and not have notified them, or may have
//! been notified and not have looked. So whoever waits, and finds at the end of a slice or at its
//! deadline that somebody has died since it came, wakes up as if it were notified: its caller looks
//! at what it waits for, once for each death. It came with the mutex: what those did who were dead
//! by then, it has seen.
//!
//! Beyond [`PLACES`] threads, those that come later wait together on `overflow_waiters`, `{
//! anybody, seq }`, served after the others, and woken at times for nothing, as `std` allows.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | CONDVAR-E1 | arrive → notify | `place` | Release / Acquire | the ticket |
//! | CONDVAR-E2 | notify → wait | `place` | AcqRel / Acquire | what the notifier did, also without the mutex |
//!
//! A notifier that has held the user's mutex sees the place of every waiter that released the mutex
//! before: the mutex orders *wait* before *notify*. Forgetting a dead waiter comes after DEATH-E1
//! ([`word`](crate::lock::word)), which carries nothing here.
//!
//! # If a process dies
//!
//! | it is killed | it leaves | the others |
//! |---|---|---|
//! | arriving or waiting | a place | who notifies, or looks for a place, frees it |
//! | notified, before it has the mutex | a notification | all that wait wake up, at the end of their slices |
//! | before it has notified | sleepers | the same |
//! | having notified, before it woke | a notified sleeper | it looks at the end of its slice |

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::poison::Refused;
use crate::lock::word::{Liveness, LockEnv, holder, owner};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

const WAITS: u64 = 2;
const NOTIFIED: u64 = 4;

/// How many threads wait each in a place of its own.
pub(crate) const PLACES: usize = 64;

const ANYBODY: u64 = 1 << 32;

/// The words of a condition.
#[derive(Clone, Copy)]
pub(crate) struct RawCondvar<'a> {
    /// Of these many places some was used once.
    pub(crate) used: &'a AtomicU64,
    pub(crate) tickets: &'a AtomicU64,
    pub(crate) overflow_waiters: &'a AtomicU64,
    /// Who is there.
    pub(crate) places: &'a [AtomicU64],
    /// Since when.
    pub(crate) since: &'a [AtomicU64],
}

/// One that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    Place { index: usize, me: u64, deaths: u64 },
    Overflow { seen: u64, deaths: u64 },
}

/// A hostile peer may change words as fast as we look at them.
const TRIES: usize = 1000;

impl RawCondvar<'_> {
    /// Says that the caller waits from now on. It still has the mutex.
    pub(crate) fn enter(&self, env: &impl LockEnv, me: u64) -> Waiter {
        let me = holder(me);
        // Before the mutex is given back: what was done by those who are dead by now, the caller
        // has seen.
        let deaths = env.deaths();
        for look in [false, true] {
            for (index, place) in self.places.iter().enumerate() {
                if self.is_free(env, place, look) {
                    kill_point!("condvar.enter");
                    // Acquire: after who had it before.
                    if place.compare_exchange(0, me, Acquire, Relaxed).is_ok() {
                        self.arrive(index, me);
                        return Waiter::Place { index, me, deaths };
                    }
                }
            }
        }
        kill_point!("condvar.crowd");
        let mut w = self.overflow_waiters.load(Relaxed); // Relaxed: the CAS decides.
        // AcqRel: CONDVAR-E1.
        while let Err(now) = self.overflow_waiters.compare_exchange(w, w | ANYBODY, AcqRel, Relaxed)
        {
            w = now;
        }
        Waiter::Overflow { seen: w | ANYBODY, deaths }
    }

    /// Whether a place is free; with `look` also one whose owner is dead, once it was freed.
    fn is_free(&self, env: &impl LockEnv, place: &AtomicU64, look: bool) -> bool {
        let w = place.load(Relaxed); // Relaxed: a CAS follows.
        if w == 0 || !look || env.liveness(owner(w)) == Liveness::Alive {
            return w == 0;
        }
        kill_point!("condvar.free");
        place.compare_exchange(w, 0, AcqRel, Relaxed).is_ok() // AcqRel: as the owner would have.
    }

    fn arrive(&self, index: usize, me: u64) {
        kill_point!("condvar.ticket");
        // Relaxed: only which is older.
        let ticket = self.tickets.fetch_add(1, Relaxed);
        self.since[index].store(ticket, Relaxed); // Relaxed: CONDVAR-E1.
        let mut used = self.used.load(Relaxed); // Relaxed: the CAS decides.
        while used < index as u64 + 1 {
            kill_point!("condvar.use");
            // AcqRel: seen by whoever has the mutex after us.
            match self.used.compare_exchange(used, index as u64 + 1, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => used = now,
            }
        }
        kill_point!("condvar.arrive");
        self.places[index].store(me | WAITS, Release); // Release: CONDVAR-E1.
        kill_point!("condvar.arrived");
    }

    /// Waits until notified: then [`leave`](RawCondvar::leave) or [`give_up`](RawCondvar::give_up)
    /// is next. False if the time is over.
    pub(crate) fn wait(
        &self,
        env: &impl LockEnv,
        waiter: Waiter,
        deadline: Deadline,
    ) -> Result<bool, Refused> {
        let mut parking = Parking::new(env, deadline);
        let (Waiter::Place { deaths, .. } | Waiter::Overflow { deaths, .. }) = waiter;
        let mut slices = 0..;
        let mut somebody_died =
            || slices.next().is_some_and(|turn| env.look_for_deaths(turn) != deaths);
        let (index, me) = match waiter {
            Waiter::Place { index, me, .. } => (index, me),
            Waiter::Overflow { seen, .. } => loop {
                // Relaxed: a mutex is locked next.
                if self.overflow_waiters.load(Relaxed) as u32 != seen as u32 {
                    return Ok(true);
                }
                match parking.park(env, self.overflow_waiters, seen) {
                    Parked::Elapsed if somebody_died() => return Ok(true),
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
                Parked::Elapsed if somebody_died() => {
                    Self::alarm(place, w, me);
                }
                // On a busy machine a short wait may end before its first slice does.
                Parked::TimedOut if env.look_for_deaths_throttled() != deaths => {
                    Self::alarm(place, w, me);
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

    /// Notifies a waiter of a death, in its own name.
    fn alarm(place: &AtomicU64, w: u64, me: u64) {
        kill_point!("condvar.alarm");
        // Relaxed: a mutex is locked next. If it fails, it is notified already.
        let _ = place.compare_exchange(w, me | NOTIFIED, Relaxed, Relaxed);
        kill_point!("condvar.alarmed");
    }

    /// Was notified, and has the mutex: what the notification says is in the caller's hands.
    pub(crate) fn leave(&self, waiter: Waiter) {
        let Waiter::Place { index, me, .. } = waiter else { return };
        self.free(&self.places[index], me | NOTIFIED);
    }

    /// Does not wait after all. A notification that has come already goes to another.
    pub(crate) fn give_up(&self, env: &impl LockEnv, waiter: Waiter) {
        let Waiter::Place { index, me, .. } = waiter else { return };
        let place = &self.places[index];
        // AcqRel: as where the time is over.
        if place.compare_exchange(me | WAITS, 0, AcqRel, Relaxed).is_err() {
            self.free(place, me | NOTIFIED);
            self.notify_one(env);
        }
    }

    fn free(&self, place: &AtomicU64, w: u64) {
        kill_point!("condvar.return");
        // AcqRel: the place is the next one's. It fails only if somebody scribbles.
        let _ = place.compare_exchange(w, 0, AcqRel, Relaxed);
        kill_point!("condvar.returned");
    }

    /// The places that were ever used.
    fn seen_places(&self) -> impl Iterator<Item = (usize, &AtomicU64)> {
        // Acquire: after who used them, where the mutex does not say so.
        let used = (self.used.load(Acquire) as usize).min(self.places.len());
        self.places[..used].iter().enumerate()
    }

    /// Notifies the one that has waited longest. Returns whether one was notified.
    pub(crate) fn notify_one(&self, env: &impl LockEnv) -> bool {
        for _ in 0..TRIES {
            let waiting = self.seen_places().filter_map(|(index, place)| {
                let w = place.load(Acquire); // Acquire: CONDVAR-E1.
                // Relaxed: CONDVAR-E1.
                (w & WAITS != 0).then(|| (self.since[index].load(Relaxed), place, w))
            });
            let Some((_, place, w)) = waiting.min_by_key(|(since, ..)| *since) else {
                return self.notify_crowd(env, 1) > 0;
            };
            if env.liveness(owner(w)) != Liveness::Alive {
                kill_point!("condvar.skip");
                let _ = place.compare_exchange(w, 0, AcqRel, Relaxed); // AcqRel: as the owner would have.
                continue;
            }
            if self.notify(env, place, w) {
                return true;
            }
        }
        false
    }

    /// Notifies all that wait, and returns how many: each that has a place, and those beyond the
    /// places that sleep.
    pub(crate) fn notify_all(&self, env: &impl LockEnv) -> usize {
        let mut notified = 0;
        for (_, place) in self.seen_places() {
            let w = place.load(Acquire); // Acquire: CONDVAR-E1.
            if w & WAITS != 0 {
                // If it fails, its time is over, or another has notified it.
                notified += usize::from(self.notify(env, place, w));
            }
        }
        notified + self.notify_crowd(env, u32::MAX)
    }

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

    /// Wakes at most `n` of `overflow_waiters`, and returns how many.
    fn notify_crowd(&self, env: &impl LockEnv, n: u32) -> usize {
        let mut w = self.overflow_waiters.load(Acquire); // Acquire: after who came.
        while w & ANYBODY != 0 {
            // Who is woken for nothing comes again, and says so again.
            let anybody = if n == 1 { ANYBODY } else { 0 };
            let to = anybody | u64::from((w as u32).wrapping_add(1));
            kill_point!("condvar.ring");
            match self.overflow_waiters.compare_exchange(w, to, AcqRel, Acquire) {
                Ok(_) => {
                    let woken = env.wake(self.overflow_waiters, n);
                    kill_point!("condvar.rung");
                    return woken;
                }
                Err(now) => w = now,
            }
        }
        0
    }
}
