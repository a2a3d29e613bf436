//! A list of blocks, for channels that only memory bounds.
//!
//! # Layout
//!
//! Positions count in steps of [`STRIDE`] a block. The first [`SLOTS`] of them are messages. The
//! last one means that the next block is being installed. `tail` and `head` have a position and the
//! block that it lies in.
//!
//! A thread claims a position with a CAS before it touches the block. From then on, the block stays
//! until the message of that position was received. The claimer of a block's last position installs
//! the next block at its end of the list: the sender stores the pointer and then moves `tail` on,
//! and the receiver does the same with `head`. The others wait meanwhile.
//!
//! The receiver that reads the last message of a block, of those that are counted, frees it. One
//! free block is kept for the next sender that needs one.
//!
//! # Edges
//!
//! | edge | from | to | over | orderings | carries |
//! |---|---|---|---|---|---|
//! | LIST-E1 | publishing a message | its receiver | the slot's state | Release, Acquire | the message |
//! | LIST-E2 | moving `tail` or `head` to a block | a claim in that block | the position | Release, Acquire | the pointer, and the empty block behind it |
//! | LIST-E3 | each receiver that has read its message | the one that frees the block | the block's count | AcqRel | that the message was read |
//! | LIST-E4 | linking the next block | the receiver that moves there | the block's `next` | Release, Acquire | the empty block |
//! | LIST-E5 | keeping a free block | the sender that uses it | `spare` | AcqRel | that it is empty |

// Blocks are reached through pointers, and hold memory without messages.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::ptr;

use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{AtomicPtr, AtomicU64, Backoff, Line, Mutex, UnsafeCell, lock};

/// Positions of a block.
#[cfg(not(loom))]
const STRIDE: u64 = 32;
#[cfg(loom)]
const STRIDE: u64 = 4;
/// Messages of a block.
const SLOTS: u64 = STRIDE - 1;

/// In the position of `tail`: no receiver is left, so no message can be sent.
const CLOSED: u64 = 1 << 63;
/// In the position of `head`: there are messages that were given back.
const RETURNED: u64 = 1 << 63;
const FLAG: u64 = 1 << 63;

const EMPTY: u64 = 0;
const READY: u64 = 1;

struct Slot<T> {
    state: AtomicU64,
    message: UnsafeCell<MaybeUninit<T>>,
}

struct Block<T> {
    next: AtomicPtr<Block<T>>,
    /// The number of messages that were received and read.
    read: AtomicU64,
    slots: [Slot<T>; SLOTS as usize],
}

impl<T> Block<T> {
    fn new() -> Box<Block<T>> {
        Box::new(Block {
            next: AtomicPtr::new(ptr::null_mut()),
            read: AtomicU64::new(0),
            slots: std::array::from_fn(|_| Slot {
                state: AtomicU64::new(EMPTY),
                message: UnsafeCell::new(MaybeUninit::uninit()),
            }),
        })
    }

    /// Makes the block as new. No other thread uses it.
    fn reset(&self) {
        // Relaxed: LIST-E5, or the end of the block, comes after.
        self.next.store(ptr::null_mut(), Relaxed);
        self.read.store(0, Relaxed);
        for slot in &self.slots {
            slot.state.store(EMPTY, Relaxed);
        }
    }
}

/// One end of the list.
struct End<T> {
    position: AtomicU64,
    block: AtomicPtr<Block<T>>,
    /// For `head`: a position of `tail` that was seen, at most the current one.
    seen: AtomicU64,
}

impl<T> End<T> {
    fn new(block: *mut Block<T>) -> End<T> {
        End { position: AtomicU64::new(0), block: AtomicPtr::new(block), seen: AtomicU64::new(0) }
    }
}

/// A list of messages.
pub(crate) struct List<T> {
    tail: Line<End<T>>,
    head: Line<End<T>>,
    /// An empty block, or null.
    spare: Line<AtomicPtr<Block<T>>>,
    returned: Mutex<VecDeque<T>>,
}

