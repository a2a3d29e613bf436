//! A peer that does not keep the protocol: the segment's words, to be written as one likes.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ipc_core::__private::handle;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{Mode, OFlags};
use serde::Serialize;

/// Where things lie: `layout.rs`.
pub(crate) mod at {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 8;
    pub(crate) const FINGERPRINT: usize = 16;
    pub(crate) const CAPACITY: usize = 24;
    pub(crate) const STRIDE: usize = 32;
    pub(crate) const PARTICIPANTS: usize = 40;
    pub(crate) const BLOCKS: usize = 48;
    pub(crate) const LARGEST: usize = 56;
    pub(crate) const CHECKSUM: usize = 64;
    pub(crate) const TAIL: usize = 128;
    pub(crate) const HEAD: usize = 256;
    pub(crate) const RECV_WAIT: usize = 384;
    pub(crate) const SEND_WAIT: usize = 512;
    pub(crate) const MEMBERS: usize = 640;
    pub(crate) const ORPHAN_SEQ: usize = 648;
    pub(crate) const END: usize = 656;
    pub(crate) const ENTRIES: usize = 1024;
}

/// Another open file of the segment of `end`, and nothing else left of asking for it.
pub(crate) fn segment_of(end: &impl Serialize) -> OwnedFd {
    let (encoded, handles) = handle::collect(|| postcard::to_stdvec(end));
    encoded.unwrap();
    reopen(&handles[0])
}

/// An open file of its own: it shares no lease.
pub(crate) fn reopen(fd: &OwnedFd) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// A mapping of a segment, up to its blocks.
pub(crate) struct Peer {
    mapping: MmapRaw,
}

impl Peer {
    pub(crate) fn of(end: &impl Serialize) -> Peer {
        Peer::map(&segment_of(end))
    }

    pub(crate) fn map(segment: &OwnedFd) -> Peer {
        let whole = rustix::fs::fstat(segment).unwrap().st_size as usize;
        let header = MmapOptions::new().len(4096).map_raw(segment.as_raw_fd()).unwrap();
        let data = Peer { mapping: header }.data().min(whole);
        Peer { mapping: MmapOptions::new().len(data).map_raw(segment.as_raw_fd()).unwrap() }
    }

    /// The word at this offset.
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset % 8 == 0 && offset + 8 <= self.mapping.len());
        let word = self.mapping.as_mut_ptr().wrapping_add(offset).cast::<AtomicU64>();
        // SAFETY: within the mapping, aligned, as long as `self`; memory of atomics to everybody.
        unsafe { &*word }
    }

    pub(crate) fn get(&self, offset: usize) -> u64 {
        self.word(offset).load(Relaxed)
    }

    pub(crate) fn set(&self, offset: usize, value: u64) {
        self.word(offset).store(value, Relaxed);
    }

    pub(crate) fn capacity(&self) -> usize {
        self.get(at::CAPACITY) as usize
    }

    pub(crate) fn entry(&self, id: usize) -> usize {
        at::ENTRIES + id * 8
    }

    fn blocks(&self) -> usize {
        (at::ENTRIES + (self.get(at::PARTICIPANTS) as usize + 1) * 16).next_multiple_of(64)
    }

    /// Of a block: state, length, deliveries, committed, place, room.
    pub(crate) fn block(&self, index: usize) -> usize {
        self.blocks() + index * 64
    }

    /// Of a slot: its state, then its payload.
    pub(crate) fn slot(&self, index: usize) -> usize {
        let slots = (self.blocks() + self.get(at::BLOCKS) as usize * 64).next_multiple_of(128);
        slots + index * self.get(at::STRIDE) as usize
    }

    /// Where the blocks' bytes begin.
    pub(crate) fn data(&self) -> usize {
        self.slot(self.capacity()).next_multiple_of(4096)
    }

    /// Makes the header's numbers agree with each other again, as a peer that lies well would.
    pub(crate) fn sum(&self) {
        let words = [
            at::MAGIC,
            at::VERSION,
            at::FINGERPRINT,
            at::CAPACITY,
            at::STRIDE,
            at::PARTICIPANTS,
            at::BLOCKS,
            at::LARGEST,
        ];
        let bytes = words.iter().flat_map(|word| self.get(*word).to_le_bytes());
        let sum = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        self.set(at::CHECKSUM, sum);
    }
}

/// Numbers without pattern, the same in each run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Something to put in the place of `old`: anything, or close to what could be there.
    pub(crate) fn scribble(&mut self, old: u64) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => self.next(),
            3 => old ^ (1 << self.below(64)),
            4 => old.wrapping_add(1 << 17),
            5 => old.wrapping_sub(1 << 17),
            // The same position, another kind and owner.
            6 => (old >> 17 << 17) | self.next() & 0x1ffff,
            _ => (self.next() % 64) << 17 | self.next() & 0x1ffff,
        }
    }
}
