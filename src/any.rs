//! The ends of a channel over any route, as one pair of types.
//!
//! The list of routes is closed. A route has a variant of [`AnyTx`] and of [`AnyRx`], an arm of
//! `each!`, and a tag if its ends travel.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use ipc_core::__private::SendFailure;
use ipc_core::__private::poll::{PollRecv, PollSend};
use ipc_core::__private::ready::{
    Claim, ClaimBorrow, ClaimRecv, ClaimSend, Outcome, Pace, Quick, Ready, Registration,
    Selectable, Source, TaskQueue, Tasks, Ticket,
};
use ipc_core::__private::wait::Ended;
use ipc_core::__private::{handle, shape};
use ipc_core::Deadline;
use ipc_core::error::{
    DisconnectCause, RecvError, RecvTimeoutError, SendError, SendManyError, SendTimeoutError,
};
use ipc_core::route::{Borrow, End, Receive, Transmit};
use serde::de::{self, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};

use ipc_thread::{Rx as ThreadRx, TaskWait, Tx as ThreadTx};

/// Any route: the type parameter of [`Sender`](crate::Sender) and
/// [`Receiver`](crate::Receiver).
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

/// Evaluates an expression with the end, for each route.
macro_rules! each {
    ($End:ident, $any:expr, $end:ident => $with:expr) => {
        match $any {
            $End::Shm($end) => $with,
            $End::Pipe($end) => $with,
            $End::Thread($end) => $with,
        }
    };
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
                each!($End, self, end => end.fmt(f))
            }
        }

        impl<T> End for $End<T>
        where
            T: Serialize + DeserializeOwned,
        {
            fn len(&self) -> usize {
                each!($End, self, end => end.len())
            }
            fn capacity(&self) -> Option<usize> {
                each!($End, self, end => end.capacity())
            }
            fn is_empty(&self) -> bool {
                each!($End, self, end => end.is_empty())
            }
            fn is_full(&self) -> bool {
                each!($End, self, end => end.is_full())
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
                each!($End, self, end => end.is_disconnected())
            }
            fn disconnect_cause(&self) -> Option<DisconnectCause> {
                each!($End, self, end => end.disconnect_cause())
            }
            fn sender_count(&self) -> Option<usize> {
                each!($End, self, end => end.sender_count())
            }
            fn receiver_count(&self) -> Option<usize> {
                each!($End, self, end => end.receiver_count())
            }
        }

        impl<T> Pace for $End<T> {
            fn spins(&self) -> u32 {
                each!($End, self, end => Pace::spins(end))
            }
            fn shares_processor(&self) -> bool {
                each!($End, self, end => Pace::shares_processor(end))
            }
            fn pause(&self) {
                each!($End, self, end => Pace::pause(end));
            }
            fn waited(&self, ended: Ended) {
                each!($End, self, end => Pace::waited(end, ended));
            }
            fn let_peer_run_ahead(&self) -> bool {
                each!($End, self, end => Pace::let_peer_run_ahead(end))
            }
        }

        impl<T> Ready for $End<T> {
            fn is_ready(&self) -> bool {
                each!($End, self, end => end.is_ready())
            }
            fn register(&self, waker: &Waker) -> Registration<'_> {
                each!($End, self, end => end.register(waker))
            }
            fn register_task(&self, waker: &Waker) -> Registration<'_> {
                each!($End, self, end => end.register_task(waker))
            }
            fn unregister(&self, ticket: Ticket, outcome: Outcome) {
                each!($End, self, end => end.unregister(ticket, outcome));
            }
            fn notified(&self, ticket: Ticket) -> bool {
                each!($End, self, end => end.notified(ticket))
            }
            fn recover_dead(&self) -> bool {
                each!($End, self, end => end.recover_dead())
            }
            fn recover_dead_throttled(&self) -> bool {
                each!($End, self, end => end.recover_dead_throttled())
            }
            fn settle(&self) -> bool {
                each!($End, self, end => end.settle())
            }
            fn monitors_deaths(&self) -> bool {
                each!($End, self, end => end.monitors_deaths())
            }
            fn file(&self) -> Option<Source<'_>> {
                each!($End, self, end => end.file())
            }
            fn deadline(&self) -> Option<Instant> {
                each!($End, self, end => end.deadline())
            }
            fn recovers(&self) -> bool {
                each!($End, self, end => end.recovers())
            }
            fn tasks(&self) -> &'static dyn Tasks {
                each!($End, self, end => end.tasks())
            }
            fn task_queue(&self) -> Option<&TaskQueue> {
                each!($End, self, end => end.task_queue())
            }
        }

        impl<T: DeserializeOwned> Selectable for $End<T> {
            fn claim(&self) -> Option<Claim> {
                each!($End, self, end => end.claim())
            }
            #[inline]
            fn claim_now(&self) -> Quick<Claim> {
                each!($End, self, end => end.claim_now())
            }
            fn give_back(&self, claim: Claim) {
                each!($End, self, end => end.give_back(claim));
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

/// Why an end of a channel between threads does not travel.
const STAYS: &str =
    "a channel between threads cannot leave its process; make it with another route";

/// The routes, in an encoded end.
const SHM: u8 = 1;
const PIPE: u8 = 2;

impl<T: Serialize + DeserializeOwned> Transmit<T> for AnyTx<T> {
    #[inline]
    fn send_copy(&self, message: &T, deadline: Deadline) -> Option<Result<(), SendFailure>> {
        each!(AnyTx, self, tx => tx.send_copy(message, deadline))
    }

    #[inline]
    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        each!(AnyTx, self, tx => tx.send(message, deadline))
    }

    fn send_many<I: Iterator<Item = T>>(&self, messages: I) -> Result<usize, SendManyError<T>> {
        each!(AnyTx, self, tx => tx.send_many(messages))
    }
}

impl<T: Serialize + DeserializeOwned> Receive<T> for AnyRx<T> {
    #[inline]
    fn recv_now(&self) -> Option<T> {
        each!(AnyRx, self, rx => rx.recv_now())
    }

    #[inline]
    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        each!(AnyRx, self, rx => rx.recv(deadline))
    }

    fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        deadline: Deadline,
    ) -> Result<usize, RecvTimeoutError> {
        each!(AnyRx, self, rx => rx.recv_many(messages, max, deadline))
    }
}

