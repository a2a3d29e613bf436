//! The ring: a lock-free queue of many senders and many receivers.
//!
//! Any of them may be killed at any instruction ("signed claims").
//!
//! A claim moves `tail` or `head` by one CAS. The same word records which participant claimed, and
//! how many slots. Before the next claimer overwrites that word, it *signs* the unfinished slots of
//! the last claim with their owner. So either the slots or the word always name a claim's owner,
//! and other processes can find and recover what a dead process leaves
//! ([`recovery`](crate::channel::recovery)).
//!
//! The algorithm is this project's own. `ci/ring-model` holds a model of it, which is searched
//! exhaustively, with kills between any two steps.
//!
//! # Life of a slot
//!
//! ```text
//!                claim, write                     claim, read
//!   Free(p) ───────────────────────▶ Ready(p) ───────────────────────▶ Free(p + a lap)
//!     │ sign                           │ sign           free ▲   ▲
//!     ▼            publish             ▼                     │   │
//!   Writing(p,o) ──────────────────▶   Reading(p,o) ─────────┘   │
//!     │ o dies, or gives up            │ o dies                  │ free
//!     ▼                                ▼            adopt        │
//!   Void(p) ──▶ Free(p + a lap)      Orphan(p) ───────────▶ Reading(p,me)
//! ```
//!
//! # Edges
//!
//! | edge | from | to | over | what it carries |
//! |---|---|---|---|---|
//! | RING-E1 | publish: `Ready` Release | receive: slot load Acquire | `slot.state` | the payload |
//! | RING-E2 | free: `Free` Release | send: slot load Acquire | `slot.state` | the end of the receiver's reads of the payload |
//! | RING-E3 | claim: CAS AcqRel | load Acquire | `tail`, `head` | the signatures of the previous claim |
//! | RING-E4 | sign: CAS AcqRel | recovery, adoption: Acquire | `slot.state` | the payload: the signature extends RING-E1 |
//! | RING-E5 | own publish (free): `last` Release | own claim: Acquire | `Participant::last` | another thread's claim through this handle is finished |
//! | RING-E6 | `orphan_seq` AcqRel | scan: Acquire | `orphan_seq` | the orphans made before |
//!
//! # Invariants
//!
//! The invariants hold between any two steps of any processes that keep the protocol, also after
//! any kills. `me` is the process that takes the step. SAFETY comments and the models cite them.
//!
//! | invariant | what holds |
//! |---|---|
//! | RING-I1 | A slot `Free(p)` whose `p` is claimed for writing lies in the last claim of `tail`. So a process that dies with a claim to send is named by a slot or by `tail`. |
//! | RING-I2 | A slot `Ready(p)` or `Void(p)` whose `p` is claimed for reading lies in the last claim of `head`. So a process that dies with a claim to receive is named by a slot or by `head`. |
//! | RING-I3 | Every owner that `tail`, `head`, `Writing`, `Reading`, `Held` or `Lent` names has a used entry. |
//! | RING-I4 | While the payload of `p` is written, and when `Ready(p)` is stored, the slot is `Free(p)` or `Writing(p,me)`. While it is read, and when `Free(p + a lap)` is stored, the slot is `Ready(p)` or `Reading(p,me)`. In between, only the claimer accesses the payload. |
//! | RING-I5 | The position in `slot.state` never decreases. At one position the state changes from `Free`, perhaps through `Writing`, to `Ready` or `Void`. From there it changes through any number of `Reading` and `Orphan`, in turn, to `Free` of the next lap. |
//! | RING-I6 | A block is `InFlight(p)` only while its slot is not past `p`. From `Lent` on, the block is the message, and its slot becomes `Free` of the next lap, never `Orphan`. Only the owner that `Held` or `Lent` names accesses the block's bytes. When all participants have ended, all blocks are `Free`. |
//! | RING-I7 | When `recv` returns `Disconnected`, every completed send has been received. When `recv` or `send` returns `Disconnected`, no live participant that is attached has the other role. |
//! | RING-I8 | A bell has at least as many tokens as its futex has sleeping waiters that were not woken ([`bell`](ipc_wait::bell)). |
//!
//! # If a peer dies
//!
//! | after | it leaves | others see | recovered to |
//! |---|---|---|---|
//! | its claim to send | `tail` or `Writing` names it | the slot in progress | `Void`: skipped |
//! | its publication | nothing | the message | – |
//! | its claim to receive | `head` or `Reading` names it | the slot in progress | `Orphan`: delivered to another receiver |
//! | its release of the slot | nothing | a free slot | – |

