//! The sending and the receiving end, for all kinds of channels.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use ipc_core::__private::SendFailure;
use ipc_core::Deadline;
use ipc_core::error::{DisconnectCause, RecvTimeoutError, SendManyError, SendTimeoutError};
use ipc_core::route::{End, Receive, Transmit};

use crate::array::{Array, Claimed, MOST, NotYet};
use crate::handle::Handle;
use crate::list::List;
use crate::meet::Meet;
use crate::shared::{Kind, Shared, Side};
use crate::sync::Arc;

/// The sending end of a channel between threads.
pub struct Tx<T>(pub(crate) Handle<T>);

/// The receiving end of a channel between threads.
pub struct Rx<T>(pub(crate) Handle<T>);

/// Makes a channel with room for `capacity` messages. Without room, `send` blocks until a receiver
/// takes the message.
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Tx<T>, Rx<T>) {
    pair(match capacity {
        0 => Kind::Meet(Meet::new()),
        _ => Kind::Array(Array::new(capacity)),
    })
}

/// Makes a channel that only memory bounds.
#[must_use]
pub fn unbounded<T>() -> (Tx<T>, Rx<T>) {
    pair(Kind::List(List::new()))
}

fn pair<T>(kind: Kind<T>) -> (Tx<T>, Rx<T>) {
    #[allow(clippy::arc_with_non_send_sync, reason = "messages that stay in one thread are fine")]
    let shared = Arc::new(Shared::new(kind));
    let tx = Tx(Handle::counted(shared.clone(), Side::Senders));
    (tx, Rx(Handle::counted(shared, Side::Receivers)))
}

// A panic of a destructor leaves no message half sent or half received.
impl<T> UnwindSafe for Tx<T> {}
impl<T> RefUnwindSafe for Tx<T> {}
impl<T> UnwindSafe for Rx<T> {}
impl<T> RefUnwindSafe for Rx<T> {}

macro_rules! end {
    ($End:ident, $others:expr) => {
        impl<T> Clone for $End<T> {
            fn clone(&self) -> Self {
                $End(self.0.clone())
            }
        }

        impl<T> fmt::Debug for $End<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($End)).finish_non_exhaustive()
            }
        }

        impl<T> End for $End<T> {
            fn len(&self) -> usize {
                match &self.0.shared.kind {
                    Kind::Array(array) => array.len(),
                    Kind::List(list) => list.len(),
                    Kind::Meet(_) => 0,
                }
            }

            fn capacity(&self) -> Option<usize> {
                match &self.0.shared.kind {
                    Kind::Array(array) => Some(array.capacity()),
                    Kind::List(_) => None,
                    Kind::Meet(_) => Some(0),
                }
            }

            fn same_channel(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0.shared, &other.0.shared)
            }

            fn is_disconnected(&self) -> bool {
                self.0.shared.is_gone($others)
            }

            fn disconnect_cause(&self) -> Option<DisconnectCause> {
                self.is_disconnected().then_some(DisconnectCause::Dropped)
            }

            fn sender_count(&self) -> Option<usize> {
                Some(self.0.shared.count(Side::Senders))
            }

            fn receiver_count(&self) -> Option<usize> {
                Some(self.0.shared.count(Side::Receivers))
            }
        }
    };
}

end!(Tx, Side::Receivers);
end!(Rx, Side::Senders);

impl<T> Tx<T> {
    #[inline(always)]
    pub(crate) fn publish(&self, claimed: Claimed<'_, T>, message: T) {
        claimed.publish(message);
        self.0.shared.ring(Side::Receivers, 1);
    }

    /// Returns the position of a receiver that is in the middle of taking the message out of the
    /// slot that is sent to next.
    #[cfg_attr(loom, allow(dead_code))]
    pub(crate) fn in_the_way(&self) -> Option<u64> {
        match &self.0.shared.kind {
            Kind::Array(array) => array.receiver_in_the_way(),
            Kind::List(_) | Kind::Meet(_) => None,
        }
    }

    /// Waits for room until `deadline`.
    #[cold]
    fn send_slow(
        &self,
        array: &Array<T>,
        message: T,
        deadline: Deadline,
    ) -> Result<(), SendTimeoutError<T>> {
        match self.room(array, deadline, || array.claim_send()) {
            Ok(claimed) => {
                self.publish(claimed, message);
                Ok(())
            }
            Err(failure) => Err(failure.with(message)),
        }
    }

    /// Waits until `claim` finds room.
    fn room<C>(
        &self,
        array: &Array<T>,
        deadline: Deadline,
        claim: impl Fn() -> Result<C, NotYet>,
    ) -> Result<C, SendFailure> {
        let attempt = || match claim() {
            Err(NotYet::Busy) => None,
            done => Some(done.map_err(|_| SendFailure::Disconnected)),
        };
        let claimed = self.0.wait(deadline, || array.receiver_in_the_way(), attempt);
        claimed.unwrap_or(Err(SendFailure::Timeout))
    }
}

