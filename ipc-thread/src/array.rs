//! A ring of slots, for channels with a capacity.
//!
//! # Layout
//!
//! `tail` and `head` are positions, in cache lines of their own. A position names a slot (its low
//! bits) and a lap (the others). Each slot has a state and room for one message. A state holds the
//! position that it is about, so the state of another lap is never mistaken for it.
//!
//! | state of slot `p` | meaning |
//! |---|---|
//! | `Free(p)` | a sender may claim it; or a sender has claimed it and writes |
//! | `Claimed(p)` | a selection has claimed it and sends later |
//! | `Ready(p)` | there is a message; or a receiver has claimed it and reads |
//! | `Held(p)` | a selection has claimed the message and receives it later, or gave it back |
//! | `Void(p)` | a claim to send was given back |
//! | `Abandoned(p)` | the last receiver is gone: a claim to send comes to nothing |
//!
//! A sender claims `Free(p)` with a CAS of `tail` from `p`, writes, and stores `Ready(p)`. A
//! receiver claims `Ready(p)` with a CAS of `head` from `p`, reads, and stores `Free` of the next
//! lap. Neither of them loads the other's position on its way.
//!
//! Two rare states of the ring are flags in these words, so that they cost nothing: with a flag, no
//! state of a slot fits. `CLOSED` in `tail`: no receiver is left. `RETURNED` in `head`: a selection
//! gave messages back, which are received before all others.
//!
//! # Edges
//!
//! | edge | from | to | over | orderings | carries |
//! |---|---|---|---|---|---|
//! | THREAD-E1 | publishing a message | its receiver | the slot's state | Release, Acquire | the message |
//! | THREAD-E2 | freeing a slot | the next sender there | the slot's state | Release, Acquire | that the message was read |
//! | THREAD-E3 | a claim | later claims of that side | `tail` or `head` | AcqRel, Acquire | the states of slots as the claimer saw them |
//!
//! Without THREAD-E3, a thread could see a new position and the old state of its slot, and take the
//! ring for full or empty.

// Messages lie in memory that may hold none.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{AtomicU64, Backoff, Line, Mutex, UnsafeCell, lock};

/// In `tail`: no receiver is left, so no message can be sent.
const CLOSED: u64 = 1 << 60;
/// In `head`: there are messages that were given back.
const RETURNED: u64 = 1 << 60;
const FLAG: u64 = 1 << 60;

const FREE: u64 = 0;
const READY: u64 = 1;
const CLAIMED: u64 = 2;
const HELD: u64 = 3;
const VOID: u64 = 4;
const ABANDONED: u64 = 5;

/// Returns the state of a slot. A flag of the position is kept, so that no slot has this state.
#[inline(always)]
const fn state(at: u64, kind: u64) -> u64 {
    at << 3 | kind
}

/// The most messages that one claim takes or sends.
pub(crate) const MOST: usize = 64;

struct Slot<T> {
    state: AtomicU64,
    message: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Slot<T> {
    /// Writes a message.
    ///
    /// # Safety
    ///
    /// The caller has claimed the slot to send, and has not published it yet.
    #[inline(always)]
    unsafe fn write(&self, message: T) {
        self.message.with_mut(|to| {
            // SAFETY: the cell is valid, and only the claimer accesses it until it is published.
            unsafe { (*to).write(message) };
        });
    }

    /// Moves the message out.
    ///
    /// # Safety
    ///
    /// The caller has claimed the message in the slot, and calls this once.
    #[inline(always)]
    unsafe fn read(&self) -> T {
        self.message.with(|from| {
            // SAFETY: a claimed message is there until its slot is freed. No other thread reads it.
            unsafe { from.cast::<T>().read() }
        })
    }
}

/// A ring with room for a fixed number of messages.
pub(crate) struct Array<T> {
    tail: Line<AtomicU64>,
    head: Line<AtomicU64>,
    slots: Line<Box<[Slot<T>]>>,
    mask: u64,
    /// The positions of messages that were given back, the first one last.
    returned: Mutex<Vec<u64>>,
}

/// Why nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotYet {
    /// The ring is full or empty, as far as this side can know.
    Busy,
    /// No receiver is left.
    Closed,
}

