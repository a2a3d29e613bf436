//! Connections of both directions, like Python's `Pipe()`.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_core::__private::codec::Form;
use ipc_core::__private::shape::{self, Shape};
use ipc_core::__private::{SendFailure, step};
use ipc_core::OsHandle;
use ipc_core::{
    Deadline, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
    Unreadable,
};
use ipc_sys as sys;
use ipc_sys::socket::Interest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

use crate::carrier::{Carrier, ReceivedCarrier};
use crate::channel::{self, Receiver, Sender};
use crate::message::{self, HEADER, Kind, Scratch};
use crate::shared_counters::Side;
use crate::shared_end::SentCarrier;
use crate::socket::Socket;
use crate::types::{ReceivedType, SentType, Types};

/// One end of a connection, which sends `A`s and receives `B`s.
///
/// An end travels in the arguments of `spawn` and in messages of routes that carry handles. So both
/// ends may be in one process, in two, or in more. If several processes hold an end, each message
/// goes to one of them. When the last holder of an end has dropped it or died, the other end
/// receives what was sent before, and then `Disconnected`.
///
/// The other end of a `Duplex<A, B>` is a `Duplex<B, A>`. Over a connection that was made by a
/// name, the first message that arrives shows whether it is. If it is not, `recv` returns
/// [`Unreadable::OtherType`] with both types, for this message and all others.
///
/// Messages and [bytes](Duplex::send_bytes) may alternate. If `recv` meets bytes, or `recv_bytes` a
/// message, it returns [`Unreadable::Malformed`] and discards them.
pub struct Duplex<A, B> {
    socket: Arc<Carrier>,
    form: Form,
    _messages: PhantomData<fn(A) -> B>,
}

/// Makes a connection and returns its two ends.
///
/// ```
/// let (here, there) = ipc_pipes::duplex::<u32, String>()?;
/// here.send(7)?;
/// there.send(format!("got {}", there.recv()?))?;
/// assert_eq!(here.recv()?, "got 7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// An error of the system if it has no more sockets; `Unsupported` on systems without them.
pub fn duplex<A, B>() -> io::Result<(Duplex<A, B>, Duplex<B, A>)>
where
    A: Serialize + DeserializeOwned,
    B: Serialize + DeserializeOwned,
{
    let (here, there) = step("duplex connection", "making a pair of sockets", sys::socket::pair())?;
    Ok((Duplex::over(here, true), Duplex::over(there, true)))
}

impl<A: DeserializeOwned, B: DeserializeOwned> Duplex<A, B> {
    /// Makes an end over a connected socket that keeps the boundaries of datagrams, to another
    /// program. The first message is preceded by its type.
    pub(crate) fn to_other_program(fd: OsHandle) -> Self {
        Duplex::over(fd, false)
    }

    fn over(fd: OsHandle, known: bool) -> Self {
        let types = Types::new(Shape::of::<A>(), Shape::of::<B>(), known);
        let socket = Arc::new(Carrier::Socket(Socket::connection(fd, types)));
        Duplex { socket, form: Form::new(), _messages: PhantomData }
    }
}

