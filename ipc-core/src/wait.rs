//! The blocking loop: try, spin, look for the dead, register, try again, sleep, deadline.
//!
//! [`until`] is the loop of calls that wait, [`at_once`] that of calls that do not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::deadline::Deadline;

/// A place to sleep until there may be something to do, and what keeps the sleeper honest.
///
/// The contract that makes the loop below lose no wake-up: whatever is published after
/// [`register`](Doorbell::register) returned rings the bell for this ticket, so one more attempt
/// between registering and sleeping sees all that was published before.
pub trait Doorbell {
    /// A place in the queue of sleepers.
    type Ticket;

    /// Registers the caller as a waiter that is about to sleep.
    fn register(&self) -> Self::Ticket;

    /// Takes a registration back.
    fn unregister(&self, ticket: Self::Ticket);

    /// Sleeps until notified, at most `timeout`. Notified, the ticket is used up; elapsed, it
    /// stands.
    fn sleep(&self, ticket: &Self::Ticket, timeout: Duration) -> Woken;

    /// Recovers the state of every peer that is dead. Returns whether anything changed.
    fn recover_dead(&self) -> bool;

    /// Whether this waiter will be notified of the death of any peer that is there now, and for any
    /// peer that comes, so that looking itself is hardly needed. Asked while registered, when
    /// a wait has become long, and again before each further sleep.
    fn monitors_deaths(&self) -> bool {
        false
    }

    /// As [`recover_dead`](Doorbell::recover_dead), for those who do not wait: at most about once a
    /// millisecond, however often it is called.
    fn recover_dead_throttled(&self) -> bool;

    /// Whether a peer that is in the middle of an operation has a thread that runs or is ready to.
    /// False also if that cannot be told.
    fn can_run(&self, peer: u64) -> bool {
        let _ = peer;
        false
    }

    /// Forwards a wake-up that this waiter was given and does not use.
    fn forward_wake(&self);

    /// Gives the other side a moment to get ahead, if messages stream: whoever works right at the
    /// other's heels shares each cache line with it. True if it did get ahead, and another try is
    /// worth it.
    fn let_peer_run_ahead(&self) -> bool {
        false
    }

    /// How often to try again before sleeping is thought of: none where the other side cannot run
    /// meanwhile.
    fn spins(&self) -> u32;

    /// The pause between two of these tries.
    fn pause(&self) {
        std::hint::spin_loop();
    }

    /// Tells how a wait ended, for the next answer of [`spins`](Doorbell::spins).
    fn waited(&self, ended: Ended);
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// One of the tries.
    Spinning,
    /// Yielding the processor, and so long after it was yielded.
    Yielding(Duration),
    /// Nothing yet: sleeping is next.
    Sleeping,
}

/// How often the processor is yielded before sleeping. With more processes than processors the
/// other side is likely to be ready to run, and a yield costs a tenth of a sleep.
const YIELDS: u32 = 20;

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody rang.
    Notified,
    /// The time was over, or a signal came.
    Elapsed,
}

/// Calls `attempt` until it returns something or `deadline` has passed.
///
/// `attempt` has just failed once when this is called. No wait inside is unbounded: a slice that
/// ends without a wake-up is followed by a look at who is dead. A deadline that passes is followed
/// by one too, at most about once a millisecond: on a busy machine a short wait may end before its
/// first slice does, and a caller that polls must notice a death all the same.
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
        // After registering: whatever makes the answer untrue from here on rings for this
        // ticket.
        let told = slices.slept >= Slices::BEFORE_MONITORING && bell.monitors_deaths();
        let timeout = if told { deadline.left(Slices::TOLD).unwrap_or(timeout) } else { timeout };
        let woken = bell.sleep(&ticket, timeout);
        if woken == Woken::Elapsed {
            // The registration stands: who publishes from now on still rings for it.
            registered = Some(ticket);
        }
        if let Some(done) = attempt() {
            if let Some(ticket) = registered {
                bell.unregister(ticket);
            }
            return Some(done);
        }
        // Repairing is what ends the wait when the one we wait for is dead. Notified of what others
        // took is no reason to look each time.
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

