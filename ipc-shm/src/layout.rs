//! Every byte that two processes must agree on.
//!
//! ```text
//! offset 0      128    256    384    512    640    768     896    1024                        (128-aligned)   (page)
//!        ┌──────┬──────┬──────┬──────┬──────┬──────┬───────┬──────┬─────────┬──────┬─────────┬───────────────┬─────────
//!        │ meta │ tail │ head │ recv │ send │ seqs │ hints │ text │ entries │ pids │ block   │ slot 0, 1, …  │ data:
//!        │      │      │      │ wait │ wait │      │       │      │ 0, 1, … │ 0, … │ meta …  │ (stride each) │ places
//!        └──────┴──────┴──────┴──────┴──────┴──────┴───────┴──────┴─────────┴──────┴─────────┴───────────────┴─────────
//!        └──────────────── allocated when the segment is made ───────────────────────────────────────────────┘ when used
//! ```
//!
//! All words are `u64` in the machine's own byte order; the magic number tells another one, which
//! is refused. *meta* is written once, before anybody else can attach, its magic number last; it is
//! read and checked once, copied into a [`Geometry`], and never read again.
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
//! | `pid_hint` | 63..32 pid of the participant, 31..0 its pid namespace; 0 not known. A hint: see [`pid_hint`] |
//! | `end` | bytes of the data area that were ever given out, as places of blocks ([`places`](crate::channel::places)) |
//! | `recv_wait`, `send_wait` | 63..32 tokens, 31..0 seq: the futex |
//!
//! *pos* is a position in the stream of messages, `{ lap, index }`: the low bits are the index of
//! its slot, the bits above count laps. The index takes as many bits as the capacity needs, so a
//! capacity need not be a power of two; positions beyond it are skipped ([`Geometry::next`]).

use std::io;

use ipc_core::__private::shape::{self, MAX_TEXT, Mismatch, Shape};

use crate::sync::{AtomicU64, Ordering};

/// Owner, 10 bits: 0 is nobody.
pub(crate) const OWNER: u64 = (1 << 10) - 1;
/// The most participants a segment can have.
pub(crate) const MAX_PARTICIPANTS: usize = OWNER as usize;
const FIELD: u32 = 10;
const FIELD_MASK: u64 = (1 << 6) - 1;
/// `tail`: no claim succeeds any more.
pub(crate) const CLOSED: u64 = 1 << 16;
const POS: u32 = 17;
/// Positions count modulo 2^47.
pub(crate) const POS_MASK: u64 = (1 << 47) - 1;
/// The largest batch: what the count of a claim can say.
pub(crate) const MAX_BATCH: usize = FIELD_MASK as usize;

/// `tail` or `head`: `{ pos, closed, count, owner }`, the last claim's.
#[inline]
pub(crate) const fn claim(pos: u64, count: u64, owner: u64) -> u64 {
    (pos << POS) | (count << FIELD) | owner
}

/// The position in a packed word.
#[inline]
pub(crate) const fn pos(word: u64) -> u64 {
    word >> POS
}

/// The count of a claim.
#[inline]
pub(crate) const fn count(word: u64) -> u64 {
    (word >> FIELD) & FIELD_MASK
}

/// The owner in a packed word.
#[inline]
pub(crate) const fn owner(word: u64) -> u64 {
    word & OWNER
}

/// The kind in a slot's or block's state.
#[inline]
pub(crate) const fn kind(word: u64) -> u64 {
    (word >> FIELD) & FIELD_MASK
}

/// A slot's state: `{ pos, kind, owner }`.
pub(crate) mod slot {
    use super::{FIELD, POS};

    pub(crate) const FREE: u64 = 0;
    pub(crate) const WRITING: u64 = 1;
    pub(crate) const READY: u64 = 2;
    pub(crate) const READING: u64 = 3;
    pub(crate) const VOID: u64 = 4;
    pub(crate) const ORPHAN: u64 = 5;

