//! Channels over socket pairs.
//!
//! Each side of the channel is one socket that all ends of that side share. `socket` describes what
//! the kernel does, and `shared_counters` what the kernel does not know.
//!
//! `shared_end` is the state that the ends of a side share in a process. `batch` sends several
//! messages as one datagram.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use ipc_core::__private::codec;
use ipc_core::__private::shape::{self, Shape};
use ipc_core::__private::{SendFailure, step};
use ipc_core::error::{DisconnectCause, RecvTimeoutError, SendManyError, SendTimeoutError};
use ipc_core::route::{Borrow, End, Receive, Transmit};
use ipc_core::{Deadline, Route, Unreadable};
use ipc_sys as sys;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::batch::{BATCH, Packed, pack};
use crate::carrier::Carrier;
use crate::killpoint::kill_point;
use crate::message::{self, HEADER, Kind, Scratch};
use crate::shared_counters::{SharedCounters, Side};
use crate::shared_end::{Inside, SharedEnd};
use crate::socket::Socket;

/// The route over socket pairs.
#[derive(Clone, Copy, Debug)]
pub struct Local;

/// The sending end of a channel over a socket pair.
pub type Sender<T> = ipc_core::Sender<T, Local>;
/// The receiving end of a channel over a socket pair.
pub type Receiver<T> = ipc_core::Receiver<T, Local>;

impl<T: Serialize + DeserializeOwned> Route<T> for Local {
    type Tx = Tx<T>;
    type Rx = Rx<T>;
}

/// Makes a channel over a socket pair.
///
/// Messages may hold handles and ends of channels. The channel has no capacity of its own. The
/// buffer of the sending socket bounds it, some 200 KiB of the kernel's accounting
/// (`net.core.wmem_default`), in which a small message takes about 768 bytes. If the buffer is
/// full, `try_send` returns `Full`, and `send` blocks until three quarters of the buffer are free.
///
/// A message of more than 96 KiB travels in a memory file of its own, and takes as little room as a
/// small one. `send_many` makes one datagram of many messages for a receiver that is the only one
/// and calls `recv_many`. Such a receiver cannot travel to another process while batches are in the
/// channel.
///
/// | question | answer |
/// |---|---|
/// | `len` | counted by the ends; after a death one off, until the channel is next found empty. `is_empty` is the kernel's answer |
/// | `is_full` | the kernel's answer on the sending side; the receiving side does not know, and returns false |
/// | `sender_count`, `receiver_count` | ends that have arrived in a process; those of a process that died are counted until the side is gone |
/// | `disconnect_cause` | `Dropped` if every end of the other side was dropped; `Died` if a process was killed with one, or executed another program |
/// | a receiver is killed | the messages that it had taken out and not returned yet are lost: one message, or those of one `recv_many`. The same holds for `recv_ref` |
/// | an end is received again | no further descriptors: a process has one set for all ends of a side. Each end is counted |
/// | fork without exec | an inherited end returns `Forked`; but the forked process holds the socket until it ends or executes a program, and the other side is not disconnected before |
///
/// # Errors
///
/// An error of the system if it has no more sockets or files; `Unsupported` on systems without
/// them.
pub fn channel<T: Serialize + DeserializeOwned>() -> io::Result<(Sender<T>, Receiver<T>)> {
    let (tx, rx) = step("socket channel", "making a pair of sockets", sys::socket::pair())?;
    let counters = Arc::new(SharedCounters::new("socket channel")?);
    let carriers = (Carrier::Socket(Socket::new(tx)), Carrier::Socket(Socket::new(rx)));
    Ok(ends(carriers, counters))
}

/// The ends of a channel over these carriers.
pub(crate) fn ends<T: Serialize + DeserializeOwned>(
    (tx, rx): (Carrier, Carrier),
    counters: Arc<SharedCounters>,
) -> (Sender<T>, Receiver<T>) {
    let shape = Shape::of::<T>();
    let shared =
        |carrier| Arc::new(SharedEnd::new(Arc::new(carrier), Some(counters.clone()), shape, None));
    (Sender::new(Tx::enter(shared(tx))), Receiver::new(Rx::enter(shared(rx))))
}

