//! Lent messages: each stays in place until its guard is dropped.

use crate::sync::Ordering;

use ipc_core::__private::ready::Claim;
use ipc_core::{RecvTimeoutError, Unreadable};

use crate::channel::endpoint::Endpoint;
use crate::channel::memory::Slot;
use crate::channel::recovery::BlockOf;
use crate::channel::ring::{After, Sink};
use crate::copy::own_lines;
use crate::message::claims::place;
use crate::sync::AtomicU64;

/// A message that is lent to this process, in a block, or, if no block was free, in its slot.
pub(crate) struct LentMessage<'a> {
    end: &'a Endpoint,
    /// The length of the message, and where it lies. Read once, because a peer may write another
    /// place.
    len: usize,
    words: &'a [AtomicU64],
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    Block(usize),
    Slot { pos: u64, deliveries: u64 },
}

impl<'a> LentMessage<'a> {
    /// Returns the message of `len` bytes in a block.
    ///
    /// The block is lent to this process, and is about to be read.
    ///
    /// # Errors
    ///
    /// As [`Endpoint::lent`].
    pub(crate) fn of_block(
        end: &'a Endpoint,
        block: usize,
        len: usize,
    ) -> Result<LentMessage<'a>, Unreadable> {
        let words = end.lent(block, len)?;
        own_lines(words);
        Ok(LentMessage { end, len, words, place: Place::Block(block) })
    }

    /// Returns the message that a claim of `end` names, in the part of a slot that `part` finds, or
    /// in a block. `size` is the size of each message, if all have the same.
    ///
    /// # Errors
    ///
    /// If there is no message, or as [`of_block`](LentMessage::of_block).
    pub(crate) fn claimed(
        end: &'a Endpoint,
        claim: Claim,
        part: Part,
        size: Option<usize>,
    ) -> Result<LentMessage<'a>, RecvTimeoutError> {
        if end.forked() {
            return Err(RecvTimeoutError::Unreadable(Unreadable::Forked));
        }
        match claim {
            Claim::Place(block, place::BLOCK) => {
                let block = block as usize;
                let len = size.unwrap_or_else(|| end.pool().len(block));
                LentMessage::of_block(end, block, len).map_err(RecvTimeoutError::Unreadable)
            }
            Claim::Place(pos, again) => {
                // The guard may live long, and the handle claims other messages meanwhile.
                end.ring().sign_own_reading(pos, end.participant.id);
                let slot = end.memory.slot(pos);
                let (skip, len) = part(slot);
                let deliveries = if again == place::SLOT_AGAIN { 2 } else { 1 };
                let place = Place::Slot { pos, deliveries };
                Ok(LentMessage { end, len, words: &slot.payload[skip..], place })
            }
            Claim::Unreadable(cause) => Err(RecvTimeoutError::Unreadable(*cause)),
            _ => Err(RecvTimeoutError::Disconnected),
        }
    }

    /// Reserves memory for a copy of the message in `bytes`.
    ///
    /// # Errors
    ///
    /// If there is no memory for a message in a block. That message then goes to another receiver.
    pub(crate) fn with_memory(self, bytes: &mut Vec<u8>) -> Result<LentMessage<'a>, Unreadable> {
        match self.place {
            Place::Block(block)
                if bytes.try_reserve(self.len.saturating_sub(bytes.len())).is_err() =>
            {
                let end = self.end;
                // Its drop would acknowledge the message.
                std::mem::forget(self);
                Err(end.no_memory_for(block))
            }
            _ => Ok(self),
        }
    }

    /// Returns where the message lies: at least as many words as its bytes need.
    pub(crate) fn words(&self) -> &'a [AtomicU64] {
        self.words
    }

    /// Returns the length of the message in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns how often the message was delivered, including this time.
    pub(crate) fn deliveries(&self) -> u64 {
        match self.place {
            Place::Block(block) => self.end.pool().deliveries(block),
            Place::Slot { deliveries, .. } => deliveries,
        }
    }
}

impl Drop for LentMessage<'_> {
    /// Acknowledges the message.
    fn drop(&mut self) {
        if self.end.forked() {
            return;
        }
        match self.place {
            Place::Block(block) => self.end.return_block(block),
            Place::Slot { pos, .. } => {
                self.end.ring().free_slot(pos);
                self.end.wake_senders(1);
            }
        }
    }
}

/// Receives one message so that it stays lent.
pub(crate) struct BorrowSink<'a> {
    end: &'a Endpoint,
    block_of: BlockOf,
    part: Part,
    /// The size of each message, if all have the same.
    size: Option<usize>,
    pub(crate) held: Option<LentMessage<'a>>,
    /// How often an inline message was delivered. A slot has no room to count: 2 stands for any
    /// number but 1.
    deliveries: u64,
    unreadable: Option<Unreadable>,
}

/// Finds the part of a slot's payload that is the message: words to skip, and bytes. It lies within
/// the payload.
pub(crate) type Part = fn(Slot<'_>) -> (usize, usize);

impl<'a> BorrowSink<'a> {
    pub(crate) fn new(
        end: &'a Endpoint,
        block_of: BlockOf,
        part: Part,
        size: Option<usize>,
    ) -> Self {
        BorrowSink { end, block_of, part, size, held: None, deliveries: 1, unreadable: None }
    }

    /// Returns why nothing is held, although a message was received.
    pub(crate) fn unreadable(self) -> Unreadable {
        self.unreadable.unwrap_or(Unreadable::Corrupt("nothing was received"))
    }

    /// Takes a block to move an inline message into, and returns it with its words.
    fn spare(&self, len: usize) -> Option<(usize, &'a [AtomicU64])> {
        let block = self.end.pool().loan(&self.end.participant)?;
        if let Ok(words) = self.end.attachment.commit(block, len) {
            return Some((block, words));
        }
        self.end.pool().free(block);
        None
    }
}

impl Sink for BorrowSink<'_> {
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        (self.block_of)(slot)
    }

    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After {
        let (ring, pool, me) = (self.end.ring(), self.end.pool(), self.end.participant.id);
        let (skip, len) = (self.part)(slot);
        let (words, place, after) = match self.spare(len) {
            Some((block, words)) => {
                for (to, from) in words.iter().zip(&slot.payload[skip..]) {
                    // Relaxed: RING-E1 before, the block's state after.
                    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                pool.set_len(block, len);
                pool.lend_own(block, pos, me, self.deliveries);
                (words, Place::Block(block), After::Free)
            }
            None => {
                ring.sign_own_reading(pos, me);
                let words = &self.end.memory.slot(pos).payload[skip..];
                (words, Place::Slot { pos, deliveries: self.deliveries }, After::Keep)
            }
        };
        self.held = Some(LentMessage { end: self.end, len, words, place });
        after
    }

    fn block(&mut self, block: usize, _pos: u64) {
        let len = self.size.unwrap_or_else(|| self.end.pool().len(block));
        match LentMessage::of_block(self.end, block, len) {
            Ok(lent) => self.held = Some(lent),
            Err(cause) => self.unreadable = Some(cause),
        }
    }

    /// The message may have been lent in its slot before, and a receiver may have acted on it.
    fn redelivered(&mut self) {
        self.deliveries = 2;
    }

    fn corrupt(&mut self, what: &'static str) {
        self.unreadable = Some(Unreadable::Corrupt(what));
    }
}
