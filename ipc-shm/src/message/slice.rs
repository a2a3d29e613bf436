//! Channels of slices: each message is any number of elements of plain data.
//!
//! Short messages lie in the ring. Longer ones lie in a block of their own, where they can be
//! written and read in place. A message is a `Vec<E>` to a program that wants it copied.
//! [`bytes`](crate::message::bytes) is the same for `u8`.
//!
//! ```
//! let (tx, rx) = ipc_shm::slice::bounded::<f32>(8)?;
//! tx.send(vec![1.0, 2.5])?;
//! let mut samples = tx.loan_slice(48_000)?;
//! samples.fill(0.5);
//! // The error holds the loan, and so a borrow.
//! samples.send().map_err(|error| error.to_string())?;
//! assert_eq!(rx.recv()?, [1.0, 2.5]);
//! assert_eq!(rx.recv_ref()?.iter().sum::<f32>(), 24_000.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Lends references into blocks and slots.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use ipc_core::__private::SendFailure;
use ipc_core::__private::ready::{Claim, ClaimBorrow, ClaimRecv, ClaimSend};
use ipc_core::__private::shape::{self, Shape};
use ipc_core::CodecError;
use ipc_core::error::{RecvTimeoutError, SendError, SendTimeoutError};
use ipc_core::route::{Borrow, Loan as LoanRoute, Receive, Transmit};
use ipc_core::{Deadline, Route, Unreadable};
use serde::Deserializer;

use crate::channel::attachment::Kind;
use crate::channel::builder::Builder;
use crate::channel::endpoint::Endpoint;
use crate::channel::ends::{Codec, Rx, Tx};
use crate::channel::memory::Slot;
use crate::copy;
use crate::message::claims::{Room, send_bytes_now};
use crate::message::lend::{BorrowSink, LentMessage};
use crate::message::pod::Plain;
use crate::message::wire::{
    IN_BLOCK, One, Scratch, block_of, encoded, inline_limit, part, room, send_bytes,
};
use crate::sync::AtomicU64;

/// The route of slices through shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Slices;

/// The sending end of a channel of slices.
pub type Sender<E> = ipc_core::Sender<Vec<E>, Slices>;
/// The receiving end of a channel of slices.
pub type Receiver<E> = ipc_core::Receiver<Vec<E>, Slices>;

/// Makes a channel of slices with room for `capacity` messages.
///
/// Everything else is as in [`Builder`], with its defaults.
///
/// # Errors
///
/// As [`Builder::slices`].
pub fn bounded<E: Plain>(capacity: usize) -> io::Result<(Sender<E>, Receiver<E>)> {
    Builder::new(capacity).slices()
}

impl Builder {
    /// Creates a channel of slices of plain data. See the [module](self).
    ///
    /// # Errors
    ///
    /// As [`typed`](Builder::typed).
    pub fn slices<E: Plain>(&self) -> io::Result<(Sender<E>, Receiver<E>)> {
        let (stride, blocks, largest) = self.any_length();
        self.make(stride, blocks, largest)
    }
}

/// Checks that elements may lie at any multiple of eight bytes, and take room.
struct Fits<E>(PhantomData<E>);

impl<E> Fits<E> {
    const CHECKED: () = assert!(
        align_of::<E>() <= 8 && size_of::<E>() > 0,
        "elements of a slice channel take at least a byte, and are aligned to at most eight"
    );
}

impl<E: Plain> Route<Vec<E>> for Slices {
    type Tx = Tx<Vec<E>, Slices>;
    type Rx = Rx<Vec<E>, Slices>;
}

#[allow(private_interfaces)] // As the trait.
impl<E> Codec<Vec<E>> for Slices {
    fn kind() -> Kind {
        let () = Fits::<E>::CHECKED;
        Kind { shape: Shape::plain::<E>("slices of"), block_of, least: (size_of::<u64>(), 1) }
    }

    #[inline(always)]
    fn block_of(slot: Slot<'_>) -> Option<u64> {
        block_of(slot)
    }

    fn trace<'de, D: Deserializer<'de>>(what: &'static str, deserializer: D) -> D::Error {
        shape::plain_end::<E, D>(what, deserializer)
    }
}

impl<E: Plain> Transmit<Vec<E>> for Tx<Vec<E>, Slices> {
    fn send(&self, message: Vec<E>, deadline: Deadline) -> Result<(), SendTimeoutError<Vec<E>>> {
        let bytes = bytemuck::cast_slice::<E, u8>(&message);
        // A slot may have room for a longer message.
        let fits = self.end.fits(bytes.len());
        fits.and_then(|()| send_bytes(&self.end, bytes, deadline))
            .map_err(|failure| failure.with(message))
    }
}