#[cfg(not(loom))]
use ipc_core::__private::wait::InTheWay;

use crate::channel::memory::Side;
use crate::channel::memory::{Memory, Slot};
use crate::killpoint::kill_point;
use crate::layout::{CLOSED, MAX_BATCH, block, claim, count, kind, members, owner, pos, slot};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// The value for "no position". Positions have 47 bits.
pub(crate) const NOWHERE: u64 = u64::MAX;
/// The number of lost claims after which an attempt gives up for now.
///
/// Claims are lost to other participants, or to a peer that writes garbage.
const MOST_TRIES: u32 = 1 << 10;

/// The state of a participant that one of its handles remembers.
///
/// Threads may share a handle, because each word is a hint that stays true.
///
/// A handle either sends or receives. `last` is a position of one end of the ring. At the other
/// end, the same position would be mistaken for a claim of this handle.
pub(crate) struct Participant {
    /// Its id.
    pub(crate) id: u64,
    /// The position where this handle's last claim ended. It is stored when that claim is finished.
    pub(crate) last: AtomicU64,
    /// The `orphan_seq` up to which no orphan is left.
    orphans_seen: AtomicU64,
    /// The block at which the search for a free one begins.
    pub(crate) next_block: AtomicU64,
}

impl Participant {
    pub(crate) fn new(id: u64) -> Participant {
        Participant {
            id,
            last: AtomicU64::new(NOWHERE),
            orphans_seen: AtomicU64::new(0),
            next_block: AtomicU64::new(0),
        }
    }
}

/// The reason why nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotYet {
    /// The ring is full or empty, or another participant has claimed the next slot.
    Busy,
    /// `tail` is closed, so no message can be sent any more.
    Closed,
}

/// What happens to a slot after its message was read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The slot becomes free: the message is received.
    Free,
    /// The slot stays claimed and signed by the reader until [`Ring::free_slot`].
    Keep,
    /// The slot stays claimed by the reader until [`Ring::free_claimed`]. The next claimer signs
    /// it, as one whose reader is not done yet.
    Claim,
}

