//! One process's view of a segment: the place of each word.
//!
//! The protocol is above this module, and the placement below it.

// The module turns offsets into references to atomics.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use ipc_wait::{Barrier, Bell, SocketBell, Sockets};

use crate::channel::membership::Membership;
use crate::layout::{Address, Bells, BlockMeta, Geometry, Header};
use crate::sync::AtomicU64;

/// Selects one of the two bells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Receivers wait on this bell for a message.
    Receivers,
    /// Senders wait on this bell for room.
    Senders,
}

/// The words of a segment by name, up to its data area ([`places`](crate::channel::places)).
///
/// Copies are cheap. A view is valid as long as the memory that it was made over.
///
/// Peers write the same memory. So this process reaches everything in it through shared references
/// to atomics. Payloads are copied through atomics, or by the processor behind the compiler's back
/// ([`copy`](crate::copy)).
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    header: NonNull<Header>,
    entries: NonNull<AtomicU64>,
    pid_hints: NonNull<AtomicU64>,
    bells: NonNull<Bells>,
    addresses: NonNull<Address>,
    blocks: NonNull<BlockMeta>,
    slots: NonNull<AtomicU64>,
    /// The number of words from a slot to the next.
    stride: usize,
    pub(crate) geometry: Geometry,
}

// SAFETY: a view hands out only references to atomics, and pointers. The owner of the memory
// (`Attachment`, or the model) keeps it alive, and both may be used from any thread.
unsafe impl Send for Memory {}
// SAFETY: as above. A view has no state of its own that changes.
unsafe impl Sync for Memory {}

/// A slot, which is a state followed by a payload.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) state: &'a AtomicU64,
    /// The words after the state, up to the end of the stride.
    pub(crate) payload: &'a [AtomicU64],
}

impl Memory {
    /// Makes a view of a mapped segment of this geometry.
    ///
    /// # Safety
    ///
    /// `base` points to at least `geometry.data_offset()` bytes, aligned to a page, of shared
    /// memory or of this process's own. They stay mapped as long as the view or a copy of it is
    /// used. This process accesses them in no other way than through atomics.
    #[cfg(not(loom))]
    pub(crate) unsafe fn mapped(base: NonNull<u8>, geometry: Geometry) -> Memory {
        let at = |offset: usize| {
            // SAFETY: the offset is at most `geometry.data_offset()`, within the caller's memory.
            unsafe { base.add(offset) }
        };
        Memory {
            header: base.cast(),
            entries: at(geometry.entries_offset()).cast(),
            pid_hints: at(geometry.pid_hints_offset()).cast(),
            bells: at(geometry.bells_offset()).cast(),
            addresses: at(geometry.addresses_offset()).cast(),
            blocks: at(geometry.blocks_offset()).cast(),
            slots: at(geometry.slots_offset()).cast(),
            stride: geometry.stride / 8,
            geometry,
        }
    }

    /// Makes a view of memory in parts, for models.
    ///
    /// # Safety
    ///
    /// Each part is as long as `geometry` says, and outlives the view.
    #[cfg(any(loom, fuzzing, test))]
    pub(crate) unsafe fn parts(
        header: NonNull<Header>,
        entries: NonNull<AtomicU64>,
        (pid_hints, bells, addresses): (NonNull<AtomicU64>, NonNull<Bells>, NonNull<Address>),
        blocks: NonNull<BlockMeta>,
        slots: NonNull<AtomicU64>,
        geometry: Geometry,
    ) -> Memory {
        let stride = geometry.stride / 8;
        Memory { header, entries, pid_hints, bells, addresses, blocks, slots, stride, geometry }
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the callers of `mapped` and `parts` promise a header there. It consists of
        // atomics only, for which any bytes are valid, whatever a peer writes.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    pub(crate) fn tail(&self) -> &AtomicU64 {
        &self.header().tail.0
    }

    #[inline]
    pub(crate) fn head(&self) -> &AtomicU64 {
        &self.header().head.0
    }

