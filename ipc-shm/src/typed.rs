//! Channels of any serde type.
//!
//! A message is encoded once, before anything is claimed for it, and decoded after its place is given back:
//! no code of the user's runs while another process could be waiting for it.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};

use ipc_core::codec;
use ipc_core::error::{RecvTimeoutError, SendManyError, SendTimeoutError};
use ipc_core::route::{Borrow, Receive, Transmit};
use ipc_core::{Patience, Route, Unreadable, Unsendable};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::attachment::Kind;
use crate::builder::Builder;
use crate::copy;
use crate::endpoint::{Endpoint, Failed};
use crate::ends::{Codec, Rx, Tx};
use crate::hold::{Borrower, Hold};
use crate::layout::Fingerprint;
use crate::memory::{Memory, Slot};
use crate::ring::{After, Sink};
use crate::sync::Ordering::Relaxed;

/// The route of serde types through shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Typed;

/// The sending end of a channel of any serde type.
pub type Sender<T> = ipc_core::Sender<T, Typed>;
/// The receiving end of a channel of any serde type.
pub type Receiver<T> = ipc_core::Receiver<T, Typed>;

/// Makes a channel with room for `capacity` messages.
///
/// Full is exactly `capacity` messages. As in [`Builder`], with its defaults.
///
/// # Errors
///
/// As [`Builder::typed`].
pub fn bounded<T: Serialize + DeserializeOwned>(capacity: usize) -> io::Result<(Sender<T>, Receiver<T>)> {
    Builder::new(capacity).typed()
}

impl<T: Serialize + DeserializeOwned> Route<T> for Typed {
    type Tx = Tx<T, Typed>;
    type Rx = Rx<T, Typed>;
}

#[allow(private_interfaces)] // As the trait.
impl<T> Codec<T> for Typed {
    fn kind() -> Kind {
        Kind { fingerprint: Fingerprint::of::<T>("postcard"), block_of }
    }
}

/// The first word of a slot's payload: the length of the message behind it, or this and its block.
const IN_BLOCK: u64 = 1 << 63;

fn block_of(slot: Slot<'_>) -> Option<u64> {
    let header = slot.payload[0].load(Relaxed); // Relaxed: after the slot's Acquire, E1.
    (header & IN_BLOCK != 0).then_some(header & !IN_BLOCK)
}

/// Skips the header; no more bytes than the slot has, whatever a peer wrote.
fn part(slot: Slot<'_>) -> (usize, usize) {
    let len = slot.payload[0].load(Relaxed); // Relaxed: as above.
    (1, usize::try_from(len).unwrap_or(usize::MAX).min(size_of_val(&slot.payload[1..])))
}

thread_local! {
    /// Bytes on their way. Kept from one message to the next, and never shortened: what is behind the message
    /// of the moment means nothing.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// More is not kept.
const KEPT: usize = 1 << 20;

/// The thread's scratch bytes, given back when dropped. Nested, in a user's `Serialize`, there are fresh ones.
struct Scratch(Vec<u8>);

impl Scratch {
    #[inline(always)]
    fn take() -> Scratch {
        // A thread that is being torn down has none left.
        Scratch(SCRATCH.try_with(Cell::take).unwrap_or_default())
    }
}

impl Drop for Scratch {
    #[inline(always)]
    fn drop(&mut self) {
        if self.0.len() <= KEPT {
            let bytes = std::mem::take(&mut self.0);
            // As above.
            let _ = SCRATCH.try_with(|scratch| scratch.set(bytes));
        }
    }
}

/// At least so many bytes of scratch.
#[inline]
fn room(bytes: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if bytes.len() < len {
        bytes.resize(len, 0);
    }
    &mut bytes[..len]
}

/// Writes an encoded message into a slot.
#[inline]
fn write_inline(slot: Slot<'_>, bytes: &[u8]) {
    slot.payload[0].store(bytes.len() as u64, Relaxed); // Relaxed: E1 publishes it.
    copy::write_bytes(&slot.payload[1..], bytes);
}

impl<T: Serialize + DeserializeOwned> Transmit<T> for Tx<T, Typed> {
    fn send(&self, message: T, patience: Patience) -> Result<(), SendTimeoutError<T>> {
        let limit = self.end.memory.geometry.block_size;
        let mut scratch = Scratch::take();
        let bytes = &mut scratch.0;
        let encoded = codec::encode(&message, bytes, limit).map_err(Failed::Unsendable);
        let sent = encoded.and_then(|len| send_bytes(&self.end, &bytes[..len], patience));
        sent.map_err(|failed| failed.with(message))
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
            let result = send_batch(&self.end, &batch, &mut Scratch::take().0, &mut ends, &mut done);
            sent += done;
            batch.drain(..done);
            if let Err(failed) = result {
                let unsendable = match failed {
                    Failed::Unsendable(cause) => Some(cause),
                    _ => None,
                };
                return Err(SendManyError { sent, unsent: batch, unsendable });
            }
        }
    }
}

