//! The route-erased ends: one pair of types, whatever the route.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;

use ipc_core::__private::SendFailure;
use ipc_core::__private::{handle, shape};
use ipc_core::Deadline;
use ipc_core::error::{DisconnectCause, RecvTimeoutError, SendManyError, SendTimeoutError};
use ipc_core::route::{Borrow, End, Receive, Transmit};
use serde::de::{self, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};

use crate::thread::{STAYS, ThreadRx, ThreadTx};
use crate::{Receiver, Sender};

/// Which way messages go; to choose at run time.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let route: multiprocess::Route = "thread".parse()?;
/// let (tx, rx) = route.bounded::<String>(8)?;
/// tx.send("hello".to_owned())?;
/// assert_eq!(rx.recv()?, "hello");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// Through shared memory, between any processes.
    Shm,
    /// Through sockets, between any processes; handles travel in messages.
    Pipe,
    /// Between the threads of one process.
    Thread,
}

impl Route {
    /// Makes a channel on this route with room for `capacity` messages.
    ///
    /// # Errors
    ///
    /// As [`shm::bounded`](crate::shm::bounded) and [`thread::bounded`](crate::thread::bounded);
    /// `InvalidInput` for [`Route::Pipe`], where the kernel keeps no count and a sender would not
    /// wait where it should: see [`channel`](Route::channel).
    pub fn bounded<T: Serialize + DeserializeOwned>(
        self,
        capacity: usize,
    ) -> io::Result<(Sender<T>, Receiver<T>)> {
        match self {
            Route::Shm => crate::shm::bounded(capacity),
            Route::Pipe => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a channel on the route pipe has no capacity that one can choose; make it with `Route::channel`",
            )),
            Route::Thread => crate::thread::bounded(capacity),
        }
    }

    /// Makes a channel on this route with what room the route gives it: 1024 messages in shared
    /// memory, the kernel's buffer (some hundred small messages) on the route pipe, and all memory
    /// between threads.
    ///
    /// # Errors
    ///
    /// As [`shm::bounded`](crate::shm::bounded) and [`pipe::channel`](crate::pipe::channel).
    pub fn channel<T: Serialize + DeserializeOwned>(self) -> io::Result<(Sender<T>, Receiver<T>)> {
        match self {
            Route::Shm => crate::shm::bounded(1024),
            Route::Pipe => crate::pipe::channel(),
            Route::Thread => crate::thread::unbounded(),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Route::Shm => "shm",
            Route::Pipe => "pipe",
            Route::Thread => "thread",
        })
    }
}

impl std::str::FromStr for Route {
    type Err = UnknownRoute;

    fn from_str(name: &str) -> Result<Route, UnknownRoute> {
        match name {
            "shm" => Ok(Route::Shm),
            "pipe" => Ok(Route::Pipe),
            "thread" => Ok(Route::Thread),
            _ => Err(UnknownRoute(name.to_owned())),
        }
    }
}

/// There is no route of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRoute(String);

impl fmt::Display for UnknownRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no route is called {:?}: there are shm, pipe and thread", self.0)
    }
}

impl std::error::Error for UnknownRoute {}

/// Any route: the type parameter of [`Sender`] and [`Receiver`].
#[derive(Clone, Copy, Debug)]
pub struct Any;

/// The sending end of some route.
#[allow(clippy::large_enum_variant, reason = "a box would cost each message a load")]
pub enum AnyTx<T> {
    /// Through shared memory.
    Shm(ipc_shm::__private::Tx<T, ipc_shm::Typed>),
    /// Through a socket.
    Pipe(ipc_pipes::__private::Tx<T>),
    /// Between threads.
    Thread(ThreadTx<T>),
}

/// The receiving end of some route.
#[allow(clippy::large_enum_variant, reason = "a box would cost each message a load")]
pub enum AnyRx<T> {
    /// Through shared memory.
    Shm(ipc_shm::__private::Rx<T, ipc_shm::Typed>),
    /// Through a socket.
    Pipe(ipc_pipes::__private::Rx<T>),
    /// Between threads.
    Thread(ThreadRx<T>),
}

impl<T: Serialize + DeserializeOwned> ipc_core::Route<T> for Any {
    type Tx = AnyTx<T>;
    type Rx = AnyRx<T>;
}

