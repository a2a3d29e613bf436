//! The entries of a segment's participants, and how an id is given out.
//!
//! # Life of an id
//!
//! ```text
//! free ──lock life byte──▶ taken ──generation + 1──▶ attached ──detach: used off──▶ ─unmap──▶ free
//!                            └── killed: the kernel unlocks the byte ──┴────────────────────▶ free
//! ```
//!
//! The lock on the life byte is exclusive, so its holder is alone with the id. That is why a
//! participant may be killed at any of these steps, and nothing has to be done. On its way to
//! another process, the descriptor that travels holds the lock.

// Accesses entries in the mapping.
#![allow(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};
use std::io;
use std::num::NonZeroU64;
use std::ptr::NonNull;

use ipc_sys as sys;

use crate::attach::lease::ByteLocks;
use crate::killpoint::kill_point;

/// Names one participant, and never another.
///
/// It is `{ generation: 32, id: 16 }` in 48 bits, and never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner(NonZeroU64);

impl Owner {
    const BITS: u32 = 48;

    pub(crate) fn new(generation: u32, id: u16) -> Option<Owner> {
        NonZeroU64::new(u64::from(generation) << 16 | u64::from(id)).filter(|_| id != 0).map(Owner)
    }

    /// Returns the owner in the low 48 bits of a word, or `None` if they name no participant.
    pub(crate) fn from_bits(word: u64) -> Option<Owner> {
        let bits = word & ((1 << Owner::BITS) - 1);
        Owner::new((bits >> 16) as u32, bits as u16)
    }

    /// Returns the owner as 48 bits.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0.get()
    }

    #[inline]
    pub(crate) fn generation(self) -> u32 {
        (self.bits() >> 16) as u32
    }

    #[inline]
    pub(crate) fn id(self) -> u16 {
        self.bits() as u16
    }
}

/// The entry of a participant: see [`participants`](super::participants).
#[repr(C)]
pub(crate) struct Entry {
    /// `{ generation, ending, used }`. In entry 0, which no participant has, the number of deaths.
    pub(crate) life: AtomicU64,
    pub(crate) pid_hint: AtomicU64,
}

/// Bytes of an entry.
pub(crate) const ENTRY: usize = size_of::<Entry>();

const _: () = assert!(ENTRY == 16);

/// An entry's life.
pub(crate) mod life {
    pub(crate) const USED: u64 = 1;
    /// Its process is about to end. Its threads may run until it does.
    pub(crate) const ENDING: u64 = 2;

    pub(crate) const fn word(generation: u32, flags: u64) -> u64 {
        (generation as u64) << 32 | flags
    }
    pub(crate) const fn generation(word: u64) -> u32 {
        (word >> 32) as u32
    }
}

/// The entries in a mapping.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    first: NonNull<Entry>,
    /// Entries, the unused one of id 0 included.
    len: usize,
}

// SAFETY: the table returns only references to atomics, which any thread may use as long as the
// mapping exists.
unsafe impl Send for Table {}
// SAFETY: as above. The table has no state of its own that changes.
unsafe impl Sync for Table {}

impl Table {
    /// # Safety
    ///
    /// `len` entries lie at `first`, in memory that this process accesses through atomics only, and
    /// that outlives every use of the table.
    pub(crate) unsafe fn new(first: NonNull<Entry>, len: usize) -> Table {
        Table { first, len }
    }

    pub(super) fn entries(&self) -> &[Entry] {
        // SAFETY: `new` requires it. The entries are atomics, for which any bytes are valid,
        // whatever a peer writes.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }

    pub(super) fn get(&self, id: u16) -> Option<&Entry> {
        self.entries().get(usize::from(id)).filter(|_| id != 0)
    }

    /// Takes a free id on the open file `lease`, for this process or another.
    ///
    /// Returns `None` if all ids are taken.
    pub(crate) fn issue(&self, lease: sys::Borrowed<'_>) -> io::Result<Option<u16>> {
        for (id, entry) in (1..).zip(&self.entries()[1..]) {
            kill_point!("participant.take");
            if ByteLocks(lease).take_life(u64::from(id))? {
                // Acquire: pairs with the Release stores of the id's previous participant.
                if entry.life.load(Ordering::Acquire) & life::USED != 0 {
                    // The previous participant died, and no process has counted that yet.
                    self.count_death();
                }
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Returns the number of deaths counted. Some deaths are counted twice.
    pub(super) fn deaths(&self) -> &AtomicU64 {
        &self.entries()[0].life
    }

    pub(super) fn count_death(&self) {
        kill_point!("participant.count");
        // Release: a process that reads the count sees what the dead participant did, as this
        // process does. Acquire: the same for all deaths counted before.
        self.deaths().fetch_add(1, Ordering::AcqRel);
        kill_point!("participant.counted");
    }

    /// Returns the maximum number of participants. Their ids are 1 to this number.
    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.len - 1
    }

    /// Creates a new owner of an id whose life byte the caller holds.
    pub(crate) fn enter(&self, id: u16, pid_hint: u64) -> Option<Owner> {
        let entry = self.get(id)?;
        // Acquire: pairs with the stores of the id's previous participant. Only the holder of its
        // byte writes a generation.
        let mut generation = life::generation(entry.life.load(Ordering::Acquire)).wrapping_add(1);
        if generation == 0 {
            // Reached after 2^32 participants. An owner of generation 0 is possible, but looks like
            // a mere id.
            generation = 1;
        }
        kill_point!("participant.pid_hint");
        entry.pid_hint.store(pid_hint, Ordering::Relaxed); // Relaxed: a hint.
        kill_point!("participant.enter");
        // Release: a process that finds an owner of this generation finds no words of an older
        // owner under it.
        entry.life.store(life::word(generation, life::USED), Ordering::Release);
        Owner::new(generation, id)
    }
}
