//! Channels of plain data: messages are copied as they lie, and can be lent in place.
//!
//! `T` is any type whose bytes are its value: `bytemuck::NoUninit + AnyBitPattern`, which
//! bytemuck's derives check. A message of up to 1 KiB lies in the ring itself, a larger one in a
//! block of its own.
//!
//! ```
//! let (tx, rx) = ipc_shm::pod::bounded::<[u64; 8]>(64)?;
//! tx.send([7; 8])?;
//! assert_eq!(rx.recv()?, [7; 8]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Lends references into blocks and slots.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use bytemuck::{AnyBitPattern, NoUninit};
use ipc_core::__private::SendFailure;
use ipc_core::__private::ready::{Claim, ClaimBorrow, ClaimRecv, ClaimSend};
use ipc_core::__private::shape::{self, Shape};
use ipc_core::error::{RecvTimeoutError, SendError, SendManyError, SendTimeoutError};
use ipc_core::route::{Borrow, Loan as LoanRoute, Receive, Transmit};
use ipc_core::{Deadline, Route, Unreadable, Unsendable};
use serde::Deserializer;

use crate::channel::attachment::Kind;
use crate::channel::builder::Builder;
use crate::channel::endpoint::{Endpoint, always_in_block, never_in_block};
use crate::channel::ends::{Codec, Rx, Tx};
use crate::channel::memory::Slot;
use crate::channel::recovery::BlockOf;
use crate::channel::ring::{After, NotYet, Sink};
use crate::copy;
use crate::message::claims::{Room, room_now};
use crate::message::lend::{BorrowSink, LentMessage};
use crate::sync::AtomicU64;

/// The route of plain data through shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Pod;

/// The sending end of a channel of plain data.
pub type Sender<T> = ipc_core::Sender<T, Pod>;
/// The receiving end of a channel of plain data.
pub type Receiver<T> = ipc_core::Receiver<T, Pod>;

/// Plain data: `Copy`, every bit pattern valid, no padding.
pub trait Plain: NoUninit + AnyBitPattern {}
impl<T: NoUninit + AnyBitPattern> Plain for T {}

/// Makes a channel of plain data with room for `capacity` messages.
///
/// The channel is full at exactly `capacity` messages. Everything else is as in [`Builder`], with
/// its defaults.
///
/// # Errors
///
/// As [`Builder::pod`].
pub fn bounded<T: Plain>(capacity: usize) -> io::Result<(Sender<T>, Receiver<T>)> {
    Builder::new(capacity).pod()
}

impl Builder {
    /// Creates a channel of plain data.
    ///
    /// # Errors
    ///
    /// As [`typed`](Builder::typed).
    pub fn pod<T: Plain>(
        &self,
    ) -> io::Result<(ipc_core::Sender<T, Pod>, ipc_core::Receiver<T, Pod>)> {
        let (stride, blocks, largest) = self.one_length(size_of::<T>(), inline::<T>());
        self.make(stride, blocks, largest)
    }
}

/// The size of the largest message that lies in the ring itself.
pub(crate) const INLINE: usize = 1024;

/// Returns whether messages of this type lie in the ring. A slot's payload is aligned to eight
/// bytes.
pub(crate) const fn inline<T>() -> bool {
    size_of::<T>() <= INLINE && align_of::<T>() <= 8
}

const fn block_of<T>() -> BlockOf {
    if inline::<T>() { never_in_block } else { always_in_block }
}

fn part<T>(_slot: Slot<'_>) -> (usize, usize) {
    (0, size_of::<T>())
}

impl<T: Plain> Route<T> for Pod {
    type Tx = Tx<T, Pod>;
    type Rx = Rx<T, Pod>;
}

#[allow(private_interfaces)] // As the trait.
impl<T> Codec<T> for Pod {
    fn kind() -> Kind {
        let slot = if inline::<T>() { size_of::<T>() } else { size_of::<u64>() };
        let least = (slot, size_of::<T>());
        Kind { shape: Shape::plain::<T>("plain data"), block_of: block_of::<T>(), least }
    }

