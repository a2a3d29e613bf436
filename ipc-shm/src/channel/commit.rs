//! The memory of blocks, which is allocated on demand and kept within bounds.
//!
//! A message causes the allocation, and the next message reuses the memory.
//!
//! Allocating a page and returning it costs several times as much as copying it. So blocks of usual
//! sizes keep their memory. Larger blocks keep it too, until all free blocks together keep
//! [`KEPT_IN_ALL`].

use std::io;

use ipc_sys as sys;

use crate::channel::attachment::{Attachment, CLOSED};
use crate::channel::places::{self, Place, Unreached};
use crate::channel::pool::Pool;
use crate::killpoint::kill_point;
use crate::layout::{BlockMeta, PAGE, block};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Relaxed};

/// The bytes that each block keeps, whatever the other blocks do.
const KEPT: u64 = 1 << 20;

/// The bytes that the free blocks with more than [`KEPT`] keep together.
///
/// It is small where tests kill processes at every step, so that they reach it.
const KEPT_IN_ALL: u64 = if cfg!(killpoints) { 5 << 18 } else { 64 << 20 };

/// The number of blocks, the first ones, that may keep more than [`KEPT`].
///
/// It is limited because each call searches them.
const KEEPERS: usize = 1024;

impl Attachment {
    /// Makes room for `len` bytes in an own block, and returns where they lie.
    ///
    /// Takes a place, allocates memory in it and maps it here, where that was not done before.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, or that a peer has written garbage.
    #[inline]
    pub(crate) fn commit(&self, block: usize, len: usize) -> Result<&[AtomicU64], Unreached> {
        let meta = &self.memory.blocks()[block];
        // Relaxed: this process owns the block.
        if len as u64 <= meta.committed.load(Relaxed) {
            if let Some(words) = self.places.get(Place::of(meta), len) {
                return Ok(words);
            }
        }
        self.commit_slow(meta, len)
    }

    #[cold]
    fn commit_slow(&self, meta: &BlockMeta, len: usize) -> Result<&[AtomicU64], Unreached> {
        let fd = self.descriptor().ok_or_else(|| io::Error::other(CLOSED))?;
        let data = self.memory.geometry.data_offset();
        let mut place = Place::of(meta);
        // Relaxed, all below: this process owns the block.
        if place.possible() && len as u64 <= meta.committed.load(Relaxed) {
            // If the file is long enough, another process has allocated the bytes.
            match self.places.reach(fd, place, len) {
                Err(Unreached::Corrupt) => {}
                reached => return reached,
            }
        }
        if place.possible() && len as u64 <= place.room {
            self.places.map(fd, place)?;
        } else {
            let room = places::room_for(len, self.memory.geometry.block_size) as u64;
            place = places::take(self.memory.end(), room, |place| {
                sys::memory::may_reach(fd, data + place.at as usize + allocated(len, room))?;
                self.places.map(fd, place)
            })?;
            kill_point!("block.place");
            // First, because no word names the memory of the old place once the block has another
            // one.
            self.trim(meta);
            meta.place.store(place.at, Relaxed);
            kill_point!("block.placed");
            meta.room.store(room, Relaxed);
        }
        let want = allocated(len, place.room);
        kill_point!("block.commit");
        sys::memory::allocate_growing(fd, data + place.at as usize, want)?;
        kill_point!("block.committed");
        meta.committed.store(want as u64, Relaxed);
        self.places.reached(place.at + want as u64);
        self.places.get(place, len).ok_or(Unreached::Corrupt)
    }

    /// Returns where the first `len` bytes of a lent block lie.
    ///
    /// # Errors
    ///
    /// As [`commit`](Attachment::commit).
    #[inline]
    pub(crate) fn lent(&self, block: usize, len: usize) -> Result<&[AtomicU64], Unreached> {
        // Read once.
        let place = Place::of(&self.memory.blocks()[block]);
        match self.places.get(place, len) {
            Some(words) => Ok(words),
            None => self.lent_slow(place, len),
        }
    }