impl<T> Transmit<T> for Tx<T> {
    #[inline]
    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        match &self.0.shared.kind {
            Kind::Array(array) => match array.claim_send() {
                Ok(claimed) => {
                    self.publish(claimed, message);
                    Ok(())
                }
                Err(NotYet::Closed) => Err(SendTimeoutError::Disconnected(message)),
                Err(NotYet::Busy) => self.send_slow(array, message, deadline),
            },
            Kind::List(list) => {
                list.send(message).map_err(SendTimeoutError::Disconnected)?;
                self.0.shared.ring(Side::Receivers, 1);
                Ok(())
            }
            Kind::Meet(meet) => meet.send(message, deadline, &self.0),
        }
    }

    fn send_many<I: Iterator<Item = T>>(&self, messages: I) -> Result<usize, SendManyError<T>> {
        let mut messages = messages;
        let mut sent = 0;
        let Kind::Array(array) = &self.0.shared.kind else {
            for message in messages {
                if let Err(error) = self.send(message, Deadline::Never) {
                    let (failure, message) = SendFailure::of(error);
                    return Err(failure.with_many(sent, vec![message]));
                }
                sent += 1;
            }
            return Ok(sent);
        };
        // Taken from the iterator first, because a claim must not wait for it.
        let mut batch = Vec::new();
        loop {
            batch.extend(messages.by_ref().take(MOST - 1));
            if batch.is_empty() {
                return Ok(sent);
            }
            let mut batch = batch.drain(..);
            while batch.len() > 0 {
                let most = batch.len();
                let claimed = match array.claim_sends(most) {
                    Ok(claimed) => Ok(claimed),
                    Err(NotYet::Closed) => Err(SendFailure::Disconnected),
                    Err(NotYet::Busy) => {
                        self.room(array, Deadline::Never, || array.claim_sends(most))
                    }
                };
                match claimed {
                    Ok(claimed) => {
                        let count = claimed.count;
                        claimed.publish(batch.by_ref());
                        sent += count;
                        self.0.shared.ring(Side::Receivers, count as u64);
                    }
                    Err(failure) => return Err(failure.with_many(sent, batch.collect())),
                }
            }
        }
    }
}

impl<T> Rx<T> {
    /// Wakes a sender, because a slot has become free.
    pub(crate) fn room(&self) {
        self.0.shared.ring(Side::Senders, 1);
    }

    /// Receives a message, or finds that there is none and no sender.
    pub(crate) fn attempt(&self) -> Option<Result<T, RecvTimeoutError>> {
        if let Some(message) = self.recv_now() {
            return Some(Ok(message));
        }
        // What the senders have sent before the last one left is looked for once more.
        self.0
            .shared
            .is_gone(Side::Senders)
            .then(|| self.recv_now().ok_or(RecvTimeoutError::Disconnected))
    }

    /// Returns the position of a sender that is in the middle of sending the next message.
    pub(crate) fn in_the_way(&self) -> Option<u64> {
        match &self.0.shared.kind {
            Kind::Array(array) => array.sender_in_the_way(),
            Kind::List(_) | Kind::Meet(_) => None,
        }
    }
}

impl<T> Receive<T> for Rx<T> {
    #[inline(always)]
    fn recv_now(&self) -> Option<T> {
        match &self.0.shared.kind {
            Kind::Array(array) => {
                let message = array.receive(|| self.room())?;
                self.room();
                Some(message)
            }
            Kind::List(list) => list.receive(),
            Kind::Meet(_) => None,
        }
    }

    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        if let Kind::Meet(meet) = &self.0.shared.kind {
            return meet.receive(deadline, &self.0);
        }
        match self.attempt() {
            Some(done) => done,
            None => self
                .0
                .wait(deadline, || self.in_the_way(), || self.attempt())
                .unwrap_or(Err(RecvTimeoutError::Timeout)),
        }
    }

    fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        deadline: Deadline,
    ) -> Result<usize, RecvTimeoutError> {
        let Kind::Array(array) = &self.0.shared.kind else {
            return self.recv_each(messages, max, deadline);
        };
        let mut received = 0;
        while received < max {
            let most = MOST.min(max - received);
            let mut count = array.receive_many(most, messages, || self.room());
            if count > 0 {
                self.0.shared.ring(Side::Senders, count as u64);
            } else {
                let deadline = if received == 0 { deadline } else { Deadline::Now };
                match self.recv(deadline) {
                    Ok(message) => messages.push(message),
                    Err(error) if received == 0 => return Err(error),
                    Err(_) => break,
                }
                count = 1;
            }
            received += count;
        }
        Ok(received)
    }
}
