//! Channels of any serde type.
//!
//! A message is encoded once, before anything is claimed for it. It is decoded after its place is
//! returned. So no code of the user runs while another process could be waiting for it.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};

use ipc_core::__private::SendFailure;
use ipc_core::__private::codec;
use ipc_core::__private::ready::{Claim, ClaimBorrow, ClaimRecv, ClaimSend};
use ipc_core::__private::shape::{self, Shape};
use ipc_core::error::{RecvTimeoutError, SendManyError, SendTimeoutError};
use ipc_core::route::{Borrow, Receive, Transmit};
use ipc_core::{Deadline, Route, Unreadable};
use serde::de::DeserializeOwned;
use serde::{Deserializer, Serialize};

use crate::channel::attachment::Kind;
use crate::channel::builder::Builder;
use crate::channel::endpoint::Endpoint;
use crate::channel::ends::{Codec, Rx, Tx};
use crate::channel::memory::Slot;
use crate::copy;
use crate::message::claims::{Room, claimed, send_bytes_now};
use crate::message::lend::{BorrowSink, LentMessage};
use crate::message::wire::{
    One, Piece, Pieces, Rest, Scratch, block_of, encoded, inline_limit, part, room, send_boxed,
    send_bytes, send_run, take_block,
};

/// The route of serde types through shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Typed;

/// The sending end of a channel of any serde type.
pub type Sender<T> = ipc_core::Sender<T, Typed>;
/// The receiving end of a channel of any serde type.
pub type Receiver<T> = ipc_core::Receiver<T, Typed>;

/// Makes a channel with room for `capacity` messages.
///
/// The channel is full at exactly `capacity` messages. Everything else is as in [`Builder`], with
/// its defaults.
///
/// # Errors
///
/// As [`Builder::typed`].
pub fn bounded<T: Serialize + DeserializeOwned>(
    capacity: usize,
) -> io::Result<(Sender<T>, Receiver<T>)> {
    Builder::new(capacity).typed()
}

impl Builder {
    /// Creates a channel of any serde type.
    ///
    /// # Errors
    ///
    /// - `InvalidInput` if the numbers are invalid.
    /// - `OutOfMemory` and the like if the system has no memory or no descriptor left.
    /// - `Unsupported` on systems that this crate does not know yet.
    ///
    /// The error names the step that failed. A failed call leaves nothing behind.
    pub fn typed<T: Serialize + DeserializeOwned>(
        &self,
    ) -> io::Result<(ipc_core::Sender<T, Typed>, ipc_core::Receiver<T, Typed>)> {
        let (stride, blocks, largest) = self.any_length();
        self.make(stride, blocks, largest)
    }
}

impl<T: Serialize + DeserializeOwned> Route<T> for Typed {
    type Tx = Tx<T, Typed>;
    type Rx = Rx<T, Typed>;
}

#[allow(private_interfaces)] // As the trait.
impl<T: DeserializeOwned> Codec<T> for Typed {
    fn kind() -> Kind {
        Kind { shape: Shape::of::<T>(), block_of, least: (size_of::<u64>(), 1) }
    }

    #[inline(always)]
    fn block_of(slot: Slot<'_>) -> Option<u64> {
        block_of(slot)
    }

    fn trace<'de, D: Deserializer<'de>>(what: &'static str, deserializer: D) -> D::Error {
        shape::end::<T, D>(what, deserializer)
    }
}

impl<T: Serialize + DeserializeOwned> Transmit<T> for Tx<T, Typed> {
    #[inline]
    fn send_copy(&self, message: &T, deadline: Deadline) -> Option<Result<(), SendFailure>> {
        Some(send_one(&self.end, message, deadline))
    }

    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        send_one(&self.end, &message, deadline).map_err(|failure| failure.with(message))
    }

    fn send_many<I: Iterator<Item = T>>(&self, mut messages: I) -> Result<usize, SendManyError<T>> {
        let most = self.end.memory.geometry.max_batch();
        let mut batch: Vec<T> = Vec::with_capacity(most);
        let mut ends: Vec<usize> = Vec::with_capacity(most);
        let mut sent = 0;
        loop {
            batch.extend(messages.by_ref().take(most));
            if batch.is_empty() {
                return Ok(sent);
            }
            let mut done = 0;
            let result =
                send_batch(&self.end, &batch, &mut Scratch::take().0, &mut ends, &mut done);
            sent += done;
            batch.drain(..done);
            if let Err(failure) = result {
                return Err(failure.with_many(sent, batch));
            }
        }
    }
}

