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
use crate::ready::{Outcome, Quick, Ready, Registration, Source, UNSOUND_SLICE};
use crate::wait::{Ended, Slices, YIELDS};

/// How a thread sleeps until one of several sources changes.
pub trait Sleeper {
    /// Calls `with` with the waker of this thread, which ends its [`sleep`](Sleeper::sleep).
    fn with_waker<R>(&self, with: impl FnOnce(&Waker) -> R) -> R;

    /// Issues a full barrier in all running threads of all processes. Returns false if the system
    /// cannot: then the waiter sleeps in short slices.
    fn barrier(&self) -> bool;

    /// Returns whether one of these files is ready, without waiting.
    fn poll(&self, files: &[Source<'_>]) -> bool;

    /// Returns on how many words this thread can sleep at once, besides on its waker. Beyond that,
    /// ends are asked to keep the waker ([`Ready::register_task`]).
    fn most_words(&self) -> usize {
        usize::MAX
    }

    /// Sleeps until a source changes or the waker is called, for at most `timeout`. Returns whether
    /// it was woken before the time was over. It may wake for no reason.
    ///
    /// A call of the waker since the last sleep ends this one at once.
    fn sleep(&self, sources: &[Source<'_>], timeout: Duration) -> bool;
}

/// Calls `attempt` with the number of each of `count` ends in turn, until it returns something or
/// `deadline` has passed.
///
/// Before it registers, it calls `attempt_now` instead, and `attempt` if that does not know.
/// Returns the number of that end with the result. For a fair choice, `ends` and both attempts
/// count in random order ([`Round`]).
#[inline]
pub fn wait<'a, E: Ready + ?Sized + 'a, S: Sleeper, R>(
    count: usize,
    ends: impl Fn(usize) -> &'a E,
    deadline: Deadline,
    sleeper: &S,
    mut attempt_now: impl FnMut(usize) -> Quick<R>,
    mut attempt: impl FnMut(usize) -> Option<R>,
) -> Option<(usize, R)> {
    // An end that the short path does not know is tried completely, before the next one: if it is
    // ready, it must not lose its turn.
    let mut one = |i, short| {
        if short {
            match attempt_now(i) {
                Quick::Done(done) => return Some(done),
                Quick::NotNow => return None,
                Quick::Unknown => {}
            }
        }
        attempt(i)
    };
    for i in 0..count {
        if let Some(done) = one(i, true) {
            return Some((i, done));
        }
    }
    Wait { count, ends: &ends, sleeper }.goes_on(deadline, &mut one)
}

/// How many times to try the other ends before the files are polled once, while spinning.
const SPINS_FOR_A_POLL: u32 = 16;

/// A wait for one of several ends.
struct Wait<'a, 's, E: ?Sized, S> {
    count: usize,
    ends: &'s dyn Fn(usize) -> &'a E,
    sleeper: &'s S,
}

impl<'a, E: Ready + ?Sized, S: Sleeper> Wait<'a, '_, E, S> {
    fn all(&self) -> impl Iterator<Item = &'a E> + '_ {
        (0..self.count).map(self.ends)
    }

    /// Goes on after every end was tried in vain. `one` tries one end: on the short path first, or
    /// completely.
    #[cold]
    fn goes_on<R>(
        &self,
        deadline: Deadline,
        one: &mut dyn FnMut(usize, bool) -> Option<R>,
    ) -> Option<(usize, R)> {
        let count = self.count;
        if deadline == Deadline::Now {
            // Every end once, so that a busy one does not hide that another is ready.
            let worthwhile = self.all().fold(false, |any, end| end.settle() | any);
            // A message may have moved from an end that was not tried yet to one that was.
            let again = worthwhile || count > 1;
            return if again { each(count, |i| one(i, false)) } else { None };
        }
        if let Some(done) = self.before_sleeping(deadline, one) {
            return Some(done);
        }
        let mut attempts = || each(count, |i| one(i, false));
        Waiter { ends: self.all().collect(), sleeper: self.sleeper }.sleep(deadline, &mut attempts)
    }

    /// Tries again for a short time.
    fn before_sleeping<R>(
        &self,
        deadline: Deadline,
        one: &mut dyn FnMut(usize, bool) -> Option<R>,
    ) -> Option<(usize, R)> {
        let files: Vec<Source<'_>> = self.all().filter_map(E::file).collect();
        if files.len() == self.count {
            // The system finds out, and blocks, in one call.
            return None;
        }
        let mut round = |with_files: bool| {
            let skip = !with_files && !files.is_empty();
            each(self.count, |i| match skip && (self.ends)(i).file().is_some() {
                true => None,
                false => one(i, true),
            })
        };
        // One that streams is worth the moment: the others need not be asked.
        if self.all().any(E::let_peer_run_ahead) {
            if let Some(done) = round(false) {
                return Some(done);
            }
        }
        let ended = |how| self.all().for_each(|end| end.waited(how));
        // Where a peer of one end runs on this processor, spinning keeps it from running.
        let spinning = !self.all().any(E::shares_processor);
        let pace = self.all().map(|end| (end.spins(), end)).max_by_key(|(spins, _)| *spins);
        let (spins, pace) = pace.filter(|_| spinning).map_or((0, None), |(n, end)| (n, Some(end)));
        for spin in 0..spins {
            if let Some(end) = pace {
                end.pause();
            }
            let poll = !files.is_empty() && spin % SPINS_FOR_A_POLL == SPINS_FOR_A_POLL - 1;
            if let Some(done) = round(poll && self.sleeper.poll(&files)) {
                ended(Ended::Spinning);
                return Some(done);
            }
        }
        for _ in 0..YIELDS {
            let yielded = Instant::now();
            if matches!(deadline, Deadline::At(deadline) if yielded >= deadline) {
                break;
            }
            std::thread::yield_now();
            if let Some(done) = round(!files.is_empty() && self.sleeper.poll(&files)) {
                ended(Ended::Yielding(yielded.elapsed()));
                return Some(done);
            }
        }
        ended(Ended::Sleeping);
        None
    }
}

/// Returns the first result of `one` with its number.
fn each<R>(count: usize, mut one: impl FnMut(usize) -> Option<R>) -> Option<(usize, R)> {
    (0..count).find_map(|i| one(i).map(|done| (i, done)))
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
        let is_word = |one: &Registration<'_>| matches!(one.source, Source::Word { .. });
        let mut words = registered.iter().flatten().filter(|one| is_word(one)).count();
        // One word needs no more than any system has.
        let most = if self.ends.len() == 1 { 1 } else { self.sleeper.most_words() };
        self.sleeper.with_waker(|waker| {
            let mut barrier = None;
            for (end, slot) in self.ends.iter().copied().zip(registered) {
                if slot.is_none() {
                    let one =
                        if words < most { end.register(waker) } else { end.register_task(waker) };
                    words += usize::from(is_word(&one));
                    barrier = Some(barrier.unwrap_or(false) | one.barrier);
                    *slot = Some(one);
                }
            }
            barrier
        })
    }

    /// Returns how long to sleep at most.
    fn slice(&self, deadline: Deadline, slices: &Slices, slice: Duration, sound: bool) -> Duration {
        // After registering: everything that makes the answer untrue notifies this waiter.
        let mut timeout = if !sound {
            slice.min(UNSOUND_SLICE)
        } else if slices.is_long() && self.ends.iter().all(|end| end.monitors_deaths()) {
            deadline.left(Slices::monitored(self.ends.len())).unwrap_or(slice)
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

/// An order in which ends are tried: all in a circle.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    count: usize,
    first: usize,
    backwards: bool,
}

impl Round {
    /// The order `0, 1, 2, …` of `count` ends.
    #[inline]
    #[must_use]
    pub const fn in_order(count: usize) -> Round {
        Round { count, first: 0, backwards: false }
    }

    /// A random order of `count` ends.
    ///
    /// Each end is the first in one of `count` orders. Of two ends, each comes before the other in
    /// half of the orders.
    #[inline]
    #[must_use]
    pub fn fair(count: usize) -> Round {
        let random = random();
        // The high half of a product is fair for so small a count.
        let first = ((random >> 32) * count as u64) >> 32;
        Round { count, first: first as usize, backwards: random & 1 == 1 }
    }

    /// Returns the number of the end at this place of the order.
    #[inline]
    #[must_use]
    pub fn at(self, place: usize) -> usize {
        let at = if self.backwards { self.first + self.count - place } else { self.first + place };
        if at < self.count { at } else { at - self.count }
    }
}

/// Returns a random number.
#[inline]
fn random() -> u64 {
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
    state
}

#[cold]
fn seed() -> u64 {
    RandomState::new().build_hasher().finish() | 1
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
