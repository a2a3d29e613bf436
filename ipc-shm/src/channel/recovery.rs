//! Leaving, and the recovery of the state of dead participants.
//!
//! Any process may recover a dead participant at any time, under that participant's repair lease.
//! If the recovering process dies too, another process repeats each step from the start. The order
//! of the steps below makes that possible, and `ci/ring-model` checks it. A process that leaves
//! does the same steps for itself, under its own life lease.
//!
//! 1. Clear the roles in the entry.
//! 2. Membership: if the participant was the last one of its side, close the ring
//!    ([`membership`](super::membership)).
//! 3. Sign the claims that `tail` and `head` name, so that neither word names the participant.
//! 4. Free its blocks in flight whose slot is not published. Mark its lent blocks Lost.
//! 5. Mark its slots Void or Orphan.
//! 6. Free the blocks that it only held.
//! 7. Notify all waiters.
//! 8. Discard the queued messages if no receiver is left.
//! 9. Free the entry.

use crate::attach::lease::Leases;
use crate::channel::memory::{Memory, Side, Slot};
use crate::channel::pool::Pool;
use crate::channel::ring::{After, Participant, Ring, Sink};
use crate::killpoint::kill_point;
use crate::layout::{CLOSED, block, claim, count, entry, kind, members, owner, pos, slot};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Returns the block that a slot's message lies in, if any. Each kind of channel has its own.
pub(crate) type BlockOf = fn(Slot<'_>) -> Option<u64>;

/// Recovers the participants of a channel, and lets one leave: a view of the channel's memory.
#[derive(Clone, Copy)]
pub(crate) struct Recovery<'a> {
    memory: &'a Memory,
    /// The participant of this process.
    me: &'a Participant,
    block_of: BlockOf,
}