impl<T> Array<T> {
    pub(crate) fn new(capacity: usize) -> Array<T> {
        let mask = capacity.next_power_of_two() as u64 - 1;
        let slots = (0..capacity as u64).map(|index| Slot {
            state: AtomicU64::new(state(index, FREE)),
            message: UnsafeCell::new(MaybeUninit::uninit()),
        });
        Array {
            tail: Line(AtomicU64::new(0)),
            head: Line(AtomicU64::new(0)),
            slots: Line(slots.collect()),
            mask,
            returned: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.slots.0.len()
    }

    #[inline(always)]
    fn slot(&self, at: u64) -> &Slot<T> {
        let index = (at & self.mask) as usize;
        debug_assert!(index < self.slots.0.len());
        // SAFETY: the index of each position is below the capacity (`new`, `next`), and no flag
        // lies in the bits of the mask.
        unsafe { self.slots.0.get_unchecked(index) }
    }

    /// Returns the position after `at`, with its flag.
    #[inline(always)]
    fn next(&self, at: u64) -> u64 {
        if (at & self.mask) + 1 < self.slots.0.len() as u64 {
            at + 1
        } else {
            (at & !self.mask) + self.mask + 1
        }
    }

    /// Returns the same slot's position one lap later.
    #[inline(always)]
    fn lap(&self, at: u64) -> u64 {
        at + self.mask + 1
    }

    /// Returns the number of positions from `from` up to `to`, or 0 if `to` is before it.
    pub(crate) fn distance(&self, from: u64, to: u64) -> u64 {
        let count = |at: u64| {
            let at = at & !FLAG;
            (at & !self.mask) / (self.mask + 1) * self.slots.0.len() as u64 + (at & self.mask)
        };
        count(to).saturating_sub(count(from))
    }

    /// Returns the position of the next message to send, for estimates.
    pub(crate) fn tail_hint(&self) -> u64 {
        self.tail.0.load(Relaxed) & !FLAG // Relaxed: an estimate.
    }

    /// Returns the position of the next message to receive, for estimates.
    pub(crate) fn head_hint(&self) -> u64 {
        self.head.0.load(Relaxed) & !FLAG // Relaxed: an estimate.
    }

    pub(crate) fn len(&self) -> usize {
        loop {
            // Acquire: THREAD-E3, here and below.
            let tail = self.tail.0.load(Acquire);
            let head = self.head.0.load(Acquire);
            let returned = if head & RETURNED != 0 { lock(&self.returned).len() } else { 0 };
            if self.tail.0.load(Acquire) == tail {
                let len = self.distance(head, tail) as usize + returned;
                return len.min(self.capacity());
            }
        }
    }

    /// Claims a slot to send one message.
    #[inline(always)]
    pub(crate) fn claim_send(&self) -> Result<Claimed<'_, T>, NotYet> {
        let mut backoff = Backoff::new();
        // Acquire: THREAD-E3.
        let mut tail = self.tail.0.load(Acquire);
        loop {
            let slot = self.slot(tail);
            // Acquire: THREAD-E2.
            if slot.state.load(Acquire) != state(tail, FREE) {
                tail = self.no_room(tail)?;
                continue;
            }
            // AcqRel and Acquire: THREAD-E3.
            match self.tail.0.compare_exchange(tail, self.next(tail), AcqRel, Acquire) {
                Ok(_) => return Ok(Claimed { slot, at: tail }),
                Err(now) => tail = now,
            }
            backoff.lost();
        }
    }

    /// Returns where to try again if the slot at `tail` was not free.
    #[cold]
    fn no_room(&self, tail: u64) -> Result<u64, NotYet> {
        if tail & CLOSED != 0 {
            return Err(NotYet::Closed);
        }
        let now = self.tail.0.load(Acquire); // Acquire: THREAD-E3.
        if now != tail {
            return Ok(now);
        }
        // A full ring whose first claim was given back has room.
        let head = self.head.0.load(Acquire); // Acquire: THREAD-E3.
        if self.lap(head) == tail && self.skip_void(head) {
            return Ok(tail);
        }
        Err(NotYet::Busy)
    }

    /// Frees the slot at `head` if it is void. Returns whether it was.
    #[cold]
    fn skip_void(&self, head: u64) -> bool {
        let slot = self.slot(head);
        // Acquire: THREAD-E1, although there is no message. AcqRel: THREAD-E3.
        let skipped = slot.state.load(Acquire) == state(head, VOID)
            && self.head.0.compare_exchange(head, self.next(head), AcqRel, Relaxed).is_ok();
        if skipped {
            slot.state.store(state(self.lap(head), FREE), Release); // Release: THREAD-E2.
        }
        skipped
    }

