//! The places in the file where the bytes of blocks lie.
//!
//! A place is given out when it is first needed, and mapped in pieces.
//!
//! A block has no bytes until a message needs some. Then its owner takes a *place* for it: the next
//! bytes of the data area, after all that were given out before. A block keeps its place also when
//! it is free, and when its memory was returned to the system. If a message does not fit there, the
//! block gets another place, and the old one is not used again. So the file is as long as the used
//! part of it, within a factor ([`room_for`]), and a place belongs to one block.
//!
//! # Windows
//!
//! A process maps what it touches in *windows*. They grow with the distance from the beginning, so
//! that they are few:
//!
//! ```text
//! bytes of the data area
//! 0              256 KiB                512 KiB                          1 MiB
//! ├──────────────┼────┬────┬────┬───────┼───────┬───────┬───────┬───────┼──── …
//! │ one window   │ an octave: four      │ an octave: four               │
//! │              │ windows of 64 KiB    │ windows of 128 KiB            │
//! │              ├──────────────────────┼───────────────────────────────┼──── …
//! │              │ or one of all of it, for a place that does not fit into a quarter
//! ```
//!
//! A place lies in one window, so a message is contiguous. A window stays mapped at the same
//! address until the attachment ends. So references into it stay valid, whatever a peer writes
//! meanwhile.
//!
//! # Why an access never raises a signal
//!
//! A window may extend beyond the end of the file. So a process touches only bytes that it knows to
//! be in the file. The file is sealed against shrinking, so bytes that were in it once stay in it.
//! `known` records how far that is.
//!
//! # If a process dies
//!
//! | after | it leaves |
//! |---|---|
//! | moving `end` | bytes of the file that no block uses, without memory in them |
//! | giving its block the place | a block without memory, which the next owner allocates |
//! | allocating | the same, because a second allocation changes nothing |
//!
//! # The lease
//!
//! Windows are mapped from another open file than the one that holds the life lease. The lease
//! still ends after the last of them. The drop of an attachment unmaps the windows first. When a
//! process ends or execs, the kernel removes the page tables of all mappings before it releases the
//! first file.

// The module turns offsets into pointers.
#![allow(unsafe_code)]

use crate::sync::unmodelled::{AtomicPtr, AtomicU64, Ordering};
use std::io;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

use ipc_sys as sys;
use ipc_sys::memory::MmapRaw;

use crate::layout::{BlockMeta, PAGE};
use crate::sync::AtomicU64 as SharedU64;

/// The size of the first window, which is more than most channels ever use.
const FIRST: u64 = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 18;
/// The number of windows that are a part of an octave.
const PARTS: u64 = 4;
const PARTS_BITS: u32 = 2;
/// The limit for the end of a place, which is more than any process can map.
const MOST: u64 = 1 << MOST_BITS;
const MOST_BITS: u32 = 56;
/// The number of windows: the first one, and for each octave its parts and the whole.
const WINDOWS: usize = 1 + (MOST_BITS - FIRST_BITS) as usize * (PARTS as usize + 1);
/// The number of lost attempts before giving up.
///
/// Other processes may be faster, or a peer may write garbage.
const MOST_TRIES: u32 = 1 << 10;

/// The reason why there is no place for a message, or why the place cannot be reached.
#[derive(Debug)]
pub(crate) enum Unreached {
    /// A peer has written an invalid place.
    Corrupt,
    /// The system has no memory, address space or room in the file.
    ///
    /// Or the descriptor that is needed to request them is gone.
    System(io::Error),
}

impl From<io::Error> for Unreached {
    fn from(error: io::Error) -> Self {
        Unreached::System(error)
    }
}

/// Returns the bytes of the file that a block gets for a message of `len` bytes.
///
/// That is a power of two, or one and a half of it, so that messages that grow slowly seldom need
/// another place. It is at most `most`, the largest message in whole pages.
pub(crate) fn room_for(len: usize, most: usize) -> usize {
    let len = len.max(PAGE);
    let power = len.checked_next_power_of_two().unwrap_or(usize::MAX);
    let less = power / 4 * 3;
    let room = if less >= len && less % PAGE == 0 { less } else { power };
    room.min(most).max(len.next_multiple_of(PAGE))
}