/// The most bytes of a message in a slot.
fn inline_limit(end: &Endpoint) -> usize {
    end.memory.geometry.stride - 16
}

/// Sends an encoded message, in its slot or in a block.
#[inline]
fn send_bytes(end: &Endpoint, bytes: &[u8], patience: Patience) -> Result<(), Failed> {
    if bytes.len() > inline_limit(end) {
        return send_boxed(end, bytes, patience);
    }
    if end.forked() {
        return Err(Failed::Unsendable(Unsendable::Forked));
    }
    let attempt = || {
        end.memory.send(&end.hand, 1, |slot, pos| {
            write_inline(slot, bytes);
            end.memory.prefetch(pos, bytes.len() + 8);
        })
    };
    if attempt().is_err() {
        end.send_slow(patience, attempt)?;
    }
    end.told_receivers(1);
    Ok(())
}

fn send_boxed(end: &Endpoint, bytes: &[u8], patience: Patience) -> Result<(), Failed> {
    let block = end.loan(bytes.len(), patience)?;
    copy::write_bytes(end.memory.block_words(block), bytes);
    end.send_block(block, IN_BLOCK | block as u64, patience).inspect_err(|_| end.return_block(block))
}

/// Sends a batch: runs of small messages share a claim, large ones go one by one. `done` counts.
fn send_batch<T: Serialize>(
    end: &Endpoint,
    batch: &[T],
    bytes: &mut Vec<u8>,
    ends: &mut Vec<usize>,
    done: &mut usize,
) -> Result<(), Failed> {
    let (limit, small) = (end.memory.geometry.block_size, inline_limit(end));
    let mut one = Vec::new();
    let mut unsendable = None;
    let mut rest = batch.iter();
    while *done < batch.len() && unsendable.is_none() {
        // Encode a run of small ones, up to a large one, or one that cannot be sent.
        ends.clear();
        let mut used = 0;
        let mut large = None;
        for message in rest.by_ref() {
            match codec::encode(message, &mut one, limit) {
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
            send_boxed(end, &one[..len], Patience::Forever)?;
            *done += 1;
        }
    }
    unsendable.map_or(Ok(()), |cause| Err(Failed::Unsendable(cause)))
}

/// Sends encoded messages that fit in slots, which end at `ends` in `bytes`.
fn send_run(end: &Endpoint, bytes: &[u8], ends: &[usize], done: &mut usize) -> Result<(), Failed> {
    if end.forked() {
        return Err(Failed::Unsendable(Unsendable::Forked));
    }
    let mut sent = 0;
    while sent < ends.len() {
        let attempt = || {
            let mut i = sent;
            end.memory.send(&end.hand, (ends.len() - sent) as u64, |slot, _| {
                let begin = if i == 0 { 0 } else { ends[i - 1] };
                write_inline(slot, &bytes[begin..ends[i]]);
                i += 1;
            })
        };
        let n = match attempt() {
            Ok(n) => n,
            Err(_) => end.send_slow(Patience::Forever, attempt)?,
        };
        end.told_receivers(n);
        sent += n as usize;
        *done += n as usize;
    }
    Ok(())
}

/// Reads encoded messages: inline ones into `bytes`, which has room for all, those in blocks left there for
/// now.
struct Pieces<'a> {
    bytes: &'a mut [u8],
    used: usize,
    pieces: &'a mut Vec<Piece>,
    corrupt: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Piece {
    /// Up to here in `bytes`.
    Inline(usize),
    Block(usize),
}

impl Sink for Pieces<'_> {
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        block_of(slot)
    }
    fn inline(&mut self, slot: Slot<'_>, _pos: u64) -> After {
        let len = read_inline(slot, &mut self.bytes[self.used..]);
        self.used += len;
        self.pieces.push(Piece::Inline(self.used));
        After::Free
    }
    fn block(&mut self, block: usize, _pos: u64) {
        self.pieces.push(Piece::Block(block));
    }
    fn corrupt(&mut self, what: &'static str) {
        self.corrupt = Some(what);
    }
}

