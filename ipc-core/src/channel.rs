//! The two ends of a channel. The API is written once, for every route.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::deadline::Deadline;
use crate::error::{
    DisconnectCause, RecvError, RecvTimeoutError, SendError, SendManyError, SendTimeoutError,
    TryRecvError, TrySendError,
};
use crate::ready::{Claim, ClaimBorrow, ClaimRecv, ClaimSend};
use crate::route::{Borrow, End, Loan, Receive, Route, Transmit};

/// The sending end of a channel.
///
/// A clone is a further end of the same channel: for another thread or, in the arguments of
/// `spawn`, for another process. Dropping the last sender disconnects the channel, **and so does
/// the death of the process that holds it**. The receivers then receive what is still in the
/// channel, and after that [`Disconnected`](RecvError::Disconnected).
pub struct Sender<T, R: Route<T>> {
    tx: R::Tx,
}

/// The receiving end of a channel.
///
/// Clones share the messages: each message goes to one of them. Dropping the last receiver
/// disconnects the channel, **and so does the death of the process that holds it**. Messages that
/// are still in the channel are then discarded, and sending returns
/// [`Disconnected`](SendError::Disconnected).
pub struct Receiver<T, R: Route<T>> {
    rx: R::Rx,
}

impl<T, R: Route<T>> Sender<T, R> {
    /// Wraps the sending end of a route.
    #[doc(hidden)]
    #[must_use]
    pub fn new(tx: R::Tx) -> Self {
        Sender { tx }
    }

    /// Returns the route's own end.
    #[doc(hidden)]
    #[must_use]
    pub fn route(&self) -> &R::Tx {
        &self.tx
    }

    /// Unwraps the route's own end.
    #[doc(hidden)]
    #[must_use]
    pub fn into_route(self) -> R::Tx {
        self.tx
    }

