//! Futures, streams and sinks of [`Sender`] and [`Receiver`].
//!
//! They work on any executor. Where a process' tasks wait, and what wakes them, is in
//! [`task`](crate::__private::task).

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;

use crate::channel::{Receiver, Sender};
use crate::error::{RecvError, SendError, Unreadable};
use crate::poll::{PollRecv, PollSend, received, sent};
use crate::ready::{ClaimBorrow, ClaimSend, Outcome, Selectable};
use crate::route::{Borrow, Route};
use crate::task::Wait;

impl<T, R: Route<T>> Receiver<T, R> {
    /// Receives a message, as a future.
    ///
    /// The future takes a message only when it returns it. So dropping it before that loses nothing
    /// (it is *cancel-safe*), and what a killed process had not received goes to another receiver.
    ///
    /// A task that is woken must be polled or dropped: of many tasks that wait for one channel, the
    /// first ones are woken, and wake the others.
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv).
    pub fn recv_async(&self) -> RecvFuture<'_, T, R>
    where
        R::Rx: PollRecv<T>,
    {
        RecvFuture { receiver: self, waiting: Default::default() }
    }

    /// Lends the next message in place, as a future; see [`recv_ref`](Receiver::recv_ref).
    ///
    /// Otherwise as [`recv_async`](Receiver::recv_async).
    ///
    /// # Errors
    ///
    /// As [`recv`](Receiver::recv).
    pub fn recv_ref_async(&self) -> RecvRefFuture<'_, T, R>
    where
        R::Rx: ClaimBorrow<T>,
    {
        RecvRefFuture { receiver: self, wait: Wait::new() }
    }

    /// Returns a stream of the messages.
    ///
    /// It ends when no sender is left and all messages were received. A message that cannot be read
    /// is an error in the stream, which goes on after it.
    pub fn stream(&self) -> RecvStream<'_, T, R>
    where
        R::Rx: PollRecv<T>,
    {
        RecvStream { receiver: Held::Borrowed(self), waiting: Default::default() }
    }

    /// Turns the receiver into a [`stream`](Receiver::stream) of the messages.
    pub fn into_stream(self) -> RecvStream<'static, T, R>
    where
        R::Rx: PollRecv<T>,
    {
        RecvStream { receiver: Held::Owned(self), waiting: Default::default() }
    }
}

impl<T, R: Route<T>> Sender<T, R> {
    /// Sends a message, as a future, which waits while the channel is full.
    ///
    /// If the future is dropped before it is ready, the message was not sent, and is dropped.
    /// [`into_message`](SendFuture::into_message) returns it instead.
    ///
    /// # Errors
    ///
    /// As [`send`](Sender::send).
    pub fn send_async(&self, message: T) -> SendFuture<'_, T, R>
    where
        R::Tx: PollSend<T>,
    {
        SendFuture { sender: self, sending: Sending::new(Some(message)) }
    }

    /// Returns a sink for messages.
    pub fn sink(&self) -> SendSink<'_, T, R>
    where
        R::Tx: PollSend<T>,
    {
        SendSink { sender: Held::Borrowed(self), sending: Sending::new(None) }
    }

    /// Turns the sender into a [`sink`](Sender::sink) for messages.
    pub fn into_sink(self) -> SendSink<'static, T, R>
    where
        R::Tx: PollSend<T>,
    {
        SendSink { sender: Held::Owned(self), sending: Sending::new(None) }
    }
}

/// The future of [`Receiver::recv_async`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct RecvFuture<'a, T, R: Route<T, Rx: PollRecv<T>>> {
    receiver: &'a Receiver<T, R>,
    waiting: <R::Rx as PollRecv<T>>::Waiting,
}

// What waits is never pinned.
impl<T, R: Route<T, Rx: PollRecv<T>>> Unpin for RecvFuture<'_, T, R> {}

impl<T, R: Route<T, Rx: PollRecv<T>>> Future for RecvFuture<'_, T, R> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let RecvFuture { receiver, waiting } = &mut *self;
        receiver.route().poll_recv(waiting, context)
    }
}

impl<T, R: Route<T, Rx: PollRecv<T>>> Drop for RecvFuture<'_, T, R> {
    fn drop(&mut self) {
        self.receiver.route().leave_recv(&mut self.waiting);
    }
}

/// The future of [`Receiver::recv_ref_async`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct RecvRefFuture<'a, T, R: Route<T, Rx: ClaimBorrow<T>>> {
    receiver: &'a Receiver<T, R>,
    wait: Wait,
}

impl<'a, T, R: Route<T, Rx: ClaimBorrow<T>>> Future for RecvRefFuture<'a, T, R> {
    type Output = Result<<R::Rx as Borrow<T>>::Ref<'a>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let end = self.receiver.route();
        self.wait.poll(end, context, || received(end.recv_ref_claimed(end.claim()?)))
    }
}

impl<T, R: Route<T, Rx: ClaimBorrow<T>>> Drop for RecvRefFuture<'_, T, R> {
    fn drop(&mut self) {
        self.wait.leave(self.receiver.route(), Outcome::Unused);
    }
}

/// A message on its way out, and how its task waits for room.
struct Sending<T, E: PollSend<T>> {
    /// `None` after it was sent or returned in an error, and while it waits elsewhere.
    message: Option<T>,
    waiting: E::Waiting,
    done: bool,
}

impl<T, E: PollSend<T>> Sending<T, E> {
    fn new(message: Option<T>) -> Self {
        Sending { done: message.is_none(), message, waiting: E::Waiting::default() }
    }

    #[inline]
    fn poll(&mut self, end: &E, context: &Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let polled = end.poll_send(&mut self.waiting, &mut self.message, context);
        self.done = polled.is_ready();
        polled
    }

