//! Channels over socket pairs.
//!
//! Each side of the channel is one socket, shared by all ends of that side; see `socket` for what the kernel
//! does for us, and `tally` for what it does not say.
//!
//! # Batches
//!
//! What a message costs in a socket is the kernel's work for one datagram, so batches go as one. Whoever
//! takes a datagram out takes all of it, so a batch is made only while there is one receiver, and that
//! one takes batches: it says so in the tally when it calls `recv_many`, and takes it back when it calls
//! `recv`. What of a batch it did not ask for yet is parked in its process, for it and its clones.
//!
//! | when | what |
//! |---|---|
//! | the only receiver is killed with messages parked | the channel is disconnected: nobody would have got them |
//! | the receiver is cloned | clones find what is parked; no further batches are made |
//! | the receiver goes to another process while batches are under way | refused: what one process has parked, another cannot take |

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipc_core::error::{DisconnectCause, RecvTimeoutError, SendManyError, SendTimeoutError};
use ipc_core::route::{Borrow, End, Failed, Receive, Transmit};
use ipc_core::{Patience, Route, Unreadable, codec, handle};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::carrier::{Came, Carrier};
use crate::killpoint::kp;
use crate::message::{self, HEADER, Kind, Scratch};
use crate::socket::Socket;
use crate::sys;
use crate::tally::{Side, Tally};

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
/// Messages may hold handles and ends of channels. The channel has no capacity of its own: what bounds it is
/// the buffer of the sending socket, some 200 KiB of the kernel's accounting (`net.core.wmem_default`), in
/// which a small message takes about 768 bytes. When it is full, `try_send` answers `Full`, and `send` waits
/// until three quarters of it are free.
///
/// A message of more than 32 KiB travels in a memory file of its own, and takes as little room as a small one.
///
/// # Errors
///
/// The system's, if it has no more sockets or files for us; `Unsupported` where there are none.
pub fn channel<T: Serialize + DeserializeOwned>() -> io::Result<(Sender<T>, Receiver<T>)> {
    let (tx, rx) = sys::pair()?;
    let tally = Arc::new(Tally::of(Tally::create()?)?);
    let carriers = (Carrier::Socket(Socket::new(tx)), Carrier::Socket(Socket::new(rx)));
    Ok(ends(carriers, tally))
}

/// The ends of a channel over these carriers.
pub(crate) fn ends<T: Serialize + DeserializeOwned>(
    (tx, rx): (Carrier, Carrier),
    tally: Arc<Tally>,
) -> (Sender<T>, Receiver<T>) {
    let line = |carrier| Arc::new(Line::over(Arc::new(carrier), Some(tally.clone()), None));
    (Sender::new(Tx::enter(line(tx))), Receiver::new(Rx::enter(line(rx))))
}

/// The most messages of a batch.
const BATCH: usize = 63;

/// How often a receiver looks whether another one of its process has parked something, where there are
/// batches: for the rare case that both came in together, one for a batch and one for a message.
const SLICE: Duration = Duration::from_millis(250);

/// One side of a channel in one process.
struct Line {
    carrier: Arc<Carrier>,
    /// None of a connection that was split.
    tally: Option<Arc<Tally>>,
    /// Of a connection that was split: the other half is not to keep the other end waiting. Not if a copy of
    /// this half has left the process.
    half: Option<Side>,
    sent_away: AtomicBool,
    /// Messages of batches that nobody has asked for yet, encoded.
    parked: Mutex<VecDeque<Vec<u8>>>,
    /// How many those are.
    any_parked: AtomicUsize,
    /// Threads that receive now.
    inside: AtomicUsize,
    /// Messages that could not be read and are still to be told of.
    unread: Mutex<VecDeque<Unreadable>>,
    any_unread: AtomicBool,
}

impl Line {
    fn over(carrier: Arc<Carrier>, tally: Option<Arc<Tally>>, half: Option<Side>) -> Line {
        Line {
            carrier,
            tally,
            half,
            sent_away: AtomicBool::new(false),
            parked: Mutex::default(),
            any_parked: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            unread: Mutex::default(),
            any_unread: AtomicBool::new(false),
        }
    }

    fn same(&self, other: &Line) -> bool {
        let identity = |line: &Line| sys::identity(line.carrier.fd());
        Arc::ptr_eq(&self.carrier, &other.carrier)
            || identity(self).is_some_and(|this| Some(this) == identity(other))
    }

