//! The layout of a segment: every byte that two processes must agree on.
//!
//! ```text
//! offset 0      128    256    384    512    640    768     896    1024
//!        ┌──────┬──────┬──────┬──────┬──────┬──────┬───────┬──────┬───────────────
//!        │ meta │ tail │ head │ recv │ send │ seqs │ hints │ text │ (below)
//!        │      │      │      │ wait │ wait │      │       │      │
//!        └──────┴──────┴──────┴──────┴──────┴──────┴───────┴──────┴───────────────
//!   from 1024                        128-aligned     page-aligned
//!        ┌─────────┬──────┬─────────┬───────────────┬──────────────
//!        │ entries │ pids │ block   │ slot 0, 1, …  │ data:
//!        │ 0, 1, … │ 0, … │ meta …  │ (stride each) │ places
//!        └─────────┴──────┴─────────┴───────────────┴──────────────
//!          allocated at creation, as all above       │ allocated when used
//! ```
//!
//! All words are `u64` in the machine's own byte order. The magic number reveals another byte
//! order, which is refused. *meta* is written once, before any other process can attach, its magic
//! number last. Each process reads and checks it once, copies it into a [`Geometry`], and never
//! reads it again.
//!
//! # Packed words
//!
//! | word | 63..17 | 16 | 15..10 | 9..0 |
//! |---|---|---|---|---|
//! | `tail`, `head` | pos | closed (`tail` only) | count | owner |
//! | `slot.state` | pos | 0 | kind | owner |
//! | `block.state` | pos | 0 | kind | owner |
//!
//! | word | bits |
//! |---|---|
//! | `members` | 63..4 seq, 3 receivers died, 2 senders died, 1 receivers gone, 0 senders gone |
//! | `entry` | 63 used, 47..24 receivers of the process, 23..0 its senders |
//! | `pid_hint` | 63..32 pid of the participant, 31..0 its pid namespace; 0 if not known. A hint: see [`pid_hint`] |
//! | `end` | bytes of the data area that were ever given out, as places of blocks ([`places`](crate::channel::places)) |
//! | `recv_wait`, `send_wait` | 63..32 tokens, 31..0 seq: the futex |
//!
//! *pos* is a position in the stream of messages, `{ lap, index }`. The low bits are the index of
//! its slot, and the bits above count laps. The index has as many bits as the capacity needs. The
//! capacity need not be a power of two, because positions beyond it are skipped
//! ([`Geometry::next`]).

use std::io;

use ipc_core::__private::shape::{self, MAX_TEXT, Mismatch, Shape};

use crate::sync::{AtomicU64, Ordering};

/// The mask of the owner, which has 10 bits. 0 stands for no owner.
pub(crate) const OWNER: u64 = (1 << 10) - 1;
/// The largest number of participants that a segment can have.
pub(crate) const MAX_PARTICIPANTS: usize = OWNER as usize;
const FIELD: u32 = 10;
const FIELD_MASK: u64 = (1 << 6) - 1;
/// The flag in `tail` after which no claim succeeds any more.
pub(crate) const CLOSED: u64 = 1 << 16;
const POS: u32 = 17;
/// The mask of a position. Positions count modulo 2^47.
pub(crate) const POS_MASK: u64 = (1 << 47) - 1;
/// The largest batch that the count of a claim can express.
pub(crate) const MAX_BATCH: usize = FIELD_MASK as usize;

/// Packs `tail` or `head`: `{ pos, closed, count, owner }` of the last claim.
#[inline]
pub(crate) const fn claim(pos: u64, count: u64, owner: u64) -> u64 {
    (pos << POS) | (count << FIELD) | owner
}

/// Returns the position in a packed word.
#[inline]
pub(crate) const fn pos(word: u64) -> u64 {
    word >> POS
}

/// Returns the count of a claim.
#[inline]
pub(crate) const fn count(word: u64) -> u64 {
    (word >> FIELD) & FIELD_MASK
}

/// Returns the owner in a packed word.
#[inline]
pub(crate) const fn owner(word: u64) -> u64 {
    word & OWNER
}

/// Returns the kind in the state of a slot or block.
#[inline]
pub(crate) const fn kind(word: u64) -> u64 {
    (word >> FIELD) & FIELD_MASK
}

/// The state of a slot: `{ pos, kind, owner }`.
pub(crate) mod slot {
    use super::{FIELD, POS};

    pub(crate) const FREE: u64 = 0;
    pub(crate) const WRITING: u64 = 1;
    pub(crate) const READY: u64 = 2;
    pub(crate) const READING: u64 = 3;
    pub(crate) const VOID: u64 = 4;
    pub(crate) const ORPHAN: u64 = 5;