/// How often a receiver checks whether another receiver of its process has parked something, while
/// there are batches. This is for the rare case that two of them began to receive at the same time,
/// one for a batch and one for a message.
const SLICE: Duration = Duration::from_millis(250);

/// The sending end of a channel over a socket pair.
pub struct Tx<T> {
    pub(crate) shared: Arc<SharedEnd>,
    _messages: PhantomData<fn(T)>,
}

/// The receiving end of a channel over a socket pair.
pub struct Rx<T> {
    pub(crate) shared: Arc<SharedEnd>,
    _messages: PhantomData<fn() -> T>,
}

macro_rules! end {
    ($End:ident, $what:literal, $mine:expr, $others:expr, $full:expr) => {
        impl<T> $End<T> {
            /// Adds a further end.
            fn enter(shared: Arc<SharedEnd>) -> Self {
                if let Some(counters) = &shared.counters {
                    counters.enter($mine);
                }
                $End { shared, _messages: PhantomData }
            }
        }

        impl<T> Clone for $End<T> {
            fn clone(&self) -> Self {
                if self.shared.carrier.forked() {
                    return $End { shared: self.shared.clone(), _messages: PhantomData };
                }
                $End::enter(self.shared.clone())
            }
        }

        impl<T> Drop for $End<T> {
            fn drop(&mut self) {
                if let (Some(counters), false) =
                    (&self.shared.counters, self.shared.carrier.forked())
                {
                    counters.leave($mine);
                }
            }
        }

        /// Returns the file, to wait for in an event loop. A message that is read from it directly
        /// is lost to the channel.
        #[cfg(unix)]
        impl<T> std::os::fd::AsFd for $End<T> {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.shared.carrier.fd()
            }
        }

        impl<T> fmt::Debug for $End<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($End)).finish_non_exhaustive()
            }
        }

        impl<T> End for $End<T> {
            fn len(&self) -> usize {
                self.shared.len(|| self.shared.carrier.is_empty($mine))
            }
            fn capacity(&self) -> Option<usize> {
                None
            }
            fn is_full(&self) -> bool {
                $full(&self.shared)
            }
            fn same_channel(&self, other: &Self) -> bool {
                self.shared.same(&other.shared)
            }
            fn is_disconnected(&self) -> bool {
                self.shared.is_disconnected()
            }
            fn disconnect_cause(&self) -> Option<DisconnectCause> {
                self.shared.disconnect_cause($others)
            }
            fn sender_count(&self) -> Option<usize> {
                self.shared.count(Side::Sender, $mine)
            }
            fn receiver_count(&self) -> Option<usize> {
                self.shared.count(Side::Receiver, $mine)
            }
        }

        impl<T> Serialize for $End<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.shared.serialize($mine, serializer)
            }
        }

        impl<'de, T: DeserializeOwned> Deserialize<'de> for $End<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if shape::tracing() {
                    return Err(shape::end::<T, D>($what, deserializer));
                }
                let shared = SharedEnd::deserialize(deserializer, $mine, Shape::of::<T>())?;
                let end = $End::enter(Arc::new(shared));
                if let (Some(counters), Side::Receiver) = (&end.shared.counters, $mine) {
                    counters.arrive(); // It is counted as an end now.
                }
                Ok(end)
            }
        }
    };
}

/// Returns whether a sending end has no room now.
fn is_full(end: &SharedEnd) -> bool {
    !end.carrier.forked() && end.carrier.is_full()
}

end!(Tx, "pipe::Sender", Side::Sender, Side::Receiver, is_full);
end!(Rx, "pipe::Receiver", Side::Receiver, Side::Sender, |_: &SharedEnd| false);