impl<A, B> Duplex<A, B> {
    pub(crate) fn fd(&self) -> sys::Borrowed<'_> {
        self.socket.fd()
    }

    /// Splits the connection into its two directions, each an end of its own.
    ///
    /// When the last sender made from it is dropped, the other end receives `Disconnected`. When
    /// the last receiver is dropped, sending at the other end returns `Disconnected`. If a copy of
    /// a half has travelled to another process, both happen only when both directions are gone.
    ///
    /// A connection has no shared counters. `len` of the halves returns 0, or 1 for any number of
    /// messages. `sender_count` and `receiver_count` return `None`, or 0 for the other side if that
    /// is gone.
    #[must_use]
    pub fn split(self) -> (Sender<A>, Receiver<B>)
    where
        A: Serialize + DeserializeOwned,
        B: Serialize + DeserializeOwned,
    {
        let (tx, rx) = channel::split(self.socket);
        (Sender::new(tx), Receiver::new(rx))
    }

    /// Returns whether there is something to receive.
    ///
    /// Blocks for at most `timeout` until there is. True also if the other end is gone, which
    /// [`recv`](Duplex::recv) then returns.
    #[must_use]
    pub fn poll(&self, timeout: Duration) -> bool {
        !self.socket.forked()
            && sys::socket::ready(self.socket.fd(), Interest::Receive, Deadline::after(timeout))
    }

    /// Returns whether the other end is gone. Messages of it may still be there to be received.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        !self.socket.forked() && sys::socket::gone(self.socket.fd())
    }

    /// Sends bytes as they are, as one message.
    ///
    /// Blocks while the connection is full.
    ///
    /// # Errors
    ///
    /// As [`send`](Duplex::send), but the error holds no message.
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
        let mut scratch = Scratch::take();
        let datagram = &mut scratch.0;
        datagram.clear();
        datagram.extend_from_slice(&[0; HEADER]);
        datagram.extend_from_slice(bytes);
        let sent = message::send(&self.socket, Kind::Bytes, datagram, Vec::new(), Deadline::Never);
        sent.map_err(|failure| patient(failure, ()))
    }

    /// Receives bytes that were sent by [`send_bytes`](Duplex::send_bytes).
    ///
    /// Blocks until something arrives.
    ///
    /// # Errors
    ///
    /// As [`recv`](Duplex::recv), and [`Unreadable`](RecvError::Unreadable) if what arrived is a
    /// message.
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.bytes(<[u8]>::to_vec)
    }

    /// Receives bytes that were sent by [`send_bytes`](Duplex::send_bytes) into `buffer`, and
    /// returns how many.
    ///
    /// Blocks until something arrives.
    ///
    /// # Errors
    ///
    /// As [`recv_bytes`](Duplex::recv_bytes), and [`RecvBytesError::TooLong`] if there are more
    /// bytes than `buffer` takes. The error holds all of them.
    pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvBytesError> {
        let received = self.bytes(|bytes| match buffer.get_mut(..bytes.len()) {
            Some(into) => {
                into.copy_from_slice(bytes);
                Ok(bytes.len())
            }
            None => Err(RecvBytesError::TooLong(bytes.to_vec())),
        });
        received.map_err(RecvBytesError::Recv)?
    }

    fn bytes<R>(&self, use_them: impl FnOnce(&[u8]) -> R) -> Result<R, RecvError> {
        let mut scratch = Scratch::take();
        let received =
            message::recv(&self.socket, &mut scratch.0, Deadline::Never).map_err(received)?;
        if received.kind != Kind::Bytes {
            return Err(RecvError::Unreadable(Unreadable::Malformed("it is a message, not bytes")));
        }
        Ok(use_them(received.body(&scratch.0)))
    }
}

fn patient<T>(failure: SendFailure, message: T) -> SendError<T> {
    match failure.with(message) {
        SendTimeoutError::Disconnected(message) => SendError::Disconnected(message),
        SendTimeoutError::Unsendable(message, cause) => SendError::Unsendable(message, cause),
        SendTimeoutError::Timeout(_) => unreachable!("for ever is over"),
    }
}

fn received(error: RecvTimeoutError) -> RecvError {
    match error {
        RecvTimeoutError::Disconnected => RecvError::Disconnected,
        RecvTimeoutError::Unreadable(cause) => RecvError::Unreadable(cause),
        RecvTimeoutError::Timeout => unreachable!("for ever is over"),
    }
}

impl<A: Serialize + DeserializeOwned, B> Duplex<A, B> {
    fn send_for(&self, message: A, deadline: Deadline) -> Result<(), SendTimeoutError<A>> {
        message::send_one(&self.socket, &message, deadline, &self.form)
            .map_err(|failure| failure.with(message))
    }

    /// Sends a message.
    ///
    /// Blocks while the connection is full.
    ///
    /// # Errors
    ///
    /// Each error returns the message.
    ///
    /// - [`Disconnected`](SendError::Disconnected) if the other end is gone.
    /// - [`Unsendable`](SendError::Unsendable) if this message can never be sent on this
    ///   connection.
    pub fn send(&self, message: A) -> Result<(), SendError<A>> {
        message::send_one(&self.socket, &message, Deadline::Never, &self.form)
            .map_err(|failure| patient(failure, message))
    }

    /// Sends a message if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`send`](Duplex::send), and [`Full`](TrySendError::Full) if there is no room.
    pub fn try_send(&self, message: A) -> Result<(), TrySendError<A>> {
        self.send_for(message, Deadline::Now).map_err(|error| match error {
            SendTimeoutError::Timeout(message) => TrySendError::Full(message),
            SendTimeoutError::Disconnected(message) => TrySendError::Disconnected(message),
            SendTimeoutError::Unsendable(message, cause) => {
                TrySendError::Unsendable(message, cause)
            }
        })
    }