    /// The slot may be claimed for writing as `pos`.
    ///
    /// Or it is claimed but unsigned, which only a slot of the last claim can be.
    #[inline]
    pub(crate) const fn free(pos: u64) -> u64 {
        (pos << POS) | (FREE << FIELD)
    }
    /// The slot is claimed for writing by `owner`, and signed.
    #[inline]
    pub(crate) const fn writing(pos: u64, owner: u64) -> u64 {
        (pos << POS) | (WRITING << FIELD) | owner
    }
    /// The slot holds message `pos`.
    ///
    /// It may be claimed for reading but unsigned, which only a slot of the last claim can be.
    #[inline]
    pub(crate) const fn ready(pos: u64) -> u64 {
        (pos << POS) | (READY << FIELD)
    }
    /// The slot is claimed for reading by `owner`, and signed.
    #[inline]
    pub(crate) const fn reading(pos: u64, owner: u64) -> u64 {
        (pos << POS) | (READING << FIELD) | owner
    }
    /// The slot holds no message, because its writer died or gave up.
    #[inline]
    pub(crate) const fn void(pos: u64) -> u64 {
        (pos << POS) | (VOID << FIELD)
    }
    /// The slot holds message `pos`, whose reader died.
    #[inline]
    pub(crate) const fn orphan(pos: u64) -> u64 {
        (pos << POS) | (ORPHAN << FIELD)
    }
}

/// The state of a block: `{ pos, kind, owner }`.
pub(crate) mod block {
    use super::{FIELD, POS};

    pub(crate) const HELD: u64 = 1;
    pub(crate) const IN_FLIGHT: u64 = 2;
    pub(crate) const LENT: u64 = 3;
    pub(crate) const LOST: u64 = 4;

    /// Any process may claim the block.
    pub(crate) const FREE: u64 = 0;
    /// `owner` fills the block, or has acknowledged its message and still reads it.
    #[inline]
    pub(crate) const fn held(owner: u64) -> u64 {
        (HELD << FIELD) | owner
    }
    /// The block holds message `pos`, whose slot is not past it.
    #[inline]
    pub(crate) const fn in_flight(pos: u64) -> u64 {
        (pos << POS) | (IN_FLIGHT << FIELD)
    }
    /// The block holds message `pos`, which `owner` reads and has not acknowledged.
    #[inline]
    pub(crate) const fn lent(pos: u64, owner: u64) -> u64 {
        (pos << POS) | (LENT << FIELD) | owner
    }
    /// The block holds message `pos`, whose reader died.
    #[inline]
    pub(crate) const fn lost(pos: u64) -> u64 {
        (pos << POS) | (LOST << FIELD)
    }
}

/// The word `members`: flags below a count of attachments.
pub(crate) mod members {
    pub(crate) const SENDERS_GONE: u64 = 1;
    pub(crate) const RECEIVERS_GONE: u64 = 2;
    pub(crate) const SENDERS_DIED: u64 = 4;
    pub(crate) const RECEIVERS_DIED: u64 = 8;
    pub(crate) const GONE: u64 = SENDERS_GONE | RECEIVERS_GONE;
    pub(crate) const SEQ: u64 = 16;
}

/// An entry, which counts the endpoints of a participant.
pub(crate) mod entry {
    pub(crate) const USED: u64 = 1 << 63;
    const COUNT: u64 = (1 << 24) - 1;
    /// The largest number of endpoints of one role in one process.
    pub(crate) const MAX_ENDPOINTS: usize = COUNT as usize;

    pub(crate) const fn used(senders: usize, receivers: usize) -> u64 {
        USED | (receivers as u64 & COUNT) << 24 | (senders as u64 & COUNT)
    }
    pub(crate) const fn senders(word: u64) -> usize {
        (word & COUNT) as usize
    }
    pub(crate) const fn receivers(word: u64) -> usize {
        ((word >> 24) & COUNT) as usize
    }
}

/// The process of a participant, for peers that let the kernel notify them of its death.
///
/// No decision depends on it, because a process number has a meaning in one namespace only, and is
/// used again.
pub(crate) mod pid_hint {
    /// The participant is not attached yet, or its process does not know its own number.
    pub(crate) const NONE: u64 = 0;

    pub(crate) const fn word(pid: u32, namespace: u64) -> u64 {
        (pid as u64) << 32 | namespace & 0xffff_ffff
    }
    pub(crate) const fn pid(word: u64) -> u32 {
        (word >> 32) as u32
    }
    pub(crate) const fn namespace(word: u64) -> u32 {
        word as u32
    }
    /// Returns the pid of a participant, if it is known and names the same process for `me`.
    ///
    /// In another namespace the number names another process.
    pub(crate) fn known_to(me: u64, word: u64) -> Option<u32> {
        (word != NONE && namespace(word) == namespace(me)).then_some(pid(word))
    }
}

