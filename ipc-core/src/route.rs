//! The traits of a route, over which [`Sender`](crate::Sender) and [`Receiver`](crate::Receiver)
//! work.
//!
//! A route is a pair of endpoint types. Their methods take a [`Deadline`] and return crossbeam's
//! errors. `Sender` and `Receiver` add the names, the iterators and the conversions, once for all
//! routes.
//!
//! These traits appear in the bounds of `Sender` and `Receiver`. The routes of this workspace
//! implement them. Do not implement them elsewhere: any release may add required methods.

use crate::deadline::Deadline;
use crate::error::{DisconnectCause, RecvTimeoutError, SendManyError, SendTimeoutError};
use crate::send_failure::SendFailure;

/// A way in which messages of type `T` travel from one end of a channel to the other.
pub trait Route<T> {
    /// The sending end.
    type Tx: Transmit<T>;
    /// The receiving end.
    type Rx: Receive<T>;
}

/// The methods that both ends of a channel have.
pub trait End: Clone {
    /// Returns the number of messages in the channel now.
    fn len(&self) -> usize;

    /// Returns the number of messages that fit, or `None` if only memory or the kernel bounds it.
    fn capacity(&self) -> Option<usize>;

    /// Returns whether both are ends of the same channel.
    fn same_channel(&self, other: &Self) -> bool;

    /// Returns whether the other side is gone for good. Messages of it may still be there.
    fn is_disconnected(&self) -> bool;

    /// Returns why the other side is gone, or `None` if it is not.
    fn disconnect_cause(&self) -> Option<DisconnectCause>;

    /// Returns the number of sending endpoints in all processes, or `None` if the route does not
    /// know it.
    fn sender_count(&self) -> Option<usize>;

    /// Returns the number of receiving endpoints in all processes, or `None` if the route does not
    /// know it.
    fn receiver_count(&self) -> Option<usize>;

    /// Returns whether the channel is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the channel is full.
    fn is_full(&self) -> bool {
        self.capacity().is_some_and(|capacity| self.len() >= capacity)
    }
}

/// The sending end of a route.
///
/// `Timeout` means that `deadline` has passed: immediately for [`Deadline::Now`], and never for
/// [`Deadline::Never`].
pub trait Transmit<T>: End {
    /// Sends a copy of one message from where it is, if the route does not move messages.
    ///
    /// Blocks until `deadline` at most. Returns `None` if the route moves messages: then call
    /// [`send`](Transmit::send). The message is encoded at most once.
    #[doc(hidden)]
    #[inline(always)]
    fn send_copy(&self, message: &T, deadline: Deadline) -> Option<Result<(), SendFailure>> {
        let _ = (message, deadline);
        None
    }

    /// Sends one message. It is encoded at most once, and the error returns it.
    ///
    /// Blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_timeout`](crate::Sender::send_timeout).
    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>>;

    /// Sends all messages in order, and blocks whenever the channel is full.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_many`](crate::Sender::send_many).
    fn send_many<I: Iterator<Item = T>>(&self, messages: I) -> Result<usize, SendManyError<T>> {
        let mut sent = 0;
        for message in messages {
            if let Err(error) = self.send(message, Deadline::Never) {
                let (failure, message) = SendFailure::of(error);
                return Err(failure.with_many(sent, vec![message]));
            }
            sent += 1;
        }
        Ok(sent)
    }
}

/// The receiving end of a route.
pub trait Receive<T>: End {
    /// Receives one message if that is possible at once, on a path that is short enough to be
    /// inlined.
    ///
    /// Never blocks. After `None`, call [`recv`](Receive::recv): `None` says nothing about the
    /// channel.
    #[inline(always)]
    fn recv_now(&self) -> Option<T> {
        None
    }

    /// Receives one message, and blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_timeout`](crate::Receiver::recv_timeout).
    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError>;

    /// Receives at most `max` messages, appends them to `messages` and returns how many.
    ///
    /// Blocks until `deadline` at most for the first message, and then takes those that are there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receive::recv). An error never costs messages that were already appended: the
    /// next call returns it.
    fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        deadline: Deadline,
    ) -> Result<usize, RecvTimeoutError> {
        self.recv_each(messages, max, deadline)
    }

    /// Does what [`recv_many`](Receive::recv_many) does on a route where messages come one by one.
    #[doc(hidden)]
    fn recv_each(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        deadline: Deadline,
    ) -> Result<usize, RecvTimeoutError> {
        if max == 0 {
            return Ok(0);
        }
        messages.push(self.recv(deadline)?);
        let mut received = 1;
        while received < max {
            match self.recv(Deadline::Now) {
                Ok(message) => messages.push(message),
                Err(_) => break,
            }
            received += 1;
        }
        Ok(received)
    }
}

/// A sending end that can lend the place where a message will lie.
pub trait Loan<T: ?Sized>: Sized {
    /// The argument of [`loan`](Loan::loan): `()` for a `T` of fixed size, or the length of a
    /// slice.
    type Size;
    /// The place for one message, which is written in place and then sent.
    type Loan<'a>
    where
        Self: 'a;

    /// Lends a place for one message, and blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`Transmit::send`], but the error holds no message.
    fn loan(
        &self,
        size: Self::Size,
        deadline: Deadline,
    ) -> Result<Self::Loan<'_>, SendTimeoutError<()>>;
}

/// A receiving end that can lend a message in place.
pub trait Borrow<T: ?Sized>: Sized {
    /// The guard of a lent message.
    type Ref<'a>
    where
        Self: 'a;

    /// Lends the next message, and blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`Receive::recv`].
    fn recv_ref(&self, deadline: Deadline) -> Result<Self::Ref<'_>, RecvTimeoutError>;
}