    /// Sends a message.
    ///
    /// Blocks while the channel is full. Blocking ends within 50 ms when the process of the last
    /// receiver dies. `Ok` means that the message is published: it stays in the channel even if
    /// this process dies.
    ///
    /// # Errors
    ///
    /// Each error returns the message.
    ///
    /// - [`Disconnected`](SendError::Disconnected) if no receiver is left.
    /// - [`Unsendable`](SendError::Unsendable) if this message can never be sent on this channel.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        match self.tx.send_copy(&message, Deadline::Never) {
            Some(Ok(())) => Ok(()),
            Some(Err(failure)) => Err(waited(failure.with(message))),
            None => self.tx.send(message, Deadline::Never).map_err(waited),
        }
    }

    /// Sends a message if there is room now.
    ///
    /// Never waits for room. While a receiver is in the middle of taking a message out,
    /// the call retries for a moment, as in crossbeam-channel. Through shared memory, that moment
    /// is bounded:
    ///
    /// | the receiver in the way | delays the call by at most |
    /// |---|---|
    /// | is stopped | about a millisecond |
    /// | waits for a processor | 100 ms |
    /// | was killed | it is recovered first |
    ///
    /// After that the call returns `Full`, although [`len`](Sender::len) may be less than the
    /// capacity.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), and [`Full`](TrySendError::Full) if there is no room.
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.tx.send_copy(&message, Deadline::Now) {
            Some(Ok(())) => Ok(()),
            Some(Err(failure)) => Err(hurried(failure.with(message))),
            None => self.tx.send(message, Deadline::Now).map_err(hurried),
        }
    }

    /// Sends a message, and blocks for at most `timeout` while the channel is full.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), and [`Timeout`](SendTimeoutError::Timeout) if there was no room
    /// in time.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.tx.send(message, Deadline::after(timeout))
    }

    /// Sends a message, and blocks until `deadline` at most while the channel is full.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), and [`Timeout`](SendTimeoutError::Timeout) if there was no room
    /// in time.
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.tx.send(message, Deadline::At(deadline))
    }

    /// Completes a claim of `Select`.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send).
    #[doc(hidden)]
    pub fn send_claimed(&self, claim: Claim, message: T) -> Result<(), SendError<T>>
    where
        R::Tx: ClaimSend<T>,
    {
        self.tx.send_claimed(claim, message).map_err(waited)
    }

    /// Sends all messages in order, and returns how many were sent.
    ///
    /// Blocks whenever the channel is full. On routes through shared memory, all messages for which
    /// there is room share one claim, one fence and one wake-up.
    ///
    /// Up to 63 messages are taken from the iterator before the first of them is sent. So do not
    /// use an iterator that waits for the answer to the message that it has just yielded: it waits
    /// for ever.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send). The error returns the messages that were taken from the iterator
    /// and not sent.
    pub fn send_many(
        &self,
        messages: impl IntoIterator<Item = T>,
    ) -> Result<usize, SendManyError<T>> {
        self.tx.send_many(messages.into_iter())
    }

    /// Lends the place for the next message, of a type of fixed size.
    ///
    /// The message is written in place and then sent, so it is never copied. A loan that is dropped
    /// without being sent sends nothing. Blocks until a place is free.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), but the error holds no message.
    pub fn loan(&self) -> Result<<R::Tx as Loan<T>>::Loan<'_>, SendError<()>>
    where
        R::Tx: Loan<T, Size = ()>,
    {
        loaned(self.tx.loan((), Deadline::Never))
    }

    /// Lends the place for the next message, a slice of `len` elements.
    ///
    /// Otherwise like [`loan`](Sender::loan), and blocks like it.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), but the error holds no message.
    pub fn loan_slice(&self, len: usize) -> Result<<R::Tx as Loan<T>>::Loan<'_>, SendError<()>>
    where
        R::Tx: Loan<T, Size = usize>,
    {
        loaned(self.tx.loan(len, Deadline::Never))
    }

    /// Returns whether the channel is empty, as counted by [`len`](Sender::len).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tx.is_empty()
    }

    /// Returns whether the channel is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.tx.is_full()
    }

    /// Returns the number of messages in the channel.
    ///
    /// A message counts from when its sender claims a place for it until a receiver claims it. So
    /// it already counts shortly before it can be received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tx.len()
    }

    /// Returns the number of messages that fit in the channel; `None` without a fixed bound.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.tx.capacity()
    }

    /// Returns whether both are senders of the same channel, in this process.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.tx.same_channel(&other.tx)
    }

    /// Returns whether no receiver is left and none can be made any more.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.tx.is_disconnected()
    }

    /// Returns why no receiver is left, or `None` if there is one.
    #[must_use]
    pub fn disconnect_cause(&self) -> Option<DisconnectCause> {
        self.tx.disconnect_cause()
    }

    /// Returns the number of senders of this channel in all processes.
    ///
    /// An endpoint of a process that was killed counts until another process notices the death. The
    /// result is `None` if the route does not know the number: for a connection that was split, and
    /// for a channel of `ipc-channel`.
    #[must_use]
    pub fn sender_count(&self) -> Option<usize> {
        self.tx.sender_count()
    }

    /// Returns the number of receivers of this channel in all processes.
    ///
    /// An endpoint of a process that was killed counts until another process notices the death. The
    /// result is `None` if the route does not know the number: for a connection that was split, and
    /// for a channel of `ipc-channel`.
    #[must_use]
    pub fn receiver_count(&self) -> Option<usize> {
        self.tx.receiver_count()
    }
}

#[cold]
fn waited<T>(error: SendTimeoutError<T>) -> SendError<T> {
    match error {
        SendTimeoutError::Disconnected(message) => SendError::Disconnected(message),
        SendTimeoutError::Unsendable(message, cause) => SendError::Unsendable(message, cause),
        SendTimeoutError::Timeout(_) => unreachable!("for ever is over"),
    }
}

#[cold]
fn hurried<T>(error: SendTimeoutError<T>) -> TrySendError<T> {
    match error {
        SendTimeoutError::Disconnected(message) => TrySendError::Disconnected(message),
        SendTimeoutError::Unsendable(message, cause) => TrySendError::Unsendable(message, cause),
        SendTimeoutError::Timeout(message) => TrySendError::Full(message),
    }
}

fn loaned<L>(result: Result<L, SendTimeoutError<()>>) -> Result<L, SendError<()>> {
    result.map_err(waited)
}

impl<T, R: Route<T>> Receiver<T, R> {
    /// Wraps the receiving end of a route.
    #[doc(hidden)]
    #[must_use]
    pub fn new(rx: R::Rx) -> Self {
        Receiver { rx }
    }

    /// Returns the route's own end.
    #[doc(hidden)]
    #[must_use]
    pub fn route(&self) -> &R::Rx {
        &self.rx
    }

    /// Unwraps the route's own end.
    #[doc(hidden)]
    #[must_use]
    pub fn into_route(self) -> R::Rx {
        self.rx
    }