/// How long a call that does not wait looks again while a peer is in the middle of an operation.
///
/// It looks some 100 times in about ten microseconds, and then yields the processor between two
/// looks until this time has passed. If the peer was [ready to run](Doorbell::can_run) all that
/// time and did not get a processor, the call goes on for [`RUNNABLE_PEER`]. A peer that is stopped
/// keeps it no longer than this. The calls after it end after ten microseconds, as long as they
/// meet the same unfinished operation.
pub const PEER_IN_THE_WAY: Duration = Duration::from_millis(1);

/// How long a call that does not wait looks again while a peer is in the middle of an operation and
/// has no processor to go on. On a machine with many threads to run, each gets its turn after some
/// milliseconds.
pub const RUNNABLE_PEER: Duration = Duration::from_millis(100);

/// Looks at a peer that is in the way before the processor is yielded.
const LOOKS: u32 = 100;

/// Peers in the way, one after the other, that a call is patient with. Each one that gets out of
/// the way has made progress, so only a peer that writes garbage makes a call meet as many.
const MOST_PEERS: u32 = 1 << 10;

/// A peer that has claimed something and is not done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// What it has claimed. No other operation has the same number, and none has `u64::MAX`.
    pub position: u64,
    /// Which peer it is, for [`Doorbell::can_run`].
    pub peer: u64,
}

/// Calls `attempt` until it returns something, or there is nothing that could make it succeed soon.
///
/// For calls that do not wait. `in_the_way` returns `None` if the failure of `attempt` is final:
/// there is no message, or no room. Otherwise it returns the peer that keeps `attempt` from
/// succeeding. The peer is looked at again for [`PEER_IN_THE_WAY`], or [`RUNNABLE_PEER`], and is
/// recovered if it is dead. `given_up` remembers for the caller the position of a peer that was
/// waited for in vain; it begins as `u64::MAX`.
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
            // Where the peer cannot run meanwhile, looking is in vain.
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
            // One was dead. Maybe this one.
        } else if passed < RUNNABLE_PEER && bell.can_run(peer) {
            // Asleep, not yielding: a processor with nothing to do takes over what waits for
            // another one.
            std::thread::sleep(PEER_IN_THE_WAY / 4);
        } else {
            given_up.store(position, Relaxed); // Relaxed: as above.
            return attempt();
        }
    }
}

/// How long to sleep until the next look at who is dead: 1 ms at first, 8 ms in the first second,
/// 48 ms from then on. Whoever waits for long uses no processor, and whoever has just begun to
/// learns of a death soon.
///
/// An elapsed sleep costs 50 us of processor time on a virtual machine, so whoever is told of
/// deaths looks once a second.
#[derive(Debug)]
pub struct Slices {
    current: Duration,
    slept: Duration,
}

impl Slices {
    const FIRST: Duration = Duration::from_millis(1);
    const SOON: Duration = Duration::from_millis(8);
    const LONG: Duration = Duration::from_millis(48);

    /// A wait that has lasted so long is worth asking to be told.
    const BEFORE_MONITORING: Duration = Duration::from_millis(30);
    /// How long to sleep while told: the bell is rung for each death, and for who comes. This is
    /// for what nobody tells of, a peer that is stopped just when it should wake us, or that gives
    /// its part up by starting another program.
    const TOLD: Duration = Duration::from_secs(1);

    /// For a wait that begins now.
    #[must_use]
    pub fn new() -> Slices {
        Slices { current: Self::FIRST, slept: Duration::ZERO }
    }

    /// How long to sleep at most.
    #[must_use]
    pub fn current(&self) -> Duration {
        self.current
    }

    /// Says that a slice has elapsed, and took so long.
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
