//! The block pool, for messages above the inline size and messages that are lent.
//!
//! A sender writes a large or slow message into a private block first, and then publishes its
//! index. So the write never blocks other participants. The bytes of a block are contiguous, in a
//! place that the block gets when a message needs it ([`places`](crate::channel::places)).
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
//! If a sender dies before it publishes its message, the block is freed. A published message is
//! never lost: see [`recovery`](crate::channel::recovery).

use crate::channel::memory::Memory;
use crate::channel::memory::Side;
use crate::channel::ring::Participant;
use crate::killpoint::kill_point;
use crate::layout::{BlockMeta, block, pos};
use crate::sync::Ordering::{AcqRel, Relaxed, Release};

/// The number of blocks near a participant's own place that it tries first.
///
/// Reusing few blocks keeps them in the cache.
const NEAR: usize = 8;

/// The blocks of a channel: a view of the memory that they lie in.
#[derive(Clone, Copy)]
pub(crate) struct Pool<'a> {
    memory: &'a Memory,
}

impl<'a> Pool<'a> {
    #[inline(always)]
    pub(crate) fn of(memory: &'a Memory) -> Pool<'a> {
        Pool { memory }
    }

    #[inline]
    fn block(self, index: usize) -> &'a BlockMeta {
        &self.memory.blocks()[index]
    }

    /// Claims a free block. Its state is then Held by this process.
    pub(crate) fn loan(self, me: &Participant) -> Option<usize> {
        let blocks = self.memory.blocks();
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
            // AcqRel: Acquire pairs with the Release by which its last reader freed it.
            if state.compare_exchange(block::FREE, block::held(me.id), AcqRel, Relaxed).is_ok() {
                kill_point!("loan.held");
                // Relaxed: this process owns the block alone until it publishes it.
                blocks[index].deliveries.store(0, Relaxed);
                me.next_block.store(index as u64 + 1, Relaxed);
                return Some(index);
            }
        }
        None
    }

    /// Sets the length of the message in a block that this process owns.
    pub(crate) fn set_len(self, index: usize, len: usize) {
        // Relaxed: published with the block.
        self.block(index).len.store(len as u64, Relaxed);
    }

    /// Returns the length of the message in a block that is lent to this process.
    ///
    /// It is at most the size of the block, whatever a peer writes.
    pub(crate) fn len(self, index: usize) -> usize {
        let len = self.block(index).len.load(Relaxed); // Relaxed: after the state's Acquire.
        usize::try_from(len).unwrap_or(usize::MAX).min(self.memory.geometry.block_size)
    }

    /// Returns the message in a block that is lent to this process, so that it is redelivered.
    #[cfg_attr(loom, allow(dead_code, reason = "in a model every place can be reached"))]
    pub(crate) fn give_back(self, index: usize) {
        let found = &self.block(index).state;
        kill_point!("block.lose");
        // Relaxed load: this process owns the block until the store. Release: as RING-E4.
        found.store(block::lost(pos(found.load(Relaxed))), Release);
        kill_point!("block.lost");
        self.memory.orphan_seq().fetch_add(1, AcqRel); // AcqRel: RING-E6.
        self.memory.bell(Side::Receivers).wake_all();
    }

    /// Returns how often the message in a lent block was delivered, this time included.
    pub(crate) fn deliveries(self, index: usize) -> u64 {
        self.block(index).deliveries.load(Relaxed) // Relaxed: after the state's Acquire.
    }

    /// Publishes an own block as message `pos`. The caller publishes its slot right after.
    #[inline]
    pub(crate) fn publish(self, index: usize, pos: u64) {
        kill_point!("send.fly");
        self.block(index).state.store(block::in_flight(pos), Release); // Release: as RING-E1.
        kill_point!("send.flown");
    }

    /// Lends an own block to this process, as the message `pos` of a slot that it has claimed.
    pub(crate) fn lend_own(self, index: usize, pos: u64, me: u64, deliveries: u64) {
        // Relaxed: published with the block, as in `set_len`.
        self.block(index).deliveries.store(deliveries, Relaxed);
        kill_point!("receive.lend_inline");
        self.block(index).state.store(block::lent(pos, me), Release); // Release: as RING-E1.
        kill_point!("receive.lent_inline");
    }

    /// Keeps an own block, Held or Lent before. If it was lent, this acknowledges its message.
    pub(crate) fn keep(self, index: usize, me: u64) {
        kill_point!("block.keep");
        // Release: no data depends on it.
        self.block(index).state.store(block::held(me), Release);
        kill_point!("block.kept");
    }

    /// Frees an own block, Held or Lent before. If it was lent, this acknowledges its message.
    pub(crate) fn free(self, index: usize) {
        kill_point!("block.free");
        // Release: this process has finished its reads.
        self.block(index).state.store(block::FREE, Release);
        kill_point!("block.freed");
    }
}