fn send_one<T: Serialize + DeserializeOwned>(
    end: &Endpoint,
    message: &T,
    deadline: Deadline,
) -> Result<(), SendFailure> {
    let limit = end.memory.geometry.largest;
    let mut scratch = Scratch::take();
    let bytes = &mut scratch.0;
    let len = codec::encode(message, bytes, limit, &end.form).map_err(SendFailure::Unsendable)?;
    send_bytes(end, &bytes[..len], deadline)
}

/// Sends a batch. Runs of small messages share a claim, and large ones are sent one by one. `done`
/// counts.
fn send_batch<T: Serialize + DeserializeOwned>(
    end: &Endpoint,
    batch: &[T],
    bytes: &mut Vec<u8>,
    ends: &mut Vec<usize>,
    done: &mut usize,
) -> Result<(), SendFailure> {
    let (limit, small) = (end.memory.geometry.largest, inline_limit(end));
    let mut one = Vec::new();
    let mut unsendable = None;
    let mut rest = batch.iter();
    while *done < batch.len() && unsendable.is_none() {
        // Encode a run of small messages, up to a large one, or one that cannot be sent.
        ends.clear();
        let mut used = 0;
        let mut large = None;
        for message in rest.by_ref() {
            match codec::encode(message, &mut one, limit, &end.form) {
                Ok(len) if len <= small => {
                    room(bytes, used + len)[used..].copy_from_slice(&one[..len]);
                    used += len;
                    ends.push(used);
                }
                Ok(len) => {
                    large = Some(len);
                    break;
                }
                Err(cause) => {
                    unsendable = Some(cause);
                    break;
                }
            }
        }
        send_run(end, bytes, ends, done)?;
        if let Some(len) = large {
            send_boxed(end, &one[..len], Deadline::Never)?;
            *done += 1;
        }
    }
    unsendable.map_or(Ok(()), |cause| Err(SendFailure::Unsendable(cause)))
}

fn undecodable(error: codec::CodecError) -> RecvTimeoutError {
    RecvTimeoutError::Unreadable(Unreadable::Decode(error))
}

impl<T: Serialize + DeserializeOwned> Receive<T> for Rx<T, Typed> {
    #[inline]
    fn recv_now(&self) -> Option<T> {
        let end = &self.end;
        if end.forked() || end.unread.any() {
            return None;
        }
        let mut scratch = Scratch::take();
        let bytes = &mut scratch.0;
        let mut one = One::new(end, room(bytes, inline_limit(end)));
        end.ring().receive(&end.participant, 1, &mut one).ok()?;
        let taken = one.taken();
        let decoded = match encoded(end, taken, bytes) {
            Ok(bytes) => codec::decode(bytes).map_err(Unreadable::Decode),
            Err(cause) => Err(cause),
        };
        match decoded {
            Ok(message) => Some(message),
            Err(cause) => {
                // The caller tries `recv` next, which returns the error.
                end.unread.keep(cause);
                None
            }
        }
    }

    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        let end = &self.end;
        end.unread.check()?;
        let mut scratch = Scratch::take();
        let bytes = &mut scratch.0;
        let mut one = One::new(end, room(bytes, inline_limit(end)));
        end.receive(1, deadline, &mut one)?;
        let taken = one.taken();
        let encoded = encoded(end, taken, bytes).map_err(RecvTimeoutError::Unreadable)?;
        codec::decode(encoded).map_err(undecodable)
    }

    fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        deadline: Deadline,
    ) -> Result<usize, RecvTimeoutError> {
        let k = self.end.memory.geometry.max_batch().min(max);
        if k == 0 {
            return Ok(0);
        }
        self.end.unread.check()?;
        let mut pieces = Vec::with_capacity(k);
        let (mut received, mut deadline) = (0, deadline);
        while received < max {
            pieces.clear();
            let mut scratch = Scratch::take();
            let all = room(&mut scratch.0, k * inline_limit(&self.end));
            let mut sink =
                Pieces { end: &self.end, bytes: all, used: 0, pieces: &mut pieces, corrupt: None };
            let result = self.end.receive(k.min(max - received) as u64, deadline, &mut sink);
            if let Some(what) = sink.corrupt {
                self.end.unread.keep(Unreadable::Corrupt(what));
            }
            let result = result.map(|n| {
                self.end.wake_senders(n);
                received += decode_all(&self.end, &scratch.0, &pieces, messages);
            });
            match result {
                Ok(()) => deadline = Deadline::Now,
                Err(_) if received > 0 => break,
                Err(error) => return Err(error),
            }
            // An unreadable message is reported if there is nothing else to return, and otherwise
            // by the next call.
            if received == 0 {
                self.end.unread.check()?;
            }
        }
        Ok(received)
    }
}