    fn len(&self, empty: impl Fn() -> bool) -> usize {
        if self.carrier.forked() {
            return 0;
        }
        match &self.tally {
            Some(tally) => tally.len(empty),
            None => usize::from(!empty()),
        }
    }

    fn is_disconnected(&self) -> bool {
        !self.carrier.forked() && sys::gone(self.carrier.fd())
    }

    fn disconnect_cause(&self, others: Side) -> Option<DisconnectCause> {
        if !self.is_disconnected() {
            return None;
        }
        // Who drops an end is counted before the kernel closes it.
        match &self.tally {
            Some(tally) if tally.count(others) > 0 => Some(DisconnectCause::Died),
            _ => Some(DisconnectCause::Dropped),
        }
    }

    fn count(&self, side: Side, mine: Side) -> usize {
        if self.carrier.forked() {
            return 0;
        }
        if side != mine && self.is_disconnected() {
            return 0;
        }
        self.tally.as_ref().map_or(1, |tally| tally.count(side))
    }

    fn serialize<S: Serializer>(&self, side: Side, serializer: S) -> Result<S::Ok, S::Error> {
        let refused = |cause: &dyn fmt::Display| ser::Error::custom(handle::because(cause));
        if side == Side::Receiver && self.batches_under_way() {
            return Err(refused(
                &"batches are on their way to this receiver: receive them before it goes to another process, \
                  or let it go before the first `recv_many`",
            ));
        }
        self.sent_away.store(true, Ordering::Relaxed); // Relaxed: read by whoever drops the last end.
        let tally = match &self.tally {
            Some(tally) => Some(handle::attach_copy(&tally.fd).map_err(|error| refused(&error))?),
            None => None,
        };
        (tally, Leaves(&self.carrier)).serialize(serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, side: Side) -> Result<Line, D::Error> {
        let (tally, carrier) = <(Option<u32>, Came)>::deserialize(deserializer)?;
        let refused = |cause: &dyn fmt::Display| de::Error::custom(handle::because(cause));
        let tally = match tally {
            Some(index) => {
                let fd = handle::take(index).ok_or_else(|| refused(&"the tally of an end is missing"))?;
                Some(Arc::new(Tally::of(fd).map_err(|error| refused(&error))?))
            }
            None => None,
        };
        let carrier = carrier.carrier(tally.as_ref(), side)?;
        Ok(Line::over(Arc::new(carrier), tally, None))
    }

    /// Takes back the wish for batches, and says whether some are in the channel.
    fn batches_under_way(&self) -> bool {
        let Some(tally) = &self.tally else { return false };
        tally.want(0);
        self.any_parked() || (tally.any_packed() && sys::unread(self.carrier.fd()) > 0)
    }

    #[inline]
    fn any_parked(&self) -> bool {
        // Relaxed: the lock orders the rest.
        self.any_parked.load(Ordering::Relaxed) != 0
    }

    /// Takes a message that is parked.
    fn unpark(&self) -> Option<Vec<u8>> {
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let message = parked.pop_front()?;
        self.any_parked.store(parked.len(), Ordering::Relaxed);
        drop(parked);
        if let Some(tally) = &self.tally {
            tally.unpark(1);
        }
        Some(message)
    }

    fn park<'a>(&self, messages: impl Iterator<Item = &'a [u8]>) {
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = parked.len();
        parked.extend(messages.map(<[u8]>::to_vec));
        self.any_parked.store(parked.len(), Ordering::Relaxed);
        if let Some(tally) = &self.tally {
            tally.park(parked.len() - before);
        }
    }

    /// Keeps for the next call that a message could not be read.
    #[cold]
    fn unread(&self, cause: Unreadable) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.push_back(cause);
        self.any_unread.store(true, Ordering::Relaxed); // Relaxed: the lock orders the rest.
    }

    /// Tells of a message that could not be read, if that is still to be told.
    #[inline]
    fn check_unread(&self) -> Result<(), RecvTimeoutError> {
        // Relaxed: the lock orders the rest.
        if !self.any_unread.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let first = unread.pop_front();
        self.any_unread.store(!unread.is_empty(), Ordering::Relaxed);
        first.map_or(Ok(()), |cause| Err(RecvTimeoutError::Unreadable(cause)))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Relaxed: whoever stored it had an end, whose drop came before.
        if self.carrier.forked() || self.sent_away.load(Ordering::Relaxed) {
            return;
        }
        match self.half {
            Some(Side::Sender) => sys::end_of_sending(self.carrier.fd()),
            Some(Side::Receiver) => sys::end_of_receiving(self.carrier.fd()),
            None => {}
        }
    }
}

