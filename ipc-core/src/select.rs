//! The loop that waits for one of several ends: try all, spin, register with all, try again, sleep,
//! until the deadline.
//!
//! # No wake-up is lost
//!
//! The waiter registers with every end, issues one barrier, and tries every end again before it
//! sleeps. So it sees what came before its registrations, and is notified of everything after them
//! ([`Ready`]).
//!
//! A notification wakes any one waiter of an end, not a chosen one. A waiter that was woken by one
//! end may also have used up the only notification of another. So when it leaves, it ends the
//! registration with every end that it has not used as [`Outcome::Unused`], and the end then
//! notifies another waiter. That may wake a waiter in vain, and never loses a wake-up.
//!
//! # If a peer dies
//!
//! After each slice of sleep that ended without a notification, the waiter recovers the state of
//! dead peers of every end, as in [`wait`](crate::__private::wait). If the waiter itself dies, it
//! leaves one registration with each end, which costs that end one wake-up in vain.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::ready::{Outcome, Ready, Registration, Source, UNSOUND_SLICE};
use crate::wait::{Ended, Slices, YIELDS};

/// How a thread sleeps until one of several sources changes.
pub trait Sleeper {
    /// Calls `with` with the waker of this thread, which ends its [`sleep`](Sleeper::sleep).
    fn with_waker<R>(&self, with: impl FnOnce(&Waker) -> R) -> R;

    /// Issues a full barrier in all running threads of all processes. Returns false if the system
    /// cannot: then the waiter sleeps in short slices.
    fn barrier(&self) -> bool;

