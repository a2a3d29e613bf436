//! The two ends of a channel: the API, written once for every route.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::deadline::Deadline;
use crate::error::{
    DisconnectCause, RecvError, RecvTimeoutError, SendError, SendManyError, SendTimeoutError,
    TryRecvError, TrySendError,
};
use crate::iter::{Drain, IntoIter, Iter, TryIter};
use crate::route::{Borrow, End, Loan, Receive, Route, Transmit};

/// The sending end of a channel.
///
/// Clones are further ends of the same channel, for other threads or, in the arguments of `spawn`,
/// for other processes. When the last one is dropped, **or the process that holds it dies**,
/// receivers drain the channel and are then told [`Disconnected`](RecvError::Disconnected).
pub struct Sender<T, R: Route<T>> {
    tx: R::Tx,
}

/// The receiving end of a channel.
///
/// Clones share the messages: each message goes to one of them. When the last one is dropped, **or
/// the process that holds it dies**, senders are told [`Disconnected`](SendError::Disconnected),
/// and what was queued is discarded.
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

    /// The route's own end.
    #[doc(hidden)]
    #[must_use]
    pub fn route(&self) -> &R::Tx {
        &self.tx
    }

    /// The route's own end.
    #[doc(hidden)]
    #[must_use]
    pub fn into_route(self) -> R::Tx {
        self.tx
    }

    /// Sends a message, waiting for room as long as it takes.
    ///
    /// `Ok` means that the message is published: it outlives this process. The wait ends within 50
    /// ms when the last receiver's process dies.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](SendError::Disconnected) if no receiver is left,
    /// [`Unsendable`](SendError::Unsendable) if this message can never be sent; the message is
    /// inside.
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
    /// Never waits for room. `Full` means that the channel is full: if a receiver is in the middle
    /// of taking a message out, the call looks again for a moment, as crossbeam-channel does.
    /// Through shared memory that moment is bounded: a receiver that is stopped just then delays
    /// the call for about a millisecond, and one that waits for a processor for at most 100 ms.
    /// Then the answer is `Full`, although `len` may be less than the capacity. A receiver that was
    /// killed just then is recovered first.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), and [`Full`](TrySendError::Full).
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.tx.send_copy(&message, Deadline::Now) {
            Some(Ok(())) => Ok(()),
            Some(Err(failure)) => Err(hurried(failure.with(message))),
            None => self.tx.send(message, Deadline::Now).map_err(hurried),
        }
    }

    /// Sends a message, waiting at most `timeout` for room.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), and [`Timeout`](SendTimeoutError::Timeout).
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.tx.send(message, Deadline::after(timeout))
    }

    /// Sends a message, waiting for room until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), and [`Timeout`](SendTimeoutError::Timeout).
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.tx.send(message, Deadline::At(deadline))
    }

    /// Sends all messages in order, waiting for room as often as it takes; returns how many.
    ///
    /// On routes through shared memory, as many as there is room for share one claim, one fence and
    /// one wake-up. Up to 63 messages are taken from the iterator before the first of them is sent,
    /// so an iterator that waits for an answer to a message it has just given waits for ever.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), with what was taken from the iterator and not sent.
    pub fn send_many(
        &self,
        messages: impl IntoIterator<Item = T>,
    ) -> Result<usize, SendManyError<T>> {
        self.tx.send_many(messages.into_iter())
    }

    /// Lends the place where the next message of fixed size will lie: written there, then sent, it
    /// is never copied.
    ///
    /// Waits for a free place as long as it takes. A loan that is dropped unsent sends nothing.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), without a message.
    pub fn loan(&self) -> Result<<R::Tx as Loan<T>>::Loan<'_>, SendError<()>>
    where
        R::Tx: Loan<T, Size = ()>,
    {
        loaned(self.tx.loan((), Deadline::Never))
    }

    /// Lends the place where the next message, a slice of `len` elements, will lie.
    ///
    /// As [`loan`](Sender::loan).
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send), without a message.
    pub fn loan_slice(&self, len: usize) -> Result<<R::Tx as Loan<T>>::Loan<'_>, SendError<()>>
    where
        R::Tx: Loan<T, Size = usize>,
    {
        loaned(self.tx.loan(len, Deadline::Never))
    }

    /// Whether there is no message in the channel, as [`len`](Sender::len) counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tx.is_empty()
    }

    /// Whether there is no room in the channel.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.tx.is_full()
    }

    /// Messages in the channel.
    ///
    /// A message counts from the moment its sender claims a place for it, which is before it can be
    /// received, to the moment a receiver claims it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tx.len()
    }

    /// Messages that fit in the channel; `None` if it has no bound of its own.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.tx.capacity()
    }

    /// Whether both are senders of one channel, in this process.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.tx.same_channel(&other.tx)
    }

    /// Whether no receiver is left, nor can come.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.tx.is_disconnected()
    }

    /// Why no receiver is left, if none is.
    #[must_use]
    pub fn disconnect_cause(&self) -> Option<DisconnectCause> {
        self.tx.disconnect_cause()
    }

    /// Returns the number of senders of this channel in all processes.
    ///
    /// An endpoint of a process that was killed counts until its death is noticed. `None` if the
    /// route does not know the number: a connection that was split, or a channel of `ipc-channel`.
    #[must_use]
    pub fn sender_count(&self) -> Option<usize> {
        self.tx.sender_count()
    }

    /// Returns the number of receivers of this channel in all processes.
    ///
    /// An endpoint of a process that was killed counts until its death is noticed. `None` if the
    /// route does not know the number: a connection that was split, or a channel of `ipc-channel`.
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

    /// The route's own end.
    #[doc(hidden)]
    #[must_use]
    pub fn route(&self) -> &R::Rx {
        &self.rx
    }

    /// The route's own end.
    #[doc(hidden)]
    #[must_use]
    pub fn into_route(self) -> R::Rx {
        self.rx
    }

    /// Receives a message, waiting for one as long as it takes.
    ///
    /// A receiver that is killed inside has not received: the message goes to another one. The wait
    /// ends within 50 ms when the last sender's process dies.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](RecvError::Disconnected) if the channel is empty and no sender is left,
    /// [`Unreadable`](RecvError::Unreadable) if what arrived cannot be read.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        match self.rx.recv_now() {
            Some(message) => Ok(message),
            None => self.recv_waiting(),
        }
    }

    /// Receives a message if there is one now.
    ///
    /// Never waits for a message. `Empty` means that the channel is empty: if a sender is in the
    /// middle of sending the next message, the call looks again for a moment, as crossbeam-channel
    /// does. Through shared memory that moment is bounded: a sender that is stopped just then
    /// delays the call for about a millisecond, and one that waits for a processor for at most 100
    /// ms. Then the answer is `Empty`, although there may be messages behind the unfinished one. A
    /// sender that was killed just then is recovered first.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv), and [`Empty`](TryRecvError::Empty).
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.rx.recv_now() {
            Some(message) => Ok(message),
            None => self.recv_hastily(),
        }
    }

    // Apart from their inlined callers, so that there a message goes straight to where it is
    // wanted.
    #[inline(never)]
    fn recv_waiting(&self) -> Result<T, RecvError> {
        patient(self.rx.recv(Deadline::Never))
    }

    #[inline(never)]
    fn recv_hastily(&self) -> Result<T, TryRecvError> {
        hasty(self.rx.recv(Deadline::Now))
    }

    /// Receives a message, waiting at most `timeout` for one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv), and [`Timeout`](RecvTimeoutError::Timeout).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.rx.recv(Deadline::after(timeout))
    }

    /// Receives a message, waiting for one until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv), and [`Timeout`](RecvTimeoutError::Timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.rx.recv(Deadline::At(deadline))
    }

    /// Waits for a message, appends it and those right behind it to `messages`, at most `max`, and
    /// returns how many.
    ///
    /// Once it has a message, it takes more as [`try_recv`](Receiver::try_recv) does.
    ///
    /// On routes through shared memory they share one claim, one fence and one wake-up. Each is
    /// received when it is taken out of its slot: of a receiver that is killed inside, others get
    /// those it had not taken yet.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv).
    pub fn recv_many(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, RecvError> {
        patient(self.rx.recv_many(messages, max, Deadline::Never))
    }

    /// Appends what is there now to `messages`, at most `max`, and returns how many: at least one.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Receiver::try_recv).
    pub fn try_recv_many(&self, messages: &mut Vec<T>, max: usize) -> Result<usize, TryRecvError> {
        hasty(self.rx.recv_many(messages, max, Deadline::Now))
    }

    /// Lends the next message where it lies; the guard's drop acknowledges it.
    ///
    /// Waits for a message as long as it takes. If this process is killed while it holds the guard,
    /// the message is delivered again, to another receiver, with a higher delivery count.
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

    /// As [`recv_ref`](Receiver::recv_ref), if there is a message now.
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

    /// As [`recv_ref`](Receiver::recv_ref), waiting at most `timeout`.
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

    /// Receives until the channel is disconnected and empty; waits for each message.
    ///
    /// # Panics
    ///
    /// If a message cannot be read: a loop that ended then would look as if all had been received.
    /// [`recv`](Receiver::recv) returns that as an error ([`Unreadable`](crate::Unreadable)), and
    /// so is what to use where peers are not trusted.
    pub fn iter(&self) -> Iter<'_, T, R> {
        Iter::new(self)
    }

    /// Receives what is there; never waits for a message.
    ///
    /// Each message is received as by [`try_recv`](Receiver::try_recv): behind one whose sender is
    /// stopped in the middle of sending it, the iterator ends.
    ///
    /// # Panics
    ///
    /// If a message cannot be read, as [`iter`](Receiver::iter) does.
    pub fn try_iter(&self) -> TryIter<'_, T, R> {
        TryIter { receiver: self }
    }

    /// Takes what is in the channel now, in batches; never waits for a message.
    ///
    /// Takes as many messages as [`len`](Receiver::len) counts, fewer if other receivers take some,
    /// or if a sender is stopped in the middle of sending one ([`try_recv`](Receiver::try_recv)).
    /// Messages that are in a batch when the iterator is dropped are dropped with it.
    ///
    /// # Panics
    ///
    /// If a message cannot be read, as [`iter`](Receiver::iter) does.
    pub fn drain(&self) -> Drain<'_, T, R> {
        Drain::new(self)
    }

    /// Whether there is no message in the channel, as [`len`](Receiver::len) counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rx.is_empty()
    }

    /// Whether there is no room in the channel.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.rx.is_full()
    }

    /// Messages in the channel.
    ///
    /// A message counts from the moment its sender claims a place for it, which is before it can be
    /// received, to the moment a receiver claims it. [`try_recv`](Receiver::try_recv) says what
    /// comes of a sender that is stopped in between.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rx.len()
    }

    /// Messages that fit in the channel; `None` if it has no bound of its own.
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.rx.capacity()
    }

    /// Whether both are receivers of one channel, in this process.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.rx.same_channel(&other.rx)
    }

    /// Whether no sender is left, nor can come. Messages may still be there.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.rx.is_disconnected()
    }

    /// Why no sender is left, if none is.
    #[must_use]
    pub fn disconnect_cause(&self) -> Option<DisconnectCause> {
        self.rx.disconnect_cause()
    }

    /// Returns the number of senders of this channel in all processes.
    ///
    /// An endpoint of a process that was killed counts until its death is noticed. `None` if the
    /// route does not know the number: a connection that was split, or a channel of `ipc-channel`.
    #[must_use]
    pub fn sender_count(&self) -> Option<usize> {
        self.rx.sender_count()
    }

    /// Returns the number of receivers of this channel in all processes.
    ///
    /// An endpoint of a process that was killed counts until its death is noticed. `None` if the
    /// route does not know the number: a connection that was split, or a channel of `ipc-channel`.
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

/// The endpoint travels as a handle of the message that it is in. It counts as alive meanwhile.
impl<T, R: Route<T, Tx: Serialize>> Serialize for Sender<T, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.tx.serialize(serializer)
    }
}

/// The endpoint travels as a handle of the message that it is in. It counts as alive meanwhile.
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

impl<'a, T, R: Route<T>> IntoIterator for &'a Receiver<T, R> {
    type Item = T;
    type IntoIter = Iter<'a, T, R>;

    fn into_iter(self) -> Iter<'a, T, R> {
        self.iter()
    }
}

impl<T, R: Route<T>> IntoIterator for Receiver<T, R> {
    type Item = T;
    type IntoIter = IntoIter<T, R>;

    fn into_iter(self) -> IntoIter<T, R> {
        IntoIter::new(self)
    }
}
