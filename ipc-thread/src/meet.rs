//! A channel without room: a message goes from a sender to a receiver while both are there.
//!
//! A call that finds no partner leaves a *node* in a queue and waits. The partner takes the node
//! out, so the two belong to each other from then on, and completes it. A call whose time is over
//! takes its own node out, if it is still there.
//!
//! | node of a sender | node of a receiver |
//! |---|---|
//! | `WAITING`: the message is in it | `WAITING`: it is empty |
//! | `DONE`: the message was taken | `DONE`: the message is in it |
//! | `GONE`: no receiver is left, the message is in it | `GONE`: no sender is left |
//!
//! Two selections do not have a message at hand. One of them makes an *open* node, and stays in its
//! claim for a moment, so that the other may match it. If none does, the node is taken back. So an
//! offer may be withdrawn after it was seen. Once it is `MATCHED`, the sender puts the message in
//! and decides for `DONE`. Either thread may decide for `GONE`, which gives its claim back.
//!
//! | edge | from | to | over | orderings | carries |
//! |---|---|---|---|---|---|
//! | MEET-E1 | completing a node | the call that waits for it | the node's state | Release, Acquire | the message, or that it was taken |

// Messages lie in cells that two threads use in turn.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Duration, Instant};

use ipc_core::Deadline;
use ipc_core::error::{RecvTimeoutError, SendTimeoutError};

use crate::array::NotYet;
use crate::sync::Ordering::{AcqRel, Acquire};
use crate::sync::thread::{self, Thread, ThreadId};
use crate::sync::{Arc, AtomicU64, Mutex, UnsafeCell, lock};

mod task;

const WAITING: u64 = 0;
const MATCHED: u64 = 1;
const DONE: u64 = 2;
const GONE: u64 = 3;

/// How long a selection offers itself to another one, which must wake up for it.
const OFFER: Duration = Duration::from_millis(1);

/// A call that waits for its partner.
pub(crate) struct Node<T> {
    state: AtomicU64,
    /// A selection made it, so a sender's node has no message yet.
    open: bool,
    message: UnsafeCell<Option<T>>,
    owner: Owner,
    /// The thread that has matched an open node.
    partner: Mutex<Option<Thread>>,
}

// SAFETY: the message is moved from thread to thread. The state says which of them accesses the
// cell, and no reference to the message is shared.
unsafe impl<T: Send> Sync for Node<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Node<T> {}

/// What waits for a node to be completed.
enum Owner {
    Thread(Thread),
    Task(Mutex<Waker>),
}

impl Owner {
    fn wake(&self) {
        match self {
            Owner::Thread(thread) => thread.unpark(),
            Owner::Task(waker) => {
                // Without the lock: a waker runs code of its owner.
                let waker = lock(waker).clone();
                waker.wake();
            }
        }
    }
}

impl<T> Node<T> {
    fn new(message: Option<T>, open: bool) -> Arc<Node<T>> {
        Self::of(Owner::Thread(thread::current()), message, open)
    }

    fn of(owner: Owner, message: Option<T>, open: bool) -> Arc<Node<T>> {
        Arc::new(Node {
            state: AtomicU64::new(WAITING),
            open,
            message: UnsafeCell::new(message),
            owner,
            partner: Mutex::new(None),
        })
    }

    /// Moves the message out.
    ///
    /// # Safety
    ///
    /// The state, or having taken the node out of the queue, gives the cell to this thread.
    unsafe fn take(&self) -> Option<T> {
        self.message.with_mut(|message| {
            // SAFETY: this thread has the cell.
            unsafe { (*message).take() }
        })
    }

    /// Moves a message in.
    ///
    /// # Safety
    ///
    /// As [`take`](Node::take).
    unsafe fn put(&self, message: T) {
        self.message.with_mut(|to| {
            // SAFETY: this thread has the cell.
            unsafe { *to = Some(message) };
        });
    }

    /// Moves to another state, and wakes the call that waits.
    fn complete(&self, state: u64) {
        self.state.swap(state, AcqRel); // Release: MEET-E1.
        self.owner.wake();
    }

    /// Decides an open node that was matched, unless the other thread has. Wakes the other thread.
    fn decide(&self, state: u64) -> bool {
        // Release: MEET-E1. Failure Acquire: MEET-E1, too.
        let decided = self.state.compare_exchange(MATCHED, state, AcqRel, Acquire).is_ok();
        self.owner.wake();
        if let Some(partner) = &*lock(&self.partner) {
            partner.unpark();
        }
        decided
    }

