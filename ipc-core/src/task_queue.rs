//! What wakes the tasks of a process, and the queue in which those of one side of a channel wait.
//!
//! How they wait is in [`task`](crate::task).

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use crate::registration::{Source, Ticket};
use crate::wait::Slices;

/// The part of a process that wakes its tasks.
pub trait Tasks: Sync {
    /// Calls `waker` once, when `source` changes or is ready, or at `until`. Returns a number for
    /// [`disarm`](Tasks::disarm).
    ///
    /// # Errors
    ///
    /// If the system has no thread or descriptor left to wait with.
    fn arm(&self, source: Source<'_>, until: Option<Instant>, waker: &Waker) -> io::Result<u64>;

    /// Replaces the waker. Returns false if the waker was called.
    fn renew(&self, number: u64, waker: &Waker) -> bool;

    /// Takes [`arm`](Tasks::arm) back, if the waker was not called.
    fn disarm(&self, number: u64);

    /// Returns how many wakers it has.
    fn armed(&self) -> usize;

    /// Issues a full barrier in all running threads of all processes. Returns false if the system
    /// cannot.
    fn barrier(&self) -> bool;

    /// Sleeps until `source` changes, for at most `timeout`: for a task whose waker no thread can
    /// call.
    fn sleep(&self, source: Source<'_>, timeout: Duration);
}

/// The registration of a task or a queue with an end, and what calls its waker.
#[derive(Debug)]
pub(crate) struct Armed {
    pub(crate) ticket: Ticket,
    /// `None` if no thread of the process can wait for it.
    pub(crate) number: Option<u64>,
    pub(crate) since: Instant,
    /// The interval is over, and a task looks for dead peers.
    pub(crate) looked: bool,
}

/// The tasks of this process that wait on one side of a channel.
#[derive(Debug)]
pub struct TaskQueue {
    pub(crate) state: Mutex<State>,
    /// The waker of the queue itself.
    pub(crate) this: Weak<TaskQueue>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// The number of the last task.
    pub(crate) last: u64,
    pub(crate) waiting: VecDeque<(u64, Waker)>,
    /// The queue's registration with the channel.
    pub(crate) armed: Option<Armed>,
    /// The queue was woken. Its registration is renewed by the next task.
    pub(crate) woken: bool,
    /// Once it is long, it stays so: then the queue begins each wait by being notified of deaths.
    pub(crate) slices: Slices,
}

impl TaskQueue {
    /// Makes an empty queue.
    #[must_use]
    pub fn new() -> Arc<TaskQueue> {
        Arc::new_cyclic(|this| TaskQueue {
            state: Mutex::new(State {
                last: 0,
                waiting: VecDeque::new(),
                armed: None,
                woken: false,
                slices: Slices::new(),
            }),
            this: this.clone(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the waker of a task. Returns false if the task was woken.
    pub(crate) fn renew(&self, number: u64, waker: &Waker) -> bool {
        let mut state = self.state();
        let Some((_, known)) = state.waiting.iter_mut().find(|(of, _)| *of == number) else {
            return false;
        };
        known.clone_from(waker);
        true
    }
}

impl Wake for TaskQueue {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state();
        state.woken = true;
        // The second one registers the queue, should the first one be busy with other things.
        let next = [state.waiting.pop_front(), state.waiting.pop_front()];
        drop(state);
        next.into_iter().flatten().for_each(|(_, waker)| waker.wake());
    }
}
