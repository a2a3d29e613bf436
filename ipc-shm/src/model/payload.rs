//! The messages of a model: how they are written, read, copied out and lent.

use super::ring::{Ring, WORDS};
use crate::channel::memory::Slot;
use crate::channel::pool::Pool;
use crate::channel::ring::{self, After, Participant, Sink};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;

/// The flag in a slot's first word that the message lies in a block. The rest names the block.
const BOXED: u64 = 1 << 63;

/// A message that is lent to its receiver.
pub struct Held {
    pub(super) place: Place,
    pub value: u64,
}

pub(super) enum Place {
    Block(usize),
    Slot(u64),
}

/// The payloads: words, and the plain bytes that they stand for.
///
/// All accesses are Relaxed, because the state words order them.
impl Ring {
    pub(super) fn write_slot(&self, to: Slot<'_>, pos: u64, value: u64) {
        self.0.slot_bytes[self.0.geometry.index(pos)].with_mut(|_| ());
        to.payload[0].store(value, Relaxed);
        to.payload[1].store(value, Relaxed);
    }

    pub(super) fn write_index(&self, to: Slot<'_>, pos: u64, block: usize) {
        self.0.slot_bytes[self.0.geometry.index(pos)].with_mut(|_| ());
        to.payload[0].store(BOXED | block as u64, Relaxed);
    }

    pub(super) fn read_slot(&self, from: Slot<'_>, pos: u64) -> u64 {
        self.0.slot_bytes[self.0.geometry.index(pos)].with(|_| ());
        agreed(from.payload)
    }

    fn block_words(&self, block: usize) -> &[AtomicU64] {
        &self.0.data[block * WORDS..][..WORDS]
    }

    pub(super) fn write_block(&self, block: usize, value: u64) {
        self.0.block_bytes[block].with_mut(|_| ());
        let to = self.block_words(block);
        to[0].store(value, Relaxed);
        to[1].store(value, Relaxed);
    }

    pub(super) fn read_block(&self, block: usize) -> u64 {
        self.0.block_bytes[block].with(|_| ());
        agreed(self.block_words(block))
    }
}

fn agreed(from: &[AtomicU64]) -> u64 {
    let (one, two) = (from[0].load(Relaxed), from[1].load(Relaxed));
    assert_eq!(one, two, "torn message");
    one
}

pub(super) fn block_of(from: Slot<'_>) -> Option<u64> {
    let word = from.payload[0].load(Relaxed); // Relaxed: after the slot's Acquire, RING-E1.
    (word & BOXED != 0).then_some(word & !BOXED)
}

/// A sink that copies messages out.
pub(super) struct Taker<'a> {
    pub(super) ring: &'a Ring,
    pub(super) values: &'a mut Vec<u64>,
}

impl Sink for Taker<'_> {
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        block_of(slot)
    }
    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After {
        self.values.push(self.ring.read_slot(slot, pos));
        After::Free
    }
    fn block(&mut self, block: usize, _pos: u64) {
        self.values.push(self.ring.read_block(block));
        Pool::of(&self.ring.memory()).free(block);
    }
    fn corrupt(&mut self, what: &'static str) {
        panic!("{what}");
    }
}

/// A sink that keeps one message lent.
pub(super) struct Lender<'a> {
    pub(super) ring: &'a Ring,
    pub(super) participant: &'a Participant,
    /// Whether an inline message moves into a block, if one is free.
    pub(super) moves: bool,
    pub(super) held: Option<Held>,
}

impl Sink for Lender<'_> {
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        block_of(slot)
    }
    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After {
        let (memory, participant) = (self.ring.memory(), self.participant);
        let value = self.ring.read_slot(slot, pos);
        let block = self.moves.then(|| Pool::of(&memory).loan(participant)).flatten();
        let (place, after) = match block {
            Some(block) => {
                self.ring.write_block(block, value);
                Pool::of(&memory).lend_own(block, pos, participant.id, 1);
                (Place::Block(block), After::Free)
            }
            None if self.moves => {
                ring::Ring::of(&memory).sign_own_reading(pos, participant.id);
                (Place::Slot(pos), After::Keep)
            }
            // It is signed by the next claimer.
            None => (Place::Slot(pos), After::Claim),
        };
        self.held = Some(Held { place, value });
        after
    }
    fn block(&mut self, block: usize, _pos: u64) {
        let value = self.ring.read_block(block);
        self.held = Some(Held { place: Place::Block(block), value });
    }
    fn corrupt(&mut self, what: &'static str) {
        panic!("{what}");
    }
}