    #[inline(always)]
    fn block_of(slot: Slot<'_>) -> Option<u64> {
        if inline::<T>() { never_in_block(slot) } else { always_in_block(slot) }
    }

    fn trace<'de, D: Deserializer<'de>>(what: &'static str, deserializer: D) -> D::Error {
        shape::plain_end::<T, D>(what, deserializer)
    }
}

impl<T: Plain> Transmit<T> for Tx<T, Pod> {
    #[inline(always)]
    fn send_copy(&self, message: &T, deadline: Deadline) -> Option<Result<(), SendFailure>> {
        let end = &self.end;
        if !inline::<T>()
            || end.forked()
            || end.ring().send(&end.participant, 1, write(end, message)).is_err()
        {
            return Some(send_slow(end, message, deadline));
        }
        end.wake_receivers(1);
        Some(Ok(()))
    }

    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        send_slow(&self.end, &message, deadline).map_err(|failure| failure.with(message))
    }

    fn send_many<I: Iterator<Item = T>>(&self, mut messages: I) -> Result<usize, SendManyError<T>> {
        let mut sent = 0;
        let mut batch = Batch::<T>::new(self.end.memory.geometry.max_batch());
        while batch.fill(&mut messages) {
            while let Some(left) = batch.left() {
                match send_batch(&self.end, left) {
                    Ok(n) => {
                        sent += n;
                        batch.done(n);
                    }
                    Err(failure) => return Err(failure.with_many(sent, left.to_vec())),
                }
            }
        }
        Ok(sent)
    }
}

/// Writes a message into the slot claimed for it.
#[inline(always)]
fn write<T: Plain>(end: &Endpoint, message: &T) -> impl FnMut(Slot<'_>, u64) {
    move |slot, pos| {
        end.prefetch(pos, size_of::<u64>() + size_of::<T>());
        copy::write_value(slot.payload, message);
    }
}

/// Sends a message, waiting if it must.
#[inline(never)]
fn send_slow<T: Plain>(end: &Endpoint, message: &T, deadline: Deadline) -> Result<(), SendFailure> {
    if !inline::<T>() {
        return send_boxed(end, message, deadline);
    }
    if end.forked() {
        return Err(SendFailure::Unsendable(Unsendable::Forked));
    }
    let attempt = || end.ring().send(&end.participant, 1, write(end, message));
    match attempt() {
        Ok(_) => {}
        Err(NotYet::Closed) => return Err(SendFailure::Disconnected),
        Err(NotYet::Busy) => {
            end.send_slow(deadline, attempt)?;
        }
    }
    end.wake_receivers(1);
    Ok(())
}

/// Sends a message that is too large for a slot, by writing it to a block first.
fn send_boxed<T: Plain>(
    end: &Endpoint,
    message: &T,
    deadline: Deadline,
) -> Result<(), SendFailure> {
    let (block, words) = end.loan(size_of::<T>(), deadline)?;
    copy::write_value(words, message);
    end.send_block(block, block as u64, deadline).inspect_err(|_| end.return_block(block))
}

/// Sends as many messages as there is room for, at least one, and returns how many.
fn send_batch<T: Plain>(end: &Endpoint, messages: &[T]) -> Result<usize, SendFailure> {
    if !inline::<T>() {
        send_boxed(end, &messages[0], Deadline::Never)?;
        return Ok(1);
    }
    if end.forked() {
        return Err(SendFailure::Unsendable(Unsendable::Forked));
    }
    let k = messages.len() as u64;
    let attempt = || {
        let mut next = messages.iter();
        end.ring().send(&end.participant, k, |slot, pos| {
            end.prefetch(pos, 8 + size_of::<T>());
            if let Some(message) = next.next() {
                copy::write_value(slot.payload, message);
            }
        })
    };
    let sent = match attempt() {
        Ok(sent) => sent,
        Err(_) => end.send_slow(Deadline::Never, attempt)?,
    };
    end.wake_receivers(sent);
    Ok(sent as usize)
}

