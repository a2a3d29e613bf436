//! Where everything in a channel's segment lies.

use super::words::{MAX_BATCH, MAX_PARTICIPANTS, POS_MASK};

/// Bytes of a header.
pub(crate) const HEADER: usize = 1024;
pub(super) const BLOCK_META: usize = 64;
/// Bytes of the words of all waiters that have bell sockets.
pub(super) const BELLS: usize = 384;
/// Bytes of a participant's address.
pub(super) const ADDRESS: usize = 32;
/// The size of a cache line. Slots and their strides are multiples of it.
pub(crate) const LINE: usize = 64;
pub(crate) const PAGE: usize = 4096;
/// No memory is longer. The leases lie behind it, and no sum of offsets in it can overflow.
pub(crate) const MAX_LEN: usize = 1 << 46;

/// The sizes and places of a segment, checked, in this process's own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// The number of slots.
    pub(crate) capacity: u64,
    /// The positions per lap less one, which is the mask of a position's index.
    pub(crate) mask: u64,
    /// The number of bytes from a slot to the next.
    pub(crate) stride: usize,
    /// The number of entries, including the unused one of id 0.
    pub(crate) entries: usize,
    pub(crate) blocks: usize,
    /// The largest message, in bytes.
    pub(crate) largest: usize,
    /// The largest size of a block's place: the largest message, in whole pages.
    pub(crate) block_size: usize,
}

/// The largest capacity. This limit and those below exceed any machine, so no sum can overflow.
const MAX_CAPACITY: u64 = 1 << 32;
const MAX_STRIDE: usize = 1 << 20;
const MAX_BLOCKS: usize = 1 << 33;
const MAX_BLOCK_SIZE: usize = 1 << 46;

