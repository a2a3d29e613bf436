//! The blocking loop: try, spin, recover dead peers, register, try again, sleep, until the
//! deadline.
//!
//! [`until`] is the loop of calls that wait, [`at_once`] that of calls that do not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::deadline::Deadline;

/// A queue of waiters in which a call sleeps until there may be something to do.
///
/// The loop below loses no wake-up because of this contract: everything that is published after
/// [`register`](Doorbell::register) has returned notifies this ticket. So one more attempt between
/// registering and sleeping sees everything that was published before.
pub trait Doorbell {
    /// A place in the queue of sleepers.
    type Ticket;

    /// Registers the caller as a waiter that is about to sleep.
    fn register(&self) -> Self::Ticket;

    /// Removes a registration.
    fn unregister(&self, ticket: Self::Ticket);

    /// Sleeps until notified, at most `timeout`. A notification uses up the ticket. If the time
    /// elapses, the ticket stays registered.
    fn sleep(&self, ticket: &Self::Ticket, timeout: Duration) -> Woken;

    /// Recovers the state of every peer that is dead. Returns whether anything changed.
    fn recover_dead(&self) -> bool;

    /// Returns whether this waiter is notified of the death of every peer that is there now, and of
    /// every peer that joins. Then it hardly needs to look at the leases itself. Called while
    /// registered, when a wait has become long, and again before each further sleep.
    fn monitors_deaths(&self) -> bool {
        false
    }

    /// Does what [`recover_dead`](Doorbell::recover_dead) does, for calls that do not wait: at most
    /// about once a millisecond, however often it is called.
    fn recover_dead_throttled(&self) -> bool;

    /// Returns whether a peer that is in the middle of an operation has a thread that runs or is
    /// ready to run. False also if that cannot be known.
    fn can_run(&self, peer: u64) -> bool {
        let _ = peer;
        false
    }

    /// Forwards a wake-up that this waiter received and does not use.
    fn forward_wake(&self);

    /// Gives the other side a moment to get ahead, if messages stream: two sides that work close to
    /// each other share each cache line. Returns whether it got ahead, so that another attempt is
    /// worthwhile.
    fn let_peer_run_ahead(&self) -> bool {
        false
    }

    /// Returns how often to try again before sleeping: 0 if the other side cannot run meanwhile.
    fn spins(&self) -> u32;

    /// Pauses between two of these attempts.
    fn pause(&self) {
        std::hint::spin_loop();
    }

    /// Records how a wait ended, for the next result of [`spins`](Doorbell::spins).
    fn waited(&self, ended: Ended);
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// An attempt while spinning.
    Spinning,
    /// An attempt after the processor was yielded for this long.
    Yielding(Duration),
    /// Nothing yet: the call sleeps next.
    Sleeping,
}

/// How often the processor is yielded before sleeping. With more processes than processors, the
/// other side is likely to be ready to run, and a yield costs a tenth of a sleep. In a model, each
/// attempt would multiply the interleavings.
pub const YIELDS: u32 = if cfg!(loom) { 0 } else { 20 };

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The waiter was notified.
    Notified,
    /// The time elapsed, or a signal arrived.
    Elapsed,
}