    /// Completes the node of a receiving task, unless it was withdrawn.
    fn complete_for_task(&self) -> bool {
        // Release: MEET-E1.
        let done = self.state.compare_exchange(WAITING, DONE, AcqRel, Acquire).is_ok();
        if done {
            self.owner.wake();
        }
        done
    }

    /// Takes an open node for this thread, and wakes its owner. The queue is locked.
    fn matches(&self) {
        if self.open {
            *lock(&self.partner) = Some(thread::current());
            self.complete(MATCHED);
        }
    }

    /// Completes a receiver's node with a message, or an open node of a sender. Returns the message
    /// if the receiver has given its claim back, or was a task that does not wait any more.
    ///
    /// # Safety
    ///
    /// The node was taken out of the queue by this thread, or is its own and was matched.
    unsafe fn deliver(&self, message: T) -> Result<(), T> {
        // SAFETY: until it is completed, the empty cell is this thread's.
        unsafe { self.put(message) };
        let taken = match (&self.owner, self.open) {
            (_, true) => self.decide(DONE),
            (Owner::Task(_), false) => self.complete_for_task(),
            (Owner::Thread(_), false) => {
                self.complete(DONE);
                true
            }
        };
        if !taken {
            // SAFETY: it was not completed, so the cell is still this thread's.
            return Err(unsafe { self.take() }.expect("it was put there"));
        }
        Ok(())
    }

    fn state(&self) -> u64 {
        self.state.load(Acquire) // Acquire: MEET-E1.
    }

    /// Waits, without a time limit, until the state is final.
    fn wait(&self) -> u64 {
        for _ in 0..crate::sync::YIELDS {
            if self.state() >= DONE {
                break;
            }
            thread::yield_now();
        }
        loop {
            let state = self.state();
            if state >= DONE {
                return state;
            }
            thread::park();
        }
    }
}

/// The calls that wait on each side, and the selections.
struct Queue<T> {
    senders: VecDeque<Arc<Node<T>>>,
    receivers: VecDeque<Arc<Node<T>>>,
    /// The threads that select among senders, and receivers, and this channel.
    selecting_senders: Vec<ThreadId>,
    selecting_receivers: Vec<ThreadId>,
    senders_gone: bool,
    receivers_gone: bool,
}

pub(crate) struct Meet<T>(Mutex<Queue<T>>);

fn remove<T>(queue: &mut VecDeque<Arc<Node<T>>>, node: &Arc<Node<T>>) -> bool {
    match queue.iter().position(|other| Arc::ptr_eq(other, node)) {
        Some(index) => queue.remove(index).is_some(),
        None => false,
    }
}

/// Whether another thread than this one is listed.
fn another(threads: &[ThreadId]) -> bool {
    let me = thread::current().id();
    threads.iter().any(|&thread| thread != me)
}

/// How a call waits for its node: spins first, as often as pays.
pub(crate) trait Waiting {
    /// Spins until `done`, or until sleeping is better.
    fn spin(&self, deadline: Deadline, done: impl Fn() -> bool);
    /// Wakes a selection of the other side.
    fn wake_selection(&self);
    /// Wakes a selection of this side.
    fn wake_own_selection(&self);
}

impl<T> Meet<T> {
    pub(crate) fn new() -> Meet<T> {
        Meet(Mutex::new(Queue {
            senders: VecDeque::new(),
            receivers: VecDeque::new(),
            selecting_senders: Vec::new(),
            selecting_receivers: Vec::new(),
            senders_gone: false,
            receivers_gone: false,
        }))
    }

