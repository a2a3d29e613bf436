//! Messages of any length: bytes in a slot, or in a block.
//!
//! The first word of a slot's payload says which: either the length of the message behind it, or
//! the number of its block with the top bit set.

use std::cell::Cell;

use ipc_core::__private::SendFailure;
use ipc_core::{Deadline, Unreadable, Unsendable};

use crate::channel::endpoint::Endpoint;
use crate::channel::memory::Slot;
use crate::channel::ring::{After, Sink};
use crate::copy;
use crate::sync::Ordering::Relaxed;

/// The bit in the first word of a slot's payload that marks the rest as a block's number.
pub(crate) const IN_BLOCK: u64 = 1 << 63;

pub(crate) fn block_of(slot: Slot<'_>) -> Option<u64> {
    let header = slot.payload[0].load(Relaxed); // Relaxed: after the slot's Acquire, RING-E1.
    (header & IN_BLOCK != 0).then_some(header & !IN_BLOCK)
}

/// Returns the part of a payload behind the header.
///
/// It has no more bytes than the slot, whatever a peer wrote.
pub(crate) fn part(slot: Slot<'_>) -> (usize, usize) {
    let len = slot.payload[0].load(Relaxed); // Relaxed: as above.
    (1, usize::try_from(len).unwrap_or(usize::MAX).min(size_of_val(&slot.payload[1..])))
}

thread_local! {
    /// The bytes of a message that is encoded or decoded. They are kept from one message to the
    /// next, and never shortened, so bytes behind the present message mean nothing.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The most bytes that are kept: enough for a message of a mebibyte, and what wraps it.
const KEPT: usize = 2 << 20;

/// The thread's scratch bytes, returned when dropped.
///
/// Nested uses, in a user's `Serialize`, get fresh ones.
pub(crate) struct Scratch(pub(crate) Vec<u8>);

impl Scratch {
    #[inline(always)]
    pub(crate) fn take() -> Scratch {
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

/// Returns `len` bytes of scratch, and makes it longer if needed.
#[inline]
pub(crate) fn room(bytes: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if bytes.len() < len {
        bytes.resize(len, 0);
    }
    &mut bytes[..len]
}

/// Writes an encoded message into a slot.
#[inline]
pub(crate) fn write_inline(slot: Slot<'_>, bytes: &[u8]) {
    slot.payload[0].store(bytes.len() as u64, Relaxed); // Relaxed: RING-E1 publishes it.
    copy::write_bytes(&slot.payload[1..], bytes);
}

/// Returns the most bytes that a message in a slot has.
pub(crate) fn inline_limit(end: &Endpoint) -> usize {
    end.memory.geometry.stride - 16
}

/// Sends an encoded message, in its slot or in a block.
#[inline]
pub(crate) fn send_bytes(
    end: &Endpoint,
    bytes: &[u8],
    deadline: Deadline,
) -> Result<(), SendFailure> {
    if bytes.len() > inline_limit(end) {
        return send_boxed(end, bytes, deadline);
    }
    if end.forked() {
        return Err(SendFailure::Unsendable(Unsendable::Forked));
    }
    let attempt = || {
        end.ring().send(&end.participant, 1, |slot, pos| {
            end.prefetch(pos, 16 + bytes.len());
            write_inline(slot, bytes);
        })
    };
    if attempt().is_err() {
        end.send_slow(deadline, attempt)?;
    }
    end.wake_receivers(1);
    Ok(())
}

pub(crate) fn send_boxed(
    end: &Endpoint,
    bytes: &[u8],
    deadline: Deadline,
) -> Result<(), SendFailure> {
    let (block, words) = end.loan(bytes.len(), deadline)?;
    copy::write_bytes(words, bytes);
    end.send_block(block, IN_BLOCK | block as u64, deadline)
        .inspect_err(|_| end.return_block(block))
}

/// Sends encoded messages that fit in slots, which end at `ends` in `bytes`.
pub(crate) fn send_run(
    end: &Endpoint,
    bytes: &[u8],
    ends: &[usize],
    done: &mut usize,
) -> Result<(), SendFailure> {
    if end.forked() {
        return Err(SendFailure::Unsendable(Unsendable::Forked));
    }
    let mut sent = 0;
    while sent < ends.len() {
        let attempt = || {
            let mut i = sent;
            end.ring().send(&end.participant, (ends.len() - sent) as u64, |slot, pos| {
                let begin = if i == 0 { 0 } else { ends[i - 1] };
                end.prefetch(pos, 16 + ends[i] - begin);
                write_inline(slot, &bytes[begin..ends[i]]);
                i += 1;
            })
        };
        let n = match attempt() {
            Ok(n) => n,
            Err(_) => end.send_slow(Deadline::Never, attempt)?,
        };
        end.wake_receivers(n);
        sent += n as usize;
        *done += n as usize;
    }
    Ok(())
}

/// Receives encoded messages.
///
/// It copies inline messages into `bytes`, which has room for all. Messages in blocks stay there
/// for now.
pub(crate) struct Pieces<'a> {
    pub(crate) end: &'a Endpoint,
    pub(crate) bytes: &'a mut [u8],
    pub(crate) used: usize,
    pub(crate) pieces: &'a mut Vec<Piece>,
    pub(crate) corrupt: Option<&'static str>,
}

#[derive(Clone, Copy)]
pub(crate) enum Piece {
    /// An inline message, which ends here in `bytes`.
    Inline(usize),
    Block(usize),
}

impl Sink for Pieces<'_> {
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        block_of(slot)
    }
    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After {
        let len = read_inline(slot, &mut self.bytes[self.used..]);
        self.end.prefetch(pos, 16 + len);
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

/// Copies a message out of its slot, which is about to be freed, and returns its length.
#[inline(always)]
pub(crate) fn read_inline(slot: Slot<'_>, bytes: &mut [u8]) -> usize {
    let (skip, len) = part(slot);
    copy::read_bytes(&slot.payload[skip..], &mut bytes[..len]);
    copy::touch_lines(slot.payload, skip + copy::words(len));
    len
}

/// Copies the message out of a block that is lent to this process, and acknowledges it.
///
/// # Errors
///
/// If its bytes cannot be reached (see [`Endpoint::lent`]), or there is no memory to copy them to.
pub(crate) fn take_block<'a>(
    end: &Endpoint,
    block: usize,
    bytes: &'a mut Vec<u8>,
) -> Result<&'a [u8], Unreadable> {
    let len = end.pool().len(block);
    let lent = end.lent(block, len)?;
    if bytes.try_reserve(len.saturating_sub(bytes.len())).is_err() {
        return Err(end.no_memory_for(block));
    }
    let message = room(bytes, len);
    copy::own_lines(lent);
    copy::read_bytes(lent, message);
    end.return_block(block);
    Ok(message)
}