macro_rules! end {
    ($End:ident, $what:literal) => {
        impl<T> Clone for $End<T> {
            fn clone(&self) -> Self {
                match self {
                    $End::Shm(end) => $End::Shm(end.clone()),
                    $End::Pipe(end) => $End::Pipe(end.clone()),
                    $End::Thread(end) => $End::Thread(end.clone()),
                }
            }
        }

        impl<T> fmt::Debug for $End<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $End::Shm(end) => end.fmt(f),
                    $End::Pipe(end) => end.fmt(f),
                    $End::Thread(end) => end.fmt(f),
                }
            }
        }

        impl<T> End for $End<T>
        where
            T: Serialize + DeserializeOwned,
        {
            fn len(&self) -> usize {
                match self {
                    $End::Shm(end) => end.len(),
                    $End::Pipe(end) => end.len(),
                    $End::Thread(end) => end.len(),
                }
            }
            fn capacity(&self) -> Option<usize> {
                match self {
                    $End::Shm(end) => end.capacity(),
                    $End::Pipe(end) => end.capacity(),
                    $End::Thread(end) => end.capacity(),
                }
            }
            fn is_empty(&self) -> bool {
                match self {
                    $End::Shm(end) => end.is_empty(),
                    $End::Pipe(end) => end.is_empty(),
                    $End::Thread(end) => end.is_empty(),
                }
            }
            fn is_full(&self) -> bool {
                match self {
                    $End::Shm(end) => end.is_full(),
                    $End::Pipe(end) => end.is_full(),
                    $End::Thread(end) => end.is_full(),
                }
            }
            fn same_channel(&self, other: &Self) -> bool {
                match (self, other) {
                    ($End::Shm(end), $End::Shm(other)) => end.same_channel(other),
                    ($End::Pipe(end), $End::Pipe(other)) => end.same_channel(other),
                    ($End::Thread(end), $End::Thread(other)) => end.same_channel(other),
                    _ => false,
                }
            }
            fn is_disconnected(&self) -> bool {
                match self {
                    $End::Shm(end) => end.is_disconnected(),
                    $End::Pipe(end) => end.is_disconnected(),
                    $End::Thread(end) => end.is_disconnected(),
                }
            }
            fn disconnect_cause(&self) -> Option<DisconnectCause> {
                match self {
                    $End::Shm(end) => end.disconnect_cause(),
                    $End::Pipe(end) => end.disconnect_cause(),
                    $End::Thread(end) => end.disconnect_cause(),
                }
            }
            fn sender_count(&self) -> usize {
                match self {
                    $End::Shm(end) => end.sender_count(),
                    $End::Pipe(end) => end.sender_count(),
                    $End::Thread(end) => end.sender_count(),
                }
            }
            fn receiver_count(&self) -> usize {
                match self {
                    $End::Shm(end) => end.receiver_count(),
                    $End::Pipe(end) => end.receiver_count(),
                    $End::Thread(end) => end.receiver_count(),
                }
            }
        }

        impl<T> Serialize for $End<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $End::Shm(end) => (SHM, end).serialize(serializer),
                    $End::Pipe(end) => (PIPE, end).serialize(serializer),
                    $End::Thread(_) => Err(ser::Error::custom(handle::record_cause(STAYS))),
                }
            }
        }

        impl<'de, T: DeserializeOwned> Deserialize<'de> for $End<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if shape::tracing() {
                    return Err(shape::end::<T, D>($what, deserializer));
                }
                deserializer.deserialize_tuple(2, RouteTagVisitor(PhantomData::<Self>))
            }
        }

        impl<'de, T: DeserializeOwned> Visitor<'de> for RouteTagVisitor<$End<T>> {
            type Value = $End<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the end of a channel")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<$End<T>, S::Error> {
                let short = || de::Error::custom(handle::record_cause("half the end of a channel"));
                match seq.next_element()?.ok_or_else(short)? {
                    SHM => Ok($End::Shm(seq.next_element()?.ok_or_else(short)?)),
                    PIPE => Ok($End::Pipe(seq.next_element()?.ok_or_else(short)?)),
                    _ => Err(de::Error::custom(handle::record_cause(
                        "a channel end of an unknown route",
                    ))),
                }
            }
        }
    };
}

