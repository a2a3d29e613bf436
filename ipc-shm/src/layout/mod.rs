//! The layout of a segment: every byte that two processes must agree on.
//!
//! ```text
//! offset 0      128    256    384    512    640    768     896    1024
//!        ┌──────┬──────┬──────┬──────┬──────┬──────┬───────┬──────┬───────────────
//!        │ meta │ tail │ head │ recv │ send │ seqs │ hints │ text │ (below)
//!        │      │      │      │ wait │ wait │      │       │      │
//!        └──────┴──────┴──────┴──────┴──────┴──────┴───────┴──────┴───────────────
//!   from 1024                        128-aligned     page-aligned
//!        ┌─────────┬──────┬───────┬───────────┬─────────┬───────────────┬──────────────
//!        │ entries │ pids │ bells │ addresses │ block   │ slot 0, 1, …  │ data:
//!        │ 0, 1, … │ 0, … │       │ 0, 1, …   │ meta …  │ (stride each) │ places
//!        └─────────┴──────┴───────┴───────────┴─────────┴───────────────┴──────────────
//!          allocated at creation, as all above                           │ allocated when used
//! ```
//!
//! All words are `u64` in the machine's own byte order. The magic number reveals another byte
//! order, which is refused. *meta* is the [`Description`], which each process copies into a
//! [`Geometry`].
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
//! | `recv_wait`, `send_wait` | 63..54 arms, 53..32 tokens, 31..0 seq: the futex |
//! | `armed` | a bit for each participant: it waits on its bell socket ([`sockets`](ipc_wait::sockets)) |
//!
//! *pos* is a position in the stream of messages, `{ lap, index }`. The low bits are the index of
//! its slot, and the bits above count laps. The index has as many bits as the capacity needs. The
//! capacity need not be a power of two, because positions beyond it are skipped
//! ([`Geometry::next`]).

mod description;
mod geometry;
mod words;

use std::io;

use ipc_core::__private::shape::{MAX_TEXT, Mismatch, Shape};
pub(crate) use ipc_wait::Address;

pub(crate) use self::description::{Description, Fingerprint};
pub(crate) use self::geometry::{Geometry, HEADER, LINE, MAX_LEN, PAGE};
pub(crate) use self::words::*;
use crate::sync::{AtomicU64, Ordering};

/// A word with two cache lines of its own, because processors fetch lines in pairs.
#[repr(C, align(128))]
pub(crate) struct CacheLine(pub(crate) AtomicU64);

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

/// The waiters of one side that wait on their bell sockets: a bit for each participant.
#[repr(C, align(128))]
pub(crate) struct Armed(pub(crate) [AtomicU64; MAX_PARTICIPANTS / 64 + 1]);

/// The waiters that wait on their bell sockets.
#[repr(C)]
pub(crate) struct Bells {
    /// Of each side.
    pub(crate) armed: [Armed; 2],
    /// Not 0 if a participant cannot send to a bell socket.
    pub(crate) unreachable: CacheLine,
    #[cfg(loom)]
    pub(crate) model: ipc_wait::model_sockets::ModelSockets,
}

/// The header of a segment.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) description: Description,
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
    /// It is written before the description.
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
    assert!(size_of::<Header>() == HEADER);
    assert!(size_of::<BlockMeta>() == geometry::BLOCK_META);
    assert!(size_of::<Bells>() == geometry::BELLS);
    assert!(size_of::<Address>() == geometry::ADDRESS);
};

/// The magic number. On a machine of the other byte order it reads as another number.
const MAGIC: u64 = u64::from_le_bytes(*b"MPROCSEG");
const VERSION: u64 = 6;

impl Header {
    /// Writes the description of a new segment for messages of this shape.
    pub(crate) fn describe(&self, geometry: &Geometry, shape: &Shape) {
        for (word, bytes) in self.text.iter().zip(shape.text().as_bytes().chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            // Relaxed: as the words of the description, which is written afterwards.
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        let Geometry { capacity, stride, entries, blocks, largest, .. } = *geometry;
        let sizes = [stride, entries - 1, blocks, largest].map(|size| size as u64);
        let [stride, participants, blocks, largest] = sizes;
        let words = [shape.fingerprint(), capacity, stride, participants, blocks, largest];
        self.description.write(MAGIC, VERSION, words);
    }

    /// Checks a copy of the header of a segment of `len` bytes.
    ///
    /// Its messages must have this shape.
    ///
    /// # Errors
    ///
    /// Returns `InvalidData` with the reason: another magic number or version, messages of another
    /// type, or numbers that fit neither each other nor the file.
    pub(crate) fn check(copy: &[u8; HEADER], len: usize, shape: &Shape) -> io::Result<Geometry> {
        let refuse = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("segment refused: {what}"))
        };
        let (described, _) = copy.split_first_chunk().expect("a header begins with it");
        if Description::magic(described) != MAGIC {
            return Err(refuse("not a channel's segment (magic number)"));
        }
        let words = Description::check(described, VERSION).map_err(refuse)?;
        let [fingerprint, capacity, sizes @ ..] = words;
        if fingerprint != shape.fingerprint() {
            let text = &copy[std::mem::offset_of!(Header, text)..];
            let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
            return Err(refuse(&Mismatch::new(shape, text).to_string()));
        }
        let [stride, participants, blocks, largest] =
            sizes.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        let geometry =
            Geometry::new(capacity, stride, participants, blocks, largest).map_err(refuse)?;
        if geometry.data_offset() > len {
            return Err(refuse("it is shorter than its header says"));
        }
        Ok(geometry)
    }
}
