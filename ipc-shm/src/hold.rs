//! What keeps a lent message in place until its guard is dropped.

use std::sync::atomic::Ordering;

use crate::copy::{own_lines, words};
use crate::endpoint::Endpoint;
use crate::memory::Slot;
use crate::repair::BlockOf;
use crate::ring::{After, Sink};
use crate::sync::AtomicU64;

/// A message that is lent to us: in a block, or, if no block was free, in its slot.
pub(crate) struct Hold<'a> {
    end: &'a Endpoint,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    Block(usize),
    Slot { pos: u64, skip: usize, len: usize, deliveries: u64 },
}

impl<'a> Hold<'a> {
    /// A block that is lent to us, and is about to be read.
    pub(crate) fn of_block(end: &'a Endpoint, block: usize) -> Hold<'a> {
        own_lines(&end.memory.block_words(block)[..words(end.memory.block_len(block))]);
        Hold { end, place: Place::Block(block) }
    }

    /// Where the message lies: at least as many words as it has bytes.
    pub(crate) fn words(&self) -> &'a [AtomicU64] {
        match self.place {
            Place::Block(block) => self.end.memory.block_words(block),
            Place::Slot { pos, skip, .. } => &self.end.memory.slot(pos).payload[skip..],
        }
    }

    /// Bytes of the message.
    pub(crate) fn len(&self) -> usize {
        match self.place {
            Place::Block(block) => self.end.memory.block_len(block),
            Place::Slot { len, .. } => len,
        }
    }

    /// How often the message was delivered, this time included.
    pub(crate) fn deliveries(&self) -> u64 {
        match self.place {
            Place::Block(block) => self.end.memory.deliveries(block),
            Place::Slot { deliveries, .. } => deliveries,
        }
    }
}

impl Drop for Hold<'_> {
    /// Acknowledges the message.
    fn drop(&mut self) {
        if self.end.forked() {
            return;
        }
        match self.place {
            Place::Block(block) => self.end.return_block(block),
            Place::Slot { pos, .. } => {
                self.end.memory.free_slot(pos);
                self.end.told_senders(1);
            }
        }
    }
}

/// Receives one message so that it stays lent.
pub(crate) struct Borrower<'a> {
    end: &'a Endpoint,
    block_of: BlockOf,
    part: Part,
    pub(crate) held: Option<Hold<'a>>,
    /// Of an inline message. A slot has no room to count: 2 stands for all but the first.
    deliveries: u64,
    pub(crate) corrupt: Option<&'static str>,
}

/// Which part of a slot's payload is the message: words to skip, and bytes. Within the payload.
pub(crate) type Part = fn(Slot<'_>) -> (usize, usize);

impl<'a> Borrower<'a> {
    pub(crate) fn new(end: &'a Endpoint, block_of: BlockOf, part: Part) -> Self {
        Borrower { end, block_of, part, held: None, deliveries: 1, corrupt: None }
    }

    /// A block to move an inline message into.
    fn spare(&self, len: usize) -> Option<usize> {
        let block = self.end.memory.loan_block(&self.end.hand)?;
        if self.end.attachment.commit(block, len.max(1)).is_ok() {
            return Some(block);
        }
        self.end.memory.free_block(block);
        None
    }
}

impl Sink for Borrower<'_> {
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        (self.block_of)(slot)
    }

    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After {
        let (memory, me) = (&self.end.memory, self.end.hand.me);
        let (skip, len) = (self.part)(slot);
        let (place, after) = match self.spare(len) {
            Some(block) => {
                let from = &slot.payload[skip..skip + words(len)];
                for (to, from) in memory.block_words(block).iter().zip(from) {
                    // Relaxed: E1 before, the block's state after.
                    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
                }
                memory.set_block_len(block, len);
                memory.lend_own_block(block, pos, me, self.deliveries);
                (Place::Block(block), After::Free)
            }
            None => {
                memory.sign_own_reading(pos, me);
                (Place::Slot { pos, skip, len, deliveries: self.deliveries }, After::Keep)
            }
        };
        self.held = Some(Hold { end: self.end, place });
        after
    }

    fn block(&mut self, block: usize, _pos: u64) {
        self.held = Some(Hold::of_block(self.end, block));
    }

    /// It may have been lent where it lay, and been acted on.
    fn redelivered(&mut self) {
        self.deliveries = 2;
    }

    fn corrupt(&mut self, what: &'static str) {
        self.corrupt = Some(what);
    }
}