    /// May be claimed for writing as `pos`; or is, and unsigned (only the last claim).
    #[inline]
    pub(crate) const fn free(pos: u64) -> u64 {
        (pos << POS) | (FREE << FIELD)
    }
    /// Claimed by `owner`, signed.
    #[inline]
    pub(crate) const fn writing(pos: u64, owner: u64) -> u64 {
        (pos << POS) | (WRITING << FIELD) | owner
    }
    /// Holds message `pos`; or is claimed for reading and unsigned (only the last claim).
    #[inline]
    pub(crate) const fn ready(pos: u64) -> u64 {
        (pos << POS) | (READY << FIELD)
    }
    /// Claimed for reading by `owner`, signed.
    #[inline]
    pub(crate) const fn reading(pos: u64, owner: u64) -> u64 {
        (pos << POS) | (READING << FIELD) | owner
    }
    /// Holds nothing: its writer died or gave up.
    #[inline]
    pub(crate) const fn void(pos: u64) -> u64 {
        (pos << POS) | (VOID << FIELD)
    }
    /// Message `pos`, its reader died.
    #[inline]
    pub(crate) const fn orphan(pos: u64) -> u64 {
        (pos << POS) | (ORPHAN << FIELD)
    }
}

/// A block's state: `{ pos, kind, owner }`.
pub(crate) mod block {
    use super::{FIELD, POS};

    pub(crate) const HELD: u64 = 1;
    pub(crate) const IN_FLIGHT: u64 = 2;
    pub(crate) const LENT: u64 = 3;
    pub(crate) const LOST: u64 = 4;

    /// May be taken by anybody.
    pub(crate) const FREE: u64 = 0;
    /// `owner` fills it; or has acknowledged its message and still reads it.
    #[inline]
    pub(crate) const fn held(owner: u64) -> u64 {
        (HELD << FIELD) | owner
    }
    /// Holds message `pos`, whose slot is not past it.
    #[inline]
    pub(crate) const fn in_flight(pos: u64) -> u64 {
        (pos << POS) | (IN_FLIGHT << FIELD)
    }
    /// Message `pos`, read by `owner`, not acknowledged.
    #[inline]
    pub(crate) const fn lent(pos: u64, owner: u64) -> u64 {
        (pos << POS) | (LENT << FIELD) | owner
    }
    /// Message `pos`, its reader died.
    #[inline]
    pub(crate) const fn lost(pos: u64) -> u64 {
        (pos << POS) | (LOST << FIELD)
    }
}

/// `members`: flags below a count of attachments.
pub(crate) mod members {
    pub(crate) const SENDERS_GONE: u64 = 1;
    pub(crate) const RECEIVERS_GONE: u64 = 2;
    pub(crate) const SENDERS_DIED: u64 = 4;
    pub(crate) const RECEIVERS_DIED: u64 = 8;
    pub(crate) const GONE: u64 = SENDERS_GONE | RECEIVERS_GONE;
    pub(crate) const SEQ: u64 = 16;
}

/// An entry: which endpoints a participant has.
pub(crate) mod entry {
    pub(crate) const USED: u64 = 1 << 63;
    const COUNT: u64 = (1 << 24) - 1;
    /// The most endpoints of one role in one process.
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

/// The process of a participant, for those that would like to hear of its death from the kernel.
/// Nothing is decided by it: a process number means something in one namespace only, and is used
/// again.
pub(crate) mod pid_hint {
    /// On its way, or of a process that does not know itself.
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
}

/// A word with two cache lines of its own: processors fetch lines in pairs.
#[repr(C, align(128))]
pub(crate) struct CacheLine(pub(crate) AtomicU64);

/// What a segment says of itself: written once, its magic number last.
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

/// `members` and `orphan_seq`: read often, written when a process attaches, leaves or dies; `end`,
/// when a block gets a place.
#[repr(C, align(128))]
pub(crate) struct Seqs {
    pub(crate) members: AtomicU64,
    pub(crate) orphan_seq: AtomicU64,
    pub(crate) end: AtomicU64,
}

/// On which processor each side last waited, counted from 1. Hints: nothing depends on them but
/// speed.
#[repr(C, align(128))]
pub(crate) struct Hints {
    pub(crate) senders_cpu: AtomicU64,
    pub(crate) receivers_cpu: AtomicU64,
}

/// The head of a segment.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) meta: Meta,
    pub(crate) tail: CacheLine,
    pub(crate) head: CacheLine,
    pub(crate) recv_wait: CacheLine,
    pub(crate) send_wait: CacheLine,
    pub(crate) seqs: Seqs,
    pub(crate) hints: Hints,
    /// What the messages are, for people: [`Shape::text`], ended by a 0 if there is room. Written
    /// before *meta*.
    pub(crate) text: [AtomicU64; MAX_TEXT / 8],
    #[cfg(loom)]
    pub(crate) futexes: [crate::model_futex::ModelFutex; 2],
}