/// A carrier that leaves in a message.
struct Leaves<'a>(&'a Carrier);

impl Serialize for Leaves<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The sending end of a channel over a socket pair.
pub struct Tx<T> {
    line: Arc<Line>,
    _messages: PhantomData<fn(T)>,
}

/// The receiving end of a channel over a socket pair.
pub struct Rx<T> {
    line: Arc<Line>,
    _messages: PhantomData<fn() -> T>,
}

macro_rules! end {
    ($End:ident, $mine:expr, $others:expr, $full:expr) => {
        impl<T> $End<T> {
            /// A further end.
            fn enter(line: Arc<Line>) -> Self {
                if let Some(tally) = &line.tally {
                    tally.enter($mine);
                }
                $End { line, _messages: PhantomData }
            }
        }

        impl<T> Clone for $End<T> {
            fn clone(&self) -> Self {
                if self.line.carrier.forked() {
                    return $End { line: self.line.clone(), _messages: PhantomData };
                }
                $End::enter(self.line.clone())
            }
        }

        impl<T> Drop for $End<T> {
            fn drop(&mut self) {
                if let (Some(tally), false) = (&self.line.tally, self.line.carrier.forked()) {
                    tally.leave($mine);
                }
            }
        }

        /// To wait for in an event loop, with other files. What is taken out behind the channel's back is lost
        /// to it.
        #[cfg(unix)]
        impl<T> std::os::fd::AsFd for $End<T> {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.line.carrier.fd()
            }
        }

        impl<T> fmt::Debug for $End<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($End)).finish_non_exhaustive()
            }
        }

        impl<T> End for $End<T> {
            fn len(&self) -> usize {
                self.line.len(|| self.line.carrier.is_empty($mine))
            }
            fn capacity(&self) -> Option<usize> {
                None
            }
            fn is_full(&self) -> bool {
                $full(&self.line)
            }
            fn same_channel(&self, other: &Self) -> bool {
                self.line.same(&other.line)
            }
            fn is_disconnected(&self) -> bool {
                self.line.is_disconnected()
            }
            fn disconnect_cause(&self) -> Option<DisconnectCause> {
                self.line.disconnect_cause($others)
            }
            fn sender_count(&self) -> usize {
                self.line.count(Side::Sender, $mine)
            }
            fn receiver_count(&self) -> usize {
                self.line.count(Side::Receiver, $mine)
            }
        }

        impl<T> Serialize for $End<T> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.line.serialize($mine, serializer)
            }
        }

        impl<'de, T> Deserialize<'de> for $End<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok($End::enter(Arc::new(Line::deserialize(deserializer, $mine)?)))
            }
        }
    };
}

end!(Tx, Side::Sender, Side::Receiver, |line: &Line| !line.carrier.forked() && line.carrier.is_full());
// How much the other side may send, it alone knows.
end!(Rx, Side::Receiver, Side::Sender, |_: &Line| false);

/// The two halves of a connection.
pub(crate) fn split<A, B>(carrier: Carrier) -> (Tx<A>, Rx<B>) {
    let carrier = Arc::new(carrier);
    let tx = Line::over(carrier.clone(), None, Some(Side::Sender));
    let rx = Line::over(carrier, None, Some(Side::Receiver));
    (Tx::enter(Arc::new(tx)), Rx::enter(Arc::new(rx)))
}

impl<T: Serialize + DeserializeOwned> Transmit<T> for Tx<T> {
    #[inline]
    fn send_copy(&self, message: &T, patience: Patience) -> Option<Result<(), Failed>> {
        Some(self.send_one(message, patience))
    }

    fn send(&self, message: T, patience: Patience) -> Result<(), SendTimeoutError<T>> {
        self.send_one(&message, patience).map_err(|failed| failed.with(message))
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
                Err(failed) => {
                    let unsendable = match failed {
                        Failed::Unsendable(cause) => Some(cause),
                        _ => None,
                    };
                    return Err(SendManyError { sent, unsent: batch.into(), unsendable });
                }
            }
        }
    }
}