impl<'a> Recovery<'a> {
    pub(crate) fn of(memory: &'a Memory, me: &'a Participant, block_of: BlockOf) -> Recovery<'a> {
        Recovery { memory, me, block_of }
    }

    /// Recovers the participant `dead`, if it is dead and no other process is recovering it.
    ///
    /// Returns whether it was recovered.
    pub(crate) fn recover(self, dead: u64, leases: &impl Leases) -> bool {
        let Some(entry) = self.memory.entries().get(dead as usize) else { return false };
        kill_point!("recover.lease");
        if !leases.try_repair(dead) {
            return false;
        }
        kill_point!("recover.leased");
        // In this order. While this process holds the repair lease, no process can attach under
        // this id. A process that leaves frees its entry before its life lease. Acquire: the entry
        // as its owner stored it last.
        let gone = !leases.alive(dead) && entry.load(Acquire) & entry::USED != 0;
        if gone {
            kill_point!("recover.entry");
            entry.store(entry::used(0, 0), Release); // 1. Release: it publishes the roles only.
            kill_point!("recover.roles");
            let flags = self.memory.membership().settle(true); // 2.
            self.clean(dead); // 3 to 6.
            kill_point!("recover.cleaned");
            // 7. Always: an earlier recovering process that died may have made orphans without
            //    counting them. AcqRel: RING-E6.
            self.memory.orphan_seq().fetch_add(1, AcqRel);
            kill_point!("recover.orphans");
            self.memory.ring_after_death();
            kill_point!("recover.rung");
            if flags & members::RECEIVERS_GONE != 0 {
                self.discard(); // 8.
            }
            kill_point!("recover.free");
            // 9. Release: the next process may use the id, and no word names it any more.
            entry.store(0, Release);
            kill_point!("recover.freed");
        }
        leases.end_repair(dead);
        gone
    }

    /// Detaches this process, whose last endpoint is gone.
    ///
    /// The caller holds its own life lease until this returns, and does not use the id afterwards.
    pub(crate) fn leave(self) {
        self.give_back_forgotten();
        let Some(entry) = self.memory.entries().get(self.me.id as usize) else { return };
        kill_point!("leave.roles");
        entry.store(entry::used(0, 0), Release); // 1.
        kill_point!("leave.membership");
        if self.memory.membership().settle(false) & members::GONE != 0 {
            self.memory.wake_all();
        }
        if self.memory.members().load(Acquire) & members::RECEIVERS_GONE != 0 {
            self.discard();
        }
        kill_point!("leave.clean");
        self.clean(self.me.id);
        kill_point!("leave.free");
        entry.store(0, Release); // 9., as in `recover`.
        kill_point!("leave.freed");
    }

    /// Removes one role of this process, whose last endpoint of that role is gone.
    ///
    /// The process stays attached with the other role.
    pub(crate) fn leave_role(self, roles: u64, receivers: bool) {
        if receivers {
            self.give_back_forgotten();
        }
        let Some(entry) = self.memory.entries().get(self.me.id as usize) else { return };
        kill_point!("leave_role.entry");
        entry.store(roles, Release); // 1.
        kill_point!("leave_role.membership");
        if self.memory.membership().settle(false) & members::GONE != 0 {
            self.memory.wake_all();
            if receivers && self.memory.members().load(Acquire) & members::RECEIVERS_GONE != 0 {
                self.discard();
            }
        }
        kill_point!("leave_role.done");
    }

    /// Removes every reference to owner `o` from the ring and the blocks: steps 3 to 6.
    fn clean(self, o: u64) {
        let (memory, ring, g) = (self.memory, Ring::of(self.memory), &self.memory.geometry);
        // 3.
        loop {
            let t = memory.tail().load(Acquire); // Acquire: RING-E3.
            if owner(t) != o {
                break;
            }
            if count(t) > 0 {
                ring.sign_writers(t);
            }
            kill_point!("clean.tail");
            let cleared = claim(pos(t), 0, 0) | (t & CLOSED);
            if memory.tail().compare_exchange(t, cleared, AcqRel, Relaxed).is_ok() {
                break;
            }
        }
        loop {
            let h = memory.head().load(Acquire); // Acquire: RING-E3.
            if owner(h) != o {
                break;
            }
            if count(h) > 0 {
                ring.sign_readers(h);
            }
            kill_point!("clean.head");
            if memory.head().compare_exchange(h, claim(pos(h), 0, 0), AcqRel, Relaxed).is_ok() {
                break;
            }
        }
        // 4. Before 5. After step 5 no word says who owns a block in flight, nor which slot and
        //    block are one message.
        for found in memory.blocks() {
            let state = found.state.load(Acquire); // Acquire: as RING-E4.
            let p = pos(state);
            if state == block::in_flight(p) && memory.state(p).load(Acquire) == slot::writing(p, o)
            {
                kill_point!("clean.in_flight");
                found.state.store(block::FREE, Release);
            } else if state == block::lent(p, o) {
                if memory.state(p).load(Acquire) == slot::reading(p, o) {
                    kill_point!("clean.lent_slot");
                    memory.state(p).store(slot::free(g.next_lap(p)), Release); // Release: RING-E2.
                }
                kill_point!("clean.lost");
                found.state.store(block::lost(p), Release); // Release: RING-E4.
            }
        }
        // 5.
        for index in 0..g.capacity as usize {
            let state = memory.slot_at(index).state;
            let was = state.load(Acquire); // Acquire: RING-E4.
            let p = pos(was);
            if was == slot::writing(p, o) {
                kill_point!("clean.void");
                state.store(slot::void(p), Release);
            } else if was == slot::reading(p, o) {
                kill_point!("clean.orphan");
                state.store(slot::orphan(p), Release); // Release: RING-E4.
            }
        }
        // 6.
        for found in memory.blocks() {
            if found.state.load(Acquire) == block::held(o) {
                kill_point!("clean.held");
                found.state.store(block::FREE, Release);
            }
        }
    }

    /// Returns messages whose guards were forgotten, so that other receivers get them.
    ///
    /// A process calls this before it leaves.
    fn give_back_forgotten(self) {
        let me = self.me.id;
        let mut any = false;
        for index in 0..self.memory.geometry.capacity as usize {
            let state = self.memory.slot_at(index).state;
            let was = state.load(Acquire);
            if was == slot::reading(pos(was), me) {
                kill_point!("leave.orphan");
                state.store(slot::orphan(pos(was)), Release); // Release: RING-E4.
                any = true;
            }
        }
        for found in self.memory.blocks() {
            let was = found.state.load(Acquire);
            if was == block::lent(pos(was), me) {
                kill_point!("leave.lost");
                found.state.store(block::lost(pos(was)), Release); // Release: RING-E4.
                any = true;
            }
        }
        if any {
            kill_point!("leave.orphans");
            self.memory.orphan_seq().fetch_add(1, AcqRel); // AcqRel: RING-E6.
            self.memory.bell(Side::Receivers).wake_all();
        }
    }

    /// Receives and drops every message that is ready, orphaned or lost.
    ///
    /// Called when no receiver is left.
    fn discard(self) {
        let mut nowhere = Discard { memory: self.memory, block_of: self.block_of };
        // Each message once, so a peer that writes garbage cannot keep this process in the loop.
        let most = 2 * self.memory.geometry.capacity + 2 * self.memory.geometry.blocks as u64;
        for _ in 0..most {
            kill_point!("discard.next");
            if Ring::of(self.memory).receive(self.me, 1, &mut nowhere).is_err() {
                break;
            }
        }
    }

    /// Checks every participant once, and recovers those that are dead.
    ///
    /// Returns whether any was recovered.
    pub(crate) fn recover_all(self, leases: &impl Leases) -> bool {
        let mut any = false;
        for id in self.dead(leases) {
            any |= self.recover(id, leases);
        }
        any
    }

    /// Returns whether any participant is dead and not recovered yet.
    pub(crate) fn any_dead(self, leases: &impl Leases) -> bool {
        self.dead(leases).next().is_some()
    }

    /// Returns the ids of participants that are dead and not recovered.
    ///
    /// Each id is checked at the moment that the iterator reaches it.
    fn dead(self, leases: &'a impl Leases) -> impl Iterator<Item = u64> + 'a {
        let entries = self.memory.entries();
        (1..entries.len() as u64).filter(move |id| {
            // Relaxed: `recover` checks again under the lease.
            let used = entries[*id as usize].load(Relaxed) & entry::USED != 0;
            used && *id != self.me.id && !leases.alive(*id)
        })
    }
}

/// A sink that drops every message.
struct Discard<'a> {
    memory: &'a Memory,
    block_of: BlockOf,
}

impl Sink for Discard<'_> {
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        (self.block_of)(slot)
    }
    fn inline(&mut self, _slot: Slot<'_>, _pos: u64) -> After {
        After::Free
    }
    fn block(&mut self, block: usize, _pos: u64) {
        Pool::of(self.memory).free(block);
    }
    fn corrupt(&mut self, _what: &'static str) {}
}

// `clean` must handle every kind. These are all.
const _: () = assert!(slot::ORPHAN == 5 && block::LOST == 4 && kind(slot::void(0)) == slot::VOID);