/// Messages taken from an iterator before slots are claimed for them.
///
/// So no code of the user runs between the claim and the publication.
struct Batch<T> {
    messages: Vec<T>,
    sent: usize,
    most: usize,
}

impl<T: Copy> Batch<T> {
    fn new(most: usize) -> Self {
        Batch { messages: Vec::with_capacity(most), sent: 0, most }
    }

    fn fill(&mut self, from: &mut impl Iterator<Item = T>) -> bool {
        self.messages.clear();
        self.sent = 0;
        self.messages.extend(from.take(self.most));
        !self.messages.is_empty()
    }

    fn left(&self) -> Option<&[T]> {
        let left = &self.messages[self.sent..];
        (!left.is_empty()).then_some(left)
    }

    fn done(&mut self, n: usize) {
        self.sent += n;
    }
}

/// A destination for received values.
trait Put<T> {
    fn put(&mut self, value: T);
}

impl<T> Put<T> for &mut T {
    #[inline(always)]
    fn put(&mut self, value: T) {
        **self = value;
    }
}

impl<T> Put<T> for &mut Vec<T> {
    #[inline(always)]
    fn put(&mut self, value: T) {
        // Room for it was reserved before the claim.
        self.push(value);
    }
}

/// Copies messages out of their slots.
struct Read<'a, T, V> {
    end: &'a Endpoint,
    values: V,
    /// Why the only received message could not be read.
    unread: Option<Unreadable>,
    _messages: PhantomData<T>,
}

impl<'a, T, V> Read<'a, T, V> {
    #[inline(always)]
    fn new(end: &'a Endpoint, values: V) -> Self {
        Read { end, values, unread: None, _messages: PhantomData }
    }
}

impl<T: Plain, V: Put<T>> Sink for Read<'_, T, V> {
    #[inline(always)]
    fn block_of(&self, _slot: Slot<'_>) -> Option<u64> {
        None
    }
    #[inline(always)]
    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After {
        self.end.prefetch(pos, 8 + size_of::<T>());
        self.values.put(copy::take_value(slot.payload));
        After::Free
    }
    /// Copies a message that was lent in a block, and whose borrower died. Such a message is
    /// received alone.
    fn block(&mut self, block: usize, _pos: u64) {
        match self.end.lent(block, size_of::<T>()) {
            Ok(words) => {
                self.values.put(copy::read_value(words));
                self.end.return_block(block);
            }
            Err(cause) => {
                if let Unreadable::Corrupt(what) = cause {
                    self.corrupt(what);
                }
                self.unread = Some(cause);
            }
        }
    }
    fn corrupt(&mut self, what: &'static str) {
        self.end.attachment.found_corrupt(what);
    }
}

impl<T: Plain> Receive<T> for Rx<T, Pod> {
    #[inline(always)]
    fn recv_now(&self) -> Option<T> {
        if !inline::<T>() || self.end.forked() {
            return None;
        }
        let mut value = T::zeroed();
        let mut read = Read::<T, _>::new(&self.end, &mut value);
        if self.end.ring().receive(&self.end.participant, 1, &mut read).is_err()
            || read.unread.is_some()
        {
            // The caller tries `recv` next, which finds the same.
            return None;
        }
        self.end.wake_senders(1);
        Some(value)
    }

    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        if !inline::<T>() {
            return self.recv_ref(deadline).map(|lent| lent.copied());
        }
        let mut value = T::zeroed();
        let mut read = Read::<T, _>::new(&self.end, &mut value);
        self.end.receive(1, deadline, &mut read)?;
        if let Some(cause) = read.unread {
            return Err(RecvTimeoutError::Unreadable(cause));
        }
        self.end.wake_senders(1);
        Ok(value)
    }

    fn recv_many(
        &self,
        messages: &mut Vec<T>,
        max: usize,
        deadline: Deadline,
    ) -> Result<usize, RecvTimeoutError> {
        if max == 0 || !inline::<T>() {
            return self.recv_each(messages, max, deadline);
        }
        let most = self.end.memory.geometry.max_batch();
        let (mut received, mut deadline) = (0, deadline);
        while received < max {
            let k = most.min(max - received);
            messages.reserve(k);
            let mut read = Read::<T, _>::new(&self.end, &mut *messages);
            let result = self.end.receive(k as u64, deadline, &mut read);
            let unread = read.unread.take();
            match unread.map_or(result, |cause| Err(RecvTimeoutError::Unreadable(cause))) {
                Ok(n) => {
                    self.end.wake_senders(n);
                    received += n as usize;
                }
                Err(_) if received > 0 => break,
                Err(error) => return Err(error),
            }
            // Messages that are there belong to this call. It does not wait for more.
            deadline = Deadline::Now;
        }
        Ok(received)
    }
}