impl<T: Serialize> Tx<T> {
    fn send_one(&self, message: &T, patience: Patience) -> Result<(), Failed> {
        message::send_one(&self.line.carrier, message, patience)?;
        kp!("channel.count_sent");
        if let Some(tally) = &self.line.tally {
            tally.sent(1);
        }
        Ok(())
    }

    /// Sends some of the first messages of a batch, at least one; returns how many.
    fn send_some(&self, batch: &VecDeque<T>) -> Result<usize, Failed> {
        let carrier = &*self.line.carrier;
        let most = self.line.tally.as_ref().map_or(0, |tally| tally.wanted()).min(batch.len());
        if most > 1 {
            let mut scratch = Scratch::take();
            let bytes = &mut scratch.0;
            let packed = pack(batch.iter().take(most), bytes, HEADER + message::here_limit(carrier));
            if let (Some((count, end)), Some(tally)) = (packed, &self.line.tally) {
                tally.pack();
                // Again, now that it is counted: whoever has come meanwhile sees the count.
                if tally.wanted() >= usize::from(count) {
                    let kind = Kind::Messages(count);
                    message::send(carrier, kind, &mut bytes[..end], Vec::new(), Patience::Forever)?;
                    kp!("channel.count_batch");
                    tally.sent(usize::from(count));
                    return Ok(usize::from(count));
                }
            }
        }
        let Some(first) = batch.front() else { return Ok(0) };
        self.send_one(first, Patience::Forever)?;
        Ok(1)
    }
}

/// Writes as many of these messages into one datagram as fit there; `None` if that is not two at least. A
/// message that cannot go with others, or not at all, ends the batch: it is seen to when it is the first.
fn pack<'a, T: Serialize + 'a>(
    batch: impl Iterator<Item = &'a T>,
    bytes: &mut Vec<u8>,
    limit: usize,
) -> Option<(u16, usize)> {
    let (mut end, mut count) = (HEADER, 0);
    for message in batch {
        // Each behind its length.
        let begin = end + 4;
        let room = limit.saturating_sub(begin);
        match codec::encode_carrying(message, bytes, begin, room) {
            Ok((to, handles)) if handles.is_empty() => {
                let len = (to - begin) as u32;
                bytes[end..begin].copy_from_slice(&len.to_le_bytes());
                end = to;
                count += 1;
            }
            _ => break,
        }
    }
    (count > 1).then_some((count, end))
}

/// The messages of a batch.
struct Packed<'a> {
    count: u16,
    bytes: &'a [u8],
}

impl<'a> Iterator for Packed<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.count = self.count.checked_sub(1)?;
        let (len, rest) = self.bytes.split_first_chunk()?;
        let (message, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.bytes = rest;
        Some(message)
    }
}

impl<'a> Packed<'a> {
    /// Checks that there are as many messages as it says, and nothing else.
    fn new(count: u16, bytes: &'a [u8]) -> Result<Packed<'a>, Unreadable> {
        let mut all = Packed { count, bytes };
        if all.by_ref().count() == usize::from(count) && all.bytes.is_empty() {
            Ok(Packed { count, bytes })
        } else {
            Err(Unreadable::Malformed("the lengths in a batch do not add up"))
        }
    }
}

/// A thread that receives.
struct Inside<'a>(&'a Line);

impl<'a> Inside<'a> {
    /// Says whether batches are welcome: of up to `wanted` messages, if nobody else of this process receives.
    fn enter(line: &'a Line, wanted: usize) -> Inside<'a> {
        // SeqCst: of two that enter together, one at least sees the other.
        let alone = line.inside.fetch_add(1, Ordering::SeqCst) == 0;
        if let Some(tally) = &line.tally {
            tally.want(if alone && wanted > 1 { wanted.min(BATCH) } else { 0 });
        }
        Inside(line)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst); // SeqCst: as above.
    }
}

