//! Lines that are fetched before they are needed.
//!
//! A claim is a locked instruction, which waits until all stores before it are done: without more,
//! each message waits for the transfer of its slot's lines from the other processor. So both sides
//! ask for the slot a few positions ahead *for writing*: the sender because it will fill it, the
//! receiver because it will free it. Lines then move once per direction. It only helps for slots
//! that are not in the other side's hands: fetched from there, they would be fetched back. So a
//! handle looks now and then how far the other side is away, and fetches ahead as long as that look
//! is good for.

use crate::sync::unmodelled::{AtomicI64, Ordering::Relaxed};

use crate::channel::doorbell::Side;
use crate::channel::memory::Memory;
use crate::layout::{Geometry, pos};

/// Bytes between the slot at hand and the one to fetch, in a channel that has room for many times
/// as much.
const LEAD: u64 = 4096;
/// Slots to leave alone before the other side's position.
const MARGIN: i64 = 8;
/// Slots that one look is good for: others may take them meanwhile.
const TRUST: i64 = 1024;
/// Slots to go before the next look, after one that found the other side near; after several, twice
/// as many each time, up to so many times. A look takes the other side's line from it, for nothing
/// if each message is waited for.
const PAUSE: i64 = 16;
const LONGEST: i64 = 16;

/// What a handle has seen of the other side. A hint: threads that share the handle may mix it up.
pub(crate) struct Prefetcher {
    /// Above 0: slots to fetch ahead before the next look. Else: as many below 0 to pass before it.
    credit: AtomicI64,
    /// How many times [`PAUSE`] the next pause is.
    pauses: AtomicI64,
    /// Slots between the one at hand and the one to fetch.
    lead: u64,
}

impl Prefetcher {
    pub(crate) fn new(g: &Geometry) -> Prefetcher {
        let lead = (LEAD / g.stride as u64).min(g.capacity / 16).max(1);
        Prefetcher { credit: AtomicI64::new(0), pauses: AtomicI64::new(1), lead }
    }

    /// Has the first `len` bytes of a slot ahead of `at` fetched, which `side` claimed and is
    /// working on.
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
        // Relaxed: positions to go by, nothing is read behind them. Clamped: a peer can write
        // anything there.
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

    /// A ring in ordinary memory.
    #[allow(unsafe_code)]
    fn ring(capacity: u64) -> (Vec<[u64; PAGE / 8]>, Memory) {
        let geometry = Geometry::new(capacity, 64, 4, 0, PAGE).unwrap();
        let mut pages = vec![[0; PAGE / 8]; geometry.data_offset() / PAGE + 1];
        let base = pages.as_mut_ptr().cast::<u8>();
        let base = base.wrapping_add(base.align_offset(PAGE));
        // SAFETY: so many bytes lie there, as aligned, as long as the pages that are returned
        // beside it; nobody else uses them.
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
        // An empty ring: nothing for a receiver, much room for a sender.
        prefetcher.fetch(&memory, Side::Receivers, 0, 16);
        assert_eq!(prefetcher.credit.load(Relaxed), -PAUSE);
        let sender = Prefetcher::new(&memory.geometry);
        sender.fetch(&memory, Side::Senders, 0, 16);
        assert_eq!(sender.credit.load(Relaxed), 1024 - 64 - MARGIN);
        // The receiver looks again only after a while.
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
            // Whatever a peer writes: some slot is fetched, or none.
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