/// A piece of the data area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    index: usize,
    start: u64,
    size: u64,
}

/// Returns the window in which a place lies.
///
/// Returns `None` if there is none, because no process has given out such a place.
#[inline]
fn window(Place { at: place, room }: Place) -> Option<Window> {
    if place % PAGE as u64 != 0 {
        return None;
    }
    let last = place.checked_add(room.max(1))? - 1;
    if last < FIRST {
        return Some(Window { index: 0, start: 0, size: FIRST });
    }
    if place < FIRST || last >= MOST {
        return None;
    }
    let octave = place.ilog2();
    if last.ilog2() != octave {
        return None;
    }
    let before = 1 + (octave - FIRST_BITS) as usize * (PARTS as usize + 1);
    let bits = octave - PARTS_BITS;
    let part = place >> bits;
    Some(if part == last >> bits {
        Window { index: before + (part % PARTS) as usize, start: part << bits, size: 1 << bits }
    } else {
        Window { index: before + PARTS as usize, start: 1 << octave, size: 1 << octave }
    })
}

/// Returns the first place from `end` on for `room` bytes, or `None` if there is none.
fn next_place(end: u64, room: u64) -> Option<u64> {
    if end > MOST || room > MOST {
        return None;
    }
    if end + room <= FIRST {
        return Some(end);
    }
    let mut place = end.max(FIRST);
    loop {
        let octave = place.ilog2();
        let part = 1 << (octave - PARTS_BITS);
        // The place goes into a part of the octave, if it fits into one.
        if room <= part && place % part + room > part {
            place = place.next_multiple_of(part);
            continue;
        }
        let end = place + room;
        if end > MOST {
            return None;
        }
        if end <= 2 << octave {
            return Some(place);
        }
        place = 2 << octave;
    }
}

/// Takes `room` bytes, whole pages, of the data area, in which all up to `end` are given out.
///
/// Checks beforehand whether the place is `usable`. A place that is taken and then cannot be used
/// would block smaller ones.
///
/// # Errors
///
/// Returns `Corrupt` if no process can have written `end`, and the error of `usable` if that fails.
pub(crate) fn take(
    end: &SharedU64,
    room: u64,
    mut usable: impl FnMut(Place) -> Result<(), Unreached>,
) -> Result<Place, Unreached> {
    // Relaxed, all of these: the number only assigns bytes to owners, and no data depends on it.
    let mut now = end.load(Ordering::Relaxed);
    for _ in 0..MOST_TRIES {
        let at =
            Some(now).filter(|now| now % PAGE as u64 == 0).and_then(|now| next_place(now, room));
        let place = Place { at: at.ok_or(Unreached::Corrupt)?, room };
        usable(place)?;
        match end.compare_exchange_weak(now, place.at + room, Ordering::Relaxed, Ordering::Relaxed)
        {
            Ok(_) => return Ok(place),
            Err(other) => now = other,
        }
    }
    Err(Unreached::Corrupt)
}

/// The place of a block, as it was read. A peer may have written anything there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The offset in the data area where the place begins.
    pub(crate) at: u64,
    /// The number of bytes of the place.
    pub(crate) room: u64,
}

impl Place {
    /// Reads the place of a block.
    #[inline]
    pub(crate) fn of(block: &BlockMeta) -> Place {
        // Relaxed: this process owns the block, or it is lent to this process, and its state's
        // Acquire came before.
        Place { at: block.place.load(Ordering::Relaxed), room: block.room.load(Ordering::Relaxed) }
    }

    /// Returns whether a block can have this place.
    pub(crate) fn possible(self) -> bool {
        self.room % PAGE as u64 == 0 && self.room > 0 && window(self).is_some()
    }
}

/// The windows of the data area that this process has mapped.
pub(crate) struct Places {
    /// The offset in the file where the data area begins.
    data: usize,
    /// The number of bytes of the data area that the file has at least.
    known: AtomicU64,
    windows: [AtomicPtr<u8>; WINDOWS],
    /// The windows that are mapped. The lock is held while one is added.
    mapped: Mutex<Vec<MmapRaw>>,
}