impl Geometry {
    /// Checks the numbers, and makes a geometry of them.
    ///
    /// # Errors
    ///
    /// Returns which number is invalid.
    pub(crate) fn new(
        capacity: u64,
        stride: usize,
        participants: usize,
        blocks: usize,
        largest: usize,
    ) -> Result<Geometry, &'static str> {
        if capacity == 0 || capacity > MAX_CAPACITY {
            return Err("capacity is 0 or larger than 2^32");
        }
        if !(LINE..=MAX_STRIDE).contains(&stride) || stride % LINE != 0 {
            return Err("slot stride is not a multiple of a cache line, or too large");
        }
        if participants == 0 || participants > MAX_PARTICIPANTS {
            return Err("participants are 0 or more than 1023");
        }
        if blocks > MAX_BLOCKS || largest > MAX_BLOCK_SIZE {
            return Err("blocks are too many or too large");
        }
        if largest == 0 {
            return Err("the largest message has no bytes");
        }
        let block_size = largest.next_multiple_of(PAGE);
        let geometry = Geometry {
            capacity,
            mask: capacity.next_power_of_two() - 1,
            stride,
            entries: participants + 1,
            blocks,
            largest,
            block_size,
        };
        let len = geometry.data_offset() as u128 + blocks as u128 * block_size as u128;
        if len > MAX_LEN as u128 {
            return Err("capacity and message size together are larger than an address space");
        }
        Ok(geometry)
    }

    pub(crate) fn entries_offset(&self) -> usize {
        HEADER
    }

    pub(crate) fn pid_hints_offset(&self) -> usize {
        HEADER + self.entries * 8
    }

    pub(crate) fn bells_offset(&self) -> usize {
        (self.pid_hints_offset() + self.entries * 8).next_multiple_of(2 * LINE)
    }

    pub(crate) fn addresses_offset(&self) -> usize {
        self.bells_offset() + BELLS
    }

    pub(crate) fn blocks_offset(&self) -> usize {
        (self.addresses_offset() + self.entries * ADDRESS).next_multiple_of(BLOCK_META)
    }

    pub(crate) fn slots_offset(&self) -> usize {
        (self.blocks_offset() + self.blocks * BLOCK_META).next_multiple_of(2 * LINE)
    }

    /// Returns where the data area begins.
    ///
    /// Everything before it is allocated when the segment is created, and mapped at once.
    pub(crate) fn data_offset(&self) -> usize {
        (self.slots_offset() + self.capacity as usize * self.stride).next_multiple_of(PAGE)
    }

    /// Returns the largest batch.
    pub(crate) fn max_batch(&self) -> usize {
        MAX_BATCH.min(self.capacity as usize)
    }

    /// Returns the index of a position's slot.
    ///
    /// It is in bounds also for an invalid position, which a peer wrote.
    #[inline]
    pub(crate) fn index(&self, pos: u64) -> usize {
        (pos & self.mask).min(self.capacity - 1) as usize
    }

    /// Returns the position after `pos`.
    #[inline]
    pub(crate) fn next(&self, pos: u64) -> u64 {
        if (pos & self.mask) + 1 < self.capacity {
            pos + 1
        } else {
            ((pos & !self.mask) + self.mask + 1) & POS_MASK
        }
    }

    /// Returns the position before `pos`.
    #[inline]
    pub(crate) fn prev(&self, pos: u64) -> u64 {
        self.back(pos, 1)
    }

    /// Returns the position `n` before `pos`, where `n` is at most the capacity.
    ///
    /// It wraps for an invalid position, which a peer wrote.
    #[inline]
    pub(crate) fn back(&self, pos: u64, n: u64) -> u64 {
        let index = pos & self.mask;
        if index >= n {
            pos - n
        } else {
            let lap_before = (pos & !self.mask).wrapping_sub(self.mask + 1);
            lap_before.wrapping_add((index + self.capacity).wrapping_sub(n)) & POS_MASK
        }
    }

    /// Returns the position of the same slot, one lap later.
    #[inline]
    pub(crate) fn next_lap(&self, pos: u64) -> u64 {
        (pos + self.mask + 1) & POS_MASK
    }

    /// Returns the position of the same slot, one lap before.
    #[inline]
    pub(crate) fn last_lap(&self, pos: u64) -> u64 {
        pos.wrapping_sub(self.mask + 1) & POS_MASK
    }

    /// Returns the number of positions from `from` up to `to`, which is not before it.
    #[inline]
    pub(crate) fn distance(&self, from: u64, to: u64) -> u64 {
        let laps = ((to & !self.mask).wrapping_sub(from & !self.mask) & POS_MASK) / (self.mask + 1);
        laps.wrapping_mul(self.capacity).wrapping_add(to & self.mask).wrapping_sub(from & self.mask)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::layout::{Address, Bells, BlockMeta, Header};

    fn geometry(capacity: u64) -> Geometry {
        Geometry::new(capacity, 128, 127, 16, 4096).unwrap()
    }

    #[test]
    fn positions_step_through_every_slot_in_order_across_the_wrap() {
        for capacity in [1, 2, 3, 4, 5, 7, 64, 100] {
            let g = geometry(capacity);
            // Two laps before the end of all positions.
            let start = (POS_MASK & !g.mask) - (g.mask + 1);
            let mut pos = start;
            for step in 0..4 * capacity {
                assert_eq!(g.index(pos) as u64, step % capacity);
                assert_eq!(g.prev(g.next(pos)), pos);
                assert_eq!(g.distance(start, pos), step);
                assert_eq!(g.last_lap(g.next_lap(pos)), pos);
                for n in 0..=capacity {
                    let ahead = (0..n).fold(pos, |pos, _| g.next(pos));
                    assert_eq!(g.back(ahead, n), pos);
                }
                assert_eq!((0..capacity).fold(pos, |pos, _| g.next(pos)), g.next_lap(pos));
                pos = g.next(pos);
            }
        }
    }

    // faults 41, 43: capacity 0 or too large, sizes that overflow.
    #[test]
    fn impossible_numbers_are_refused() {
        assert!(Geometry::new(0, 64, 1, 0, 4096).is_err());
        assert!(Geometry::new(u64::MAX, 64, 1, 0, 4096).is_err());
        assert!(Geometry::new(1 << 32, 1 << 20, 1, 0, 4096).is_err());
        assert!(Geometry::new(4, 60, 1, 0, 4096).is_err());
        assert!(Geometry::new(4, 0, 1, 0, 4096).is_err());
        assert!(Geometry::new(4, 64, 0, 0, 4096).is_err());
        assert!(Geometry::new(4, 64, 1024, 0, 4096).is_err());
        assert!(Geometry::new(4, 64, 1, usize::MAX, 4096).is_err());
        assert!(Geometry::new(4, 64, 1, 1, usize::MAX).is_err());
        assert!(Geometry::new(4, 64, 1, 1 << 20, 1 << 40).is_err());
    }

    #[test]
    fn regions_follow_each_other() {
        let g = geometry(64);
        assert!(g.entries_offset() >= size_of::<Header>());
        assert!(g.pid_hints_offset() >= g.entries_offset() + g.entries * 8);
        assert!(g.bells_offset() >= g.pid_hints_offset() + g.entries * 8);
        assert_eq!(g.bells_offset() % 128, 0);
        assert!(g.addresses_offset() >= g.bells_offset() + size_of::<Bells>());
        assert!(g.blocks_offset() >= g.addresses_offset() + g.entries * size_of::<Address>());
        assert!(g.slots_offset() >= g.blocks_offset() + g.blocks * size_of::<BlockMeta>());
        assert_eq!(g.slots_offset() % 128, 0);
        assert!(g.data_offset() >= g.slots_offset() + 64 * 128);
        // What the slots need, and at most 12 KiB.
        assert!(g.data_offset() <= 64 * 128 + 3 * 4096);
    }
}