/// A word with two cache lines of its own, because processors fetch lines in pairs.
#[repr(C, align(128))]
pub(crate) struct CacheLine(pub(crate) AtomicU64);

/// The description of a segment, written once, its magic number last.
#[repr(C, align(128))]
pub(crate) struct Meta {
    pub(crate) magic: AtomicU64,
    pub(crate) version: AtomicU64,
    pub(crate) fingerprint: AtomicU64,
    pub(crate) capacity: AtomicU64,
    pub(crate) stride: AtomicU64,
    pub(crate) participants: AtomicU64,
    pub(crate) blocks: AtomicU64,
    pub(crate) largest: AtomicU64,
    pub(crate) checksum: AtomicU64,
}

/// The words `members`, `orphan_seq` and `end`.
///
/// Processes read the first two often, and write them when a process attaches, leaves or dies. A
/// process writes `end` when a block gets a place.
#[repr(C, align(128))]
pub(crate) struct Seqs {
    pub(crate) members: AtomicU64,
    pub(crate) orphan_seq: AtomicU64,
    pub(crate) end: AtomicU64,
}

/// The processor on which each side last waited, counted from 1.
///
/// These are hints: only speed depends on them.
#[repr(C, align(128))]
pub(crate) struct Hints {
    pub(crate) senders_cpu: AtomicU64,
    pub(crate) receivers_cpu: AtomicU64,
}

/// The header of a segment.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) meta: Meta,
    pub(crate) tail: CacheLine,
    pub(crate) head: CacheLine,
    pub(crate) recv_wait: CacheLine,
    pub(crate) send_wait: CacheLine,
    pub(crate) seqs: Seqs,
    pub(crate) hints: Hints,
    /// The description of the messages for error texts ([`Shape::text`]).
    ///
    /// A 0 ends it if there is room.
    ///
    /// It is written before *meta*.
    pub(crate) text: [AtomicU64; MAX_TEXT / 8],
    #[cfg(loom)]
    pub(crate) futexes: [ipc_wait::model_futex::ModelFutex; 2],
}

/// The metadata of a block, in a cache line of its own.
///
/// The bytes of the block lie elsewhere, on pages of their own.
#[repr(C, align(64))]
pub(crate) struct BlockMeta {
    pub(crate) state: AtomicU64,
    /// Bytes of the message in the block. Only the block's owner writes this and all below.
    pub(crate) len: AtomicU64,
    /// The number of times that the message was delivered.
    pub(crate) deliveries: AtomicU64,
    /// Bytes of the block's place for which memory is allocated.
    pub(crate) committed: AtomicU64,
    /// The block's place in the data area, where its bytes begin.
    pub(crate) place: AtomicU64,
    /// Bytes of the block's place, or 0 if it has none yet.
    ///
    /// Stored after `place`, and never decreases. If the owner is killed between the two stores,
    /// the place is larger than this word says.
    pub(crate) room: AtomicU64,
}

const ENTRIES: usize = 1024;
const BLOCK_META: usize = 64;
/// The size of a cache line. Slots and their strides are multiples of it.
pub(crate) const LINE: usize = 64;
pub(crate) const PAGE: usize = 4096;

#[cfg(not(loom))]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(offset_of!(Header, tail) == 128);
    assert!(offset_of!(Header, head) == 256);
    assert!(offset_of!(Header, recv_wait) == 384);
    assert!(offset_of!(Header, send_wait) == 512);
    assert!(offset_of!(Header, seqs) == 640);
    assert!(offset_of!(Header, hints) == 768);
    assert!(offset_of!(Header, text) == 896);
    assert!(offset_of!(Seqs, end) == 16);
    assert!(size_of::<Header>() == ENTRIES);
    assert!(size_of::<BlockMeta>() == BLOCK_META);
    assert!(offset_of!(Meta, checksum) == 64);
};

/// The magic number. On a machine of the other byte order it reads as another number.
const MAGIC: u64 = u64::from_le_bytes(*b"MPROCSEG");
const VERSION: u64 = 5;

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
const MAX_LEN: u128 = 1 << 46;

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
        if len > MAX_LEN {
            return Err("capacity and message size together are larger than an address space");
        }
        Ok(geometry)
    }

    pub(crate) fn entries_offset(&self) -> usize {
        ENTRIES
    }

    pub(crate) fn pid_hints_offset(&self) -> usize {
        ENTRIES + self.entries * 8
    }

    pub(crate) fn blocks_offset(&self) -> usize {
        (self.pid_hints_offset() + self.entries * 8).next_multiple_of(BLOCK_META)
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

    fn checksum(&self, fingerprint: u64) -> u64 {
        let words = [
            MAGIC,
            VERSION,
            fingerprint,
            self.capacity,
            self.stride as u64,
            self.entries as u64 - 1,
            self.blocks as u64,
            self.largest as u64,
        ];
        Fingerprint::new().words(&words).0
    }
}