    #[cold]
    fn lent_slow(&self, place: Place, len: usize) -> Result<&[AtomicU64], Unreached> {
        let fd = self.descriptor().ok_or_else(|| io::Error::other(CLOSED))?;
        kill_point!("block.reach");
        self.places.reach(fd, place, len)
    }

    /// Limits the memory that free blocks keep, before an own block is freed.
    ///
    /// If the free blocks would keep too much with it, it trims others, beginning with those that
    /// are claimed last, or else the block itself. Returns how many blocks it claimed and freed
    /// again, which senders have found claimed meanwhile.
    #[inline]
    pub(crate) fn economize(&self, block: usize, me: u64) -> u64 {
        // Relaxed: as in `commit`.
        if self.memory.blocks()[block].committed.load(Relaxed) <= KEPT {
            return 0;
        }
        self.economize_large(block, me)
    }

    #[cold]
    fn economize_large(&self, block: usize, me: u64) -> u64 {
        let keepers = &self.memory.blocks()[..KEEPERS.min(self.memory.blocks().len())];
        let own = self.memory.blocks()[block].committed.load(Relaxed); // Relaxed: as in `commit`.
        // Relaxed: other processes claim and free blocks meanwhile. Only the amount of kept memory
        // depends on it.
        let free = |at: usize| match keepers[at].committed.load(Relaxed) {
            large if large > KEPT && keepers[at].state.load(Relaxed) == block::FREE => large,
            _ => 0,
        };
        let mut trimmed = 0;
        let mut kept = (0..keepers.len()).map(free).fold(own, u64::saturating_add);
        if block < keepers.len() && own <= KEPT_IN_ALL {
            // One pass over the blocks, whatever a peer writes there.
            for (at, meta) in keepers.iter().enumerate().rev() {
                if kept <= KEPT_IN_ALL {
                    return trimmed;
                }
                // AcqRel: as in `loan_block`.
                if free(at) > 0
                    && meta
                        .state
                        .compare_exchange(block::FREE, block::held(me), AcqRel, Relaxed)
                        .is_ok()
                {
                    // Relaxed: this process owns the block now.
                    kept = kept.saturating_sub(meta.committed.load(Relaxed));
                    self.trim(meta);
                    Pool::of(&self.memory).free(at);
                    trimmed += 1;
                }
            }
            if kept <= KEPT_IN_ALL {
                return trimmed;
            }
        }
        // Acknowledged before its memory is returned. If the block were still Lent and this process
        // died in between, the message would be redelivered as zeros.
        Pool::of(&self.memory).keep(block, me);
        self.trim(&self.memory.blocks()[block]);
        trimmed
    }

    /// Returns the memory of a block to the system.
    ///
    /// This process holds the block (Held), which contains no message any more.
    fn trim(&self, meta: &BlockMeta) {
        let place = Place::of(meta);
        // In this order, because a block that seems uncommitted is allocated again, while one that
        // seems committed is used.
        meta.committed.store(0, Relaxed); // Relaxed: as in `commit`.
        if !place.possible() {
            return;
        }
        let Some(fd) = self.descriptor() else { return };
        kill_point!("block.trim");
        // If this fails, the block keeps memory that is allocated already.
        let _ = sys::memory::release(
            fd,
            self.memory.geometry.data_offset() + place.at as usize,
            place.room as usize,
        );
        kill_point!("block.trimmed");
    }
}

/// Returns how many bytes are allocated for `len` bytes in a place with so much room.
fn allocated(len: usize, room: u64) -> usize {
    rounded(len).clamp(PAGE, room as usize)
}