/// The two halves of a connection.
pub(crate) fn split<A: DeserializeOwned, B: DeserializeOwned>(
    carrier: Arc<Carrier>,
) -> (Tx<A>, Rx<B>) {
    let tx = SharedEnd::new(carrier.clone(), None, Shape::of::<A>(), Some(Side::Sender));
    let rx = SharedEnd::new(carrier, None, Shape::of::<B>(), Some(Side::Receiver));
    (Tx::enter(Arc::new(tx)), Rx::enter(Arc::new(rx)))
}

impl<T: Serialize + DeserializeOwned> Transmit<T> for Tx<T> {
    #[inline]
    fn send_copy(&self, message: &T, deadline: Deadline) -> Option<Result<(), SendFailure>> {
        Some(self.send_one(message, deadline))
    }

    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        self.send_one(&message, deadline).map_err(|failure| failure.with(message))
    }

    fn send_many<I: Iterator<Item = T>>(&self, mut messages: I) -> Result<usize, SendManyError<T>> {
        let mut batch: VecDeque<T> = VecDeque::with_capacity(BATCH);
        let mut sent = 0;
        loop {
            batch.extend(messages.by_ref().take(BATCH - batch.len()));
            if batch.is_empty() {
                return Ok(sent);
            }
            match self.send_some(&batch) {
                Ok(some) => {
                    batch.drain(..some);
                    sent += some;
                }
                Err(failure) => return Err(failure.with_many(sent, batch.into())),
            }
        }
    }
}

impl<T: Serialize + DeserializeOwned> Tx<T> {
    fn send_one(&self, message: &T, deadline: Deadline) -> Result<(), SendFailure> {
        message::send_one(&self.shared.carrier, message, deadline, &self.shared.form)?;
        kill_point!("channel.count_sent");
        if let Some(counters) = &self.shared.counters {
            counters.sent(1);
        }
        Ok(())
    }

    /// Sends some of the first messages of a batch, at least one; returns how many.
    fn send_some(&self, batch: &VecDeque<T>) -> Result<usize, SendFailure> {
        let carrier = &*self.shared.carrier;
        let most =
            self.shared.counters.as_ref().map_or(0, |counters| counters.wanted()).min(batch.len());
        if most > 1 {
            let mut scratch = Scratch::take();
            let bytes = &mut scratch.0;
            let packed = pack(
                batch.iter().take(most),
                bytes,
                HEADER + message::here_limit(carrier),
                &self.shared.form,
            );
            if let (Some((count, end)), Some(counters)) = (packed, &self.shared.counters) {
                counters.pack();
                // Again, after counting it: a receiver that has come meanwhile sees the count.
                if counters.wanted() >= usize::from(count) {
                    let kind = Kind::Messages(count);
                    message::send(carrier, kind, &mut bytes[..end], Vec::new(), Deadline::Never)?;
                    kill_point!("channel.count_batch");
                    counters.sent(usize::from(count));
                    return Ok(usize::from(count));
                }
            }
        }
        let Some(first) = batch.front() else { return Ok(0) };
        self.send_one(first, Deadline::Never)?;
        Ok(1)
    }
}