/// Copies a message out of its slot, which is about to be freed; returns its length.
#[inline(always)]
fn read_inline(slot: Slot<'_>, bytes: &mut [u8]) -> usize {
    let (skip, len) = part(slot);
    copy::read_bytes(&slot.payload[skip..], &mut bytes[..len]);
    copy::touch_lines(slot.payload, skip + copy::words(len));
    len
}

/// Copies the message out of a block that is lent to us, and acknowledges it.
fn take_block<'a>(end: &Endpoint, block: usize, bytes: &'a mut Vec<u8>) -> &'a [u8] {
    let message = room(bytes, end.memory.block_len(block));
    let lent = &end.memory.block_words(block)[..copy::words(message.len())];
    copy::own_lines(lent);
    copy::read_bytes(lent, message);
    end.return_block(block);
    message
}

fn undecodable(error: codec::CodecError) -> RecvTimeoutError {
    RecvTimeoutError::Unreadable(Unreadable::Decode(error))
}

/// Reads one encoded message.
struct One<'a> {
    memory: &'a Memory,
    bytes: &'a mut [u8],
    taken: Taken,
}

/// What became of a message that was received.
#[derive(Clone, Copy)]
enum Taken {
    /// So many bytes of it were copied.
    Inline(usize),
    /// It is lent to us in a block.
    Block(usize),
    Corrupt(&'static str),
}

impl<'a> One<'a> {
    #[inline(always)]
    fn new(end: &'a Endpoint, bytes: &'a mut Vec<u8>) -> Self {
        One { memory: &end.memory, bytes: room(bytes, inline_limit(end)), taken: Taken::Inline(0) }
    }

    #[inline(always)]
    fn taken(self) -> Taken {
        self.taken
    }
}

impl Sink for One<'_> {
    #[inline(always)]
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        block_of(slot)
    }
    #[inline(always)]
    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After {
        let len = read_inline(slot, self.bytes);
        self.memory.prefetch(pos, len + 8);
        self.taken = Taken::Inline(len);
        After::Free
    }
    fn block(&mut self, block: usize, _pos: u64) {
        self.taken = Taken::Block(block);
    }
    fn corrupt(&mut self, what: &'static str) {
        self.taken = Taken::Corrupt(what);
    }
}

/// The bytes of a message that was received; tells senders of the room.
#[inline(always)]
fn encoded<'a>(end: &Endpoint, taken: Taken, bytes: &'a mut Vec<u8>) -> Result<&'a [u8], Unreadable> {
    match taken {
        Taken::Inline(len) => {
            end.told_senders(1);
            Ok(&bytes[..len])
        }
        Taken::Block(block) => Ok(take_block(end, block, bytes)),
        Taken::Corrupt(what) => {
            end.told_senders(1);
            Err(Unreadable::Corrupt(what))
        }
    }
}

impl<T: Serialize + DeserializeOwned> Receive<T> for Rx<T, Typed> {
    #[inline]
    fn recv_now(&self) -> Option<T> {
        let end = &self.end;
        if end.forked() || end.any_unread() {
            return None;
        }
        let mut scratch = Scratch::take();
        let bytes = &mut scratch.0;
        let mut one = One::new(end, bytes);
        end.memory.receive(&end.hand, 1, &mut one).ok()?;
        let taken = one.taken();
        let decoded = match encoded(end, taken, bytes) {
            Ok(bytes) => codec::decode(bytes).map_err(Unreadable::Decode),
            Err(cause) => Err(cause),
        };
        match decoded {
            Ok(message) => Some(message),
            Err(cause) => {
                // Told by `recv`, which is asked next.
                end.unread(cause);
                None
            }
        }
    }