/// Returns how many messages come before a position.
fn count(position: u64) -> u64 {
    let position = position & !FLAG;
    position / STRIDE * SLOTS + (position % STRIDE).min(SLOTS)
}

/// A claimed message, until it is read.
struct Taken<T> {
    block: *mut Block<T>,
    offset: usize,
}

impl<T> List<T> {
    pub(crate) fn new() -> List<T> {
        let block = Box::into_raw(Block::new());
        List {
            tail: Line(End::new(block)),
            head: Line(End::new(block)),
            spare: Line(AtomicPtr::new(ptr::null_mut())),
            returned: Mutex::new(VecDeque::new()),
        }
    }

    pub(crate) fn tail_hint(&self) -> u64 {
        count(self.tail.0.position.load(Relaxed)) // Relaxed: an estimate.
    }

    pub(crate) fn head_hint(&self) -> u64 {
        count(self.head.0.position.load(Relaxed)) // Relaxed: an estimate.
    }

    pub(crate) fn len(&self) -> usize {
        loop {
            // Acquire: LIST-E2; the second load of `tail` is not before that of `head`.
            let tail = self.tail.0.position.load(Acquire);
            let head = self.head.0.position.load(Acquire);
            let returned = if head & RETURNED != 0 { lock(&self.returned).len() } else { 0 };
            if self.tail.0.position.load(Acquire) == tail {
                return count(tail).saturating_sub(count(head)) as usize + returned;
            }
        }
    }

    /// Sends a message, or returns it if no receiver is left. Never waits for a receiver.
    #[inline]
    pub(crate) fn send(&self, message: T) -> Result<(), T> {
        let mut backoff = Backoff::new();
        let mut next = None;
        // Acquire: LIST-E2.
        let mut at = self.tail.0.position.load(Acquire);
        let (block, offset) = loop {
            if at & CLOSED != 0 {
                self.keep_unused(next);
                return Err(message);
            }
            let offset = at % STRIDE;
            if offset == SLOTS {
                backoff.wait();
                at = self.tail.0.position.load(Acquire); // Acquire: LIST-E2.
                continue;
            }
            // Relaxed: LIST-E2 has brought the pointer. If it is another one, the CAS fails.
            let block = self.tail.0.block.load(Relaxed);
            if offset + 1 == SLOTS && next.is_none() {
                // Before the claim, so that the others wait for less.
                next = Some(self.empty_block());
            }
            // AcqRel, Acquire: LIST-E2.
            match self.tail.0.position.compare_exchange(at, at + 1, AcqRel, Acquire) {
                Ok(_) => break (block, offset),
                Err(now) => at = now,
            }
            backoff.lost();
        };
        // SAFETY: a position in the block is claimed, and its message not received: it stays.
        let here = unsafe { &*block };
        if offset + 1 == SLOTS {
            let next = next.take().map_or(ptr::null_mut(), Box::into_raw);
            // Before the position moves: LIST-E2.
            self.tail.0.block.store(next, Relaxed);
            // Not a store: the list may be closed meanwhile. Release: LIST-E2.
            self.tail.0.position.fetch_add(1, Release);
            here.next.store(next, Release); // Release: LIST-E4.
        } else {
            self.keep_unused(next);
        }
        let slot = &here.slots[offset as usize];
        slot.message.with_mut(|to| {
            // SAFETY: the cell is valid, and this thread's own until the message is published.
            unsafe { (*to).write(message) };
        });
        slot.state.store(READY, Release); // Release: LIST-E1.
        Ok(())
    }

    /// Returns an empty block.
    #[cold]
    fn empty_block(&self) -> Box<Block<T>> {
        let spare = self.spare.0.swap(ptr::null_mut(), AcqRel); // AcqRel: LIST-E5.
        if spare.is_null() {
            return Block::new();
        }
        // SAFETY: it came from a box, and the swap makes this thread its only owner.
        unsafe { Box::from_raw(spare) }
    }