/// A lent message. Dropping it acknowledges the message.
///
/// If this process is killed while it holds the guard, a message of a channel through shared memory
/// is redelivered to another receiver. On the route pipe, receiving the message acknowledged it, so
/// it is lost.
pub struct Ref<'a, T>(RefRepr<'a, T>);

enum RefRepr<'a, T> {
    Shm(ipc_shm::Ref<'a, T>),
    // Threads die together, and a socket keeps no copy of a message that was received: these routes
    // deliver a message once.
    Owned(T),
}

impl<T> Ref<'_, T> {
    /// Returns how often the message was delivered, this time included. If it is above 1, an
    /// earlier receiver died with the message, and may have acted on it.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        match &self.0 {
            RefRepr::Shm(lent) => lent.deliveries(),
            RefRepr::Owned(_) => 1,
        }
    }

    /// Acknowledges the message and returns it.
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

impl<T: Serialize + DeserializeOwned> ClaimSend<T> for AnyTx<T> {
    fn send_claimed(&self, claim: Claim, message: T) -> Result<(), SendTimeoutError<T>> {
        each!(AnyTx, self, tx => tx.send_claimed(claim, message))
    }

    fn send_now(&self, message: T) -> Result<(), SendTimeoutError<T>> {
        each!(AnyTx, self, tx => tx.send_now(message))
    }
}

impl<T: Serialize + DeserializeOwned> ClaimRecv<T> for AnyRx<T> {
    fn recv_claimed(&self, claim: Claim) -> Result<T, RecvTimeoutError> {
        each!(AnyRx, self, rx => rx.recv_claimed(claim))
    }
}

impl<T: Serialize + DeserializeOwned> ClaimBorrow<T> for AnyRx<T> {
    fn recv_ref_claimed(&self, claim: Claim) -> Result<Ref<'_, T>, RecvTimeoutError> {
        let repr = match self {
            AnyRx::Shm(rx) => RefRepr::Shm(rx.recv_ref_claimed(claim)?),
            AnyRx::Pipe(rx) => RefRepr::Owned(rx.recv_claimed(claim)?),
            AnyRx::Thread(rx) => RefRepr::Owned(rx.recv_claimed(claim)?),
        };
        Ok(Ref(repr))
    }
}

impl<T: Serialize + DeserializeOwned> PollSend<T> for AnyTx<T> {
    type Waiting = TaskWait<T>;

    #[inline]
    fn poll_send(
        &self,
        waiting: &mut TaskWait<T>,
        message: &mut Option<T>,
        context: &Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        match self {
            AnyTx::Shm(tx) => tx.poll_send(&mut waiting.wait, message, context),
            AnyTx::Pipe(tx) => tx.poll_send(&mut waiting.wait, message, context),
            AnyTx::Thread(tx) => tx.poll_send(waiting, message, context),
        }
    }

    fn leave_send(&self, waiting: &mut TaskWait<T>, message: &mut Option<T>) {
        match self {
            AnyTx::Shm(tx) => tx.leave_send(&mut waiting.wait, message),
            AnyTx::Pipe(tx) => tx.leave_send(&mut waiting.wait, message),
            AnyTx::Thread(tx) => tx.leave_send(waiting, message),
        }
    }
}

impl<T: Serialize + DeserializeOwned> PollRecv<T> for AnyRx<T> {
    type Waiting = TaskWait<T>;

    #[inline]
    fn poll_recv(
        &self,
        waiting: &mut TaskWait<T>,
        context: &Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        match self {
            AnyRx::Shm(rx) => rx.poll_recv(&mut waiting.wait, context),
            AnyRx::Pipe(rx) => rx.poll_recv(&mut waiting.wait, context),
            AnyRx::Thread(rx) => rx.poll_recv(waiting, context),
        }
    }

    fn leave_recv(&self, waiting: &mut TaskWait<T>) {
        match self {
            AnyRx::Shm(rx) => rx.leave_recv(&mut waiting.wait),
            AnyRx::Pipe(rx) => rx.leave_recv(&mut waiting.wait),
            AnyRx::Thread(rx) => rx.leave_recv(waiting),
        }
    }
}