/// The error for a length that is no whole number of elements, which a peer has written.
const RAGGED: RecvTimeoutError =
    RecvTimeoutError::Unreadable(Unreadable::Decode(CodecError::Truncated));

impl<E: Plain> Receive<Vec<E>> for Rx<Vec<E>, Slices> {
    fn recv(&self, deadline: Deadline) -> Result<Vec<E>, RecvTimeoutError> {
        let end = &self.end;
        let mut scratch = Scratch::take();
        // Only a message from a slot passes through the scratch bytes.
        let mut one = One::new(end, room(&mut scratch.0, inline_limit(end)));
        end.receive(1, deadline, &mut one)?;
        if let Some(block) = one.block() {
            let lent = LentMessage::of_block(end, block, end.pool().len(block));
            let message = Ref::<E>::new(lent.map_err(RecvTimeoutError::Unreadable)?)?;
            return Ok(message.to_vec_copied());
        }
        let taken = one.taken();
        let bytes = encoded(end, taken, &mut scratch.0).map_err(RecvTimeoutError::Unreadable)?;
        if bytes.len() % size_of::<E>() != 0 {
            return Err(RAGGED);
        }
        let mut message = vec![E::zeroed(); bytes.len() / size_of::<E>()];
        bytemuck::cast_slice_mut::<E, u8>(&mut message).copy_from_slice(bytes);
        Ok(message)
    }
}

/// A slice that is lent to this process. Its drop acknowledges the message.
///
/// The slice is read in place. If this process is killed while it holds the guard, the message is
/// delivered again.
///
/// The memory is shared. While the message is lent, peers that keep the protocol do not change it,
/// and everything that goes through this crate keeps it. A peer that writes where it must not can
/// change the message under the reference. Where you cannot trust the peers, use only
/// [`to_vec_copied`](Ref::to_vec_copied) or `recv`. A forked child must not access it, because it
/// has no mapping of the memory.
pub struct Ref<'a, E> {
    lent: LentMessage<'a>,
    len: usize,
    _elements: PhantomData<&'a [E]>,
}

impl<'a, E: Plain> Ref<'a, E> {
    fn new(lent: LentMessage<'a>) -> Result<Self, RecvTimeoutError> {
        // Read once: a peer may change it.
        let bytes = lent.len();
        if bytes % size_of::<E>() != 0 {
            return Err(RAGGED);
        }
        Ok(Ref { lent, len: bytes / size_of::<E>(), _elements: PhantomData })
    }

    /// Returns how often the message was delivered, including this time.
    ///
    /// Above 1, an earlier receiver died with the message, and may have acted on it.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.lent.deliveries()
    }

    /// Returns a copy of the message, made without a reference to shared memory.
    #[must_use]
    pub fn to_vec_copied(&self) -> Vec<E> {
        copy::read_vec(self.lent.words(), self.len)
    }
}

impl<E: Plain> Deref for Ref<'_, E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        let words = self.lent.words();
        assert!(size_of_val(words) >= self.len * size_of::<E>(), "a message fits where it lies");
        // SAFETY: so many bytes of initialised memory lie there, checked above, for as long as the
        // message is lent. They are aligned to eight, as `Fits` requires. Any bytes are elements
        // (`AnyBitPattern`). They do not change while they are lent: only the owner of a block or
        // slot writes there (RING-I4, RING-I6), and that is this process. A peer that breaks this
        // violates the type's contract, above.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), self.len) }
    }
}

impl<E: Plain + fmt::Debug> fmt::Debug for Ref<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<E: Plain> Borrow<Vec<E>> for Rx<Vec<E>, Slices> {
    type Ref<'a>
        = Ref<'a, E>
    where
        E: 'a;

    fn recv_ref(&self, deadline: Deadline) -> Result<Ref<'_, E>, RecvTimeoutError> {
        let mut sink = BorrowSink::new(&self.end, block_of, part, None);
        self.end.receive(1, deadline, &mut sink)?;
        self.end.wake_senders(1);
        match sink.held.take() {
            Some(lent) => Ref::new(lent),
            None => Err(RecvTimeoutError::Unreadable(sink.unreadable())),
        }
    }
}

/// The place of a slice to be sent. If it is dropped unsent, nothing is sent.
///
/// It holds the bytes that were there before. As with [`Ref`], only this process accesses it, as
/// long as the peers keep the protocol. [`write`](Loan::write) copies into it without a reference
/// to shared memory.
pub struct Loan<'a, E> {
    end: &'a Endpoint,
    block: usize,
    words: &'a [AtomicU64],
    len: usize,
    _elements: PhantomData<&'a mut [E]>,
}