    /// Returns the bell on which the waiters of this side wait.
    pub(crate) fn bell(&self, side: Side) -> SocketBell<'_> {
        SocketBell::new(self.threads(side), self.sockets(side))
    }

    /// Wakes up to `n` waiters of this side, after a publication that concerns them.
    #[inline(always)]
    pub(crate) fn ring(&self, side: Side, n: u64, barrier: Barrier) {
        if self.threads(side).must_ring(barrier) {
            self.ring_waiters(side, n);
        }
    }

    /// Apart from `ring`, which makes no more of the bell than the word.
    #[cold]
    #[inline(never)]
    fn ring_waiters(&self, side: Side, n: u64) {
        self.bell(side).ring_waiters(n);
    }

    /// Returns the word on which the threads of this side sleep.
    #[inline(always)]
    fn threads(&self, side: Side) -> Bell<'_> {
        let word = match side {
            Side::Receivers => &self.header().recv_wait.0,
            Side::Senders => &self.header().send_wait.0,
        };
        #[cfg(loom)]
        return Bell::shared(word, &self.header().futexes[side as usize]);
        #[cfg(not(loom))]
        Bell::shared(word)
    }

    fn bells(&self) -> &Bells {
        // SAFETY: they lie there (`Geometry::addresses_offset` leaves room for them). They consist
        // of atomics only, for which any bytes are valid, whatever a peer writes.
        unsafe { self.bells.as_ref() }
    }

    /// Returns the addresses of the participants, as many as entries.
    pub(crate) fn addresses(&self) -> &[Address] {
        // SAFETY: so many of them lie there (`Geometry::blocks_offset` leaves room for them), and
        // they consist of atomics.
        unsafe { std::slice::from_raw_parts(self.addresses.as_ptr(), self.geometry.entries) }
    }

    /// Returns the waiters of this side that have bell sockets.
    pub(crate) fn sockets(&self, side: Side) -> Sockets<'_> {
        let bells = self.bells();
        Sockets {
            armed: &bells.armed[side as usize].0,
            addresses: self.addresses(),
            unreachable: &bells.unreachable.0,
            #[cfg(loom)]
            model: &bells.model,
        }
    }

    /// Wakes all waiters of both sides after a participant has died.
    ///
    /// It does so whether there are registrations or not: the participant may have removed one, and
    /// woken no waiter.
    pub(crate) fn ring_after_death(&self) {
        self.bell(Side::Receivers).wake_all();
        self.bell(Side::Senders).wake_all();
        self.sockets(Side::Receivers).call_everyone();
    }

    /// Wakes the waiters of both sides, so that they read the changed participant table.
    ///
    /// A process that joins calls this.
    pub(crate) fn wake_sleepers(&self) {
        self.bell(Side::Receivers).wake_sleepers();
        self.bell(Side::Senders).wake_sleepers();
    }

    /// Wakes all waiters of both sides.
    ///
    /// It does so whether there are tokens or not, because a dead peer may have taken a token and
    /// woken no waiter.
    pub(crate) fn wake_all(&self) {
        self.bell(Side::Receivers).wake_all();
        self.bell(Side::Senders).wake_all();
    }

    /// Returns a view of the words that say which participants there are.
    #[inline]
    pub(crate) fn membership(&self) -> Membership<'_> {
        Membership {
            word: self.members(),
            entries: self.entries(),
            pid_hints: self.pid_hints(),
            tail: self.tail(),
        }
    }

    #[inline]
    pub(crate) fn members(&self) -> &AtomicU64 {
        &self.header().seqs.members
    }

    /// Returns the word that counts the bytes of the data area that were ever given out.
    #[cfg_attr(loom, allow(dead_code, reason = "a model has no data area"))]
    pub(crate) fn end(&self) -> &AtomicU64 {
        &self.header().seqs.end
    }

    #[inline]
    pub(crate) fn orphan_seq(&self) -> &AtomicU64 {
        &self.header().seqs.orphan_seq
    }

    /// Returns all entries. The entry of id 0 is never used.
    #[inline]
    pub(crate) fn entries(&self) -> &[AtomicU64] {
        // SAFETY: so many atomics lie there (`Geometry::pid_hints_offset` leaves room for them).
        unsafe { std::slice::from_raw_parts(self.entries.as_ptr(), self.geometry.entries) }
    }

    /// Returns the process of each participant, as many words as entries.
    pub(crate) fn pid_hints(&self) -> &[AtomicU64] {
        // SAFETY: so many atomics lie there (`Geometry::blocks_offset` leaves room for them).
        unsafe { std::slice::from_raw_parts(self.pid_hints.as_ptr(), self.geometry.entries) }
    }

    #[inline]
    pub(crate) fn blocks(&self) -> &[BlockMeta] {
        // SAFETY: so many of them lie there (`Geometry::slots_offset` leaves room for them), and
        // they consist of atomics.
        unsafe { std::slice::from_raw_parts(self.blocks.as_ptr(), self.geometry.blocks) }
    }

    /// Returns the slot of a position. An invalid position, written by a peer, also has some slot.
    #[inline]
    pub(crate) fn slot(&self, pos: u64) -> Slot<'_> {
        self.slot_at(self.geometry.index(pos))
    }

    /// Returns the state of a position's slot.
    #[inline]
    pub(crate) fn state(&self, pos: u64) -> &AtomicU64 {
        self.slot(pos).state
    }

    /// Prefetches the first `len` bytes of the slot `lead` positions after `pos` for writing.
    ///
    /// If that is past the last slot, the index wraps around to the first slots.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn prefetch(&self, pos: u64, lead: u64, len: usize) {
        let index = (pos & self.geometry.mask) + lead;
        let index =
            if index < self.geometry.capacity { index } else { index - self.geometry.capacity };
        let slot = self.slot_at(index.min(self.geometry.capacity - 1) as usize);
        crate::copy::prefetch(slot.state, slot.payload, len);
    }

    #[inline]
    pub(crate) fn slot_at(&self, index: usize) -> Slot<'_> {
        debug_assert!((index as u64) < self.geometry.capacity);
        // SAFETY: `index` is below the capacity (`Geometry::index`, or a loop over all slots), and
        // so many strides lie there.
        let first = unsafe { self.slots.add(index * self.stride) };
        // SAFETY: a stride of atomics lies there.
        let words = unsafe { std::slice::from_raw_parts(first.as_ptr(), self.stride) };
        // SAFETY: a stride is at least a line, which is eight words (`Geometry::new`).
        let (state, payload) = unsafe { words.split_at_unchecked(1) };
        // SAFETY: as above. `state` has one word.
        let state = unsafe { state.get_unchecked(0) };
        Slot { state, payload }
    }

    /// Sets all words of a new segment to their initial values, positions starting at `start`.
    ///
    /// Zeroed memory needs nothing else. No other process may use the segment yet.
    pub(crate) fn initialise(&self, start: u64) {
        use crate::layout::{claim, slot};
        use crate::sync::Ordering::Relaxed;
        // Relaxed: the segment is published afterwards, by the header's magic number.
        debug_assert_eq!(self.geometry.index(start), 0);
        let mut pos = start;
        for _ in 0..self.geometry.capacity {
            self.state(pos).store(slot::free(pos), Relaxed);
            pos = self.geometry.next(pos);
        }
        self.tail().store(claim(start, 0, 0), Relaxed);
        self.head().store(claim(start, 0, 0), Relaxed);
    }
}
