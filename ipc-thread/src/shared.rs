//! What the ends of a channel share.

// The halves of a channel go to different threads.
#![allow(unsafe_code)]

#[cfg(not(loom))]
use std::sync::OnceLock;

#[cfg(not(loom))]
use ipc_core::__private::ready::TaskQueue;
use ipc_wait::{Barrier, Bell};

use crate::array::Array;
use crate::list::List;
use crate::meet::Meet;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::{AtomicU64, Line};

/// A side of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Senders,
    Receivers,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Senders => Side::Receivers,
            Side::Receivers => Side::Senders,
        }
    }
}

/// Where messages are.
pub(crate) enum Kind<T> {
    /// In a ring.
    Array(Array<T>),
    /// In a list of blocks.
    List(List<T>),
    /// Nowhere: they go from hand to hand.
    Meet(Meet<T>),
}

/// The word on which the waiters of a side sleep.
struct WaitWord {
    word: AtomicU64,
    #[cfg(loom)]
    futex: ipc_wait::model_futex::ModelFutex,
}

impl WaitWord {
    fn new() -> Line<WaitWord> {
        Line(WaitWord {
            word: AtomicU64::new(0),
            #[cfg(loom)]
            futex: ipc_wait::model_futex::ModelFutex::new(),
        })
    }
}

/// The number of ends, and the processor where each side last waited.
struct Ends {
    senders: AtomicU64,
    receivers: AtomicU64,
    senders_cpu: AtomicU64,
    receivers_cpu: AtomicU64,
}

pub(crate) struct Shared<T> {
    pub(crate) kind: Kind<T>,
    pub(crate) barrier: Barrier,
    receivers_wait: Line<WaitWord>,
    senders_wait: Line<WaitWord>,
    ends: Line<Ends>,
    /// The tasks that wait, by side.
    #[cfg(not(loom))]
    tasks: [OnceLock<std::sync::Arc<TaskQueue>>; 2],
}

// SAFETY: messages move from the thread of a sender to that of a receiver. No reference to one is
// shared. Everything else in here is atomic, or behind a lock.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Makes a channel with one end on each side.
    pub(crate) fn new(kind: Kind<T>) -> Shared<T> {
        Shared {
            kind,
            barrier: barrier(),
            receivers_wait: WaitWord::new(),
            senders_wait: WaitWord::new(),
            ends: Line(Ends {
                senders: AtomicU64::new(1),
                receivers: AtomicU64::new(1),
                senders_cpu: AtomicU64::new(0),
                receivers_cpu: AtomicU64::new(0),
            }),
            #[cfg(not(loom))]
            tasks: [const { OnceLock::new() }; 2],
        }
    }

    /// Returns the bell on which the waiters of a side sleep.
    #[inline(always)]
    pub(crate) fn bell(&self, side: Side) -> Bell<'_> {
        let wait = match side {
            Side::Senders => &self.senders_wait.0,
            Side::Receivers => &self.receivers_wait.0,
        };
        #[cfg(loom)]
        return Bell::private(&wait.word, &wait.futex);
        #[cfg(not(loom))]
        Bell::private(&wait.word)
    }

    /// Returns the tasks that wait as `side`.
    #[cfg(not(loom))]
    pub(crate) fn task_queue(&self, side: Side) -> &TaskQueue {
        self.tasks[side as usize].get_or_init(TaskQueue::new)
    }

    /// Wakes up to `n` waiters of a side.
    #[inline(always)]
    pub(crate) fn ring(&self, side: Side, n: u64) {
        self.bell(side).ring(n, self.barrier);
    }

    fn ends(&self, side: Side) -> &AtomicU64 {
        match side {
            Side::Senders => &self.ends.0.senders,
            Side::Receivers => &self.ends.0.receivers,
        }
    }

    /// Returns the hints of both sides, that of `side` first.
    pub(crate) fn cpus(&self, side: Side) -> (&AtomicU64, &AtomicU64) {
        let Ends { senders_cpu, receivers_cpu, .. } = &self.ends.0;
        match side {
            Side::Senders => (senders_cpu, receivers_cpu),
            Side::Receivers => (receivers_cpu, senders_cpu),
        }
    }

    pub(crate) fn count(&self, side: Side) -> usize {
        self.ends(side).load(Acquire) as usize // Acquire: THREAD-E4.
    }

    /// Returns whether a side is gone. Everything that it did before can be seen then.
    pub(crate) fn is_gone(&self, side: Side) -> bool {
        self.count(side) == 0
    }

    pub(crate) fn add(&self, side: Side) {
        self.ends(side).fetch_add(1, Relaxed); // Relaxed: there is one already, the caller's.
    }

    /// Drops an end. With the last one, the side is gone.
    pub(crate) fn remove(&self, side: Side) {
        // AcqRel: THREAD-E4, and all ends of the side are done before what follows.
        if self.ends(side).fetch_sub(1, AcqRel) != 1 {
            return;
        }
        /// Wakes the other side, also if a destructor of a message panics.
        struct Wake<'a, T>(&'a Shared<T>, Side);
        impl<T> Drop for Wake<'_, T> {
            fn drop(&mut self) {
                self.0.bell(self.1).wake_all();
            }
        }
        let _wake = Wake(self, side.other());
        match (&self.kind, side) {
            (Kind::Array(array), Side::Receivers) => array.close(),
            (Kind::List(list), Side::Receivers) => list.close(),
            (Kind::Meet(meet), Side::Receivers) => meet.receivers_gone(),
            (Kind::Meet(meet), Side::Senders) => meet.senders_gone(),
            (_, Side::Senders) => {}
        }
    }
}

/// Registers this process for the barriers of waiters, when it makes its first channel.
#[cfg(not(loom))]
fn barrier() -> Barrier {
    // Not a lock: a fork during the call would leave it locked in the child. The registration is
    // inherited by a forked child.
    use std::sync::atomic::AtomicU8;
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    // Relaxed: the number says all by itself. Two threads may both register.
    match KNOWN.load(Relaxed) {
        1 => Barrier::Theirs,
        2 => Barrier::Ours,
        _ => {
            let barrier = Barrier::register();
            KNOWN.store(if barrier == Barrier::Theirs { 1 } else { 2 }, Relaxed);
            barrier
        }
    }
}

#[cfg(loom)]
fn barrier() -> Barrier {
    Barrier::register()
}