impl<E: Plain> Loan<'_, E> {
    /// Copies elements into the place, from its beginning.
    ///
    /// # Panics
    ///
    /// If the number of elements is not the one that the loan was made for.
    pub fn write(&mut self, elements: &[E]) {
        assert_eq!(elements.len(), self.len, "as many elements as the loan is for");
        copy::write_bytes(self.words, bytemuck::cast_slice::<E, u8>(elements));
    }

    /// Sends the slice. Blocks until there is room.
    ///
    /// The receiver can read it in place.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`](ipc_core::Sender::send). The error holds the loan.
    pub fn send(self) -> Result<(), SendError<Self>> {
        let header = IN_BLOCK | self.block as u64;
        match self.end.send_block(self.block, header, Deadline::Never) {
            Ok(()) => {
                // The block is the message now.
                std::mem::forget(self);
                Ok(())
            }
            Err(SendFailure::Unsendable(cause)) => Err(SendError::Unsendable(self, cause)),
            Err(_) => Err(SendError::Disconnected(self)),
        }
    }

    fn place(&self) -> *mut E {
        assert!(
            size_of_val(self.words) >= self.len * size_of::<E>(),
            "the block was asked for its size"
        );
        self.words.as_ptr().cast::<E>().cast_mut()
    }
}

impl<E: Plain> Deref for Loan<'_, E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        // SAFETY: `place` checks that it is long enough and aligned to a page. It is mapped as long
        // as the endpoint lives. Any bytes are elements. The block is Held by this process, so no
        // other process reads or writes it (RING-I6).
        unsafe { std::slice::from_raw_parts(self.place(), self.len) }
    }
}

impl<E: Plain> DerefMut for Loan<'_, E> {
    fn deref_mut(&mut self) -> &mut [E] {
        // SAFETY: as `deref`. And `&mut self` is the only way to it in this process, since a block
        // is loaned to one loan at a time (CAS Free -> Held).
        unsafe { std::slice::from_raw_parts_mut(self.place(), self.len) }
    }
}

impl<E: Plain + fmt::Debug> fmt::Debug for Loan<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<E> Drop for Loan<'_, E> {
    fn drop(&mut self) {
        if !self.end.forked() {
            self.end.return_block(self.block);
        }
    }
}

impl<E: Plain> LoanRoute<Vec<E>> for Tx<Vec<E>, Slices> {
    type Size = usize;
    type Loan<'a>
        = Loan<'a, E>
    where
        E: 'a;

    fn loan(&self, len: usize, deadline: Deadline) -> Result<Loan<'_, E>, SendTimeoutError<()>> {
        let bytes = len.saturating_mul(size_of::<E>());
        let (block, words) = self.end.loan(bytes, deadline).map_err(|failure| failure.with(()))?;
        Ok(Loan { end: &self.end, block, words, len, _elements: PhantomData })
    }
}

impl<E: Plain> ClaimSend<Vec<E>> for Tx<Vec<E>, Slices> {
    fn send_claimed(&self, claim: Claim, message: Vec<E>) -> Result<(), SendTimeoutError<Vec<E>>> {
        let bytes = bytemuck::cast_slice::<E, u8>(&message);
        let send = || {
            let room = Room::claimed(&self.end, claim)?;
            self.end.fits(bytes.len())?;
            room.send_bytes(bytes)
        };
        send().map_err(|failure: SendFailure| failure.with(message))
    }

    fn send_now(&self, message: Vec<E>) -> Result<(), SendTimeoutError<Vec<E>>> {
        let bytes = bytemuck::cast_slice::<E, u8>(&message);
        let sent = self.end.fits(bytes.len()).and_then(|()| send_bytes_now(&self.end, bytes));
        sent.map_err(|failure: SendFailure| failure.with(message))
    }
}

impl<E: Plain> ClaimRecv<Vec<E>> for Rx<Vec<E>, Slices> {
    fn recv_claimed(&self, claim: Claim) -> Result<Vec<E>, RecvTimeoutError> {
        Ok(self.recv_ref_claimed(claim)?.to_vec_copied())
    }
}

impl<E: Plain> ClaimBorrow<Vec<E>> for Rx<Vec<E>, Slices> {
    fn recv_ref_claimed(&self, claim: Claim) -> Result<Ref<'_, E>, RecvTimeoutError> {
        Ref::new(LentMessage::claimed(&self.end, claim, part, None)?)
    }
}
