//! One process' view of a segment: where each word lies. Protocol above, placement below.

// Turns offsets into references to atomics.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use crate::layout::{BlockMeta, Geometry, Header};
use crate::sync::AtomicU64;

/// A segment's words, by name, up to its data area ([`places`](crate::channel::places)). Copied
/// freely; valid as long as the memory it was made over.
///
/// Peers write the same memory, so everything in it is reached through shared references to
/// atomics, and payloads are copied through atomics or by the processor behind the compiler's back
/// ([`copy`](crate::copy)).
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    header: NonNull<Header>,
    entries: NonNull<AtomicU64>,
    pid_hints: NonNull<AtomicU64>,
    blocks: NonNull<BlockMeta>,
    slots: NonNull<AtomicU64>,
    /// Words from a slot to the next.
    stride: usize,
    pub(crate) geometry: Geometry,
}

// SAFETY: all it gives out are references to atomics and pointers; whoever keeps the memory alive
// (`Attachment`, or the model) may do so from any thread.
unsafe impl Send for Memory {}
// SAFETY: as above; it has no state of its own that changes.
unsafe impl Sync for Memory {}

/// A slot: its state, then its payload.
#[derive(Clone, Copy)]
pub(crate) struct Slot<'a> {
    pub(crate) state: &'a AtomicU64,
    /// The words behind the state, to the end of the stride.
    pub(crate) payload: &'a [AtomicU64],
}

impl Memory {
    /// A view of a mapped segment of this geometry.
    ///
    /// # Safety
    ///
    /// `base` points to at least `geometry.data_offset()` bytes, shared memory or this process'
    /// own, aligned to a page, that stay mapped as long as the view or a copy of it is used, and
    /// that this process accesses in no other way than through atomics.
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
            blocks: at(geometry.blocks_offset()).cast(),
            slots: at(geometry.slots_offset()).cast(),
            stride: geometry.stride / 8,
            geometry,
        }
    }

    /// A view of memory in parts, for models.
    ///
    /// # Safety
    ///
    /// Each part is as long as `geometry` says, and outlives the view.
    #[cfg(any(loom, fuzzing, test))]
    pub(crate) unsafe fn parts(
        header: NonNull<Header>,
        entries: NonNull<AtomicU64>,
        pid_hints: NonNull<AtomicU64>,
        blocks: NonNull<BlockMeta>,
        slots: NonNull<AtomicU64>,
        geometry: Geometry,
    ) -> Memory {
        Memory { header, entries, pid_hints, blocks, slots, stride: geometry.stride / 8, geometry }
    }

    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: `mapped` and `parts` promise a header there; it is made of atomics only, for
        // which any bytes are valid, whatever a peer writes.
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

    #[inline]
    pub(crate) fn members(&self) -> &AtomicU64 {
        &self.header().seqs.members
    }

    /// Bytes of the data area that were ever given out.
    #[cfg_attr(loom, allow(dead_code, reason = "a model has no data area"))]
    pub(crate) fn end(&self) -> &AtomicU64 {
        &self.header().seqs.end
    }

    #[inline]
    pub(crate) fn orphan_seq(&self) -> &AtomicU64 {
        &self.header().seqs.orphan_seq
    }

    /// All entries; that of id 0 is never used.
    #[inline]
    pub(crate) fn entries(&self) -> &[AtomicU64] {
        // SAFETY: so many atomics lie there (`Geometry::pid_hints_offset` leaves room for them).
        unsafe { std::slice::from_raw_parts(self.entries.as_ptr(), self.geometry.entries) }
    }

    /// The process of each participant: as many words as entries.
    pub(crate) fn pid_hints(&self) -> &[AtomicU64] {
        // SAFETY: so many atomics lie there (`Geometry::blocks_offset` leaves room for them).
        unsafe { std::slice::from_raw_parts(self.pid_hints.as_ptr(), self.geometry.entries) }
    }

    #[inline]
    pub(crate) fn blocks(&self) -> &[BlockMeta] {
        // SAFETY: so many lie there (`Geometry::slots_offset` leaves room for them), made of
        // atomics.
        unsafe { std::slice::from_raw_parts(self.blocks.as_ptr(), self.geometry.blocks) }
    }

    /// The slot of a position; some slot also for a position that a peer made up.
    #[inline]
    pub(crate) fn slot(&self, pos: u64) -> Slot<'_> {
        self.slot_at(self.geometry.index(pos))
    }

    /// The state of a position's slot.
    #[inline]
    pub(crate) fn state(&self, pos: u64) -> &AtomicU64 {
        self.slot(pos).state
    }

    /// Has the first `len` bytes of the slot `lead` positions after `pos`, or of the first one,
    /// fetched for writing.
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
        // SAFETY: a stride is at least a line: eight words (`Geometry::new`).
        let (state, payload) = unsafe { words.split_at_unchecked(1) };
        // SAFETY: as above, it has one word.
        let state = unsafe { state.get_unchecked(0) };
        Slot { state, payload }
    }

    /// Sets all words of a new segment to their initial values, positions starting at `start`.
    ///
    /// Memory that comes zeroed needs no more than this; nobody else may use it yet.
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