impl Header {
    /// Writes the description of a new segment for messages of this shape, the magic number last.
    pub(crate) fn describe(&self, geometry: &Geometry, shape: &Shape) {
        let (meta, fingerprint) = (&self.meta, shape.fingerprint());
        // Relaxed: no other process has the segment yet. The magic number's Release publishes the
        // words to the processes that open it.
        for (word, bytes) in self.text.iter().zip(shape.text().as_bytes().chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        meta.version.store(VERSION, Ordering::Relaxed);
        meta.fingerprint.store(fingerprint, Ordering::Relaxed);
        meta.capacity.store(geometry.capacity, Ordering::Relaxed);
        meta.stride.store(geometry.stride as u64, Ordering::Relaxed);
        meta.participants.store(geometry.entries as u64 - 1, Ordering::Relaxed);
        meta.blocks.store(geometry.blocks as u64, Ordering::Relaxed);
        meta.largest.store(geometry.largest as u64, Ordering::Relaxed);
        meta.checksum.store(geometry.checksum(fingerprint), Ordering::Relaxed);
        meta.magic.store(MAGIC, Ordering::Release);
    }

    /// Reads and checks the description of a segment of `len` bytes.
    ///
    /// Its messages must have this shape.
    ///
    /// # Errors
    ///
    /// Returns `InvalidData` with the reason: another magic number or version, messages of another
    /// type, or numbers that fit neither each other nor the file.
    pub(crate) fn check(&self, len: usize, shape: &Shape) -> io::Result<Geometry> {
        let refuse = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("segment refused: {what}"))
        };
        let word = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let (meta, fingerprint) = (&self.meta, shape.fingerprint());
        if meta.magic.load(Ordering::Acquire) != MAGIC {
            return Err(refuse("not a channel's segment (magic number)"));
        }
        if word(&meta.version) != VERSION {
            return Err(refuse("made by another version of this library"));
        }
        if word(&meta.fingerprint) != fingerprint {
            // Copied out before it is checked: the bytes may be anything, and a peer may change
            // them.
            let bytes: Vec<u8> =
                self.text.iter().flat_map(|bytes| word(bytes).to_ne_bytes()).collect();
            let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            return Err(refuse(&Mismatch::new(shape, text).to_string()));
        }
        let small = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let geometry = Geometry::new(
            word(&meta.capacity),
            small(word(&meta.stride)),
            small(word(&meta.participants)),
            small(word(&meta.blocks)),
            small(word(&meta.largest)),
        )
        .map_err(refuse)?;
        if geometry.checksum(fingerprint) != word(&meta.checksum) {
            return Err(refuse("its header is damaged (checksum)"));
        }
        if geometry.data_offset() > len {
            return Err(refuse("it is shorter than its header says"));
        }
        Ok(geometry)
    }
}

/// A 64-bit FNV-1a hash of what two programs must have in common to meet.
///
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint(pub(crate) u64);

impl Fingerprint {
    pub(crate) const fn new() -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }

    pub(crate) fn words(mut self, words: &[u64]) -> Self {
        for word in words {
            self = self.bytes(&word.to_le_bytes());
        }
        self
    }

    /// Returns the fingerprint of a type of plain data.
    ///
    /// It covers the name without the path, the size and the alignment, which programs that are
    /// built separately have in common.
    pub(crate) fn of<T>(layout: &str) -> u64 {
        shape::plain_fingerprint::<T>(layout)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

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
    fn who_is_told_apart_by_number_and_namespace() {
        let word = pid_hint::word(u32::MAX - 1, 0x1_f000_0002);
        assert_eq!((pid_hint::pid(word), pid_hint::namespace(word)), (u32::MAX - 1, 0xf000_0002));
        assert_ne!(pid_hint::word(1, 0), pid_hint::NONE);
    }

    #[test]
    fn regions_follow_each_other() {
        let g = geometry(64);
        assert!(g.entries_offset() >= size_of::<Header>());
        assert!(g.pid_hints_offset() >= g.entries_offset() + g.entries * 8);
        assert!(g.blocks_offset() >= g.pid_hints_offset() + g.entries * 8);
        assert!(g.slots_offset() >= g.blocks_offset() + g.blocks * size_of::<BlockMeta>());
        assert_eq!(g.slots_offset() % 128, 0);
        assert!(g.data_offset() >= g.slots_offset() + 64 * 128);
        // What the slots need, and at most 8 KiB.
        assert!(g.data_offset() <= 64 * 128 + 8192);
    }
}