    /// Claims up to `most` slots that follow each other, at least one.
    pub(crate) fn claim_sends(&self, most: usize) -> Result<Sends<'_, T>, NotYet> {
        let mut backoff = Backoff::new();
        // All orderings: as in `claim_send`.
        let mut tail = self.tail.0.load(Acquire);
        loop {
            let (mut end, mut count) = (tail, 0);
            while count < most && self.slot(end).state.load(Acquire) == state(end, FREE) {
                end = self.next(end);
                count += 1;
            }
            if count == 0 {
                tail = self.no_room(tail)?;
                continue;
            }
            match self.tail.0.compare_exchange(tail, end, AcqRel, Acquire) {
                Ok(_) => return Ok(Sends { array: self, at: tail, count }),
                Err(now) => tail = now,
            }
            backoff.lost();
        }
    }

    /// Receives one message that is ready.
    ///
    /// `room` is called for each slot that becomes free in passing.
    #[inline(always)]
    pub(crate) fn receive(&self, room: impl Fn()) -> Option<T> {
        let mut backoff = Backoff::new();
        // Acquire: THREAD-E3.
        let mut head = self.head.0.load(Acquire);
        loop {
            let slot = self.slot(head);
            // Acquire: THREAD-E1.
            if slot.state.load(Acquire) != state(head, READY) {
                match self.no_message(head, &room)? {
                    Other::Again(now) => head = now,
                    Other::Message(at) => return Some(self.take(at)),
                }
                continue;
            }
            // AcqRel and Acquire: THREAD-E3.
            match self.head.0.compare_exchange(head, self.next(head), AcqRel, Acquire) {
                Ok(_) => return Some(self.take(head)),
                Err(now) => head = now,
            }
            backoff.lost();
        }
    }

    /// Moves the claimed message at `at` out, and frees its slot.
    #[inline(always)]
    fn take(&self, at: u64) -> T {
        let slot = self.slot(at);
        // SAFETY: the message is claimed by this call's caller, which calls this once.
        let message = unsafe { slot.read() };
        slot.state.store(state(self.lap(at), FREE), Release); // Release: THREAD-E2.
        message
    }

    /// Returns what to receive if the slot at `head` was not ready.
    #[cold]
    fn no_message(&self, head: u64, room: &impl Fn()) -> Option<Other> {
        if head & RETURNED != 0 {
            if let Some(at) = self.pop_returned() {
                return Some(Other::Message(at));
            }
        } else if self.skip_void(head) {
            room();
        }
        let now = self.head.0.load(Acquire); // Acquire: THREAD-E3.
        (now != head).then_some(Other::Again(now))
    }

    /// Claims the first message that was given back.
    fn pop_returned(&self) -> Option<u64> {
        let mut returned = lock(&self.returned);
        let first = returned.pop();
        if returned.is_empty() {
            // Under the lock, so the flag says whether the list is empty. AcqRel: THREAD-E3.
            self.head.0.fetch_and(!RETURNED, AcqRel);
        }
        first
    }

    /// Receives up to `most` messages that are ready, appends them to `messages` and returns how
    /// many.
    pub(crate) fn receive_many(
        &self,
        most: usize,
        messages: &mut Vec<T>,
        room: impl Fn(),
    ) -> usize {
        // Before the claim: this may panic.
        messages.reserve(most);
        let mut backoff = Backoff::new();
        // All orderings: as in `receive`.
        let mut head = self.head.0.load(Acquire);
        loop {
            let (mut end, mut count) = (head, 0);
            while count < most && self.slot(end).state.load(Acquire) == state(end, READY) {
                end = self.next(end);
                count += 1;
            }
            if count == 0 {
                match self.no_message(head, &room) {
                    None => return 0,
                    Some(Other::Again(now)) => head = now,
                    Some(Other::Message(at)) => {
                        messages.push(self.take(at));
                        return 1;
                    }
                }
                continue;
            }
            match self.head.0.compare_exchange(head, end, AcqRel, Acquire) {
                Ok(_) => {
                    let mut at = head;
                    for _ in 0..count {
                        messages.push(self.take(at));
                        at = self.next(at);
                    }
                    return count;
                }
                Err(now) => head = now,
            }
            backoff.lost();
        }
    }

    /// Returns whether a receive may find a message now.
    pub(crate) fn is_readable(&self) -> bool {
        let head = self.head.0.load(Acquire); // Acquire: THREAD-E3.
        let found = self.slot(head).state.load(Acquire); // Acquire: THREAD-E1.
        head & RETURNED != 0 || found == state(head, READY) || found == state(head, VOID)
    }

    /// Returns whether a send may find room now, or the ring is closed.
    pub(crate) fn is_writable(&self) -> bool {
        let tail = self.tail.0.load(Acquire); // Acquire: THREAD-E3.
        tail & CLOSED != 0 || self.slot(tail).state.load(Acquire) == state(tail, FREE) // THREAD-E2.
    }

    /// Returns the position whose sender has claimed it and not published it yet, if it is next.
    pub(crate) fn sender_in_the_way(&self) -> Option<u64> {
        let head = self.head.0.load(Acquire); // Acquire: THREAD-E3.
        let found = self.slot(head).state.load(Acquire); // Acquire: THREAD-E1.
        let tail = self.tail.0.load(Acquire) & !FLAG; // Acquire: THREAD-E3.
        // What a selection has claimed may take any time.
        (head & RETURNED == 0 && head != tail && found != state(head, CLAIMED)).then_some(head)
    }

    /// Returns the position whose receiver has claimed it and not freed it yet, if that slot is
    /// next.
    pub(crate) fn receiver_in_the_way(&self) -> Option<u64> {
        let tail = self.tail.0.load(Acquire); // Acquire: THREAD-E3.
        let found = self.slot(tail).state.load(Acquire); // Acquire: THREAD-E2.
        let head = self.head.0.load(Acquire) & !FLAG; // Acquire: THREAD-E3.
        let held = tail > self.mask && found == state(tail - self.mask - 1, HELD);
        (tail & CLOSED == 0 && self.lap(head) != tail && !held).then_some(tail)
    }

    /// Closes the ring, because no receiver is left, and drops all messages.
    ///
    /// A panic of a destructor comes out after the other messages were dropped.
    pub(crate) fn close(&self) {
        self.tail.0.fetch_or(CLOSED, AcqRel); // AcqRel: THREAD-E3. No claim to send comes after it.
        self.discard();
    }

    /// Drops all messages, those in the middle of being sent too. There is no receiver.
    fn discard(&self) {
        /// Continues after a panic of a destructor. A second one aborts the process.
        struct Rest<'a, T>(&'a Array<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while self.0.discard_one() {}
            }
        }
        let rest = Rest(self);
        while rest.0.discard_one() {}
        std::mem::forget(rest);
    }

    /// Drops the first message. Returns false if there is none.
    fn discard_one(&self) -> bool {
        let mut backoff = Backoff::new();
        loop {
            if let Some(message) = self.receive(|| ()) {
                drop(message);
                return true;
            }
            let head = self.head.0.load(Acquire); // Acquire: THREAD-E3.
            let tail = self.tail.0.load(Acquire) & !FLAG; // Acquire: THREAD-E3.
            if head == tail {
                return false;
            }
            // The slot is about to be published, or a selection has claimed it.
            let claimed = state(head, CLAIMED);
            let slot = self.slot(head);
            // AcqRel: the selection sees that its receiver is gone.
            if slot.state.compare_exchange(claimed, state(head, ABANDONED), AcqRel, Relaxed).is_ok()
            {
                // Relaxed: no other thread receives.
                self.head.0.store(self.next(head), Relaxed);
                continue;
            }
            backoff.wait();
        }
    }

    /// Claims a slot for a selection.
    pub(crate) fn select_send(&self) -> Result<u64, NotYet> {
        let Claimed { slot, at } = self.claim_send()?;
        slot.state.store(state(at, CLAIMED), Release); // Release: carries nothing.
        Ok(at)
    }

    /// Sends a message into the slot of [`select_send`](Array::select_send).
    ///
    /// # Errors
    ///
    /// Returns the message if no receiver is left.
    ///
    /// # Safety
    ///
    /// `at` is of a claim on this ring that was neither completed nor given back.
    pub(crate) unsafe fn complete_send(&self, at: u64, message: T) -> Result<(), T> {
        let slot = self.slot(at);
        // SAFETY: the caller has the claim.
        unsafe { slot.write(message) };
        // Release: THREAD-E1. Failure Acquire: after the receiver has given the slot up.
        let published =
            slot.state.compare_exchange(state(at, CLAIMED), state(at, READY), AcqRel, Acquire);
        if published.is_err() {
            // SAFETY: the message was not published, so it is still this thread's.
            return Err(unsafe { slot.read() });
        }
        Ok(())
    }

    /// Gives a claim to send back. Returns whether receivers have something to skip.
    ///
    /// # Safety
    ///
    /// As [`complete_send`](Array::complete_send).
    pub(crate) unsafe fn undo_send(&self, at: u64) -> bool {
        let slot = self.slot(at);
        // AcqRel: as in `complete_send`.
        if slot
            .state
            .compare_exchange(state(at, CLAIMED), state(at, FREE), AcqRel, Acquire)
            .is_err()
        {
            return false; // Abandoned: no message will be sent or received here.
        }
        // AcqRel: THREAD-E3. The slot and all after it are as free as before.
        if self.tail.0.compare_exchange(self.next(at), at, AcqRel, Relaxed).is_ok() {
            return false;
        }
        slot.state.store(state(at, VOID), Release); // Release: THREAD-E1, without a message.
        true
    }

    /// Claims a message for a selection.
    pub(crate) fn select_receive(&self, room: impl Fn()) -> Option<u64> {
        let mut backoff = Backoff::new();
        // All orderings: as in `receive`.
        let mut head = self.head.0.load(Acquire);
        loop {
            let slot = self.slot(head);
            if slot.state.load(Acquire) != state(head, READY) {
                match self.no_message(head, &room)? {
                    Other::Again(now) => head = now,
                    Other::Message(at) => return Some(at),
                }
                continue;
            }
            match self.head.0.compare_exchange(head, self.next(head), AcqRel, Acquire) {
                Ok(_) => {
                    // Release: carries nothing. Senders see that the slot is not about to be freed.
                    slot.state.store(state(head, HELD), Release);
                    return Some(head);
                }
                Err(now) => head = now,
            }
            backoff.lost();
        }
    }

    /// Receives the message of [`select_receive`](Array::select_receive).
    ///
    /// # Safety
    ///
    /// `at` is of a claim on this ring that was neither completed nor given back.
    pub(crate) unsafe fn complete_receive(&self, at: u64) -> T {
        self.take(at)
    }

    /// Gives a claimed message back: it is received before all others.
    ///
    /// # Safety
    ///
    /// As [`complete_receive`](Array::complete_receive).
    pub(crate) unsafe fn undo_receive(&self, at: u64) {
        let mut returned = lock(&self.returned);
        let index = returned.partition_point(|&other| other > at);
        returned.insert(index, at);
        // Under the lock, as in `pop_returned`. AcqRel: THREAD-E3.
        self.head.0.fetch_or(RETURNED, AcqRel);
    }
}

