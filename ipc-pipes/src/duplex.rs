//! Both directions over one connection: Python's `Pipe()`.

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
use crate::shared_end::Leaves;
use crate::socket::Socket;
use crate::types::{Heard, Said, Types};

/// One end of a connection, which sends `A`s and receives `B`s.
///
/// Both ends may be in one process, in two, or in more: an end travels in the arguments of `spawn`
/// and in messages of routes that carry handles, and each message goes to one of those who receive.
/// The other end is told `Disconnected` when the last holder of this one has dropped it or died; it
/// receives first what was sent before.
///
/// The other end of a `Duplex<A, B>` is a `Duplex<B, A>`. Over a connection that was made by a
/// name, the first message that arrives tells whether it is; if not, `recv` answers
/// [`Unreadable::OtherType`] with both types, for this message and all others.
///
/// Messages and [bytes](Duplex::send_bytes) may take turns; a `recv` that meets bytes is told so,
/// and the other way round, and what it met is gone.
pub struct Duplex<A, B> {
    socket: Arc<Carrier>,
    form: Form,
    _messages: PhantomData<fn(A) -> B>,
}

/// Makes a connection.
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
/// The system's, if it has no more sockets for us; `Unsupported` where there are none.
pub fn duplex<A, B>() -> io::Result<(Duplex<A, B>, Duplex<B, A>)>
where
    A: Serialize + DeserializeOwned,
    B: Serialize + DeserializeOwned,
{
    let (here, there) = step("duplex connection", "making a pair of sockets", sys::socket::pair())?;
    Ok((Duplex::over(here, true), Duplex::over(there, true)))
}

impl<A: DeserializeOwned, B: DeserializeOwned> Duplex<A, B> {
    /// Over a connected socket that keeps the boundaries of datagrams, to another program. Its
    /// first message says what is sent.
    pub(crate) fn introduced(fd: OsHandle) -> Self {
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

    /// Its two directions, each an end of its own.
    ///
    /// When the last sender (receiver) made from it is dropped, the other end is told
    /// `Disconnected` when it receives (sends); if a copy of it has gone to another process, then
    /// not before both directions are gone. A connection has no shared counters: `len` of the halves
    /// says 0, or 1 for any number of messages, and `sender_count` and `receiver_count` are `None`,
    /// or 0 for the other side if that is gone.
    #[must_use]
    pub fn split(self) -> (Sender<A>, Receiver<B>)
    where
        A: Serialize + DeserializeOwned,
        B: Serialize + DeserializeOwned,
    {
        let (tx, rx) = channel::split(self.socket);
        (Sender::new(tx), Receiver::new(rx))
    }

    /// Waits until there is something to receive, at most `timeout`; true also if the other end is
    /// gone, which [`recv`](Duplex::recv) then tells.
    #[must_use]
    pub fn poll(&self, timeout: Duration) -> bool {
        !self.socket.forked()
            && sys::socket::ready(self.socket.fd(), Interest::Receive, Deadline::after(timeout))
    }

    /// Whether the other end is gone. Messages of it may still be there to be received.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        !self.socket.forked() && sys::socket::gone(self.socket.fd())
    }

