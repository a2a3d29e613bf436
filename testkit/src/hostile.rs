//! A peer that does not keep the protocol: it writes into a channel's segment as it likes, and
//! sends what it likes.
//!
//! It is a second mapping of the segment in the same process, which makes no difference to the
//! memory. All places and packed words are those of the library's own `layout`.

use std::io::IoSlice;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ipc_core::__private::handle;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde::Serialize;

use crate::layout::{Address, Bells, BlockMeta, Geometry, PAGE};

/// The offsets of words in a segment.
pub mod at {
    use std::mem::offset_of;

    use crate::layout::{Description, Header, Hints, Seqs};

    /// A word of the description.
    const fn described(index: usize) -> usize {
        offset_of!(Header, description) + 8 * index
    }

    /// The magic number, the first word of the description.
    pub const MAGIC: usize = described(0);
    /// The version of the layout.
    pub const VERSION: usize = described(1);
    /// What the messages are, as a hash.
    pub const FINGERPRINT: usize = described(2);
    /// The number of slots.
    pub const CAPACITY: usize = described(3);
    /// Bytes from a slot to the next.
    pub const STRIDE: usize = described(4);
    /// The most participants.
    pub const PARTICIPANTS: usize = described(5);
    /// The number of blocks.
    pub const BLOCKS: usize = described(6);
    /// Bytes of the largest message.
    pub const LARGEST: usize = described(7);
    /// The checksum of the words before it.
    pub const CHECKSUM: usize = described(Description::BYTES / 8 - 1);
    /// The last claim to send.
    pub const TAIL: usize = offset_of!(Header, tail);
    /// The last claim to receive.
    pub const HEAD: usize = offset_of!(Header, head);
    /// Where receivers sleep.
    pub const RECV_WAIT: usize = offset_of!(Header, recv_wait);
    /// Where senders sleep.
    pub const SEND_WAIT: usize = offset_of!(Header, send_wait);
    /// Flags of ends that are gone, and a count of attachments.
    pub const MEMBERS: usize = offset_of!(Header, seqs) + offset_of!(Seqs, members);
    /// How often a dead process has left messages.
    pub const ORPHAN_SEQ: usize = offset_of!(Header, seqs) + offset_of!(Seqs, orphan_seq);
    /// How many bytes of the data area were given out.
    pub const END: usize = offset_of!(Header, seqs) + offset_of!(Seqs, end);
    /// On which processor senders last waited.
    pub const SENDERS_CPU: usize = offset_of!(Header, hints) + offset_of!(Hints, senders_cpu);
}

/// Packed words.
pub mod word {
    use crate::layout::{POS_MASK, claim, entry, slot};

    /// How many positions there are: they count modulo this.
    pub const POSITIONS: u64 = POS_MASK + 1;

    /// `tail` or `head` after a claim of this position.
    pub const fn claimed(position: u64) -> u64 {
        claim(position, 0, 0)
    }

    /// The state of a slot that may be written as this position.
    pub const fn free(position: u64) -> u64 {
        slot::free(position)
    }

    /// The entry of a participant with so many ends.
    pub const fn entry(senders: usize, receivers: usize) -> u64 {
        entry::used(senders, receivers)
    }
}

/// Returns another open file of the segment of `end`, and leaves nothing else of asking for it.
pub fn segment_of(end: &impl Serialize) -> OwnedFd {
    let (encoded, handles) = handle::collect(|| postcard::to_stdvec(end));
    encoded.unwrap();
    reopen(&handles[0])
}