/// What is known of a block; its bytes lie elsewhere, on pages of their own. In a cache line of its
/// own, too.
#[repr(C, align(64))]
pub(crate) struct BlockMeta {
    pub(crate) state: AtomicU64,
    /// Bytes of the message in it. Written by the block's owner, as all below.
    pub(crate) len: AtomicU64,
    /// How often the message has been delivered.
    pub(crate) deliveries: AtomicU64,
    /// Bytes of its place that memory is allocated for.
    pub(crate) committed: AtomicU64,
    /// Its place in the data area: where its bytes begin.
    pub(crate) place: AtomicU64,
    /// Bytes of its place; 0 if it has none yet. Stored after `place`, and only ever grows: killed
    /// in between, its owner leaves a place that is larger than it says.
    pub(crate) room: AtomicU64,
}

const ENTRIES: usize = 1024;
const BLOCK_META: usize = 64;
/// Slots and their strides are multiples of a line.
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

/// A segment from a machine of the other byte order begins with another number.
const MAGIC: u64 = u64::from_le_bytes(*b"MPROCSEG");
const VERSION: u64 = 5;

/// The sizes and places of a segment, checked, in this process' own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Slots.
    pub(crate) capacity: u64,
    /// Positions per lap less one: the mask of a position's index.
    pub(crate) mask: u64,
    /// Bytes from a slot to the next.
    pub(crate) stride: usize,
    /// Entries, the unused one of id 0 included.
    pub(crate) entries: usize,
    pub(crate) blocks: usize,
    /// The largest message, in bytes.
    pub(crate) largest: usize,
    /// The most bytes of a block's place: the largest message, in whole pages.
    pub(crate) block_size: usize,
}

/// Larger sizes than any machine has, so that no sum below can overflow.
const MAX_CAPACITY: u64 = 1 << 32;
const MAX_STRIDE: usize = 1 << 20;
const MAX_BLOCKS: usize = 1 << 33;
const MAX_BLOCK_SIZE: usize = 1 << 46;
const MAX_LEN: u128 = 1 << 46;

impl Geometry {
    /// Checks the numbers; `what` fails is said in the error.
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

    /// Where the data area begins: all before it is allocated when the segment is made, and mapped
    /// at once.
    pub(crate) fn data_offset(&self) -> usize {
        (self.slots_offset() + self.capacity as usize * self.stride).next_multiple_of(PAGE)
    }

    /// The largest batch.
    pub(crate) fn max_batch(&self) -> usize {
        MAX_BATCH.min(self.capacity as usize)
    }

    /// The index of a position's slot: in bounds also for a position that a peer made up.
    #[inline]
    pub(crate) fn index(&self, pos: u64) -> usize {
        (pos & self.mask).min(self.capacity - 1) as usize
    }

    /// The position after `pos`.
    #[inline]
    pub(crate) fn next(&self, pos: u64) -> u64 {
        if (pos & self.mask) + 1 < self.capacity {
            pos + 1
        } else {
            ((pos & !self.mask) + self.mask + 1) & POS_MASK
        }
    }

    /// The position before `pos`.
    #[inline]
    pub(crate) fn prev(&self, pos: u64) -> u64 {
        self.back(pos, 1)
    }

    /// The position `n` before `pos`, `n` at most the capacity (wrapping for what a peer made up).
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

    /// The position of the same slot, one lap later.
    #[inline]
    pub(crate) fn next_lap(&self, pos: u64) -> u64 {
        (pos + self.mask + 1) & POS_MASK
    }

    /// The position of the same slot, one lap before.
    #[inline]
    pub(crate) fn last_lap(&self, pos: u64) -> u64 {
        pos.wrapping_sub(self.mask + 1) & POS_MASK
    }

    /// How many positions lie from `from` up to `to`, which is not before it.
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
        // Relaxed: nobody else has the segment; the magic number's Release publishes to whoever
        // opens it.
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

    /// Reads and checks the description of a segment of `len` bytes, whose messages must have this
    /// shape.
    ///
    /// # Errors
    ///
    /// `InvalidData`, with what is wrong: another magic number or version, messages of another
    /// type, numbers that do not fit together or not the file.
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
            // Copied out before it is looked at: any bytes, and a peer may change them.
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

/// A 64-bit FNV-1a hash: what two programs must have in common to meet.
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

    /// A type of plain data, by its name without the path, and its size and alignment: what
    /// programs that are built apart have in common.
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