/// Receives one encoded message.
pub(crate) struct One<'a> {
    end: &'a Endpoint,
    bytes: &'a mut [u8],
    taken: Taken,
}

/// Where a received message is.
#[derive(Clone, Copy)]
pub(crate) enum Taken {
    /// Its bytes were copied. This is their number.
    Inline(usize),
    /// It is lent to this process, in this block.
    Block(usize),
    Corrupt(&'static str),
}

impl<'a> One<'a> {
    #[inline(always)]
    pub(crate) fn new(end: &'a Endpoint, bytes: &'a mut [u8]) -> Self {
        One { end, bytes, taken: Taken::Inline(0) }
    }

    /// Returns the block in which the message is lent, if it is.
    pub(crate) fn block(&self) -> Option<usize> {
        match self.taken {
            Taken::Block(block) => Some(block),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn taken(self) -> Taken {
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
        self.end.prefetch(pos, 16 + len);
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

/// Returns the bytes of a received message, and wakes senders that wait for room.
#[inline(always)]
pub(crate) fn encoded<'a>(
    end: &Endpoint,
    taken: Taken,
    bytes: &'a mut Vec<u8>,
) -> Result<&'a [u8], Unreadable> {
    match taken {
        Taken::Inline(len) => {
            end.wake_senders(1);
            Ok(&bytes[..len])
        }
        Taken::Block(block) => take_block(end, block, bytes),
        Taken::Corrupt(what) => {
            end.wake_senders(1);
            Err(Unreadable::Corrupt(what))
        }
    }
}

/// The messages still to be decoded. If the user's code panics, their blocks are returned.
pub(crate) struct Rest<'a> {
    pub(crate) end: &'a Endpoint,
    pub(crate) pieces: std::slice::Iter<'a, Piece>,
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