    /// Receives a message.
    ///
    /// Blocks while the channel is empty. Blocking ends within 50 ms when the process of the last
    /// sender dies. If this process is killed inside the call, the message goes to another
    /// receiver.
    ///
    /// # Errors
    ///
    /// - [`Disconnected`](RecvError::Disconnected) if the channel is empty and no sender is left.
    /// - [`Unreadable`](RecvError::Unreadable) if a message arrived that cannot be read.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        match self.rx.recv_now() {
            Some(message) => Ok(message),
            None => self.recv_waiting(),
        }
    }

    /// Receives a message if there is one now.
    ///
    /// Never waits for a message. While a sender is in the middle of sending the next
    /// message, the call retries for a moment, as in crossbeam-channel. Through shared memory, that
    /// moment is bounded:
    ///
    /// | the sender in the way | delays the call by at most |
    /// |---|---|
    /// | is stopped | about a millisecond |
    /// | waits for a processor | 100 ms |
    /// | was killed | it is recovered first |
    ///
    /// After that the call returns `Empty`, although there may be messages behind the unfinished
    /// one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv), and [`Empty`](TryRecvError::Empty) if there is no message.
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.rx.recv_now() {
            Some(message) => Ok(message),
            None => self.recv_hastily(),
        }
    }

    /// Completes a claim of `Select`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv).
    #[doc(hidden)]
    pub fn recv_claimed(&self, claim: Claim) -> Result<T, RecvError>
    where
        R::Rx: ClaimRecv<T>,
    {
        patient(self.rx.recv_claimed(claim))
    }

    /// Completes a claim of `Select`, and lends the message.
    ///
    /// # Errors
    ///
    /// As [`recv_ref`](Receiver::recv_ref).
    #[doc(hidden)]
    pub fn recv_ref_claimed(&self, claim: Claim) -> Result<<R::Rx as Borrow<T>>::Ref<'_>, RecvError>
    where
        R::Rx: ClaimBorrow<T>,
    {
        patient(self.rx.recv_ref_claimed(claim))
    }

    // Not part of the inlined callers, so that there a message goes directly to its destination.
    #[inline(never)]
    fn recv_waiting(&self) -> Result<T, RecvError> {
        patient(self.rx.recv(Deadline::Never))
    }

    #[inline(never)]
    fn recv_hastily(&self) -> Result<T, TryRecvError> {
        hasty(self.rx.recv(Deadline::Now))
    }

    /// Receives a message, and blocks for at most `timeout` while the channel is empty.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv), and [`Timeout`](RecvTimeoutError::Timeout) if no message came
    /// in time.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.rx.recv(Deadline::after(timeout))
    }

    /// Receives a message, and blocks until `deadline` at most while the channel is empty.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv), and [`Timeout`](RecvTimeoutError::Timeout) if no message came
    /// in time.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.rx.recv(Deadline::At(deadline))
    }

    /// Receives at most `max` messages, appends them to `messages` and returns how many.
    ///
    /// Blocks until there is a first message. After that it takes more messages as
    /// [`try_recv`](Receiver::try_recv) does.
    ///
    /// On routes through shared memory, the messages share one claim, one fence and one wake-up. A
    /// message is received when it is taken out of its slot. If this process is killed inside the
    /// call, other receivers get the messages that it had not taken out yet.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv).
    pub fn recv_many(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        patient(self.rx.recv_many(messages, max, Deadline::Never))
    }

    /// Receives the messages that are there now, at most `max`.
    ///
    /// Appends them to `messages` and returns how many. The number is at least one, unless `max` is
    /// 0. Never waits for a message.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Receiver::try_recv).
    pub fn try_recv_many(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        hasty(self.rx.recv_many(messages, max, Deadline::Now))
    }

    /// Lends the next message in place. Dropping the guard acknowledges the message.
    ///
    /// Blocks while the channel is empty. If this process is killed while it holds the guard, the
    /// message is redelivered to another receiver, with a higher delivery count.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv).
    pub fn recv_ref(&self) -> Result<<R::Rx as Borrow<T>>::Ref<'_>, RecvError>
    where
        R::Rx: Borrow<T>,
    {
        patient(self.rx.recv_ref(Deadline::Never))
    }

    /// Lends the next message in place if there is one now; see [`recv_ref`](Receiver::recv_ref).
    ///
    /// Never waits for a message.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Receiver::try_recv).
    pub fn try_recv_ref(&self) -> Result<<R::Rx as Borrow<T>>::Ref<'_>, TryRecvError>
    where
        R::Rx: Borrow<T>,
    {
        hasty(self.rx.recv_ref(Deadline::Now))
    }

    /// Lends the next message in place; see [`recv_ref`](Receiver::recv_ref).
    ///
    /// Blocks for at most `timeout` while the channel is empty.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Receiver::recv_timeout).
    pub fn recv_ref_timeout(
        &self,
        timeout: Duration,
    ) -> Result<<R::Rx as Borrow<T>>::Ref<'_>, RecvTimeoutError>
    where
        R::Rx: Borrow<T>,
    {
        self.rx.recv_ref(Deadline::after(timeout))
    }

    /// Returns whether the channel is empty, as counted by [`len`](Receiver::len).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rx.is_empty()
    }

    /// Returns whether the channel is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rx.is_full()
    }

    /// Returns the number of messages in the channel.
    ///
    /// A message counts from when its sender claims a place for it until a receiver claims it. So
    /// it already counts shortly before it can be received; see [`try_recv`](Receiver::try_recv)
    /// for a sender that is stopped in between.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rx.len()
    }

    /// Returns the number of messages that fit in the channel; `None` without a fixed bound.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.rx.capacity()
    }

    /// Returns whether both are receivers of the same channel, in this process.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.rx.same_channel(&other.rx)
    }

    /// Returns whether no sender is left and none can be made any more. Messages may still be
    /// there.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.rx.is_disconnected()
    }

    /// Returns why no sender is left, or `None` if there is one.
    #[must_use]
    pub fn disconnect_cause(&self) -> Option<DisconnectCause> {
        self.rx.disconnect_cause()
    }

    /// Returns the number of senders of this channel in all processes.
    ///
    /// An endpoint of a process that was killed counts until another process notices the death. The
    /// result is `None` if the route does not know the number: for a connection that was split, and
    /// for a channel of `ipc-channel`.
    #[must_use]
    pub fn sender_count(&self) -> Option<usize> {
        self.rx.sender_count()
    }

    /// Returns the number of receivers of this channel in all processes.
    ///
    /// An endpoint of a process that was killed counts until another process notices the death. The
    /// result is `None` if the route does not know the number: for a connection that was split, and
    /// for a channel of `ipc-channel`.
    #[must_use]
    pub fn receiver_count(&self) -> Option<usize> {
        self.rx.receiver_count()
    }
}