    fn leave(&mut self, end: &E) {
        if !self.done {
            end.leave_send(&mut self.waiting, &mut self.message);
        }
    }
}

/// The future of [`Sender::send_async`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct SendFuture<'a, T, R: Route<T, Tx: PollSend<T>>> {
    sender: &'a Sender<T, R>,
    sending: Sending<T, R::Tx>,
}

impl<T, R: Route<T, Tx: PollSend<T>>> SendFuture<'_, T, R> {
    /// Gives up, and returns the message, if it was not sent.
    #[must_use]
    pub fn into_message(mut self) -> Option<T> {
        self.sending.leave(self.sender.route());
        self.sending.done = true;
        self.sending.message.take()
    }
}

// The message is never pinned.
impl<T, R: Route<T, Tx: PollSend<T>>> Unpin for SendFuture<'_, T, R> {}

impl<T, R: Route<T, Tx: PollSend<T>>> Future for SendFuture<'_, T, R> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    ///
    /// If it is polled after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        assert!(!this.sending.done, "the future was polled after it was ready");
        this.sending.poll(this.sender.route(), context)
    }
}

impl<T, R: Route<T, Tx: PollSend<T>>> Drop for SendFuture<'_, T, R> {
    fn drop(&mut self) {
        self.sending.leave(self.sender.route());
    }
}

/// An end that a stream or sink owns or borrows.
enum Held<'a, E> {
    Owned(E),
    Borrowed(&'a E),
}

impl<E> Deref for Held<'_, E> {
    type Target = E;

    #[inline]
    fn deref(&self) -> &E {
        match self {
            Held::Owned(end) => end,
            Held::Borrowed(end) => end,
        }
    }
}

/// The stream of [`Receiver::stream`] and [`Receiver::into_stream`].
///
/// It ends when no sender is left and all messages were received.
#[must_use = "streams do nothing unless they are polled"]
pub struct RecvStream<'a, T, R: Route<T, Rx: PollRecv<T>>> {
    receiver: Held<'a, Receiver<T, R>>,
    waiting: <R::Rx as PollRecv<T>>::Waiting,
}

impl<T, R: Route<T, Rx: PollRecv<T>>> RecvStream<'_, T, R> {
    /// Returns the receiver.
    #[must_use]
    pub fn receiver(&self) -> &Receiver<T, R> {
        &self.receiver
    }
}

// The receiver is never pinned.
impl<T, R: Route<T, Rx: PollRecv<T>>> Unpin for RecvStream<'_, T, R> {}

impl<T, R: Route<T, Rx: PollRecv<T>>> Stream for RecvStream<'_, T, R> {
    type Item = Result<T, Unreadable>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let RecvStream { receiver, waiting } = &mut *self;
        receiver.route().poll_recv(waiting, context).map(|received| match received {
            Ok(message) => Some(Ok(message)),
            Err(RecvError::Unreadable(cause)) => Some(Err(cause)),
            Err(RecvError::Disconnected) => None,
        })
    }
}

impl<T, R: Route<T, Rx: PollRecv<T>>> Drop for RecvStream<'_, T, R> {
    fn drop(&mut self) {
        self.receiver.route().leave_recv(&mut self.waiting);
    }
}

/// The sink of [`Sender::sink`] and [`Sender::into_sink`].
///
/// It keeps one message until there is room for it in the channel. Flushing or closing it waits for
/// that. A sink that is dropped drops the message that it keeps.
#[must_use = "sinks do nothing unless they are polled"]
pub struct SendSink<'a, T, R: Route<T, Tx: PollSend<T>>> {
    sender: Held<'a, Sender<T, R>>,
    sending: Sending<T, R::Tx>,
}

impl<T, R: Route<T, Tx: PollSend<T>>> SendSink<'_, T, R> {
    /// Returns the sender.
    #[must_use]
    pub fn sender(&self) -> &Sender<T, R> {
        &self.sender
    }
}

// The message is never pinned.
impl<T, R: Route<T, Tx: PollSend<T>>> Unpin for SendSink<'_, T, R> {}

impl<T, R: Route<T, Tx: PollSend<T>>> Sink<T> for SendSink<'_, T, R> {
    type Error = SendError<T>;

    fn poll_ready(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.poll_flush(context)
    }

    /// # Panics
    ///
    /// If the sink was not ready.
    fn start_send(mut self: Pin<&mut Self>, message: T) -> Result<(), Self::Error> {
        let SendSink { sender, sending } = &mut *self;
        assert!(sending.done, "a message was given to a sink that was not ready");
        // Mostly there is room.
        match sent(sender.route().send_now(message)) {
            Ok(done) => done,
            Err(back) => {
                (sending.message, sending.done) = (Some(back), false);
                Ok(())
            }
        }
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        let SendSink { sender, sending } = &mut *self;
        if sending.done { Poll::Ready(Ok(())) } else { sending.poll(sender.route(), context) }
    }

    fn poll_close(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Self::Error>> {
        self.poll_flush(context)
    }
}

impl<T, R: Route<T, Tx: PollSend<T>>> Drop for SendSink<'_, T, R> {
    fn drop(&mut self) {
        self.sending.leave(self.sender.route());
    }
}

macro_rules! debug {
    ($($Type:ident: $end:ident $Claim:ident,)*) => {$(
        impl<T, R: Route<T, $end: $Claim<T>>> fmt::Debug for $Type<'_, T, R> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Type)).finish_non_exhaustive()
            }
        }
    )*};
}

debug! {
    RecvFuture: Rx PollRecv,
    RecvRefFuture: Rx ClaimBorrow,
    RecvStream: Rx PollRecv,
    SendFuture: Tx PollSend,
    SendSink: Tx PollSend,
}