    /// Sleeps until a source changes or the waker is called, for at most `timeout`. Returns whether
    /// it was woken before the time was over. It may wake for no reason.
    ///
    /// A call of the waker since the last sleep ends this one at once.
    fn sleep(&self, sources: &[Source<'_>], timeout: Duration) -> bool;
}

/// Calls `attempt` with the number of each of `count` ends in turn, until it returns something or
/// `deadline` has passed.
///
/// In the first round each end is tried with `attempt_now` before: a short path, which may fail for
/// no reason.
/// Returns the number of that end with the result. For a fair choice, `ends` and `attempt` count in
/// random order ([`Few`], [`shuffle`]).
#[inline]
pub fn wait<'a, E: Ready + ?Sized + 'a, S: Sleeper, R>(
    count: usize,
    ends: impl Fn(usize) -> &'a E,
    deadline: Deadline,
    sleeper: &S,
    mut attempt_now: impl FnMut(usize) -> Option<R>,
    mut attempt: impl FnMut(usize) -> Option<R>,
) -> Option<(usize, R)> {
    for i in 0..count {
        // Completely, before the next end: one that is ready must not lose its turn to a later one
        // because the short path does not see that.
        if let Some(done) = attempt_now(i).or_else(|| attempt(i)) {
            return Some((i, done));
        }
    }
    let mut attempts = || (0..count).find_map(|i| attempt(i).map(|done| (i, done)));
    wait_slow(count, &ends, deadline, sleeper, &mut attempts)
}

/// Goes on after every end was tried in vain.
#[cold]
fn wait_slow<'a, E: Ready + ?Sized + 'a, S: Sleeper, R>(
    count: usize,
    ends: &dyn Fn(usize) -> &'a E,
    deadline: Deadline,
    sleeper: &S,
    attempts: &mut dyn FnMut() -> Option<(usize, R)>,
) -> Option<(usize, R)> {
    if deadline == Deadline::Now {
        // Every end once, so that a busy one does not hide that another is ready.
        let worthwhile = (0..count).fold(false, |any, i| ends(i).settle() | any);
        // A message may have moved from an end that was not tried yet to one that was.
        return if worthwhile || count > 1 { attempts() } else { None };
    }
    let all = || (0..count).map(ends);
    if all().fold(false, |ahead, end| end.let_peer_run_ahead() | ahead) {
        if let Some(done) = attempts() {
            return Some(done);
        }
    }
    // An end that becomes ready by itself is not worth spinning for.
    let (spins, pace) = all().map(|end| (end.spins(), end)).max_by_key(|(spins, _)| *spins)?;
    for _ in 0..spins {
        pace.pause();
        if let Some(done) = attempts() {
            ends(done.0).waited(Ended::Spinning);
            return Some(done);
        }
    }
    for _ in 0..YIELDS {
        let yielded = Instant::now();
        if matches!(deadline, Deadline::At(deadline) if yielded >= deadline) {
            break;
        }
        std::thread::yield_now();
        if let Some(done) = attempts() {
            ends(done.0).waited(Ended::Yielding(yielded.elapsed()));
            return Some(done);
        }
    }
    all().for_each(|end| end.waited(Ended::Sleeping));
    Waiter { ends: all().collect(), sleeper }.sleep(deadline, attempts)
}

/// A waiter that is about to sleep.
struct Waiter<'a, 's, E: ?Sized, S> {
    ends: Vec<&'a E>,
    sleeper: &'s S,
}

impl<'a, E: Ready + ?Sized, S: Sleeper> Waiter<'a, '_, E, S> {
    #[cold]
    fn sleep<R>(
        &self,
        deadline: Deadline,
        attempts: &mut dyn FnMut() -> Option<(usize, R)>,
    ) -> Option<(usize, R)> {
        let mut registered: Vec<Option<Registration<'a>>> =
            self.ends.iter().map(|_| None).collect();
        let mut slices = Slices::new();
        let mut sound = true;
        loop {
            let Some(timeout) = deadline.left(slices.current()) else {
                // As after every slice: on a busy machine a short wait may end before its first.
                self.ends.iter().for_each(|end| _ = end.recover_dead_throttled());
                let done = attempts();
                self.leave(registered, done.as_ref());
                return done;
            };
            if let Some(barrier) = self.register(&mut registered) {
                sound &= !barrier || self.sleeper.barrier();
                if let Some(done) = attempts() {
                    self.leave(registered, Some(&done));
                    return Some(done);
                }
            }
            let timeout = self.slice(deadline, &slices, timeout, sound);
            let sources: Vec<Source<'_>> =
                registered.iter().flatten().map(|one| one.source).collect();
            let woken = self.sleeper.sleep(&sources, timeout);
            if let Some(done) = attempts() {
                self.leave(registered, Some(&done));
                return Some(done);
            }
            // A notification of something that another waiter took is no reason to check every
            // peer each time.
            let mut changed = false;
            if woken {
                self.ends.iter().for_each(|end| changed |= end.recover_dead_throttled());
            } else {
                slices.elapsed(timeout);
                self.ends.iter().for_each(|end| changed |= end.recover_dead());
            }
            if changed {
                if let Some(done) = attempts() {
                    self.leave(registered, Some(&done));
                    return Some(done);
                }
            }
            for (end, registered) in self.ends.iter().zip(&mut registered) {
                // Used: the attempts above came after the notification, and found nothing.
                let notified = |one: &mut Registration<'_>| end.notified(one.ticket);
                if let Some(one) = registered.take_if(notified) {
                    end.unregister(one.ticket, Outcome::Used);
                }
            }
        }
    }

    /// Registers with each end where this waiter is not registered. Returns whether a barrier is
    /// needed then, or `None` if it was registered with all.
    fn register(&self, registered: &mut [Option<Registration<'a>>]) -> Option<bool> {
        let mut barrier = None;
        for (end, slot) in self.ends.iter().copied().zip(registered) {
            if slot.is_none() {
                let one = self.sleeper.with_waker(|waker| end.register(waker));
                barrier = Some(barrier.unwrap_or(false) | one.barrier);
                *slot = Some(one);
            }
        }
        barrier
    }

    /// Returns how long to sleep at most.
    fn slice(&self, deadline: Deadline, slices: &Slices, slice: Duration, sound: bool) -> Duration {
        // After registering: everything that makes the answer untrue notifies this waiter.
        let mut timeout = if !sound {
            slice.min(UNSOUND_SLICE)
        } else if slices.is_long() && self.ends.iter().all(|end| end.monitors_deaths()) {
            deadline.left(Slices::MONITORED).unwrap_or(slice)
        } else {
            slice
        };
        for at in self.ends.iter().filter_map(|end| end.deadline()) {
            timeout = timeout.min(at.saturating_duration_since(Instant::now()));
        }
        timeout
    }

    /// Ends all registrations. The end that `done` names was used.
    fn leave<R>(&self, registered: Vec<Option<Registration<'a>>>, done: Option<&(usize, R)>) {
        for ((i, end), one) in self.ends.iter().enumerate().zip(registered) {
            let used = done.is_some_and(|(winner, _)| *winner == i);
            if let Some(one) = one {
                end.unregister(one.ticket, if used { Outcome::Used } else { Outcome::Unused });
            }
        }
    }
}

/// Brings ends into random order, so that none starves another.
pub fn shuffle<T>(ends: &mut [T]) {
    for last in (1..ends.len()).rev() {
        ends.swap(last, below(last as u64 + 1) as usize);
    }
}

/// The random order of a few ends, without memory for it.
#[derive(Clone, Copy, Debug)]
pub struct Few {
    /// Four bits for each place.
    places: u64,
}

impl Few {
    /// The most ends.
    pub const MOST: usize = 16;

    /// The order `0, 1, 2, …`.
    #[must_use]
    pub const fn biased() -> Few {
        Few { places: 0xfedc_ba98_7654_3210 }
    }

    /// A random order of `count` ends, at most [`MOST`](Few::MOST).
    #[inline]
    #[must_use]
    pub fn fair(count: usize) -> Few {
        let Few { mut places } = Few::biased();
        for last in (1..count as u64).rev() {
            let at = below(last + 1);
            // Where both places differ. Swapped by adding that to both.
            let differs = (places >> (4 * last) ^ places >> (4 * at)) & 15;
            places ^= differs << (4 * last) | differs << (4 * at);
            // A place that is swapped with itself differs nowhere.
        }
        Few { places }
    }

    /// Returns the number of the end at this place of the order.
    #[inline]
    #[must_use]
    pub fn at(self, place: usize) -> usize {
        (self.places >> (4 * place) & 15) as usize
    }
}

/// Returns a random number below `limit`, a small number.
#[inline]
fn below(limit: u64) -> u64 {
    thread_local! {
        /// Never 0, as soon as it is used.
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    // A thread that is being torn down has no state left.
    let mut state = STATE.try_with(Cell::get).unwrap_or(1);
    if state == 0 {
        state = seed();
    }
    // xorshift64 (Marsaglia, Xorshift RNGs, 2003).
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    let _ = STATE.try_with(|kept| kept.set(state));
    // The high half of a product is fair for so small a limit.
    ((state >> 32) * limit) >> 32
}

#[cold]
fn seed() -> u64 {
    RandomState::new().build_hasher().finish() | 1
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