impl<T: DeserializeOwned> Rx<T> {
    /// Takes at least one and at most `max` messages out of the socket and passes them to `take`.
    /// Meanwhile senders may make batches of up to `wanted` messages.
    fn recv_some(
        &self,
        max: usize,
        wanted: usize,
        deadline: Deadline,
        take: &mut dyn FnMut(Result<T, Unreadable>),
    ) -> Result<(), RecvTimeoutError> {
        let shared = &*self.shared;
        if shared.carrier.forked() {
            return Err(RecvTimeoutError::Unreadable(Unreadable::Forked));
        }
        let inside = Inside::enter(shared, wanted);
        let mut scratch = Scratch::take();
        let buffer = &mut scratch.0;
        let received = loop {
            if shared.any_parked() {
                let mut taken = 0;
                while let Some(message) = (taken < max).then(|| shared.unpark()).flatten() {
                    take(message.decode());
                    taken += 1;
                }
                if taken > 0 {
                    return Ok(());
                }
            }
            // While this thread sleeps, another receiver of this process may park what it takes
            // out.
            let slices = wanted > 1
                || shared.counters.as_ref().is_some_and(|counters| counters.any_packed());
            let slice =
                if slices { deadline.left(SLICE).map(Deadline::after) } else { Some(deadline) };
            match message::recv(&shared.carrier, buffer, slice.unwrap_or(Deadline::Now)) {
                Err(RecvTimeoutError::Timeout) if slices && deadline.left(SLICE).is_some() => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)
                    if shared.any_parked() => {}
                Ok(received) => break received,
                Err(error) => {
                    if let (RecvTimeoutError::Unreadable(_), Some(counters)) =
                        (&error, &shared.counters)
                    {
                        counters.received(1);
                    }
                    return Err(error);
                }
            }
        };
        kill_point!("channel.count_received");
        let Kind::Messages(count) = received.kind else {
            if let Some(counters) = &shared.counters {
                counters.received(1);
            }
            drop(inside);
            take(message::decode(received, buffer));
            return Ok(());
        };
        let mut messages =
            Packed::new(count, received.body(buffer)).map_err(RecvTimeoutError::Unreadable)?;
        if let Some(counters) = &shared.counters {
            counters.received(usize::from(count));
        }
        // Parked first, because decoding calls the user's code, which may panic.
        let rest = messages.bytes;
        let mine = messages.by_ref().take(max).count() as u16;
        if messages.count > 0 {
            shared.park(messages);
        }
        drop(inside);
        for message in (Packed { count: mine, bytes: rest }) {
            take(codec::decode(message).map_err(Unreadable::Decode));
        }
        Ok(())
    }
}

impl<T: Serialize + DeserializeOwned> Receive<T> for Rx<T> {
    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        self.shared.unread.check()?;
        let mut received = Err(RecvTimeoutError::Timeout);
        self.recv_some(1, 1, deadline, &mut |message| {
            received = message.map_err(RecvTimeoutError::Unreadable);
        })?;
        received
    }

    fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        deadline: Deadline,
    ) -> Result<usize, RecvTimeoutError> {
        if max == 0 {
            return Ok(0);
        }
        self.shared.unread.check()?;
        let before = messages.len();
        let mut deadline = deadline;
        while messages.len() - before < max {
            let room = max - (messages.len() - before);
            let result = self.recv_some(room, max, deadline, &mut |message| match message {
                Ok(message) => messages.push(message),
                Err(cause) => self.shared.unread.keep(cause),
            });
            let received = messages.len() - before;
            match result {
                Ok(()) => deadline = Deadline::Now,
                Err(RecvTimeoutError::Unreadable(cause)) if received > 0 => {
                    self.shared.unread.keep(cause);
                    break;
                }
                Err(_) if received > 0 => break,
                Err(error) => return Err(error),
            }
            // If there are messages to return, the next call returns the error of an unreadable
            // one.
            if received == 0 {
                self.shared.unread.check()?;
            }
        }
        Ok(messages.len() - before)
    }
}

/// A message and its guard.
///
/// This route keeps no copy of a message that was taken out, so receiving a message acknowledges
/// it. Dropping the guard does nothing more. If this process is killed while it holds the guard,
/// the message is lost.
pub struct Ref<'a, T> {
    value: T,
    _receiver: PhantomData<&'a Rx<T>>,
}

impl<T> Ref<'_, T> {
    pub(crate) fn new(value: T) -> Self {
        Ref { value, _receiver: PhantomData }
    }

    /// Returns how often the message was delivered: always once.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        1
    }

    /// Returns the message.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Ref<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: Serialize + DeserializeOwned> Borrow<T> for Rx<T> {
    type Ref<'a>
        = Ref<'a, T>
    where
        T: 'a;

    fn recv_ref(&self, deadline: Deadline) -> Result<Ref<'_, T>, RecvTimeoutError> {
        Ok(Ref { value: self.recv(deadline)?, _receiver: PhantomData })
    }
}
