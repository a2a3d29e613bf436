//! How tasks wait: futures that are polled, and no threads that sleep.
//!
//! A future registers with an end as a waiter ([`Ready`]), and the process'
//! [`Tasks`](crate::ready::Tasks) calls its waker when what it registered for changes. No wake-up
//! is lost, for the reasons given at [`select`](crate::__private::select).
//!
//! # Many tasks on one end
//!
//! The tasks of a process that wait on one side of a channel stand in a [`TaskQueue`]. However many
//! they are, the queue is one waiter of the channel. When it is notified, it wakes its first task.
//! The channel has used up the registration then, so it wakes the next task too, which tries as
//! well and registers the queue again.
//!
//! A task that was woken and is dropped before it has tried wakes the next one. So does a task that
//! has received something, if there is more.
//!
//! # If a peer dies
//!
//! The queue is notified, as all waiters are. It is also notified when an interval is over, as a
//! thread's slice of sleep is ([`Slices`]). A task that finds nothing then recovers dead peers.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::ready::{Outcome, Ready, Registration, UNSOUND_SLICE};
use crate::task_queue::{Armed, State, TaskQueue};
use crate::wait::{Ended, Slices};

/// How often a task that waits tries again at least, before it registers: some hundred nanoseconds.
const LEAST_SPINS: u32 = 12;

/// Returns when a waiter looks for dead peers, or at its end's own time.
fn until<E: Ready + ?Sized>(end: &E, slices: &Slices, sound: bool) -> Option<Instant> {
    let slice = if !sound {
        Some(UNSOUND_SLICE)
    } else if !end.recovers() {
        None
    } else if slices.is_long() && end.monitors_deaths() {
        Some(Slices::monitored(end.tasks().armed()))
    } else {
        Some(slices.current())
    };
    let slice_over = slice.and_then(|slice| Instant::now().checked_add(slice));
    [slice_over, end.deadline()].into_iter().flatten().min()
}

impl Armed {
    /// Registers with `end`. The caller tries again afterwards.
    fn new<E: Ready + ?Sized>(end: &E, waker: &Waker, slices: &Slices) -> Armed {
        let tasks = end.tasks();
        let Registration { source, ticket, barrier } = end.register_task(waker);
        let sound = !barrier || tasks.barrier();
        let number = tasks.arm(source, until(end, slices, sound), waker).ok();
        if number.is_none() {
            // The task is polled again and again, at most once a millisecond.
            tasks.sleep(source, UNSOUND_SLICE);
        }
        Armed { ticket, number, since: Instant::now(), looked: false }
    }

    /// Ends the registration.
    fn end<E: Ready + ?Sized>(self, end: &E, outcome: Outcome) {
        if let Some(number) = self.number {
            end.tasks().disarm(number);
        }
        end.unregister(self.ticket, outcome);
    }

    /// Returns whether a task must look for dead peers: it was woken because of the time. Records
    /// that it does.
    fn look_due<E: Ready + ?Sized>(&mut self, end: &E, slices: &mut Slices) -> bool {
        if self.looked || end.notified(self.ticket) {
            return false;
        }
        self.looked = true;
        slices.elapsed(self.since.elapsed());
        true
    }
}

impl TaskQueue {
    /// Adds a task, and returns its number. The caller tries again afterwards.
    fn enter<E: Ready + ?Sized>(&self, end: &E, waker: &Waker) -> u64 {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        if state.armed.is_none() || state.woken {
            if let Some(armed) = state.armed.take() {
                // Used: the caller tries again.
                armed.end(end, Outcome::Used);
            }
            let Some(this) = self.this.upgrade() else { return number };
            let armed = Armed::new(end, &Waker::from(this), &state.slices);
            if armed.number.is_none() {
                waker.wake_by_ref();
                state.armed = Some(armed);
                state.woken = true;
                return number;
            }
            state.armed = Some(armed);
            state.woken = false;
        }
        state.waiting.push_back((number, waker.clone()));
        number
    }

    /// Returns whether a task that was woken must look for dead peers.
    fn look_due<E: Ready + ?Sized>(&self, end: &E) -> bool {
        let State { armed, woken, slices, .. } = &mut *self.state();
        armed.as_mut().is_some_and(|armed| *woken && armed.look_due(end, slices))
    }