/// A message of plain data that is lent to this process. Its drop acknowledges the message.
///
/// The message is read in place. If this process is killed while it holds the guard, the message is
/// delivered again.
///
/// The memory is shared. While the message is lent, peers that keep the protocol do not change it,
/// and everything that goes through this crate keeps it. A peer that writes where it must not can
/// change the message under the reference. Where you cannot trust the peers, use only
/// [`copied`](Ref::copied) or `recv`.
pub struct Ref<'a, T> {
    lent: LentMessage<'a>,
    _message: PhantomData<&'a T>,
}

impl<T: Plain> Ref<'_, T> {
    /// Returns how often the message was delivered, including this time.
    ///
    /// Above 1, an earlier receiver died with the message, and may have acted on it.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.lent.deliveries()
    }

    /// Returns a copy of the message, and acknowledges it.
    ///
    /// The copy is made without a reference to shared memory.
    #[must_use]
    pub fn copied(self) -> T {
        copy::read_value(self.lent.words())
    }
}

impl<T: Plain> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        let words = self.lent.words();
        assert!(size_of_val(words) >= size_of::<T>(), "a message fits where it lies");
        let message = words.as_ptr().cast::<T>();
        assert!(
            message.is_aligned(),
            "blocks are aligned to pages, inline messages need no more than words"
        );
        // SAFETY: initialised memory of at least this size lies there, aligned, checked above, for
        // as long as the message is lent. Any bytes are a `T` (`AnyBitPattern`). It does not change
        // while it is lent: its state is Lent or Reading by this process, and only the owner of a
        // block or slot writes there (RING-I4, RING-I6). A peer that breaks this violates the
        // type's contract, above.
        unsafe { &*message }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Plain> Borrow<T> for Rx<T, Pod> {
    type Ref<'a>
        = Ref<'a, T>
    where
        T: 'a;

    fn recv_ref(&self, deadline: Deadline) -> Result<Ref<'_, T>, RecvTimeoutError> {
        let mut sink = BorrowSink::new(&self.end, block_of::<T>(), part::<T>, Some(size_of::<T>()));
        self.end.receive(1, deadline, &mut sink)?;
        self.end.wake_senders(1);
        match sink.held.take() {
            Some(lent) => Ok(Ref { lent, _message: PhantomData }),
            None => Err(RecvTimeoutError::Unreadable(sink.unreadable())),
        }
    }
}

/// The place of a message to be sent. If it is dropped unsent, nothing is sent.
///
/// It holds the bytes that were there before. As with [`Ref`], only this process accesses it, as
/// long as the peers keep the protocol. [`write`](Loan::write) copies into it without a reference
/// to shared memory.
pub struct Loan<'a, T> {
    end: &'a Endpoint,
    block: usize,
    words: &'a [AtomicU64],
    _message: PhantomData<&'a mut T>,
}