impl Places {
    pub(crate) fn new(data: usize) -> Places {
        Places {
            data,
            known: AtomicU64::new(0),
            windows: [const { AtomicPtr::new(ptr::null_mut()) }; WINDOWS],
            mapped: Mutex::default(),
        }
    }

    /// Returns the first `len` bytes of a place, in whole words.
    ///
    /// Returns `None` unless they are mapped here and known to be in the file.
    #[inline]
    pub(crate) fn get(&self, place: Place, len: usize) -> Option<&[SharedU64]> {
        let window = window(place)?;
        // Acquire: after the kernel returned the length of the file, or made it so long.
        if len as u64 > place.room || place.at + len as u64 > self.known.load(Ordering::Acquire) {
            return None;
        }
        // Acquire: pairs with the Release in `map`.
        let start = NonNull::new(self.windows[window.index].load(Ordering::Acquire))?;
        // SAFETY: `map` has stored the address of a mapping of this window's size, and `place` lies
        // in it.
        let first = unsafe { start.add((place.at - window.start) as usize) }.cast::<SharedU64>();
        // SAFETY: `len` bytes lie there in the window (`window`, and no more than its room), and in
        // the file (`known`), which never gets shorter. So they can be touched, whatever a peer
        // does. The same holds for the rest of the last word: the place begins a page (`window`),
        // so that word is in the last of their pages. They are mapped until `unmap`, which takes
        // `&mut`. They are aligned to a page, as the mapping is, and they are atomics, for which
        // any bytes are valid.
        Some(unsafe {
            std::slice::from_raw_parts(first.as_ptr(), len.div_ceil(size_of::<SharedU64>()))
        })
    }

    /// Maps a place of this open file of the segment.
    ///
    /// The place may be past the end of the file: see [`get`](Places::get).
    ///
    /// # Errors
    ///
    /// Returns `Corrupt` if there is no such place, and else the error of the system.
    pub(crate) fn map(&self, fd: sys::Borrowed<'_>, place: Place) -> Result<(), Unreached> {
        let window = window(place).ok_or(Unreached::Corrupt)?;
        let mut mapped = self.mapped.lock().unwrap_or_else(PoisonError::into_inner);
        let to = &self.windows[window.index];
        // Relaxed: `map` stores it under the lock.
        if to.load(Ordering::Relaxed).is_null() {
            let (offset, size) = (self.data as u64 + window.start, window.size as usize);
            let mapping = sys::memory::map_at(fd, offset, size)?;
            // Release: pairs with the Acquire in `get`.
            to.store(mapping.as_mut_ptr(), Ordering::Release);
            mapped.push(mapping);
        }
        Ok(())
    }

    /// Records that the file has all bytes of the data area up to `end`, now and later.
    pub(crate) fn reached(&self, end: u64) {
        self.known.fetch_max(end, Ordering::AcqRel); // Release: pairs with the Acquire in `get`.
    }

    /// Ensures that the first `len` bytes of a place can be touched.
    ///
    /// Another process has allocated them.
    ///
    /// # Errors
    ///
    /// As [`map`](Places::map), and `Corrupt` if the bytes are not in the file.
    pub(crate) fn reach(
        &self,
        fd: sys::Borrowed<'_>,
        place: Place,
        len: usize,
    ) -> Result<&[SharedU64], Unreached> {
        self.map(fd, place)?;
        let in_file = sys::memory::len(fd)?.saturating_sub(self.data);
        self.reached(in_file as u64);
        self.get(place, len).ok_or(Unreached::Corrupt)
    }