    /// Removes a task that has received or sent something, or is dropped.
    fn leave<E: Ready + ?Sized>(&self, end: &E, number: u64, outcome: Outcome) {
        let mut state = self.state();
        let place = state.waiting.iter().position(|(of, _)| *of == number);
        if let Some(place) = place {
            state.waiting.remove(place);
        }
        if outcome == Outcome::Used && !state.slices.is_long() {
            state.slices = Slices::new();
        }
        if state.waiting.is_empty() {
            let armed = state.armed.take();
            state.woken = false;
            drop(state);
            if let Some(armed) = armed {
                // A notification of something that no task of this process has tried to get is
                // passed on.
                armed.end(end, Outcome::Unused);
            }
            return;
        }
        let wake_next = match outcome {
            // The wake-up of a task that is dropped goes to the next one.
            Outcome::Unused => place.is_none(),
            // The next task registers the queue, or takes what is left.
            Outcome::Used => state.woken || end.is_ready(),
        };
        let next = if wake_next { state.waiting.pop_front() } else { None };
        drop(state);
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }
}

/// What a future keeps between two polls.
#[derive(Debug)]
pub struct Wait {
    registered: Registered,
    slices: Slices,
}

#[derive(Debug)]
enum Registered {
    No,
    /// As a task of the end's queue.
    InQueue(u64),
    /// On its own.
    Alone(Armed),
}

impl Wait {
    /// Begins to wait.
    #[must_use]
    pub fn new() -> Wait {
        Wait { registered: Registered::No, slices: Slices::new() }
    }

    /// Calls `attempt`, and registers the task with `end` if it returns nothing.
    #[inline]
    pub fn poll<E: Ready + ?Sized, R>(
        &mut self,
        end: &E,
        context: &Context<'_>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        match attempt().or_else(|| self.register(end, context.waker(), &mut attempt)) {
            Some(done) => {
                self.leave(end, Outcome::Used);
                Poll::Ready(done)
            }
            None => Poll::Pending,
        }
    }

    #[cold]
    fn register<E: Ready + ?Sized, R>(
        &mut self,
        end: &E,
        waker: &Waker,
        attempt: &mut dyn FnMut() -> Option<R>,
    ) -> Option<R> {
        let tasks = end.tasks();
        let queue = end.task_queue();
        let look_due = match (&mut self.registered, queue) {
            (Registered::No, _) => {
                return spin(end, attempt).or_else(|| self.enter(end, waker, attempt));
            }
            (Registered::InQueue(number), Some(queue)) => {
                if queue.renew(*number, waker) {
                    return None;
                }
                queue.look_due(end)
            }
            (Registered::InQueue(_), None) => false,
            (Registered::Alone(armed), _) => {
                if armed.number.is_some_and(|number| tasks.renew(number, waker)) {
                    return None;
                }
                armed.look_due(end, &mut self.slices)
            }
        };
        let changed = if look_due { end.recover_dead() } else { end.recover_dead_throttled() };
        if changed {
            if let Some(done) = attempt() {
                return Some(done);
            }
        }
        self.enter(end, waker, attempt)
    }

    /// Registers, and tries again.
    fn enter<E: Ready + ?Sized, R>(
        &mut self,
        end: &E,
        waker: &Waker,
        attempt: &mut dyn FnMut() -> Option<R>,
    ) -> Option<R> {
        match (end.task_queue(), std::mem::replace(&mut self.registered, Registered::No)) {
            (Some(queue), _) => self.registered = Registered::InQueue(queue.enter(end, waker)),
            (None, before) => {
                if let Registered::Alone(armed) = before {
                    // Used: it tries again below.
                    armed.end(end, Outcome::Used);
                }
                let armed = Armed::new(end, waker, &self.slices);
                if armed.number.is_none() {
                    waker.wake_by_ref();
                }
                self.registered = Registered::Alone(armed);
            }
        }
        attempt()
    }

    /// Ends the wait. A wake-up that was not used goes to another waiter.
    pub fn leave<E: Ready + ?Sized>(&mut self, end: &E, outcome: Outcome) {
        match (std::mem::replace(&mut self.registered, Registered::No), end.task_queue()) {
            (Registered::InQueue(number), Some(queue)) => queue.leave(end, number, outcome),
            (Registered::Alone(armed), _) => armed.end(end, outcome),
            _ => {}
        }
        self.slices = Slices::new();
    }
}

impl Default for Wait {
    fn default() -> Self {
        Wait::new()
    }
}

/// Tries again for a moment: as long as that has paid before, and hardly at all otherwise, because
/// other tasks wait for this thread.
fn spin<E: Ready + ?Sized, R>(end: &E, attempt: &mut dyn FnMut() -> Option<R>) -> Option<R> {
    let spins = end.spins();
    for _ in 0..spins {
        end.pause();
        if let Some(done) = attempt() {
            end.waited(Ended::Spinning);
            return Some(done);
        }
    }
    // Half of it next time.
    end.waited(if spins > LEAST_SPINS { Ended::Yielding(Duration::MAX) } else { Ended::Sleeping });
    None
}