/// What to receive in place of the message at `head`.
enum Other {
    /// `head` has changed.
    Again(u64),
    /// A message that was given back, at this position.
    Message(u64),
}

/// A slot that is claimed for one message.
pub(crate) struct Claimed<'a, T> {
    slot: &'a Slot<T>,
    at: u64,
}

impl<T> Claimed<'_, T> {
    /// Publishes a message in the slot.
    #[inline(always)]
    pub(crate) fn publish(self, message: T) {
        // SAFETY: the slot is claimed, and published only below.
        unsafe { self.slot.write(message) };
        self.slot.state.store(state(self.at, READY), Release); // Release: THREAD-E1.
    }
}

/// Claimed slots that follow each other.
pub(crate) struct Sends<'a, T> {
    array: &'a Array<T>,
    at: u64,
    pub(crate) count: usize,
}

impl<T> Sends<'_, T> {
    /// Publishes one message in each slot. There are as many messages.
    pub(crate) fn publish(self, messages: impl Iterator<Item = T>) {
        let mut at = self.at;
        let mut published = 0;
        for message in messages.take(self.count) {
            Claimed { slot: self.array.slot(at), at }.publish(message);
            at = self.array.next(at);
            published += 1;
        }
        debug_assert_eq!(published, self.count);
    }
}