    #[inline(always)]
    fn keep_unused(&self, block: Option<Box<Block<T>>>) {
        if let Some(block) = block {
            self.keep(Box::into_raw(block));
        }
    }

    /// Keeps an empty block for later, or frees it.
    #[cold]
    fn keep(&self, block: *mut Block<T>) {
        // AcqRel: LIST-E5.
        if self.spare.0.compare_exchange(ptr::null_mut(), block, AcqRel, Relaxed).is_err() {
            // SAFETY: it came from a box, and no other thread knows it.
            drop(unsafe { Box::from_raw(block) });
        }
    }

    /// Claims the next message, and waits until it is published, if its sender is in the middle.
    #[inline]
    fn claim(&self) -> Result<Taken<T>, Option<T>> {
        let mut backoff = Backoff::new();
        // Acquire: LIST-E2.
        let mut at = self.head.0.position.load(Acquire);
        let (block, offset) = loop {
            if at & RETURNED != 0 {
                if let Some(message) = self.pop_returned() {
                    return Err(Some(message));
                }
                at = self.head.0.position.load(Acquire); // Acquire: LIST-E2.
                continue;
            }
            let offset = at % STRIDE;
            if offset == SLOTS {
                backoff.wait();
                at = self.head.0.position.load(Acquire); // Acquire: LIST-E2.
                continue;
            }
            // Relaxed: a position that `tail` has had. It orders nothing.
            if at >= self.head.0.seen.load(Relaxed) {
                // Acquire: what a caller knows to be sent is seen here.
                let tail = self.tail.0.position.load(Acquire) & !FLAG;
                if at >= tail {
                    let now = self.head.0.position.load(Acquire); // Acquire: LIST-E2.
                    if now == at {
                        return Err(None);
                    }
                    at = now;
                    continue;
                }
                self.head.0.seen.store(tail, Relaxed); // Relaxed: as above.
            }
            // Relaxed: as in `send`.
            let block = self.head.0.block.load(Relaxed);
            // AcqRel, Acquire: LIST-E2.
            match self.head.0.position.compare_exchange(at, at + 1, AcqRel, Acquire) {
                Ok(_) => break (block, offset),
                Err(now) => at = now,
            }
            backoff.lost();
        };
        // SAFETY: a message in the block is claimed and not counted as read: it stays.
        let here = unsafe { &*block };
        if offset + 1 == SLOTS {
            let mut backoff = Backoff::new();
            let next = loop {
                let next = here.next.load(Acquire); // Acquire: LIST-E4.
                if !next.is_null() {
                    break next;
                }
                backoff.wait();
            };
            // Before the position moves: LIST-E2.
            self.head.0.block.store(next, Relaxed);
            // Not a store: a message may be given back meanwhile. Release: LIST-E2.
            self.head.0.position.fetch_add(1, Release);
        }
        let slot = &here.slots[offset as usize];
        let mut backoff = Backoff::new();
        while slot.state.load(Acquire) != READY {
            // Acquire: LIST-E1.
            backoff.wait();
        }
        Ok(Taken { block, offset: offset as usize })
    }

    /// Moves a claimed message out, and frees its block if it was the last one there.
    ///
    /// # Safety
    ///
    /// The message is claimed and was not read.
    #[inline]
    unsafe fn take(&self, taken: Taken<T>) -> T {
        // SAFETY: the message is claimed and not counted as read, so the block stays.
        let block = unsafe { &*taken.block };
        let message = block.slots[taken.offset].message.with(|from| {
            // SAFETY: `claim` has seen it published, and only the claimer reads it, once.
            unsafe { from.cast::<T>().read() }
        });
        // Release: LIST-E3, of this message. Acquire: LIST-E3, of the others.
        if block.read.fetch_add(1, AcqRel) + 1 == SLOTS {
            // Its last sender has linked the next block before it published, and the last claimer
            // has moved `head` on before it was counted.
            block.reset();
            self.keep(taken.block);
        }
        message
    }

