//! The block pool: messages above the inline size, and messages that are lent.
//!
//! A large or slow write goes into a private block first and is published by its index, so that it
//! never stands in anyone's way. Its bytes lie together, in a place that it gets when a message
//! needs it ([`places`](crate::channel::places)).
//!
//! # Life of a block
//!
//! ```text
//!          loan            send                receive            acknowledge
//!   Free ───────▶ Held(o) ───────▶ InFlight(p) ───────▶ Lent(o,p) ───────────▶ Free
//!     ▲              │ o dies                             │ o dies  ▲
//!     └──────────────┘                                    ▼         │ adopt
//!                                                       Lost(p) ────┘
//! ```
//!
//! What dies with a sender before its message is published is freed; a message that was published
//! is lost to nobody: see [`recovery`](crate::channel::recovery).

use crate::channel::doorbell::Side;
use crate::channel::memory::Memory;
use crate::channel::ring::Participant;
use crate::killpoint::kill_point;
use crate::layout::{block, pos};
use crate::sync::Ordering::{AcqRel, Relaxed, Release};

/// Blocks near a participant's own place that are tried first: few blocks in turn stay in the
/// cache.
const NEAR: usize = 8;

impl Memory {
    /// Takes a free block: Held by us.
    pub(crate) fn loan_block(&self, me: &Participant) -> Option<usize> {
        let blocks = self.blocks();
        if blocks.is_empty() {
            return None;
        }
        let home = (me.id as usize - 1) * NEAR % blocks.len();
        // Relaxed: a hint, bounded below.
        let next = me.next_block.load(Relaxed) as usize % blocks.len();
        let near = (0..NEAR.min(blocks.len())).map(|i| (home + i) % blocks.len());
        let all = (0..blocks.len()).map(|i| (next + i) % blocks.len());
        for index in near.chain(all) {
            let state = &blocks[index].state;
            // Relaxed: the CAS decides.
            if state.load(Relaxed) != block::FREE {
                continue;
            }
            kill_point!("loan.cas");
            // AcqRel: Acquire what its last reader did with it, before it freed it.
            if state.compare_exchange(block::FREE, block::held(me.id), AcqRel, Relaxed).is_ok() {
                kill_point!("loan.held");
                // Relaxed: ours alone until it is published.
                blocks[index].deliveries.store(0, Relaxed);
                me.next_block.store(index as u64 + 1, Relaxed);
                return Some(index);
            }
        }
        None
    }

    /// Says how long the message in a block of ours is.
    pub(crate) fn set_block_len(&self, index: usize, len: usize) {
        // Relaxed: published with the block.
        self.blocks()[index].len.store(len as u64, Relaxed);
    }

    /// How long the message in a block lent to us is; no longer than the block, whatever a peer
    /// writes.
    pub(crate) fn block_len(&self, index: usize) -> usize {
        let len = self.blocks()[index].len.load(Relaxed); // Relaxed: the state's Acquire came before.
        usize::try_from(len).unwrap_or(usize::MAX).min(self.geometry.block_size)
    }

    /// Gives the message in a block that is lent to us back, to be delivered again.
    #[cfg_attr(loom, allow(dead_code, reason = "in a model every place can be reached"))]
    pub(crate) fn give_back(&self, index: usize) {
        let found = &self.blocks()[index].state;
        kill_point!("block.lose");
        // Relaxed, and Release as RING-E4: it is ours until then.
        found.store(block::lost(pos(found.load(Relaxed))), Release);
        kill_point!("block.lost");
        self.orphan_seq().fetch_add(1, AcqRel); // AcqRel: RING-E6.
        self.ring_all(Side::Receivers);
    }

    /// How often the message in a block lent to us was delivered, this time included.
    pub(crate) fn deliveries(&self, index: usize) -> u64 {
        self.blocks()[index].deliveries.load(Relaxed) // Relaxed: the state's Acquire came before.
    }

    /// Publishes a block of ours as message `pos`, right before its slot is published.
    #[inline]
    pub(crate) fn publish_block(&self, index: usize, pos: u64) {
        kill_point!("send.fly");
        self.blocks()[index].state.store(block::in_flight(pos), Release); // Release: as RING-E1.
        kill_point!("send.flown");
    }

    /// Lends a block of ours to ourselves, as the message `pos` of a slot that we have claimed.
    pub(crate) fn lend_own_block(&self, index: usize, pos: u64, me: u64, deliveries: u64) {
        self.blocks()[index].deliveries.store(deliveries, Relaxed); // Relaxed: as in `set_block_len`.
        kill_point!("receive.lend_inline");
        self.blocks()[index].state.store(block::lent(pos, me), Release); // Release: as RING-E1.
        kill_point!("receive.lent_inline");
    }

    /// Keeps a block of ours, Held or Lent before. If it was lent, this acknowledges its message.
    pub(crate) fn keep_block(&self, index: usize, me: u64) {
        kill_point!("block.keep");
        self.blocks()[index].state.store(block::held(me), Release); // Release: nothing rides on it.
        kill_point!("block.kept");
    }

    /// Gives a block of ours back: Held or Lent before. If it was lent, this acknowledges its
    /// message.
    pub(crate) fn free_block(&self, index: usize) {
        kill_point!("block.free");
        self.blocks()[index].state.store(block::FREE, Release); // Release: our reads are over.
        kill_point!("block.freed");
    }
}