/// Decodes the messages that were received together.
///
/// A message that does not decode is reported by a later call, and the others are kept.
fn decode_all<T: DeserializeOwned>(
    end: &Endpoint,
    bytes: &[u8],
    pieces: &[Piece],
    messages: &mut Vec<T>,
) -> usize {
    let before = messages.len();
    let mut begin = 0;
    let mut boxed = Vec::new();
    let mut pieces = Rest { end, pieces: pieces.iter() };
    for piece in pieces.pieces.by_ref() {
        let encoded = match *piece {
            Piece::Inline(to) => Ok(&bytes[std::mem::replace(&mut begin, to)..to]),
            Piece::Block(block) => take_block(end, block, &mut boxed),
        };
        match encoded.and_then(|encoded| codec::decode(encoded).map_err(Unreadable::Decode)) {
            Ok(message) => messages.push(message),
            Err(cause) => end.unread.keep(cause),
        }
    }
    messages.len() - before
}

/// A lent message, decoded. Its drop acknowledges the message.
///
/// If this process is killed while it holds the guard, the message is delivered again, to another
/// receiver. The value is this process' own, and changes to it stay in this process.
pub struct Ref<'a, T> {
    value: T,
    lent: LentMessage<'a>,
}

impl<T> Ref<'_, T> {
    /// Returns how often the message was delivered, including this time.
    ///
    /// Above 1, an earlier receiver died with the message, and may have acted on it.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.lent.deliveries()
    }

    /// Returns the message, and acknowledges it.
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

/// Decodes a lent message, which stays lent.
fn borrowed<T: DeserializeOwned>(lent: LentMessage<'_>) -> Result<Ref<'_, T>, RecvTimeoutError> {
    let mut scratch = Scratch::take();
    let lent = lent.with_memory(&mut scratch.0).map_err(RecvTimeoutError::Unreadable)?;
    let message = room(&mut scratch.0, lent.len());
    copy::read_bytes(lent.words(), message);
    // A message that does not decode is acknowledged: it would not decode for any other receiver.
    let value = codec::decode(message);
    value.map(|value| Ref { value, lent }).map_err(undecodable)
}

impl<T: Serialize + DeserializeOwned> Borrow<T> for Rx<T, Typed> {
    type Ref<'a>
        = Ref<'a, T>
    where
        T: 'a;

    fn recv_ref(&self, deadline: Deadline) -> Result<Ref<'_, T>, RecvTimeoutError> {
        self.end.unread.check()?;
        let mut sink = BorrowSink::new(&self.end, block_of, part, None);
        self.end.receive(1, deadline, &mut sink)?;
        self.end.wake_senders(1);
        match sink.held.take() {
            Some(lent) => borrowed(lent),
            None => Err(RecvTimeoutError::Unreadable(sink.unreadable())),
        }
    }
}

impl<T: Serialize + DeserializeOwned> ClaimSend<T> for Tx<T, Typed> {
    fn send_claimed(&self, claim: Claim, message: T) -> Result<(), SendTimeoutError<T>> {
        let send = |message| {
            let end = &self.end;
            let room = Room::claimed(end, claim)?;
            let mut scratch = Scratch::take();
            let limit = end.memory.geometry.largest;
            let len = codec::encode(message, &mut scratch.0, limit, &end.form)
                .map_err(SendFailure::Unsendable)?;
            room.send_bytes(&scratch.0[..len])
        };
        send(&message).map_err(|failure: SendFailure| failure.with(message))
    }

    fn send_now(&self, message: T) -> Result<(), SendTimeoutError<T>> {
        let send = |message| {
            let end = &self.end;
            let mut scratch = Scratch::take();
            let limit = end.memory.geometry.largest;
            let len = codec::encode(message, &mut scratch.0, limit, &end.form)
                .map_err(SendFailure::Unsendable)?;
            send_bytes_now(end, &scratch.0[..len])
        };
        send(&message).map_err(|failure: SendFailure| failure.with(message))
    }
}

impl<T: Serialize + DeserializeOwned> ClaimRecv<T> for Rx<T, Typed> {
    #[inline]
    fn recv_claimed(&self, claim: Claim) -> Result<T, RecvTimeoutError> {
        let mut scratch = Scratch::take();
        let encoded = claimed(&self.end, claim, &mut scratch.0)?;
        codec::decode(encoded).map_err(undecodable)
    }
}

impl<T: Serialize + DeserializeOwned> ClaimBorrow<T> for Rx<T, Typed> {
    fn recv_ref_claimed(&self, claim: Claim) -> Result<Ref<'_, T>, RecvTimeoutError> {
        borrowed(LentMessage::claimed(&self.end, claim, part, None)?)
    }
}