impl<T: DeserializeOwned> Rx<T> {
    /// Takes messages out of the socket and gives them to `take`, at least one and at most `max`; batches of up
    /// to `wanted` are welcome meanwhile.
    fn recv_some(
        &self,
        max: usize,
        wanted: usize,
        patience: Patience,
        take: &mut dyn FnMut(Result<T, Unreadable>),
    ) -> Result<(), RecvTimeoutError> {
        let line = &*self.line;
        if line.carrier.forked() {
            return Err(RecvTimeoutError::Unreadable(Unreadable::Forked));
        }
        let inside = Inside::enter(line, wanted);
        let mut scratch = Scratch::take();
        let buffer = &mut scratch.0;
        let letter = loop {
            if line.any_parked() {
                let mut taken = 0;
                while let Some(message) = (taken < max).then(|| line.unpark()).flatten() {
                    take(codec::decode(&message).map_err(Unreadable::Decode));
                    taken += 1;
                }
                if taken > 0 {
                    return Ok(());
                }
            }
            // Another receiver of this process may park what it takes while we sleep.
            let slices = wanted > 1 || line.tally.as_ref().is_some_and(|tally| tally.any_packed());
            let slice = if slices { patience.left(SLICE).map(Patience::timeout) } else { Some(patience) };
            match message::recv(&line.carrier, buffer, slice.unwrap_or(Patience::Never)) {
                Err(RecvTimeoutError::Timeout) if slices && patience.left(SLICE).is_some() => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if line.any_parked() => {}
                Ok(letter) => break letter,
                Err(error) => {
                    if let (RecvTimeoutError::Unreadable(_), Some(tally)) = (error, &line.tally) {
                        tally.received(1);
                    }
                    return Err(error);
                }
            }
        };
        kp!("channel.count_received");
        let Kind::Messages(count) = letter.kind else {
            if let Some(tally) = &line.tally {
                tally.received(1);
            }
            drop(inside);
            take(message::decode(letter, buffer));
            return Ok(());
        };
        let mut messages = Packed::new(count, letter.body(buffer)).map_err(RecvTimeoutError::Unreadable)?;
        if let Some(tally) = &line.tally {
            tally.received(usize::from(count));
        }
        // Parked first: decoding calls the user's code, which may panic.
        let rest = messages.bytes;
        let mine = messages.by_ref().take(max).count() as u16;
        if messages.count > 0 {
            line.park(messages);
        }
        drop(inside);
        for message in (Packed { count: mine, bytes: rest }) {
            take(codec::decode(message).map_err(Unreadable::Decode));
        }
        Ok(())
    }
}

impl<T: Serialize + DeserializeOwned> Receive<T> for Rx<T> {
    fn recv(&self, patience: Patience) -> Result<T, RecvTimeoutError> {
        self.line.check_unread()?;
        let mut received = Err(RecvTimeoutError::Timeout);
        self.recv_some(1, 1, patience, &mut |message| {
            received = message.map_err(RecvTimeoutError::Unreadable);
        })?;
        received
    }

    fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        patience: Patience,
    ) -> Result<usize, RecvTimeoutError> {
        if max == 0 {
            return Ok(0);
        }
        self.line.check_unread()?;
        let before = messages.len();
        let mut patience = patience;
        while messages.len() - before < max {
            let room = max - (messages.len() - before);
            let result = self.recv_some(room, max, patience, &mut |message| match message {
                Ok(message) => messages.push(message),
                Err(cause) => self.line.unread(cause),
            });
            let received = messages.len() - before;
            match result {
                Ok(()) => patience = Patience::Never,
                Err(RecvTimeoutError::Unreadable(cause)) if received > 0 => {
                    self.line.unread(cause);
                    break;
                }
                Err(_) if received > 0 => break,
                Err(error) => return Err(error),
            }
            // What could not be read is told when there is nothing else to tell, else with the next call.
            if received == 0 {
                self.line.check_unread()?;
            }
        }
        Ok(messages.len() - before)
    }
}

/// A message, and its guard. On this route nothing keeps a copy of a message that was taken out, so it is
/// acknowledged when it is received: dropping the guard does nothing more, and if this process is killed
/// while it holds the guard, the message is gone with it.
pub struct Ref<'a, T> {
    value: T,
    _receiver: PhantomData<&'a Rx<T>>,
}

impl<T> Ref<'_, T> {
    #[cfg(feature = "ipc-channel")]
    pub(crate) fn new(value: T) -> Self {
        Ref { value, _receiver: PhantomData }
    }

    /// How often the message was delivered: once.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        1
    }

    /// The message.
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

    fn recv_ref(&self, patience: Patience) -> Result<Ref<'_, T>, RecvTimeoutError> {
        Ok(Ref { value: self.recv(patience)?, _receiver: PhantomData })
    }
}