/// Returns how many bytes to allocate for `len` bytes.
///
/// That is up to an eighth more, so that a block that grows slowly seldom allocates.
fn rounded(len: usize) -> usize {
    let step = (len.next_power_of_two() / 16).max(PAGE);
    len.checked_next_multiple_of(step).unwrap_or(len)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ipc_core::Deadline;

    use super::{KEPT, KEPT_IN_ALL, PAGE, rounded};
    use crate::channel::attachment::Attachment;
    use crate::channel::endpoint::Endpoint;
    use crate::channel::ends::Codec;
    use crate::channel::roles::Role;
    use crate::killpoint::killed_at;
    use crate::layout::Geometry;
    use crate::message::typed::Typed;

    const LARGE: usize = (5 << 20) / 2;
    const BLOCKS: usize = 40;

    fn channel() -> (Arc<Attachment>, Endpoint) {
        let geometry = Geometry::new(16, 64, 4, BLOCKS, 1 << 28).unwrap();
        let attachment = Attachment::create(geometry, <Typed as Codec<u8>>::kind()).unwrap();
        let end = Endpoint::counted(attachment.clone(), Role::Sender);
        (attachment, end)
    }

    /// Returns the bytes of memory that the segment takes.
    fn taken(attachment: &Attachment) -> u64 {
        let stat = rustix::fs::fstat(attachment.descriptor().unwrap()).unwrap();
        stat.st_blocks as u64 * 512 - attachment.memory.geometry.data_offset() as u64
    }

    #[test]
    fn free_blocks_keep_what_large_messages_took_up_to_a_bound() {
        let (attachment, end) = channel();
        let all: Vec<_> = (0..BLOCKS).map(|_| end.loan(LARGE, Deadline::Now).unwrap().0).collect();
        assert!(taken(&attachment) >= (BLOCKS * LARGE) as u64);
        for block in all {
            end.return_block(block);
        }
        let kept = taken(&attachment);
        assert!(kept <= KEPT_IN_ALL, "{kept}");
        assert!(kept + 2 * LARGE as u64 > KEPT_IN_ALL, "{kept}");

        // The blocks that are claimed first keep their memory.
        for _ in 0..100 {
            let (block, _) = end.loan(LARGE, Deadline::Now).unwrap();
            assert_eq!(taken(&attachment), kept);
            end.return_block(block);
            assert_eq!(taken(&attachment), kept);
        }
    }

    #[test]
    fn what_a_message_beyond_the_bound_took_is_given_back() {
        let (attachment, end) = channel();
        let (block, _) = end.loan(KEPT_IN_ALL as usize + 1, Deadline::Now).unwrap();
        assert!(taken(&attachment) > KEPT_IN_ALL);
        end.return_block(block);
        assert_eq!(taken(&attachment), 0);
    }

    #[test]
    fn blocks_of_usual_sizes_keep_their_memory() {
        let (attachment, end) = channel();
        let all: Vec<_> =
            (0..BLOCKS).map(|_| end.loan(KEPT as usize, Deadline::Now).unwrap().0).collect();
        for block in all {
            end.return_block(block);
        }
        assert_eq!(taken(&attachment), BLOCKS as u64 * KEPT);
    }

    #[test]
    fn a_block_that_outgrows_its_place_leaves_no_memory_there() {
        let (attachment, end) = channel();
        let (block, _) = end.loan(KEPT as usize / 4, Deadline::Now).unwrap();
        end.return_block(block);
        assert_eq!(taken(&attachment), KEPT / 4);
        let (again, _) = end.loan(KEPT as usize, Deadline::Now).unwrap();
        assert_eq!((again, taken(&attachment)), (block, KEPT));
    }

    #[test]
    fn a_place_that_a_killed_process_has_half_given_overlaps_no_other() {
        let (_attachment, end) = channel();
        let loan = |len| end.loan(len, Deadline::Now).unwrap();
        let (first, _) = loan(PAGE);
        let (_second, theirs) = loan(PAGE);
        end.return_block(first);
        let killed = killed_at("block.placed", 0, || loan(8 * PAGE).0);
        assert_eq!(killed, None);
        // As recovery does.
        end.return_block(first);
        let (again, ours) = loan(8 * PAGE);
        assert_eq!(again, first);
        assert!(!ours.as_ptr_range().contains(&theirs.as_ptr()));
    }

    #[test]
    fn no_more_than_an_eighth_is_allocated_beyond_what_a_message_needs() {
        for len in (0..70 * PAGE).step_by(511).chain([1 << 20, (1 << 20) + 3, 1 << 30]) {
            let all = rounded(len);
            assert!(all >= len && all - len < (len / 8).max(PAGE), "{len}: {all}");
        }
    }
}