    fn recv(&self, patience: Patience) -> Result<T, RecvTimeoutError> {
        let end = &self.end;
        end.check_unread()?;
        let mut scratch = Scratch::take();
        let bytes = &mut scratch.0;
        let mut one = One::new(end, bytes);
        end.receive(1, patience, &mut one)?;
        let taken = one.taken();
        let encoded = encoded(end, taken, bytes).map_err(RecvTimeoutError::Unreadable)?;
        codec::decode(encoded).map_err(undecodable)
    }

    fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        patience: Patience,
    ) -> Result<usize, RecvTimeoutError> {
        let k = self.end.memory.geometry.max_batch().min(max);
        if k == 0 {
            return Ok(0);
        }
        self.end.check_unread()?;
        let mut pieces = Vec::with_capacity(k);
        let (mut received, mut patience) = (0, patience);
        while received < max {
            pieces.clear();
            let mut scratch = Scratch::take();
            let all = room(&mut scratch.0, k * inline_limit(&self.end));
            let mut sink = Pieces { bytes: all, used: 0, pieces: &mut pieces, corrupt: None };
            let result = self.end.receive(k.min(max - received) as u64, patience, &mut sink);
            if let Some(what) = sink.corrupt {
                self.end.unread(Unreadable::Corrupt(what));
            }
            let result = result.map(|n| {
                self.end.told_senders(n);
                received += decode_all(&self.end, &scratch.0, &pieces, messages);
            });
            match result {
                Ok(()) => patience = Patience::Never,
                Err(_) if received > 0 => break,
                Err(error) => return Err(error),
            }
            // What could not be read is told when there is nothing else to tell, else with the next call.
            if received == 0 {
                self.end.check_unread()?;
            }
        }
        Ok(received)
    }
}

/// Decodes what was received together. A message that does not decode is told later, the others are kept.
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
            Piece::Inline(to) => &bytes[std::mem::replace(&mut begin, to)..to],
            Piece::Block(block) => take_block(end, block, &mut boxed),
        };
        match codec::decode(encoded) {
            Ok(message) => messages.push(message),
            Err(error) => end.unread(Unreadable::Decode(error)),
        }
    }
    messages.len() - before
}

/// What is still to be decoded: if the user's code panics, its blocks go back.
struct Rest<'a> {
    end: &'a Endpoint,
    pieces: std::slice::Iter<'a, Piece>,
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        for piece in self.pieces.by_ref() {
            if let Piece::Block(block) = *piece {
                self.end.return_block(block);
            }
        }
    }
}

/// A message that is lent to us, decoded; dropping it acknowledges the message.
///
/// If this process is killed while it holds the guard, the message is delivered again, to another receiver.
/// The value is this process' own: whatever is done to it stays here.
pub struct Ref<'a, T> {
    value: T,
    hold: Hold<'a>,
}

impl<T> Ref<'_, T> {
    /// How often the message was delivered, this time included. Above 1: an earlier receiver died with it,
    /// and may have acted on it.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.hold.deliveries()
    }

    /// The message; this acknowledges it.
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

impl<T: Serialize + DeserializeOwned> Borrow<T> for Rx<T, Typed> {
    type Ref<'a>
        = Ref<'a, T>
    where
        T: 'a;

    fn recv_ref(&self, patience: Patience) -> Result<Ref<'_, T>, RecvTimeoutError> {
        self.end.check_unread()?;
        let mut borrower = Borrower::new(&self.end, block_of, part);
        self.end.receive(1, patience, &mut borrower)?;
        self.end.told_senders(1);
        let Some(hold) = borrower.held.take() else {
            let what = borrower.corrupt.unwrap_or("nothing was received");
            return Err(RecvTimeoutError::Unreadable(Unreadable::Corrupt(what)));
        };
        let mut scratch = Scratch::take();
        let message = room(&mut scratch.0, hold.len());
        copy::read_bytes(hold.words(), message);
        let value = codec::decode(message);
        // A message that does not decode is acknowledged: it would not for anybody else.
        value.map(|value| Ref { value, hold }).map_err(undecodable)
    }
}