    /// Sends a message to a receiver that waits, or waits for one until `deadline`.
    pub(crate) fn send(
        &self,
        mut message: T,
        deadline: Deadline,
        how: &impl Waiting,
    ) -> Result<(), SendTimeoutError<T>> {
        let mut queue = lock(&self.0);
        if queue.receivers_gone {
            return Err(SendTimeoutError::Disconnected(message));
        }
        while let Some(node) = queue.receivers.pop_front() {
            node.matches();
            drop(queue);
            // SAFETY: the node was just taken out of the queue.
            match unsafe { node.deliver(message) } {
                Ok(()) => return Ok(()),
                Err(back) => message = back,
            }
            queue = lock(&self.0);
        }
        let selected = another(&queue.selecting_receivers);
        let deadline = match deadline {
            Deadline::Now if !selected => return Err(SendTimeoutError::Timeout(message)),
            Deadline::Now => Deadline::after(OFFER),
            later => later,
        };
        let node = Node::new(Some(message), false);
        queue.senders.push_back(node.clone());
        drop(queue);
        if selected {
            how.wake_selection();
        }
        let ended = self.wait(&node, deadline, how, |queue| &mut queue.senders);
        if ended == Some(DONE) {
            return Ok(());
        }
        // SAFETY: no receiver has the node: it was taken out of the queue, and not for one.
        let message = unsafe { node.take() }.expect("it was not received");
        Err(match ended {
            Some(_) => SendTimeoutError::Disconnected(message),
            None => SendTimeoutError::Timeout(message),
        })
    }