/// Reads an end from a pair of a route tag and the end of that route.
struct RouteTagVisitor<E>(PhantomData<E>);

end!(AnyTx, "Sender");
end!(AnyRx, "Receiver");

/// The routes, in an encoded end.
const SHM: u8 = 1;
const PIPE: u8 = 2;

impl<T: Serialize + DeserializeOwned> Transmit<T> for AnyTx<T> {
    #[inline]
    fn send_copy(&self, message: &T, deadline: Deadline) -> Option<Result<(), SendFailure>> {
        match self {
            AnyTx::Shm(tx) => tx.send_copy(message, deadline),
            AnyTx::Pipe(tx) => tx.send_copy(message, deadline),
            AnyTx::Thread(tx) => tx.send_copy(message, deadline),
        }
    }

    #[inline]
    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        match self {
            AnyTx::Shm(tx) => tx.send(message, deadline),
            AnyTx::Pipe(tx) => tx.send(message, deadline),
            AnyTx::Thread(tx) => tx.send(message, deadline),
        }
    }

    fn send_many<I: Iterator<Item = T>>(&self, messages: I) -> Result<usize, SendManyError<T>> {
        match self {
            AnyTx::Shm(tx) => tx.send_many(messages),
            AnyTx::Pipe(tx) => tx.send_many(messages),
            AnyTx::Thread(tx) => tx.send_many(messages),
        }
    }
}

impl<T: Serialize + DeserializeOwned> Receive<T> for AnyRx<T> {
    #[inline]
    fn recv_now(&self) -> Option<T> {
        match self {
            AnyRx::Shm(rx) => rx.recv_now(),
            AnyRx::Pipe(rx) => rx.recv_now(),
            AnyRx::Thread(rx) => rx.recv_now(),
        }
    }

    #[inline]
    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        match self {
            AnyRx::Shm(rx) => rx.recv(deadline),
            AnyRx::Pipe(rx) => rx.recv(deadline),
            AnyRx::Thread(rx) => rx.recv(deadline),
        }
    }

    fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        deadline: Deadline,
    ) -> Result<usize, RecvTimeoutError> {
        match self {
            AnyRx::Shm(rx) => rx.recv_many(messages, max, deadline),
            AnyRx::Pipe(rx) => rx.recv_many(messages, max, deadline),
            AnyRx::Thread(rx) => rx.recv_many(messages, max, deadline),
        }
    }
}

/// A message that is lent; dropping it acknowledges the message.
///
/// If this process is killed while it holds the guard, a message of a channel through shared memory
/// is delivered again, to another receiver. On the route pipe it was acknowledged when it was
/// received: it is gone with this process.
pub struct Ref<'a, T>(RefRepr<'a, T>);

enum RefRepr<'a, T> {
    Shm(ipc_shm::Ref<'a, T>),
    // Threads die together, and a socket keeps no copy of a message that was received: these routes
    // deliver a message once.
    Owned(T),
}

impl<T> Ref<'_, T> {
    /// How often the message was delivered, this time included. Above 1: an earlier receiver died
    /// with it, and may have acted on it.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        match &self.0 {
            RefRepr::Shm(lent) => lent.deliveries(),
            RefRepr::Owned(_) => 1,
        }
    }

    /// The message; this acknowledges it.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self.0 {
            RefRepr::Shm(lent) => lent.into_inner(),
            RefRepr::Owned(message) => message,
        }
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            RefRepr::Shm(lent) => lent,
            RefRepr::Owned(message) => message,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Serialize + DeserializeOwned> Borrow<T> for AnyRx<T> {
    type Ref<'a>
        = Ref<'a, T>
    where
        T: 'a;

    fn recv_ref(&self, deadline: Deadline) -> Result<Ref<'_, T>, RecvTimeoutError> {
        match self {
            AnyRx::Shm(rx) => rx.recv_ref(deadline).map(|lent| Ref(RefRepr::Shm(lent))),
            AnyRx::Pipe(rx) => rx.recv(deadline).map(|message| Ref(RefRepr::Owned(message))),
            AnyRx::Thread(rx) => rx.recv(deadline).map(|message| Ref(RefRepr::Owned(message))),
        }
    }
}