    /// Receives a message if there is one.
    #[inline]
    pub(crate) fn receive(&self) -> Option<T> {
        match self.claim() {
            // SAFETY: it was just claimed.
            Ok(taken) => Some(unsafe { self.take(taken) }),
            Err(other) => other,
        }
    }

    fn pop_returned(&self) -> Option<T> {
        let mut returned = lock(&self.returned);
        let first = returned.pop_front();
        if returned.is_empty() {
            // Under the lock, so the flag says whether there are any. AcqRel: LIST-E2.
            self.head.0.position.fetch_and(!RETURNED, AcqRel);
        }
        first
    }

    fn push_returned(&self, message: T) {
        let mut returned = lock(&self.returned);
        returned.push_front(message);
        // As above. AcqRel: LIST-E2.
        self.head.0.position.fetch_or(RETURNED, AcqRel);
    }

    pub(crate) fn is_readable(&self) -> bool {
        // Acquire: LIST-E2.
        let head = self.head.0.position.load(Acquire);
        head & RETURNED != 0 || head < self.tail.0.position.load(Acquire) & !FLAG
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.tail.0.position.load(Acquire) & CLOSED != 0 // Acquire: LIST-E2.
    }

    /// Claims a message for a selection, as the two numbers of a claim.
    pub(crate) fn select_receive(&self) -> Option<(u64, u64)> {
        match self.claim() {
            Ok(taken) => Some((taken.block.expose_provenance() as u64, taken.offset as u64)),
            // It was given back, and has no place in a block any more.
            Err(Some(message)) => {
                Some((Box::into_raw(Box::new(message)).expose_provenance() as u64, OUTSIDE))
            }
            Err(None) => None,
        }
    }

    /// Receives the message of [`select_receive`](List::select_receive).
    ///
    /// # Safety
    ///
    /// The numbers are of a claim on this list that was neither completed nor given back.
    pub(crate) unsafe fn complete_receive(&self, place: u64, offset: u64) -> T {
        if offset == OUTSIDE {
            let message = ptr::with_exposed_provenance_mut::<T>(place as usize);
            // SAFETY: `select_receive` has made this pointer from a box.
            return *unsafe { Box::from_raw(message) };
        }
        let block = ptr::with_exposed_provenance_mut(place as usize);
        // SAFETY: the caller has the claim.
        unsafe { self.take(Taken { block, offset: offset as usize }) }
    }

    /// Gives a claimed message back: it is received before all others.
    ///
    /// # Safety
    ///
    /// As [`complete_receive`](List::complete_receive).
    pub(crate) unsafe fn undo_receive(&self, place: u64, offset: u64) {
        // SAFETY: the caller has the claim.
        let message = unsafe { self.complete_receive(place, offset) };
        self.push_returned(message);
    }

    /// Closes the list, because no receiver is left, and drops all messages.
    ///
    /// A panic of a destructor comes out after the other messages were dropped.
    pub(crate) fn close(&self) {
        /// Continues after a panic of a destructor. A second one aborts the process.
        struct Rest<'a, T>(&'a List<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while self.0.receive().is_some() {}
            }
        }
        // AcqRel: LIST-E2. No claim to send comes after it.
        self.tail.0.position.fetch_or(CLOSED, AcqRel);
        let rest = Rest(self);
        while rest.0.receive().is_some() {}
        std::mem::forget(rest);
    }
}

/// The offset of a claim whose message lies in a box of its own.
const OUTSIDE: u64 = u64::MAX;

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        // Both sides are gone, and with the last receiver all messages. Both ends are in one block.
        // Relaxed: no other thread is left.
        let block = self.tail.0.block.load(Relaxed);
        debug_assert_eq!(block, self.head.0.block.load(Relaxed));
        // SAFETY: it came from a box, and no thread is left that uses it.
        drop(unsafe { Box::from_raw(block) });
        let spare = self.spare.0.load(Relaxed);
        if !spare.is_null() {
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(spare) });
        }
    }
}
