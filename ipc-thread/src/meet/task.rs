//! Tasks that meet: calls that wait as futures, and block no thread.
//!
//! A task leaves a node as a thread does, and its waker in it. Two things differ, because a future
//! may be dropped at any time. A receiving task may withdraw its node after a sender has taken it
//! out of the queue: then the sender keeps its message, and goes to the next receiver. And a
//! message that was put into the node of a task that does not wait any more goes to another one.

use std::task::{Poll, Waker};

use ipc_core::error::{RecvTimeoutError, SendTimeoutError};

use super::{DONE, GONE, Meet, Node, Owner, WAITING, Waiting, remove};
use crate::sync::Ordering::{AcqRel, Acquire};
use crate::sync::{Arc, Mutex, lock};

impl<T> Node<T> {
    fn of_task(message: Option<T>, waker: &Waker) -> Arc<Node<T>> {
        Node::of(Owner::Task(Mutex::new(waker.clone())), message, false)
    }

    /// Withdraws the node of a receiving task. Returns false if it was completed.
    fn withdraw(&self) -> bool {
        // Acquire: MEET-E1.
        self.state.compare_exchange(WAITING, GONE, AcqRel, Acquire).is_ok()
    }

    /// Returns the final state, or stores the waker.
    fn poll(&self, waker: &Waker) -> Poll<u64> {
        if let (true, Owner::Task(known)) = (self.state() < DONE, &self.owner) {
            lock(known).clone_from(waker);
        }
        // Again: it may have been completed before the waker was there.
        match self.state() {
            state if state >= DONE => Poll::Ready(state),
            _ => Poll::Pending,
        }
    }
}

impl<T> Meet<T> {
    /// Sends the message to a receiver that waits, or waits for one as a task. `node` is `None`
    /// at first.
    pub(crate) fn poll_send(
        &self,
        node: &mut Option<Arc<Node<T>>>,
        message: &mut Option<T>,
        waker: &Waker,
        how: &impl Waiting,
    ) -> Poll<Result<(), SendTimeoutError<T>>> {
        if let Some(waiting) = node {
            let Poll::Ready(state) = waiting.poll(waker) else { return Poll::Pending };
            let ended = node.take().filter(|_| state == GONE);
            // SAFETY: no receiver has the node, and none is left.
            let back = ended.and_then(|node| unsafe { node.take() });
            return Poll::Ready(match back {
                Some(message) => Err(SendTimeoutError::Disconnected(message)),
                None => Ok(()),
            });
        }
        let Some(mut sent) = message.take() else { return Poll::Ready(Ok(())) };
        let mut queue = lock(&self.0);
        if queue.receivers_gone {
            return Poll::Ready(Err(SendTimeoutError::Disconnected(sent)));
        }
        while let Some(receiver) = queue.receivers.pop_front() {
            receiver.matches();
            drop(queue);
            // SAFETY: the node was just taken out of the queue.
            match unsafe { receiver.deliver(sent) } {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(back) => sent = back,
            }
            queue = lock(&self.0);
        }
        let waiting = Node::of_task(Some(sent), waker);
        queue.senders.push_back(waiting.clone());
        let selected = !queue.selecting_receivers.is_empty();
        drop(queue);
        *node = Some(waiting);
        if selected {
            how.wake_selection();
        }
        Poll::Pending
    }

    /// Ends the wait of a sending task. Returns the message if no receiver has it.
    pub(crate) fn cancel_send(&self, node: Arc<Node<T>>) -> Option<T> {
        let removed = remove(&mut lock(&self.0).senders, &node);
        // SAFETY: the node was just taken out of the queue, or no receiver is left.
        if removed || node.state() == GONE { unsafe { node.take() } } else { None }
    }

    /// Receives the message of a sender that waits, or waits for one as a task. `node` is `None` at
    /// first.
    pub(crate) fn poll_receive(
        &self,
        node: &mut Option<Arc<Node<T>>>,
        waker: &Waker,
        how: &impl Waiting,
    ) -> Poll<Result<T, RecvTimeoutError>> {
        if let Some(waiting) = node {
            let Poll::Ready(state) = waiting.poll(waker) else { return Poll::Pending };
            let done = node.take().filter(|_| state == DONE);
            // SAFETY: the sender is done with the node.
            let message = done.and_then(|node| unsafe { node.take() });
            return Poll::Ready(message.ok_or(RecvTimeoutError::Disconnected));
        }
        let mut queue = lock(&self.0);
        while let Some(sender) = queue.senders.pop_front() {
            sender.matches();
            drop(queue);
            if let Some(message) = Self::accept(&sender) {
                return Poll::Ready(Ok(message));
            }
            queue = lock(&self.0);
        }
        if queue.senders_gone {
            return Poll::Ready(Err(RecvTimeoutError::Disconnected));
        }
        let waiting = Node::of_task(None, waker);
        queue.receivers.push_back(waiting.clone());
        let selected = !queue.selecting_senders.is_empty();
        drop(queue);
        *node = Some(waiting);
        if selected {
            how.wake_selection();
        }
        Poll::Pending
    }

    /// Ends the wait of a receiving task. What it was given goes to another receiver.
    pub(crate) fn cancel_receive(&self, node: &Arc<Node<T>>, how: &impl Waiting) {
        let removed = remove(&mut lock(&self.0).receivers, node);
        if removed || node.withdraw() || node.state() == GONE {
            return;
        }
        // SAFETY: the sender is done with the node.
        if let Some(message) = unsafe { node.take() } {
            self.pass_on(message, how);
        }
    }
}