    /// Receives a message of a sender that waits, or waits for one until `deadline`.
    pub(crate) fn receive(
        &self,
        deadline: Deadline,
        how: &impl Waiting,
    ) -> Result<T, RecvTimeoutError> {
        let mut queue = lock(&self.0);
        while let Some(node) = queue.senders.pop_front() {
            node.matches();
            drop(queue);
            if let Some(message) = Self::accept(&node) {
                return Ok(message);
            }
            queue = lock(&self.0);
        }
        if queue.senders_gone {
            return Err(RecvTimeoutError::Disconnected);
        }
        let selected = another(&queue.selecting_senders);
        let deadline = match deadline {
            Deadline::Now if !selected => return Err(RecvTimeoutError::Timeout),
            Deadline::Now => Deadline::after(OFFER),
            later => later,
        };
        let node = Node::new(None, false);
        queue.receivers.push_back(node.clone());
        drop(queue);
        if selected {
            how.wake_selection();
        }
        match self.wait(&node, deadline, how, |queue| &mut queue.receivers) {
            // SAFETY: the sender is done with the node.
            Some(DONE) => Ok(unsafe { node.take() }.expect("it was sent")),
            Some(_) => Err(RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Takes the message of a sender's node that is not in the queue any more. An open node may
    /// turn out to have none.
    fn accept(node: &Node<T>) -> Option<T> {
        if node.open {
            return Self::accept_open(node);
        }
        // SAFETY: the node was taken out of the queue, so its message is this thread's.
        let message = unsafe { node.take() };
        node.complete(DONE);
        message
    }

    /// Waits until the sender of a matched node has decided.
    fn accept_open(node: &Node<T>) -> Option<T> {
        let state = node.wait();
        // SAFETY: the sender is done with the node.
        if state == DONE { unsafe { node.take() } } else { None }
    }

    /// Waits until the node is completed. Returns its state, or `None` if it was taken out of the
    /// queue because the time is over.
    fn wait(
        &self,
        node: &Arc<Node<T>>,
        deadline: Deadline,
        how: &impl Waiting,
        side: impl Fn(&mut Queue<T>) -> &mut VecDeque<Arc<Node<T>>>,
    ) -> Option<u64> {
        how.spin(deadline, || node.state() >= DONE);
        loop {
            let state = node.state();
            if state >= DONE {
                return Some(state);
            }
            let Deadline::At(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                park_timeout(left);
            } else if remove(side(&mut lock(&self.0)), node) {
                return None;
            } else if node.state() < DONE {
                // A partner has it, and completes it or gives it back.
                thread::park();
            }
        }
    }

    /// Offers an open node to the selections of the other side for a moment.
    fn offer(
        &self,
        how: &impl Waiting,
        side: impl Fn(&mut Queue<T>) -> &mut VecDeque<Arc<Node<T>>>,
    ) -> Option<(u64, u64)> {
        let node = Node::new(None, true);
        side(&mut lock(&self.0)).push_back(node.clone());
        how.wake_selection();
        let until = Instant::now() + OFFER;
        while node.state() == WAITING {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                park_timeout(left);
            } else if remove(side(&mut lock(&self.0)), &node) {
                return None;
            }
        }
        // `GONE`: the other side is gone, or the partner has given its claim back already.
        (node.state() != GONE).then(|| (number(node), OWN))
    }

    /// Claims a receiver for a selection, as the two numbers of a claim.
    pub(crate) fn select_send(&self, how: &impl Waiting) -> Result<Option<(u64, u64)>, NotYet> {
        let mut queue = lock(&self.0);
        if queue.receivers_gone {
            return Err(NotYet::Closed);
        }
        if let Some(node) = queue.receivers.pop_front() {
            node.matches();
            return Ok(Some((number(node), OTHERS)));
        }
        if !another(&queue.selecting_receivers) {
            return Ok(None);
        }
        drop(queue);
        Ok(self.offer(how, |queue| &mut queue.senders))
    }

    /// Claims a sender for a selection, as the two numbers of a claim.
    pub(crate) fn select_receive(&self, how: &impl Waiting) -> Result<Option<(u64, u64)>, NotYet> {
        let mut queue = lock(&self.0);
        if let Some(node) = queue.senders.pop_front() {
            node.matches();
            return Ok(Some((number(node), OTHERS)));
        }
        if queue.senders_gone {
            return Err(NotYet::Closed);
        }
        if !another(&queue.selecting_senders) {
            return Ok(None);
        }
        drop(queue);
        Ok(self.offer(how, |queue| &mut queue.receivers))
    }

    /// Gives a message to the receiver of a claim. Returns it if the receiver is a selection too,
    /// and has given its claim back.
    ///
    /// # Safety
    ///
    /// The number is of [`select_send`](Meet::select_send) on this channel, and was used for
    /// nothing yet.
    pub(crate) unsafe fn complete_send(&self, place: u64, message: T) -> Result<(), T> {
        // SAFETY: as the caller promises.
        let node = unsafe { node::<T>(place) };
        // SAFETY: a claimed node is this thread's until it is completed.
        unsafe { node.deliver(message) }
    }

    /// Takes the message of the sender of a claim. If that is a selection too, waits until it has
    /// decided, and returns `None` if it gave its claim back.
    ///
    /// # Safety
    ///
    /// As [`complete_send`](Meet::complete_send), of [`select_receive`](Meet::select_receive).
    pub(crate) unsafe fn complete_receive(&self, place: u64, whose: u64) -> Option<T> {
        // SAFETY: as the caller promises.
        let node = unsafe { node::<T>(place) };
        if whose == OWN { Self::accept_open(&node) } else { Self::accept(&node) }
    }

    /// Gives a claim to send back: its receiver waits on.
    ///
    /// # Safety
    ///
    /// As [`complete_send`](Meet::complete_send).
    pub(crate) unsafe fn undo_send(&self, place: u64, how: &impl Waiting) {
        // SAFETY: as the caller promises.
        let node = unsafe { node::<T>(place) };
        if node.open {
            node.decide(GONE);
            return;
        }
        let mut queue = lock(&self.0);
        if let Some(sender) = pop_plain(&mut queue.senders) {
            drop(queue);
            // SAFETY: the sender's node was just taken out of the queue.
            let message = unsafe { sender.take() }.expect("a plain node has a message");
            sender.complete(DONE);
            // SAFETY: the claim is this thread's.
            if let Err(message) = unsafe { node.deliver(message) } {
                self.pass_on(message, how);
            }
        } else if queue.senders_gone {
            drop(queue);
            node.complete(GONE);
        } else {
            queue.receivers.push_front(node.clone());
            drop(queue);
            // Its time may be over.
            node.owner.wake();
        }
    }

    /// Gives a claim to receive back: its sender waits on.
    ///
    /// # Safety
    ///
    /// As [`complete_receive`](Meet::complete_receive).
    pub(crate) unsafe fn undo_receive(&self, place: u64, whose: u64, how: &impl Waiting) {
        // SAFETY: as the caller promises.
        let node = unsafe { node::<T>(place) };
        let node = if whose == OWN || node.open {
            if node.decide(GONE) {
                return; // The sender gets its message back.
            }
            // SAFETY: the sender is done with the node.
            match unsafe { node.take() } {
                // It is sent, and its sender is gone: the message waits alone.
                Some(message) => Node::new(Some(message), false),
                None => return,
            }
        } else {
            node
        };
        let mut queue = lock(&self.0);
        if let Some(receiver) = pop_plain(&mut queue.receivers) {
            drop(queue);
            // SAFETY: the claim is this thread's.
            let message = unsafe { node.take() }.expect("a plain node has a message");
            node.complete(DONE);
            // SAFETY: the receiver's node was just taken out of the queue, and is plain.
            if let Err(message) = unsafe { receiver.deliver(message) } {
                self.pass_on(message, how);
            }
        } else if queue.receivers_gone {
            drop(queue);
            node.complete(GONE);
        } else {
            queue.senders.push_front(node.clone());
            drop(queue);
            node.owner.wake();
        }
    }

    /// Gives a message whose sender has gone on to another receiver, or keeps it for the next one.
    fn pass_on(&self, mut message: T, how: &impl Waiting) {
        let mut queue = lock(&self.0);
        while let Some(receiver) = pop_plain(&mut queue.receivers) {
            drop(queue);
            // SAFETY: the node was just taken out of the queue.
            match unsafe { receiver.deliver(message) } {
                Ok(()) => return,
                Err(back) => message = back,
            }
            queue = lock(&self.0);
        }
        if queue.receivers_gone {
            drop(queue);
            drop(message);
            return;
        }
        // The message waits alone.
        queue.senders.push_front(Node::new(Some(message), false));
        let selected = !queue.selecting_receivers.is_empty();
        drop(queue);
        if selected {
            how.wake_own_selection();
        }
    }

    /// Lists this thread as one that selects, and returns whether the other side has one, too.
    pub(crate) fn enter(&self, sends: bool) -> bool {
        let mut queue = lock(&self.0);
        let queue = &mut *queue;
        let (mine, others) = if sends {
            (&mut queue.selecting_senders, &queue.selecting_receivers)
        } else {
            (&mut queue.selecting_receivers, &queue.selecting_senders)
        };
        mine.push(thread::current().id());
        another(others)
    }

    /// Undoes [`enter`](Meet::enter).
    pub(crate) fn leave(&self, sends: bool) {
        let mut queue = lock(&self.0);
        let mine =
            if sends { &mut queue.selecting_senders } else { &mut queue.selecting_receivers };
        let me = thread::current().id();
        if let Some(index) = mine.iter().position(|&thread| thread == me) {
            mine.swap_remove(index);
        }
    }

    /// Returns whether a sender may find a receiver now, or none is left.
    pub(crate) fn is_writable(&self) -> bool {
        let queue = lock(&self.0);
        queue.receivers_gone || !queue.receivers.is_empty() || another(&queue.selecting_receivers)
    }

    /// Returns whether a receiver may find a sender now, or none is left.
    pub(crate) fn is_readable(&self) -> bool {
        let queue = lock(&self.0);
        queue.senders_gone || !queue.senders.is_empty() || another(&queue.selecting_senders)
    }

    /// Ends the calls that wait for a sender: none is left.
    pub(crate) fn senders_gone(&self) {
        let mut queue = lock(&self.0);
        queue.senders_gone = true;
        let waiting = std::mem::take(&mut queue.receivers);
        drop(queue);
        waiting.iter().for_each(|node| node.complete(GONE));
    }

    /// Ends the calls that wait for a receiver: none is left.
    pub(crate) fn receivers_gone(&self) {
        let mut queue = lock(&self.0);
        queue.receivers_gone = true;
        let waiting = std::mem::take(&mut queue.senders);
        drop(queue);
        waiting.iter().for_each(|node| node.complete(GONE));
    }
}

/// In a claim: the node is a partner's.
const OTHERS: u64 = 0;
/// In a claim: the node is this selection's own, and was matched.
const OWN: u64 = 1;

/// Takes out the first node of a call that is no selection.
fn pop_plain<T>(queue: &mut VecDeque<Arc<Node<T>>>) -> Option<Arc<Node<T>>> {
    queue.iter().position(|node| !node.open).and_then(|index| queue.remove(index))
}

/// Returns the number of a claim, which owns a share of the node.
fn number<T>(node: Arc<Node<T>>) -> u64 {
    Arc::into_raw(node).expose_provenance() as u64
}

/// Returns the node of a claim.
///
/// # Safety
///
/// The number is of [`number`] with the same type, and used once.
unsafe fn node<T>(number: u64) -> Arc<Node<T>> {
    let node = std::ptr::with_exposed_provenance::<Node<T>>(number as usize);
    // SAFETY: as the caller promises.
    unsafe { Arc::from_raw(node) }
}

#[cfg(not(loom))]
fn park_timeout(left: Duration) {
    thread::park_timeout(left);
}

/// loom has no time: the other threads run.
#[cfg(loom)]
fn park_timeout(_left: Duration) {
    thread::yield_now();
}