/// The destination of received messages.
///
/// No method may panic, because a claim cannot be undone before its slot is free.
pub(crate) trait Sink {
    /// Returns the block that the slot's message lies in, if it does not lie in the slot.
    fn block_of(&self, slot: Slot<'_>) -> Option<u64>;
    /// Reads the message in a slot, which this process owns alone until this returns.
    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After;
    /// Takes a lent block with message `pos` in it. Its slot is already free.
    fn block(&mut self, block: usize, pos: u64);
    /// Marks the next message as redelivered: another receiver had claimed it and died.
    fn redelivered(&mut self) {}
    /// Reports a slot that names an invalid block, because a peer has broken the protocol.
    ///
    /// The message is dropped.
    fn corrupt(&mut self, what: &'static str);
}

/// The ring of a channel: a view of the memory that it lies in.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'a> {
    memory: &'a Memory,
}

impl<'a> Ring<'a> {
    #[inline(always)]
    pub(crate) fn of(memory: &'a Memory) -> Ring<'a> {
        Ring { memory }
    }

    /// Sends up to `k` messages, `1 ≤ k ≤ max_batch`, and returns how many.
    ///
    /// It claims the slots, calls `write` for each slot in order, and publishes each. `write` must
    /// not panic.
    #[inline(always)]
    pub(crate) fn send(
        self,
        me: &Participant,
        k: u64,
        mut write: impl FnMut(Slot<'_>, u64),
    ) -> Result<u64, NotYet> {
        let (first, found) = self.claim_to_send(me, k)?;
        let g = &self.memory.geometry;
        let mut q = first;
        for _ in 0..found {
            kill_point!("send.claimed");
            // RING-I4: the slot is Free(q) or Writing(q, me), and only this process accesses its
            // payload.
            let to = self.memory.slot(q);
            write(to, q);
            kill_point!("send.written");
            to.state.store(slot::ready(q), Release); // Release: RING-E1.
            kill_point!("send.published");
            q = g.next(q);
        }
        // Release: RING-E5. It is stored only after all of the claim is published.
        me.last.store(q, Release);
        Ok(found)
    }

    /// Claims up to `k` slots to send, and returns the first position and how many.
    #[inline(always)]
    fn claim_to_send(self, me: &Participant, k: u64) -> Result<(u64, u64), NotYet> {
        let g = &self.memory.geometry;
        let mut tries = 0;
        // Acquire: RING-E3, so that the slots are seen at least as the previous claimer saw them.
        // With Relaxed, a slot of one lap ago could be mistaken for "signed", and a claim be lost.
        let mut t = self.memory.tail().load(Acquire);
        loop {
            if t & CLOSED != 0 {
                return Err(NotYet::Closed);
            }
            let p = pos(t);
            let mut found = 0;
            let mut q = p;
            // Acquire: RING-E2, the slot's reader has finished.
            while found < k && self.memory.state(q).load(Acquire) == slot::free(q) {
                found += 1;
                q = g.next(q);
            }
            tries += 1;
            if found == 0 {
                let now = self.memory.tail().load(Acquire); // Acquire: RING-E3.
                if now == t || tries > MOST_TRIES {
                    return Err(NotYet::Busy);
                }
                t = now;
                continue;
            }
            // Acquire: RING-E5. A claim that this handle made and has finished needs no signature.
            if count(t) > 0 && me.last.load(Acquire) != p {
                self.sign_writers(t);
            }
            kill_point!("send.claim");
            // AcqRel: RING-E3. Release: a process that sees this claim also sees the signatures of
            // the previous one.
            match self.memory.tail().compare_exchange(t, claim(q, found, me.id), AcqRel, Acquire) {
                Ok(_) => return Ok((p, found)),
                Err(now) if tries > MOST_TRIES => {
                    return Err(if now & CLOSED == 0 { NotYet::Busy } else { NotYet::Closed });
                }
                Err(now) => t = now,
            }
            contended(tries);
        }
    }

    /// Claims a slot to send, which stays claimed until [`publish`](Ring::publish) or
    /// [`give_up`](Ring::give_up).
    ///
    /// Receivers wait for it, and messages behind it, meanwhile.
    pub(crate) fn claim_slot(self, me: &Participant) -> Result<u64, NotYet> {
        // `last` stays, so the next claimer signs the slot for this process.
        self.claim_to_send(me, 1).map(|(pos, _)| pos)
    }

    /// Publishes the message that was written into the claimed slot `q`.
    pub(crate) fn publish(self, q: u64) {
        kill_point!("send.written_late");
        self.memory.state(q).store(slot::ready(q), Release); // Release: RING-E1.
        kill_point!("send.published_late");
    }

    /// Gives up the claimed slot `q`: receivers skip it.
    pub(crate) fn give_up(self, q: u64) {
        kill_point!("send.give_up");
        // Release: no data depends on it. A signer's CAS comes before, or fails.
        self.memory.state(q).store(slot::void(q), Release);
        kill_point!("send.given_up");
        // A receiver that waits for the slot skips it, and finds what is behind.
        self.memory.bell(Side::Receivers).wake_all();
    }

    /// Receives up to `k` messages, `1 ≤ k ≤ max_batch`, and returns how many, at least one.
    ///
    /// If `k > 1`, the sink must return [`After::Free`].
    #[inline(always)]
    pub(crate) fn receive(
        self,
        me: &Participant,
        k: u64,
        sink: &mut impl Sink,
    ) -> Result<u64, NotYet> {
        let (memory, g) = (self.memory, &self.memory.geometry);
        let mut tries = 0;
        // Relaxed: a hint only. `adopt` loads it again with Acquire before it scans.
        if memory.orphan_seq().load(Relaxed) != me.orphans_seen.load(Relaxed)
            && self.adopt(me, sink)
        {
            return Ok(1);
        }
        'again: loop {
            let mut h = memory.head().load(Acquire); // Acquire: RING-E3, as in `send`.
            let (first, found, voids) = loop {
                let p = pos(h);
                let (mut found, mut voids) = (0, 0u64);
                let mut q = p;
                while found < k {
                    let state = memory.state(q).load(Acquire); // Acquire: RING-E1.
                    if state == slot::void(q) {
                        voids |= 1 << found;
                    } else if state != slot::ready(q) {
                        break;
                    }
                    found += 1;
                    q = g.next(q);
                }
                tries += 1;
                if found == 0 {
                    let now = memory.head().load(Acquire); // Acquire: RING-E3.
                    if now == h || tries > MOST_TRIES {
                        return Err(NotYet::Busy);
                    }
                    h = now;
                    continue;
                }
                // Acquire: RING-E5, as in `send`.
                if count(h) > 0 && me.last.load(Acquire) != p {
                    self.sign_readers(h);
                }
                kill_point!("receive.claim");
                // AcqRel: RING-E3, as in `send`.
                match memory.head().compare_exchange(h, claim(q, found, me.id), AcqRel, Acquire) {
                    Ok(_) => break (p, found, voids),
                    Err(_) if tries > MOST_TRIES => return Err(NotYet::Busy),
                    Err(now) => h = now,
                }
                contended(tries);
            };
            let (mut received, mut finished) = (0, true);
            let mut q = first;
            for i in 0..found {
                kill_point!("receive.claimed");
                if voids >> i & 1 == 1 {
                    kill_point!("receive.void");
                    // A CAS, not a store: a signer may have freed the slot already, and it may be
                    // in use again. Failure Relaxed: the value is not used. Release: RING-E2.
                    let freed = slot::free(g.next_lap(q));
                    let _ = memory.state(q).compare_exchange(slot::void(q), freed, AcqRel, Relaxed);
                } else {
                    finished &= self.take(me, memory.slot(q), q, sink);
                    received += 1;
                }
                kill_point!("receive.freed");
                q = g.next(q);
            }
            if finished {
                // Release: RING-E5. It is stored only after all of the claim is freed or signed.
                me.last.store(q, Release);
            }
            if voids != 0 {
                // The voids made room. The caller wakes senders for received messages only, so this
                // function wakes them for the voids.
                memory.bell(Side::Senders).wake_all();
            }
            if received > 0 {
                return Ok(received);
            }
            if tries > MOST_TRIES {
                return Err(NotYet::Busy);
            }
            continue 'again;
        }
    }

    /// Receives the message of slot `q`, which this process has claimed, and frees the slot.
    ///
    /// Returns false if the slot stays claimed and was not signed.
    #[inline(always)]
    fn take(self, me: &Participant, from: Slot<'_>, q: u64, sink: &mut impl Sink) -> bool {
        let freed = slot::free(self.memory.geometry.next_lap(q));
        if let Some(index) = sink.block_of(from) {
            self.take_block(me, from, q, index, sink);
            return true;
        }
        // RING-I4: the slot is Ready(q) or Reading(q, me), so the payload does not change, and this
        // process may read it.
        let after = sink.inline(from, q);
        if after == After::Free {
            kill_point!("receive.read");
            from.state.store(freed, Release); // Release: RING-E2. The message is received.
        }
        after != After::Claim
    }

    /// Receives a message in a block, as [`take`](Ring::take) does one in a slot.
    fn take_block(
        self,
        me: &Participant,
        from: Slot<'_>,
        q: u64,
        index: u64,
        sink: &mut impl Sink,
    ) {
        let freed = slot::free(self.memory.geometry.next_lap(q));
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        // Acquire: as RING-E1. The block was written before the slot was published.
        let Some(found) = self
            .memory
            .blocks()
            .get(index)
            .filter(|b| b.state.load(Acquire) == block::in_flight(q))
        else {
            from.state.store(freed, Release); // Release: RING-E2.
            return sink.corrupt("a message's block is not the message's");
        };
        kill_point!("receive.lend");
        // Before the slot is freed. From here until the acknowledgement, the block is the message
        // (RING-I6).
        // Release: a recovering process sees the message.
        found.state.store(block::lent(q, me.id), Release);
        // Relaxed: the receiver that the block is lent to reads it after the state's Acquire.
        let deliveries = found.deliveries.load(Relaxed).saturating_add(1);
        kill_point!("receive.count");
        found.deliveries.store(deliveries, Relaxed);
        kill_point!("receive.lent");
        from.state.store(freed, Release); // Release: RING-E2.
        kill_point!("receive.block");
        sink.block(index, q);
    }

    /// Signs the slot `q`, which this process alone claimed for reading, so that it can be kept.
    pub(crate) fn sign_own_reading(self, q: u64, me: u64) {
        kill_point!("receive.sign");
        // AcqRel: RING-E4. Failure Relaxed: another process signed the slot for this one, or this
        // process adopted the message, which signs it.
        let _ = self.memory.state(q).compare_exchange(
            slot::ready(q),
            slot::reading(q, me),
            AcqRel,
            Relaxed,
        );
    }

    /// Frees a kept slot. Its message is then received.
    pub(crate) fn free_slot(self, q: u64) {
        kill_point!("guard.free_slot");
        // Release: RING-E2.
        self.memory.state(q).store(slot::free(self.memory.geometry.next_lap(q)), Release);
        kill_point!("guard.freed_slot");
    }

    /// Frees a slot that this handle has claimed and not signed. Its message is then received.
    #[inline]
    pub(crate) fn free_claimed(self, me: &Participant, q: u64) {
        kill_point!("claim.free");
        // Release: RING-E2.
        self.memory.state(q).store(slot::free(self.memory.geometry.next_lap(q)), Release);
        kill_point!("claim.freed");
        // Release: RING-E5. If a later claim of this handle is the last one by now, this only
        // makes another process sign that.
        me.last.store(self.memory.geometry.next(q), Release);
    }

    /// Returns the message of a claimed slot, which another receiver adopts.
    pub(crate) fn give_back_slot(self, q: u64, me: u64) {
        self.sign_own_reading(q, me);
        kill_point!("guard.orphan");
        self.memory.state(q).store(slot::orphan(q), Release); // Release: RING-E4.
        kill_point!("guard.orphaned");
        self.memory.orphan_seq().fetch_add(1, AcqRel); // AcqRel: RING-E6.
        self.memory.bell(Side::Receivers).wake_all();
    }

    /// Returns whether a call that receives may do something now: there is a message, or a slot to
    /// skip, or a message whose receiver died.
    pub(crate) fn may_receive(self, me: &Participant) -> bool {
        // Acquire: RING-E6, so that the slots are seen as the orphans' makers left them.
        if self.memory.orphan_seq().load(Acquire) != me.orphans_seen.load(Relaxed) {
            return true;
        }
        let q = pos(self.memory.head().load(Acquire)); // Acquire: RING-E3.
        let state = self.memory.state(q).load(Acquire); // Acquire: RING-E1.
        state == slot::ready(q) || state == slot::void(q)
    }

    /// Returns whether there is certainly no message now, and no reason why none can come.
    ///
    /// It reads no word that a sender writes, except the slot that is next.
    #[inline(always)]
    pub(crate) fn is_idle(self, me: &Participant) -> bool {
        // Relaxed: hints only. Otherwise the caller makes a complete attempt.
        let no_orphan = self.memory.orphan_seq().load(Relaxed) == me.orphans_seen.load(Relaxed);
        let connected = self.memory.members().load(Relaxed) & members::GONE == 0;
        no_orphan && connected && {
            // If another receiver has moved `head` since, the slot is free for a later position.
            let q = pos(self.memory.head().load(Acquire)); // Acquire: RING-E3.
            self.memory.state(q).load(Relaxed) == slot::free(q) // Relaxed: the payload is not read.
        }
    }

    /// Returns whether a call that sends may do something now.
    pub(crate) fn may_send(self) -> bool {
        let t = self.memory.tail().load(Acquire); // Acquire: RING-E3.
        // Acquire: RING-E2.
        t & CLOSED != 0 || self.memory.state(pos(t)).load(Acquire) == slot::free(pos(t))
    }

    /// Signs the last claim to send, if it is not finished.
    #[inline]
    pub(crate) fn sign_writers(self, t: u64) {
        let last = self.memory.geometry.prev(pos(t));
        // Acquire: RING-E1, RING-E4. Both signing and publishing go upwards. So if the last slot of
        // the claim is not Free, all of them are signed or published.
        if self.memory.state(last).load(Acquire) == slot::free(last) {
            self.sign_writers_slow(t);
        }
    }

    #[cold]
    fn sign_writers_slow(self, t: u64) {
        let mut q = self.memory.geometry.back(pos(t), count(t).min(self.memory.geometry.capacity));
        for _ in 0..count(t).min(self.memory.geometry.capacity) {
            kill_point!("send.sign");
            // AcqRel: RING-E4. Failure Relaxed: its owner published it, or another process signed
            // it.
            let _ = self.memory.state(q).compare_exchange(
                slot::free(q),
                slot::writing(q, owner(t)),
                AcqRel,
                Relaxed,
            );
            q = self.memory.geometry.next(q);
        }
    }

    /// Signs the last claim to receive, if it is not finished.
    #[inline]
    pub(crate) fn sign_readers(self, h: u64) {
        let last = self.memory.geometry.prev(pos(h));
        // Acquire: RING-E2, RING-E4, as in `sign_writers`.
        let state = self.memory.state(last).load(Acquire);
        if state == slot::ready(last) || state == slot::void(last) {
            self.sign_readers_slow(h);
        }
    }

    #[cold]
    fn sign_readers_slow(self, h: u64) {
        let g = &self.memory.geometry;
        let mut q = g.back(pos(h), count(h).min(g.capacity));
        for _ in 0..count(h).min(g.capacity) {
            kill_point!("receive.sign_others");
            let state = self.memory.state(q).load(Acquire); // Acquire: RING-E1.
            let signed = match kind(state) {
                slot::READY if state == slot::ready(q) => slot::reading(q, owner(h)),
                slot::VOID if state == slot::void(q) => slot::free(g.next_lap(q)),
                _ => {
                    q = g.next(q);
                    continue;
                }
            };
            // AcqRel: RING-E4. Failure Relaxed: its owner freed it, or another process signed it.
            let _ = self.memory.state(q).compare_exchange(state, signed, AcqRel, Relaxed);
            q = g.next(q);
        }
    }

    /// Adopts the oldest message that a dead receiver had claimed, if there is one.
    ///
    /// Returns whether it adopted one.
    #[cold]
    pub(crate) fn adopt(self, me: &Participant, sink: &mut impl Sink) -> bool {
        let g = &self.memory.geometry;
        for _ in 0..MOST_TRIES {
            let seq = self.memory.orphan_seq().load(Acquire); // Acquire: RING-E6.
            let mut orphans = Vec::new();
            for index in 0..g.capacity as usize {
                // Acquire: RING-E1, RING-E4.
                let state = self.memory.slot_at(index).state.load(Acquire);
                let p = pos(state);
                if state == slot::orphan(p) && g.index(p) == index {
                    orphans.push((p, OrphanIn::Slot));
                }
            }
            for (index, found) in self.memory.blocks().iter().enumerate() {
                let state = found.state.load(Acquire); // Acquire: as RING-E4.
                if state == block::lost(pos(state)) {
                    orphans.push((pos(state), OrphanIn::Block(index)));
                }
            }
            // Loaded after the scan, so all positions found lie before it, and their ages compare.
            let head = pos(self.memory.head().load(Acquire)); // Acquire: RING-E3.
            let oldest = orphans.into_iter().max_by_key(|(p, _)| g.distance(*p, head));
            let Some((p, found)) = oldest else {
                // Relaxed: a hint of this handle.
                me.orphans_seen.store(seq, Relaxed);
                return false;
            };
            kill_point!("adopt.cas");
            match found {
                OrphanIn::Slot => {
                    let (from, to) = (slot::orphan(p), slot::reading(p, me.id));
                    // AcqRel: RING-E4. Failure: another receiver adopted it, so scan again.
                    if self.memory.state(p).compare_exchange(from, to, AcqRel, Relaxed).is_ok() {
                        kill_point!("adopt.adopted");
                        sink.redelivered();
                        self.take(me, self.memory.slot(p), p, sink);
                        return true;
                    }
                }
                OrphanIn::Block(index) => {
                    let lost = &self.memory.blocks()[index];
                    let (from, to) = (block::lost(p), block::lent(p, me.id));
                    // AcqRel: RING-E4. Failure: another receiver adopted it, so scan again.
                    if lost.state.compare_exchange(from, to, AcqRel, Relaxed).is_ok() {
                        kill_point!("adopt.adopted");
                        // Relaxed: as in `take_block`.
                        let deliveries = lost.deliveries.load(Relaxed).saturating_add(1);
                        lost.deliveries.store(deliveries, Relaxed);
                        kill_point!("adopt.counted");
                        sink.block(index, p);
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Returns the number of messages in the ring, from two loads that need not agree.
    pub(crate) fn len(self) -> usize {
        // Relaxed: a snapshot for information only.
        let (tail, head) =
            (pos(self.memory.tail().load(Relaxed)), pos(self.memory.head().load(Relaxed)));
        let len = self.memory.geometry.distance(head, tail);
        // `tail` was loaded first, so `head` may have passed it meanwhile.
        if len > self.memory.geometry.capacity { 0 } else { len as usize }
    }

    /// Returns the sender that has claimed the next position to read and has not published.
    ///
    /// Returns `None` if the ring is empty. A receiver calls this after its attempt has failed.
    #[cfg(not(loom))]
    pub(crate) fn sender_in_the_way(self) -> Option<InTheWay> {
        // In this order, because `head` never passes `tail`. So if both are equal, the ring was
        // empty when `tail` was loaded. Acquire: RING-E3, so that `tail` includes what the claimers
        // that `head` names had sent before.
        let head = pos(self.memory.head().load(Acquire));
        let tail = self.memory.tail().load(Acquire);
        if head == pos(tail) {
            return None;
        }
        let state = self.memory.state(head).load(Acquire); // Acquire: RING-E4.
        // An unsigned claim is the last one.
        let peer = if kind(state) == slot::WRITING { owner(state) } else { owner(tail) };
        Some(InTheWay { position: head, peer })
    }

    /// Returns the receiver that has claimed and not freed the slot of the next position to write.
    ///
    /// Returns `None` if the ring is full. A sender calls this after its attempt has failed.
    #[cfg(not(loom))]
    pub(crate) fn receiver_in_the_way(self) -> Option<InTheWay> {
        let g = &self.memory.geometry;
        // In this order, because `tail` is at most the capacity ahead of `head`. So if it is that
        // far ahead, the ring was full when `head` was loaded. Acquire: RING-E3, as in
        // `sender_in_the_way`.
        let tail = pos(self.memory.tail().load(Acquire));
        let head = self.memory.head().load(Acquire);
        if g.distance(pos(head), tail) == g.capacity {
            return None;
        }
        let state = self.memory.state(tail).load(Acquire); // Acquire: RING-E4.
        // The message of a dead receiver waits for the next receiver, and keeps its slot meanwhile.
        if state == slot::orphan(g.last_lap(tail)) {
            return None;
        }
        let peer = if kind(state) == slot::READING { owner(state) } else { owner(head) };
        Some(InTheWay { position: tail, peer })
    }

    /// Returns what is in the way of a sender that has found no free block.
    ///
    /// Returns `None` as [`receiver_in_the_way`](Ring::receiver_in_the_way) does, and also if
    /// each block holds a message that waits for a receiver.
    #[cfg(not(loom))]
    pub(crate) fn block_in_the_way(self) -> Option<InTheWay> {
        // Acquire: RING-E3.
        let ends = || (self.memory.tail().load(Acquire), self.memory.head().load(Acquire));
        let before = ends();
        self.receiver_in_the_way()?;
        let waits = |state| matches!(kind(state), block::IN_FLIGHT | block::LOST);
        // Acquire: as RING-E4. If the ends have not changed, no block has changed owners meanwhile.
        let all = self.memory.blocks().iter().all(|block| waits(block.state.load(Acquire)));
        // Differs from the positions of slots, which have 47 bits. The block may be a loan or a
        // guard, which its owner keeps as long as it likes. So there is no peer to wait for.
        let position = pos(before.0) | 1 << 48;
        (!all || ends() != before).then_some(InTheWay { position, peer: 0 })
    }

    /// Returns whether the ring is closed, so that nothing can be sent any more.
    pub(crate) fn closed(self) -> bool {
        self.memory.tail().load(Acquire) & CLOSED != 0 // Acquire: RING-E3.
    }

    /// Returns whether the ring is closed and no message can reach `me` any more.
    pub(crate) fn finished(self, me: u64) -> bool {
        let g = &self.memory.geometry;
        let t = self.memory.tail().load(Acquire); // Acquire: RING-E3.
        if t & CLOSED == 0 || pos(t) != pos(self.memory.head().load(Acquire)) {
            return false;
        }
        // Slots first: a message moves from a slot to a block, never back.
        for index in 0..g.capacity as usize {
            // Acquire: RING-E2. The block was lent before the slot was freed, so the loads below
            // see it.
            if kind(self.memory.slot_at(index).state.load(Acquire)) != slot::FREE {
                return false;
            }
        }
        self.memory.blocks().iter().all(|block| {
            let state = block.state.load(Acquire); // Acquire: as RING-E4.
            match kind(state) {
                block::LOST => false,
                block::LENT => owner(state) == me,
                _ => true,
            }
        })
    }

    /// Checks whether the protocol can have written the words at the two ends.
    ///
    /// # Errors
    ///
    /// Returns what is wrong. A peer has written garbage, which no process can repair.
    pub(crate) fn check(self) -> Result<(), &'static str> {
        let g = &self.memory.geometry;
        let position = |p: u64| p & g.mask < g.capacity;
        for (end, what) in [(self.memory.tail(), "tail"), (self.memory.head(), "head")] {
            // Acquire: RING-E3, so that the slot is seen at least as the claimer saw it.
            let word = end.load(Acquire);
            let p = pos(word);
            if !position(p) {
                return Err(if what == "tail" {
                    "tail is no position"
                } else {
                    "head is no position"
                });
            }
            let state = self.memory.state(p).load(Acquire);
            if end.load(Acquire) != word {
                continue; // The end moved, so another process makes progress.
            }
            // The state is of this lap, or of the last lap if that is not finished yet. At `head`
            // it may also be of the next lap.
            let at = pos(state);
            let next = what == "head" && at == g.next_lap(p);
            let plausible = at == p || at == g.last_lap(p) || next;
            if !plausible || kind(state) > slot::ORPHAN {
                return Err("a slot's state is of no lap near its position");
            }
        }
        // Acquire, all three: RING-E3. `head` first, because it never passes `tail`.
        let head = pos(self.memory.head().load(Acquire));
        let tail = pos(self.memory.tail().load(Acquire));
        let now = pos(self.memory.head().load(Acquire));
        if head == now && g.distance(head, tail) > g.capacity {
            return Err("head and tail are further apart than the capacity");
        }
        Ok(())
    }
}

/// Where the message of a dead receiver lies: in a slot or in a block.
enum OrphanIn {
    Slot,
    Block(usize),
}

/// Backs off after a lost CAS. Each further loss makes the pause longer.
#[inline]
fn contended(tries: u32) {
    #[cfg(not(loom))]
    for _ in 0..1u32 << tries.min(6) {
        std::hint::spin_loop();
    }
    #[cfg(loom)]
    {
        let _ = tries;
        crate::sync::scheduler::thread::yield_now();
    }
}

const _: () = assert!(MAX_BATCH < 64, "a batch's voids are the bits of a word");
