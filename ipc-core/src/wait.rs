//! The blocking loop: try, spin, look for the dead, announce, try again, sleep, deadline.

use std::time::Duration;

use crossbeam_utils::Backoff;

use crate::deadline::Patience;

/// A place to sleep until there may be something to do, and what keeps the sleeper honest.
///
/// The contract that makes the loop below lose no wake-up: whatever is published after
/// [`announce`](Doorbell::announce) returned rings the bell for this ticket, so one more attempt between
/// announcing and sleeping sees all that was published before.
pub trait Doorbell {
    /// A place in the queue of sleepers.
    type Ticket;

    /// Says that somebody is about to sleep.
    fn announce(&self) -> Self::Ticket;

    /// Takes an announcement back.
    fn withdraw(&self, ticket: Self::Ticket);

    /// Sleeps until rung, at most `timeout`; withdraws the ticket if it was not rung.
    fn sleep(&self, ticket: Self::Ticket, timeout: Duration) -> Woken;

    /// Looks who is dead and repairs what they left; true if anything changed.
    fn inspect(&self) -> bool;

    /// As [`inspect`](Doorbell::inspect), for those who do not wait: at most about once a millisecond,
    /// however often it is called.
    fn glance(&self) -> bool;

    /// Passes a wake-up on that this waiter was given and does not use.
    fn pass_on(&self);

    /// How often to try again before sleeping is thought of.
    fn spins(&self) -> u32;

    /// Tells how a wait ended, for the next answer of [`spins`](Doorbell::spins).
    fn spun(&self, enough: bool);
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody rang.
    Rung,
    /// The time was over, or a signal came.
    Elapsed,
}

/// The first slice of a sleep, and the longest: each ends with a look at who is dead.
const SLICES: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(4), Duration::from_millis(8)];

/// Calls `attempt` until it returns something or `patience` is used up.
///
/// `attempt` has just failed once when this is called. No wait inside is unbounded: a slice that ends
/// without a wake-up is followed by a look at who is dead.
#[cold]
pub fn until<D: Doorbell, R>(
    bell: &D,
    patience: Patience,
    mut attempt: impl FnMut() -> Option<R>,
) -> Option<R> {
    if patience == Patience::Never {
        return if bell.glance() { attempt() } else { None };
    }
    let backoff = Backoff::new();
    for _ in 0..bell.spins() {
        backoff.spin();
        if let Some(done) = attempt() {
            bell.spun(true);
            return Some(done);
        }
    }
    bell.spun(false);
    let mut slices = 0;
    let mut rung = false;
    loop {
        // Before each sleep: repairing is what ends the wait when the one we wait for is dead.
        if bell.inspect() {
            if let Some(done) = attempt() {
                return Some(done);
            }
        }
        let Some(timeout) = patience.left(SLICES[slices]) else {
            if rung {
                bell.pass_on();
            }
            return None;
        };
        let ticket = bell.announce();
        if let Some(done) = attempt() {
            bell.withdraw(ticket);
            return Some(done);
        }
        match bell.sleep(ticket, timeout) {
            Woken::Rung => {
                rung = true;
                slices = 0;
            }
            Woken::Elapsed => slices = (slices + 1).min(SLICES.len() - 1),
        }
        if let Some(done) = attempt() {
            return Some(done);
        }
    }
}