/// Returns an open file of its own for the same object: it shares no lease.
pub fn reopen(fd: &OwnedFd) -> OwnedFd {
    let path = crate::proc::path_of(fd.as_raw_fd());
    rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// Returns an object without a name, with these bytes first, as long as is said, then sealed.
pub fn memfd(bytes: &[u8], len: usize, seals: SealFlags) -> OwnedFd {
    let open = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("multiprocess-test", open).unwrap();
    rustix::fs::ftruncate(&fd, len as u64).unwrap();
    let mut written = 0;
    while written < bytes.len() {
        written += rustix::io::pwrite(&fd, &bytes[written..], written as u64).unwrap();
    }
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

/// What a segment without a name is sealed with.
pub const SEALED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// A mapping of a channel's segment, up to where its blocks' bytes begin.
pub struct Peer {
    mapping: MmapRaw,
    /// As the description said when it was mapped: it may be written over later.
    geometry: Geometry,
}

impl Peer {
    /// Maps the segment of `end`.
    pub fn of(end: &impl Serialize) -> Peer {
        Peer::map(&segment_of(end))
    }

    /// Maps a segment whose description is true.
    pub fn map(segment: &OwnedFd) -> Peer {
        let whole = rustix::fs::fstat(segment).unwrap().st_size as usize;
        let map = |len| MmapOptions::new().len(len).map_raw(segment.as_raw_fd()).unwrap();
        let header = map(PAGE);
        let number = |offset| word_of(&header, offset).load(Relaxed);
        let size = |offset| number(offset) as usize;
        let geometry = Geometry::new(
            number(at::CAPACITY),
            size(at::STRIDE),
            size(at::PARTICIPANTS),
            size(at::BLOCKS),
            size(at::LARGEST),
        );
        let geometry = geometry.expect("its description is true when it is mapped");
        Peer { mapping: map(geometry.data_offset().min(whole)), geometry }
    }

    /// Returns the word at this offset.
    pub fn get(&self, offset: usize) -> u64 {
        word_of(&self.mapping, offset).load(Relaxed)
    }

    /// Writes the word at this offset.
    pub fn set(&self, offset: usize, value: u64) {
        word_of(&self.mapping, offset).store(value, Relaxed);
    }

    /// Returns the number of slots.
    pub fn capacity(&self) -> usize {
        self.geometry.capacity as usize
    }

    /// Returns the number of blocks.
    pub fn blocks(&self) -> usize {
        self.geometry.blocks
    }

    /// Returns the offset of a participant's entry.
    pub fn entry(&self, id: usize) -> usize {
        self.geometry.entries_offset() + id * size_of::<AtomicU64>()
    }

    /// Returns the offset of the namespace in a participant's address. The rest of the address is
    /// behind that.
    pub fn namespace(&self, id: usize) -> usize {
        self.geometry.addresses_offset() + id * size_of::<Address>()
    }

    /// Returns the offset of the bits of receivers that wait on bell sockets.
    pub fn armed(&self) -> usize {
        self.geometry.bells_offset()
    }

    /// Returns the offset of the flag of bell sockets that a participant cannot reach.
    pub fn unreachable(&self) -> usize {
        self.geometry.bells_offset() + offset_of!(Bells, unreachable)
    }

    /// Returns the offset of a block's state.
    pub fn block(&self, index: usize) -> usize {
        self.geometry.blocks_offset() + index * size_of::<BlockMeta>()
    }

    /// Returns the offset of a block's length.
    pub fn block_len(&self, index: usize) -> usize {
        self.block(index) + offset_of!(BlockMeta, len)
    }

    /// Returns the offset of how much memory a block has.
    pub fn block_committed(&self, index: usize) -> usize {
        self.block(index) + offset_of!(BlockMeta, committed)
    }

    /// Returns the offset of where a block's bytes begin.
    pub fn block_place(&self, index: usize) -> usize {
        self.block(index) + offset_of!(BlockMeta, place)
    }

    /// Returns the offset of how many bytes a block's place has.
    pub fn block_room(&self, index: usize) -> usize {
        self.block(index) + offset_of!(BlockMeta, room)
    }

    /// Returns the offset of a slot's state. Its payload is behind that.
    pub fn slot(&self, index: usize) -> usize {
        self.geometry.slots_offset() + index * self.geometry.stride
    }

    /// Returns where the blocks' bytes begin.
    pub fn data(&self) -> usize {
        self.geometry.data_offset()
    }

    /// Makes the description's numbers agree with each other again, as a peer that lies well would.
    pub fn sum(&self) {
        let words = (at::MAGIC..at::CHECKSUM).step_by(8);
        let bytes = words.flat_map(|offset| self.get(offset).to_le_bytes());
        self.set(at::CHECKSUM, crate::checksum(bytes));
    }
}

/// A word of a mapping that is as long as the mapping's owner.
fn word_of(mapping: &MmapRaw, offset: usize) -> &AtomicU64 {
    assert!(offset % 8 == 0 && offset + 8 <= mapping.len());
    let word = mapping.as_mut_ptr().wrapping_add(offset).cast::<AtomicU64>();
    // SAFETY: within the mapping, which lives as long as the reference, aligned, and accessed by
    // atomics only, in every process.
    unsafe { &*word }
}

/// Sends any bytes with any descriptors, in one message.
pub fn send_raw(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(fds)));
    let bytes = [IoSlice::new(bytes)];
    let sent = rustix::net::sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL);
    assert_eq!(sent.expect("the socket takes so much"), bytes[0].len());
}