/// Calls `attempt` until it returns something or `deadline` has passed.
///
/// `attempt` has just failed once when this is called. No wait inside is unbounded: after a slice
/// that ended without a wake-up, dead peers are recovered. They are recovered after the deadline
/// too, at most about once a millisecond. On a busy machine a short wait may end before its first
/// slice does, and a caller that polls must notice a death all the same.
#[cold]
pub fn until<D: Doorbell, R>(
    bell: &D,
    deadline: Deadline,
    mut attempt: impl FnMut() -> Option<R>,
) -> Option<R> {
    if deadline == Deadline::Now {
        return if bell.recover_dead_throttled() { attempt() } else { None };
    }
    if bell.let_peer_run_ahead() {
        if let Some(done) = attempt() {
            return Some(done);
        }
    }
    for _ in 0..bell.spins() {
        bell.pause();
        if let Some(done) = attempt() {
            bell.waited(Ended::Spinning);
            return Some(done);
        }
    }
    for _ in 0..YIELDS {
        let yielded = Instant::now();
        if matches!(deadline, Deadline::At(deadline) if yielded >= deadline) {
            // On a busy machine each of these may take a time slice.
            break;
        }
        std::thread::yield_now();
        if let Some(done) = attempt() {
            bell.waited(Ended::Yielding(yielded.elapsed()));
            return Some(done);
        }
    }
    bell.waited(Ended::Sleeping);
    let mut slices = Slices::new();
    let mut notified = false;
    let mut registered = None;
    loop {
        let Some(timeout) = deadline.left(slices.current) else {
            bell.recover_dead_throttled();
            let done = attempt();
            if let Some(ticket) = registered {
                bell.unregister(ticket);
            }
            if notified && done.is_none() {
                bell.forward_wake();
            }
            return done;
        };
        let ticket = match registered.take() {
            Some(ticket) => ticket,
            None => {
                let ticket = bell.register();
                if let Some(done) = attempt() {
                    bell.unregister(ticket);
                    return Some(done);
                }
                ticket
            }
        };
        // After registering: everything that makes the answer untrue from here on notifies this
        // ticket.
        let monitored = slices.is_long() && bell.monitors_deaths();
        let timeout =
            if monitored { deadline.left(Slices::MONITORED).unwrap_or(timeout) } else { timeout };
        let woken = bell.sleep(&ticket, timeout);
        if woken == Woken::Elapsed {
            // The registration stays: a later publisher still notifies it.
            registered = Some(ticket);
        }
        if let Some(done) = attempt() {
            if let Some(ticket) = registered {
                bell.unregister(ticket);
            }
            return Some(done);
        }
        // Recovery is what ends the wait if the awaited peer is dead. A notification of something
        // that another waiter took is no reason to recover each time.
        let repaired = match woken {
            Woken::Notified => {
                notified = true;
                bell.recover_dead_throttled()
            }
            Woken::Elapsed => {
                slices.elapsed(timeout);
                bell.recover_dead()
            }
        };
        if repaired {
            if let Some(done) = attempt() {
                if let Some(ticket) = registered {
                    bell.unregister(ticket);
                }
                return Some(done);
            }
        }
    }
}

/// How long a call that does not wait retries while a peer is in the middle of an operation.
///
/// It retries some 100 times in about ten microseconds. Then it yields the processor between two
/// attempts until this time has passed. If the peer was [ready to run](Doorbell::can_run) all that
/// time and did not get a processor, the call continues for [`RUNNABLE_PEER`]. A peer that is
/// stopped delays it no longer than this. Later calls end after ten microseconds, as long as they
/// meet the same unfinished operation.
pub const PEER_IN_THE_WAY: Duration = Duration::from_millis(1);

/// How long a call that does not wait retries while a peer is in the middle of an operation and has
/// no processor to continue. On a machine with many threads to run, each thread gets a processor
/// after some milliseconds.
pub const RUNNABLE_PEER: Duration = Duration::from_millis(100);

/// How often a call retries because of a peer in the way before it yields the processor.
const LOOKS: u32 = 100;

/// How many peers in the way, one after the other, a call tolerates. Each one that gets out of the
/// way has made progress, so only a peer that writes garbage makes a call meet as many.
const MOST_PEERS: u32 = 1 << 10;

/// A peer that has claimed something and has not finished with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// The position that it has claimed. No other operation has the same number, and none has
    /// `u64::MAX`.
    pub position: u64,
    /// Which peer it is, for [`Doorbell::can_run`].
    pub peer: u64,
}

/// Calls `attempt` until it returns something, or nothing could make it succeed soon.
///
/// For calls that do not wait. `in_the_way` returns `None` if the failure of `attempt` is final:
/// there is no message, or no room. Otherwise it returns the peer that keeps `attempt` from
/// succeeding. The call retries for [`PEER_IN_THE_WAY`] or [`RUNNABLE_PEER`], and recovers the peer
/// if it is dead. `given_up` keeps, for the caller, the position of a peer that did not get out of
/// the way in time. It begins as `u64::MAX`.
#[cold]
pub fn at_once<D: Doorbell, R>(
    bell: &D,
    given_up: &AtomicU64,
    in_the_way: impl Fn() -> Option<InTheWay>,
    mut attempt: impl FnMut() -> Option<R>,
) -> Option<R> {
    let mut patient = MOST_PEERS;
    let mut last = None;
    let (mut looks, mut began) = (0, None);
    loop {
        if let Some(done) = attempt() {
            return Some(done);
        }
        let Some(InTheWay { position, peer }) = in_the_way() else {
            if bell.recover_dead_throttled() {
                continue;
            }
            return None;
        };
        if last != Some(position) {
            patient = patient.checked_sub(1)?;
            last = Some(position);
            // If the peer cannot run meanwhile, spinning is useless.
            looks = if bell.spins() > 0 { LOOKS } else { 0 };
            began = None;
        }
        if looks > 0 {
            looks -= 1;
            bell.pause();
            continue;
        }
        // Relaxed: a hint.
        if given_up.load(Relaxed) == position {
            if bell.recover_dead_throttled() {
                continue;
            }
            return None;
        }
        let passed = match began {
            Some(began) => Instant::elapsed(&began),
            None => {
                began = Some(Instant::now());
                if bell.recover_dead_throttled() {
                    continue;
                }
                Duration::ZERO
            }
        };
        if passed < PEER_IN_THE_WAY {
            std::thread::yield_now();
        } else if bell.recover_dead() {
            // A peer was dead, maybe this one.
        } else if passed < RUNNABLE_PEER && bell.can_run(peer) {
            // Sleeps instead of yielding: an idle processor takes over a thread that waits for
            // another processor.
            std::thread::sleep(PEER_IN_THE_WAY / 4);
        } else {
            given_up.store(position, Relaxed); // Relaxed: as above.
            return attempt();
        }
    }
}