    /// Sends bytes as they are, as one message, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`send`](Duplex::send).
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
        let mut scratch = Scratch::take();
        let datagram = &mut scratch.0;
        datagram.clear();
        datagram.extend_from_slice(&[0; HEADER]);
        datagram.extend_from_slice(bytes);
        let sent = message::send(&self.socket, Kind::Bytes, datagram, Vec::new(), Deadline::Never);
        sent.map_err(|failure| patient(failure, ()))
    }

    /// Receives bytes that were sent as such.
    ///
    /// # Errors
    ///
    /// As [`recv`](Duplex::recv); `Unreadable` also if what arrived is a message.
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.bytes(<[u8]>::to_vec)
    }

    /// Receives bytes that were sent as such into `buffer`, and returns how many.
    ///
    /// # Errors
    ///
    /// As [`recv_bytes`](Duplex::recv_bytes), and [`RecvBytesError::TooLong`], with all of them, if
    /// they are more than the buffer takes.
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

    /// Sends a message, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](SendError::Disconnected) if the other end is gone,
    /// [`Unsendable`](SendError::Unsendable) if this message can never be sent; the message is
    /// inside.
    pub fn send(&self, message: A) -> Result<(), SendError<A>> {
        message::send_one(&self.socket, &message, Deadline::Never, &self.form)
            .map_err(|failure| patient(failure, message))
    }

    /// Sends a message if there is room now.
    ///
    /// # Errors
    ///
    /// As [`send`](Duplex::send), and [`Full`](TrySendError::Full).
    pub fn try_send(&self, message: A) -> Result<(), TrySendError<A>> {
        self.send_for(message, Deadline::Now).map_err(|error| match error {
            SendTimeoutError::Timeout(message) => TrySendError::Full(message),
            SendTimeoutError::Disconnected(message) => TrySendError::Disconnected(message),
            SendTimeoutError::Unsendable(message, cause) => {
                TrySendError::Unsendable(message, cause)
            }
        })
    }

    /// Sends a message, waiting at most `timeout` for room.
    ///
    /// # Errors
    ///
    /// As [`send`](Duplex::send), and [`Timeout`](SendTimeoutError::Timeout).
    pub fn send_timeout(&self, message: A, timeout: Duration) -> Result<(), SendTimeoutError<A>> {
        self.send_for(message, Deadline::after(timeout))
    }

    /// Sends a message, waiting for room until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`send`](Duplex::send), and [`Timeout`](SendTimeoutError::Timeout).
    pub fn send_deadline(&self, message: A, deadline: Instant) -> Result<(), SendTimeoutError<A>> {
        self.send_for(message, Deadline::At(deadline))
    }
}

impl<A, B: DeserializeOwned> Duplex<A, B> {
    /// Receives a message, waiting for one as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](RecvError::Disconnected) if there is none and the other end is gone,
    /// [`Unreadable`](RecvError::Unreadable) if what arrived cannot be read.
    pub fn recv(&self) -> Result<B, RecvError> {
        message::recv_one(&self.socket, Deadline::Never).map_err(received)
    }

    /// Receives a message if there is one now.
    ///
    /// # Errors
    ///
    /// As [`recv`](Duplex::recv), and [`Empty`](TryRecvError::Empty).
    pub fn try_recv(&self) -> Result<B, TryRecvError> {
        message::recv_one(&self.socket, Deadline::Now).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
            RecvTimeoutError::Unreadable(cause) => TryRecvError::Unreadable(cause),
        })
    }

    /// Receives a message, waiting at most `timeout` for one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Duplex::recv), and [`Timeout`](RecvTimeoutError::Timeout).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<B, RecvTimeoutError> {
        message::recv_one(&self.socket, Deadline::after(timeout))
    }

    /// Receives a message, waiting for one until `deadline` at most.
    ///
    /// # Errors
    ///
    /// As [`recv`](Duplex::recv), and [`Timeout`](RecvTimeoutError::Timeout).
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

/// The end travels as a handle of the message that it is in. It counts as alive meanwhile.
impl<A, B> Serialize for Duplex<A, B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(types) = self.socket.types() else {
            return Err(ser::Error::custom("a connection knows what is sent over it"));
        };
        let (sent, received) = (Said(types.sent), Said(types.received));
        (sent, received, types.known(), Leaves(&self.socket, None, Side::Sender))
            .serialize(serializer)
    }
}

impl<'de, A: DeserializeOwned, B: DeserializeOwned> Deserialize<'de> for Duplex<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if shape::tracing() {
            return Err(shape::end::<(A, B), D>("Duplex", deserializer));
        }
        let (sends, receives, known, came) =
            <(Heard, Heard, bool, ReceivedCarrier)>::deserialize(deserializer)?;
        let (sent, received) = (Shape::of::<A>(), Shape::of::<B>());
        sends.is(sent, "an end of a connection arrived, for what it sends")?;
        receives.is(received, "an end of a connection arrived, for what it receives")?;
        let socket = came.carrier(None, Side::Sender, Some(Types::new(sent, received, known)))?;
        Ok(Duplex { socket, form: Form::new(), _messages: PhantomData })
    }
}

/// Why [`Duplex::recv_bytes_into`] returned no bytes.
///
/// Not `#[non_exhaustive]`, like the other errors of calls: the answers of a receive, and one more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecvBytesError {
    /// They are longer than the buffer; here they are.
    TooLong(Vec<u8>),
    /// None were received.
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