#[inline(always)]
fn patient<T>(result: Result<T, RecvTimeoutError>) -> Result<T, RecvError> {
    match result {
        Ok(received) => Ok(received),
        Err(RecvTimeoutError::Disconnected) => Err(RecvError::Disconnected),
        Err(RecvTimeoutError::Unreadable(cause)) => Err(RecvError::Unreadable(cause)),
        Err(RecvTimeoutError::Timeout) => unreachable!("for ever is over"),
    }
}

#[inline(always)]
fn hasty<T>(result: Result<T, RecvTimeoutError>) -> Result<T, TryRecvError> {
    match result {
        Ok(received) => Ok(received),
        Err(RecvTimeoutError::Disconnected) => Err(TryRecvError::Disconnected),
        Err(RecvTimeoutError::Unreadable(cause)) => Err(TryRecvError::Unreadable(cause)),
        Err(RecvTimeoutError::Timeout) => Err(TryRecvError::Empty),
    }
}

impl<T, R: Route<T>> Clone for Sender<T, R> {
    fn clone(&self) -> Self {
        Sender { tx: self.tx.clone() }
    }
}

impl<T, R: Route<T>> Clone for Receiver<T, R> {
    fn clone(&self) -> Self {
        Receiver { rx: self.rx.clone() }
    }
}

impl<T, R: Route<T>> fmt::Debug for Sender<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}

impl<T, R: Route<T>> fmt::Debug for Receiver<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

/// Sends the endpoint as a handle of the message that it is in. It counts as alive meanwhile.
impl<T, R: Route<T, Tx: Serialize>> Serialize for Sender<T, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.tx.serialize(serializer)
    }
}

/// Sends the endpoint as a handle of the message that it is in. It counts as alive meanwhile.
impl<T, R: Route<T, Rx: Serialize>> Serialize for Receiver<T, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rx.serialize(serializer)
    }
}

impl<'de, T, R: Route<T, Tx: Deserialize<'de>>> Deserialize<'de> for Sender<T, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        R::Tx::deserialize(deserializer).map(Sender::new)
    }
}

impl<'de, T, R: Route<T, Rx: Deserialize<'de>>> Deserialize<'de> for Receiver<T, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        R::Rx::deserialize(deserializer).map(Receiver::new)
    }
}