    /// Unmaps all windows.
    pub(crate) fn unmap(&mut self) {
        self.windows = [const { AtomicPtr::new(ptr::null_mut()) }; WINDOWS];
        self.mapped.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets all windows in a forked process, where they are not mapped.
    pub(crate) fn forget(&mut self) {
        self.windows = [const { AtomicPtr::new(ptr::null_mut()) }; WINDOWS];
        let mapped = self.mapped.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(mapped).into_iter().for_each(std::mem::forget);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at: u64, room: u64) -> Option<Window> {
        window(Place { at, room })
    }

    fn end_of(window: Window) -> u64 {
        window.start + window.size
    }

    const PAGE: u64 = super::PAGE as u64;

    #[test]
    fn windows_cover_all_and_do_not_overlap() {
        assert_eq!(at(0, 1), Some(Window { index: 0, start: 0, size: FIRST }));
        assert_eq!(at(FIRST - PAGE, PAGE).unwrap().index, 0);
        let mut begin = FIRST;
        let mut index = 1;
        while begin < MOST {
            let found = at(begin, PAGE).unwrap();
            assert_eq!((found.start, found.index), (begin, index));
            assert_eq!(at(end_of(found) - PAGE, PAGE), Some(found));
            assert_eq!(at(begin, found.size), Some(found));
            begin = end_of(found);
            index += if index % 5 == 4 { 2 } else { 1 };
        }
        assert_eq!((begin, index), (MOST, WINDOWS));
    }

    #[test]
    fn what_no_window_has_is_no_place() {
        for (begin, room) in [
            (MOST, 1),
            (u64::MAX, 1),
            (u64::MAX, u64::MAX),
            (0, u64::MAX),
            (0, FIRST + 1),
            (1, 1),
            (FIRST - PAGE, PAGE + 1),
            (FIRST, FIRST + 1),
            (MOST - PAGE, PAGE + 1),
        ] {
            assert_eq!(at(begin, room), None, "{begin:#x}, {room}");
        }
        let possible = |at, room| Place { at, room }.possible();
        assert!(
            !possible(1, PAGE)
                && !possible(0, 0)
                && !possible(0, 1)
                && !possible(0, u64::MAX - 4095)
        );
        assert!(possible(0, PAGE) && possible(FIRST, FIRST));
    }

    fn take(end: &SharedU64, room: usize) -> Result<Place, Unreached> {
        super::take(end, room as u64, |_| Ok(()))
    }

    #[test]
    fn places_follow_each_other_and_each_lies_in_a_window() {
        let largest = 1 << 30;
        let mut dice = 1u64;
        for most_bits in [12, 16, 20, 25, 30] {
            let end = SharedU64::new(0);
            let (mut before, mut rooms) = (0, 0);
            for _ in 0..300 {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let room = room_for((dice % (1 << most_bits)) as usize, largest);
                let place = take(&end, room).unwrap();
                assert!(place.at >= before && place.possible(), "{place:?}");
                before = place.at + room as u64;
                rooms += room as u64;
            }
            // Beyond the first ones, little is left out.
            assert!(before <= 3 * rooms, "{before} for {rooms}");
        }
    }

    #[test]
    fn the_first_place_of_a_large_message_is_not_far_away() {
        for len in [1, 5000, 1 << 18, 1 << 20, (1 << 20) + 1, 1 << 30] {
            let room = room_for(len, 1 << 30);
            let place = take(&SharedU64::new(0), room).unwrap();
            assert!(place.at as usize <= 2 * room, "{len}: {place:?}");
            assert!(
                room >= len && room <= len.max(PAGE as usize) * 3 / 2 + PAGE as usize,
                "{len}: {room}"
            );
        }
    }

    #[test]
    fn a_place_that_cannot_be_used_is_not_taken() {
        let end = SharedU64::new(0);
        let large = super::take(&end, FIRST, |_| Err(Unreached::Corrupt));
        assert!(large.is_err());
        assert_eq!(take(&end, 8192).unwrap(), Place { at: 0, room: 8192 });
    }

    #[test]
    fn two_that_take_at_once_get_places_of_their_own() {
        let end = SharedU64::new(0);
        let mut other = None;
        let place = super::take(&end, 2 * PAGE, |_| {
            // Another process takes one after the end was read.
            other.get_or_insert_with(|| take(&end, PAGE as usize).unwrap());
            Ok(())
        })
        .unwrap();
        assert_eq!(other, Some(Place { at: 0, room: PAGE }));
        assert_eq!(place, Place { at: PAGE, room: 2 * PAGE });
        assert_eq!(take(&end, PAGE as usize).unwrap().at, 3 * PAGE);
    }

    #[test]
    fn an_end_that_a_peer_made_up_gives_no_place() {
        for end in [1, MOST, MOST - 4096, u64::MAX, u64::MAX - 4095] {
            assert!(
                matches!(take(&SharedU64::new(end), 8192), Err(Unreached::Corrupt)),
                "{end:#x}"
            );
        }
    }
}
