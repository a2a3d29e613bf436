//! Prefetches cache lines before they are needed.
//!
//! A claim is a locked instruction, which waits until all stores before it are done. Without
//! prefetching, each message would wait for the transfer of its slot's lines from the other
//! processor. So both sides prefetch the slot a few positions ahead *for writing*: the sender
//! because it will fill it, the receiver because it will free it. Lines then move once per
//! direction.
//!
//! This helps only for slots that the other side is not using. A slot that it is using would be
//! fetched, and then fetched back. So a handle loads the other side's position now and then, and
//! prefetches for as many slots as that position allows.

use crate::sync::unmodelled::{AtomicI64, Ordering::Relaxed};

use crate::channel::memory::Memory;
use crate::channel::memory::Side;
use crate::layout::{Geometry, pos};

/// Bytes between the current slot and the slot to fetch.
///
/// This holds for a channel with room for many times as much.
const LEAD: u64 = 4096;
/// Slots before the other side's position that are not fetched.
const MARGIN: i64 = 8;
/// Slots for which one load of the position is valid. Other processes may claim them meanwhile.
const TRUST: i64 = 1024;
/// Slots before the next load of the position, after one that found the other side near.
///
/// After several such loads in a row it doubles each time, up to a maximum factor. Each load takes
/// the other side's line from it, and gains nothing if the peer waits for each message.
const PAUSE: i64 = 16;
const LONGEST: i64 = 16;

/// What a handle has seen of the other side.
///
/// It is a hint: threads that share the handle may mix it up.
pub(crate) struct Prefetcher {
    /// The number of slots until the next load of the other side's position.
    ///
    /// Slots are fetched ahead while it is above 0. Below 0, it counts the slots to pass before the
    /// next load.
    credit: AtomicI64,
    /// The length of the next pause, as a multiple of [`PAUSE`].
    pauses: AtomicI64,
    /// Slots between the current slot and the slot to fetch.
    lead: u64,
}

impl Prefetcher {
    pub(crate) fn new(g: &Geometry) -> Prefetcher {
        let lead = (LEAD / g.stride as u64).min(g.capacity / 16).max(1);
        Prefetcher { credit: AtomicI64::new(0), pauses: AtomicI64::new(1), lead }
    }

    /// Prefetches the first `len` bytes of a slot ahead of `at`.
    ///
    /// `side` has claimed `at` and works on it.
    #[inline(always)]
    pub(crate) fn fetch(&self, memory: &Memory, side: Side, at: u64, len: usize) {
        let credit = self.credit.load(Relaxed);
        if credit > 0 {
            self.credit.store(credit - 1, Relaxed);
            memory.prefetch(at, self.lead, len);
        } else if credit < 0 {
            self.credit.store(credit + 1, Relaxed);
        } else {
            self.look(memory, side, at);
        }
    }

    #[inline(never)]
    fn look(&self, memory: &Memory, side: Side, at: u64) {
        let g = &memory.geometry;
        // Relaxed: the positions are estimates, and no data depends on them. Clamped, because a
        // peer can write anything there.
        let away = match side {
            Side::Senders => {
                g.capacity.saturating_sub(g.distance(pos(memory.head().load(Relaxed)), at))
            }
            Side::Receivers => g.distance(at, pos(memory.tail().load(Relaxed))),
        };
        let good = away.min(g.capacity) as i64 - self.lead as i64 - MARGIN;
        let (credit, pauses) = if good > 0 {
            (good.min(TRUST), 1)
        } else {
            let pauses = self.pauses.load(Relaxed);
            (-PAUSE * pauses, (2 * pauses).min(LONGEST))
        };
        self.credit.store(credit, Relaxed);
        self.pauses.store(pauses, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{PAGE, claim};
    use crate::sync::AtomicU64;
    use std::ptr::NonNull;

    /// Makes a ring in ordinary memory.
    #[allow(unsafe_code)]
    fn ring(capacity: u64) -> (Vec<[u64; PAGE / 8]>, Memory) {
        let geometry = Geometry::new(capacity, 64, 4, 0, PAGE).unwrap();
        let mut pages = vec![[0; PAGE / 8]; geometry.data_offset() / PAGE + 1];
        let base = pages.as_mut_ptr().cast::<u8>();
        let base = base.wrapping_add(base.align_offset(PAGE));
        // SAFETY: so many bytes lie there, aligned, as long as the pages live that are returned
        // beside it. No other code uses them.
        let memory = unsafe { Memory::mapped(NonNull::new(base).unwrap(), geometry) };
        memory.initialise(0);
        (pages, memory)
    }

    fn go(to: &AtomicU64, pos: u64) {
        to.store(claim(pos, 0, 1), Relaxed);
    }

    #[test]
    fn only_slots_far_from_the_other_side_are_fetched() {
        let (_pages, memory) = ring(1024);
        let prefetcher = Prefetcher::new(&memory.geometry);
        assert_eq!(prefetcher.lead, 64);
        // An empty ring has nothing for a receiver, and much room for a sender.
        prefetcher.fetch(&memory, Side::Receivers, 0, 16);
        assert_eq!(prefetcher.credit.load(Relaxed), -PAUSE);
        let sender = Prefetcher::new(&memory.geometry);
        sender.fetch(&memory, Side::Senders, 0, 16);
        assert_eq!(sender.credit.load(Relaxed), 1024 - 64 - MARGIN);
        // The receiver loads the position again only after a while.
        go(memory.tail(), 500);
        for at in 0..PAUSE as u64 {
            prefetcher.fetch(&memory, Side::Receivers, at, 16);
        }
        assert_eq!(prefetcher.credit.load(Relaxed), 0);
        prefetcher.fetch(&memory, Side::Receivers, 100, 16);
        assert_eq!(prefetcher.credit.load(Relaxed), 400 - 64 - MARGIN);
    }

    #[test]
    fn small_rings_are_left_alone_and_no_position_is_out_of_bounds() {
        for capacity in [1, 2, 3, 15, 16, 17, 100, 1000] {
            let (_pages, memory) = ring(capacity);
            let prefetcher = Prefetcher::new(&memory.geometry);
            assert!(prefetcher.lead >= 1);
            // Whatever a peer writes, some slot is fetched, or none.
            for other in [0, 1, capacity, u64::MAX >> 20, u64::MAX >> 17] {
                go(memory.head(), other);
                go(memory.tail(), other);
                for at in [0, 1, capacity - 1, u64::MAX >> 18, (1 << 47) - 1] {
                    for side in [Side::Senders, Side::Receivers] {
                        prefetcher.look(&memory, side, at);
                        assert!(prefetcher.credit.load(Relaxed) <= capacity as i64);
                        prefetcher.credit.store(1, Relaxed);
                        prefetcher.fetch(&memory, side, at, 1 << 20);
                    }
                }
            }
        }
    }
}