/// How long to sleep until dead peers are recovered again: 1 ms at first, 8 ms in the first second,
/// 48 ms after that. So a long wait uses hardly any processor time, and a short wait notices a
/// death soon.
///
/// An elapsed sleep costs 50 us of processor time on a virtual machine. So a waiter that is
/// notified of deaths looks only once a second.
#[derive(Debug)]
pub struct Slices {
    current: Duration,
    slept: Duration,
}

impl Slices {
    const FIRST: Duration = Duration::from_millis(1);
    const SOON: Duration = Duration::from_millis(8);
    const LONG: Duration = Duration::from_millis(48);

    /// A wait of this length makes it worthwhile to be notified of deaths.
    const BEFORE_MONITORING: Duration = Duration::from_millis(30);
    /// How long to sleep while the waiter is notified of each death and of each peer that joins.
    /// Some events notify no waiter: a peer is stopped just when it should wake this one, or
    /// releases its part by executing another program.
    pub(crate) const MONITORED: Duration = Duration::from_secs(1);

    /// How often, at most, deaths are looked for that nothing notifies of: one look in this time,
    /// however many there are to look for.
    const LOOK: Duration = Duration::from_millis(100);

    /// Returns how long to sleep for so many ends, while the waiter is notified of each death.
    pub(crate) fn monitored(ends: usize) -> Duration {
        let ends = u32::try_from(ends).unwrap_or(u32::MAX);
        Self::MONITORED.max(Self::LOOK.saturating_mul(ends))
    }

    /// Begins a wait.
    #[must_use]
    pub fn new() -> Slices {
        Slices { current: Self::FIRST, slept: Duration::ZERO }
    }

    /// Returns how long to sleep at most.
    #[must_use]
    pub fn current(&self) -> Duration {
        self.current
    }

    /// Returns whether the wait is long enough to be notified of deaths from here on.
    pub(crate) fn is_long(&self) -> bool {
        self.slept >= Self::BEFORE_MONITORING
    }

    /// Records that a slice has elapsed, and how long it took.
    pub fn elapsed(&mut self, slept: Duration) {
        self.slept = self.slept.saturating_add(slept);
        let most = if self.slept < Duration::from_secs(1) { Self::SOON } else { Self::LONG };
        self.current = (self.current * 2).min(most);
    }
}

impl Default for Slices {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A bell of a peer that is dead, which a look at the leases shows.
    #[derive(Default)]
    struct DeadPeer {
        /// Whether a throttled look is due.
        due: Cell<bool>,
        recovered: Cell<bool>,
    }

    impl Doorbell for DeadPeer {
        type Ticket = ();

        fn register(&self) {}

        fn unregister(&self, (): ()) {}

        fn sleep(&self, (): &(), _timeout: Duration) -> Woken {
            Woken::Elapsed
        }

        fn recover_dead(&self) -> bool {
            !self.recovered.replace(true)
        }

        fn recover_dead_throttled(&self) -> bool {
            self.due.take() && self.recover_dead()
        }

        fn forward_wake(&self) {}

        fn spins(&self) -> u32 {
            0
        }

        fn waited(&self, _ended: Ended) {}
    }

    // fault 108
    #[test]
    fn a_dead_peer_in_the_way_is_recovered_whether_or_not_a_look_is_due() {
        for due in [false, true] {
            let bell = DeadPeer { due: Cell::new(due), ..DeadPeer::default() };
            let given_up = AtomicU64::new(u64::MAX);
            let in_the_way = || Some(InTheWay { position: 3, peer: 1 });
            let done = at_once(&bell, &given_up, in_the_way, || bell.recovered.get().then_some(7));
            assert_eq!(done, Some(7), "{due}");
        }
    }

    // fault 103
    #[test]
    fn a_dead_peer_is_recovered_before_a_time_limit_is_reported() {
        for deadline in [Deadline::Now, Deadline::At(Instant::now())] {
            let bell = DeadPeer { due: Cell::new(true), ..DeadPeer::default() };
            let done = until(&bell, deadline, || bell.recovered.get().then_some(7));
            assert_eq!(done, Some(7), "{deadline:?}");
        }
    }
}
