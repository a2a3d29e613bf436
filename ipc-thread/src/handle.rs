//! The common part of all ends: a share in the channel, and how this end waits.

use std::sync::atomic::AtomicU64 as Hint;
use std::time::Duration;

use ipc_core::__private::wait::{Doorbell, Ended, InTheWay, Woken, at_once, until};
use ipc_core::Deadline;
use ipc_wait::spin_policy::{self, Lane, NOWHERE, SpinPolicy};
use ipc_wait::{Barrier, Bell, Ticket};

use crate::meet::Waiting;
use crate::shared::{Kind, Shared, Side};
use crate::sync::Ordering::SeqCst;
use crate::sync::{Arc, fence};

/// How far the senders of an unbounded channel may run ahead of a receiver that waits for them.
const AHEAD: u64 = 256;

/// One end of a channel.
pub(crate) struct Handle<T> {
    pub(crate) shared: Arc<Shared<T>>,
    side: Side,
    policy: SpinPolicy,
    /// The position of the thread in the way for which `try_*` no longer waits.
    given_up: Hint,
}

impl<T> Handle<T> {
    /// Makes an end that is counted already.
    pub(crate) fn counted(shared: Arc<Shared<T>>, side: Side) -> Handle<T> {
        Handle { shared, side, policy: SpinPolicy::new(), given_up: Hint::new(NOWHERE) }
    }

    pub(crate) fn bell(&self) -> Bell<'_> {
        self.shared.bell(self.side)
    }

    /// Registers this thread as a waiter. The caller issues the barrier, if this says so.
    pub(crate) fn announce(&self) -> (Ticket, bool) {
        let ticket = self.bell().announce();
        match self.shared.barrier {
            Barrier::Theirs => (ticket, true),
            // All threads of the process issue their own fences, so this one does.
            Barrier::Ours => {
                fence(SeqCst); // S2 of `ipc_wait::bell`.
                (ticket, false)
            }
        }
    }

    /// Calls `attempt` until it returns something, or `deadline` has passed. It has just failed.
    ///
    /// `in_the_way` returns the position of a thread that is in the middle of an operation, and
    /// keeps `attempt` from succeeding.
    #[cold]
    pub(crate) fn wait<R>(
        &self,
        deadline: Deadline,
        in_the_way: impl Fn() -> Option<u64>,
        attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        if deadline != Deadline::Now {
            return until(self, deadline, attempt);
        }
        in_the_way()?;
        let in_the_way = || in_the_way().map(|position| InTheWay { position, peer: 0 });
        at_once(self, &self.given_up, in_the_way, attempt)
    }

    /// Returns whether the other side cannot run while this thread spins, as far as is known.
    pub(crate) fn shares_processor(&self) -> bool {
        spin_policy::shares_processor(self)
    }

    /// Waits for a short time that is bounded while a thread is in the way. Returns whether it got
    /// out of the way.
    pub(crate) fn settle(&self, in_the_way: impl Fn() -> Option<u64>) -> bool {
        let gone = || in_the_way().is_none().then_some(());
        in_the_way().is_some() && self.wait(Deadline::Now, &in_the_way, gone).is_some()
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        self.shared.add(self.side);
        Handle::counted(self.shared.clone(), self.side)
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.shared.remove(self.side);
    }
}

/// All loads are Relaxed: the positions are estimates, and no data depends on them.
impl<T> Lane for Handle<T> {
    fn other(&self) -> u64 {
        match (&self.shared.kind, self.side) {
            (Kind::Array(array), Side::Receivers) => array.tail_hint(),
            (Kind::Array(array), Side::Senders) => array.head_hint(),
            (Kind::List(list), Side::Receivers) => list.tail_hint(),
            (Kind::List(list), Side::Senders) => list.head_hint(),
            (Kind::Meet(_), _) => 0,
        }
    }

    fn distance(&self, from: u64, to: u64) -> u64 {
        match &self.shared.kind {
            Kind::Array(array) => array.distance(from, to),
            Kind::List(_) | Kind::Meet(_) => to.saturating_sub(from),
        }
    }

    fn ready(&self, mine: u64, other: u64) -> u64 {
        match (&self.shared.kind, self.side) {
            (Kind::Array(array), Side::Senders) => {
                (array.capacity() as u64).saturating_sub(array.distance(other, mine))
            }
            _ => self.distance(mine, other),
        }
    }

    fn goal(&self) -> u64 {
        match &self.shared.kind {
            Kind::Array(array) => array.capacity() as u64 / 4,
            Kind::List(_) | Kind::Meet(_) => AHEAD,
        }
    }

    fn same_cpu(&self, here: u64) -> bool {
        let (mine, other) = self.shared.cpus(self.side);
        spin_policy::record_cpu(mine, other, here)
    }
}

impl<T> Doorbell for Handle<T> {
    type Ticket = Ticket;

    fn register(&self) -> Ticket {
        match self.shared.barrier {
            Barrier::Theirs => self.bell().register(),
            Barrier::Ours => self.announce().0,
        }
    }

    fn unregister(&self, ticket: Ticket) {
        self.bell().unregister(&ticket);
    }

    fn sleep(&self, ticket: &Ticket, timeout: Duration) -> Woken {
        self.bell().sleep(ticket, timeout)
    }

    /// Threads of a process die together.
    fn recover_dead(&self) -> bool {
        false
    }

    fn monitors_deaths(&self) -> bool {
        true
    }

    fn recover_dead_throttled(&self) -> bool {
        false
    }

    /// A thread in the middle of an operation continues as soon as it has a processor.
    fn can_run(&self, _peer: u64) -> bool {
        true
    }

    fn forward_wake(&self) {
        self.shared.ring(self.side, 1);
    }

    fn let_peer_run_ahead(&self) -> bool {
        let mine = match (&self.shared.kind, self.side) {
            (Kind::Array(array), Side::Receivers) => array.head_hint(),
            (Kind::Array(array), Side::Senders) => array.tail_hint(),
            (Kind::List(list), Side::Receivers) => list.head_hint(),
            (Kind::List(_), Side::Senders) | (Kind::Meet(_), _) => return false,
        };
        self.policy.let_peer_run_ahead(self, mine)
    }

    fn spins(&self) -> u32 {
        self.policy.spins(self)
    }

    fn pause(&self) {
        spin_policy::pause(spin_policy::POLL);
    }

    fn waited(&self, ended: Ended) {
        self.policy.waited(ended);
    }
}

impl<T> Waiting for Handle<T> {
    #[cfg(not(loom))]
    fn spin(&self, deadline: Deadline, done: impl Fn() -> bool) {
        for _ in 0..Doorbell::spins(self) {
            self.pause();
            if done() {
                return self.waited(Ended::Spinning);
            }
        }
        for _ in 0..crate::sync::YIELDS {
            let yielded = std::time::Instant::now();
            if matches!(deadline, Deadline::At(deadline) if yielded >= deadline) {
                break;
            }
            std::thread::yield_now();
            if done() {
                return self.waited(Ended::Yielding(yielded.elapsed()));
            }
        }
        self.waited(Ended::Sleeping);
    }

    #[cfg(loom)]
    fn spin(&self, _deadline: Deadline, _done: impl Fn() -> bool) {}

    fn wake_selection(&self) {
        self.shared.ring(self.side.other(), 1);
    }

    fn wake_own_selection(&self) {
        self.shared.ring(self.side, 1);
    }
}