impl<T: Plain> Loan<'_, T> {
    /// Copies a message into the place.
    pub fn write(&mut self, message: &T) {
        copy::write_value(self.words, message);
    }

    /// Sends the message. Blocks until there is room.
    ///
    /// The receiver can read it in place.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`](ipc_core::Sender::send). The error holds the loan.
    pub fn send(self) -> Result<(), SendError<Self>> {
        let sent = if inline::<T>() {
            self.send_inline()
        } else {
            self.end.send_block(self.block, self.block as u64, Deadline::Never)
        };
        match sent {
            Ok(()) => {
                if !inline::<T>() {
                    // The block is the message now.
                    std::mem::forget(self);
                }
                Ok(())
            }
            Err(SendFailure::Unsendable(cause)) => Err(SendError::Unsendable(self, cause)),
            Err(_) => Err(SendError::Disconnected(self)),
        }
    }

    /// Copies a message that belongs into a slot there. The block is returned.
    fn send_inline(&self) -> Result<(), SendFailure> {
        let message = copy::read_value::<T>(self.words);
        send_batch(self.end, &[message]).map(drop)
    }
}

impl<T: Plain> Loan<'_, T> {
    fn place(&self) -> *mut T {
        assert!(
            size_of_val(self.words) >= size_of::<T>() && align_of::<T>() <= crate::layout::PAGE
        );
        self.words.as_ptr().cast::<T>().cast_mut()
    }
}

impl<T: Plain> Deref for Loan<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `place` checks that it is large enough and aligned to a page. It is mapped as
        // long as the endpoint lives. Any bytes are a `T`. The block is Held by this process, so no
        // other process reads or writes it (RING-I6).
        unsafe { &*self.place() }
    }
}

impl<T: Plain> DerefMut for Loan<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as `deref`. And `&mut self` is the only way to it in this process, since a block
        // is loaned to one loan at a time (CAS Free -> Held).
        unsafe { &mut *self.place() }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Loan<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Drop for Loan<'_, T> {
    fn drop(&mut self) {
        if !self.end.forked() {
            self.end.return_block(self.block);
        }
    }
}

impl<T: Plain> LoanRoute<T> for Tx<T, Pod> {
    type Size = ();
    type Loan<'a>
        = Loan<'a, T>
    where
        T: 'a;

    fn loan(&self, (): (), deadline: Deadline) -> Result<Loan<'_, T>, SendTimeoutError<()>> {
        let (block, words) =
            self.end.loan(size_of::<T>().max(1), deadline).map_err(|failure| failure.with(()))?;
        Ok(Loan { end: &self.end, block, words, _message: PhantomData })
    }
}

impl<T: Plain> ClaimSend<T> for Tx<T, Pod> {
    fn send_claimed(&self, claim: Claim, message: T) -> Result<(), SendTimeoutError<T>> {
        let end = &self.end;
        let send = || {
            let room = Room::claimed(end, claim)?;
            if inline::<T>() {
                room.send_inline(|slot| copy::write_value(slot.payload, &message));
                return Ok(());
            }
            match end.loan(size_of::<T>(), Deadline::Now) {
                Ok((block, words)) => {
                    copy::write_value(words, &message);
                    room.send_block(block, block as u64);
                    Ok(())
                }
                Err(SendFailure::Timeout) => {
                    // All blocks are in use: it waits without the slot.
                    drop(room);
                    send_boxed(end, &message, Deadline::Never)
                }
                Err(failure) => Err(failure),
            }
        };
        send().map_err(|failure: SendFailure| failure.with(message))
    }

    fn send_now(&self, message: T) -> Result<(), SendTimeoutError<T>> {
        let end = &self.end;
        let sent = if inline::<T>() {
            room_now(end)
                .map(|room| room.send_inline(|slot| copy::write_value(slot.payload, &message)))
        } else {
            send_boxed(end, &message, Deadline::Now)
        };
        sent.map_err(|failure| failure.with(message))
    }
}

impl<T: Plain> ClaimRecv<T> for Rx<T, Pod> {
    fn recv_claimed(&self, claim: Claim) -> Result<T, RecvTimeoutError> {
        Ok(self.recv_ref_claimed(claim)?.copied())
    }
}

impl<T: Plain> ClaimBorrow<T> for Rx<T, Pod> {
    fn recv_ref_claimed(&self, claim: Claim) -> Result<Ref<'_, T>, RecvTimeoutError> {
        let lent = LentMessage::claimed(&self.end, claim, part::<T>, Some(size_of::<T>()))?;
        Ok(Ref { lent, _message: PhantomData })
    }
}
