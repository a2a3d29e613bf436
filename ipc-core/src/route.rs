//! What a route must provide, so that [`Sender`](crate::Sender) and [`Receiver`](crate::Receiver)
//! work over it.
//!
//! A route is a pair of endpoint types. They are given a [`Deadline`] and answer with crossbeam's
//! errors; the names, the iterators and the conversions are written once, above.
//!
//! These traits appear in the bounds of `Sender` and `Receiver`. The routes of this workspace
//! implement them. Do not implement them elsewhere: any release may add required methods.

use crate::deadline::Deadline;
use crate::error::{DisconnectCause, RecvTimeoutError, SendManyError, SendTimeoutError};
use crate::send_failure::SendFailure;

/// A way for messages of type `T` to get from one end of a channel to the other.
pub trait Route<T> {
    /// The sending end.
    type Tx: Transmit<T>;
    /// The receiving end.
    type Rx: Receive<T>;
}

/// What both ends know of their channel.
pub trait End: Clone {
    /// Messages in the channel now.
    fn len(&self) -> usize;

    /// Messages that fit; `None` if only memory, or the kernel, bounds it.
    fn capacity(&self) -> Option<usize>;

    /// Whether both are ends of one channel.
    fn same_channel(&self, other: &Self) -> bool;

    /// Whether the other side is gone for good. Messages may still be there to be received.
    fn is_disconnected(&self) -> bool;

    /// Why the other side is gone, if it is.
    fn disconnect_cause(&self) -> Option<DisconnectCause>;

    /// Returns the number of sending endpoints in all processes, or `None` if the route does not
    /// know it.
    fn sender_count(&self) -> Option<usize>;

    /// Returns the number of receiving endpoints in all processes, or `None` if the route does not
    /// know it.
    fn receiver_count(&self) -> Option<usize>;

    /// Whether there is no message in the channel.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room in the channel.
    fn is_full(&self) -> bool {
        self.capacity().is_some_and(|capacity| self.len() >= capacity)
    }
}

/// The sending end of a route.
///
/// `Timeout` means that `deadline` has passed: at once for [`Deadline::Now`], and never for
/// [`Deadline::Never`].
pub trait Transmit<T>: End {
    /// Sends a copy of one message, from where it lies, if the route does not move messages; `None`
    /// if it does, and [`send`](Transmit::send) must be asked. It is encoded at most once.
    #[doc(hidden)]
    #[inline(always)]
    fn send_copy(&self, message: &T, deadline: Deadline) -> Option<Result<(), SendFailure>> {
        let _ = (message, deadline);
        None
    }

    /// Sends one message. It is encoded at most once, and comes back in the error.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_timeout`](crate::Sender::send_timeout).
    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>>;

    /// Sends all messages in order, waiting for room as often as it takes.
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
    /// Receives one message if that can be done at once, on a path short enough to be inlined;
    /// `None` says nothing but that [`recv`](Receive::recv) must be asked.
    #[inline(always)]
    fn recv_now(&self) -> Option<T> {
        None
    }

    /// Receives one message.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_timeout`](crate::Receiver::recv_timeout).
    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError>;

    /// Waits for one message, and appends it and those right behind it, at most `max`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receive::recv). Messages already appended are never given up for an error: it
    /// comes with the next call.
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
    /// What [`loan`](Loan::loan) asks for: nothing for a `T` of fixed size, the length of a slice.
    type Size;
    /// A place for one message, written in place and then sent.
    type Loan<'a>
    where
        Self: 'a;

    /// Lends a place for one message.
    ///
    /// # Errors
    ///
    /// As [`Transmit::send`], without a message.
    fn loan(
        &self,
        size: Self::Size,
        deadline: Deadline,
    ) -> Result<Self::Loan<'_>, SendTimeoutError<()>>;
}

/// A receiving end that can lend a message where it lies.
pub trait Borrow<T: ?Sized>: Sized {
    /// A message, until it is dropped.
    type Ref<'a>
    where
        Self: 'a;

    /// Lends the next message.
    ///
    /// # Errors
    ///
    /// As [`Receive::recv`].
    fn recv_ref(&self, deadline: Deadline) -> Result<Self::Ref<'_>, RecvTimeoutError>;
}