    /// Sends a message, and blocks for at most `timeout` while the connection is full.
    ///
    /// # Errors
    ///
    /// As [`send`](Duplex::send), and [`Timeout`](SendTimeoutError::Timeout) if there was no room
    /// in time.
    pub fn send_timeout(&self, message: A, timeout: Duration) -> Result<(), SendTimeoutError<A>> {
        self.send_for(message, Deadline::after(timeout))
    }

    /// Sends a message, and blocks until `deadline` at most while the connection is full.
    ///
    /// # Errors
    ///
    /// As [`send`](Duplex::send), and [`Timeout`](SendTimeoutError::Timeout) if there was no room
    /// in time.
    pub fn send_deadline(&self, message: A, deadline: Instant) -> Result<(), SendTimeoutError<A>> {
        self.send_for(message, Deadline::At(deadline))
    }
}

impl<A, B: DeserializeOwned> Duplex<A, B> {
    /// Receives a message.
    ///
    /// Blocks until a message arrives or the other end is gone.
    ///
    /// # Errors
    ///
    /// - [`Disconnected`](RecvError::Disconnected) if there is no message and the other end is
    ///   gone.
    /// - [`Unreadable`](RecvError::Unreadable) if a message arrived that cannot be read.
    pub fn recv(&self) -> Result<B, RecvError> {
        message::recv_one(&self.socket, Deadline::Never).map_err(received)
    }

    /// Receives a message if there is one now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`recv`](Duplex::recv), and [`Empty`](TryRecvError::Empty) if there is no message.
    pub fn try_recv(&self) -> Result<B, TryRecvError> {
        message::recv_one(&self.socket, Deadline::Now).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
            RecvTimeoutError::Unreadable(cause) => TryRecvError::Unreadable(cause),
        })
    }

    /// Receives a message, and blocks for at most `timeout` until one arrives.
    ///
    /// # Errors
    ///
    /// As [`recv`](Duplex::recv), and [`Timeout`](RecvTimeoutError::Timeout) if no message came in
    /// time.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<B, RecvTimeoutError> {
        message::recv_one(&self.socket, Deadline::after(timeout))
    }

    /// Receives a message, and blocks until `deadline` at most until one arrives.
    ///
    /// # Errors
    ///
    /// As [`recv`](Duplex::recv), and [`Timeout`](RecvTimeoutError::Timeout) if no message came in
    /// time.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<B, RecvTimeoutError> {
        message::recv_one(&self.socket, Deadline::At(deadline))
    }
}

impl<A, B> fmt::Debug for Duplex<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Duplex { .. }")
    }
}

#[cfg(unix)]
impl<A, B> std::os::fd::AsFd for Duplex<A, B> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.fd()
    }
}

/// Sends the end as a handle of the message that it is in. It counts as alive meanwhile.
impl<A, B> Serialize for Duplex<A, B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(types) = self.socket.types() else {
            return Err(ser::Error::custom("a connection knows what is sent over it"));
        };
        let (sent, received) = (SentType(types.sent), SentType(types.received));
        (sent, received, types.known(), SentCarrier(&self.socket, None, Side::Sender))
            .serialize(serializer)
    }
}

impl<'de, A: DeserializeOwned, B: DeserializeOwned> Deserialize<'de> for Duplex<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if shape::tracing() {
            return Err(shape::end::<(A, B), D>("Duplex", deserializer));
        }
        let (sends, receives, known, carrier) =
            <(ReceivedType, ReceivedType, bool, ReceivedCarrier)>::deserialize(deserializer)?;
        let (sent, received) = (Shape::of::<A>(), Shape::of::<B>());
        sends.check(sent, "an end of a connection arrived, for what it sends")?;
        receives.check(received, "an end of a connection arrived, for what it receives")?;
        let socket =
            carrier.carrier(None, Side::Sender, Some(Types::new(sent, received, known)))?;
        Ok(Duplex { socket, form: Form::new(), _messages: PhantomData })
    }
}

/// The error of [`Duplex::recv_bytes_into`].
///
/// Not `#[non_exhaustive]`, like the other errors of calls: the answers of a receive, and one more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecvBytesError {
    /// More bytes arrived than the buffer takes. These are all of them.
    TooLong(Vec<u8>),
    /// No bytes were received.
    Recv(RecvError),
}

impl fmt::Display for RecvBytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvBytesError::TooLong(bytes) => {
                write!(f, "{} bytes arrived, more than the buffer takes", bytes.len())
            }
            RecvBytesError::Recv(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecvBytesError {}
